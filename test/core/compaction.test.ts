import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../src/core/errors.js'
import { PartitionLog } from '../../src/core/partition.js'
import { type ConsumerRecord, type Key, keyId } from '../../src/core/record.js'
import { noHeaders } from '../../src/core/segment.js'

type Value = string | null
type Log = PartitionLog<Value, Key>
const day = 24 * 60 * 60 * 1_000

/** 'a' is a record of that key, '-a' its tombstone. */
const appendAll = (log: Log, ...records: string[]): void => {
  for (const record of records) {
    const tombstone = record.startsWith('-')
    log.append(tombstone ? record.slice(1) : record, tombstone ? null : `${record}${log.endOffset}`, noHeaders, 1_000)
  }
}
const logWith = (segmentRecords: number, ...records: string[]): Log => {
  const log: Log = new PartitionLog('prices', 0, { segmentRecords, compact: true })
  appendAll(log, ...records)
  return log
}
const offsets = (log: Log): number[] => log.read(log.startOffset).map(record => record.offset)

// Kafka: Cleaner.shouldRetainRecord
describe('compact', () => {
  test('keeps the last value of each key, in order, under its own offset', () => {
    const log = logWith(3, 'a', 'b', 'a', 'c', 'b', 'a', 'd')
    log.compact(0)
    expect(log.read(0).map(({ offset, value }) => [offset, value])).toEqual([
      [3, 'c3'],
      [4, 'b4'],
      [5, 'a5'],
      [6, 'd6'],
    ])
  })

  test('keeps timestamps and headers', () => {
    const log: Log = new PartitionLog('prices', 0, { segmentRecords: 2, compact: true })
    log.append('a', 'old', [['h', '0']], 10)
    log.append('b', 'kept', [['h', '1']], 20)
    log.append('a', 'new', noHeaders, 30)
    log.compact(0)
    expect(log.read(0).map(({ timestamp, headers }) => [timestamp, headers])).toEqual([
      [20, [['h', '1']]],
      [30, []],
    ])
  })

  test('leaves the active segment as it is', () => {
    const log = logWith(3, 'a', 'b', 'c', 'd', 'd')
    log.compact(0)
    expect(offsets(log)).toEqual([0, 1, 2, 3, 4])
  })

  test('a record in the active segment supersedes', () => {
    const log = logWith(3, 'a', 'b', 'c', 'b')
    log.compact(0)
    expect(offsets(log)).toEqual([0, 2, 3])
  })

  test('moves neither start nor end', () => {
    const log = logWith(2, 'a', 'a', 'a', 'a')
    log.compact(0)
    expect([log.startOffset, log.endOffset, offsets(log)]).toEqual([0, 4, [3]])
    expect(log.append('b', 'v', noHeaders, 0)).toBe(4)
  })

  test('a read at a removed offset gives the next one that is left', () => {
    const log = logWith(2, 'a', 'b', 'a', 'c', 'd')
    log.compact(0)
    expect(log.read(0, 1)[0]!.offset).toBe(1)
  })

  test('a read over nothing but a gap comes to its end', () => {
    const log = logWith(2, 'a', 'b', '-a', '-b')
    log.compact(0)
    log.compact(day)
    const into: ConsumerRecord<Value, Key>[] = []
    expect([log.readInto(0, 10, into), into, log.read(0)]).toEqual([4, [], []])
  })

  test('the last record of a log that ends in a gap is followed by the end', () => {
    const log = logWith(2, 'a', 'b', '-b', '-b')
    log.compact(0)
    log.compact(day)
    const into: ConsumerRecord<Value, Key>[] = []
    expect(log.readInto(0, 1, into)).toBe(4)
    expect(into.map(record => record.offset)).toEqual([0])
  })

  test('keys are equal by their bytes, as text or not', () => {
    const log: Log = new PartitionLog('prices', 0, { segmentRecords: 4, compact: true })
    const keys: Key[] = ['é', Uint8Array.of(0xc3, 0xa9), Uint8Array.of(0xff), Uint8Array.of(0xff)]
    for (const key of keys) log.append(key, 'v', noHeaders, 0)
    log.compact(0)
    expect(offsets(log)).toEqual([1, 3])
  })

  test("'' is a key", () => {
    const log = logWith(3, '', 'a', '')
    log.compact(0)
    expect(offsets(log)).toEqual([1, 2])
  })

  test('a record without a key goes', () => {
    const log: Log = new PartitionLog('prices', 0, { segmentRecords: 2, compact: true })
    log.append(null, 'v', noHeaders, 0)
    log.append('a', 'v', noHeaders, 0)
    log.compact(0)
    expect(offsets(log)).toEqual([1])
  })

  test('deleted records do not come back, nor does their key hold another', () => {
    const log = logWith(4, 'a', 'b', 'c', 'd')
    log.deleteRecords(2)
    log.compact(0)
    expect([log.startOffset, offsets(log)]).toEqual([2, [2, 3]])
  })

  test('a time lookup sees what is left', () => {
    const log: Log = new PartitionLog('prices', 0, { segmentRecords: 2, compact: true })
    for (const [key, timestamp] of [
      ['a', 50],
      ['b', 10],
      ['a', 20],
    ] as const)
      log.append(key, 'v', noHeaders, timestamp)
    log.compact(0)
    expect([log.offsetForTimestamp(15), log.offsetForTimestamp(30)]).toEqual([2, undefined])
  })

  test('is INVALID_CONFIG for a log that is not compacted', () => {
    const log = new PartitionLog('prices', 0, { segmentRecords: 2, compact: false })
    let error: unknown
    try {
      log.compact(0)
    } catch (thrown) {
      error = thrown
    }
    expect(isMillraceError(error, 'INVALID_CONFIG') && error.details.option).toBe('cleanupPolicy')
  })

  test('compacting twice changes nothing more', () => {
    const keys = fc.array(fc.constantFrom('a', 'b', 'c', '-a', '-b'), { maxLength: 40 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), keys, (segmentRecords, records) => {
        const log = logWith(segmentRecords, ...records)
        log.compact(0)
        const once = log.read(0)
        log.compact(0)
        expect(log.read(0)).toEqual(once)
      }),
    )
  })

  test('the last value of every key is what it was before', () => {
    const keys = fc.array(fc.oneof(fc.string({ maxLength: 1 }), fc.uint8Array({ maxLength: 1 })), { maxLength: 60 })
    const tableOf = (log: Log): Map<string, Value> =>
      new Map(log.read(log.startOffset).map(({ key, value }) => [keyId(key!), value]))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), keys, (segmentRecords, records) => {
        const log = logWith(segmentRecords)
        for (const key of records) log.append(key, `v${log.endOffset}`, noHeaders, 0)
        const before = tableOf(log)
        log.compact(0)
        expect(tableOf(log)).toEqual(before)
      }),
    )
  })
})

