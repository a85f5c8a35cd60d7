import { afterEach, expect, test, vi } from 'vitest'
import { StreamTask } from '../../src/streams/task/task.js'
import type { Subtopology } from '../../src/streams/topology/plan.js'
import { BuiltTopology, planOf } from '../../src/streams/topology/topology.js'
import type { Outcome, Step } from './generator/case.js'
import { difference, report } from './generator/compare.js'
import { play } from './generator/play.js'
import { storedFiles, storedIn } from './generator/stored.js'

// A record that fails has done nothing: each record of the stored cases is worked through twice, and the first time,
// when all operators have had it, something throws. What comes of it is what Kafka Streams made of them undisturbed.

/** A processor's own fields are not undone. */
const isUndone = (step: Step): boolean => step.op !== 'process' || (step.stops === undefined && step.by !== 'alarm')

const failed = new Error('after all the others')
let failing = false

/** With a last child of every source, which throws when it is told to. */
function withFailures(topology: unknown): BuiltTopology {
  const plan = planOf(topology)
  const fails = (subtopology: Subtopology): Subtopology => {
    const last = subtopology.nodes
      .filter(({ kind }) => kind === 'source')
      .map(({ name }) => ({
        kind: 'processor' as const,
        name: `${name}-fails`,
        parents: [name],
        stores: new Set<string>(),
        make: () => ({
          process() {
            if (failing) throw failed
          },
        }),
      }))
    return { ...subtopology, nodes: [...subtopology.nodes, ...last] }
  }
  return new BuiltTopology({ ...plan, subtopologies: plan.subtopologies.map(fails) })
}

afterEach(() => void vi.restoreAllMocks())

test.each(storedFiles())('a record that failed and comes again changes nothing: %s', file => {
  let failures = 0
  const process = StreamTask.prototype.process
  vi.spyOn(StreamTask.prototype, 'process').mockImplementation(function (this: StreamTask, record, timestamp) {
    failing = true
    try {
      process.call(this, record, timestamp)
    } catch (error) {
      if (error === failed) failures++
    }
    failing = false
    process.call(this, record, timestamp)
  })
  // Callbacks that only look have looked twice.
  const unseen = ({ seen: _, ...outcome }: Outcome): Outcome => outcome
  const differing = storedIn(file).flatMap(({ given, expected }) => {
    if (!given.steps.every(isUndone)) return []
    const found = difference(unseen(expected), unseen(play(given, { adapt: withFailures })), given.steps)
    return found ? [report(given, found)] : []
  })
  expect(differing.slice(0, 3).join('\n\n'), `${differing.length} cases differ`).toBe('')
  expect(failures).toBeGreaterThan(1_000)
})
