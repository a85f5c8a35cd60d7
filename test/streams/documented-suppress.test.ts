import {
  type KTable,
  StreamsBuilder,
  type Suppressed,
  sessionWindows,
  slidingWindows,
  TopologyTestDriver,
  timeWindows,
  untilTimeLimit,
  untilWindowCloses,
  type Windowed,
} from 'millrace/streams'
import { describe, expect, test } from 'vitest'
import { inWindow, written } from './documented.js'

// The scenarios of Kafka's SuppressScenarioTest, and "Window Final Results" and "Controlling KTable emit rate" of the
// developer guide.

interface Topics {
  input: string
  raw: number | null
  suppressed: number | null
}

describe('until a time limit', () => {
  /** shouldSuppressIntermediateEventsWith...: a table grouped by its values, and counted. */
  function counted(until: Suppressed): TopologyTestDriver<Topics> {
    const builder = new StreamsBuilder<Topics>()
    const counts = builder
      .table('input')
      .groupBy((value, key) => [value, key])
      .count()
    counts.suppress(until).toStream().to('suppressed')
    counts.toStream().to('raw')
    const driver = new TopologyTestDriver(builder.build())
    pipe(driver, ['k1', 'v1', 0], ['k1', 'v2', 1], ['k2', 'v1', 2])
    expect(written(driver, 'raw')).toEqual(['v1=1@0', 'v1=0@1', 'v2=1@1', 'v1=1@2'])
    return driver
  }

  test('of zero: everything comes at once', () => {
    const driver = counted(untilTimeLimit(0))
    expect(written(driver, 'suppressed')).toEqual(['v1=1@0', 'v1=0@1', 'v2=1@1', 'v1=1@2'])
    pipe(driver, ['x', 'x', 3])
    expect(written(driver, 'suppressed')).toEqual(['x=1@3'])
    pipe(driver, ['x', 'y', 4])
    expect(written(driver, 'suppressed')).toEqual(['x=0@4', 'y=1@4'])
  })

  test('of two milliseconds, by stream time', () => {
    const driver = counted(untilTimeLimit(2))
    expect(written(driver, 'suppressed')).toEqual(['v1=1@2'])
    pipe(driver, ['tick', 'tick', 3])
    expect(written(driver, 'suppressed')).toEqual(['v2=1@1'])
    pipe(driver, ['tick', 'tock', 4])
    expect(written(driver, 'suppressed')).toEqual([])
  })

  test('or until there are too many, when the oldest goes early', () => {
    const driver = counted(untilTimeLimit(Number.MAX_SAFE_INTEGER, { maxRecords: 1 }))
    expect(written(driver, 'suppressed')).toEqual(['v1=0@1', 'v2=1@1'])
    pipe(driver, ['x', 'x', 3])
    expect(written(driver, 'suppressed')).toEqual(['v1=1@2'])
  })
})

