import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../src/core/errors.js'
import { PartitionLog } from '../../src/core/partition.js'
import { noHeaders } from '../../src/core/segment.js'

/** Segments of two records each. */
const logAt = (...timestamps: number[]): PartitionLog<number> => {
  const log = new PartitionLog<number>('orders', 0, { segmentRecords: 2, compact: false })
  for (const timestamp of timestamps) log.append(`k${log.endOffset}`, log.endOffset, noHeaders, timestamp)
  return log
}
const offsets = (log: PartitionLog<number>): number[] => log.read(log.startOffset).map(record => record.offset)

// Kafka: UnifiedLog.deleteRetentionMsBreachedSegments
describe('retention by time', () => {
  test('a segment goes when its largest timestamp is older than ms, not when it is as old', () => {
    const log = logAt(10, 20, 30, 40, 50)
    expect(log.enforce({ now: 120, ms: 100 })).toBe(false)
    expect(log.enforce({ now: 121, ms: 100 })).toBe(true)
    expect([log.startOffset, offsets(log)]).toEqual([2, [2, 3, 4]])
  })

  test('one young record keeps its whole segment', () => {
    const log = logAt(10, 1_000, 10, 10, 50)
    log.enforce({ now: 500, ms: 100 })
    expect(offsets(log)).toEqual([0, 1, 2, 3, 4])
  })

  test('it stops at the first segment that stays, though later ones are old', () => {
    const log = logAt(10, 10, 900, 10, 10, 10, 10)
    log.enforce({ now: 950, ms: 100 })
    expect(offsets(log)).toEqual([2, 3, 4, 5, 6])
  })

  test('the active segment goes too when all of its records have expired', () => {
    const log = logAt(10, 20, 30)
    expect(log.enforce({ now: 1_000, ms: 100 })).toBe(true)
    expect([log.startOffset, log.endOffset, offsets(log)]).toEqual([3, 3, []])
  })

  test('an empty active segment never moves the start', () => {
    expect([logAt().enforce({ now: 1_000, ms: 0 }), logAt().startOffset]).toEqual([false, 0])
  })

  test('a start before nothing but a gap of compaction stays', () => {
    const log = new PartitionLog<null>('orders', 0, { segmentRecords: 2, compact: true })
    for (const key of ['a', 'b']) log.append(key, null, noHeaders, 0)
    log.compact(0)
    log.compact(24 * 60 * 60 * 1_000)
    expect([log.enforce({ now: 1e15, ms: 0 }), log.startOffset, log.endOffset]).toEqual([false, 0, 2])
  })

  test('offsets go on after all has been dropped', () => {
    const log = logAt(10, 20, 30)
    log.enforce({ now: 1_000, ms: 100 })
    expect(log.append('k', 7, noHeaders, 1_000)).toBe(3)
    expect(log.read(3)).toMatchObject([{ offset: 3, value: 7 }])
  })

  test('a record from the future keeps its segment', () => {
    const log = logAt(5_000, 10, 10)
    log.enforce({ now: 1_000, ms: 100 })
    expect(log.startOffset).toBe(0)
  })
})

// Kafka: UnifiedLog.deleteRetentionSizeBreachedSegments
describe('retention by records', () => {
  test('the head goes while at least so many others stay', () => {
    const log = logAt(0, 0, 0, 0, 0, 0, 0)
    log.enforce({ now: 0, records: 4 })
    expect(offsets(log)).toEqual([2, 3, 4, 5, 6])
    log.enforce({ now: 0, records: 3 })
    expect(offsets(log)).toEqual([4, 5, 6])
  })

  test('exactly as many may stay', () => {
    const log = logAt(0, 0, 0, 0)
    log.enforce({ now: 0, records: 2 })
    expect(offsets(log)).toEqual([2, 3])
  })

  test('the active segment stays even when none has to', () => {
    const log = logAt(0, 0, 0)
    log.enforce({ now: 0, records: 0 })
    expect(offsets(log)).toEqual([2])
  })

  test('records below the start do not count', () => {
    const log = logAt(0, 0, 0, 0, 0)
    log.deleteRecords(1)
    expect(log.enforce({ now: 0, records: 4 })).toBe(false)
    log.append(null, 5, noHeaders, 0)
    expect(log.enforce({ now: 0, records: 4 })).toBe(true)
    expect(offsets(log)).toEqual([2, 3, 4, 5])
  })
})

