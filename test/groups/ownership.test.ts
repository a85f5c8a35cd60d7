import { type Assignor, type GroupEvents, stickyAssignor } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, coded, drain, gate, next, orders, owned, planned, say, track, world } from './support-a.js'

// groups.md 1.1: ownership, generation, target

describe('rule 1: one owner', () => {
  test('no partition is listed for two members at any event of a busy group', async () => {
    const { broker, group, put } = world({ records: 3, topics: ['orders'] })
    const twice: unknown[] = []
    let looks = 0
    const look = (): void => {
      looks++
      const all = group.members.flatMap(owned)
      if (new Set(all).size !== all.length) twice.push(all)
    }
    for (const event of ['join', 'leave', 'rebalance', 'commit'] as const) group.on(event, look)
    const a = group.join({ onAssigned: look, onRevoked: look, onLost: look })
    await a.poll()
    const b = group.join({ onAssigned: look })
    const c = group.join({ onAssigned: look, onRevoked: look })
    await a.poll({ timeoutMs: 0 })
    put(3)
    await c.poll({ timeoutMs: 0 })
    expel(b)
    await b.poll({ timeoutMs: 0 })
    crash(a)
    await broker.close()
    expect(looks).toBeGreaterThan(12)
    expect(twice).toEqual([])
  })

  test('`consumer.assignment` and `group.members` say the same, also while a move is pending', async () => {
    const { group } = world({ records: 1 })
    const a = group.join()
    await a.poll()
    const b = group.join()
    const seen = (): (readonly number[])[] => group.members.map(owned)
    expect(seen()).toEqual([owned(a), owned(b)])
    expect(seen()).toEqual([[0, 1, 2, 3], []])
    await a.poll({ timeoutMs: 0 })
    expect(seen()).toEqual([owned(a), owned(b)])
    expect(seen()).toEqual([
      [0, 1],
      [2, 3],
    ])
  })

  test('a partition without members has no owner', async () => {
    const { group } = world()
    const a = group.join()
    await a.close()
    expect([group.members, a.assignment]).toEqual([[], []])
  })
})

describe('rule 2: the target', () => {
  test('it is there, in full, when join() returns', () => {
    const { group } = world()
    const [a, b, c] = [group.join(), group.join(), group.join()]
    expect([a, b, c].map(owned)).toEqual([[0, 1], [2], [3]])
  })

  test('a closing member gets none of the partitions that come up meanwhile', async () => {
    const { group, orders, put } = world({ partitions: 2, records: 1 })
    const a = group.join()
    const done = gate()
    const running = a.run(() => done.opened)
    await drain()
    const b = group.join()
    expect(owned(a)).toContain(0)
    const closing = a.close()
    orders.addPartitions(4)
    put(3)
    expect(group.moves.map(({ to }) => to)).not.toContain(a.memberId)
    expect(owned(b)).toEqual(expect.arrayContaining([2, 3]))
    done.open()
    await Promise.all([closing, running])
    expect([owned(a), owned(b)]).toEqual([[], [0, 1, 2, 3]])
  })

  test('an assignor is not shown a closing member', async () => {
    const shown: string[][] = []
    const assignor: Assignor = {
      name: 'watching',
      assign(members, topics) {
        shown.push(members.map(({ memberId }) => memberId))
        return stickyAssignor.assign(members, topics)
      },
    }
    const { group } = world({ assignor })
    group.join()
    const hold = gate()
    const leaving = group.join({ onAssigned: () => hold.opened })
    await drain()
    const left = leaving.close()
    group.join()
    expect(shown.slice(-2)).toEqual([['g-0001'], ['g-0001', 'g-0003']])
    hold.open()
    await left
  })

  // K: TargetAssignmentBuilder
  test('a sticky assignor is given the previous target as owned, not what is owned by now', async () => {
    const owned: Record<string, number[]>[] = []
    const assignor: Assignor = {
      name: 'watching',
      assign(members, topics) {
        owned.push(Object.fromEntries(members.map(m => [m.memberId, m.owned.map(({ partition }) => partition).sort()])))
        return stickyAssignor.assign(members, topics)
      },
    }
    const { group } = world({ records: 1, assignor })
    const a = group.join()
    await a.poll()
    group.join()
    const moving = group.moves.map(({ partition }) => partition).sort()
    expect([a.assignment.length, moving.length]).toEqual([4, 2])
    group.join()
    expect(owned.at(-1)).toEqual({
      'g-0001': [0, 1, 2, 3].filter(partition => !moving.includes(partition)),
      'g-0002': moving,
      'g-0003': [],
    })
  })

  test('a half-done sticky move is not undone by the next change', async () => {
    const { group, orders } = world({ records: 1, assignor: stickyAssignor })
    const a = group.join()
    await a.poll()
    const b = group.join()
    const halfDone = group.moves.map(({ partition, to }) => ({ partition, to }))
    expect(halfDone).toHaveLength(2)
    orders.addPartitions(6)
    expect(group.moves.map(({ partition, to }) => ({ partition, to }))).toEqual(halfDone)
    await a.poll({ timeoutMs: 0 })
    expect(owned(b)).toEqual(expect.arrayContaining(halfDone.map(({ partition }) => partition)))
  })
})

