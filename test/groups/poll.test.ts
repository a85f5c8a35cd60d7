import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, BusyClock, deferred, drain, failure, manual, owned, setup, setupOn, watch } from './support-b.js'

describe('rule 36: the order of things inside poll()', () => {
  test('a closed consumer is CLOSED', async () => {
    const { group } = setup()
    const consumer = group.join()
    await consumer.close()
    expect(await failure(() => consumer.poll())).toBe('CLOSED')
  })

  test('a crashed consumer is CLOSED', async () => {
    const { group } = setup()
    const consumer = group.join()
    crash(consumer)
    expect(await failure(() => consumer.poll({ timeoutMs: 0 }))).toBe('CLOSED')
  })

  test('a consumer that is still closing is CLOSED', async () => {
    const { group } = setup()
    const gate = deferred()
    const consumer = group.join({ onRevoked: () => gate.promise })
    await consumer.ready()
    const closing = consumer.close()
    await drain()
    expect(await failure(() => consumer.poll())).toBe('CLOSED')
    gate.resolve()
    await closing
  })

  test('a poll that overlaps another is CONCURRENT_POLL, and the other goes on', async () => {
    const { group, publish } = setup()
    const consumer = group.join()
    const first = consumer.poll()
    expect(await failure(() => consumer.poll())).toBe('CONCURRENT_POLL')
    expect(await failure(() => consumer.poll({ timeoutMs: 0 }))).toBe('CONCURRENT_POLL')
    publish(0, 1)
    expect(at(await first)).toEqual(['0:0'])
  })

  test('a poll beside run() is CONCURRENT_POLL', async () => {
    const { group } = setup()
    const consumer = group.join()
    void consumer.run(() => {})
    expect(await failure(() => consumer.poll())).toBe('CONCURRENT_POLL')
  })

  test('the auto-commit comes before a stored callback error is told', async () => {
    const { clock, group, publish, committed } = setup({}, 2)
    publish(0, 2)
    const failed = new Error('of onAssigned')
    let calls = 0
    const consumer = group.join({
      onAssigned: () => {
        if (++calls === 2) throw failed
      },
    })
    const other = group.join()
    await consumer.poll()
    await clock.advance(5_000)
    crash(other)
    expect(await failure(() => consumer.poll())).toBe(failed)
    expect(committed(0)).toBe(2)
  })

  test('an expelled consumer calls onLost, rejoins, calls onAssigned, and only then hands out', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const log: string[] = []
    group.on('join', () => log.push('join'))
    const consumer = group.join({
      onAssigned: partitions => void log.push(`assigned ${partitions.length}`),
      onLost: partitions => void log.push(`lost ${partitions.length}`),
    })
    log.push(`records ${at(await consumer.poll()).join(' ')}`)
    expel(consumer)
    log.push(`records ${at(await consumer.poll()).join(' ')}`)
    const round = ['join', 'assigned 1', 'records 0:0 0:1']
    expect(log).toEqual([...round, 'lost 1', ...round])
  })

  test('what is to move is given up before anything is collected, though it has records waiting', async () => {
    const { group, publish } = setup({}, 2)
    publish(0, 4)
    publish(1, 4)
    const consumer = group.join()
    expect(at(await consumer.poll({ maxRecords: 6 }))).toEqual(['0:0', '0:1', '0:2', '0:3', '1:0', '1:1'])
    const other = group.join()
    expect(owned(other)).toEqual([])
    publish(0, 1)
    expect(at(await consumer.poll())).toEqual(['0:4'])
    expect([owned(consumer), owned(other)]).toEqual([[0], [1]])
    expect(at(await other.poll())).toEqual(['1:2', '1:3'])
  })

  test('onAssigned is over before anything is collected: a seek in it counts from the first record', async () => {
    const { group, publish } = setup()
    publish(0, 5)
    const consumer = group.join({
      onAssigned: async (_partitions, self) => {
        await drain()
        self.seek('orders', 0, 3)
      },
    })
    expect(at(await consumer.poll())).toEqual(['0:3', '0:4'])
  })

  test('a stored callback error rejects before anything is collected; the next poll gets it all', async () => {
    const { group, publish } = setup()
    publish(0, 3)
    const failed = new Error('of onAssigned')
    const consumer = group.join({ onAssigned: () => Promise.reject(failed) })
    expect(await failure(() => consumer.poll())).toBe(failed)
    expect(at(await consumer.poll())).toEqual(['0:0', '0:1', '0:2'])
  })

  test('records that are there are handed out at timeoutMs 0', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    expect(at(await group.join().poll({ timeoutMs: 0 }))).toEqual(['0:0', '0:1'])
  })

  test('without records it resolves [] at timeoutMs 0, though no time passes', async () => {
    const { group } = setup()
    expect(await group.join().poll({ timeoutMs: 0 })).toEqual([])
  })

  test('it resolves [] when timeoutMs are over, and not before', async () => {
    const { clock, group } = setup()
    const poll = watch(group.join().poll({ timeoutMs: 100 }))
    await clock.advance(99)
    expect(poll.state).toBe('pending')
    await clock.advance(1)
    expect([poll.state, poll.value]).toEqual(['resolved', []])
  })

  test('without a timeout it waits for ever', async () => {
    const { clock, group } = setup()
    const poll = watch(group.join().poll())
    await clock.advance(30 * 86_400_000)
    expect(poll.state).toBe('pending')
  })

  test('a poll that found records leaves no timer of its timeout', async () => {
    const { clock, group, publish } = setup(manual)
    const consumer = group.join()
    await consumer.poll({ timeoutMs: 0 })
    const before = clock.timers
    const poll = consumer.poll({ timeoutMs: 1_000 })
    publish(0, 1)
    await poll
    expect(clock.timers).toBe(before)
  })

  test('the timer of its timeout is not unref-ed: who waits for it keeps the process alive', async () => {
    const { clock, group } = setupOn(new BusyClock(), manual)
    const consumer = group.join()
    await consumer.poll({ timeoutMs: 0 })
    const before = new Set(clock.timers)
    void consumer.poll({ timeoutMs: 1_000 })
    await drain()
    const made = [...clock.timers].filter(timer => !before.has(timer))
    expect(made.map(timer => [timer.due, clock.unrefs.has(timer)])).toEqual([[1_000, false]])
  })

  test('the timeout does not bound the wait for a callback', async () => {
    const { clock, group } = setup()
    const gate = deferred()
    const consumer = group.join({ onAssigned: () => gate.promise })
    const poll = watch(consumer.poll({ timeoutMs: 10 }))
    await clock.advance(1_000)
    expect(poll.state).toBe('pending')
    gate.resolve()
    await drain()
    expect([poll.state, poll.value]).toEqual(['resolved', []])
  })

  test('when the callback is over, what there is is handed out, also when the time is over', async () => {
    const { clock, group, publish } = setup()
    publish(0, 1)
    const gate = deferred()
    const consumer = group.join({ onAssigned: () => gate.promise })
    const poll = watch(consumer.poll({ timeoutMs: 0 }))
    await clock.advance(1_000)
    expect(poll.state).toBe('pending')
    gate.resolve()
    await drain()
    expect(at(poll.value ?? [])).toEqual(['0:0'])
  })

  test('a parked poll of a consumer that is expelled goes on as one that has rejoined', async () => {
    const { group, publish } = setup()
    const log: string[] = []
    const consumer = group.join({
      onAssigned: () => void log.push('assigned'),
      onLost: () => void log.push('lost'),
    })
    const poll = consumer.poll()
    await drain()
    expel(consumer)
    await drain()
    publish(0, 1)
    expect(at(await poll)).toEqual(['0:0'])
    expect([log, owned(consumer)]).toEqual([['assigned', 'lost', 'assigned'], [0]])
  })

  test('one publishAll wakes a parked poll once, in a microtask, with all that it brought', async () => {
    const { orders, group } = setup()
    const consumer = group.join()
    const poll = watch(consumer.poll())
    await drain()
    orders.publishAll([0, 1, 2, 3].map(value => ({ value })))
    expect(consumer.position('orders', 0)).toBe(0)
    await drain()
    expect([at(poll.value ?? []), consumer.position('orders', 0)]).toEqual([['0:0', '0:1', '0:2', '0:3'], 4])
  })

  test('records published one by one in the same tick come in one poll', async () => {
    const { group, publish } = setup({}, 2)
    const poll = watch(group.join().poll())
    await drain()
    publish(0, 2)
    publish(1, 2)
    expect(poll.state).toBe('pending')
    await drain()
    expect(at(poll.value ?? []).sort()).toEqual(['0:0', '0:1', '1:0', '1:1'])
  })
})

