import type { JoinOptions, TopicPartition } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import {
  type Group,
  given,
  later,
  type Member,
  numbered,
  type Promises,
  partitionsOf,
  type Read,
  upTo,
  valuesOf,
  type World,
} from './world.js'

const manual = { commitMode: 'manualCommit' } as const

/** onAssigned, onRevoked and onLost: when they are called, with what, and what may be done in them. */
export const listeners: Promises = {
  'onAssigned tells what a new member has, before its first record and before ready()': given(
    { orders: 2 },
    async w => {
      await w.publish('orders', numbered(4, 2))
      const log: unknown[] = []
      let told: Member | undefined
      const consumer = w.group().join({
        async onAssigned(partitions, me) {
          if (partitions.length === 0) return
          log.push(['assigned', partitionsOf(partitions)])
          told = me
          await w.turns(5)
          log.push('told')
        },
      })
      const polled = later(consumer.poll().then(records => log.push(['polled', records.length > 0])))
      await w.keep(
        'a member to be ready',
        consumer.ready().then(() => log.push('ready')),
      )
      await w.keep('its first poll', polled)
      same('the first two', log.slice(0, 2), [['assigned', [0, 1]], 'told'])
      check(log.includes('ready') && log.length === 4, () => `the log is ${JSON.stringify(log)}`)
      check(told === consumer, () => 'the listener was given another consumer')
    },
  ),

  'no listener is called inside a call of the library': given({ orders: 1 }, async w => {
    let inside = ''
    const errors: string[] = []
    const told = (what: string) => (): void => {
      if (inside !== '') errors.push(`${what} inside ${inside}`)
    }
    const within = <T>(call: string, act: () => T): T => {
      inside = call
      try {
        return act()
      } finally {
        inside = ''
      }
    }
    const group = w.group()
    const listeners = { onAssigned: told('onAssigned'), onRevoked: told('onRevoked') }
    const a = within('join()', () => group.join(listeners))
    const polled = later(within('poll()', () => a.poll({ timeoutMs: w.shortMs })))
    await w.ready(a)
    await w.keep('a poll', polled)
    const b = within('join()', () => group.join(listeners))
    const parked = later(within('poll()', () => a.poll()))
    await w.ready(b)
    for (const member of [a, b])
      await w.keep(
        'close()',
        within('close()', () => member.close()),
      )
    await w.keep('a poll to end with its consumer', parked)
    same('what was called', errors, [])
  }),

  'onAssigned of a member that has nothing is called with nothing': given({ orders: 1 }, async w => {
    const group = w.group()
    const lists: [number[][], number[][]] = [[], []]
    const [a, b] = lists.map(list =>
      group.join({ onAssigned: partitions => void list.push(partitionsOf(partitions)) }),
    ) as [Member, Member]
    await w.ready(a, b)
    await w.until('the partition to have an owner', () => a.assignment.length + b.assignment.length === 1)
    for (const list of lists) check(list.length > 0, () => 'a member was ready, but its onAssigned was not called')
    // It may have been the other's for a moment, if that was the first to be heard.
    same('what the owner was told last', lists[a.assignment.length === 1 ? 0 : 1].at(-1), [0])
  }),

  'a partition moves in order: commit, onRevoked, then onAssigned of its new owner': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(6, 2))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const log: string[] = []
    let moved: readonly number[] = []
    let committed: unknown
    const a = await w.join(group, {
      onAssigned: heard(log, 'a has'),
      async onRevoked(partitions, me) {
        if (me.closed) return
        log.push(`a gives ${partitionsOf(partitions)}`)
        moved = partitionsOf(partitions)
        committed = await group.committed(w.name('orders'), moved[0]!)
        await w.turns(5)
        log.push('a has given')
      },
    })
    await w.take(a, 6)
    const parked = later(a.poll())
    const b = group.join({ onAssigned: heard(log, 'b has') })
    await w.until(
      () => `the newcomer to own a partition; the log: ${log.join(', ')}`,
      () => b.assignment.length === 1,
    )
    await w.ready(b)
    same('how many moved', moved.length, 1)
    same('what b has', partitionsOf(b.assignment), moved)
    same(
      'what a has',
      partitionsOf(a.assignment),
      upTo(2).filter(i => i !== moved[0]),
    )
    same('the log', log, ['a has 0,1', `a gives ${moved}`, 'a has given', `b has ${moved}`])
    same('committed when onRevoked was called', committed, 3)
    await w.close(a)
    same('the poll that waited', await w.keep('a poll to end with its consumer', parked), [])
  }),

  'onRevoked is called at close() with all there is, and the consumer still owns it': given({ orders: 3 }, async w => {
    await w.publish('orders', numbered(3, 3))
    const group = w.group(manual)
    const lists: number[][] = []
    const consumer = await w.join(group, {
      async onRevoked(partitions, me) {
        lists.push(partitionsOf(partitions), partitionsOf(me.assignment))
        await me.commit()
      },
    })
    await w.take(consumer, 3)
    await w.close(consumer)
    same('the partitions named, and those owned', lists, [upTo(3), upTo(3)])
    for (const partition of upTo(3))
      same(`committed of partition ${partition}`, await w.committed(group, 'orders', partition), 1)
  }),

  'a broker that closes hands nothing to those that close with it': given({ orders: 4 }, async w => {
    const group = w.group()
    const log: string[] = []
    const members = ['a', 'b'].map(who => group.join({ onAssigned: heard(log, who), onRevoked: () => w.turns(3) })) as [
      Member,
      Member,
    ]
    await w.ready(...members)
    await w.until('two partitions each', () => members.every(({ assignment }) => assignment.length === 2))
    await w.ready(...members)
    log.length = 0
    await w.keep('the broker to close', w.broker.close())
    same('what was assigned meanwhile', log, [])
  }),

  'a commit inside onRevoked stands': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(10, 2))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const a = await w.join(group, {
      onRevoked: (partitions, me) => me.commit(partitions.map(where => ({ ...where, nextOffset: 2 }))),
    })
    await w.take(a, 10)
    const { b, parked } = await joinsWhileParked(w, group, a)
    same('where the new owner starts', (await w.take(b, 1))[0]!.offset, 2)
    await w.close(a)
    await w.keep('a poll to end with its consumer', parked)
    for (const where of upTo(2)) same(`committed of partition ${where}`, await w.committed(group, 'orders', where), 2)
  }),

  'a seek in onAssigned wins over what is committed': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(6))
    const group = w.group()
    const a = await w.join(group)
    await w.take(a, 4)
    await w.close(a)
    same('committed', await w.committed(group, 'orders', 0), 4)
    const b = group.join({
      onAssigned(partitions, me) {
        for (const { topic, partition } of partitions) me.seek(topic, partition, 1)
      },
    })
    same('what is read', valuesOf(await w.take(b, 3)), [1, 2, 3])
  }),

  'a listener that throws stops nothing, and is told once, by the poll of its consumer': given(
    { orders: 2 },
    async w => {
      const group = w.group()
      const [assigning, revoking] = [new Error('in onAssigned'), new Error('in onRevoked')]
      const a = await w.join(group, {
        onAssigned(partitions) {
          if (partitions.length > 0) throw assigning
        },
        async onRevoked(_, me) {
          if (!me.closed) throw revoking
        },
      })
      check((await w.thrown('the first poll', () => a.poll())) === assigning, () => 'the first poll told another error')
      await w.publish('orders', numbered(2, 2))
      same('what the second poll reads', (await w.take(a, 2)).length, 2)
      const { b, parked } = await joinsWhileParked(w, group, a)
      check((await w.thrown('the poll that waited', () => parked)) === revoking, () => 'it told another error')
      const [{ partition }] = b.assignment as readonly [TopicPartition]
      await w.publish(
        'orders',
        upTo(2).map(i => ({ value: i, partition: i })),
      )
      same('what the new owner reads', (await w.take(b, 1))[0]!.partition, partition)
      same('what the old owner reads', (await w.take(a, 1))[0]!.partition, 1 - partition)
    },
  ),

  'an onRevoked that throws at close() is told by close(), which leaves all the same': given({ orders: 1 }, async w => {
    const group = w.group()
    const error = new Error('in onRevoked')
    const a = await w.join(group, { onRevoked: () => Promise.reject(error) })
    const b = await w.join(group, { onRevoked: () => Promise.reject(error) })
    const [owner, next] = a.assignment.length === 1 ? [a, b] : [b, a]
    check((await w.thrown('close()', () => owner.close())) === error, () => 'close() told another error')
    await w.until('the other to own its partition', () => next.assignment.length === 1)
    await w.thrown('the close() of the other', () => next.close())
  }),

  'who does not come back within maxPollIntervalMs is out: onLost, and its commit is UNKNOWN_MEMBER_ID': given(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(3))
      const group = w.group({ maxPollIntervalMs: w.shortMs * 5 })
      const log: string[] = []
      const a = await w.join(group, {
        onAssigned: heard(log, 'has'),
        onRevoked: partitions => void log.push(`gives ${partitionsOf(partitions)}`),
        onLost: partitions => void log.push(`lost ${partitionsOf(partitions)}`),
      })
      const [first] = await w.take(a, 1)
      const done: number[] = []
      const b = group.join()
      w.run(b, ({ value }) => void done.push(value))
      await w.until(
        () => `three records to be done by another; the log: ${log.join(', ')}`,
        () => done.length === 3,
      )
      same('what another has done', done, upTo(3))
      same('the log while it stays away', log, ['has 0'])
      same('what it has', a.assignment, [])
      await w.refused('its commit', 'UNKNOWN_MEMBER_ID', () => a.commit(first!))
      const back = later(a.poll())
      await w.until('it to be told', () => log.length > 1)
      await w.close(b)
      await w.until(
        () => `it to come back; the log: ${log.join(', ')}`,
        () => log.length === 3,
      )
      same('the log', log, ['has 0', 'lost 0', 'has 0'])
      await w.close(a)
      await w.keep('a poll to end with its consumer', back)
    },
  ),

  'without an onLost it is onRevoked that is told': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(1))
    const log: string[] = []
    const a = await w.join(w.group({ maxPollIntervalMs: w.shortMs * 3 }), {
      onAssigned: heard(log, 'has'),
      onRevoked: (partitions, me) => void log.push(`gives ${partitionsOf(partitions)} of ${me.assignment.length}`),
    })
    await w.take(a, 1)
    await w.until('it to be out', () => a.assignment.length === 0)
    same('what it reads again', valuesOf(await w.take(a, 1)), [0])
    same('the log', log, ['has 0', 'gives 0 of 0', 'has 0'])
  }),

  'onRevoked never runs beside a handler of its consumer': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(20, 2))
    const group = w.group()
    let atWork = 0
    let calls = 0
    const errors: string[] = []
    const a = await w.join(group, {
      async onRevoked() {
        if (++calls > 1) return
        if (atWork > 0) errors.push(`${atWork} handlers at work when onRevoked was called`)
        await w.turns(5)
        if (atWork > 0) errors.push(`${atWork} handlers at work before onRevoked had returned`)
      },
    })
    let done = 0
    const handler = async (): Promise<void> => {
      atWork++
      await w.turns(3)
      atWork--
      done++
    }
    w.run(a, handler, { concurrency: 2 })
    await w.until('some records to be done', () => done > 2)
    const b = group.join()
    w.run(b, async () => void done++)
    await w.until(
      () => `all records; ${done} of 20 are done`,
      () => done >= 20 && b.assignment.length === 1,
    )
    await w.until('onRevoked to be called', () => calls === 1)
    same('what went wrong', errors, [])
    await w.close(a, b)
  }),
}

/** Notes what was assigned. A join may be answered before anything is: of that nothing is noted. */
function heard(log: string[], who: string): (partitions: readonly TopicPartition[]) => void {
  return partitions => {
    if (partitions.length > 0) log.push(`${who} ${partitionsOf(partitions)}`)
  }
}

/** Another member, which gets a partition while the one that has all waits in a poll. */
async function joinsWhileParked(
  w: World,
  group: Group,
  a: Member,
  options?: JoinOptions<Read>,
): Promise<{ b: Member; parked: Promise<Read[]> }> {
  const parked = later(a.poll())
  const b = group.join(options)
  await w.until('a partition to move to the newcomer', () => b.assignment.length === 1)
  await w.ready(b)
  return { b, parked }
}
