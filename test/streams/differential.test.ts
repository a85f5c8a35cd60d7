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

  test('every operation and every kind of window and join is in ten of them at least', () => {
    const times = new Map<string, number>()
    for (const { given } of storedFiles().flatMap(file => storedIn(file))) {
      const names = given.steps.flatMap(step => {
        const kind = 'kind' in step ? step.kind : 'until' in step ? step.until : ''
        const windows = 'windows' in step && step.windows && 'kind' in step.windows ? step.windows.kind : ''
        return [step.op, `${step.op} ${kind}`, `${step.op} ${windows}`]
      })
      for (const name of new Set(names)) times.set(name.trim(), (times.get(name.trim()) ?? 0) + 1)
    }
    expect(Object.fromEntries([...times].filter(([, n]) => n < 10))).toEqual({})
    expect(times.size).toBeGreaterThan(60)
  })

  test.each(storedFiles())('%s', file => {
    const differing = storedIn(file).flatMap(({ given, expected }) => {
      const found = difference(expected, play(given), given.steps)
      return found ? [report(given, found)] : []
    })
    expect(differing.slice(0, 3).join('\n\n'), `${differing.length} cases differ`).toBe('')
  })
})