describe('until the window closes', () => {
  type Count = (builder: StreamsBuilder<Topics>) => KTable<number, Windowed, any>

  /** shouldSupportFinalResultsFor...: both the counts and their final results, in the order of the records. */
  function both(count: Count, timestamps: readonly number[], key = (_: number): string => 'k1'): [string[], string[]] {
    const builder = new StreamsBuilder<Topics>()
    const counts = count(builder)
    counts
      .suppress(untilWindowCloses())
      .toStream()
      .map((n, window) => [inWindow(window), n])
      .to('suppressed')
    counts
      .toStream()
      .map((n, window) => [inWindow(window), n])
      .to('raw')
    const driver = new TopologyTestDriver(builder.build())
    pipe(driver, ...timestamps.map((timestamp, i) => [key(i), 'v1', timestamp] as const))
    return [written(driver, 'raw'), written(driver, 'suppressed')]
  }

  test('of time windows', () => {
    const windows = timeWindows({ sizeMs: 2, graceMs: 1 })
    const [raw, suppressed] = both(
      builder =>
        builder
          .stream('input')
          .groupBy((_, key) => key)
          .windowedBy(windows)
          .count({ store: 'counts' }),
      [0, 1, 2, 1, 0, 5, 0],
    )
    expect(raw).toEqual([
      '[k1@0/2]=1@0',
      '[k1@0/2]=2@1',
      '[k1@2/4]=1@2',
      '[k1@0/2]=3@1',
      '[k1@0/2]=4@1',
      '[k1@4/6]=1@5',
    ])
    expect(suppressed).toEqual(['[k1@0/2]=4@1', '[k1@2/4]=1@2'])
  })

  test('of time windows, with a large jump', () => {
    const windows = timeWindows({ sizeMs: 2, graceMs: 2 })
    const [raw, suppressed] = both(
      builder => builder.stream('input').groupByKey().windowedBy(windows).count({ store: 'counts' }),
      [0, 1, 2, 0, 3, 0, 4, 0, 30],
    )
    expect(raw).toEqual([
      '[k1@0/2]=1@0',
      '[k1@0/2]=2@1',
      '[k1@2/4]=1@2',
      '[k1@0/2]=3@1',
      '[k1@2/4]=2@3',
      '[k1@0/2]=4@1',
      '[k1@4/6]=1@4',
      '[k1@30/32]=1@30',
    ])
    expect(suppressed).toEqual(['[k1@0/2]=4@1', '[k1@2/4]=2@3', '[k1@4/6]=1@4'])
  })

  test('of sliding windows', () => {
    const windows = slidingWindows({ differenceMs: 5, graceMs: 15 })
    const [raw, suppressed] = both(
      builder => builder.stream('input').groupByKey().windowedBy(windows).count({ store: 'counts' }),
      [10, 11, 10, 13, 10, 24, 5, 7, 90],
    )
    // Kafka's test sorts the changes by key and then by time.
    expect(raw.sort()).toEqual(
      [
        '[k1@11/16]=1@11',
        '[k1@11/16]=2@13',
        '[k1@12/17]=1@13',
        '[k1@19/24]=1@24',
        '[k1@5/10]=1@10',
        '[k1@5/10]=2@10',
        '[k1@5/10]=3@10',
        '[k1@5/10]=4@10',
        '[k1@5/10]=5@10',
        '[k1@6/11]=2@11',
        '[k1@6/11]=3@11',
        '[k1@6/11]=4@11',
        '[k1@6/11]=5@11',
        '[k1@8/13]=4@13',
        '[k1@8/13]=5@13',
        '[k1@85/90]=1@90',
      ].sort(),
    )
    expect(suppressed).toEqual([
      '[k1@5/10]=5@10',
      '[k1@6/11]=5@11',
      '[k1@8/13]=5@13',
      '[k1@11/16]=2@13',
      '[k1@12/17]=1@13',
      '[k1@19/24]=1@24',
    ])
  })

  test('of sessions', () => {
    const [raw, suppressed] = both(
      builder =>
        builder
          .stream('input')
          .groupByKey()
          .windowedBy(sessionWindows({ gapMs: 5 }))
          .count({ store: 'counts' }),
      // Late by less than the gap is not late; then another key's record moves the stream time, and 5 is late.
      [0, 5, 1, 11, 5, 30],
      i => (i === 3 ? 'k2' : 'k1'),
    )
    expect(raw).toEqual([
      '[k1@0/0]=1@0',
      '[k1@0/0]=null@0',
      '[k1@0/5]=2@5',
      '[k1@0/5]=null@5',
      '[k1@0/5]=3@5',
      '[k2@11/11]=1@11',
      '[k1@30/30]=1@30',
    ])
    expect(suppressed).toEqual(['[k1@0/5]=3@5', '[k2@11/11]=1@11'])
  })

  test('a count of less than three an hour, once it can change no more', () => {
    // "The 09:00 to 10:00 window will accept out-of-order records until 10:10, at which point, the window is closed."
    const minute = 60_000
    const nine = 9 * 60 * minute
    const builder = new StreamsBuilder<{ events: string; alerts: number | null }>()
    builder
      .stream('events')
      .groupByKey()
      .windowedBy(timeWindows({ sizeMs: 60 * minute, graceMs: 10 * minute }))
      .count()
      .suppress(untilWindowCloses())
      .filter(n => n < 3)
      .toStream()
      .map((n, { key }) => [key, n])
      .to('alerts')
    const driver = new TopologyTestDriver(builder.build())
    const at = (key: string, minutes: number): void =>
      driver.pipe('events', { key, value: 'event', timestamp: nine + minutes * minute })
    for (const minutes of [0, 10, 20]) at('busy', minutes)
    at('idle', 30)
    at('busy', 69)
    at('idle', 59)
    expect(written(driver, 'alerts')).toEqual([])
    at('busy', 70)
    // A filter of a table says of a row that does not pass that it is gone.
    expect(written(driver, 'alerts')).toEqual([`busy=null@${nine + 20 * minute}`, `idle=2@${nine + 59 * minute}`])
  })
})

describe('between other operations', () => {
  test('shouldWorkBeforeGroupBy', () => {
    const builder = new StreamsBuilder<{ topic: string; output: number | null }>()
    builder
      .table('topic')
      .suppress(untilTimeLimit(10))
      .groupBy((value, key) => [key, value])
      .count()
      .toStream()
      .to('output')
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('topic', { key: 'A', value: 'a', timestamp: 0 }, { key: 'tick', value: 'tick', timestamp: 10 })
    expect(written(driver, 'output')).toEqual(['A=1@0'])
  })

  test('shouldWorkBeforeJoinRight: a join sees of a suppressed table what came out of it', () => {
    const builder = new StreamsBuilder<{ left: string; right: string; output: string | null }>()
    const right = builder.table('right').suppress(untilTimeLimit(10))
    builder
      .table('left')
      .outerJoin(right, (l, r) => `(${l ?? null},${r ?? null})`)
      .toStream()
      .to('output')
    const driver = new TopologyTestDriver(builder.build())
    const outputAfter = (topic: 'left' | 'right', key: string, value: string, timestamp: number): string[] => {
      driver.pipe(topic, { key, value, timestamp })
      return written(driver, 'output')
    }
    expect(outputAfter('right', 'B', '1', 0)).toEqual([])
    expect(outputAfter('right', 'A', '1', 0)).toEqual([])
    expect(outputAfter('right', 'tick', 'tick', 10)).toEqual(['A=(null,1)@0', 'B=(null,1)@0'])
    expect(outputAfter('right', 'A', '2', 11)).toEqual([])
    expect(outputAfter('left', 'A', 'a', 12)).toEqual(['A=(a,1)@12'])
    expect(outputAfter('left', 'B', 'b', 12)).toEqual(['B=(b,1)@12'])
    expect(outputAfter('left', 'A', 'b', 13)).toEqual(['A=(b,1)@13'])
    expect(outputAfter('right', 'tick', 'tick1', 21)).toEqual(['tick=(null,tick1)@21', 'A=(b,2)@13'])
  })
})

function pipe(driver: TopologyTestDriver<Topics>, ...records: (readonly [string, string, number])[]): void {
  driver.pipe('input', ...records.map(([key, value, timestamp]) => ({ key, value, timestamp })))
}
