import { isMillraceError, MillraceError } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { BusyClock, drain, setupOn } from './support-b.js'
import { at, expectCode, fill, gate, refused, watch, where, world } from './support-c.js'

describe('rule 43: concurrency, keys and turns', () => {
  test('as many handlers are at work at once as concurrency says, over all partitions', async () => {
    const { orders, group, drain } = world({ partitions: 3 })
    for (const partition of [0, 1, 2]) fill(orders, partition, 3)
    const end = gate()
    let atWork = 0
    let most = 0
    void group.join().run(
      async () => {
        most = Math.max(most, ++atWork)
        await end.promise
        atWork--
      },
      { concurrency: 4 },
    )
    await drain()
    expect(atWork).toBe(4)
    end.open()
    await drain()
    expect([most, atWork]).toEqual([4, 0])
  })

  test('what may start is started in the order of offsets, whichever key was free first', async () => {
    const { orders, group, drain } = world()
    for (const key of ['a', 'b', 'a', 'b', 'c']) orders.publish({ key, value: key })
    const ends = Array.from({ length: 5 }, gate)
    const begun: number[] = []
    const consumer = group.join()
    void consumer.run(
      ({ offset }) => {
        begun.push(offset)
        return ends[offset]!.promise
      },
      { concurrency: 3 },
    )
    await drain()
    expect(begun).toEqual([0, 1, 4])
    consumer.pause()
    for (const offset of [1, 0]) {
      ends[offset]!.open()
      await drain()
    }
    consumer.resume()
    await drain()
    expect(begun).toEqual([0, 1, 4, 2, 3])
  })

  test('by default one handler is at work, over all partitions', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 2)
    fill(orders, 1, 2)
    const end = gate()
    let atWork = 0
    void group.join().run(async () => {
      atWork++
      await end.promise
    })
    await drain()
    expect(atWork).toBe(1)
  })

  test('at concurrency 1 each partition is worked in order', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 4)
    fill(orders, 1, 4)
    const seen: string[] = []
    void group.join().run(async record => {
      await Promise.resolve()
      seen.push(at(record))
    })
    await drain()
    expect(seen.filter(each => each.startsWith('0'))).toEqual(['0:0', '0:1', '0:2', '0:3'])
    expect(seen.filter(each => each.startsWith('1'))).toEqual(['1:0', '1:1', '1:2', '1:3'])
  })

  test('at concurrency 1 a partition that never runs dry leaves the others their turn', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    const seen: string[] = []
    const consumer = group.join()
    void consumer.run(async (record, { stop }) => {
      seen.push(at(record))
      if (record.partition === 0) fill(orders, 0, 1)
      if (seen.length === 4_000) stop()
    })
    await drain()
    expect(seen).toContain('1:0')
    expect(seen.indexOf('1:0')).toBeLessThanOrEqual(2_500)
  })

  test('equal keys of a partition never overlap and never overtake; other keys go on meanwhile', async () => {
    const { orders, group, drain } = world()
    const keys = ['a', 'a', 'b', 'a', 'b']
    for (const key of keys) orders.publish({ key, value: 'x' })
    const gates = keys.map(gate)
    const seen: string[] = []
    void group.join().run(
      async record => {
        seen.push(`${record.key}${record.offset}`)
        await gates[record.offset]!.promise
      },
      { concurrency: 5 },
    )
    await drain()
    expect(seen).toEqual(['a0', 'b2'])
    gates[2]!.open()
    await drain()
    expect(seen).toEqual(['a0', 'b2', 'b4'])
    gates[0]!.open()
    await drain()
    expect(seen).toEqual(['a0', 'b2', 'b4', 'a1'])
    gates[1]!.open()
    await drain()
    expect(seen).toEqual(['a0', 'b2', 'b4', 'a1', 'a3'])
  })

  test('the keyless of a partition count as one key', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    for (const partition of [0, 0, 1, 1]) orders.publish({ partition, value: 'x' })
    const end = gate()
    const seen: string[] = []
    void group.join().run(
      async record => {
        seen.push(at(record))
        if (record.offset === 0) await end.promise
      },
      { concurrency: 4 },
    )
    await drain()
    expect(seen.sort()).toEqual(['0:0', '1:0'])
    end.open()
    await drain()
    expect(seen.sort()).toEqual(['0:0', '0:1', '1:0', '1:1'])
  })

  test("'' is a key of its own, not keyless", async () => {
    const { orders, group, drain } = world()
    orders.publish({ partition: 0, value: 'keyless' })
    orders.publish({ partition: 0, key: '', value: 'empty' })
    const seen: string[] = []
    void group.join().run(
      async record => {
        seen.push(record.value)
        await gate().promise
      },
      { concurrency: 2 },
    )
    await drain()
    expect(seen).toEqual(['keyless', 'empty'])
  })

  test('equal keys in different partitions may overlap', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    for (const partition of [0, 1]) orders.publish({ partition, key: 'a', value: 'x' })
    const seen: string[] = []
    void group.join().run(
      async record => {
        seen.push(at(record))
        await gate().promise
      },
      { concurrency: 2 },
    )
    await drain()
    expect(seen.sort()).toEqual(['0:0', '1:0'])
  })

  test('auto-commit never passes the first unfinished record of a partition', async () => {
    const { orders, group, clock, drain } = world()
    fill(orders, 0, 3)
    const end = gate()
    const consumer = group.join()
    void consumer.run(record => (record.offset === 0 ? end.promise : undefined), { concurrency: 3 })
    await clock.advance(10_000)
    fill(orders, 0, 1)
    await drain()
    expect(group.committed('orders', 0) ?? 0).toBe(0)
    end.open()
    await clock.advance(10_000)
    expect(group.committed('orders', 0)).toBe(4)
  })

  test('commit() with nothing during run() never passes the first unfinished record', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit', partitions: 2 })
    fill(orders, 0, 3)
    fill(orders, 1, 2)
    const consumer = group.join()
    void consumer.run(record => (at(record) === '0:1' ? gate().promise : undefined), { concurrency: 3 })
    await drain()
    await consumer.commit()
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([1, 2])
  })

  test('a handler that closes the consumer as it is called is the last one that is called', async () => {
    const { orders, group, drain } = world({ partitions: 3 })
    for (const partition of [0, 1, 2]) fill(orders, partition, 2)
    const consumer = group.join()
    const seen: string[] = []
    const run = watch(
      consumer.run(
        async record => {
          void consumer.close()
          seen.push(at(record))
        },
        { concurrency: 3 },
      ),
    )
    await drain()
    expect([seen.length, run.state]).toEqual([1, 'resolved'])
  })

  test('a handler that seeks another partition as it is called decides what starts there next', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    fill(orders, 1, 6)
    const consumer = group.join()
    consumer.pause([{ topic: 'orders', partition: 1 }])
    const seen: string[] = []
    void consumer.run(
      async record => {
        seen.push(at(record))
        if (record.partition === 0) {
          consumer.resume()
          consumer.seek('orders', 1, 4)
        }
      },
      { concurrency: 2 },
    )
    await drain()
    expect(seen).toEqual(['0:0', '1:4', '1:5'])
  })

  test('a handler that seeks its own partition as it is called decides what starts there next', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 6)
    const consumer = group.join()
    const seen: string[] = []
    void consumer.run(
      record => {
        seen.push(at(record))
        if (record.offset === 0) consumer.seek('orders', 0, 4)
      },
      { concurrency: 3 },
    )
    await drain()
    expect(seen).toEqual(['0:0', '0:4', '0:5'])
  })

  test('a handler that pauses its partition as it is called is the last one of it until resume()', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 3)
    const consumer = group.join()
    const seen: string[] = []
    void consumer.run(
      async record => {
        seen.push(at(record))
        if (record.offset === 0) consumer.pause()
      },
      { concurrency: 3 },
    )
    await drain()
    expect(seen).toEqual(['0:0'])
    consumer.resume()
    await drain()
    expect(seen).toEqual(['0:0', '0:1', '0:2'])
  })

  test('how far it runs ahead of the first unfinished record is bounded', async () => {
    const { orders, group, drain } = world()
    orders.publishAll(Array.from({ length: 50_000 }, (_, i) => ({ key: `k${i}`, value: 'x' })))
    const end = gate()
    let handled = 0
    void group.join().run(
      record => {
        handled++
        return record.offset === 0 ? end.promise : undefined
      },
      { concurrency: 2 },
    )
    await drain()
    expect(handled).toBeLessThan(50_000)
    end.open()
    await drain()
    expect(handled).toBe(50_000)
  })

  test('the consumer stays busy: poll, a loop and a second run() are CONCURRENT_POLL', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const seen: string[] = []
    const run = watch(consumer.run(record => void seen.push(at(record))))
    await refused(() => consumer.poll(), 'CONCURRENT_POLL', consumer.memberId)
    await refused(() => consumer[Symbol.asyncIterator]().next(), 'CONCURRENT_POLL', consumer.memberId)
    await refused(() => consumer.run(() => {}), 'CONCURRENT_POLL', consumer.memberId)
    await drain()
    expect([seen, run.state]).toEqual([['0:0'], 'pending'])
  })
})

