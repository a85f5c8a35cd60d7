import type { MemoryConsumer } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, caught, expectCode, fill, gate, refused, watch, where, world } from './support-c.js'

describe('rule 48: from the call of close() on', () => {
  test('closed is true, before anything has finished', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    void consumer.run(() => gate().promise)
    await drain()
    expect(consumer.closed).toBe(false)
    consumer.close().catch(() => {})
    expect(consumer.closed).toBe(true)
  })

  test('the member is out of all targets, and remains owner of what it holds until it has left', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const end = gate()
    const a = group.join()
    const b = group.join()
    void a.run(() => end.promise)
    await drain()
    const close = a.close()
    expect(where(a.assignment)).toEqual(['orders-0'])
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 0, from: a.memberId, to: b.memberId, waitingFor: 'records' },
    ])
    end.open()
    await close
    expect([where(a.assignment), where(b.assignment)]).toEqual([[], ['orders-0', 'orders-1']])
  })

  test('who joins meanwhile gets nothing that would go through the leaving member', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const a = group.join()
    void a.run(() => gate().promise)
    await drain()
    a.close().catch(() => {})
    const b = group.join()
    expect(where(b.assignment)).toEqual(['orders-1'])
    expect(group.moves.map(({ partition, to }) => [partition, to])).toEqual([[0, b.memberId]])
  })

  test('close() is idempotent: one generation, one leave, and a later timeoutMs changes nothing', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    const left: string[] = []
    group.on('leave', ({ memberId, reason }) => left.push(`${memberId} ${reason}`))
    const end = gate()
    const consumer = group.join()
    void consumer.run(() => end.promise)
    await drain()
    const { generation } = group
    const first = watch(consumer.close({ timeoutMs: 10_000 }))
    expect(group.generation).toBe(generation + 1)
    const second = watch(consumer.close({ timeoutMs: 1 }))
    await clock.advance(9_999)
    expect([first.state, second.state, group.generation]).toEqual(['pending', 'pending', generation + 1])
    end.open()
    await drain()
    await consumer.close()
    expect([first.state, second.state]).toEqual(['resolved', 'resolved'])
    expect([left, group.generation]).toEqual([[`${consumer.memberId} closed`], generation + 1])
  })

  test('await using closes it', async () => {
    const { orders, group } = world()
    fill(orders, 0, 2)
    {
      await using consumer = group.join()
      await consumer.poll()
    }
    expect([group.members, group.committed('orders', 0)]).toEqual([[], 2])
  })
})