// Kafka: delete.retention.ms, RecordBatch.deleteHorizonMs
describe('tombstones', () => {
  test('supersede at once, and stay themselves', () => {
    const log = logWith(2, 'a', 'b', '-a', 'c')
    log.compact(0)
    expect(log.read(0).map(({ offset, value }) => [offset, value])).toEqual([
      [1, 'b1'],
      [2, null],
      [3, 'c3'],
    ])
  })

  test('go 24 hours after the compaction that first saw them, not before', () => {
    const log = logWith(2, '-a', 'b')
    log.compact(500)
    log.compact(500 + day - 1)
    expect(offsets(log)).toEqual([0, 1])
    log.compact(500 + day)
    expect(offsets(log)).toEqual([1])
  })

  test('count from that compaction, not from their timestamps', () => {
    const log = logWith(2, '-a', 'b')
    log.compact(100 * day)
    expect(offsets(log)).toEqual([0, 1])
  })

  test('that another supersedes begin anew', () => {
    const log = logWith(2, '-a', 'b')
    log.compact(0)
    appendAll(log, '-a', 'c')
    log.compact(day)
    expect(offsets(log)).toEqual([1, 2, 3])
  })

  test('in the active segment stay until a compaction sees them sealed', () => {
    const log = logWith(2, 'a', 'b', '-a')
    log.compact(0)
    log.compact(day)
    expect(offsets(log)).toEqual([1, 2])
    appendAll(log, 'c')
    log.compact(2 * day)
    expect(offsets(log)).toEqual([1, 2, 3])
  })

  test('that have gone do not bring back what they superseded', () => {
    const log = logWith(2, 'a', 'b', '-a', 'c')
    log.compact(0)
    log.compact(day)
    expect(offsets(log)).toEqual([1, 3])
  })
})