describe('between two looks of run()', () => {
  test('a seek starts no record beside a handler from before it, whose key it may have', async () => {
    const { orders, group, drain } = world()
    for (const key of ['a', 'b']) orders.publish({ key, value: key })
    const ends = [gate(), gate(), gate()]
    const begun: number[] = []
    const consumer = group.join()
    void consumer.run(({ offset }) => ends[begun.push(offset) - 1]?.promise, { concurrency: 3 })
    await drain()
    consumer.seek('orders', 0, 0)
    await drain()
    expect(begun).toEqual([0, 1])
    ends[0]!.open()
    await drain()
    expect(begun).toEqual([0, 1])
    ends[1]!.open()
    await drain()
    expect(begun).toEqual([0, 1, 0, 1])
  })

  test('the position is past the furthest that was handed out, whichever starts later', async () => {
    const { orders, group, drain } = world()
    for (const key of ['a', 'a', 'b']) orders.publish({ key, value: key })
    const ends = [gate(), gate(), gate()]
    const consumer = group.join()
    void consumer.run(({ offset }) => ends[offset]!.promise, { concurrency: 2 })
    await drain()
    expect(consumer.position('orders', 0)).toBe(3)
    ends[0]!.open()
    await drain()
    expect(consumer.position('orders', 0)).toBe(3)
  })

  test('handlers that return no promise leave the other consumers their turn', async () => {
    const { orders, group, drain } = world({ partitions: 2, maxPollRecords: 1 })
    fill(orders, 0, 3)
    fill(orders, 1, 3)
    const log: string[] = []
    for (let i = 0; i < 2; i++) void group.join().run(record => void log.push(at(record)))
    await drain()
    expect(
      log
        .slice(0, 4)
        .map(text => text[0])
        .sort(),
    ).toEqual(['0', '0', '1', '1'])
  })
})

