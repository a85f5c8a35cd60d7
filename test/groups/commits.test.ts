import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { deferred, drain, failure, manual, type Order, owned, setup, watch } from './support-b.js'

const orders = (partition: number, nextOffset: number) => ({ topic: 'orders' as const, partition, nextOffset })

describe('rule 28: a commit is applied at the call, all of it or nothing', () => {
  test('commit() of everything has taken effect when it returns', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    const done = consumer.commit()
    expect(committed()).toBe(3)
    expect(await done).toBeUndefined()
  })

  test('a commit of a record, of records and of offsets has taken effect when it returns', async () => {
    const { group, publish, committed } = setup(manual, 2)
    publish(0, 3)
    publish(1, 2)
    const consumer = group.join()
    const records = await consumer.poll()
    const first = consumer.commit(records[0]!)
    expect([committed(0), committed(1)]).toEqual([1, undefined])
    const all = consumer.commit(records)
    expect([committed(0), committed(1)]).toEqual([3, 2])
    const given = consumer.commit([orders(1, 1)])
    expect([committed(0), committed(1)]).toEqual([3, 1])
    await Promise.all([first, all, given])
  })

  test('an entry of a partition it does not own keeps the others from being committed', async () => {
    const { group, publish, committed, commits } = setup(manual, 2)
    publish(0, 3)
    const consumer = group.join()
    group.join()
    await consumer.poll()
    expect(await failure(() => consumer.commit([orders(0, 1), orders(1, 1)]))).toBe('ILLEGAL_GENERATION')
    await drain()
    expect([committed(0), committed(1), commits]).toEqual([undefined, undefined, []])
  })

  test('a negative offset keeps the others from being committed', async () => {
    const { group, committed, commits } = setup(manual, 2)
    const consumer = group.join()
    expect(await failure(() => consumer.commit([orders(0, 1), orders(1, -1)]))).toBe('OFFSET_OUT_OF_RANGE')
    await drain()
    expect([committed(0), commits]).toEqual([undefined, []])
  })

  test('a fraction keeps the others from being committed', async () => {
    const { group, committed, commits } = setup(manual, 2)
    const consumer = group.join()
    expect(await failure(() => consumer.commit([orders(0, 1), orders(1, 0.5)]))).toBeInstanceOf(TypeError)
    await drain()
    expect([committed(0), commits]).toEqual([undefined, []])
  })
})

test('a listener that scribbles on what it is told of a commit changes nothing', async () => {
  const { group, publish, committed } = setup({}, 2)
  group.on('commit', ({ offsets }) => {
    for (const entry of offsets) Object.assign(entry, { nextOffset: 3 })
  })
  publish(0, 3)
  const consumer = group.join()
  await consumer.poll()
  await consumer.commit([{ topic: 'orders', partition: 0, nextOffset: 1 }])
  group.join()
  await drain()
  expect([owned(consumer), committed()]).toEqual([[0], 1])
})

describe('rule 29: any offset from 0 on is accepted, and position does not move', () => {
  test('a commit may go backwards', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    await consumer.commit([orders(0, 2)])
    expect(committed()).toBe(2)
    await consumer.commit([orders(0, 0)])
    expect(committed()).toBe(0)
  })

  test('a commit may lie beyond the end of the log', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 5)
    await group.join().commit([orders(0, 1_000)])
    expect(committed()).toBe(1_000)
  })

  test('a commit does not move the position', async () => {
    const { group, publish } = setup(manual)
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 3 })
    await consumer.commit([orders(0, 1)])
    expect(consumer.position('orders', 0)).toBe(3)
    await consumer.commit([orders(0, 99)])
    expect(consumer.position('orders', 0)).toBe(3)
    expect((await consumer.poll()).map(record => record.offset)).toEqual([3, 4])
  })

  test('an undefined offset is a TypeError', async () => {
    const { group, committed } = setup(manual)
    const consumer = group.join()
    expect(await failure(() => consumer.commit([orders(0, undefined as never)]))).toBeInstanceOf(TypeError)
    expect(committed()).toBeUndefined()
  })

  test('a fraction is a TypeError', async () => {
    const { group, committed } = setup(manual)
    const consumer = group.join()
    expect(await failure(() => consumer.commit([orders(0, 1.5)]))).toBeInstanceOf(TypeError)
    expect(committed()).toBeUndefined()
  })

  test('a negative offset is OFFSET_OUT_OF_RANGE', async () => {
    const { group, committed } = setup(manual)
    const consumer = group.join()
    expect(await failure(() => consumer.commit([orders(0, -1)]))).toBe('OFFSET_OUT_OF_RANGE')
    expect(committed()).toBeUndefined()
  })
})

