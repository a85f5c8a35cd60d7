import type { TopologyTestDriver } from 'millrace/streams'
import { expect, test } from 'vitest'
import type { Step } from './generator/case.js'
import { difference, report } from './generator/compare.js'
import { play } from './generator/play.js'
import { storedFiles, storedIn } from './generator/stored.js'

// A task that is killed and restored from its changelogs after any record goes on as if nothing had happened: all tasks
// are, before every input, and what comes of the stored cases is what Kafka Streams made of them undisturbed.

/** What is said not to be restored: schedules by the wall clock, and what a processor keeps in its own fields. */
const isRestored = (step: Step): boolean =>
  step.op !== 'process' || (step.by !== 'alarm' && step.time !== 'wall clock time' && step.stops === undefined)

test.each(storedFiles())('moving every task before every input changes nothing: %s', file => {
  let moves = 0
  const differing = storedIn(file).flatMap(({ given, expected }) => {
    if (!given.steps.every(isRestored)) return []
    const meanwhile = (driver: TopologyTestDriver): void => {
      for (const { id } of driver.tasks) {
        driver.moveTask(id)
        moves++
      }
    }
    const found = difference(expected, play(given, { meanwhile }), given.steps)
    return found ? [report(given, found)] : []
  })
  expect(differing.slice(0, 3).join('\n\n'), `${differing.length} cases differ`).toBe('')
  expect(moves).toBeGreaterThan(1_000)
})
