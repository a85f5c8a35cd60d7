import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, BusyClock, deferred, drain, owned, setup, setupOn, watch } from './support-b.js'

const orders = (partition: number, nextOffset: number) => ({ topic: 'orders' as const, partition, nextOffset })

describe('1.0: auto-commit writes what the consumer has come back from', () => {
  test('an explicit commit that is further stands, though a move commits everything', async () => {
    const { group, publish, committed } = setup({}, 2)
    publish(0, 5)
    const consumer = group.join()
    const records = await consumer.poll()
    await consumer.commit(records.slice(0, 3))
    expect(owned(group.join())).toEqual([1])
    await drain()
    expect(committed(0)).toBe(3)
  })

  test('an explicit commit of a loop stands at close(), which does not count its record in hand', async () => {
    const { group, publish, committed } = setup()
    publish(0, 5)
    const consumer = group.join()
    for await (const record of consumer) {
      if (record.offset !== 2) continue
      await consumer.commit(record)
      break
    }
    await consumer.close()
    expect(committed()).toBe(3)
  })

  test('an explicit commit past the position is not kept', async () => {
    const { group, publish, committed } = setup()
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit([orders(0, 100)])
    await consumer.close()
    expect(committed()).toBe(5)
  })

  test('an explicit commit before a seek is not kept, though the position is past it again', async () => {
    const { group, publish, committed } = setup({}, 2)
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    await consumer.poll({ timeoutMs: 0 })
    consumer.seek('orders', 0, 1)
    expect(at(await consumer.poll())).toEqual(['0:1', '0:2', '0:3', '0:4'])
    expect(owned(group.join())).toEqual([1])
    expect(committed(0)).toBe(1)
  })

  test('a seek back goes before an explicit commit of before', async () => {
    const { group, publish, committed } = setup()
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    consumer.seek('orders', 0, 1)
    await consumer.close()
    expect(committed()).toBe(1)
  })

  test('leaving a loop is not coming back: its record in hand is not committed at close()', async () => {
    const { group, publish, committed } = setup()
    publish(0, 5)
    const consumer = group.join()
    for await (const record of consumer) if (record.offset === 2) break
    await consumer.close()
    expect(committed()).toBe(2)
  })

  test('a poll after a loop that was left finishes its record in hand', async () => {
    const { group, publish, committed } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 3)
    const consumer = group.join()
    for await (const _record of consumer) break
    expect(at(await consumer.poll())).toEqual(['0:1', '0:2'])
    expect(committed()).toBe(1)
  })
})

describe('rule 33 (a): on coming back, before anything is handed out', () => {
  test('the first poll after the interval commits what the polls before it handed out, and no more', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 10)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 3 })
    await clock.advance(5_000)
    expect(committed()).toBeUndefined()
    expect(at(await consumer.poll({ maxRecords: 3 }))).toEqual(['0:3', '0:4', '0:5'])
    expect(committed()).toBe(3)
  })

  test('a poll before the interval is over commits nothing', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 10)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 3 })
    await clock.advance(4_999)
    await consumer.poll({ maxRecords: 3 })
    expect(committed()).toBeUndefined()
  })

  test('a poll with timeoutMs 0 is a coming back', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await clock.advance(5_000)
    expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
    expect(committed()).toBe(3)
  })

  test('a step of a loop is a coming back: it commits the record before it', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 10)
    const loop = group.join()[Symbol.asyncIterator]()
    await loop.next()
    await loop.next()
    await clock.advance(5_000)
    expect(committed()).toBeUndefined()
    await loop.next()
    expect(committed()).toBe(2)
  })

  test('the commit comes before the hand-out', async () => {
    const { clock, group, publish } = setup()
    publish(0, 4)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 2 })
    await clock.advance(5_000)
    const log: string[] = []
    group.on('commit', ({ offsets }) => log.push(`commit ${offsets[0]!.nextOffset}`))
    const next = consumer.poll().then(records => log.push(`records ${at(records).join(' ')}`))
    await next
    expect(log).toEqual(['commit 2', 'records 0:2 0:3'])
  })

  test('it writes every owned partition that has a position', async () => {
    const { clock, group, publish, committed } = setup({}, 3)
    publish(0, 2)
    publish(2, 1)
    const consumer = group.join()
    await consumer.poll()
    await clock.advance(5_000)
    await consumer.poll({ timeoutMs: 0 })
    expect([committed(0), committed(1), committed(2)]).toEqual([2, 0, 1])
  })
})

