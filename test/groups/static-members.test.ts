import { rangeAssignor, stickyAssignor } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { BusyClock, setupOn } from './support-b.js'
import { at, caught, expectCode, fill, gate, refused, watch, where, world } from './support-c.js'

const leaveBy = {
  close: (consumer: { close(): Promise<void> }) => consumer.close(),
  crash: async (consumer: Parameters<typeof crash>[0]) => crash(consumer),
  expulsion: async (consumer: Parameters<typeof expel>[0]) => expel(consumer),
} as const
const ways = ['close', 'crash', 'expulsion'] as const

describe('rule 53: a seat outlives its static member', () => {
  test.each(ways)('after %s its partitions go to nobody, and there is no generation', async way => {
    const { group } = world({ partitions: 2 })
    const one = group.join({ instanceId: 'one' })
    const two = group.join({ instanceId: 'two' })
    await two.ready()
    const { generation } = group
    await leaveBy[way](one)
    expect(where(one.assignment)).toEqual([])
    expect([where(two.assignment), group.generation, group.moves]).toEqual([['orders-1'], generation, []])
  })

  test.each(ways)(
    'after %s who joins as that instance in time gets the same partitions, in no generation',
    async way => {
      let runs = 0
      const assignor = {
        name: 'counting',
        assign: (...input: Parameters<typeof rangeAssignor.assign>) => {
          runs++
          return rangeAssignor.assign(...input)
        },
      }
      const { group, clock } = world({ partitions: 3, assignor })
      const one = group.join({ instanceId: 'one' })
      group.join({ instanceId: 'two' })
      await one.ready()
      const before = { generation: group.generation, runs, owned: where(one.assignment) }
      await leaveBy[way](one)
      await clock.advance(44_999)
      const assigned: string[][] = []
      const again = group.join({ instanceId: 'one', onAssigned: list => void assigned.push(where(list)) })
      await again.ready()
      expect({ generation: group.generation, runs, owned: where(again.assignment) }).toEqual(before)
      expect(assigned).toEqual([['orders-0', 'orders-1']])
      await clock.advance(100_000)
      expect(where(again.assignment)).toEqual(['orders-0', 'orders-1'])
    },
  )

  test.each(ways)('after %s and sessionTimeoutMs, 45,000 by default, the seat expires: one generation', async way => {
    const { group, clock, drain } = world({ partitions: 2 })
    const one = group.join({ instanceId: 'one' })
    const two = group.join({ instanceId: 'two' })
    await drain()
    await leaveBy[way](one)
    const { generation } = group
    await clock.advance(44_999)
    expect([where(two.assignment), group.generation]).toEqual([['orders-1'], generation])
    await clock.advance(1)
    expect([where(two.assignment), group.generation]).toEqual([['orders-0', 'orders-1'], generation + 1])
    expect(group.members.map(({ instanceId }) => instanceId)).toEqual(['two'])
  })

  test('nobody else can join by the id that a seat is listed under: assignors tell members apart by it', async () => {
    const { group, drain } = world({ partitions: 2 })
    await group.join({ instanceId: 'one', memberId: 'm' }).close()
    await refused(() => group.join({ memberId: 'm' }), 'INVALID_CONFIG', 'memberId', '"m"', 'seat')
    await refused(() => group.join({ memberId: 'm', instanceId: 'two' }), 'INVALID_CONFIG', 'memberId', '"m"', 'seat')
    const heir = group.join({ memberId: 'm', instanceId: 'one' })
    await drain()
    expect([where(heir.assignment), group.members.length]).toEqual([['orders-0', 'orders-1'], 1])
  })

  test('a default id is never that of a seat', async () => {
    const { group } = world({ partitions: 2 })
    await group.join({ instanceId: 'one', memberId: 'g-0002' }).close()
    const other = group.join()
    expect([other.memberId, where(other.assignment)]).toEqual(['g-0003', ['orders-1']])
  })

  test('the timer of a seat is unref-ed: it keeps no process alive', async () => {
    const { clock, group } = setupOn(new BusyClock())
    await group.join({ instanceId: 'one' }).close()
    expect([...clock.timers].map(timer => [timer.due, clock.unrefs.has(timer)])).toEqual([[45_000, true]])
  })

  test('sessionTimeoutMs says how long', async () => {
    const { group, clock, drain } = world({ sessionTimeoutMs: 1_000 })
    const one = group.join({ instanceId: 'one' })
    const two = group.join({ instanceId: 'two' })
    await drain()
    await one.close()
    await clock.advance(999)
    expect(where(two.assignment)).toEqual([])
    await clock.advance(1)
    expect(where(two.assignment)).toEqual(['orders-0'])
  })

  test('sessionTimeoutMs is used for seats alone: a live member that is silent for longer stays', async () => {
    const { group, clock } = world({ sessionTimeoutMs: 1_000 })
    const one = group.join({ instanceId: 'one' })
    const dynamic = group.join()
    await clock.advance(10_000)
    expect(group.members.length).toBe(2)
    expect([where(one.assignment), dynamic.closed]).toEqual([['orders-0'], false])
  })

  test('each leave begins the time anew', async () => {
    const { group, clock, drain } = world({ sessionTimeoutMs: 1_000 })
    const two = group.join({ instanceId: 'zwei' })
    const first = group.join({ instanceId: 'one' })
    await drain()
    await first.close()
    await clock.advance(900)
    const second = group.join({ instanceId: 'one' })
    await drain()
    await second.close()
    await clock.advance(999)
    expect(where(two.assignment)).toEqual([])
    await clock.advance(1)
    expect(where(two.assignment)).toEqual(['orders-0'])
  })

  test('the new member of a seat goes on from what is committed', async () => {
    const { orders, group } = world()
    fill(orders, 0, 4)
    const first = group.join({ instanceId: 'one' })
    await first.poll({ maxRecords: 2 })
    await first.close()
    expect((await group.join({ instanceId: 'one' }).poll()).map(at)).toEqual(['0:2', '0:3'])
  })

  test('close() auto-commits and calls onRevoked as usual', async () => {
    const { orders, group } = world()
    fill(orders, 0, 2)
    const revoked: string[][] = []
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const one = group.join({ instanceId: 'one', onRevoked: list => void revoked.push(where(list)) })
    await one.poll()
    await one.close()
    expect([revoked, left, group.committed('orders', 0)]).toEqual([[['orders-0']], ['closed'], 2])
  })

  test('an expelled static member that polls in time has its seat again, in no generation', async () => {
    const { orders, group, clock } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const log: string[] = []
    const one = group.join({
      instanceId: 'one',
      onAssigned: list => void log.push(`assigned ${where(list)}`),
      onLost: list => void log.push(`lost ${where(list)}`),
    })
    const two = group.join({ instanceId: 'two' })
    await one.ready()
    const { generation } = group
    expel(one)
    await clock.advance(30_000)
    expect((await one.poll()).map(at)).toEqual(['0:0'])
    expect(log).toEqual(['assigned orders-0', 'lost orders-0', 'assigned orders-0'])
    expect([group.generation, where(two.assignment)]).toEqual([generation, ['orders-1']])
    await clock.advance(60_000)
    expect(where(one.assignment)).toEqual(['orders-0'])
  })

  test('an expelled static member that polls after its seat has expired rejoins as an ordinary change', async () => {
    const { orders, group, clock } = world({ sessionTimeoutMs: 1_000 })
    fill(orders, 0, 1)
    const one = group.join({ instanceId: 'one' })
    await one.ready()
    expel(one)
    await clock.advance(1_000)
    const { generation } = group
    expect((await one.poll()).map(at)).toEqual(['0:0'])
    expect(group.generation).toBe(generation + 1)
  })

  test('seats count as members and are listed', async () => {
    const { group } = world()
    const one = group.join({ instanceId: 'one' })
    await one.close()
    expect(group.members).toMatchObject([{ instanceId: 'one', assignment: [] }])
    await refused(() => group.resetOffsets('earliest'), 'NON_EMPTY_GROUP', 'g', '1')
    await refused(() => group.delete(), 'NON_EMPTY_GROUP', 'g', '1')
  })

  test('once the seat has expired the group is empty', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 2)
    await group.join({ instanceId: 'one' }).close()
    await clock.advance(45_000)
    expect(group.members).toEqual([])
    group.resetOffsets('latest')
    expect(group.committed('orders', 0)).toBe(2)
  })

  test('a change of others leaves the seat its share', async () => {
    const { group, drain } = world({ partitions: 3 })
    const one = group.join({ instanceId: 'one' })
    const two = group.join({ instanceId: 'two' })
    await drain()
    await one.close()
    const three = group.join({ instanceId: 'zzz' })
    await drain()
    expect([where(two.assignment), where(three.assignment)]).toEqual([['orders-1'], ['orders-2']])
    const again = group.join({ instanceId: 'one' })
    expect(where(again.assignment)).toEqual(['orders-0'])
  })

  test('other topics than those of the seat are an ordinary change', async () => {
    const { broker, drain } = world({ partitions: 2 })
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    const one = group.join({ instanceId: 'one', topics: ['orders'] })
    await drain()
    await one.close()
    const { generation } = group
    const again = group.join({ instanceId: 'one', topics: ['audit'] })
    expect([group.generation, where(again.assignment)]).toEqual([generation + 1, ['audit-0']])
  })

  test('a sticky assignor is shown what the seat had, also when its new member has other topics', async () => {
    const shown: (readonly [string | undefined, string[]])[][] = []
    const assignor = {
      ...stickyAssignor,
      assign: (...input: Parameters<typeof stickyAssignor.assign>) => {
        shown.push(input[0].map(({ instanceId, owned }) => [instanceId, where(owned)]))
        return stickyAssignor.assign(...input)
      },
    }
    const { broker } = world({ partitions: 2 })
    const group = broker.group('both', { topics: ['orders', 'audit'], assignor })
    await group.join({ instanceId: 'one', topics: ['orders'] }).close()
    const again = group.join({ instanceId: 'one' })
    expect(shown.at(-1)).toEqual([['one', ['orders-0', 'orders-1']]])
    expect(where(again.assignment)).toEqual(['audit-0', 'orders-0', 'orders-1'])
  })

  test('who has taken the seat of one that is still closing keeps it when that one has left', async () => {
    const { orders, group, clock, drain } = world({ sessionTimeoutMs: 1_000 })
    fill(orders, 0, 1)
    const end = gate()
    const older = group.join({ instanceId: 'one' })
    void older.run(() => end.promise)
    await drain()
    const closed = older.close()
    const newer = group.join({ instanceId: 'one' })
    expect([where(older.assignment), where(newer.assignment)]).toEqual([['orders-0'], []])
    end.open()
    await closed
    const { generation } = group
    await clock.advance(5_000)
    expect([where(newer.assignment), group.generation, group.members.length]).toEqual([['orders-0'], generation, 1])
  })

  test('a seat under `latest` keeps the place that the group had pinned', async () => {
    const { orders, group, drain } = world({ autoOffsetReset: 'latest', commitMode: 'manualCommit' })
    fill(orders, 0, 3)
    const one = group.join({ instanceId: 'one' })
    await drain()
    crash(one)
    fill(orders, 0, 2)
    const again = group.join({ instanceId: 'one' })
    expect((await again.poll()).map(at)).toEqual(['0:3', '0:4'])
  })

  test('a member that has left its seat leaves no timer but that of the seat, which ends with it', async () => {
    const { group, clock } = world()
    await group.join({ instanceId: 'one' }).close()
    expect(clock.timers).toBe(1)
    await clock.advance(45_000)
    expect(clock.timers).toBe(0)
  })
})

