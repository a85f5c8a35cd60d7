import { isMillraceError } from 'millrace'
import { describe, expect, test } from 'vitest'
import {
  graceAfterEnd,
  isClosed,
  joinRetention,
  joinWindows,
  leastRetention,
  retentionOf,
  sessionWindows,
  slidingWindows,
  timeWindows,
  windowStarts,
} from '../../src/streams/windows.js'

/** What is wrong, and the value, as an error's message must show them. */
function refused(make: () => unknown): unknown {
  try {
    return { made: make() }
  } catch (error) {
    if (!isMillraceError(error, 'INVALID_CONFIG')) throw error
    const { option, value } = error.details
    expect(error.message).toContain(String(value))
    return `${option}: ${String(value)}`
  }
}

describe('time windows (Kafka: TimeWindowsTest)', () => {
  test('keep size, advance and grace', () => {
    expect(timeWindows({ sizeMs: 123 })).toEqual({ kind: 'time', sizeMs: 123, advanceMs: 123, graceMs: 0 })
    expect(timeWindows({ sizeMs: 123, advanceMs: 4, graceMs: 1024 })).toEqual({
      kind: 'time',
      sizeMs: 123,
      advanceMs: 4,
      graceMs: 1024,
    })
  })

  test.each([
    ['windowSizeMustNotBeZero', { sizeMs: 0 }, 'sizeMs: 0'],
    ['windowSizeMustNotBeNegative', { sizeMs: -1 }, 'sizeMs: -1'],
    ['advanceIntervalMustNotBeZero', { sizeMs: 123, advanceMs: 0 }, 'advanceMs: 0'],
    ['advanceIntervalMustNotBeNegative', { sizeMs: 123, advanceMs: -1 }, 'advanceMs: -1'],
    ['advanceIntervalMustNotBeLargerThanWindowSize', { sizeMs: 123, advanceMs: 124 }, 'advanceMs: 124'],
    ['gracePeriodShouldEnforceBoundaries', { sizeMs: 3, graceMs: -1 }, 'graceMs: -1'],
    ['a part of a millisecond', { sizeMs: 1.5 }, 'sizeMs: 1.5'],
    ['no number', { sizeMs: '5' as unknown as number }, 'sizeMs: 5'],
    ['no number at all', { sizeMs: Number.NaN }, 'sizeMs: NaN'],
    ['no end', { sizeMs: Infinity }, 'sizeMs: Infinity'],
  ])('%s', (_title, options, expected) => {
    expect(refused(() => timeWindows(options))).toBe(expected)
  })

  test.each([
    // title, size, advance, timestamp, starts
    ['shouldComputeWindowsForHoppingWindows', 12, 5, 21, [10, 15, 20]],
    ['shouldComputeWindowsForBarelyOverlappingHoppingWindows', 6, 5, 7, [5]],
    ['shouldComputeWindowsForTumblingWindows', 12, 12, 21, [12]],
    ['no window starts before the epoch', 12, 5, 3, [0]],
    ['a start belongs to its window, an end does not', 10, 10, 10, [10]],
    ['as many as fit', 3, 1, 7, [5, 6, 7]],
  ])('%s', (_title, sizeMs, advanceMs, timestamp, starts) => {
    expect(windowStarts(timeWindows({ sizeMs, advanceMs }), timestamp)).toEqual(starts)
  })
})

describe('sliding windows (Kafka: SlidingWindowsTest)', () => {
  test('keep difference and grace', () => {
    expect(slidingWindows({ differenceMs: 123, graceMs: 1024 })).toEqual({
      kind: 'sliding',
      differenceMs: 123,
      graceMs: 1024,
    })
    expect(slidingWindows({ differenceMs: 0 })).toEqual({ kind: 'sliding', differenceMs: 0, graceMs: 0 })
  })

  test('refuse a negative difference or grace', () => {
    expect(refused(() => slidingWindows({ differenceMs: -1, graceMs: 5 }))).toBe('differenceMs: -1')
    expect(refused(() => slidingWindows({ differenceMs: 10, graceMs: -1 }))).toBe('graceMs: -1')
  })
})

describe('session windows (Kafka: SessionWindowsTest)', () => {
  test('keep gap and grace', () => {
    expect(sessionWindows({ gapMs: 42, graceMs: 1024 })).toEqual({ kind: 'session', gapMs: 42, graceMs: 1024 })
    expect(sessionWindows({ gapMs: 3 }).graceMs).toBe(0)
  })

  test('refuse a negative gap or grace', () => {
    expect(refused(() => sessionWindows({ gapMs: -1 }))).toBe('gapMs: -1')
    expect(refused(() => sessionWindows({ gapMs: 3, graceMs: -1 }))).toBe('graceMs: -1')
  })
})