describe('rule 3: the generation', () => {
  test('it is 0 before the first join', () => {
    expect(world().group.generation).toBe(0)
  })

  test('it grows by one with each join, also of a member that gets nothing', () => {
    const { group } = world({ partitions: 1 })
    const seen = [1, 2, 3].map(() => {
      group.join()
      return group.generation
    })
    expect(seen).toEqual([1, 2, 3])
  })

  test('it grows when close() is called, and not again when the leave is finished', async () => {
    const { group } = world()
    const held = gate()
    const a = group.join({ onRevoked: () => held.opened })
    await a.ready()
    const closing = a.close()
    expect(group.generation).toBe(2)
    await drain()
    held.open()
    await closing
    expect(group.generation).toBe(2)
  })

  test('it grows with a crash, also of a member that had nothing', () => {
    const { group } = world({ partitions: 1 })
    group.join()
    const surplus = group.join()
    crash(surplus)
    expect(group.generation).toBe(3)
  })

  test('it grows with an expulsion, and again with the rejoin, not with the crash of who is out already', async () => {
    const { group } = world()
    const a = group.join()
    expel(a)
    expect(group.generation).toBe(2)
    await a.poll({ timeoutMs: 0 })
    expect([group.generation, owned(a)]).toEqual([3, [0, 1, 2, 3]])
    expel(a)
    crash(a)
    expect(group.generation).toBe(4)
  })

  test('it grows when maxPollIntervalMs expels', async () => {
    const { clock, group } = world({ maxPollIntervalMs: 1_000 })
    group.join()
    await clock.advance(1_000)
    expect([group.generation, group.members]).toEqual([2, []])
  })

  test.each([
    ['close()', (member: { close(): unknown }) => member.close()],
    ['a crash', crash],
    ['an expulsion', expel],
  ] as const)('%s of a static member is no generation; the end of its seat is one', async (_, act) => {
    const { clock, group } = world({ sessionTimeoutMs: 10_000 })
    const a = group.join({ instanceId: 'one' })
    await a.ready()
    await act(a as never)
    await clock.advance(9_999)
    expect(group.generation).toBe(1)
    await clock.advance(1)
    expect([group.generation, group.members]).toEqual([2, []])
  })

  test('a seat taken over is no generation', async () => {
    const { group } = world()
    const a = group.join({ instanceId: 'one' })
    await a.close()
    const b = group.join({ instanceId: 'one' })
    expect([group.generation, owned(b)]).toEqual([1, [0, 1, 2, 3]])
  })

  test('it grows with addPartitions and deleteTopic of a topic of the group only', () => {
    const { broker, group, orders, payments } = world({ topics: ['orders'] })
    group.join()
    payments.addPartitions(8)
    broker.deleteTopic('payments')
    expect(group.generation).toBe(1)
    orders.addPartitions(5)
    expect(group.generation).toBe(2)
    broker.deleteTopic('orders')
    expect(group.generation).toBe(3)
  })

  test('neither moves nor commits change it', async () => {
    const { group } = world({ records: 1 })
    const a = group.join()
    await a.poll()
    group.join()
    expect([group.generation, group.moves.length]).toEqual([2, 2])
    await a.commit()
    await a.poll({ timeoutMs: 0 })
    expect([group.generation, group.moves.length]).toEqual([2, 0])
  })

  test('a join that throws changes nothing', () => {
    const { group } = world()
    const a = group.join()
    const events: unknown[] = []
    for (const event of ['join', 'leave', 'rebalance', 'commit', 'error'] as const)
      group.on(event, told => events.push([event, told]))
    expect(() => group.join({ memberId: a.memberId })).toThrow(coded('INVALID_CONFIG') as Error)
    expect(() => group.join({ topics: ['none' as 'orders'] })).toThrow()
    expect([group.generation, group.members.length, owned(a), events]).toEqual([1, 1, [0, 1, 2, 3], []])
    expect(group.join().memberId).toBe('g-0002')
  })

  test('several changes in one tick are several generations', async () => {
    const { group, orders } = world()
    const told: number[] = []
    group.on('rebalance', ({ generation }) => told.push(generation))
    const a = group.join()
    crash(group.join())
    orders.addPartitions(5)
    const closing = a.close()
    expect(group.generation).toBe(5)
    await closing
    expect(told).toEqual([1, 2, 3, 4, 5])
  })

  test('broker.close() closes each of its consumers: as many generations', async () => {
    const { broker, group } = world()
    for (let i = 0; i < 3; i++) group.join()
    const closing = broker.close()
    expect(group.generation).toBe(6)
    await closing
    expect(group.generation).toBe(6)
  })
})

