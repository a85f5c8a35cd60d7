import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, deferred, drain, failure, manual, type Order, owned, setup } from './groups/support-b.js'

// Kafka: docs/design.html, message delivery semantics; what a crash loses or repeats is in the hands of who commits.

describe('manualCommit', () => {
  test('process, then commit: a crash before the commit repeats, and loses nothing', async () => {
    const { group, publish } = setup(manual)
    publish(0, 4)
    const processed: string[] = []
    const first = group.join()
    processed.push(...at(await first.poll({ maxRecords: 2 })))
    await first.commit()
    processed.push(...at(await first.poll({ maxRecords: 2 })))
    crash(first)
    processed.push(...at(await group.join().poll()))
    expect(processed).toEqual(['0:0', '0:1', '0:2', '0:3', '0:2', '0:3'])
  })

  test('process, then commit: a crash after the commit neither repeats nor loses', async () => {
    const { group, publish } = setup(manual)
    publish(0, 4)
    const processed: string[] = []
    const first = group.join()
    processed.push(...at(await first.poll({ maxRecords: 2 })))
    await first.commit()
    crash(first)
    processed.push(...at(await group.join().poll()))
    expect(processed).toEqual(['0:0', '0:1', '0:2', '0:3'])
  })

  test('commit, then process: a crash in between loses what was in hand, and repeats nothing', async () => {
    const { group, publish } = setup(manual)
    publish(0, 4)
    const processed: string[] = []
    const first = group.join()
    const records = await first.poll({ maxRecords: 3 })
    await first.commit()
    processed.push(...at(records.slice(0, 1)))
    crash(first)
    processed.push(...at(await group.join().poll()))
    expect(processed).toEqual(['0:0', '0:3'])
  })

  test('commit of each record: a crash in the middle of a batch repeats from the first uncommitted one', async () => {
    const { group, publish } = setup(manual)
    publish(0, 4)
    const first = group.join()
    const records = await first.poll()
    for (const record of records.slice(0, 2)) await first.commit(record)
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:2', '0:3'])
  })

  test('an orderly close without a commit repeats everything', async () => {
    const { group, publish } = setup(manual)
    publish(0, 2)
    const first = group.join()
    await first.poll()
    await first.close()
    expect(at(await group.join().poll())).toEqual(['0:0', '0:1'])
  })
})

describe('autoCommit with poll()', () => {
  test('a crash in the middle of a batch repeats it', async () => {
    const { group, publish } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 6)
    const first = group.join()
    await first.poll({ maxRecords: 2 })
    expect(at(await first.poll({ maxRecords: 2 }))).toEqual(['0:2', '0:3'])
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:2', '0:3', '0:4', '0:5'])
  })

  test('a crash within the interval repeats all that came since the last commit', async () => {
    const { clock, group, publish } = setup()
    publish(0, 6)
    const first = group.join()
    await first.poll({ maxRecords: 1 })
    await clock.advance(5_000)
    await first.poll({ maxRecords: 1 })
    await first.poll({ maxRecords: 1 })
    await clock.advance(4_000)
    await first.poll({ maxRecords: 1 })
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:1', '0:2', '0:3', '0:4', '0:5'])
  })

  test('work that nobody awaits is lost in a crash after the next poll', async () => {
    const { group, publish } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 3)
    const processed: string[] = []
    const never = deferred()
    const first = group.join()
    const handOver = async (record: Order): Promise<void> => {
      await never.promise
      processed.push(...at([record]))
    }
    for (const record of await first.poll()) void handOver(record)
    await first.poll({ timeoutMs: 0 })
    crash(first)
    processed.push(...at(await group.join().poll({ timeoutMs: 0 })))
    expect(processed).toEqual([])
  })

  test('an orderly close neither repeats nor loses', async () => {
    const { group, publish } = setup()
    publish(0, 4)
    const first = group.join()
    const seen = at(await first.poll({ maxRecords: 2 }))
    await first.close()
    seen.push(...at(await group.join().poll()))
    expect(seen).toEqual(['0:0', '0:1', '0:2', '0:3'])
  })

  test('a hand-over to another member neither repeats nor loses', async () => {
    const { group, publish } = setup({}, 2)
    publish(0, 4)
    publish(1, 4)
    const first = group.join()
    const seen = at(await first.poll({ maxRecords: 6 }))
    const second = group.join()
    seen.push(...at(await first.poll({ timeoutMs: 0 })), ...at(await second.poll({ timeoutMs: 0 })))
    expect(seen).toEqual(['0:0', '0:1', '0:2', '0:3', '1:0', '1:1', '1:2', '1:3'])
    expect([owned(first), owned(second)]).toEqual([[0], [1]])
  })

  test('a crash after another partition has moved repeats what was in hand', async () => {
    const { group, publish } = setup({}, 2)
    const first = group.join()
    publish(1, 1)
    await first.poll()
    publish(0, 2)
    expect(at(await first.poll())).toEqual(['0:0', '0:1'])
    const second = group.join()
    expect(owned(second)).toEqual([1])
    crash(first)
    expect(at(await second.poll())).toEqual(['0:0', '0:1'])
  })

  test('an expulsion repeats what was not committed, also what had been come back from', async () => {
    const { clock, group, publish } = setup({ maxPollIntervalMs: 10_000 })
    publish(0, 4)
    const slow = group.join()
    await slow.poll({ maxRecords: 2 })
    await clock.advance(5_000)
    await slow.poll({ maxRecords: 1 })
    const other = group.join()
    await clock.advance(9_999)
    await other.poll({ timeoutMs: 0 })
    await clock.advance(1)
    expect(at(await other.poll())).toEqual(['0:2', '0:3'])
  })
})

