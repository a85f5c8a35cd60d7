import { expect, test } from 'vitest'
import { type Case, type Outcome, type Step, sourcesOf } from './generator/case.js'
import { play } from './generator/play.js'
import { storedFiles, storedIn } from './generator/stored.js'

// Per key, a topology gives the same on one partition and on seven, where its meaning does not depend on how records
// are shared out. Where it does, the table says why.

const dependsOnPartitioning: readonly [why: string, does: (step: Step) => boolean][] = [
  [
    'what has not come by a stream time comes when another record of the same partition moves it',
    step => step.op === 'suppress' || (step.op === 'streamJoin' && step.kind !== 'inner'),
  ],
  [
    'a processor sees the records, the rows and the time of its own partition, and its key is not repartitioned by',
    step => step.op === 'process' || step.op === 'processValues',
  ],
  ['all records in one partition are not where their keys belong', step => 'partition' in step],
  [
    'of two topics of a table, or a stream read twice, no order between partitions',
    step => step.op === 'stream' && step.topics.length > 1,
  ],
]

/**
 * How often, at most, a record of a case may change its partition on its way. Changes that one record makes in two
 * partitions, such as those of a table's old and new group, meet again at the next such place in any order.
 */
function shuffles(steps: readonly Step[]): number {
  const depth = new Map<string, number>()
  for (const step of steps) {
    const moves =
      ['map', 'flatMap', 'selectKey', 'groupBy', 'tableGroupBy', 'foreignKeyJoin'].includes(step.op) ||
      (step.op === 'toStream' && step.key !== undefined)
    const topics = step.op === 'stream' ? step.topics : step.op === 'table' ? [step.topic] : []
    const before = Math.max(0, ...[...sourcesOf(step), ...topics].map(name => depth.get(name) ?? 0))
    depth.set(step.id, before + (moves ? 1 : 0))
    if (step.op === 'to' && step.topic !== undefined) depth.set(step.topic, before)
  }
  return Math.max(...depth.values())
}

/** With windows that stay open: what is late, and is dropped, goes by the stream time of a partition. */
function withoutLateness(step: Step): Step {
  if (!('windows' in step) || step.windows === undefined) return step
  const { emit: _, retention: __, ...rest } = step as Step & { emit?: string; retention?: number }
  return { ...rest, windows: { ...step.windows, grace: 1_000_000 } } as Step
}

/** What each topic got for each key, in its order; where a record without a key goes is anybody's choice. */
function byKey({ records = {} }: Outcome): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const [topic, written] of Object.entries(records)) {
    for (const [at, key, ...rest] of written) {
      if (key === null) continue
      const of = `${topic} ${key}`
      found[of] = [...(found[of] ?? []), `${at} ${JSON.stringify(rest)}`]
    }
  }
  return found
}

test.each(storedFiles())('one partition or seven: %s', file => {
  const cases = storedIn(file)
    .map(({ given }): Case => ({ ...given, steps: given.steps.map(withoutLateness) }))
    .filter(
      ({ steps }) => shuffles(steps) < 2 && !steps.some(step => dependsOnPartitioning.some(([, does]) => does(step))),
    )
  expect(cases.length).toBeGreaterThan(20)
  for (const given of cases) {
    const [one, seven] = [play(given), play(given, { partitions: 7 })]
    expect(seven.error?.at, `seed ${given.seed}`).toEqual(one.error?.at)
    expect(byKey(seven), `seed ${given.seed}\n${given.steps.map(step => JSON.stringify(step)).join('\n')}`).toEqual(
      byKey(one),
    )
  }
})