describe('rule 4: reconciling', () => {
  test('what has no owner goes to its target at once', () => {
    const { group, orders } = world({ partitions: 1 })
    const a = group.join()
    orders.addPartitions(3)
    expect(owned(a)).toEqual([0, 1, 2])
  })

  test('a move whose owner is the target again is called off', async () => {
    const { group } = world({ records: 1 })
    const log: string[] = []
    const a = group.join({ onAssigned: say(log, 'assigned'), onRevoked: say(log, 'revoked') })
    await a.poll()
    const b = group.join()
    expect(group.moves).toHaveLength(2)
    crash(b)
    expect(group.moves).toEqual([])
    await a.poll({ timeoutMs: 0 })
    expect([owned(a), log]).toEqual([[0, 1, 2, 3], ['assigned 0,1,2,3']])
  })

  test('a change made by a listener of the group only asks for another pass', async () => {
    const { group } = world()
    const joined: string[] = []
    group.on('join', ({ memberId }) => {
      joined.push(memberId)
      if (joined.length < 3) group.join()
    })
    group.join()
    await drain()
    expect(joined).toEqual(['g-0001', 'g-0002', 'g-0003'])
    expect(group.members.map(owned)).toEqual([[0, 1], [2], [3]])
    expect([group.generation, group.moves]).toEqual([3, []])
  })

  test('a member that joins and closes in the reaction to a handler that ends leaves one consistent state', async () => {
    const { group, put } = world({ partitions: 2 })
    const log: string[] = []
    const hold = gate()
    const a = group.join({
      onRevoked: async partitions => {
        say(log, 'a revoked')(partitions)
        if (log.length === 1) await group.join().close()
      },
    })
    put(1)
    const running = a.run(() => hold.opened)
    await drain()
    const b = group.join()
    hold.open()
    await b.ready()
    expect([group.members.map(owned), group.moves, log]).toEqual([[[0], [1]], [], ['a revoked 1']])
    await a.close()
    await running
  })
})