// Kafka: Cleaner.groupSegmentsBySize
describe('segments after a compaction', () => {
  test('small neighbours become one, the unit of retention from then on', () => {
    const log = logWith(4, 'a', 'a', 'a', 'b', 'c', 'c', 'c', 'd', 'e')
    log.compact(0)
    expect(offsets(log)).toEqual([2, 3, 6, 7, 8])
    log.enforce({ now: 0, records: 1 })
    expect([log.startOffset, offsets(log)]).toEqual([8, [8]])
  })

  test('neighbours that would be too large together stay apart', () => {
    const log = logWith(4, 'a', 'a', 'b', 'c', 'd', 'd', 'e', 'f', 'g')
    log.compact(0)
    log.enforce({ now: 0, records: 4 })
    expect([log.startOffset, offsets(log)]).toEqual([4, [5, 6, 7, 8]])
  })

  test('deleted records take no room in them', () => {
    const log = logWith(4, 'a', 'b', 'c', 'd', 'e', 'e', 'f', 'g', 'h')
    log.deleteRecords(3)
    log.compact(0)
    log.enforce({ now: 0, records: 4 })
    expect([log.startOffset, offsets(log)]).toEqual([3, [3, 5, 6, 7, 8]])
  })

  test('retention by time goes by the records that are left', () => {
    const log: Log = new PartitionLog('prices', 0, { segmentRecords: 2, compact: true })
    for (const [key, timestamp] of [
      ['a', 900],
      ['b', 10],
      ['a', 1_000],
    ] as const)
      log.append(key, 'v', noHeaders, timestamp)
    log.compact(0)
    log.enforce({ now: 1_000, ms: 500 })
    expect([log.startOffset, offsets(log)]).toEqual([2, [2]])
  })
})

// Kafka: min.cleanable.dirty.ratio
describe('compactIfDirty', () => {
  test('waits until as many records are sealed since as the last compaction has kept', () => {
    const log = logWith(2, 'a', 'b', 'c', 'a')
    log.compactIfDirty(0)
    expect(offsets(log)).toEqual([1, 2, 3])
    appendAll(log, 'b', 'd')
    log.compactIfDirty(0)
    expect(offsets(log)).toEqual([1, 2, 3, 4, 5])
    appendAll(log, 'e', 'f')
    log.compactIfDirty(0)
    expect(offsets(log)).toEqual([2, 3, 4, 5, 6, 7])
  })

  test('does nothing while no segment is full', () => {
    const log = logWith(4, 'a', 'a', 'a')
    log.compactIfDirty(0)
    expect(offsets(log)).toEqual([0, 1, 2])
  })

  test('does nothing to a log that is not compacted', () => {
    const log = new PartitionLog<string>('prices', 0, { segmentRecords: 1, compact: false })
    for (const value of ['1', '2']) log.append('a', value, noHeaders, 0)
    log.compactIfDirty(0)
    expect(log.read(0)).toHaveLength(2)
  })

  test('what retention has dropped no longer counts as kept', () => {
    const log = logWith(2, 'a', 'b', 'c', 'd')
    log.compactIfDirty(0)
    log.deleteRecords(2)
    appendAll(log, 'c', 'e')
    log.compactIfDirty(0)
    expect(offsets(log)).toEqual([3, 4, 5])
  })

  test('keeps a log of few keys short however much is appended', () => {
    const log = logWith(8)
    for (let i = 0; i < 4_000; i++) {
      const { sealedCount } = log
      appendAll(log, `k${i % 5}`)
      if (log.sealedCount > sealedCount) log.compactIfDirty(0)
      expect(log.read(log.startOffset).length).toBeLessThan(5 + 2 * 8)
    }
  })
})