describe('rule 30: a commit is fenced by consumer object and term, never by the member id', () => {
  test('the zombie of an id that was given again is UNKNOWN_MEMBER_ID and overwrites nothing', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 5)
    const zombie = group.join({ memberId: 'worker' })
    const records = await zombie.poll({ maxRecords: 4 })
    crash(zombie)
    const heir = group.join({ memberId: 'worker' })
    const mine = await heir.poll({ maxRecords: 2 })
    await heir.commit(mine)
    expect(await failure(() => zombie.commit(records))).toBe('UNKNOWN_MEMBER_ID')
    expect(await failure(() => zombie.commit())).toBe('UNKNOWN_MEMBER_ID')
    expect(committed()).toBe(2)
  })

  test('a partition that has moved away is ILLEGAL_GENERATION', async () => {
    const { group, publish, committed } = setup(manual, 2)
    publish(1, 3)
    const consumer = group.join()
    const records = await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    const heir = group.join()
    expect([owned(consumer), owned(heir)]).toEqual([[0], [1]])
    expect(await failure(() => consumer.commit(records))).toBe('ILLEGAL_GENERATION')
    expect(await failure(() => consumer.commit([orders(1, 3)]))).toBe('ILLEGAL_GENERATION')
    expect(committed(1)).toBeUndefined()
  })

  test('a partition that was never its own is ILLEGAL_GENERATION', async () => {
    const { group, committed } = setup(manual, 2)
    const consumer = group.join()
    const other = group.join()
    expect(owned(other)).toEqual([1])
    expect(await failure(() => consumer.commit([orders(1, 0)]))).toBe('ILLEGAL_GENERATION')
    expect(committed(1)).toBeUndefined()
  })

  const ends = {
    'an expelled consumer': (consumer: ReturnType<ReturnType<typeof setup>['group']['join']>) => expel(consumer),
    'a consumer that has left': (consumer: ReturnType<ReturnType<typeof setup>['group']['join']>) => consumer.close(),
    'a crashed consumer': (consumer: ReturnType<ReturnType<typeof setup>['group']['join']>) => crash(consumer),
  }
  for (const [who, end] of Object.entries(ends)) {
    test(`${who} is UNKNOWN_MEMBER_ID, whatever the argument`, async () => {
      const { group, publish, committed } = setup(manual, 2)
      publish(0, 2)
      const consumer = group.join()
      const records = await consumer.poll()
      await end(consumer)
      const codes = [
        await failure(() => consumer.commit()),
        await failure(() => consumer.commit(records[0]!)),
        await failure(() => consumer.commit(records)),
        await failure(() => consumer.commit([])),
        await failure(() => consumer.commit([orders(0, 1)])),
        await failure(() => consumer.commit([orders(99, 1)])),
      ]
      expect(codes).toEqual(Array(6).fill('UNKNOWN_MEMBER_ID'))
      expect(committed()).toBeUndefined()
    })
  }

  test('a static member that was replaced is FENCED_INSTANCE_ID', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 2)
    const older = group.join({ instanceId: 'worker-1' })
    const records = await older.poll()
    group.join({ instanceId: 'worker-1' })
    expect(await failure(() => older.commit(records))).toBe('FENCED_INSTANCE_ID')
    expect(await failure(() => older.commit())).toBe('FENCED_INSTANCE_ID')
    expect(committed()).toBeUndefined()
  })

  test('a deleted topic is UNKNOWN_TOPIC_OR_PARTITION', async () => {
    const { broker, group, publish } = setup(manual)
    publish(0, 2)
    const consumer = group.join()
    const records = await consumer.poll()
    broker.deleteTopic('orders')
    expect(await failure(() => consumer.commit(records))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(await failure(() => consumer.commit([orders(0, 1)]))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  test('context.commit() is refused when the term of its record is over, though the partition is back', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 1)
    const consumer = group.join({ memberId: 'm2' })
    const contexts: { commit(): Promise<void> }[] = []
    void consumer.run((_record, context) => void contexts.push(context))
    await drain()
    const other = group.join({ memberId: 'm1' })
    expect([owned(consumer), owned(other)]).toEqual([[], [0]])
    await other.close()
    await drain()
    expect([owned(consumer), contexts.length]).toEqual([[0], 2])
    expect(await failure(() => contexts[0]!.commit())).toBe('ILLEGAL_GENERATION')
    expect(committed()).toBeUndefined()
    await contexts[1]!.commit()
    expect(committed()).toBe(1)
  })

  test('context.commit() of an expelled consumer is UNKNOWN_MEMBER_ID', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 1)
    const consumer = group.join()
    const codes: unknown[] = []
    const gate = deferred()
    void consumer.run(async (_record, context) => {
      if (codes.length > 0) return
      await gate.promise
      codes.push(await failure(() => context.commit()))
    })
    await drain()
    expel(consumer)
    gate.resolve()
    await drain()
    expect([codes, committed()]).toEqual([['UNKNOWN_MEMBER_ID'], undefined])
  })

  test('commit(record) and a list are accepted in a second term: they ask who owns it now', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 3)
    const consumer = group.join({ memberId: 'm2' })
    const records = await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    const other = group.join({ memberId: 'm1' })
    expect(owned(consumer)).toEqual([])
    await other.close()
    expect(owned(consumer)).toEqual([0])
    await consumer.commit(records[0]!)
    expect(committed()).toBe(1)
    await consumer.commit([orders(0, 2)])
    expect(committed()).toBe(2)
  })
})