describe('rule 5: no barrier, no order', () => {
  test("two members that wait for each other's partition both move", async () => {
    const plan: Record<string, number[]> = { 'g-0001': [0], 'g-0002': [1] }
    const { group, put } = world({ partitions: 2, assignor: planned(plan) })
    const listener = { onRevoked: () => {} }
    const [a, b] = [group.join(listener), group.join(listener)]
    put(0)
    put(1)
    await Promise.all([a.poll(), b.poll()])
    Object.assign(plan, { 'g-0001': [1], 'g-0002': [0] })
    group.join()
    expect(group.moves).toHaveLength(2)
    const polls = [track(a.poll()), track(b.poll())]
    await drain()
    expect([owned(a), owned(b), group.moves]).toEqual([[1], [0], []])
    expect(polls.map(({ state }) => state)).toEqual(['pending', 'pending'])
  })

  test('a partition moves when its own owner is ready, whatever others do', async () => {
    const plan: Record<string, number[]> = { 'g-0001': [0], 'g-0002': [1] }
    const { group, put } = world({ partitions: 2, assignor: planned(plan) })
    const [a, b] = [group.join(), group.join()]
    put(0)
    put(1)
    await Promise.all([a.poll(), b.poll()])
    Object.assign(plan, { 'g-0001': [1], 'g-0002': [0] })
    group.join()
    await a.poll({ timeoutMs: 0 })
    expect([owned(a), owned(b)]).toEqual([[], [0, 1]])
    await b.poll({ timeoutMs: 0 })
    expect([owned(a), owned(b)]).toEqual([[1], [0]])
  })

  test('a change while a move is pending only changes where it goes', async () => {
    const plan: Record<string, number[]> = { 'g-0001': [0] }
    const { group } = world({ partitions: 1, records: 1, assignor: planned(plan) })
    const log: string[] = []
    const listener = (name: string): object => ({
      onAssigned: say(log, `${name} assigned`),
      onRevoked: say(log, `${name} revoked`),
    })
    const a = group.join(listener('a'))
    await a.poll()
    Object.assign(plan, { 'g-0001': [], 'g-0002': [0] })
    group.join(listener('b'))
    Object.assign(plan, { 'g-0002': [], 'g-0003': [0] })
    const c = group.join(listener('c'))
    expect(group.moves).toMatchObject([{ from: 'g-0001', to: 'g-0003' }])
    void a.poll()
    await c.ready()
    expect(log).toEqual(['a assigned 0', 'b assigned', 'c assigned', 'a revoked 0', 'c assigned 0'])
  })

  test('partitions with the same number of two topics can be apart for a while', async () => {
    const { group, orders } = world({ partitions: 2, topics: ['orders', 'payments'] })
    const a = group.join()
    orders.publish({ value: 'held', partition: 1 })
    await a.poll()
    const b = group.join()
    expect(b.assignment).toEqual([{ topic: 'payments', partition: 1 }])
    await a.poll({ timeoutMs: 0 })
    expect(b.assignment).toHaveLength(2)
  })
})

describe('rule 6: calling off a move', () => {
  test('before onRevoked has started, position, pause and term stay', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(1, 3)
    const log: string[] = []
    const a = group.join({ onAssigned: say(log, 'assigned'), onRevoked: say(log, 'revoked') })
    const records = await a.poll({ maxRecords: 2 })
    a.pause(orders(1))
    const b = group.join()
    expect(group.moves).toHaveLength(1)
    await b.close()
    expect([a.position('orders', 1), a.paused]).toEqual([2, orders(1)])
    expect(await a.poll({ timeoutMs: 0 })).toEqual([])
    await a.commit(records)
    expect(group.committed('orders', 1)).toBe(2)
    a.resume()
    expect(at(await a.poll())).toEqual(['1@2'])
    expect(log).toEqual(['assigned 0,1'])
  })

  test('the term stays also for a handler at work: its context.commit() is accepted', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(1, 1)
    const a = group.join()
    const hold = gate()
    const running = a.run(async (_, { commit, signal }) => {
      await hold.opened
      expect(signal.aborted).toBe(false)
      await commit()
    })
    await drain()
    const b = group.join()
    crash(b)
    hold.open()
    await drain()
    expect(group.committed('orders', 1)).toBe(1)
    await a.close()
    await running
  })

  test('once onRevoked has been called it ends: the old owner gets the partition anew, from committed, not paused', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(1, 3)
    const log: string[] = []
    const hold = gate()
    const a = group.join({
      onAssigned: say(log, 'assigned'),
      onRevoked: partitions => {
        say(log, 'revoked')(partitions)
        return hold.opened
      },
    })
    await a.poll({ maxRecords: 2 })
    await a.commit([next(1, 1)])
    a.pause(orders(1))
    const polling = a.poll()
    await drain()
    const b = group.join()
    await drain()
    expect(log.at(-1)).toBe('revoked 1')
    crash(b)
    await drain()
    expect([owned(a), log.length]).toEqual([[0, 1], 2])
    hold.open()
    expect(at(await polling)).toEqual(['1@1', '1@2'])
    expect([log, a.paused]).toEqual([['assigned 0,1', 'revoked 1', 'assigned 1'], []])
  })
})