describe('join windows (Kafka: JoinWindowsTest)', () => {
  test('keep both differences and grace', () => {
    expect(joinWindows({ differenceMs: 123, graceMs: 1024 })).toEqual({
      kind: 'join',
      beforeMs: 123,
      afterMs: 123,
      graceMs: 1024,
    })
  })

  // validWindows: anySize 123, anyOtherSize 456
  test.each([
    [123, 456],
    [0, 456],
    [-123, 456],
    [-456, 456],
    [456, 123],
    [456, 0],
    [456, -123],
    [456, -456],
  ])('a side may be negative while the window is not: %d before, %d after', (beforeMs, afterMs) => {
    expect(joinWindows({ beforeMs, afterMs })).toEqual({ kind: 'join', beforeMs, afterMs, graceMs: 0 })
  })

  test.each([
    ['timeDifferenceMustNotBeNegative', { differenceMs: -1 }, 'differenceMs: -1'],
    ['endTimeShouldNotBeBeforeStart', { beforeMs: 123, afterMs: -124 }, 'beforeMs + afterMs: -1'],
    ['startTimeShouldNotBeAfterEnd', { beforeMs: -124, afterMs: 123 }, 'beforeMs + afterMs: -1'],
    ['gracePeriodShouldEnforceBoundaries', { differenceMs: 3, graceMs: -1 }, 'graceMs: -1'],
    ['half of it', { beforeMs: 3 } as { beforeMs: number; afterMs: number }, 'afterMs: undefined'],
  ])('%s', (_title, options, expected) => {
    expect(refused(() => joinWindows(options))).toBe(expected)
  })

  test('keep the records of a side for their size and grace (Kafka: StreamJoinedStoreFactory)', () => {
    expect(joinRetention(joinWindows({ beforeMs: 5, afterMs: -2, graceMs: 10 }))).toBe(13)
  })
})

describe('closing, as semantics of late records', () => {
  // KStreamWindowAggregate: `windowEnd > windowCloseTime` takes the record; KStreamSlidingWindowAggregate and
  // KStreamSessionWindowAggregate: `windowEnd < windowCloseTime` drops it.
  test.each([
    ['time', timeWindows({ sizeMs: 10, graceMs: 5 }), 10, 15],
    ['sliding', slidingWindows({ differenceMs: 10, graceMs: 5 }), 10, 16],
    ['session', sessionWindows({ gapMs: 3, graceMs: 5 }), 10, 19],
  ])('of a %s window', (_kind, windows, end, closed) => {
    expect(isClosed(windows, end, closed - 1)).toBe(false)
    expect(isClosed(windows, end, closed)).toBe(true)
  })

  test('what waits for it waits for the grace; for sessions, for the gap too (GraphGraceSearchUtil)', () => {
    expect(graceAfterEnd(timeWindows({ sizeMs: 10, graceMs: 5 }))).toBe(5)
    expect(graceAfterEnd(slidingWindows({ differenceMs: 10, graceMs: 5 }))).toBe(5)
    expect(graceAfterEnd(sessionWindows({ gapMs: 3, graceMs: 5 }))).toBe(8)
  })
})

describe('retention', () => {
  const day = 24 * 60 * 60 * 1_000
  // WindowStoreMaterializer, SlidingWindowStoreMaterializer, SessionStoreMaterializer
  test.each([
    ['size + grace', timeWindows({ sizeMs: 10, graceMs: 5 }), 15],
    ['2 x difference + grace', slidingWindows({ differenceMs: 10, graceMs: 5 }), 25],
    ['gap + grace', sessionWindows({ gapMs: 3, graceMs: 5 }), 8],
  ])('is %s at the least', (means, windows, least) => {
    expect(leastRetention(windows)).toBe(least)
    expect(retentionOf(windows, least)).toBe(least)
    expect(refused(() => retentionOf(windows, least - 1))).toBe(`retentionMs: ${least - 1}`)
    expect(() => retentionOf(windows, 0)).toThrow(means)
  })

  test('is a day where nothing else is said, or the least where that is more', () => {
    expect(retentionOf(timeWindows({ sizeMs: 10 }), undefined)).toBe(day)
    expect(retentionOf(timeWindows({ sizeMs: day, graceMs: 1 }), undefined)).toBe(day + 1)
  })
})

test('windows can not be changed once made', () => {
  expect(() => Object.assign(timeWindows({ sizeMs: 1 }), { sizeMs: 0 })).toThrow(TypeError)
})