describe('rule 36: an abort rejects with signal.reason, and nothing is consumed', () => {
  test('a signal that was aborted before, though records are waiting', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const consumer = group.join()
    const reason = new Error('no time')
    expect(await failure(() => consumer.poll({ signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(at(await consumer.poll())).toEqual(['0:0', '0:1'])
  })

  test('a parked poll', async () => {
    const { group, publish } = setup()
    const consumer = group.join()
    const abort = new AbortController()
    const poll = watch(consumer.poll({ signal: abort.signal }))
    await drain()
    const reason = { why: 'enough' }
    abort.abort(reason)
    await drain()
    expect([poll.state, poll.error]).toEqual(['rejected', reason])
    expect(poll.error).toBe(reason)
    publish(0, 1)
    expect(at(await consumer.poll())).toEqual(['0:0'])
  })

  test('a poll that waits for a callback', async () => {
    const { group, publish } = setup()
    publish(0, 1)
    const gate = deferred()
    const consumer = group.join({ onAssigned: () => gate.promise })
    const abort = new AbortController()
    const poll = watch(consumer.poll({ signal: abort.signal }))
    await drain()
    abort.abort('enough')
    await drain()
    expect([poll.state, poll.error]).toEqual(['rejected', 'enough'])
    gate.resolve()
    expect(at(await consumer.poll())).toEqual(['0:0'])
  })

  test('a record that came in the same tick is got by the next poll', async () => {
    const { group, publish } = setup()
    const consumer = group.join()
    const abort = new AbortController()
    const poll = watch(consumer.poll({ signal: abort.signal }))
    await drain()
    publish(0, 1)
    abort.abort('enough')
    await drain()
    expect([poll.state, poll.error, consumer.position('orders', 0)]).toEqual(['rejected', 'enough', 0])
    expect(at(await consumer.poll({ timeoutMs: 0 }))).toEqual(['0:0'])
  })

  test('an abort after the records were handed out changes nothing', async () => {
    const { group, publish } = setup()
    publish(0, 1)
    const consumer = group.join()
    const abort = new AbortController()
    const records = await consumer.poll({ signal: abort.signal })
    abort.abort('too late')
    const parked = watch(consumer.poll())
    await drain()
    expect([at(records), parked.state]).toEqual([['0:0'], 'pending'])
  })

  test('run({ signal }) alone resolves: it closes in an orderly way', async () => {
    const { group, publish, committed } = setup()
    publish(0, 2)
    const consumer = group.join()
    const abort = new AbortController()
    const run = consumer.run(() => {}, { signal: abort.signal })
    await drain()
    abort.abort('enough')
    expect(await run).toBeUndefined()
    expect([consumer.closed, committed()]).toEqual([true, 2])
  })
})

describe('a poll woken by data and timing out in the same tick hands out or does not consume, never both', () => {
  for (const order of ['the data first', 'the timeout first']) {
    test(order, async () => {
      const { clock, group, publish } = setupOn(new BusyClock(), manual)
      const consumer = group.join()
      await consumer.poll({ timeoutMs: 0 })
      if (order === 'the data first') clock.setTimeout(() => publish(0, 1), 100)
      const poll = consumer.poll({ timeoutMs: 100 })
      if (order === 'the timeout first') clock.setTimeout(() => publish(0, 1), 100)
      await drain()
      clock.time = 100
      clock.fire()
      const first = await poll
      expect(consumer.position('orders', 0)).toBe(first.length)
      const second = await consumer.poll({ timeoutMs: 0 })
      expect(at([...first, ...second])).toEqual(['0:0'])
    })
  }
})

describe('rule 37: what a parked poll does when things change around it', () => {
  test('it stays parked when a partition is revoked, and hears of those that stay', async () => {
    const { group, publish } = setup({}, 2)
    const consumer = group.join()
    const poll = watch(consumer.poll())
    await drain()
    expect(owned(group.join())).toEqual([1])
    publish(1, 1)
    await drain()
    expect(poll.state).toBe('pending')
    publish(0, 1)
    await drain()
    expect(at(poll.value ?? [])).toEqual(['0:0'])
  })

  test('it stays parked when all its partitions are revoked', async () => {
    const { clock, group, publish } = setup()
    const consumer = group.join({ memberId: 'm2' })
    const poll = watch(consumer.poll())
    await drain()
    expect(owned(group.join({ memberId: 'm1' }))).toEqual([0])
    publish(0, 1)
    await clock.advance(1_000)
    expect([poll.state, owned(consumer)]).toEqual(['pending', []])
  })

  test('partitions that it is assigned wake it', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const first = group.join()
    const surplus = group.join()
    const poll = watch(surplus.poll())
    await drain()
    expect([owned(surplus), poll.state]).toEqual([[], 'pending'])
    crash(first)
    await drain()
    expect([owned(surplus), at(poll.value ?? [])]).toEqual([[0], ['0:0', '0:1']])
  })

  test('close() resolves it with []', async () => {
    const { group } = setup()
    const consumer = group.join()
    const poll = consumer.poll()
    await consumer.close()
    expect(await poll).toEqual([])
  })

  test('close() in the tick of a record resolves it with [], and the next owner gets the record', async () => {
    const { group, publish } = setup()
    const consumer = group.join()
    const poll = consumer.poll()
    await drain()
    publish(0, 1)
    await consumer.close()
    expect(await poll).toEqual([])
    expect(at(await group.join().poll())).toEqual(['0:0'])
  })

  test('records of a paused partition do not keep it busy: time passes', async () => {
    const { clock, group, publish } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.ready()
    consumer.pause()
    const poll = watch(consumer.poll({ timeoutMs: 1_000 }))
    await drain()
    publish(0, 3)
    await clock.advance(1_000)
    expect([poll.state, poll.value]).toEqual(['resolved', []])
  })

  test('crash() resolves it with []', async () => {
    const { group } = setup()
    const consumer = group.join()
    const poll = consumer.poll()
    crash(consumer)
    expect(await poll).toEqual([])
  })

  test('a deleted topic leaves it parked while others are left', async () => {
    const { broker, payments } = setup()
    const group = broker.group('both', { topics: ['orders', 'payments'] })
    const consumer = group.join()
    const poll = watch(consumer.poll())
    await drain()
    broker.deleteTopic('orders')
    await drain()
    expect(poll.state).toBe('pending')
    payments.publish({ value: 7 })
    await drain()
    expect(poll.value?.map(({ topic, value }) => [topic, value])).toEqual([['payments', 7]])
  })
})

describe('rule 38: partitions take turns', () => {
  // Kafka: FetchCollector; three partitions of six records, max.poll.records 4.
  test('a drained partition goes to the back, and a poll is filled across the boundary', async () => {
    const { group, publish } = setup({ maxPollRecords: 4 }, 3)
    for (const partition of [0, 1, 2]) publish(partition, 6)
    const consumer = group.join()
    const polls: string[] = []
    for (let i = 0; i < 5; i++) polls.push(at(await consumer.poll({ timeoutMs: 0 })).join(' '))
    expect(polls).toEqual(['0:0 0:1 0:2 0:3', '0:4 0:5 1:0 1:1', '1:2 1:3 1:4 1:5', '2:0 2:1 2:2 2:3', '2:4 2:5'])
  })

  test('maxRecords of a poll does the same', async () => {
    const { group, publish } = setup({}, 3)
    for (const partition of [0, 1, 2]) publish(partition, 6)
    const consumer = group.join()
    const polls: string[] = []
    for (let i = 0; i < 5; i++) polls.push(at(await consumer.poll({ timeoutMs: 0, maxRecords: 4 })).join(' '))
    expect(polls).toEqual(['0:0 0:1 0:2 0:3', '0:4 0:5 1:0 1:1', '1:2 1:3 1:4 1:5', '2:0 2:1 2:2 2:3', '2:4 2:5'])
  })

  test('a turn ends at the end offset that was seen when it began', async () => {
    const { group, publish } = setup({ maxPollRecords: 4 }, 2)
    publish(0, 6)
    publish(1, 2)
    const consumer = group.join()
    expect(at(await consumer.poll())).toEqual(['0:0', '0:1', '0:2', '0:3'])
    publish(0, 6)
    expect(at(await consumer.poll())).toEqual(['0:4', '0:5', '1:0', '1:1'])
    expect(at(await consumer.poll())).toEqual(['0:6', '0:7', '0:8', '0:9'])
  })

  test('a long backlog gives way after a bounded number of records', async () => {
    const { group, publish } = setup({ maxPollRecords: 2 }, 2)
    publish(0, 1_000)
    publish(1, 1)
    const consumer = group.join()
    const seen: string[] = []
    while (!seen.includes('1:0')) seen.push(...at(await consumer.poll()))
    expect(seen.length).toBeLessThanOrEqual(50)
  })

  test('a partition with a busy producer does not starve the others', async () => {
    const { group, publish } = setup({ maxPollRecords: 2 }, 3)
    publish(0, 2)
    publish(1, 2)
    publish(2, 2)
    const consumer = group.join()
    const seen: string[] = []
    for (let i = 0; i < 30; i++) {
      seen.push(...at(await consumer.poll()))
      publish(0, 3)
    }
    expect(seen).toEqual(expect.arrayContaining(['1:0', '1:1', '2:0', '2:1']))
  })

  test('nor in a loop', async () => {
    const { group, publish } = setup({ maxPollRecords: 2 }, 2)
    publish(0, 2)
    publish(1, 1)
    const seen: string[] = []
    for await (const record of group.join()) {
      seen.push(...at([record]))
      publish(0, 3)
      if (record.partition === 1 || seen.length === 100) break
    }
    expect(seen.at(-1)).toBe('1:0')
  })

  test('nor in run()', async () => {
    const { clock, group, publish } = setup({ maxPollRecords: 2 }, 2)
    publish(0, 2)
    publish(1, 1)
    const seen: string[] = []
    const consumer = group.join()
    void consumer.run((record, context) => {
      seen.push(...at([record]))
      publish(0, 3)
      if (record.partition === 1 || seen.length === 100) context.stop()
    })
    await clock.advance(0)
    expect(seen.at(-1)).toBe('1:0')
  })

  test('within a partition order is kept, and nothing is left out', async () => {
    const { group, publish } = setup({ maxPollRecords: 3 }, 2)
    const consumer = group.join()
    const seen: number[][] = [[], []]
    for (let round = 0; round < 20; round++) {
      publish(round % 2, 5)
      for (const record of await consumer.poll({ timeoutMs: 0 })) seen[record.partition]!.push(record.offset)
    }
    for (;;) {
      const records = await consumer.poll({ timeoutMs: 0 })
      if (records.length === 0) break
      for (const record of records) seen[record.partition]!.push(record.offset)
    }
    const all = Array.from({ length: 50 }, (_, offset) => offset)
    expect(seen).toEqual([all, all])
  })
})
