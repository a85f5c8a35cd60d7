import { stickyAssignor, type TopicPartition } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import {
  type Group,
  given,
  later,
  type Member,
  nameOf,
  numbered,
  type Promises,
  partitionsOf,
  placeOf,
  type Read,
  sortedValues,
  upTo,
  valuesOf,
  type World,
} from './world.js'

/** Who reads what: groups beside each other, members that share, partitions that move. */
export const groups: Promises = {
  'each group has all records, and offsets of its own': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(10, 2))
    const [one, other] = [w.group({ id: 'one' }), w.group({ id: 'other', commitMode: 'manualCommit' })]
    const [a, b] = [await w.join(one), await w.join(other)]
    same('what the one reads', sortedValues(await w.take(a, 10)), upTo(10))
    same('what the other reads', sortedValues(await w.take(b, 10)), upTo(10))
    await w.keep('a commit', a.commit())
    same('the lag of the one', await w.keep('a lag', one.lag()), 0)
    same('the lag of the other', await w.keep('a lag', other.lag()), 10)
    same('what the other has committed', await w.committed(other, 'orders', 0), undefined)
  }),

  'a group of two topics has the records of both': given({ orders: 2, payments: 1 }, async w => {
    await w.publish('orders', numbered(4, 2))
    await w.publish('payments', numbered(3, 1, 4))
    const records = await w.take(await w.join(w.group()), 7)
    const of = (topic: string): any[] => sortedValues(records.filter(record => record.topic === w.name(topic)))
    same('those of orders', of('orders'), [0, 1, 2, 3])
    same('those of payments', of('payments'), [4, 5, 6])
  }),

  'members share the partitions, and each record goes to one of them': given({ orders: 4 }, async w => {
    const group = w.group()
    const sameGroup = w.group({}, await w.another())
    const members = await shared(w, 4, group, sameGroup)
    const [a, b] = members
    check(a!.memberId !== undefined && b!.memberId !== undefined, () => 'a member that is ready has no memberId')
    check(a!.memberId !== b!.memberId, () => `both members are ${a!.memberId}`)
    await w.publish('orders', numbered(40, 4))
    const read = await Promise.all(members.map(member => w.take(member, 10 * member.assignment.length)))
    for (const [i, records] of read.entries()) {
      const foreign = records.filter(record => !members[i]!.assignment.some(own => own.partition === record.partition))
      same(`records of member ${i} from partitions of others`, foreign.map(placeOf), [])
    }
    same('the records of both', sortedValues(read.flat()), upTo(40))
  }),

  'a member reads the topics that it asked for': given({ orders: 1, payments: 1 }, async w => {
    const group = w.group()
    const a = group.join({ topics: [w.name('orders')] })
    const b = group.join({ topics: [w.name('payments')] })
    await w.ready(a, b)
    same('what the one has', a.assignment.map(nameOf), [nameOf(w.at('orders', 0))])
    same('what the other has', b.assignment.map(nameOf), [nameOf(w.at('payments', 0))])
    await w.publish('payments', [{ value: 'paid' }])
    await w.publish('orders', [{ value: 'ordered' }])
    same('what the one reads', valuesOf(await w.take(a, 1)), ['ordered'])
    same('what the other reads', valuesOf(await w.take(b, 1)), ['paid'])
  }),

  'a member too many waits, and takes over when an owner leaves': given({ orders: 2 }, async w => {
    const group = w.group()
    const members = await shared(w, 2, group, group, group)
    const idle = members.find(member => member.assignment.length === 0)!
    check(idle !== undefined, () => 'two partitions, but three owners')
    const waiting = later(idle.poll())
    await w.publish('orders', numbered(2, 2))
    const [stays, leaves] = members.filter(member => member !== idle) as [Member, Member]
    for (const owner of [stays, leaves]) await w.take(owner, 1)
    const parked = later(stays.poll())
    await w.close(leaves)
    await w.until('the member that waited to own a partition', () => idle.assignment.length === 1)
    const [{ partition }] = idle.assignment as readonly [TopicPartition]
    await w.publish('orders', [{ value: 'next', partition }])
    same('what it reads', valuesOf(await w.keep('its poll', waiting)), ['next'])
    await w.close(stays)
    await w.keep('a poll to end with its consumer', parked)
  }),

  'no partition has two owners at any time, and nothing is lost, while members come and go': given(
    { orders: 4 },
    async w => {
      const brokers = [w.broker, await w.another()]
      const options = { autoCommitIntervalMs: 0 } as const
      const done: number[] = []
      const owners = new Map<number, Member>()
      const errors: string[] = []
      const enter = (): { member: Member; running: Promise<void> } => {
        const member = w.group(options, brokers[members.length % 2]).join({
          async onAssigned(partitions, me) {
            for (const { partition } of partitions) {
              if (owners.has(partition)) errors.push(`${partition} was given to another before it was given up`)
              owners.set(partition, me)
            }
            await w.turns(2)
          },
          async onRevoked(partitions) {
            await w.turns(3)
            for (const { partition } of partitions) owners.delete(partition)
          },
        })
        const running = w.run(member, async record => {
          if (owners.get(record.partition) !== member) errors.push(`${placeOf(record)} went to who does not own it`)
          await w.turns(2)
          if (owners.get(record.partition) !== member) errors.push(`${placeOf(record)} was still at work when it moved`)
          done.push(record.value)
        })
        return { member, running }
      }
      const members: { member: Member; running: Promise<void> }[] = []
      let published = 0
      const more = async (): Promise<void> => {
        await w.publish('orders', numbered(20, 4, published))
        published += 20
        await w.until(
          () => `half of ${published} records; ${done.length} are done`,
          () => done.length >= published - 10,
        )
      }
      for (const _ of upTo(3)) {
        members.push(enter())
        await more()
      }
      for (const { member, running } of members.slice(0, 2)) {
        await w.close(member)
        await w.keep('run() of a closed member', running)
        await more()
      }
      members.push(enter())
      await more()
      await w.until(
        () =>
          `all ${published} records; missing are ${upTo(published)
            .filter(i => !done.includes(i))
            .join()}`,
        () => new Set(done).size === published,
      )
      same('what went wrong', errors, [])
      same('records that came twice', done.length, published)
      await w.close(...members.slice(2).map(({ member }) => member))
    },
  ),

  'a record at work keeps its partition until it is done': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(4, 2))
    const group = w.group()
    const a = await w.join(group)
    const gate = w.gate()
    const begun: Read[] = []
    const running = w.run(
      a,
      async record => {
        begun.push(record)
        await gate.opened
      },
      { concurrency: 2 },
    )
    await w.until('a record of each partition to be at work', () => begun.length === 2)
    const b = group.join()
    let ready = false
    const waiting = later(
      b.ready().then(() => {
        ready = true
      }),
    )
    await w.until('the newcomer to be a member', () => b.memberId !== undefined)
    await w.pass(w.shortMs)
    check(!ready, () => 'the newcomer was ready while the other was at work on both partitions')
    same('what the owner has', partitionsOf(a.assignment), [0, 1])
    same('what the newcomer has', b.assignment, [])
    gate.open()
    await w.until('a partition to move', () => b.assignment.length === 1)
    await w.keep('the newcomer to be ready', waiting)
    const [{ partition }] = b.assignment as readonly [TopicPartition]
    // On a cluster the owner may have begun another record before it heard of the newcomer.
    const nextOffset = begun.filter(record => record.partition === partition).length
    await w.publish('orders', [{ value: 5, partition }])
    same('where the newcomer starts', (await w.take(b, 1))[0]!.offset, nextOffset)
    await w.close(a)
    await w.keep('run() to end with its consumer', running)
  }),

  'who takes over goes on from what was committed': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(10))
    const group = w.group({ commitMode: 'manualCommit' })
    const a = await w.join(group)
    await w.take(a, 4)
    await w.keep('a commit', a.commit())
    await w.take(a, 3)
    await w.close(a)
    const b = await w.join(w.group({ commitMode: 'manualCommit' }, await w.another()))
    same('what the next owner reads', valuesOf(await w.take(b, 6)), [4, 5, 6, 7, 8, 9])
  }),

  "joining for topics that are not the group's is INVALID_CONFIG, and joins nobody": given(
    { orders: 1, payments: 1 },
    async w => {
      const group = w.group({ topics: ['orders'] })
      for (const topics of [[w.name('payments')], [w.name('orders'), w.name('payments')], []])
        await w.refused(`joining for [${topics.join()}]`, 'INVALID_CONFIG', () => group.join({ topics }))
      const member = await w.join(group)
      same('what the only member has', member.assignment.map(nameOf), [nameOf(w.at('orders', 0))])
    },
  ),

  'a static member comes back to its partitions': given({ orders: 4 }, async w => {
    const group = w.group()
    const stays = group.join({ instanceId: 'b' })
    const goes = group.join({ instanceId: 'a' })
    await w.ready(stays, goes)
    await w.until('two partitions each', () => stays.assignment.length === 2 && goes.assignment.length === 2)
    const [kept, left] = [partitionsOf(stays.assignment), partitionsOf(goes.assignment)]
    await w.close(goes)
    await w.pass(w.shortMs)
    same('what the other has meanwhile', partitionsOf(stays.assignment), kept)
    const back = await w.join(group, { instanceId: 'a' })
    same('what it has', partitionsOf(back.assignment), left)
    same('what the other has', partitionsOf(stays.assignment), kept)
  }),

  'an id is one group; with other options it is INVALID_CONFIG': given({ orders: 1, payments: 1 }, async w => {
    const group = w.group({ topics: ['orders'], commitMode: 'manualCommit' })
    check(
      w.group({ topics: ['orders'], commitMode: 'manualCommit' }) === group,
      () => 'the same id and options gave another group',
    )
    const wrong = 'INVALID_CONFIG'
    await w.refused('another commitMode', wrong, () => w.group({ topics: ['orders'] }))
    await w.refused('another assignor', wrong, () =>
      w.group({ topics: ['orders'], commitMode: 'manualCommit', assignor: stickyAssignor }),
    )
    await w.refused('other topics', wrong, () => w.group({ topics: ['payments'], commitMode: 'manualCommit' }))
  }),
}

/** A member of each of these, when together they have all partitions, as evenly as it goes. */
async function shared(w: World, partitions: number, ...groups: readonly Group[]): Promise<Member[]> {
  const members = groups.map(group => group.join())
  await w.ready(...members)
  const owned = (): number[] => members.map(({ assignment }) => assignment.length)
  await w.until(
    () => `${partitions} partitions to be shared by ${members.length}; they have ${owned().join()}`,
    () => owned().reduce((sum, n) => sum + n) === partitions && Math.max(...owned()) - Math.min(...owned()) <= 1,
  )
  const twice = members.flatMap(({ assignment }) => assignment.map(nameOf))
  same('partitions with two owners', twice.length, new Set(twice).size)
  return members
}