describe('rule 33 (b): while parked, by a timer', () => {
  test('a parked poll commits what has come back when the interval ends', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    const parked = watch(consumer.poll())
    await clock.advance(4_999)
    expect(committed()).toBeUndefined()
    await clock.advance(1)
    expect([parked.state, committed()]).toEqual(['pending', 3])
  })

  test('a parked step of a loop does too', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 1)
    const loop = group.join()[Symbol.asyncIterator]()
    await loop.next()
    const parked = watch(loop.next())
    await clock.advance(5_000)
    expect([parked.state, committed()]).toEqual(['pending', 1])
  })

  test('an idle run() does too', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 2)
    void group.join().run(() => {})
    await drain()
    expect(committed()).toBeUndefined()
    await clock.advance(5_000)
    expect(committed()).toBe(2)
  })

  test('a timer waits only while something differs from what is committed', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    const before = clock.timers
    void consumer.poll()
    await drain()
    expect(clock.timers).toBe(before + 1)
    await clock.advance(5_000)
    expect([committed(), clock.timers]).toEqual([3, before])
  })

  test('nothing is committed while records are in hand, though it was parked before', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 1)
    const consumer = group.join()
    await consumer.poll()
    const parked = consumer.poll()
    await clock.advance(3_000)
    publish(0, 1)
    await parked
    await clock.advance(60_000)
    expect(committed()).toBeUndefined()
    await consumer.poll({ timeoutMs: 0 })
    expect(committed()).toBe(2)
  })

  test('run() that waits commits each time that it has worked, not only the first', async () => {
    const { clock, group, publish, commits } = setup({ autoCommitIntervalMs: 100 })
    const consumer = group.join()
    const running = consumer.run(() => {})
    for (let round = 1; round <= 3; round++) {
      await clock.advance(1_000)
      publish(0, 1)
      await clock.advance(1_000)
      expect(commits.at(-1)).toBe(`0=${round}`)
    }
    await consumer.close()
    await running
  })

  test('its timer is unref-ed: it keeps no process alive', async () => {
    const { clock, group, publish } = setupOn(new BusyClock())
    publish(0, 1)
    const consumer = group.join()
    await consumer.poll()
    const before = new Set(clock.timers)
    void consumer.poll()
    await drain()
    const made = [...clock.timers].filter(timer => !before.has(timer))
    expect(made.map(timer => clock.unrefs.has(timer))).toEqual([true])
  })

  test('a seek made while it is parked is committed when the interval ends', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    const parked = watch(consumer.poll())
    await drain()
    consumer.pause()
    consumer.seek('orders', 0, 2)
    await clock.advance(5_000)
    expect([parked.state, committed()]).toEqual(['pending', 2])
  })

  test('no timer is armed where all is committed', async () => {
    const { clock, group, publish } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    const before = clock.timers
    void consumer.poll()
    await drain()
    expect(clock.timers).toBe(before)
  })
})

describe('rule 33 (c), (d): before a partition moves, and at close()', () => {
  test('a move commits what has come back of all its partitions', async () => {
    const { group, publish, committed } = setup({}, 2)
    publish(0, 2)
    publish(1, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    expect([committed(0), committed(1)]).toEqual([undefined, undefined])
    expect(owned(group.join())).toEqual([1])
    expect([committed(0), committed(1)]).toEqual([2, 3])
  })

  test('close() is a coming back from all that poll() handed out', async () => {
    const { group, publish, committed } = setup()
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 2 })
    await consumer.poll({ maxRecords: 2 })
    await consumer.close()
    expect(committed()).toBe(4)
  })

  // Kafka: PlaintextConsumerCommitTest.testAutoCommitOnClose
  test('close() commits the positions that were sought', async () => {
    const { group, publish, committed } = setup({}, 2)
    publish(0, 500)
    publish(1, 500)
    const consumer = group.join()
    await consumer.ready()
    consumer.seek('orders', 0, 300)
    consumer.seek('orders', 1, 500)
    await consumer.close()
    expect([committed(0), committed(1)]).toEqual([300, 500])
  })
})