describe('rule 31: commit() with nothing', () => {
  test('before the first poll there is no position, and nothing is committed', async () => {
    const { group, publish, committed, commits } = setup(manual)
    publish(0, 2)
    const consumer = group.join()
    await consumer.ready()
    await consumer.commit()
    await drain()
    expect([committed(), commits]).toEqual([undefined, []])
  })

  test('it takes the position of every owned partition, also of those nothing was consumed from', async () => {
    const { group, publish, committed } = setup(manual, 3)
    publish(0, 2)
    publish(1, 2)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 2 })
    await consumer.commit()
    expect([committed(0), committed(1), committed(2)]).toEqual([2, 0, 0])
  })

  test('it covers the records in hand of a poll', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 5)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 2 })
    await consumer.poll({ maxRecords: 2 })
    await consumer.commit()
    expect(committed()).toBe(4)
  })

  test('it covers the record in hand of a loop, and nothing that was read ahead', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 5)
    const consumer = group.join()
    const seen: (number | undefined)[] = []
    for await (const record of consumer) {
      await consumer.commit()
      seen.push(committed())
      if (record.offset === 2) break
    }
    expect(seen).toEqual([1, 2, 3])
  })

  test('in run() it covers finished handlers only', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 3)
    const consumer = group.join()
    const gates = [deferred(), deferred(), deferred()]
    void consumer.run(record => gates[record.offset]!.promise, { concurrency: 3 })
    await drain()
    gates[1]!.resolve()
    await drain()
    await consumer.commit()
    expect(committed() ?? 0).toBe(0)
    gates[0]!.resolve()
    await drain()
    await consumer.commit()
    expect(committed()).toBe(2)
  })

  test('called by a handler it does not cover the record in hand; context.commit() does', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 2)
    const consumer = group.join()
    const seen: (number | undefined)[] = []
    void consumer.run(async (record, context) => {
      if (record.offset === 0) return
      await consumer.commit()
      seen.push(committed())
      await context.commit()
      seen.push(committed())
    })
    await drain()
    expect(seen).toEqual([1, 2])
  })

  test('in onRevoked it does not cover the record in hand of a loop that was left', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 3)
    const consumer = group.join({ onRevoked: (_partitions, self) => self.commit() })
    for await (const record of consumer) if (record.offset === 1) break
    expect(consumer.position('orders', 0)).toBe(2)
    await consumer.close()
    expect(committed()).toBe(1)
  })

  test('in onRevoked it covers all that a poll handed out before close() came', async () => {
    const { group, publish, committed } = setup(manual)
    publish(0, 3)
    const consumer = group.join({ onRevoked: (_partitions, self) => self.commit() })
    await consumer.poll({ maxRecords: 2 })
    await consumer.close()
    expect(committed()).toBe(2)
  })
})