describe('retention of what was consumed', () => {
  test('a segment goes when all of it is below the offset', () => {
    const log = logAt(0, 0, 0, 0, 0)
    expect(log.enforce({ now: 0, consumedTo: 1 })).toBe(false)
    expect(log.enforce({ now: 0, consumedTo: 3 })).toBe(true)
    expect(offsets(log)).toEqual([2, 3, 4])
  })

  test('the active segment goes too when all of it is consumed', () => {
    const log = logAt(0, 0, 0)
    log.enforce({ now: 0, consumedTo: 3 })
    expect([log.startOffset, log.append(null, 3, noHeaders, 0)]).toEqual([3, 3])
  })

  test('a commit beyond the end drops no more than there is', () => {
    const log = logAt(0, 0, 0)
    log.enforce({ now: 0, consumedTo: 100 })
    expect([log.startOffset, log.endOffset]).toEqual([3, 3])
  })

  test('the start never passes what was consumed, not even over a gap of compaction', () => {
    const log = new PartitionLog<number>('orders', 0, { segmentRecords: 2, compact: true })
    for (const key of ['a', 'b', 'b', 'c', 'd']) log.append(key, 0, noHeaders, 0)
    log.compact(0)
    log.enforce({ now: 0, consumedTo: 1 })
    expect([log.startOffset, offsets(log as PartitionLog<number>)]).toEqual([0, [0, 2, 3, 4]])
  })
})

describe('without limits', () => {
  test('nothing goes', () => {
    const log = logAt(0, 0, 0, 0)
    expect([log.enforce({ now: 1e15 }), log.startOffset]).toEqual([false, 0])
  })
})

// Kafka: DeleteRecords
describe('deleteRecords', () => {
  test('moves the start to the record, also in the middle of a segment', () => {
    const log = logAt(0, 0, 0, 0, 0)
    log.deleteRecords(3)
    expect([log.startOffset, offsets(log)]).toEqual([3, [3, 4]])
  })

  test('never lowers the start', () => {
    const log = logAt(0, 0, 0, 0, 0)
    log.deleteRecords(3)
    log.deleteRecords(1)
    expect(log.startOffset).toBe(3)
  })

  test('up to the end empties the log, and offsets go on', () => {
    const log = logAt(0, 0, 0)
    log.deleteRecords(3)
    expect([log.startOffset, offsets(log), log.append(null, 3, noHeaders, 0)]).toEqual([3, [], 3])
  })

  test('beyond the end is OFFSET_OUT_OF_RANGE and changes nothing', () => {
    const log = logAt(0, 0, 0)
    let error: unknown
    try {
      log.deleteRecords(4)
    } catch (thrown) {
      error = thrown
    }
    expect(isMillraceError(error, 'OFFSET_OUT_OF_RANGE') && error.details.offset).toBe(4)
    expect(log.startOffset).toBe(0)
  })

  test('below 0 is OFFSET_OUT_OF_RANGE', () => {
    expect(() => logAt(0).deleteRecords(-1)).toThrow('Offset -1 is out of the range of orders-0')
  })

  test.each([0.5, Number.NaN])('%s is a TypeError', offset => {
    expect(() => logAt(0).deleteRecords(offset)).toThrow(TypeError)
  })

  test('a long log can be dropped segment by segment while it grows', () => {
    const log = logAt(0, 0)
    for (let i = 0; i < 1_000; i++) {
      log.append(null, log.endOffset, noHeaders, 0)
      log.deleteRecords(log.endOffset - 2)
      expect(offsets(log)).toEqual([log.endOffset - 2, log.endOffset - 1])
    }
  })
})

describe('onTruncate', () => {
  test('is told each new start, when it has moved and only then', () => {
    const log = logAt(10, 20, 30, 40, 50)
    const starts: [number, number][] = []
    log.onTruncate = startOffset => starts.push([startOffset, log.startOffset])
    log.deleteRecords(1)
    log.deleteRecords(1)
    log.deleteRecords(0)
    log.enforce({ now: 125, ms: 100 })
    log.enforce({ now: 125, ms: 100 })
    expect(starts).toEqual([
      [1, 1],
      [2, 2],
    ])
  })
})