describe('rule 7: member ids', () => {
  test('they are deterministic, and sort in the order of joining', () => {
    const { group } = world()
    const ids = Array.from({ length: 12 }, () => group.join().memberId)
    expect([ids[0], ids[1], ids[11]]).toEqual(['g-0001', 'g-0002', 'g-0012'])
    expect([...ids].sort()).toEqual(ids)
  })

  test('one that a user has taken is passed over', () => {
    const { group } = world()
    group.join({ memberId: 'g-0002' })
    expect(group.join().memberId).not.toBe('g-0002')
  })

  test('the id of a live member cannot be joined again', () => {
    const { group } = world()
    group.join({ memberId: 'mine' })
    expect(() => group.join({ memberId: 'mine' })).toThrow(coded('INVALID_CONFIG') as Error)
  })

  test('neither can that of one that is expelled and not closed', () => {
    const { group } = world()
    expel(group.join({ memberId: 'mine' }))
    expect(() => group.join({ memberId: 'mine' })).toThrow(coded('INVALID_CONFIG') as Error)
  })

  test('that of a closed or crashed one can', async () => {
    const { group } = world()
    await group.join({ memberId: 'mine' }).close()
    crash(group.join({ memberId: 'mine' }))
    const expelled = group.join({ memberId: 'mine' })
    expel(expelled)
    await expelled.close()
    expect(group.join({ memberId: 'mine' }).memberId).toBe('mine')
  })
})

