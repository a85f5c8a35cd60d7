import { keyValueStore, StreamsBuilder, TopologyTestDriver } from 'millrace/streams'
import { expect, test } from 'vitest'
import { written } from './documented.js'

// Of Kafka's TopologyTestDriverTest, and the example of its testing guide
// (https://kafka.apache.org/41/streams/developer-guide/testing/).

/** A driver over a processor that notes when it is punctuated, every ten milliseconds. */
function noting(time: 'stream time' | 'wall clock time'): { driver: TopologyTestDriver; punctuatedAt: number[] } {
  const punctuatedAt: number[] = []
  const builder = new StreamsBuilder<{ source: string }>()
  builder.stream('source').process(() => ({
    init: context => void context.schedule(10, time, timestamp => punctuatedAt.push(timestamp)),
    process: () => {},
  }))
  return { driver: new TopologyTestDriver(builder.build()), punctuatedAt }
}

test('shouldPunctuateOnStreamsTime', () => {
  const { driver, punctuatedAt } = noting('stream time')
  const found = [42, 42, 51, 52, 61, 65, 71, 72, 95, 101, 102].map(timestamp => {
    driver.pipe('source', { key: 'key1', value: 'value1', timestamp })
    return punctuatedAt.splice(0)
  })
  expect(found).toEqual([[42], [], [51], [], [61], [], [71], [], [95], [101], []])
})

test('shouldPunctuateOnWallClockTime', () => {
  const { driver, punctuatedAt } = noting('wall clock time')
  const found = [5, 9, 1, 20, 5].map(ms => {
    driver.advanceWallClock(ms)
    return punctuatedAt.splice(0)
  })
  expect(found).toEqual([[], [14], [], [35], [40]])
})

/** The testing guide's CustomMaxAggregator: it keeps the largest value of a key, and says it every ten seconds or minute. */
function maximum(): TopologyTestDriver {
  const aggregates = keyValueStore<number>('aggStore')
  const builder = new StreamsBuilder<{ 'input-topic': number; 'result-topic': number }>()
  builder
    .stream('input-topic')
    .process<number>(() => {
      let store: { get(key: string): number | undefined; put(key: string, value: number): void }
      return {
        init(context) {
          const rows = context.store(aggregates)
          store = rows
          const flush = (): void => {
            for (const [key, value] of rows.range()) context.forward({ key, value })
          }
          context.schedule(60_000, 'wall clock time', flush)
          context.schedule(10_000, 'stream time', flush)
        },
        process(value, key) {
          const old = store.get(key!)
          if (old === undefined || value > old) store.put(key!, value)
        },
      }
    }, [aggregates])
    .to('result-topic')
  const driver = new TopologyTestDriver(builder.build())
  // The guide's setup() puts 21 for a into the store; here a record brings it.
  driver.pipe('input-topic', { key: 'a', value: 21, timestamp: 0 })
  driver.read('result-topic')
  return driver
}

test('shouldPunctuateIfEvenTimeAdvances', () => {
  const driver = maximum()
  const after = (timestamp: number): string[] => {
    driver.pipe('input-topic', { key: 'a', value: 1, timestamp })
    return written(driver, 'result-topic')
  }
  expect([9_999, 9_999, 10_000].map(after)).toEqual([[], [], ['a=21@10000']])
})

test('shouldPunctuateIfWallClockTimeAdvances', () => {
  const driver = maximum()
  driver.advanceWallClock(60_000)
  expect(written(driver, 'result-topic')).toEqual(['a=21@60000'])
})