describe('rule 44: a move that is pending', () => {
  test('starts no new handler of its partition, and others go on; those in flight finish, then it moves', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 1)
    const end = gate()
    const seen: string[] = []
    const a = group.join()
    void a.run(
      async record => {
        seen.push(at(record))
        if (record.partition === 1) await end.promise
      },
      { concurrency: 4 },
    )
    await drain()
    const b = group.join()
    fill(orders, 1, 1)
    fill(orders, 0, 1)
    await drain()
    expect(seen).toEqual(['1:0', '0:0'])
    expect(group.moves).toEqual([
      { topic: 'orders', partition: 1, from: a.memberId, to: b.memberId, waitingFor: 'records' },
    ])
    end.open()
    await drain()
    expect([where(a.assignment), where(b.assignment)]).toEqual([['orders-0'], ['orders-1']])
    expect(group.committed('orders', 1)).toBe(1)
    expect((await b.poll()).map(at)).toEqual(['1:1'])
    expect(seen).toEqual(['1:0', '0:0'])
  })

  test('starts no new handler of any partition if onRevoked is set, until it is done', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 1)
    const end = gate()
    const seen: string[] = []
    void group.join({ onRevoked: list => void seen.push(`revoked ${where(list)}`) }).run(
      async record => {
        seen.push(at(record))
        if (record.partition === 1) await end.promise
      },
      { concurrency: 4 },
    )
    await drain()
    const b = group.join()
    fill(orders, 0, 1)
    await drain()
    expect(seen).toEqual(['1:0'])
    end.open()
    await drain()
    expect(seen).toEqual(['1:0', 'revoked orders-1', '0:0'])
    expect(where(b.assignment)).toEqual(['orders-1'])
  })

  test('is done also while the partitions are always busy', async () => {
    const { orders, group, clock } = world({ partitions: 4 })
    for (const partition of [0, 1, 2, 3]) fill(orders, partition, 1_000)
    let handled = 0
    void group.join({ onRevoked: () => {} }).run(
      async () => {
        handled++
        await new Promise<void>(resolve => clock.setTimeout(resolve, 1))
      },
      { concurrency: 4 },
    )
    await clock.advance(10)
    const b = group.join()
    const before = handled
    await clock.advance(1)
    expect(where(b.assignment)).toEqual(['orders-2', 'orders-3'])
    expect(handled - before).toBeLessThanOrEqual(4)
  })

  test('when it is called off, the partition goes on at once, whatever is still at work', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const end = gate()
    const begun: string[] = []
    void group.join({ memberId: 'b' }).run(
      record => {
        begun.push(at(record))
        return record.offset === 0 ? end.promise : undefined
      },
      { concurrency: 2 },
    )
    await drain()
    const other = group.join({ memberId: 'a' })
    fill(orders, 0, 1)
    await drain()
    expect([begun, group.moves.length]).toEqual([['0:0'], 1])
    crash(other)
    await drain()
    expect([begun, group.moves]).toEqual([['0:0', '0:1'], []])
  })

  test('cuts a back-off of its partition short: the record goes back, a new owner starts with attempt 1', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 2)
    const seen: string[] = []
    const a = group.join()
    void a.run(
      (record, { attempt }) => {
        seen.push(`a ${at(record)}#${attempt}`)
        throw new Error('no')
      },
      { retry: { attempts: 9, backoffMs: 60_000 } },
    )
    await drain()
    expect(seen).toEqual(['a 1:0#1'])
    const b = group.join()
    void b.run((record, { attempt }) => void seen.push(`b ${at(record)}#${attempt}`))
    await drain()
    expect(seen).toEqual(['a 1:0#1', 'b 1:0#1', 'b 1:1#1'])
    expect(group.moves).toEqual([])
  })

  test('does not cut short a back-off of another partition if there is no onRevoked', async () => {
    const { orders, group, drain, clock } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const seen: string[] = []
    const a = group.join()
    void a.run(
      (record, { attempt }) => {
        seen.push(`${at(record)}#${attempt}`)
        if (attempt === 1) throw new Error('no')
      },
      { retry: { attempts: 9, backoffMs: 60_000 } },
    )
    await drain()
    const b = group.join()
    await clock.advance(59_999)
    expect([seen, where(b.assignment)]).toEqual([['0:0#1'], ['orders-1']])
    await clock.advance(1)
    expect(seen).toEqual(['0:0#1', '0:0#2'])
  })

  test('cuts a back-off of any partition short if onRevoked is set, and attempts go on counting', async () => {
    const { orders, group, drain, clock } = world({ partitions: 2 })
    fill(orders, 0, 1)
    const seen: string[] = []
    const a = group.join({ onRevoked: list => void seen.push(`revoked ${where(list)}`) })
    void a.run(
      (record, { attempt }) => {
        seen.push(`${at(record)}#${attempt}`)
        if (attempt === 1) throw new Error('no')
      },
      { retry: { attempts: 9, backoffMs: 60_000 } },
    )
    await drain()
    const b = group.join()
    await drain()
    expect(where(b.assignment)).toEqual(['orders-1'])
    await clock.advance(60_000)
    expect(seen).toEqual(['0:0#1', 'revoked orders-1', '0:0#2'])
  })

  test('leaves position at the offset of the record that goes back', async () => {
    const { orders, group, drain } = world({ partitions: 2, commitMode: 'manualCommit' })
    fill(orders, 0, 1)
    const positions: (number | undefined)[] = []
    const a = group.join({ onRevoked: (_, consumer) => void positions.push(consumer.position('orders', 0)) })
    void a.run(
      () => {
        throw new Error('no')
      },
      { retry: { attempts: 9, backoffMs: 60_000 } },
    )
    await drain()
    group.join()
    await drain()
    expect(positions).toEqual([0])
  })

  test('a seek starts with attempt 1, and what waited for its retry is dropped', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    const seen: string[] = []
    const consumer = group.join()
    void consumer.run(
      (record, { attempt }) => {
        seen.push(`${at(record)}#${attempt}`)
        if (seen.length === 1) throw new Error('no')
      },
      { retry: { attempts: 9, backoffMs: 1_000 } },
    )
    await drain()
    consumer.seek('orders', 0, 0)
    await clock.advance(5_000)
    expect(seen).toEqual(['0:0#1', '0:0#1'])
  })
})

