import { isMillraceError } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, BusyClock, deferred, drain, failure, manual, owned, setup, setupOn, watch } from './support-b.js'

describe('rule 39: maxPollIntervalMs', () => {
  test('it counts from join(): a member that never polls is expelled', async () => {
    const { clock, group } = setup()
    const consumer = group.join()
    const reasons: string[] = []
    group.on('leave', ({ reason }) => reasons.push(reason))
    await clock.advance(299_999)
    expect([owned(consumer), reasons]).toEqual([[0], []])
    await clock.advance(1)
    expect([owned(consumer), group.members.length, reasons]).toEqual([[], 0, ['expelled']])
  })

  test('it counts from the last coming back', async () => {
    const { clock, group } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    for (let i = 0; i < 5; i++) {
      await clock.advance(999)
      await consumer.poll({ timeoutMs: 0 })
    }
    await clock.advance(999)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('to the millisecond, though its timer is armed lazily', async () => {
    const { clock, group } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    await clock.advance(1)
    await consumer.poll({ timeoutMs: 0 })
    await clock.advance(999)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('it counts from the last step of a loop', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    publish(0, 5)
    const consumer = group.join()
    const loop = consumer[Symbol.asyncIterator]()
    for (let i = 0; i < 3; i++) {
      await loop.next()
      await clock.advance(999)
    }
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('it counts from the rejoining', async () => {
    const { clock, group } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    await clock.advance(1_700)
    expect(owned(consumer)).toEqual([])
    await consumer.poll({ timeoutMs: 0 })
    await clock.advance(999)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('it stands still while a poll is parked, and counts from where that ends', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    const poll = consumer.poll()
    await clock.advance(60_000)
    expect(owned(consumer)).toEqual([0])
    publish(0, 1)
    await poll
    await clock.advance(999)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('the time that a poll was parked does not count, however short', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    const poll = consumer.poll()
    await clock.advance(500)
    publish(0, 1)
    await poll
    await clock.advance(999)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('it stands still while a step of a loop is parked', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    const step = consumer[Symbol.asyncIterator]().next()
    await clock.advance(60_000)
    expect(owned(consumer)).toEqual([0])
    publish(0, 1)
    expect((await step).value?.offset).toBe(0)
  })

  test('a record in hand does not stand still', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    publish(0, 1)
    const consumer = group.join()
    for await (const _record of consumer) {
      await clock.advance(1_000)
      break
    }
    expect(owned(consumer)).toEqual([])
  })

  test('an idle run() stands still', async () => {
    const { clock, group } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    void consumer.run(() => {})
    await clock.advance(60_000)
    expect(owned(consumer)).toEqual([0])
  })

  test('in run() it counts from the start of the attempt, not from the last record', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    const gate = deferred()
    void consumer.run(() => gate.promise)
    await clock.advance(700)
    publish(0, 1)
    await clock.advance(999)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
  })

  test('in run() it counts from the oldest attempt at work', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    const consumer = group.join()
    const gates = [deferred(), deferred(), deferred()]
    const run = consumer.run(record => gates[record.offset]!.promise, { concurrency: 3 })
    publish(0, 1)
    await clock.advance(400)
    publish(0, 1)
    await clock.advance(400)
    publish(0, 1)
    gates[0]!.resolve()
    await clock.advance(599)
    expect(owned(consumer)).toEqual([0])
    await clock.advance(1)
    expect(owned(consumer)).toEqual([])
    crash(consumer)
    expect(await run).toBeUndefined()
  })

  test('handlers that end in time never add up', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    publish(0, 10)
    const consumer = group.join()
    const seen: number[] = []
    void consumer.run(async record => {
      const gate = deferred()
      clock.setTimeout(gate.resolve, 900)
      await gate.promise
      seen.push(record.offset)
    })
    await clock.advance(9_000)
    expect([owned(consumer), seen.length]).toEqual([[0], 10])
  })

  test('while every unfinished record waits for its retry, it stands still', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 1_000 })
    publish(0, 1)
    const consumer = group.join()
    let attempts = 0
    void consumer.run(
      () => {
        if (++attempts === 1) throw new Error('not yet')
      },
      { retry: { attempts: 2, backoffMs: 60_000 } },
    )
    await clock.advance(59_999)
    expect([owned(consumer), attempts]).toEqual([[0], 1])
    await clock.advance(1)
    expect([owned(consumer), attempts]).toEqual([[0], 2])
  })

  test('a consumer has one timer, however often it comes back', async () => {
    const { clock, group, publish } = setup(manual)
    publish(0, 20)
    const consumer = group.join()
    const timers: number[] = []
    for (let i = 0; i < 10; i++) {
      await consumer.poll({ maxRecords: 2 })
      await clock.advance(1)
      timers.push(clock.timers)
    }
    expect(timers).toEqual(Array(10).fill(1))
  })

  test('its timer is cleared at close() and at crash()', async () => {
    const { clock, group } = setup(manual, 2)
    const first = group.join()
    const second = group.join()
    await first.poll({ timeoutMs: 0 })
    expect(clock.timers).toBe(2)
    await first.close()
    expect(clock.timers).toBe(1)
    crash(second)
    expect(clock.timers).toBe(0)
  })

  test('in run() it counts for a handler that hangs after a long time with nothing to do', async () => {
    const { clock, group, publish } = setup({ ...manual, maxPollIntervalMs: 1_000 })
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const consumer = group.join()
    void consumer.run(() => new Promise(() => {}))
    await clock.advance(5_000)
    publish(0, 1)
    await clock.advance(999)
    expect(left).toEqual([])
    await clock.advance(1)
    expect(left).toEqual(['expelled'])
    crash(consumer)
  })

  test.each([
    ['thrown', () => Promise.reject(new Error('no'))],
    [
      'thrown at once',
      () => {
        throw new Error('no')
      },
    ],
  ])('in run() it counts for a dead letter that does not arrive, of a handler that has %s', async (_, handler) => {
    const { clock, group, publish } = setup({ ...manual, maxPollIntervalMs: 1_000 })
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    publish(0, 1)
    const consumer = group.join()
    await clock.advance(500)
    void consumer.run(handler, { deadLetter: { name: 'dead', publish: () => new Promise(() => {}) } })
    await clock.advance(999)
    expect(left).toEqual([])
    await clock.advance(1)
    expect(left).toEqual(['expelled'])
    crash(consumer)
  })

  test('its timer is unref-ed: it keeps no process alive', async () => {
    const { clock, group } = setupOn(new BusyClock(), manual)
    const consumer = group.join()
    await consumer.poll({ timeoutMs: 0 })
    expect([...clock.timers].map(timer => clock.unrefs.has(timer))).toEqual([true])
  })

  test('who comes back late, but before the timer had a chance, is not expelled', async () => {
    const { clock, group, publish } = setupOn(new BusyClock(), { ...manual, maxPollIntervalMs: 1_000 })
    publish(0, 2)
    const consumer = group.join()
    const first = await consumer.poll({ maxRecords: 1 })
    clock.time = 60_000
    expect(at(await consumer.poll({ maxRecords: 1 }))).toEqual(['0:1'])
    clock.fire()
    await drain()
    expect(owned(consumer)).toEqual([0])
    expect(await failure(() => consumer.commit(first))).toBe('it did not fail')
  })
})

describe('rule 40: an expulsion', () => {
  test('the partitions go to their targets at once, though records are held and there is an onRevoked', async () => {
    const { group, publish } = setup({}, 2)
    publish(0, 1)
    publish(1, 1)
    const hung = deferred()
    const calls: string[] = []
    const onRevoked = (): Promise<void> => {
      calls.push('revoked')
      return hung.promise
    }
    const consumer = group.join({ onRevoked, onLost: () => {} })
    await consumer.poll()
    const other = group.join()
    expect(owned(other)).toEqual([])
    expel(consumer)
    expect([owned(consumer), owned(other), calls]).toEqual([[], [0, 1], []])
  })

  test('an expelled member is no member, and the generation goes up', async () => {
    const { group } = setup()
    const consumer = group.join()
    const before = group.generation
    expel(consumer)
    expect([group.members.length, group.generation]).toEqual([0, before + 1])
  })

  test('the partitions of a static member go to nobody', async () => {
    const { group, publish } = setup({}, 2)
    publish(0, 1)
    publish(1, 1)
    const consumer = group.join({ instanceId: 'worker-1' })
    const other = group.join()
    const [mine, others] = [owned(consumer), owned(other)]
    expect([mine.length, others.length]).toEqual([1, 1])
    expel(consumer)
    await drain()
    expect(owned(other)).toEqual(others)
    expect(at(await consumer.poll())).toEqual([`${mine[0]}:0`])
  })

  test('the signal of its handlers aborts, with a MillraceError as the reason', async () => {
    const { group, publish } = setup()
    publish(0, 1)
    const signals: AbortSignal[] = []
    const consumer = group.join()
    const gate = deferred()
    void consumer.run((_record, context) => {
      signals.push(context.signal)
      return gate.promise
    })
    await drain()
    expect(signals.map(signal => signal.aborted)).toEqual([false])
    expel(consumer)
    expect(signals.map(signal => signal.aborted)).toEqual([true])
    expect(isMillraceError(signals[0]!.reason)).toBe(true)
  })

  test('a pending ready() rejects UNKNOWN_MEMBER_ID', async () => {
    const { group, publish } = setup({}, 2)
    publish(0, 1)
    publish(1, 1)
    const holder = group.join()
    await holder.poll()
    const consumer = group.join()
    const ready = watch(consumer.ready())
    await drain()
    expect(ready.state).toBe('pending')
    expel(consumer)
    await drain()
    expect([ready.state, isMillraceError(ready.error, 'UNKNOWN_MEMBER_ID')]).toEqual(['rejected', true])
  })

  test('commit() rejects UNKNOWN_MEMBER_ID until it has rejoined', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 2)
    const consumer = group.join()
    await consumer.poll()
    expel(consumer)
    expect(await failure(() => consumer.commit())).toBe('UNKNOWN_MEMBER_ID')
    expect(committed()).toBeUndefined()
    const again = await consumer.poll()
    await consumer.commit(again)
    expect(committed()).toBe(2)
  })

  test('the next poll() rejoins with the same memberId', async () => {
    const { clock, group } = setup()
    const consumer = group.join()
    const { memberId } = consumer
    const joins: string[] = []
    group.on('join', event => joins.push(event.memberId))
    expel(consumer)
    await clock.advance(60_000)
    expect([joins, group.members.length]).toEqual([[], 0])
    await consumer.poll({ timeoutMs: 0 })
    expect([consumer.memberId, joins]).toEqual([memberId, [memberId]])
    expect(group.members).toMatchObject([{ memberId, assignment: [{ topic: 'orders', partition: 0 }] }])
  })

  test('the next step of a loop rejoins with the same memberId', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const consumer = group.join()
    const { memberId } = consumer
    const loop = consumer[Symbol.asyncIterator]()
    await loop.next()
    expel(consumer)
    expect((await loop.next()).value?.offset).toBe(0)
    expect(group.members.map(member => member.memberId)).toEqual([memberId])
  })

  test('onLost, the rejoining and onAssigned come in this order, and onRevoked does not come', async () => {
    const { group } = setup()
    const log: string[] = []
    const consumer = group.join({
      onAssigned: () => void log.push(`assigned, ${group.members.length} members`),
      onRevoked: () => void log.push('revoked'),
      onLost: (partitions, self) =>
        void log.push(`lost ${partitions.length}, owns ${self.assignment.length}, ${group.members.length} members`),
    })
    await consumer.ready()
    expel(consumer)
    await drain()
    expect(log).toEqual(['assigned, 1 members'])
    await consumer.poll({ timeoutMs: 0 })
    expect(log.slice(1)).toEqual(['lost 1, owns 0, 0 members', 'assigned, 1 members'])
  })

  test('run() rejoins by itself, but only after all its handlers have settled', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const consumer = group.join()
    const gates = [deferred(), deferred()]
    const seen: number[] = []
    void consumer.run(
      record => {
        seen.push(record.offset)
        return gates[record.offset]!.promise
      },
      { concurrency: 2 },
    )
    await drain()
    expel(consumer)
    await drain()
    expect(group.members.length).toBe(0)
    gates[1]!.resolve()
    await drain()
    expect([group.members.length, seen]).toEqual([0, [0, 1]])
    gates[0]!.resolve()
    await drain()
    expect([group.members.length, owned(consumer), seen]).toEqual([1, [0], [0, 1, 0, 1]])
  })

  test('an idle run() that is expelled rejoins by itself', async () => {
    const { group, publish } = setup()
    const consumer = group.join()
    const seen: number[] = []
    void consumer.run(record => void seen.push(record.offset))
    await drain()
    expel(consumer)
    await drain()
    publish(0, 1)
    await drain()
    expect([group.members.length, seen]).toEqual([1, [0]])
  })

  test('a poll and a close() that come upon the same loss call onLost once', async () => {
    const { group } = setup()
    const log: string[] = []
    const gate = deferred()
    const consumer = group.join({
      onLost: partitions => {
        log.push(`lost ${partitions.length}`)
        return gate.promise
      },
      onRevoked: () => void log.push('revoked'),
    })
    await consumer.ready()
    expel(consumer)
    const poll = consumer.poll()
    await drain()
    const closing = consumer.close()
    await drain()
    gate.resolve()
    await closing
    expect([await poll, log]).toEqual([[], ['lost 1']])
  })

  test('after the rejoining it reads on from what is committed', async () => {
    const { group, publish } = setup(manual)
    publish(0, 5)
    const consumer = group.join()
    const records = await consumer.poll()
    await consumer.commit(records.slice(0, 3))
    expel(consumer)
    expect(at(await consumer.poll())).toEqual(['0:3', '0:4'])
  })
})