describe('rule 49: close() is orderly', () => {
  test('it hands out nothing more and waits for the handlers in flight', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 3)
    const end = gate()
    const seen: string[] = []
    const consumer = group.join()
    void consumer.run(async record => {
      seen.push(at(record))
      await end.promise
    })
    await drain()
    const close = watch(consumer.close())
    await drain()
    expect(close.state).toBe('pending')
    end.open()
    await drain()
    expect([close.state, seen, group.committed('orders', 0)]).toEqual(['resolved', ['0:0'], 1])
  })

  test('it waits for a callback in flight', async () => {
    const { group, drain } = world()
    const end = gate()
    const consumer = group.join({ onAssigned: () => end.promise })
    await drain()
    const close = watch(consumer.close())
    await drain()
    expect(close.state).toBe('pending')
    end.open()
    await drain()
    expect(close.state).toBe('resolved')
  })

  test('a poll that is parked resolves to nothing', async () => {
    const { group, drain } = world()
    const consumer = group.join()
    const poll = watch(consumer.poll())
    await drain()
    await consumer.close()
    await drain()
    expect(poll).toEqual({ state: 'resolved', value: [] })
  })

  test('it ends a loop without throwing out of it; a loop begun afterwards is CLOSED', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const seen: string[] = []
    const loop = watch(
      (async () => {
        for await (const record of consumer) seen.push(at(record))
      })(),
    )
    await drain()
    await consumer.close()
    await drain()
    expect([loop.state, seen]).toEqual(['resolved', ['0:0']])
    await refused(() => consumer[Symbol.asyncIterator]().next(), 'CLOSED')
  })

  test('after timeoutMs signal aborts, the member leaves, and close() rejects with REQUEST_TIMED_OUT', async () => {
    const { orders, group, drain, clock } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const signals: AbortSignal[] = []
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const a = group.join()
    const b = group.join()
    const run = watch(
      a.run((_, { signal }) => {
        signals.push(signal)
        return gate().promise
      }),
    )
    await drain()
    const close = watch(a.close({ timeoutMs: 1_000 }))
    await clock.advance(999)
    expect([close.state, signals[0]!.aborted, left]).toEqual(['pending', false, []])
    await clock.advance(1)
    expectCode(close.error, 'REQUEST_TIMED_OUT', '1000', 'context.stop()')
    expect(signals[0]!.aborted).toBe(true)
    expect([run.state, left, where(b.assignment)]).toEqual(['resolved', ['closed'], ['orders-0', 'orders-1']])
  })

  test('it waits 30,000 ms by default', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    void consumer.run(() => gate().promise)
    await drain()
    const close = watch(consumer.close())
    await clock.advance(29_999)
    expect(close.state).toBe('pending')
    await clock.advance(1)
    expectCode(close.error, 'REQUEST_TIMED_OUT', '30000')
  })

  test('what is unfinished after the timeout is uncommitted, what had finished before it is committed', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 3)
    const consumer = group.join()
    void consumer.run(record => (record.offset === 2 ? gate().promise : undefined))
    await drain()
    const close = watch(consumer.close({ timeoutMs: 1_000 }))
    await clock.advance(1_000)
    expect([close.state, group.committed('orders', 0)]).toEqual(['rejected', 2])
    expect((await group.join().poll()).map(at)).toEqual(['0:2'])
  })

  test('in manualCommit mode nothing is committed after the timeout', async () => {
    const { orders, group, drain, clock } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 3)
    const consumer = group.join()
    void consumer.run(record => (record.offset === 2 ? gate().promise : undefined))
    await drain()
    const close = watch(consumer.close({ timeoutMs: 1_000 }))
    await clock.advance(1_000)
    expect([close.state, group.committed('orders', 0)]).toEqual(['rejected', undefined])
  })

  test('a handler that ends after the timeout commits nothing and is not retried', async () => {
    const { orders, group, drain, clock, broker } = world()
    fill(orders, 0, 1)
    const end = gate()
    const seen: number[] = []
    const consumer = group.join()
    void consumer.run(
      (_, { attempt }) => {
        seen.push(attempt)
        return end.promise
      },
      { retry: { attempts: 2 }, deadLetter: broker.topic('failed') },
    )
    await drain()
    const close = watch(consumer.close({ timeoutMs: 1 }))
    await clock.advance(1)
    end.fail(new Error('late'))
    await clock.advance(60_000)
    expect([close.state, seen, group.committed('orders', 0) ?? 0]).toEqual(['rejected', [1], 0])
    expect(broker.topic('failed').partitions[0]!.endOffset).toBe(0)
  })

  test('a callback that hangs does not hold it up for longer', async () => {
    const { group, drain, clock } = world()
    const consumer = group.join({ onAssigned: () => gate().promise })
    await drain()
    const close = watch(consumer.close({ timeoutMs: 1_000 }))
    await clock.advance(1_000)
    expectCode(close.error, 'REQUEST_TIMED_OUT')
    expect(group.members).toEqual([])
  })

  test('a handler that awaits the close of its own consumer runs into the timeout', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const errors: unknown[] = []
    const run = watch(
      consumer.run(async () => {
        await consumer.close({ timeoutMs: 500 }).catch((error: unknown) => errors.push(error))
      }),
    )
    await clock.advance(500)
    expectCode(errors[0], 'REQUEST_TIMED_OUT', 'context.stop()')
    expect([run.state, consumer.closed]).toEqual(['resolved', true])
  })

  test('without anything in flight it takes no time, and no timer is left', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    await consumer.poll()
    const close = watch(consumer.close())
    await drain()
    expect([close.state, clock.timers]).toEqual(['resolved', 0])
  })

  test('no timer is left either once handlers have been waited for', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    const end = gate()
    const consumer = group.join()
    void consumer.run(() => end.promise)
    await drain()
    const close = watch(consumer.close())
    end.open()
    await drain()
    expect([close.state, clock.timers]).toEqual(['resolved', 0])
  })
})