describe('rule 8: an assignor that fails', () => {
  const nonsense: Record<string, Assignor['assign']> = {
    'a throw': () => {
      throw new Error('no idea')
    },
    'a partition given twice': members => new Map(members.map(({ memberId }) => [memberId, orders(0)])),
    'an unknown member': () => new Map([['stranger', orders(0)]]),
    'an unknown partition': members => new Map(members.map(({ memberId }, i) => [memberId, orders(i, 99 + i)])),
  }
  /** Fails from the moment it is told to. */
  const failing = (answer: Assignor['assign']): { assignor: Assignor; begin: () => void } => {
    let fails = false
    return {
      assignor: { name: 'failing', assign: (m, t) => (fails ? answer(m, t) : stickyAssignor.assign(m, t)) },
      begin: () => {
        fails = true
      },
    }
  }

  test.each(Object.entries(nonsense))('%s: join() throws it and changes nothing', (_, answer) => {
    const { assignor, begin } = failing(answer)
    const { group } = world({ assignor })
    const a = group.join()
    const events: string[] = []
    for (const event of ['join', 'error', 'rebalance'] as const) group.on(event, () => events.push(event))
    begin()
    expect(() => group.join()).toThrow()
    expect([group.generation, group.members.length, owned(a), events]).toEqual([1, 1, [0, 1, 2, 3], []])
  })

  test('join() throws the very error that the assignor threw', () => {
    const error = new Error('no idea')
    const { group } = world({
      assignor: {
        name: 'failing',
        assign: () => {
          throw error
        },
      },
    })
    let caught: unknown
    try {
      group.join()
    } catch (thrown) {
      caught = thrown
    }
    expect([caught, group.members]).toEqual([error, []])
    expect(caught).toBe(error)
  })

  test.each(Object.entries(nonsense))('%s on a leave is an error event, and range does its work', async (_, answer) => {
    const { assignor, begin } = failing(answer)
    const { group } = world({ assignor })
    const [a, b, c] = [group.join(), group.join(), group.join()]
    const errors: unknown[] = []
    group.on('error', event => errors.push(event))
    begin()
    await c.close()
    expect([owned(a), owned(b)]).toEqual([
      [0, 1],
      [2, 3],
    ])
    expect(errors).toEqual([{ group: 'g', error: expect.any(Error) }])
  })

  test('it is not asked when nobody is left', async () => {
    let asked = 0
    const assign: Assignor['assign'] = (members, topics) => {
      asked++
      if (members.length === 0) throw new Error('nobody')
      return stickyAssignor.assign(members, topics)
    }
    const { group, orders } = world({ assignor: { name: 'for somebody', assign } })
    const errors: unknown[] = []
    group.on('error', ({ error }) => errors.push(error))
    await group.join().close()
    crash(group.join())
    orders.addPartitions(5)
    expect([asked, errors]).toEqual([2, []])
  })

  test('so it is on an expiry and on addPartitions', async () => {
    const error = new Error('no idea')
    const { assignor, begin } = failing(() => {
      throw error
    })
    const { clock, group, orders } = world({ assignor, sessionTimeoutMs: 1_000 })
    const a = group.join()
    await group.join({ instanceId: 'static' }).close()
    const errors: unknown[] = []
    group.on('error', event => errors.push(event.error))
    begin()
    await clock.advance(1_000)
    expect([errors, owned(a)]).toEqual([[error], [0, 1, 2, 3]])
    orders.addPartitions(5)
    expect([errors, owned(a)]).toEqual([
      [error, error],
      [0, 1, 2, 3, 4],
    ])
  })
})

describe('rule 9: who waits for whom', () => {
  test('a move that waits for records in hand says so, and is gone when it is done', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    await a.poll()
    group.join()
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 1, from: 'g-0001', to: 'g-0002', waitingFor: 'records' },
    ])
    await a.poll({ timeoutMs: 0 })
    expect(group.moves).toEqual([])
  })

  test('a move that waits for a callback says so', async () => {
    const { group } = world({ partitions: 2 })
    const hold = gate()
    const a = group.join({ onRevoked: () => hold.opened })
    await a.ready()
    group.join()
    await drain()
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 1, from: 'g-0001', to: 'g-0002', waitingFor: 'callback' },
    ])
    hold.open()
    await drain()
    expect(group.moves).toEqual([])
  })

  test('a move that waits for records of another partition, because of onRevoked, waits for records', async () => {
    const { group, put } = world({ partitions: 2 })
    put(0)
    const a = group.join({ onRevoked: () => {} })
    await a.poll()
    group.join()
    expect(group.moves).toMatchObject([{ partition: 1, waitingFor: 'records' }])
  })

  test('the rebalance event carries the moves', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    await a.poll()
    const told: GroupEvents['rebalance'][] = []
    group.on('rebalance', event => told.push(event))
    group.join()
    await drain()
    expect(told).toEqual([
      {
        group: 'g',
        generation: 2,
        moves: [{ topic: 'orders', partition: 1, from: 'g-0001', to: 'g-0002', waitingFor: 'records' }],
      },
    ])
  })

  test('the partitions of a closing member that nobody follows are on their way to nobody', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    const hold = gate()
    const running = a.run(() => hold.opened)
    await drain()
    const closing = a.close()
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 1, from: 'g-0001', to: undefined, waitingFor: 'records' },
    ])
    hold.open()
    await Promise.all([running, closing])
    expect(group.moves).toEqual([])
  })
})