describe('rule 45: a handler whose term has ended', () => {
  test('fails without a retry, a dead letter or a rejection of run() if it was expelled meanwhile', async () => {
    const { orders, group, drain, broker, clock } = world()
    fill(orders, 0, 1)
    const end = gate()
    const seen: string[] = []
    const consumer = group.join()
    const run = watch(
      consumer.run(
        async (record, { attempt }) => {
          seen.push(`${at(record)}#${attempt}`)
          if (seen.length === 1) await end.promise
        },
        { retry: { attempts: 1 }, deadLetter: broker.topic('failed') },
      ),
    )
    await drain()
    expel(consumer)
    end.fail(new Error('no'))
    await clock.advance(10_000)
    expect([run.state, broker.topic('failed').partitions[0]!.endOffset]).toEqual(['pending', 0])
    // It has rejoined by itself, and begins anew.
    expect(seen).toEqual(['0:0#1', '0:0#1'])
  })

  test('moves no position and is not committed when it succeeds after an expulsion', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 2)
    const end = gate()
    const a = group.join()
    void a.run(() => end.promise)
    await drain()
    expel(a)
    const b = group.join()
    expect((await b.poll({ maxRecords: 1 })).map(at)).toEqual(['0:0'])
    end.open()
    await clock.advance(10_000)
    expect(group.committed('orders', 0) ?? 0).toBe(0)
    expect(b.position('orders', 0)).toBe(1)
  })

  test('is ignored if its topic was deleted, and the other topics go on', async () => {
    const { orders, broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    fill(orders, 0, 1)
    const end = gate()
    const seen: string[] = []
    const run = watch(
      group.join().run(async record => {
        seen.push(`${record.topic} ${at(record)}`)
        if (record.topic === 'orders') await end.promise
      }),
    )
    await drain()
    broker.deleteTopic('orders')
    end.fail(new Error('no'))
    broker.topic('audit').publish({ value: 'x' })
    await drain()
    expect([run.state, seen]).toEqual(['pending', ['orders 0:0', 'audit 0:0']])
  })

  test.each([
    ['expelled', 'UNKNOWN_MEMBER_ID'],
    ['crashed', undefined],
    ['fenced', 'FENCED_INSTANCE_ID'],
    ['its topic deleted', 'UNKNOWN_TOPIC_OR_PARTITION'],
  ] as const)('has its signal aborted, with a MillraceError as reason: %s', async (how, code) => {
    const { orders, group, broker, drain } = world()
    fill(orders, 0, 1)
    let signal: AbortSignal | undefined
    const consumer = group.join({ instanceId: 'one' })
    const run = consumer.run((_, context) => {
      signal = context.signal
      return gate().promise
    })
    run.catch(() => {})
    await drain()
    expect(signal?.aborted).toBe(false)
    if (how === 'expelled') expel(consumer)
    if (how === 'crashed') crash(consumer)
    if (how === 'fenced') group.join({ instanceId: 'one' })
    if (how === 'its topic deleted') broker.deleteTopic('orders')
    await drain()
    expect(signal?.aborted).toBe(true)
    expect(signal?.reason).toBeInstanceOf(MillraceError)
    if (code !== undefined) expectCode(signal?.reason, code)
  })

  test('has no signal aborted on a pending move or on close()', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 1)
    let signal: AbortSignal | undefined
    const end = gate()
    const a = group.join()
    void a.run(async (_, context) => {
      signal = context.signal
      await end.promise
    })
    await drain()
    group.join()
    await drain()
    expect([group.moves.length, signal?.aborted]).toEqual([1, false])
    const close = watch(a.close())
    await drain()
    expect([close.state, signal?.aborted]).toEqual(['pending', false])
    end.open()
    await drain()
    expect(close.state).toBe('resolved')
  })

  test('has its context.commit() refused, which overwrites nothing', async () => {
    const { orders, group, drain } = world({ partitions: 2, commitMode: 'manualCommit' })
    fill(orders, 1, 1)
    const commits: (() => Promise<void>)[] = []
    const a = group.join()
    void a.run((_, context) => void commits.push(context.commit))
    await drain()
    group.join()
    await drain()
    await refused(() => commits[0]!(), 'ILLEGAL_GENERATION')
    expect(group.committed('orders', 1)).toBeUndefined()
  })

  test('has its context.commit() refused also if the same consumer has the partition again', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 1)
    const commits: (() => Promise<void>)[] = []
    const end = gate()
    const consumer = group.join()
    void consumer.run(async (_, context) => {
      commits.push(context.commit)
      await end.promise
    })
    await drain()
    expel(consumer)
    await refused(() => commits[0]!(), 'UNKNOWN_MEMBER_ID', consumer.memberId)
    end.open()
    await drain()
    expect(commits.length).toBe(2)
    await refused(() => commits[0]!(), 'UNKNOWN_MEMBER_ID', consumer.memberId)
    expect(group.committed('orders', 0)).toBeUndefined()
    await commits[1]!()
    expect(group.committed('orders', 0)).toBe(1)
  })
})