describe('rule 50: the leave', () => {
  test('after poll() all that was handed out counts', async () => {
    const { orders, group } = world({ partitions: 2 })
    fill(orders, 0, 3)
    fill(orders, 1, 2)
    const consumer = group.join()
    const polled = await consumer.poll({ maxRecords: 4 })
    await consumer.close()
    const next = [0, 1].map(partition => polled.filter(record => record.partition === partition).length)
    expect([0, 1].map(partition => group.committed('orders', partition))).toEqual(next)
  })

  test('after a loop that was left all but the record in hand counts', async () => {
    const { orders, group } = world()
    fill(orders, 0, 3)
    const consumer = group.join()
    for await (const record of consumer) if (record.offset === 1) break
    await consumer.close()
    expect(group.committed('orders', 0)).toBe(1)
  })

  test('in run() the finished prefix counts, not what finished behind a record that did not', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 4)
    const end = gate()
    const consumer = group.join()
    const run = watch(
      consumer.run(record => (record.offset === 1 ? end.promise : undefined), {
        concurrency: 4,
        retry: { attempts: 2 },
      }),
    )
    await drain()
    const close = consumer.close()
    end.fail(new Error('no'))
    await close
    expect([run.state, group.committed('orders', 0)]).toEqual(['resolved', 1])
  })

  test('in manualCommit mode nothing is committed', async () => {
    const { orders, group } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.close()
    expect(group.committed('orders', 0)).toBeUndefined()
  })

  test('auto-commit comes first, then onRevoked of all it owns, then the leave', async () => {
    const { orders, group } = world({ partitions: 2 })
    fill(orders, 0, 2)
    const log: string[] = []
    group.on('commit', ({ offsets }) =>
      log.push(`commit ${offsets.map(({ partition, nextOffset }) => `${partition}:${nextOffset}`)}`),
    )
    group.on('leave', ({ reason }) => log.push(`leave ${reason}`))
    const consumer = group.join({
      onRevoked: (list, self) => {
        log.push(`revoked ${where(list)} of ${where(self.assignment)}, position ${self.position('orders', 0)}`)
      },
    })
    await consumer.poll()
    await consumer.close()
    expect(log.map(line => line.replace(/,1:0$/, ''))).toEqual([
      'commit 0:2',
      'revoked orders-0,orders-1 of orders-0,orders-1, position 2',
      'leave closed',
    ])
  })

  test('a commit in its onRevoked is accepted and stands', async () => {
    const { orders, group } = world()
    fill(orders, 0, 5)
    const consumer = group.join({
      onRevoked: (_, self) => self.commit([{ topic: 'orders', partition: 0, nextOffset: 2 }]),
    })
    await consumer.poll()
    await consumer.close()
    expect(group.committed('orders', 0)).toBe(2)
  })

  test('onRevoked names only what onAssigned has named', async () => {
    const { group, drain } = world()
    const named = { assigned: [] as string[], revoked: [] as string[] }
    const consumer = group.join({
      onAssigned: list => void named.assigned.push(...where(list)),
      onRevoked: list => void named.revoked.push(...where(list)),
    })
    await consumer.close()
    await drain()
    expect(named.revoked).toEqual(named.assigned)
  })

  test('context.commit() works until the member has left', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 1)
    const end = gate()
    const consumer = group.join()
    void consumer.run(async (_, { commit }) => {
      await end.promise
      await commit()
    })
    await drain()
    const close = watch(consumer.close())
    end.open()
    await drain()
    expect([close.state, group.committed('orders', 0)]).toEqual(['resolved', 1])
  })

  test('partitions that need no waiting are freed at the call', async () => {
    const { orders, group, drain } = world({ partitions: 4 })
    fill(orders, 0, 1)
    const a = group.join()
    const b = group.join()
    void a.run(() => gate().promise)
    await drain()
    a.close().catch(() => {})
    expect([where(a.assignment), where(b.assignment)]).toEqual([['orders-0'], ['orders-1', 'orders-2', 'orders-3']])
  })

  test('with nothing to wait for the partitions are with the others when close() returns its promise', async () => {
    const { group, drain } = world({ partitions: 2 })
    const a = group.join()
    const b = group.join()
    await drain()
    const close = a.close()
    expect(where(b.assignment)).toEqual(['orders-0', 'orders-1'])
    await close
  })

  test('a throw in onRevoked completes the leave, and close() rejects with it', async () => {
    const { group } = world({ partitions: 2 })
    const why = new Error('no')
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const b = group.join()
    const a = group.join({
      onRevoked: () => {
        throw why
      },
    })
    await a.ready()
    const before = where(b.assignment)
    const error = await caught(() => a.close())
    expect(error).toBe(why)
    expect([before, where(b.assignment), left]).toEqual([['orders-0'], ['orders-0', 'orders-1'], ['closed']])
  })

  test('close() awaited in its own onRevoked does not wait for itself, and leaves once', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    let revoked = 0
    const consumer = group.join({
      onRevoked: async (_, self) => {
        revoked++
        await self.close()
      },
    })
    await consumer.poll()
    const close = watch(consumer.close())
    await drain()
    expect([close.state, revoked, left]).toEqual(['resolved', 1, ['closed']])
  })

  test('close() awaited in its own onAssigned does not wait for itself', async () => {
    const { group, drain } = world()
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const consumer = group.join({ onAssigned: (_, self) => self.close() })
    await drain()
    expect([consumer.closed, left]).toEqual([true, ['closed']])
  })

  test('a parked poll and close() in one go run onRevoked once', async () => {
    const { group, drain } = world()
    const revoked: string[][] = []
    const consumer = group.join({ onRevoked: list => void revoked.push(where(list)) })
    await drain()
    const poll = watch(consumer.poll())
    const close = watch(consumer.close())
    await drain()
    expect([poll.value, close.state, revoked]).toEqual([[], 'resolved', [['orders-0']]])
  })

  test('a consumer that was expelled meanwhile has onLost called at close(), not onRevoked', async () => {
    const { group, drain } = world()
    const log: string[] = []
    const consumer = group.join({
      onRevoked: list => void log.push(`revoked ${where(list)}`),
      onLost: list => void log.push(`lost ${where(list)}`),
    })
    await drain()
    expel(consumer)
    await consumer.close()
    expect(log).toEqual(['lost orders-0'])
  })
})

