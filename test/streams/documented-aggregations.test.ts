import { StreamsBuilder, TopologyTestDriver } from 'millrace/streams'
import { expect, test } from 'vitest'

// The developer guide's "Example of semantics for stream aggregations" and "for table aggregations": the state after
// each record, which the guide lists by key.

const stateOf = (driver: TopologyTestDriver, table: any): Record<string, number> =>
  Object.fromEntries(driver.query(table).range() as Iterable<[string, number]>)

test('an aggregate of a stream adds up', () => {
  const builder = new StreamsBuilder<{ wordCounts: number }>()
  const aggregated = builder
    .stream('wordCounts')
    .groupByKey()
    .aggregate(
      () => 0,
      (sum, value) => sum + value,
      { store: 'aggregated-stream-store' },
    )
  const driver = new TopologyTestDriver(builder.build())
  const states = ['hello', 'kafka', 'streams', 'kafka', 'kafka', 'streams'].map((key, i) => {
    driver.pipe('wordCounts', { key, value: 1, timestamp: i + 1 })
    return stateOf(driver, aggregated)
  })
  expect(states).toEqual([
    { hello: 1 },
    { hello: 1, kafka: 1 },
    { hello: 1, kafka: 1, streams: 1 },
    { hello: 1, kafka: 2, streams: 1 },
    { hello: 1, kafka: 3, streams: 1 },
    { hello: 1, kafka: 3, streams: 2 },
  ])
})

test('an aggregate of a table subtracts what a row was, and adds what it is', () => {
  const builder = new StreamsBuilder<{ userProfiles: string | null }>()
  const aggregated = builder
    .table('userProfiles')
    .groupBy((region, user) => [region, user.length])
    .aggregate(
      () => 0,
      (sum, length) => sum + length,
      (sum, length) => sum - length,
      { store: 'aggregated-table-store' },
    )
  const driver = new TopologyTestDriver(builder.build())
  const records: [string | null, string | null][] = [
    ['alice', 'E'],
    ['bob', 'A'],
    ['charlie', 'A'],
    ['alice', 'A'],
    ['charlie', null],
    [null, 'E'],
    ['bob', 'E'],
  ]
  const states = records.map(([key, value], i) => {
    driver.pipe('userProfiles', { key, value, timestamp: i + 1 })
    return stateOf(driver, aggregated)
  })
  expect(states).toEqual([
    { E: 5 },
    { A: 3, E: 5 },
    { A: 10, E: 5 },
    { A: 15, E: 0 },
    { A: 8, E: 0 },
    { A: 8, E: 0 },
    { A: 5, E: 3 },
  ])
})
