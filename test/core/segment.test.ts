import { describe, expect, test } from 'vitest'
import { mergeSegments, noHeaders, Segment, survivorsOf } from '../../src/core/segment.js'

const segmentOf = (base: number, ...keys: string[]): Segment => {
  const segment = new Segment(base, keys.length || 1)
  for (const key of keys) segment.append(key, `${key}!`, noHeaders, 0)
  return segment
}
const compacted = (segmentRecords: number, ...sealed: Segment[]): Segment[] =>
  mergeSegments(
    survivorsOf(sealed, new Segment(100, 1), 0, () => true),
    segmentRecords,
  )

describe('a segment', () => {
  test('grows beyond the room that it begins with', () => {
    const segment = new Segment(10, 1)
    for (let i = 0; i < 100; i++) segment.append(`k${i}`, i, noHeaders, i)
    expect([segment.count, segment.values[99], segment.offsetAt(99)]).toEqual([100, 99, 109])
  })

  test('has no headers column while no record has headers', () => {
    const segment = segmentOf(0, 'a', 'b')
    expect(segment.headers).toBeUndefined()
    segment.append('c', 'v', [['h', '1']], 0)
    expect(segment.headers).toEqual([[], [], [['h', '1']]])
  })

  test('trimmed, it has columns as long as its records', () => {
    const segment = new Segment(0, 8)
    segment.append('a', 1, noHeaders, 5)
    segment.trim()
    expect([segment.keys, segment.values, segment.timestamps]).toEqual([['a'], [1], [5]])
  })

  test('slotOf is the first record at or after an offset, dense or with gaps', () => {
    const dense = segmentOf(10, 'a', 'b', 'c')
    expect([0, 10, 12, 13, 20].map(offset => dense.slotOf(offset))).toEqual([0, 0, 2, 3, 3])
    const [sparse] = compacted(3, segmentOf(10, 'a', 'b', 'a'), segmentOf(13, 'c', 'c', 'c'))
    expect([10, 11, 12, 13, 15, 16].map(offset => sparse!.slotOf(offset))).toEqual([0, 0, 1, 2, 2, 3])
  })
})

describe('a compaction', () => {
  test('leaves a segment that lost nothing as it is, offsets implicit', () => {
    const whole = segmentOf(0, 'a', 'b')
    expect(compacted(2, whole)).toEqual([whole])
    expect(whole.offsets).toBeUndefined()
  })

  test('writes offsets down where records are missing', () => {
    const [merged] = compacted(3, segmentOf(0, 'a', 'b', 'a'))
    expect([merged!.base, merged!.offsets]).toEqual([0, Float64Array.of(1, 2)])
  })

  test('leaves no empty segment', () => {
    expect(compacted(2, segmentOf(0, 'a', 'a'), segmentOf(2, 'a', 'b')).map(segment => segment.base)).toEqual([2])
  })
})
