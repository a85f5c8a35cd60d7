import { type Broker, type Consumer, type ConsumerGroup, isMillraceError } from '../../index.js'
import { topicName } from '../topology/plan.js'
import { reachedRecord } from './positions.js'
import { answerOf, inSteps, type Steps } from './steps.js'
import type { PartitionQueue, TaskRun } from './task-run.js'
import { isRetriable, isThenable, later, retryBackoffMs, type Writes } from './writes.js'

export interface ResultsSetting {
  readonly applicationId: string
  readonly broker: Broker<any>
  readonly group: ConsumerGroup<any>
  readonly writes: Writes
  /** The group takes an assignor of ours, so it is in this process. */
  readonly here: boolean
}

/** What tasks have done since the last turn: written first, then committed. Kafka: RecordCollector, TaskExecutor. */
export class Results {
  readonly #setting: ResultsSetting
  readonly #consumer: Consumer<any>
  readonly #dropLost: () => void
  readonly #touched = new Set<TaskRun>()

  /** `dropLost`: ends the tasks that are not owned any more. */
  constructor(setting: ResultsSetting, consumer: Consumer<any>, dropLost: () => void) {
    this.#setting = setting
    this.#consumer = consumer
    this.#dropLost = dropLost
  }

  /** A task has done something. */
  touch(run: TaskRun): void {
    this.#touched.add(run)
  }
  /** Whatever it has done is not wanted. */
  forget(run: TaskRun): void {
    this.#touched.delete(run)
  }

  /** First what was done, then how far: at least once. Nothing is awaited that is no promise. */
  async write(): Promise<void> {
    if (this.#touched.size === 0) return
    const runs = [...this.#touched]
    this.#touched.clear()
    const written = inSteps(this.#writeAll(runs))
    if (isThenable(written)) await written
    const committed = this.#commit(runs)
    committed.catch(() => {})
    // All is done by now, in one step, and the commit may never come.
    if (this.#setting.here && !isThenable(written)) this.#noteReached(runs)
    await committed
  }

  /** What tasks that have ended have done in their last moments. */
  async writeLast(runs: readonly TaskRun[]): Promise<void> {
    await inSteps(this.#writeAll(runs))
  }

  /**
   * Outputs first, and changes of state only when all of these are written: of a turn whose outputs are refused the state
   * knows nothing, and whoever does it again counts nothing twice.
   */
  *#writeAll(runs: readonly TaskRun[]): Steps<void> {
    const { writes } = this.#setting
    const done = runs.map(({ task }) => task.drain())
    for (const { outputs } of done) writes.addOutputs(outputs)
    yield* answerOf(writes.flush())
    for (const { changes } of done) writes.addChanges(changes)
    yield* answerOf(writes.flush())
  }

  /** Whoever restores these tasks is told how far they have come, in the same step, unless the group knows. */
  #noteReached(runs: readonly TaskRun[]): void {
    const { broker, writes } = this.#setting
    for (const run of runs) {
      if (run.queues.every(queue => this.#isCommitted(queue))) continue
      const record = reachedRecord(run, broker.clock.now())
      if (record !== undefined) writes.add(this.#timeChangelog(run), record)
    }
    writes.flush()?.catch(() => {})
  }
  #isCommitted({ topic, partition, next, committed }: PartitionQueue): boolean {
    if (next === undefined || next === committed) return true
    return this.#setting.group.committed(topic, partition) === next
  }
  #timeChangelog({ task }: TaskRun): string {
    return topicName(task.subtopology.changelogs.at(-1)!.topic, this.#setting.applicationId)
  }

  async #commit(runs: readonly TaskRun[]): Promise<void> {
    for (let living = runs; ; ) {
      const offsets = living.flatMap(run => [...run.uncommitted()])
      if (offsets.length === 0) return
      try {
        await this.#consumer.commit(offsets)
        for (const run of living) run.committed()
        return
      } catch (error) {
        const again = isRetriable(error)
        if (this.#consumer.closed || !(again || isOut(error))) throw error
        if (again) await later(this.#setting.broker, retryBackoffMs)
        // The rest of it may be committed all the same.
        this.#dropLost()
        const left = living.filter(({ state }) => state !== 'closed')
        if (!again && left.length === living.length) throw error
        living = left
      }
    }
  }
}

/** Who is out of the group, or does not own the partition any more. */
export function isOut(error: unknown): boolean {
  return isMillraceError(error, 'ILLEGAL_GENERATION') || isMillraceError(error, 'UNKNOWN_MEMBER_ID')
}
