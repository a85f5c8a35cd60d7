import {
  type SessionWindows,
  type SlidingWindows,
  StreamsBuilder,
  sessionWindows,
  slidingWindows,
  type TimeWindows,
  TopologyTestDriver,
  timeWindows,
  type Windowed,
} from 'millrace/streams'
import { describe, expect, test } from 'vitest'

// The windows' documented examples: the developer guide's "Windowing", and the Javadoc of TimeWindows, SlidingWindows
// and SessionWindows.

/** The windows that there are after these records, by start, with the values that they hold. */
function windowsOf(
  windows: TimeWindows | SlidingWindows | SessionWindows,
  records: readonly (readonly [key: string, value: string, timestamp: number])[],
): string[] {
  const builder = new StreamsBuilder<{ events: string }>()
  const grouped = builder.stream('events').groupByKey()
  const add = (values: string, value: string): string => (values === '' ? value : `${values},${value}`)
  const table =
    windows.kind === 'session'
      ? grouped.windowedBy(windows).aggregate(
          () => '',
          add,
          (one, other) => add(one, other),
        )
      : grouped.windowedBy(windows).aggregate(() => '', add)
  const driver = new TopologyTestDriver(builder.build())
  driver.pipe('events', ...records.map(([key, value, timestamp]) => ({ key, value, timestamp })))
  const rows = driver.query(table).range() as Iterable<readonly [Windowed, string]>
  return [...rows].map(([{ key, start, end }, values]) => `${key}@${start}/${end} ${values}`)
}

describe('time windows', () => {
  test('hopping: 5000 ms long every 3000 ms, from zero on, the end exclusive', () => {
    const windows = timeWindows({ sizeMs: 5_000, advanceMs: 3_000, graceMs: 60_000 })
    expect(windowsOf(windows, [['A', '1', 4_999]])).toEqual(['A@0/5000 1', 'A@3000/8000 1'])
    expect(windowsOf(windows, [['A', '1', 5_000]])).toEqual(['A@3000/8000 1'])
    expect(windowsOf(windows, [['A', '1', 0]])).toEqual(['A@0/5000 1'])
  })

  test('tumbling: 5000 ms long, a record in one and only one', () => {
    const windows = timeWindows({ sizeMs: 5_000, graceMs: 60_000 })
    const records = [0, 4_999, 5_000, 9_999, 10_000].map((timestamp, i) => ['A', `${i}`, timestamp] as const)
    expect(windowsOf(windows, records)).toEqual(['A@0/5000 0,1', 'A@5000/10000 2,3', 'A@10000/15000 4'])
  })
})

test('sliding: five windows of three records, both ends inclusive (Javadoc of SlidingWindows)', () => {
  const windows = slidingWindows({ differenceMs: 5_000 })
  const records = [
    ['A', '1', 8_000],
    ['A', '2', 9_200],
    ['A', '3', 12_400],
  ] as const
  expect(windowsOf(windows, records)).toEqual([
    'A@3000/8000 1',
    'A@4200/9200 1,2',
    'A@7400/12400 1,2,3',
    'A@8001/13001 2,3',
    'A@9201/14201 3',
  ])
})

describe('session windows', () => {
  test('a late record joins two sessions (Javadoc of SessionWindows)', () => {
    const windows = sessionWindows({ gapMs: 5, graceMs: 60 })
    const records = [
      ['A', '1', 10],
      ['A', '2', 12],
      ['A', '3', 20],
    ] as const
    expect(windowsOf(windows, records)).toEqual(['A@10/12 1,2', 'A@20/20 3'])
    expect(windowsOf(windows, [...records, ['A', '4', 16]])).toHaveLength(1)
    expect(windowsOf(windows, [...records, ['A', '4', 16]])[0]).toMatch(/^A@10\/20 /)
  })

  test('the green and the blue ones of the developer guide, in minutes', () => {
    const windows = sessionWindows({ gapMs: 5 * 60_000, graceMs: 60 * 60_000 })
    const minute = (key: string, at: number) => [key, '1', at * 60_000] as const
    const session = (key: string, from: number, to: number, records: number): string =>
      `${key}@${from * 60_000}/${to * 60_000} ${Array(records).fill('1').join(',')}`
    const first = [minute('green', 0), minute('green', 6), minute('blue', 2)]
    expect(windowsOf(windows, first)).toEqual([
      session('green', 0, 0, 1),
      session('blue', 2, 2, 1),
      session('green', 6, 6, 1),
    ])
    const then = [minute('green', 4), minute('blue', 5), minute('blue', 11)]
    expect(windowsOf(windows, [...first, ...then])).toEqual([
      session('green', 0, 6, 3),
      session('blue', 2, 5, 2),
      session('blue', 11, 11, 1),
    ])
  })
})
