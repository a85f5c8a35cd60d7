import { type JoinWindows, joinWindows, StreamsBuilder, TopologyTestDriver } from 'millrace/streams'
import { expect, test } from 'vitest'
import { written } from './documented.js'

// Of Kafka's KStreamKStreamOuterJoinTest: when unmatched records come, in which order, and with whose headers.

interface Topics {
  left: string
  right: string
  joined: string
}

/** Feeds a record, and gives what came of it. */
type Feed = (
  topic: 'left' | 'right',
  key: string,
  value: string,
  timestamp: number,
  headers?: Record<string, string>,
) => string[]

function outerJoin(windows: JoinWindows): { feed: Feed; driver: TopologyTestDriver<Topics> } {
  const builder = new StreamsBuilder<Topics>()
  builder
    .stream('left')
    .outerJoin(builder.stream('right'), (left, right) => `${left ?? null}+${right ?? null}`, windows)
    .to('joined')
  const driver = new TopologyTestDriver(builder.build())
  const feed: Feed = (topic, key, value, timestamp, headers = {}) => {
    driver.pipe(topic, { key, value, timestamp, headers })
    return written(driver, 'joined')
  }
  return { feed, driver }
}

test('testLeftExpiredNonJoinedRecordsAreEmittedByTheLeftProcessor', () => {
  const { feed } = outerJoin(joinWindows({ differenceMs: 100 }))
  expect(feed('left', '0', 'A0', 1)).toEqual([])
  expect(feed('left', '1', 'A1', 2)).toEqual([])
  expect(feed('left', '0', 'A0-0', 3)).toEqual([])
  expect(feed('right', '1', '11', 3)).toEqual(['1=A1+11@3'])
  expect(feed('left', '2', 'dummy', 401)).toEqual(['0=A0+null@1', '0=A0-0+null@3'])
  expect(feed('right', '2', '100', 401)).toEqual(['2=dummy+100@401'])
})

test('testOrdering: what has expired comes before what is joined', () => {
  const { feed } = outerJoin(joinWindows({ differenceMs: 100 }))
  expect(feed('left', '0', 'A0', 0)).toEqual([])
  expect(feed('left', '1', 'A1', 100)).toEqual([])
  expect(feed('right', '1', '11', 110)).toEqual(['0=A0+null@0', '1=A1+11@110'])
})

test('testGracePeriod: the right one first where both have the same time', () => {
  const { feed } = outerJoin(joinWindows({ differenceMs: 100, graceMs: 10 }))
  expect(feed('left', '0', 'A0', 0)).toEqual([])
  expect(feed('right', '1', '11', 0)).toEqual([])
  expect(feed('left', '1', 'A1', 101)).toEqual([])
  expect(feed('right', '0', '10', 101)).toEqual([])
  expect(feed('right', '0', '100', 112)).toEqual(['1=null+11@0', '0=A0+null@0'])
})

test('testEmitAllNonJoinedResultsForAsymmetricWindow', () => {
  const { feed } = outerJoin(joinWindows({ beforeMs: 5, afterMs: 20 }))
  expect(feed('left', '0', 'A0', 29)).toEqual([])
  expect(feed('left', '1', 'A1', 30)).toEqual([])
  expect(feed('right', '2', '12', 31)).toEqual([])
  expect(feed('right', '3', '13', 36)).toEqual([])
  expect(feed('right', '4', '14', 37)).toEqual(['2=null+12@31'])
  expect(feed('right', '5', '15', 50)).toEqual(['0=A0+null@29', '3=null+13@36', '4=null+14@37'])
})

test('testShouldForwardCurrentHeaders: those of the record that made it come', () => {
  const { feed, driver } = outerJoin(joinWindows({ differenceMs: 100, graceMs: 10 }))
  feed('left', '0', 'A0', 0, { h: '1' })
  feed('right', '1', '10', 0, { h: '2' })
  driver.pipe('right', { key: '3', value: '100', timestamp: 211, headers: { h: '3' } })
  const found = driver.read('joined').map(({ key, value, timestamp, headers }) => [key, value, timestamp, headers])
  expect(found).toEqual([
    ['1', 'null+10', 0, [['h', '3']]],
    ['0', 'A0+null', 0, [['h', '3']]],
  ])
})