describe('rule 54: joining with an instanceId that is live', () => {
  test('the newer has all that the older had, at once and in no generation', async () => {
    const { group, drain } = world({ partitions: 3 })
    const left: string[] = []
    group.on('leave', ({ memberId, reason }) => left.push(`${memberId} ${reason}`))
    const older = group.join({ instanceId: 'one' })
    const other = group.join({ instanceId: 'two' })
    await drain()
    const { generation } = group
    const newer = group.join({ instanceId: 'one' })
    expect([where(older.assignment), where(newer.assignment), where(other.assignment)]).toEqual([
      [],
      ['orders-0', 'orders-1'],
      ['orders-2'],
    ])
    expect([group.generation, left]).toEqual([generation, [`${older.memberId} fenced`]])
  })

  test('poll, commit and ready of the older reject with FENCED_INSTANCE_ID, for good', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 2)
    const older = group.join({ instanceId: 'one' })
    const [first] = await older.poll()
    const newer = group.join({ instanceId: 'one' })
    await drain()
    for (let i = 0; i < 2; i++) {
      await refused(() => older.poll({ timeoutMs: 0 }), 'FENCED_INSTANCE_ID', 'one')
      await refused(() => older.commit(), 'FENCED_INSTANCE_ID', 'one')
      await refused(() => older.commit(first!), 'FENCED_INSTANCE_ID', 'one')
      await refused(() => older.ready(), 'FENCED_INSTANCE_ID', 'one')
    }
    expect([group.committed('orders', 0), where(newer.assignment)]).toEqual([undefined, ['orders-0']])
    await newer.close()
    await refused(() => older.poll({ timeoutMs: 0 }), 'FENCED_INSTANCE_ID', 'one')
    expect(group.members.length).toBe(1)
  })

  test('a pending ready() of the older rejects', async () => {
    const { group, drain } = world()
    const older = group.join({ instanceId: 'one', onAssigned: () => gate().promise })
    const ready = watch(older.ready())
    await drain()
    group.join({ instanceId: 'one' })
    await drain()
    expectCode(ready.error, 'FENCED_INSTANCE_ID', 'one')
  })

  test('a poll of the older that is parked rejects', async () => {
    const { group, drain } = world()
    const older = group.join({ instanceId: 'one' })
    const poll = watch(older.poll())
    await drain()
    group.join({ instanceId: 'one' })
    await drain()
    expectCode(poll.error, 'FENCED_INSTANCE_ID', 'one')
  })

  test('onLost of the older is called at its next poll, not before', async () => {
    const { group, drain } = world()
    const log: string[] = []
    const older = group.join({
      instanceId: 'one',
      onRevoked: list => void log.push(`revoked ${where(list)}`),
      onLost: (list, self) => void log.push(`lost ${where(list)} of ${where(self.assignment)}`),
    })
    await drain()
    group.join({ instanceId: 'one' })
    await drain()
    expect(log).toEqual([])
    await refused(() => older.poll(), 'FENCED_INSTANCE_ID', 'one')
    await refused(() => older.poll(), 'FENCED_INSTANCE_ID', 'one')
    expect(log).toEqual(['lost orders-0 of '])
  })

  test('run() of the older rejects with FENCED_INSTANCE_ID itself, and tells nobody else', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const told: unknown[] = []
    group.on('error', ({ error }) => told.push(error))
    const end = gate()
    const older = group.join({ instanceId: 'one' })
    const run = watch(older.run(() => end.promise))
    await drain()
    group.join({ instanceId: 'one' })
    await drain()
    end.open()
    await drain()
    expectCode(run.error, 'FENCED_INSTANCE_ID', 'one')
    expect([told, older.closed]).toEqual([[], true])
  })

  test('an idle run() of the older rejects with FENCED_INSTANCE_ID too', async () => {
    const { group, drain } = world()
    const told: unknown[] = []
    group.on('error', ({ error }) => told.push(error))
    const run = watch(group.join({ instanceId: 'one' }).run(() => {}))
    await drain()
    group.join({ instanceId: 'one' })
    await drain()
    expectCode(run.error, 'FENCED_INSTANCE_ID', 'one')
    expect(told).toEqual([])
  })

  test('nothing of the older is committed', async () => {
    const { orders, group, clock } = world({ autoCommitIntervalMs: 1_000 })
    fill(orders, 0, 2)
    const older = group.join({ instanceId: 'one' })
    await older.poll()
    const newer = group.join({ instanceId: 'one' })
    await clock.advance(5_000)
    expect(group.committed('orders', 0)).toBeUndefined()
    expect((await newer.poll()).map(at)).toEqual(['0:0', '0:1'])
  })

  test('close() of the older leaves the newer alone', async () => {
    const { group, drain } = world()
    const older = group.join({ instanceId: 'one' })
    await drain()
    const newer = group.join({ instanceId: 'one' })
    await drain()
    await older.close()
    expect([older.closed, newer.closed, where(newer.assignment)]).toEqual([true, false, ['orders-0']])
    await newer.ready()
  })

  test('the newest of three has the seat', async () => {
    const { group, drain } = world()
    const [first, second, third] = [1, 2, 3].map(() => group.join({ instanceId: 'one' }))
    await drain()
    expectCode(await caught(() => first!.poll()), 'FENCED_INSTANCE_ID')
    expectCode(await caught(() => second!.poll()), 'FENCED_INSTANCE_ID')
    expect([where(third!.assignment), group.members.length]).toEqual([['orders-0'], 1])
  })

  test('other topics than those of the older are an ordinary change', async () => {
    const { broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    const older = group.join({ instanceId: 'one', topics: ['orders'] })
    await drain()
    const { generation } = group
    const newer = group.join({ instanceId: 'one', topics: ['audit'] })
    await drain()
    expect([group.generation, where(newer.assignment)]).toEqual([generation + 1, ['audit-0']])
    expectCode(await caught(() => older.poll()), 'FENCED_INSTANCE_ID')
  })
})
