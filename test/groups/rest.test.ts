import { Broker, type Clock } from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, expectCode, fill, gate, watch, where, world } from './support-c.js'

describe('rule 55: ready()', () => {
  test('resolves when the first onAssigned has settled, not before', async () => {
    const { group, drain } = world()
    const end = gate()
    const consumer = group.join({ onAssigned: () => end.promise })
    const ready = watch(consumer.ready())
    await drain()
    expect([ready.state, where(consumer.assignment)]).toEqual(['pending', ['orders-0']])
    end.open()
    await drain()
    expect(ready.state).toBe('resolved')
  })

  test('resolves for a surplus member, once its onAssigned has settled', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const a = group.join()
    await a.poll()
    const assigned: string[][] = []
    const b = group.join({ onAssigned: list => void assigned.push(where(list)) })
    const ready = watch(b.ready())
    await drain()
    expect([ready.state, assigned, b.assignment]).toEqual(['resolved', [[]], []])
  })

  test('waits for as long as somebody holds its partition, and group.moves says why', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 1)
    const a = group.join()
    await a.poll()
    const b = group.join()
    const ready = watch(b.ready())
    await drain()
    expect(ready.state).toBe('pending')
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 1, from: a.memberId, to: b.memberId, waitingFor: 'records' },
    ])
    await a.poll({ timeoutMs: 0 })
    await drain()
    expect([ready.state, where(b.assignment), group.moves]).toEqual(['resolved', ['orders-1'], []])
  })

  test('waits for the onRevoked of the old owner, and group.moves says why', async () => {
    const { group, drain } = world({ partitions: 2 })
    const end = gate()
    const a = group.join({ onRevoked: () => end.promise })
    await drain()
    const b = group.join()
    const ready = watch(b.ready())
    await drain()
    expect(ready.state).toBe('pending')
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 1, from: a.memberId, to: b.memberId, waitingFor: 'callback' },
    ])
    end.open()
    await drain()
    expect(ready.state).toBe('resolved')
  })

  test('waits for its own partitions to be gone that are to move', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 1)
    const a = group.join()
    await a.poll()
    group.join()
    const ready = watch(a.ready())
    await drain()
    expect(ready.state).toBe('pending')
    await a.poll({ timeoutMs: 0 })
    await drain()
    expect([ready.state, where(a.assignment)]).toEqual(['resolved', ['orders-0']])
  })

  test('follows later targets', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    const a = group.join()
    const b = group.join()
    const c = group.join()
    await drain()
    const end = gate()
    void a.run(() => end.promise)
    await drain()
    // b is to have both of its neighbours' shares in turn: first that of c, then that of a, which is held.
    c.close().catch(() => {})
    a.close().catch(() => {})
    const ready = watch(b.ready())
    await drain()
    expect([ready.state, where(b.assignment)]).toEqual(['pending', ['orders-1']])
    end.open()
    await drain()
    expect([ready.state, where(b.assignment)]).toEqual(['resolved', ['orders-0', 'orders-1']])
  })

  test('resolves when it is to own nothing after all', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const holder = group.join({ memberId: 'c' })
    await holder.poll()
    const heir = group.join({ memberId: 'b' })
    const ready = watch(heir.ready())
    await drain()
    expect([ready.state, group.moves[0]?.to]).toEqual(['pending', 'b'])
    group.join({ memberId: 'a' })
    await drain()
    expect([ready.state, group.moves[0]?.to]).toEqual(['resolved', 'a'])
  })

  test('resolves again and again while nothing changes', async () => {
    const { group } = world()
    const consumer = group.join()
    await consumer.ready()
    await consumer.ready()
    expect(where(consumer.assignment)).toEqual(['orders-0'])
  })

  test('rejects with CLOSED if the consumer closes before', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    await group.join({ memberId: 'z' }).poll()
    const b = group.join({ memberId: 'a' })
    const ready = watch(b.ready())
    await drain()
    expect(ready.state).toBe('pending')
    await b.close()
    await drain()
    expectCode(ready.error, 'CLOSED', 'a')
  })

  test('rejects with CLOSED if the consumer crashes before', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    await group.join({ memberId: 'z' }).poll()
    const b = group.join({ memberId: 'a' })
    const ready = watch(b.ready())
    crash(b)
    await drain()
    expectCode(ready.error, 'CLOSED', 'a')
  })

  test('rejects with UNKNOWN_MEMBER_ID if the consumer is expelled before, and after', async () => {
    const { group, drain } = world()
    const consumer = group.join({ onAssigned: () => gate().promise })
    const ready = watch(consumer.ready())
    await drain()
    expel(consumer)
    await drain()
    expectCode(ready.error, 'UNKNOWN_MEMBER_ID', consumer.memberId)
    const after = watch(consumer.ready())
    await drain()
    expectCode(after.error, 'UNKNOWN_MEMBER_ID', consumer.memberId)
  })
})

