import { describe, expect, test } from 'vitest'
import { difference, report } from './generator/compare.js'
import { play } from './generator/play.js'
import { storedFiles, storedIn } from './generator/stored.js'

// Random topologies and inputs, and what Kafka Streams 4.1's TopologyTestDriver made of them (test/streams/oracle): every
// record of every topic in its order, with timestamp and headers; what callbacks saw; the rows of stores; describe().

describe('as Kafka Streams does it', () => {
  test('at least a thousand cases are stored', () => {
    expect(storedFiles().flatMap(file => storedIn(file)).length).toBeGreaterThanOrEqual(1_000)
  })

  test.each(storedFiles())('%s', file => {
    const differing = storedIn(file).flatMap(({ given, expected }) => {
      const found = difference(expected, play(given), given.steps)
      return found ? [report(given, found)] : []
    })
    expect(differing.slice(0, 3).join('\n\n'), `${differing.length} cases differ`).toBe('')
  })
})