describe('rule 46: retries and dead letters', () => {
  test('a record is tried in place, as often as attempts says, and context.attempt counts from 1', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const seen: string[] = []
    void group.join().run(
      (record, { attempt }) => {
        seen.push(`${at(record)}#${attempt}`)
        if (record.offset === 0 && attempt < 3) throw new Error('no')
      },
      { retry: { attempts: 3 } },
    )
    await drain()
    expect(seen).toEqual(['0:0#1', '0:0#2', '0:0#3', '0:1#1'])
  })

  test('without retry a handler is called once', async () => {
    const { orders, group, drain, broker } = world()
    fill(orders, 0, 1)
    const seen: number[] = []
    void group.join().run(
      (_, { attempt }) => {
        seen.push(attempt)
        throw new Error('no')
      },
      { deadLetter: broker.topic('failed') },
    )
    await drain()
    expect(seen).toEqual([1])
  })

  test('a throw and a rejection are the same failure', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const seen: number[] = []
    void group.join().run(
      (_, { attempt }) => {
        seen.push(attempt)
        if (attempt === 1) throw new Error('no')
        if (attempt === 2) return Promise.reject(new Error('no'))
        return undefined
      },
      { retry: { attempts: 5 } },
    )
    await drain()
    expect(seen).toEqual([1, 2, 3])
  })

  test('backoffMs is waited for between two attempts, on the clock', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 1)
    const times: number[] = []
    void group.join().run(
      (_, { attempt }) => {
        times.push(clock.now())
        if (attempt < 3) throw new Error('no')
      },
      { retry: { attempts: 3, backoffMs: 250 } },
    )
    await clock.advance(1_000)
    expect(times).toEqual([0, 250, 500])
  })

  test('a backoffMs that is a function is asked before each retry, with attempts that count up', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 1)
    const asked: number[] = []
    const times: number[] = []
    void group.join().run(
      (_, { attempt }) => {
        times.push(clock.now())
        if (attempt < 4) throw new Error('no')
      },
      {
        retry: {
          attempts: 4,
          backoffMs: attempt => {
            asked.push(attempt)
            return attempt * 100
          },
        },
      },
    )
    await clock.advance(10_000)
    expect(asked.length).toBe(3)
    expect([asked[1]! - asked[0]!, asked[2]! - asked[1]!]).toEqual([1, 1])
    expect(times.slice(1).map((time, i) => time - times[i]!)).toEqual(asked.map(attempt => attempt * 100))
  })

  test('at concurrency 1 the records behind one that waits for its retry wait too', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 2)
    const seen: string[] = []
    void group.join().run(
      (record, { attempt }) => {
        seen.push(`${at(record)} at ${clock.now()}`)
        if (record.offset === 0 && attempt === 1) throw new Error('no')
      },
      { retry: { attempts: 2, backoffMs: 100 } },
    )
    await clock.advance(99)
    expect(seen).toEqual(['0:0 at 0'])
    await clock.advance(1)
    expect(seen).toEqual(['0:0 at 0', '0:0 at 100', '0:1 at 100'])
  })

  test('while a record waits for its retry its key waits, and other keys go on', async () => {
    const { orders, group, drain, clock } = world()
    for (const key of ['a', 'b', 'a']) orders.publish({ key, value: 'x' })
    const seen: string[] = []
    void group.join().run(
      (record, { attempt }) => {
        seen.push(`${record.key}${record.offset}#${attempt}`)
        if (record.offset === 0 && attempt === 1) throw new Error('no')
      },
      { concurrency: 2, retry: { attempts: 2, backoffMs: 100 } },
    )
    await drain()
    expect(seen).toEqual(['a0#1', 'b1#1'])
    await clock.advance(100)
    expect(seen).toEqual(['a0#1', 'b1#1', 'a0#2', 'a2#1'])
  })

  test('what fails while it closes is not tried again: it stays uncommitted, and run() resolves', async () => {
    const { orders, group, drain, broker } = world()
    fill(orders, 0, 2)
    const end = gate()
    const seen: string[] = []
    const consumer = group.join()
    const run = watch(
      consumer.run(
        async (record, { attempt }) => {
          seen.push(`${at(record)}#${attempt}`)
          if (record.offset === 1) await end.promise
        },
        { retry: { attempts: 3 }, deadLetter: broker.topic('failed') },
      ),
    )
    await drain()
    const close = watch(consumer.close())
    end.fail(new Error('no'))
    await drain()
    expect([run.state, close.state, seen]).toEqual(['resolved', 'resolved', ['0:0#1', '0:1#1']])
    expect([group.committed('orders', 0), broker.topic('failed').partitions[0]!.endOffset]).toEqual([1, 0])
  })

  test('what waits for its retry does not hold up close(): it stays uncommitted, and run() resolves', async () => {
    const { orders, group, drain, clock } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const run = watch(
      consumer.run(
        () => {
          throw new Error('no')
        },
        { retry: { attempts: 3, backoffMs: 60_000 } },
      ),
    )
    await drain()
    await consumer.close()
    await drain()
    expect([run.state, group.committed('orders', 0) ?? 0, clock.now(), clock.timers]).toEqual(['resolved', 0, 0, 0])
  })

  test('each attempt restarts the count of maxPollIntervalMs', async () => {
    const { orders, group, clock } = world({ maxPollIntervalMs: 1_000 })
    fill(orders, 0, 1)
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const seen: number[] = []
    void group.join().run(
      async (_, { attempt }) => {
        seen.push(attempt)
        await new Promise<void>(resolve => clock.setTimeout(resolve, 600))
        if (attempt < 3) throw new Error('no')
      },
      { retry: { attempts: 3 } },
    )
    await clock.advance(1_800)
    expect([seen, left]).toEqual([[1, 2, 3], []])
  })

  test('a back-off longer than maxPollIntervalMs expels nobody', async () => {
    const { orders, group, clock } = world({ maxPollIntervalMs: 1_000 })
    fill(orders, 0, 1)
    const left: string[] = []
    group.on('leave', ({ reason }) => left.push(reason))
    const seen: number[] = []
    void group.join().run(
      async (_, { attempt }) => {
        seen.push(attempt)
        if (attempt === 1) throw new Error('no')
      },
      { retry: { attempts: 2, backoffMs: 5_000 } },
    )
    await clock.advance(5_000)
    expect([seen, left]).toEqual([[1, 2], []])
  })

  test('a dead letter has key, value, headers and timestamp of the record, where it came from and why', async () => {
    const { orders, group, drain, broker } = world({ partitions: 2 })
    orders.publish({ partition: 1, value: 'first' })
    orders.publish({
      partition: 1,
      key: 'k',
      value: 'v',
      timestamp: 77,
      headers: [
        ['h', '1'],
        ['h', null],
      ],
    })
    void group.join().run(
      record => {
        if (record.offset === 1) throw new Error('cannot read it')
      },
      { retry: { attempts: 3 }, deadLetter: broker.topic('failed') },
    )
    await drain()
    const [letter, ...more] = broker.topic('failed').partitions[0]!.read(0)
    expect(more).toEqual([])
    expect(letter).toMatchObject({ key: 'k', value: 'v', timestamp: 77 })
    expect(letter?.headers).toEqual([
      ['h', '1'],
      ['h', null],
      ['__dlq.errors.topic', 'orders'],
      ['__dlq.errors.partition', '1'],
      ['__dlq.errors.offset', '1'],
      ['__dlq.errors.group', 'g'],
      ['__dlq.errors.delivery.count', '3'],
      ['__dlq.errors.message', 'cannot read it'],
    ])
  })

  test('after a dead letter the run goes on with the next record', async () => {
    const { orders, group, drain, broker, clock } = world()
    fill(orders, 0, 3)
    const seen: string[] = []
    const run = watch(
      group.join().run(
        record => {
          seen.push(at(record))
          if (record.offset === 1) throw new Error('no')
        },
        { deadLetter: broker.topic('failed') },
      ),
    )
    await drain()
    await clock.advance(5_000)
    expect([run.state, seen, group.committed('orders', 0)]).toEqual(['pending', ['0:0', '0:1', '0:2'], 3])
  })

  test('a record does not count as done before its dead letter is written', async () => {
    const { orders, group, drain, clock } = world({ autoCommitIntervalMs: 0 })
    fill(orders, 0, 2)
    const written = gate()
    const seen: string[] = []
    void group.join().run(
      record => {
        seen.push(at(record))
        if (record.offset === 0) throw new Error('no')
      },
      { deadLetter: { name: 'elsewhere', publish: () => written.promise } },
    )
    await clock.advance(60_000)
    expect([seen, group.committed('orders', 0) ?? 0]).toEqual([['0:0'], 0])
    written.open()
    await drain()
    expect([seen, group.committed('orders', 0)]).toEqual([['0:0', '0:1'], 2])
  })

  test('in manualCommit mode a dead letter is committed if all before it are', async () => {
    const { orders, group, drain, broker } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 3)
    void group.join().run(
      async (record, { commit }) => {
        if (record.offset === 1) throw new Error('no')
        if (record.offset === 0) await commit()
      },
      { deadLetter: broker.topic('failed') },
    )
    await drain()
    expect(group.committed('orders', 0)).toBe(2)
  })

  test('a dead letter takes along what handlers behind it have asked to be committed', async () => {
    const { orders, group, clock, drain, broker } = world({ commitMode: 'manualCommit' })
    orders.publishAll(['bad', 'good'].map(key => ({ key, value: key })))
    void group.join().run(
      async ({ key }, { commit }) => {
        if (key === 'bad') throw new Error('bad')
        await commit()
      },
      { concurrency: 2, retry: { attempts: 2, backoffMs: 100 }, deadLetter: broker.topic('failed') },
    )
    await drain()
    await clock.advance(100)
    expect([group.committed('orders', 0), group.lag()]).toEqual([2, 0])
    await broker.close()
  })

  test('in manualCommit mode a dead letter is not committed over a record that is not', async () => {
    const { orders, group, drain, broker } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 3)
    void group.join().run(
      record => {
        if (record.offset === 1) throw new Error('no')
      },
      { deadLetter: broker.topic('failed') },
    )
    await drain()
    expect([group.committed('orders', 0), broker.topic('failed').partitions[0]!.endOffset]).toEqual([undefined, 1])
  })

  test('nor over one behind it that has succeeded: nobody has asked for that', async () => {
    const { orders, group, drain, broker } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 3)
    const first = gate()
    void group.join().run(({ offset }) => (offset === 0 ? first.promise : undefined), {
      concurrency: 2,
      deadLetter: broker.topic('failed'),
    })
    await drain()
    first.fail(new Error('no'))
    await drain()
    expect(group.committed('orders', 0)).toBe(1)
  })

  test('a deadLetter that is one of its own topics is INVALID_CONFIG, and the consumer stays usable', async () => {
    const { orders, group } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    await refused(() => consumer.run(() => {}, { deadLetter: orders }), 'INVALID_CONFIG', 'orders')
    expect(consumer.closed).toBe(false)
    expect((await consumer.poll()).map(at)).toEqual(['0:0'])
  })

  test('the timers of a back-off and of a close are not unref-ed: work is under way', async () => {
    const { clock, group, publish } = setupOn(new BusyClock(), {
      maxPollIntervalMs: 9_000,
      autoCommitIntervalMs: 8_000,
    })
    publish(0, 2)
    const consumer = group.join()
    const at = async (due: number): Promise<unknown[]> => {
      await Promise.resolve()
      return [...clock.timers].filter(timer => timer.due === due).map(timer => clock.unrefs.has(timer))
    }
    const end = gate()
    void consumer.run(
      ({ offset }) => {
        if (offset === 0) throw new Error('no')
        return end.promise
      },
      { concurrency: 2, retry: { attempts: 2, backoffMs: 700 } },
    )
    await drain()
    expect(await at(700)).toEqual([false])
    const closed = consumer.close({ timeoutMs: 3_000 })
    expect(await at(3_000)).toEqual([false])
    end.open()
    await closed
    expect(clock.timers.size).toBe(0)
  })

  test('options that are refused change nothing: what a poll has handed out is not finished by them', async () => {
    const { orders, group } = world({ autoCommitIntervalMs: 0 })
    fill(orders, 0, 1)
    const consumer = group.join()
    await consumer.poll()
    await refused(() => consumer.run(() => {}, { concurrency: 0 }), 'INVALID_CONFIG', 'concurrency', '0')
    await refused(() => consumer.run(() => {}, { retry: { attempts: 0 } }), 'INVALID_CONFIG', 'retry.attempts', '0')
    expect(group.committed('orders', 0)).toBe(undefined)
    crash(consumer)
    expect((await group.join().poll()).map(at)).toEqual(['0:0'])
  })

  test('a deadLetter that only other members of the group read is accepted', async () => {
    const { orders, broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'failed'] })
    fill(orders, 0, 1)
    const run = watch(
      group.join({ topics: ['orders'] }).run(
        () => {
          throw new Error('no')
        },
        { deadLetter: broker.topic('failed') },
      ),
    )
    await drain()
    expect([run.state, broker.topic('failed').partitions[0]!.endOffset]).toEqual(['pending', 1])
  })
})