const uses: readonly (readonly [string, (consumer: MemoryConsumer) => unknown])[] = [
  ['poll', consumer => consumer.poll({ timeoutMs: 0 })],
  ['a loop', consumer => consumer[Symbol.asyncIterator]().next()],
  ['run', consumer => consumer.run(() => {})],
  ['seek', consumer => consumer.seek('orders', 0, 0)],
  ['pause', consumer => consumer.pause([{ topic: 'orders', partition: 0 }])],
  ['pause without an argument', consumer => consumer.pause()],
  ['resume', consumer => consumer.resume()],
  ['position', consumer => consumer.position('orders', 0)],
  ['ready', consumer => consumer.ready()],
]

describe('rule 51: after leaving', () => {
  test.each(uses)('%s is CLOSED', async (_, use) => {
    const { group } = world()
    const consumer = group.join()
    await consumer.close()
    await refused(() => use(consumer as unknown as MemoryConsumer), 'CLOSED', consumer.memberId)
  })

  test.each(uses)('%s is CLOSED after a crash too', async (_, use) => {
    const { group } = world()
    const consumer = group.join()
    crash(consumer)
    await refused(() => use(consumer as unknown as MemoryConsumer), 'CLOSED', consumer.memberId)
  })

  test('commit is UNKNOWN_MEMBER_ID, whatever its argument, and overwrites nothing', async () => {
    const { orders, group } = world()
    fill(orders, 0, 3)
    const consumer = group.join()
    const [first] = await consumer.poll()
    await consumer.close()
    for (const commit of [
      () => consumer.commit(),
      () => consumer.commit(first!),
      () => consumer.commit([first!]),
      () => consumer.commit([{ topic: 'orders' as const, partition: 0, nextOffset: 1 }]),
    ])
      await refused(commit, 'UNKNOWN_MEMBER_ID', consumer.memberId)
    expect(group.committed('orders', 0)).toBe(3)
  })

  test('assignment and paused are empty', async () => {
    const { group } = world()
    const consumer = group.join()
    consumer.pause()
    await consumer.close()
    expect([consumer.assignment, consumer.paused]).toEqual([[], []])
  })

  test('run() has resolved', async () => {
    const { group, drain } = world()
    const consumer = group.join()
    const run = watch(consumer.run(() => {}))
    await drain()
    await consumer.close()
    await drain()
    expect(run.state).toBe('resolved')
  })
})

