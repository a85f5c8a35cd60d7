import type { TestProcess } from 'millrace/testing'
import { expect, test } from 'vitest'
import { difference, report } from './generator/compare.js'
import { run, type Way } from './generator/run.js'
import type { Known } from './generator/stored.js'
import { storedFiles, storedIn } from './generator/stored.js'
import { clusterLike } from './runtime/cluster-like.js'

// What Kafka Streams made of the stored cases, by an application that runs: over groups, offsets, repartition topics and
// changelogs, where its instance is another one now and then, and where its broker answers as a cluster does.

const ways: Record<string, Way> = {
  'by one instance, two records a turn': { broker: broker => broker, maxPollRecords: 2 },
  'by another instance for every third input': {
    broker: broker => broker,
    ends: (at, streams) => (at % 3 === 2 ? streams.close() : undefined),
  },
  'by instances that are killed after every third input': {
    broker: broker => broker.process(),
    ends: (at, _, broker) => (at % 3 === 2 ? Promise.resolve((broker as TestProcess).crash()) : undefined),
  },
  'by one instance on a cluster': { broker: broker => clusterLike(broker) },
}

/**
 * What Kafka's driver takes in one order, and an application may take in another: what comes to a task by several ways,
 * and when the clock is looked at. Nobody says what has failed.
 */
function isOrdered({ given: { steps }, expected: { describe = '', error } }: Known): boolean {
  const internal = new Set(
    [...describe.matchAll(/topics: \[([^\]]*-(?:repartition|topic))\]/g)].map(([, name]) => name),
  )
  const again = steps.some(step => step.op === 'to' && step.topic?.startsWith('mid-'))
  const byTheClock = steps.some(
    step => (step.op === 'process' || step.op === 'processValues') && (step.by === 'alarm' || step.time !== undefined),
  )
  return error === undefined && internal.size < 2 && !again && !byTheClock
}

const cases = storedFiles()
  .flatMap(file => storedIn(file))
  .filter(isOrdered)

test('there are enough of them', () => {
  expect(cases.length).toBeGreaterThan(400)
})

test.each(Object.entries(ways))(
  '%s',
  async (_, way) => {
    const differing: string[] = []
    for (const { given, expected } of cases.filter((_, i) => i % 10 === 0)) {
      const records = await run(given, way)
      const found = difference({ records: expected.records ?? {} }, { records }, given.steps)
      if (found) differing.push(report(given, found))
    }
    expect(differing.slice(0, 3).join('\n\n'), `${differing.length} cases differ`).toBe('')
  },
  60_000,
)