describe('rule 32: in manualCommit the library commits nothing', () => {
  test('not while it is polled, however long', async () => {
    const { clock, group, publish, committed, commits } = setup(manual)
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll({ maxRecords: 2 })
    await clock.advance(60_000)
    await consumer.poll({ maxRecords: 1 })
    const parked = watch(consumer.poll())
    await clock.advance(3_600_000)
    expect([parked.state, committed(), commits]).toEqual(['pending', undefined, []])
  })

  test('not at close()', async () => {
    const { group, publish, committed, commits } = setup(manual)
    publish(0, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.close()
    await drain()
    expect([committed(), commits]).toEqual([undefined, []])
  })

  test('not at a move', async () => {
    const { group, publish, commits } = setup(manual, 2)
    publish(0, 3)
    publish(1, 3)
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    expect(owned(group.join())).toEqual([1])
    await drain()
    expect(commits).toEqual([])
  })

  test('not when a handler of run() has finished', async () => {
    const { clock, group, publish, commits } = setup(manual)
    publish(0, 3)
    const consumer = group.join()
    const seen: number[] = []
    const run = consumer.run(record => void seen.push(record.offset))
    await clock.advance(60_000)
    await consumer.close()
    await run
    expect([seen, commits]).toEqual([[0, 1, 2], []])
  })

  /** Runs over orders, with payments for what fails; `act` says what becomes of a record. */
  const runWithDeadLetters = async (
    given: ReturnType<typeof setup>,
    act: (offset: number, context: { commit(): Promise<void> }) => unknown,
  ): Promise<number[]> => {
    const letters: number[] = []
    given.payments.on('record', record => letters.push(record.value))
    const consumer = given.group.join()
    void consumer.run((record: Order, context) => act(record.offset, context), { deadLetter: given.payments })
    await given.clock.advance(0)
    return letters
  }
  const fail = (): never => {
    throw new Error('no good')
  }

  test('but a dead-lettered first record is committed', async () => {
    const given = setup(manual)
    given.publish(0, 1)
    expect(await runWithDeadLetters(given, fail)).toEqual([0])
    expect(given.committed()).toBe(1)
  })

  test('a dead-lettered record is not committed while one before it is uncommitted, finished or not', async () => {
    const given = setup(manual)
    given.publish(0, 2)
    expect(await runWithDeadLetters(given, offset => offset === 1 && fail())).toEqual([1])
    expect(given.committed()).toBeUndefined()
  })

  test('a dead-lettered record is committed when all before it are', async () => {
    const given = setup(manual)
    given.publish(0, 2)
    await runWithDeadLetters(given, (offset, context) => (offset === 0 ? context.commit() : fail()))
    expect(given.committed()).toBe(2)
  })

  test('where nothing is committed, what counts is the offset the term started at', async () => {
    const given = setup({ ...manual, autoOffsetReset: 'latest' })
    given.publish(0, 3)
    const letters = runWithDeadLetters(given, fail)
    await given.clock.advance(0)
    given.publish(0, 1)
    await given.clock.advance(0)
    expect(await letters).toEqual([3])
    expect(given.committed()).toBe(4)
  })

  test('a gap that retention made does not count', async () => {
    const given = setup(manual)
    given.publish(0, 4)
    const before = given.group.join()
    await before.commit([orders(0, 1)])
    await before.close()
    given.orders.partitions[0]!.deleteRecords(3)
    expect(await runWithDeadLetters(given, fail)).toEqual([3])
    expect(given.committed()).toBe(4)
  })

  test('a gap that compaction made does not count', async () => {
    const given = setup(manual)
    const topic = given.broker.createTopic('changes' as 'orders', { cleanupPolicy: 'compact', segmentRecords: 2 })
    for (const key of ['a', 'b', 'b']) topic.publish({ key, value: 1 })
    topic.compact()
    const group = given.broker.group('readers', { topics: 'changes' as 'orders', ...manual })
    const seen: number[] = []
    const consumer = group.join()
    void consumer.run(
      (record, context) => {
        seen.push(record.offset)
        return record.offset === 0 ? context.commit() : fail()
      },
      { deadLetter: given.payments },
    )
    await given.clock.advance(0)
    expect([seen, group.committed('changes' as 'orders', 0)]).toEqual([[0, 2], 3])
  })
})