describe('autoCommit with for await', () => {
  test('a crash in the body repeats the record in hand, and none before it', async () => {
    const { group, publish } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 4)
    const first = group.join()
    const seen: string[] = []
    for await (const record of first) {
      seen.push(...at([record]))
      if (record.offset === 1) crash(first)
    }
    seen.push(...at(await group.join().poll()))
    expect(seen).toEqual(['0:0', '0:1', '0:1', '0:2', '0:3'])
  })

  test('a throw in the body and an orderly close repeat the record that failed', async () => {
    const { group, publish } = setup()
    publish(0, 3)
    const first = group.join()
    const body = async (): Promise<void> => {
      for await (const record of first) if (record.offset === 1) throw new Error('no good')
    }
    await failure(body)
    await first.close()
    expect(at(await group.join().poll())).toEqual(['0:1', '0:2'])
  })

  test('a crash loses nothing that was read ahead', async () => {
    const { clock, group, publish } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 100)
    const loop = group.join()
    const steps = loop[Symbol.asyncIterator]()
    await steps.next()
    await steps.next()
    await clock.advance(60_000)
    crash(loop)
    expect((await group.join().poll())[0]?.offset).toBe(1)
  })
})

describe('run()', () => {
  test('a crash while a handler is at work repeats its record for the next owner', async () => {
    const { group, publish } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 3)
    const never = deferred()
    const first = group.join()
    const seen: string[] = []
    const run = first.run(record => {
      seen.push(...at([record]))
      return record.offset === 1 ? never.promise : undefined
    })
    await drain()
    crash(first)
    expect(await run).toBeUndefined()
    void group.join().run(record => void seen.push(...at([record])))
    await drain()
    expect(seen).toEqual(['0:0', '0:1', '0:1', '0:2'])
  })

  test('a crash repeats what had finished behind an unfinished record, and that record: nothing is lost', async () => {
    const { group, publish } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 4)
    const never = deferred()
    const first = group.join()
    void first.run(record => (record.offset === 1 ? never.promise : undefined), { concurrency: 4 })
    await drain()
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:1', '0:2', '0:3'])
  })

  test('a crash within the interval repeats finished records', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const first = group.join()
    void first.run(() => {})
    await drain()
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:0', '0:1'])
  })

  test('context.commit() at the end of a handler repeats only what is in hand', async () => {
    const { group, publish } = setup(manual)
    publish(0, 3)
    const never = deferred()
    const first = group.join()
    void first.run(async (record, context) => {
      if (record.offset === 1) await never.promise
      await context.commit()
    })
    await drain()
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:1', '0:2'])
  })

  test('context.commit() at the start of a handler loses what is in hand', async () => {
    const { group, publish } = setup(manual)
    publish(0, 3)
    const never = deferred()
    const first = group.join()
    void first.run(async (record, context) => {
      await context.commit()
      if (record.offset === 1) await never.promise
    })
    await drain()
    crash(first)
    expect(at(await group.join().poll())).toEqual(['0:2'])
  })

  test('an orderly close waits for the handler in hand, and repeats nothing', async () => {
    const { group, publish } = setup()
    publish(0, 3)
    const gate = deferred()
    const first = group.join()
    const run = first.run(() => gate.promise)
    await drain()
    const closing = first.close()
    await drain()
    expect(owned(first)).toEqual([0])
    gate.resolve()
    await Promise.all([run, closing])
    expect(at(await group.join().poll())).toEqual(['0:1', '0:2'])
  })

  test('a handler that fails for good is read again by the next owner, and nothing behind it is lost', async () => {
    const { group, publish } = setup()
    publish(0, 4)
    const run = group.join().run(
      record => {
        if (record.offset === 1) throw new Error('no good')
      },
      { concurrency: 4 },
    )
    expect(await failure(() => run)).toBe('HANDLER_FAILED')
    expect((await group.join().poll())[0]?.offset).toBe(1)
  })

  test('an expelled handler goes on beside the redelivered record, and its end changes nothing', async () => {
    const { group, publish, committed } = setup({ autoCommitIntervalMs: 0 })
    publish(0, 2)
    const gate = deferred()
    const slow = group.join({ memberId: 'm2' })
    void slow.run(() => gate.promise)
    await drain()
    expel(slow)
    const heir = group.join({ memberId: 'm1' })
    expect(at(await heir.poll())).toEqual(['0:0', '0:1'])
    gate.resolve()
    await drain()
    expect(committed() ?? 0).toBe(0)
    await heir.poll({ timeoutMs: 0 })
    expect(committed()).toBe(2)
  })
})