describe('rule 47: a record that failed for good', () => {
  test('rejects run() with HANDLER_FAILED, which says where, and has the error itself as its cause', async () => {
    const { orders, group } = world({ partitions: 2 })
    fill(orders, 1, 2)
    const why = new Error('no')
    const run = group.join().run(
      record => {
        if (record.offset === 1) throw why
      },
      { retry: { attempts: 2 } },
    )
    const error = await run.catch((thrown: unknown) => thrown)
    expectCode(error, 'HANDLER_FAILED', 'orders-1', '1')
    if (!isMillraceError(error, 'HANDLER_FAILED')) return expect.unreachable()
    expect(error.details).toEqual({ topic: 'orders', partition: 1, offset: 1, attempts: 2 })
    expect(error.cause).toBe(why)
  })

  test('is read again by the next owner: only the finished prefix is committed', async () => {
    const { orders, group } = world()
    fill(orders, 0, 3)
    const run = group.join().run(record => {
      if (record.offset === 1) throw new Error('no')
    })
    await refused(() => run, 'HANDLER_FAILED')
    expect(group.committed('orders', 0)).toBe(1)
    expect((await group.join().poll()).map(at)).toEqual(['0:1', '0:2'])
  })

  test('is not committed over by later records that have finished', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 3)
    const end = gate()
    const run = watch(group.join().run(record => (record.offset === 0 ? end.promise : undefined), { concurrency: 3 }))
    await drain()
    end.fail(new Error('no'))
    await drain()
    expectCode(run.error, 'HANDLER_FAILED')
    expect(group.committed('orders', 0) ?? 0).toBe(0)
    expect((await group.join().poll()).map(at)).toEqual(['0:0', '0:1', '0:2'])
  })

  test('puts position back to it at once, while others are still in flight', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    const [fails, ends] = [gate(), gate()]
    const consumer = group.join({ onRevoked: () => {} })
    const run = watch(
      consumer.run(record => (record.partition === 0 ? fails.promise : ends.promise), { concurrency: 2 }),
    )
    await drain()
    expect(consumer.position('orders', 0)).toBe(1)
    fails.fail(new Error('no'))
    await drain()
    expect([consumer.position('orders', 0), run.state]).toEqual([0, 'pending'])
    ends.open()
    await drain()
    expect(run.state).toBe('rejected')
    expect([group.committed('orders', 0) ?? 0, group.committed('orders', 1)]).toEqual([0, 1])
  })

  test('starts no new handler', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 3)
    fill(orders, 1, 3)
    const ends = gate()
    const seen: string[] = []
    const run = watch(
      group.join().run(
        async record => {
          seen.push(at(record))
          if (seen.length === 1) throw new Error('no')
          await ends.promise
        },
        { concurrency: 2 },
      ),
    )
    await drain()
    const started = seen.length
    fill(orders, 0, 3)
    ends.open()
    await drain()
    expect([run.state, seen.length]).toEqual(['rejected', started])
    expect(started).toBeLessThanOrEqual(2)
  })

  test('closes the consumer: auto-commit, onRevoked, leave, and only then run() rejects', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const log: string[] = []
    const revoked = gate()
    group.on('commit', ({ offsets }) => log.push(`commit ${offsets.map(each => each.nextOffset)}`))
    group.on('leave', ({ reason }) => log.push(`leave ${reason}`))
    const consumer = group.join({
      onRevoked: async list => {
        log.push(`revoked ${where(list)}`)
        await revoked.promise
      },
    })
    consumer
      .run(record => {
        if (record.offset === 1) throw new Error('no')
      })
      .catch(() => log.push('run rejected'))
    await drain()
    expect([log, consumer.closed]).toEqual([['commit 1', 'revoked orders-0'], true])
    revoked.open()
    await drain()
    expect(log).toEqual(['commit 1', 'revoked orders-0', 'leave closed', 'run rejected'])
    expect(group.members).toEqual([])
  })

  test('commits nothing in manualCommit mode', async () => {
    const { orders, group } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 3)
    const run = group.join().run(record => {
      if (record.offset === 1) throw new Error('no')
    })
    await refused(() => run, 'HANDLER_FAILED')
    expect(group.committed('orders', 0)).toBeUndefined()
  })

  test.each(['throws', 'rejects'])('a dead letter topic that %s counts as a failed handler', async how => {
    const { orders, group } = world()
    fill(orders, 0, 2)
    const refusal = new Error('full')
    const run = group.join().run(
      record => {
        if (record.offset === 1) throw new Error('no')
      },
      {
        deadLetter: {
          name: 'elsewhere',
          publish: () => {
            if (how === 'throws') throw refusal
            return Promise.reject(refusal)
          },
        },
      },
    )
    await refused(() => run, 'HANDLER_FAILED', 'orders-0')
    expect(group.committed('orders', 0)).toBe(1)
  })

  test('leaves the other members at work, with its partitions', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    const a = group.join()
    const b = group.join()
    const seen: string[] = []
    const run = watch(
      a.run(() => {
        throw new Error('no')
      }),
    )
    const other = watch(b.run(record => void seen.push(at(record))))
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    await drain()
    expect([run.state, other.state, seen.sort()]).toEqual(['rejected', 'pending', ['0:0', '1:0']])
  })
})