describe('rule 56: caughtUp()', () => {
  test('resolves when all that was published before the call is finished, whatever is published later', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const gates = [gate(), gate(), gate()]
    void group.join().run(record => gates[record.offset]!.promise)
    const caughtUp = watch(group.caughtUp())
    fill(orders, 0, 1)
    gates[0]!.open()
    await drain()
    expect(caughtUp.state).toBe('pending')
    gates[1]!.open()
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('resolves at once where there is nothing', async () => {
    const { group, drain } = world()
    group.join()
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('waits for all partitions, of all members', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    const end = gate()
    void group.join().run(() => {})
    void group.join().run(() => end.promise)
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    end.open()
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('what poll() handed out is finished when it comes back, not before', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    await consumer.poll({ timeoutMs: 0 })
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('in manualCommit mode waits for the commit', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    await consumer.commit()
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('a seek forward counts as finished', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 5)
    const consumer = group.join()
    await consumer.ready()
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    consumer.seek('orders', 0, 5)
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('a paused partition does not count as finished', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    consumer.pause()
    void consumer.run(() => {})
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    consumer.resume()
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('a record that waits for its retry does not count as finished', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 1)
    void group.join().run(
      (_, { attempt }) => {
        if (attempt === 1) throw new Error('no')
      },
      { retry: { attempts: 2, backoffMs: 1_000 } },
    )
    const caughtUp = watch(group.caughtUp())
    await clock.advance(999)
    expect(caughtUp.state).toBe('pending')
    await clock.advance(1)
    expect(caughtUp.state).toBe('resolved')
  })

  test.each(['autoCommit', 'manualCommit'] as const)(
    'in %s mode what compaction has taken from the end is not waited for',
    async commitMode => {
      const { orders, broker, group, clock, drain } = world({
        commitMode,
        topic: { cleanupPolicy: 'compact', segmentRecords: 2 },
      })
      fill(orders, 0, 2)
      for (const key of ['gone', 'too']) orders.publish({ key, value: null as never })
      orders.compact()
      // Kafka: delete.retention.ms, 24 hours.
      await clock.advance(24 * 60 * 60 * 1_000)
      orders.compact()
      expect([orders.partitions[0]!.read(0).length, orders.partitions[0]!.endOffset]).toEqual([2, 4])
      const consumer = group.join()
      const caughtUp = watch(group.caughtUp())
      void consumer.run((_, { commit }) => commit())
      await drain()
      const settled = watch(broker.settled())
      await drain()
      expect([caughtUp.state, settled.state]).toEqual(['resolved', 'resolved'])
      crash(consumer)
      expect(group.committed('orders', 0)).toBe(2)
      const again = watch(group.caughtUp())
      await drain()
      expect(again.state).toBe('resolved')
    },
  )

  test('in autoCommit mode does not imply committed', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 3)
    void group.join().run(() => {})
    await group.caughtUp()
    expect([group.committed('orders', 0) ?? 0, group.lag()]).toEqual([0, 3])
    await clock.advance(5_000)
    expect([group.committed('orders', 0), group.lag()]).toEqual([3, 0])
  })

  test('commits nothing by itself', async () => {
    const { orders, group } = world({ autoCommitIntervalMs: 60_000 })
    fill(orders, 0, 1)
    const commits: unknown[] = []
    group.on('commit', event => commits.push(event))
    void group.join().run(() => {})
    await group.caughtUp()
    expect(commits).toEqual([])
  })

  test('does not wait for a topic that is deleted meanwhile', async () => {
    const { broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    broker.topic('orders').publish({ value: 'x' })
    group.join()
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    broker.deleteTopic('orders')
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('does not wait for records of an old topic in a new one of its name', async () => {
    const { broker, orders, group, drain } = world()
    fill(orders, 0, 3)
    group.join()
    const caughtUp = watch(group.caughtUp())
    broker.deleteTopic('orders')
    broker.createTopic('orders')
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('of a group says nothing about other groups', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    void broker
      .group('slow', { topics: 'orders' })
      .join()
      .run(() => gate().promise)
    void group.join().run(() => {})
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })
})

describe('rule 57: caughtUp() with nobody to do it', () => {
  test('without a member rejects with CLOSED', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const caughtUp = watch(group.caughtUp())
    await drain()
    expectCode(caughtUp.error, 'CLOSED', 'g')
  })

  test('without a member resolves if nothing is outstanding', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.close()
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('resolved')
  })

  test('rejects with CLOSED when the last member leaves meanwhile', async () => {
    const { orders, group, drain } = world()
    const consumer = group.join()
    fill(orders, 0, 1)
    const caughtUp = watch(group.caughtUp())
    await drain()
    expect(caughtUp.state).toBe('pending')
    await consumer.close()
    await drain()
    expectCode(caughtUp.error, 'CLOSED', 'g')
  })

  test('rejects with CLOSED when the only member is expelled', async () => {
    const { orders, group, drain } = world()
    const consumer = group.join()
    fill(orders, 0, 1)
    const caughtUp = watch(group.caughtUp())
    expel(consumer)
    await drain()
    expectCode(caughtUp.error, 'CLOSED', 'g')
  })

  test('rejects with CLOSED for a topic that none of the members reads', async () => {
    const { broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    broker.topic('audit').publish({ value: 'x' })
    void group.join({ topics: ['orders'] }).run(() => {})
    const caughtUp = watch(group.caughtUp())
    await drain()
    expectCode(caughtUp.error, 'CLOSED', 'both')
  })

  test('rejects with CLOSED for partitions of a seat', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    const one = group.join({ instanceId: 'one' })
    void group.join({ instanceId: 'two' }).run(() => {})
    await drain()
    await one.close()
    fill(orders, 0, 1)
    const caughtUp = watch(group.caughtUp())
    await drain()
    expectCode(caughtUp.error, 'CLOSED', 'g')
  })

  test('settled() ignores what is outstanding there', async () => {
    const { orders, group, broker, drain } = world({ partitions: 2 })
    const both = broker.group('both', { topics: ['orders', 'audit'] })
    void both.join({ topics: ['orders'] }).run(() => {})
    broker.group('nobody', { topics: 'orders' })
    const one = group.join({ instanceId: 'one' })
    void group.join({ instanceId: 'two' }).run(() => {})
    await drain()
    await one.close()
    fill(orders, 0, 1)
    broker.topic('audit').publish({ value: 'x' })
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('resolved')
  })
})

describe('rule 58: settled()', () => {
  test('resolves at once where nothing is to be done', async () => {
    const { broker, drain } = world()
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('resolved')
  })

  test('waits for what a handler of one group publishes for another', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    const [first, second] = [gate(), gate()]
    const seen: string[] = []
    void group.join().run(async () => {
      await first.promise
      broker.topic('audit').publish({ value: 'done' })
    })
    void broker
      .group('auditors', { topics: 'audit' })
      .join()
      .run(async record => {
        await second.promise
        seen.push(record.value)
      })
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    first.open()
    await drain()
    expect(settled.state).toBe('pending')
    second.open()
    await drain()
    expect([settled.state, seen]).toEqual(['resolved', ['done']])
  })

  test('goes by the current end, not that of the call', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    const gates = [gate(), gate()]
    void group.join().run(record => gates[record.offset]!.promise)
    const settled = watch(broker.settled())
    await drain()
    fill(orders, 0, 1)
    gates[0]!.open()
    await drain()
    expect(settled.state).toBe('pending')
    gates[1]!.open()
    await drain()
    expect(settled.state).toBe('resolved')
  })

  test('waits for callbacks', async () => {
    const { group, broker, drain } = world()
    const end = gate()
    group.join({ onAssigned: () => end.promise })
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    end.open()
    await drain()
    expect(settled.state).toBe('resolved')
  })

  test('waits for partitions on the move', async () => {
    const { group, broker, drain } = world({ partitions: 2 })
    const end = gate()
    group.join({ onRevoked: () => end.promise })
    await drain()
    const b = group.join()
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    end.open()
    await drain()
    expect([settled.state, where(b.assignment)]).toEqual(['resolved', ['orders-1']])
  })

  test('waits for what is held', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    await consumer.poll()
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    const poll = watch(consumer.poll())
    await drain()
    expect([settled.state, poll.state]).toEqual(['resolved', 'pending'])
  })

  test('waits for a close that waits', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    const end = gate()
    const consumer = group.join()
    void consumer.run(() => end.promise)
    await drain()
    const close = watch(consumer.close())
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    end.open()
    await drain()
    expect([settled.state, close.state]).toEqual(['resolved', 'resolved'])
  })

  test('in manualCommit mode waits for the commit', async () => {
    const { orders, group, broker, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 1)
    const consumer = group.join()
    await consumer.poll()
    void consumer.poll()
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    await consumer.commit()
    await drain()
    expect(settled.state).toBe('resolved')
  })

  test('does not wait for an auto-commit that is parked', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 3)
    void group.join().run(() => {})
    const settled = watch(broker.settled())
    await drain()
    expect([settled.state, group.lag()]).toEqual(['resolved', 3])
  })

  test('does not wait for a tail', async () => {
    const { orders, broker, drain } = world()
    fill(orders, 0, 1)
    const tail = orders.read()[Symbol.asyncIterator]()
    expect((await tail.next()).value).toMatchObject({ offset: 0 })
    const step = watch(tail.next())
    const settled = watch(broker.settled())
    await drain()
    expect([settled.state, step.state]).toEqual(['resolved', 'pending'])
    await tail.return?.()
  })

  test('waits for a partition that is paused', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    consumer.pause()
    void consumer.run(() => {})
    const settled = watch(broker.settled())
    await drain()
    expect(settled.state).toBe('pending')
    consumer.resume()
    await drain()
    expect(settled.state).toBe('resolved')
  })

  test.each([1, 2])(
    'on a manual clock does not wait for the time of a retry, with concurrency %i',
    async concurrency => {
      const { orders, group, broker, drain, clock } = world()
      fill(orders, 0, 1)
      const seen: number[] = []
      void group.join().run(
        (_, { attempt }) => {
          seen.push(attempt)
          if (attempt === 1) throw new Error('no')
        },
        { concurrency, retry: { attempts: 2, backoffMs: 1_000 } },
      )
      const settled = watch(broker.settled())
      await drain()
      expect([settled.state, seen]).toEqual(['resolved', [1]])
      await clock.advance(1_000)
      expect(seen).toEqual([1, 2])
    },
  )

  test('nor for that of a record that its handler had committed before it failed', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    void group.join().run(
      async (_, { attempt, commit }) => {
        await commit()
        if (attempt === 1) throw new Error('no')
      },
      { retry: { attempts: 2, backoffMs: 1_000 } },
    )
    const settled = watch(broker.settled())
    await drain()
    expect([settled.state, group.committed('orders', 0)]).toEqual(['resolved', 1])
  })

  test('on a clock that moves by itself waits for the time of a retry', async () => {
    const hands = new ManualClock()
    const clock: Clock = {
      now: () => hands.now(),
      setTimeout: (fn, ms) => hands.setTimeout(fn, ms),
      clearTimeout: handle => hands.clearTimeout(handle),
    }
    const broker = new Broker<{ orders: string }>({ clock, topics: { orders: {} } })
    broker.topic('orders').publish({ value: 'x' })
    void broker
      .group('g', { topics: 'orders' })
      .join()
      .run(
        (_, { attempt }) => {
          if (attempt === 1) throw new Error('no')
        },
        { retry: { attempts: 2, backoffMs: 1_000 } },
      )
    const settled = watch(broker.settled())
    await hands.advance(999)
    expect(settled.state).toBe('pending')
    await hands.advance(1)
    expect(settled.state).toBe('resolved')
  })

  test('resolves for all who wait', async () => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    const end = gate()
    const seen: string[] = []
    void group.join().run(async record => {
      await end.promise
      seen.push(at(record))
    })
    const waiting = [watch(broker.settled()), watch(broker.settled())]
    await drain()
    end.open()
    await drain()
    expect([waiting.map(({ state }) => state), seen]).toEqual([['resolved', 'resolved'], ['0:0']])
  })
})
