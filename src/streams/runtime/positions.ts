import type { ProducerRecord } from '../../index.js'
import type { PartitionQueue, TaskRun } from './task-run.js'

/**
 * How far a task's state has come, written down beside it in the same step, where the commit takes its time and the group
 * may therefore never hear of it. It counts for who finds the group where this begins.
 */
interface Reached {
  readonly [topic: string]: { readonly from: number | null; readonly to: number }
}

/** Its key in the time changelog; no node has a name with a space. */
const reachedKey = 'worked through'

/** For the time changelog of a task, in its own partition; undefined where nothing was worked through. */
export function reachedRecord({ task, queues }: TaskRun, timestamp: number): ProducerRecord<unknown> | undefined {
  const value: Record<string, Reached[string]> = {}
  for (const { topic, next, committed } of queues)
    if (next !== undefined && next !== committed) value[topic] = { from: committed ?? null, to: next }
  if (Object.keys(value).length === 0) return undefined
  return { key: reachedKey, value, timestamp, partition: task.partition }
}
/** What was found of it while a task was restored. */
export class ReachedPositions {
  #latest: Reached = {}

  /** Whether a record of the time changelog was one of these. */
  take(key: string | null, value: unknown): boolean {
    if (key !== reachedKey) return false
    this.#latest = (value ?? {}) as Reached
    return true
  }

  /** Where a partition goes on, if that is further than the group knows. */
  of({ topic, committed }: PartitionQueue): number | undefined {
    const reached = this.#latest[topic]
    return reached !== undefined && (reached.from ?? undefined) === committed ? reached.to : undefined
  }
}