describe('rule 51: a crash', () => {
  test('frees its partitions at once, commits nothing and calls nothing', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    const log: string[] = []
    const note = (what: string) => () => void log.push(what)
    const a = group.join({ onRevoked: note('revoked'), onLost: note('lost') })
    const b = group.join()
    await drain()
    log.length = 0
    fill(orders, 0, 2)
    expect((await a.poll()).length).toBe(2)
    crash(a)
    expect([where(a.assignment), where(b.assignment)]).toEqual([[], ['orders-0', 'orders-1']])
    await drain()
    expect([log, group.committed('orders', 0)]).toEqual([[], undefined])
    expect((await b.poll()).map(at)).toEqual(['0:0', '0:1'])
  })

  test.each(['crash', 'close', 'expel'] as const)('%s leaves no timer of a poll that was parked', async how => {
    const { group, clock, drain } = world()
    const consumer = group.join()
    const polled = watch(consumer.poll({ timeoutMs: 5_000 }))
    await drain()
    if (how === 'crash') crash(consumer)
    else if (how === 'close') void consumer.close()
    else {
      expel(consumer)
      crash(consumer)
    }
    expect(clock.timers).toBe(0)
    await drain()
    expect(polled).toMatchObject({ state: 'resolved', value: [] })
  })

  test('is one generation and one leave event', async () => {
    const { group } = world()
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const a = group.join()
    const { generation } = group
    crash(a)
    expect([group.generation, left, a.closed, group.members]).toEqual([generation + 1, ['crashed'], true, []])
  })

  test('resolves a parked poll to nothing', async () => {
    const { group, drain } = world()
    const consumer = group.join()
    const poll = watch(consumer.poll())
    await drain()
    crash(consumer)
    await drain()
    expect(poll).toEqual({ state: 'resolved', value: [] })
  })

  test('ends a loop', async () => {
    const { group, drain } = world()
    const consumer = group.join()
    const iterator = consumer[Symbol.asyncIterator]()
    const step = watch(iterator.next())
    await drain()
    crash(consumer)
    await drain()
    expect(step.value).toEqual({ done: true, value: undefined })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  test('resolves run(), and aborts the signal of its handlers', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const signals: AbortSignal[] = []
    const consumer = group.join()
    const run = watch(
      consumer.run((_, { signal }) => {
        signals.push(signal)
        return gate().promise
      }),
    )
    await drain()
    crash(consumer)
    await drain()
    expect([run.state, signals.map(signal => signal.aborted)]).toEqual(['resolved', [true]])
  })

  test('leaves no timer, also with a retry that waits', async () => {
    const { orders, group, clock, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const run = watch(
      consumer.run(
        () => {
          throw new Error('no')
        },
        { retry: { attempts: 2, backoffMs: 1_000 } },
      ),
    )
    await drain()
    crash(consumer)
    await drain()
    expect([run.state, clock.timers]).toEqual(['resolved', 0])
  })

  test('during a close that waits ends it', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const a = group.join()
    const b = group.join()
    void a.run(() => gate().promise)
    await drain()
    const close = watch(a.close())
    a.crash()
    await drain()
    expect([close.state, left, where(b.assignment)]).toEqual(['resolved', ['crashed'], ['orders-0', 'orders-1']])
  })

  test('close() afterwards resolves and changes nothing', async () => {
    const { group } = world()
    const consumer = group.join()
    crash(consumer)
    const { generation } = group
    await consumer.close()
    expect(group.generation).toBe(generation)
  })

  test('refuses its late commit, also if another member has its id again', async () => {
    const { orders, group } = world()
    fill(orders, 0, 2)
    const a = group.join({ memberId: 'm' })
    await a.poll()
    crash(a)
    const again = group.join({ memberId: 'm' })
    await refused(() => a.commit(), 'UNKNOWN_MEMBER_ID', 'm')
    expect(group.committed('orders', 0)).toBeUndefined()
    expect((await again.poll()).length).toBe(2)
  })
})