describe('rule 33: what never commits', () => {
  test('a handler that has finished', async () => {
    const { clock, group, publish, committed, commits } = setup()
    publish(0, 3)
    const seen: number[] = []
    void group.join().run(record => void seen.push(record.offset))
    await clock.advance(4_999)
    expect([seen, committed(), commits]).toEqual([[0, 1, 2], undefined, []])
  })

  test('caughtUp()', async () => {
    const { group, publish, committed } = setup()
    publish(0, 3)
    void group.join().run(() => {})
    await group.caughtUp()
    expect([committed(), group.lag()]).toEqual([undefined, 3])
  })

  test('a crash', async () => {
    const { group, publish, committed, commits } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    crash(consumer)
    await drain()
    expect([committed(), commits]).toEqual([undefined, []])
  })

  test('an expulsion, and the coming back after it', async () => {
    const { clock, group, publish, committed, commits } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    expel(consumer)
    await clock.advance(60_000)
    expect(at(await consumer.poll())).toEqual(['0:0', '0:1', '0:2'])
    expect([committed(), commits]).toEqual([undefined, []])
  })

  test('a fencing', async () => {
    const { group, publish, committed, commits } = setup()
    publish(0, 3)
    const older = group.join({ instanceId: 'worker-1' })
    await older.poll()
    await older.poll({ timeoutMs: 0 })
    group.join({ instanceId: 'worker-1' })
    await drain()
    expect([committed(), commits]).toEqual([undefined, []])
  })

  test('the deletion of a topic', async () => {
    const { broker, group, publish, commits } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    broker.deleteTopic('orders')
    await drain()
    await consumer.close()
    expect(commits).toEqual([])
  })

  test('but a finished handler makes run() look for more, and an interval that is over is acted on then', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 3)
    const gates = [deferred(), deferred(), deferred()]
    void group.join().run(record => gates[record.offset]!.promise)
    await drain()
    await clock.advance(6_000)
    expect(committed()).toBeUndefined()
    gates[0]!.resolve()
    await drain()
    expect(committed()).toBe(1)
  })
})

describe('rule 34: skipped where equal, and when the interval restarts', () => {
  test('what is committed already is not committed again, and there is no event', async () => {
    const { clock, group, publish, commits } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    for (let i = 0; i < 5; i++) await consumer.poll({ timeoutMs: 0 })
    await clock.advance(60_000)
    await consumer.close()
    expect(commits).toEqual(['0=3'])
  })

  test('only the partitions that differ are in the event', async () => {
    const { group, publish, commits } = setup({ autoCommitIntervalMs: 0 }, 2)
    publish(0, 1)
    publish(1, 1)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    publish(1, 1)
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    await drain()
    expect(commits).toEqual(['0=1 1=1', '1=2'])
  })

  test('a poll parked for an hour commits once', async () => {
    const { clock, group, publish, commits } = setup()
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    void consumer.poll()
    await clock.advance(3_600_000)
    expect(commits).toEqual(['0=3'])
  })

  test('a commit because of a move restarts the interval', async () => {
    const { clock, group, publish, committed } = setup({}, 2)
    publish(0, 1)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    await clock.advance(3_000)
    group.join()
    expect(committed(0)).toBe(1)
    publish(0, 1)
    await consumer.poll()
    await clock.advance(4_999)
    await consumer.poll({ timeoutMs: 0 })
    expect(committed(0)).toBe(1)
    await clock.advance(1)
    await consumer.poll({ timeoutMs: 0 })
    expect(committed(0)).toBe(2)
  })

  test('a commit on the interval restarts it', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 2)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 1 })
    await clock.advance(7_000)
    await consumer.poll({ maxRecords: 1 })
    expect(committed()).toBe(1)
    await clock.advance(4_999)
    await consumer.poll({ timeoutMs: 0 })
    expect(committed()).toBe(1)
    await clock.advance(1)
    await consumer.poll({ timeoutMs: 0 })
    expect(committed()).toBe(2)
  })

  test('a commit because of a move restarts it also for a consumer that was parked already', async () => {
    const { clock, group, publish, committed } = setup({}, 2)
    publish(0, 1)
    const consumer = group.join()
    await consumer.poll()
    const parked = consumer.poll()
    await clock.advance(3_000)
    group.join()
    expect(committed(0)).toBe(1)
    publish(0, 1)
    await parked
    void consumer.poll()
    await clock.advance(4_999)
    expect(committed(0)).toBe(1)
    await clock.advance(1)
    expect(committed(0)).toBe(2)
  })

  test('an explicit commit is no auto-commit, and does not restart it', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 3)
    const consumer = group.join()
    const records = await consumer.poll()
    await clock.advance(3_000)
    await consumer.commit(records[0]!)
    await clock.advance(2_000)
    await consumer.poll({ timeoutMs: 0 })
    expect(committed()).toBe(3)
  })

  test('receiving partitions does not restart it', async () => {
    const { clock, group, publish, committed } = setup({}, 2)
    publish(0, 1)
    const consumer = group.join()
    const other = group.join()
    await consumer.poll()
    await clock.advance(3_000)
    crash(other)
    expect(owned(consumer)).toEqual([0, 1])
    await clock.advance(2_000)
    await consumer.poll({ timeoutMs: 0 })
    expect(committed(0)).toBe(1)
  })

  test('an interval of 0 commits at every coming back of poll()', async () => {
    const { group, publish, committed } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 6)
    const consumer = group.join()
    const seen: (number | undefined)[] = []
    for (let i = 0; i < 3; i++) {
      await consumer.poll({ maxRecords: 2 })
      seen.push(committed())
    }
    await consumer.poll({ timeoutMs: 0 })
    seen.push(committed())
    expect(seen.map(offset => offset ?? 0)).toEqual([0, 2, 4, 6])
  })

  test('an interval of 0 commits at every step of a loop', async () => {
    const { group, publish, committed } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 3)
    const seen: number[] = []
    for await (const record of group.join()) {
      seen.push(committed() ?? 0)
      if (record.offset === 2) break
    }
    expect(seen).toEqual([0, 1, 2])
  })

  test('an interval of 0 commits whenever run() looks for the next record', async () => {
    const { group, publish, committed } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 3)
    const seen: number[] = []
    void group.join().run(() => void seen.push(committed() ?? 0))
    await drain()
    expect([seen, committed()]).toEqual([[0, 1, 2], 3])
  })
})