describe('context.commit()', () => {
  test('counts its record as finished and commits it at once', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 2)
    void group.join().run(async (_, { commit }) => {
      await commit()
      await gate().promise
    })
    await drain()
    expect(group.committed('orders', 0)).toBe(1)
  })

  test('commits its partition up to the first unfinished record only', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit', partitions: 2 })
    fill(orders, 0, 3)
    fill(orders, 1, 1)
    const end = gate()
    void group.join().run(
      async (record, { commit }) => {
        if (at(record) === '0:1') await end.promise
        if (record.partition === 0) await commit()
      },
      { concurrency: 4 },
    )
    await drain()
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([1, undefined])
    end.open()
    await drain()
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([3, undefined])
  })

  test('does not let the next record of its key start while the handler is at work', async () => {
    const { orders, group, drain } = world()
    for (const key of ['a', 'a', 'b']) orders.publish({ key, value: 'x' })
    const end = gate()
    const seen: string[] = []
    void group.join().run(
      async (record, { commit }) => {
        seen.push(at(record))
        await commit()
        if (record.offset === 0) await end.promise
      },
      { concurrency: 3 },
    )
    await drain()
    expect(seen).toEqual(['0:0', '0:2'])
    end.open()
    await drain()
    expect(seen).toEqual(['0:0', '0:2', '0:1'])
  })

  test('a throw after it is retried as any other, and nothing goes back below the commit', async () => {
    const { orders, group, drain } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 1)
    const seen: number[] = []
    void group.join().run(
      async (_, { attempt, commit }) => {
        seen.push(attempt)
        if (attempt === 1) {
          await commit()
          throw new Error('no')
        }
      },
      { retry: { attempts: 2 } },
    )
    await drain()
    expect([seen, group.committed('orders', 0)]).toEqual([[1, 2], 1])
  })

  test('a throw after it is dead-lettered as any other', async () => {
    const { orders, group, drain, broker } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 1)
    void group.join().run(
      async (_, { commit }) => {
        await commit()
        throw new Error('no')
      },
      { deadLetter: broker.topic('failed') },
    )
    await drain()
    expect([broker.topic('failed').partitions[0]!.endOffset, group.committed('orders', 0)]).toEqual([1, 1])
  })

  test('a throw after it rejects run(), and the close that follows commits nothing below it', async () => {
    const { orders, group } = world()
    fill(orders, 0, 2)
    const run = group.join().run(async (record, { commit }) => {
      if (record.offset === 0) return
      await commit()
      throw new Error('no')
    })
    await refused(() => run, 'HANDLER_FAILED')
    expect(group.committed('orders', 0)).toBe(2)
  })
})