describe('rule 52: broker.close()', () => {
  test('hands no partition to a consumer that is about to close, and calls no onAssigned', async () => {
    const { broker, group, drain } = world({ partitions: 4 })
    const log: string[] = []
    const listen = (name: string) => ({
      onAssigned: (list: Parameters<typeof where>[0]) => void log.push(`${name} assigned ${where(list)}`),
      onRevoked: (list: Parameters<typeof where>[0]) => void log.push(`${name} revoked ${where(list)}`),
    })
    group.join(listen('a'))
    group.join(listen('b'))
    await drain()
    log.length = 0
    await broker.close()
    expect(log.sort()).toEqual(['a revoked orders-0,orders-1', 'b revoked orders-2,orders-3'])
  })

  test('marks the consumers of all groups closing in one step', async () => {
    const { broker, orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const other = broker.group('other', { topics: 'orders' })
    const consumers = [group.join(), group.join(), other.join()]
    await drain()
    const close = broker.close()
    expect(consumers.map(consumer => consumer.closed)).toEqual([true, true, true])
    await close
  })

  test('waits for all of them, also when one fails, then rejects with the one error', async () => {
    const { broker, orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const why = new Error('no')
    const end = gate()
    const a = group.join()
    const b = group.join({
      onRevoked: () => {
        throw why
      },
    })
    const run = watch(a.run(() => end.promise))
    await drain()
    expect(where(b.assignment)).toEqual(['orders-1'])
    const close = watch(broker.close())
    await drain()
    expect(close.state).toBe('pending')
    end.open()
    await drain()
    expect([close.state, close.error, run.state, group.members]).toEqual(['rejected', why, 'resolved', []])
  })

  test('rejects with an AggregateError of several', async () => {
    const { broker, group, drain } = world()
    const errors = [new Error('one'), new Error('two')]
    for (const [i, error] of errors.entries())
      (i === 0 ? group : broker.group('other', { topics: 'orders' })).join({
        onRevoked: () => {
          throw error
        },
      })
    await drain()
    const error = await caught(() => broker.close())
    expect(error).toBeInstanceOf(AggregateError)
    expect((error as AggregateError).errors).toEqual(errors)
  })

  test('commits what is finished, in autoCommit', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 3)
    await group.join().poll()
    await broker.close()
    expect(group.committed('orders', 0)).toBe(3)
  })

  test('gives the handlers no longer than its timeoutMs', async () => {
    const { broker, orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    void group.join().run(() => gate().promise)
    await drain()
    const close = watch(broker.close({ timeoutMs: 100 }))
    await clock.advance(99)
    expect(close.state).toBe('pending')
    await clock.advance(1)
    expectCode(close.error, 'REQUEST_TIMED_OUT', '100')
  })

  test('ends every seat, and no timer is left', async () => {
    const { broker, orders, group, clock } = world({ partitions: 2 })
    fill(orders, 0, 1)
    await group.join({ instanceId: 'one' }).close()
    const polled = group.join()
    await polled.poll({ timeoutMs: 0 })
    expect(group.members.length).toBe(2)
    await broker.close()
    expect([group.members, clock.timers]).toEqual([[], 0])
  })

  test('no timer is left when retries, parked polls and tails were waiting', async () => {
    const { broker, orders, group, clock, drain } = world()
    fill(orders, 0, 1)
    const run = watch(
      group.join().run(
        () => {
          throw new Error('no')
        },
        { retry: { attempts: 2, backoffMs: 1_000 } },
      ),
    )
    const other = broker.group('other', { topics: 'audit' }).join()
    const poll = watch(other.poll({ timeoutMs: 5_000 }))
    const tail = watch(broker.topic('audit').read()[Symbol.asyncIterator]().next())
    await drain()
    await broker.close()
    await drain()
    expect([run.state, poll.value, tail.value, clock.timers]).toEqual([
      'resolved',
      [],
      { done: true, value: undefined },
      0,
    ])
  })

  test('afterwards reading what is there works, and writing and joining are CLOSED', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 2)
    await broker.close()
    expect(orders.partitions[0]!.read(0).map(at)).toEqual(['0:0', '0:1'])
    const seen: string[] = []
    for await (const record of orders.read()) seen.push(at(record))
    expect(seen).toEqual(['0:0', '0:1'])
    expect(broker.topic('orders').partitionCount()).toBe(1)
    await refused(() => orders.publish({ value: 'x' }), 'CLOSED')
    await refused(() => orders.publishAll([{ value: 'x' }]), 'CLOSED')
    await refused(() => orders.addPartitions(2), 'CLOSED')
    await refused(() => broker.createTopic('orders'), 'CLOSED')
    await refused(() => broker.deleteTopic('orders'), 'CLOSED')
    await refused(() => group.join(), 'CLOSED')
    await refused(() => broker.group('new', { topics: 'orders' }), 'CLOSED')
    expect([orders.partitions[0]!.endOffset, orders.partitionCount()]).toEqual([2, 1])
  })

  test('may be called again, and await using calls it', async () => {
    const { broker, group } = world()
    const consumer = group.join()
    {
      await using closing = broker
      expect(closing.topics.size).toBe(3)
    }
    expect(consumer.closed).toBe(true)
    await broker.close()
    expect(group.members).toEqual([])
  })
})