describe('rule 35: what auto-commit never covers', () => {
  test('records that a loop has read ahead', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 10)
    const loop = group.join()[Symbol.asyncIterator]()
    await loop.next()
    await clock.advance(5_000)
    await loop.next()
    expect(committed()).toBe(1)
  })

  test('records in hand of other partitions, when one moves', async () => {
    const { group, publish, committed } = setup({}, 2)
    const consumer = group.join()
    publish(1, 2)
    expect(at(await consumer.poll())).toEqual(['1:0', '1:1'])
    publish(0, 2)
    expect(at(await consumer.poll())).toEqual(['0:0', '0:1'])
    expect(owned(group.join())).toEqual([1])
    expect([committed(0) ?? 0, committed(1)]).toEqual([0, 2])
  })

  test('a handler of run() that has not finished, nor what has finished behind it', async () => {
    const { clock, group, publish, committed } = setup()
    publish(0, 4)
    const slow = deferred()
    void group.join().run(record => (record.offset === 1 ? slow.promise : undefined), { concurrency: 4 })
    await clock.advance(5_000)
    publish(0, 1)
    await clock.advance(5_000)
    expect(committed()).toBe(1)
    slow.resolve()
    await drain()
    await clock.advance(5_000)
    expect(committed()).toBe(5)
  })

  test('a handler of run() that has failed and is to be tried again', async () => {
    const { clock, group, publish, committed } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 2)
    let attempts = 0
    void group.join().run(
      record => {
        if (record.offset === 1 && ++attempts < 3) throw new Error('not yet')
      },
      { retry: { attempts: 3, backoffMs: 60_000 } },
    )
    await clock.advance(60_000)
    expect([attempts, committed()]).toEqual([2, 1])
    await clock.advance(60_000)
    expect([attempts, committed()]).toEqual([3, 2])
  })

  test('a handler of run() that has failed for good', async () => {
    const { group, publish, committed } = setup()
    publish(0, 3)
    const run = watch(
      group.join().run(record => {
        if (record.offset === 1) throw new Error('no good')
      }),
    )
    await drain()
    expect([run.state, committed()]).toEqual(['rejected', 1])
  })
})