describe('rule 41: records returned before a partition was lost are just data', () => {
  test('they are read again by the next owner, and only the commit of the old one is refused', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 2)
    const consumer = group.join({ memberId: 'm2' })
    const records = await consumer.poll()
    expel(consumer)
    const heir = group.join({ memberId: 'm1' })
    expect([at(records), at(await heir.poll())]).toEqual([
      ['0:0', '0:1'],
      ['0:0', '0:1'],
    ])
    expect(records.map(record => record.value)).toEqual([0, 1])
    expect(await failure(() => consumer.commit(records))).toBe('UNKNOWN_MEMBER_ID')
    await consumer.poll({ timeoutMs: 0 })
    expect(await failure(() => consumer.commit(records))).toBe('ILLEGAL_GENERATION')
    expect(committed()).toBeUndefined()
  })

  test('commit() with nothing does not fail because of a partition that moved', async () => {
    const { group, publish, committed } = setup(manual, 2)
    publish(0, 2)
    publish(1, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    const other = group.join()
    expect([owned(consumer), owned(other)]).toEqual([[0], [1]])
    await consumer.commit()
    expect([committed(0), committed(1)]).toEqual([2, undefined])
  })

  test('nor when all its partitions moved', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 2)
    const consumer = group.join({ memberId: 'm2' })
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    group.join({ memberId: 'm1' })
    expect(owned(consumer)).toEqual([])
    expect(await failure(() => consumer.commit())).toBe('it did not fail')
    expect(committed()).toBeUndefined()
  })
})