describe('a late commit by a former owner fails and overwrites nothing', () => {
  test('after an expulsion, with an older offset', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const former = group.join()
    const old = await former.poll({ maxRecords: 1 })
    expel(former)
    const heir = group.join()
    await heir.poll()
    await heir.commit()
    expect(await failure(() => former.commit(old))).toBe('UNKNOWN_MEMBER_ID')
    expect(committed()).toBe(4)
  })

  test('after an expulsion, with a newer offset', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const former = group.join()
    const all = await former.poll()
    expel(former)
    const heir = group.join()
    await heir.commit(await heir.poll({ maxRecords: 1 }))
    expect(await failure(() => former.commit(all))).toBe('UNKNOWN_MEMBER_ID')
    expect(committed()).toBe(1)
  })

  test('after an expulsion and a return as a member without the partition', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const former = group.join({ memberId: 'm2' })
    const all = await former.poll()
    expel(former)
    const heir = group.join({ memberId: 'm1' })
    await heir.commit(await heir.poll({ maxRecords: 1 }))
    await former.poll({ timeoutMs: 0 })
    expect(await failure(() => former.commit(all))).toBe('ILLEGAL_GENERATION')
    await former.commit()
    expect(committed()).toBe(1)
  })

  test('after a crash', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const former = group.join()
    const all = await former.poll()
    crash(former)
    const heir = group.join()
    await heir.commit(await heir.poll({ maxRecords: 1 }))
    expect(await failure(() => former.commit(all))).toBe('UNKNOWN_MEMBER_ID')
    expect(committed()).toBe(1)
  })

  test('after an orderly close', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const former = group.join()
    const all = await former.poll()
    await former.close()
    const heir = group.join()
    await heir.commit(await heir.poll({ maxRecords: 1 }))
    expect(await failure(() => former.commit(all))).toBe('UNKNOWN_MEMBER_ID')
    expect(committed()).toBe(1)
  })

  test('after the partition has moved', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const former = group.join({ memberId: 'm2' })
    const all = await former.poll()
    await former.poll({ timeoutMs: 0 })
    const heir = group.join({ memberId: 'm1' })
    await heir.commit(await heir.poll({ maxRecords: 1 }))
    expect(await failure(() => former.commit(all))).toBe('ILLEGAL_GENERATION')
    expect(committed()).toBe(1)
  })

  test('from a handler whose consumer has crashed', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 4)
    const gate = deferred()
    const former = group.join()
    const codes: unknown[] = []
    void former.run(async (_record, context) => {
      await gate.promise
      codes.push(await failure(() => context.commit()))
    })
    await drain()
    crash(former)
    const heir = group.join()
    const records = await heir.poll({ maxRecords: 3 })
    await heir.commit(records)
    gate.resolve()
    await drain()
    expect([codes, committed()]).toEqual([['UNKNOWN_MEMBER_ID'], 3])
  })
})

describe('whose consumer died mid-way', () => {
  test('a surviving member reads the records of the dead one again', async () => {
    const { group, publish } = setup(manual, 2)
    publish(0, 2)
    publish(1, 2)
    const survivor = group.join()
    const dying = group.join()
    const mine = await survivor.poll()
    await survivor.commit(mine)
    expect(at(await dying.poll())).toEqual(['1:0', '1:1'])
    crash(dying)
    expect(at(await survivor.poll())).toEqual(['1:0', '1:1'])
  })

  test('a parked survivor gets them without anybody doing anything', async () => {
    const { group, publish } = setup({}, 2)
    const survivor = group.join()
    const dying = group.join()
    publish(1, 2)
    await dying.poll()
    const parked = survivor.poll()
    await drain()
    crash(dying)
    expect(at(await parked)).toEqual(['1:0', '1:1'])
  })

  test('another group is not touched by it', async () => {
    const { broker, group, publish } = setup(manual)
    const others = broker.group('shipping', { topics: 'orders', ...manual })
    publish(0, 4)
    const reader = others.join()
    expect(at(await reader.poll({ maxRecords: 2 }))).toEqual(['0:0', '0:1'])
    await reader.commit()
    const dying = group.join()
    await dying.poll()
    crash(dying)
    expect(at(await reader.poll())).toEqual(['0:2', '0:3'])
    expect([group.committed('orders', 0), others.committed('orders', 0)]).toEqual([undefined, 2])
  })
})