describe('context.stop() and run({ signal })', () => {
  test('stop() returns at once; handlers in flight finish, their records count, and run() resolves', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    fill(orders, 1, 1)
    const end = gate()
    const seen: string[] = []
    const consumer = group.join()
    const run = watch(
      consumer.run(
        async (record, { stop }) => {
          seen.push(at(record))
          if (record.partition === 1) await end.promise
          else if (record.offset === 1) expect(stop()).toBeUndefined()
        },
        { concurrency: 2 },
      ),
    )
    await drain()
    for (let i = 0; i < 3; i++) orders.publish({ partition: 0, value: 'x' })
    await drain()
    expect([run.state, consumer.closed]).toEqual(['pending', true])
    expect(seen.sort()).toEqual(['0:0', '0:1', '1:0'])
    end.open()
    await drain()
    expect(run.state).toBe('resolved')
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([2, 1])
    expect(group.members).toEqual([])
  })

  test('stop() called as a function of its own works', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const seen: string[] = []
    const run = watch(
      group.join().run((record, { stop }) => {
        seen.push(at(record))
        const later = stop
        later()
      }),
    )
    await drain()
    expect([run.state, seen]).toEqual(['resolved', ['0:0']])
  })

  test('an abort of signal closes in an orderly way, and run() resolves', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 3)
    const end = gate()
    const controller = new AbortController()
    const seen: string[] = []
    const consumer = group.join()
    const run = watch(
      consumer.run(
        async record => {
          seen.push(at(record))
          if (record.offset === 1) await end.promise
        },
        { signal: controller.signal },
      ),
    )
    await drain()
    controller.abort(new Error('enough'))
    await drain()
    expect([run.state, consumer.closed]).toEqual(['pending', true])
    end.open()
    await drain()
    expect([run.state, seen, group.committed('orders', 0)]).toEqual(['resolved', ['0:0', '0:1'], 2])
  })

  test('an abort does not abort the signal of the handlers', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const controller = new AbortController()
    const signals: AbortSignal[] = []
    void group.join().run(
      (_, { signal }) => {
        signals.push(signal)
        return gate().promise
      },
      { signal: controller.signal },
    )
    await drain()
    controller.abort()
    await drain()
    expect(signals.map(signal => signal.aborted)).toEqual([false])
  })

  test('with a signal that is aborted already run() calls no handler, closes and resolves', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const seen: string[] = []
    const consumer = group.join()
    const run = watch(consumer.run(record => void seen.push(at(record)), { signal: AbortSignal.abort() }))
    await drain()
    expect([run.state, seen, consumer.closed, group.members]).toEqual(['resolved', [], true, []])
  })
})
