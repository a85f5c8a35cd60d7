import { type Broker, type Consumer, type ConsumerGroup, isMillraceError, type NextOffset } from '../../index.js'
import { topicName } from '../topology/plan.js'
import { reachedRecord } from './positions.js'
import { isRetriable, later, retryBackoffMs } from './retries.js'
import { inSteps, isThenable, type Steps } from './steps.js'
import type { PartitionQueue, TaskRun } from './task-run.js'
import type { Writes } from './writes.js'

export interface ResultsSetting {
  readonly applicationId: string
  readonly broker: Broker<any>
  readonly group: ConsumerGroup<any>
  readonly writes: Writes
  /** The group takes an assignor of ours, so it is in this process. */
  readonly here: boolean
}

/**
 * Where the group has not been heard for so long it is asked before anything is written. No session is as short. Kafka:
 * group.consumer.min.session.timeout.ms, of 45 seconds.
 */
const confirmAfterMs = 1_000
/** A member that is out hears it with its next heartbeat; longer than any group has between them. */
const heardWithinMs = 60_000

/** What tasks have done since the last turn: written first, then committed. Kafka: RecordCollector, TaskExecutor. */
export class Results {
  readonly #setting: ResultsSetting
  readonly #consumer: Consumer<any>
  readonly #dropLost: () => void
  readonly #touched = new Set<TaskRun>()
  /** When a commit was asked for that has been accepted: it was a member then. */
  #memberAt = Number.NEGATIVE_INFINITY

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
    const committed = this.#commit(runs, run => run.uncommitted()).then(() => {
      for (const run of runs) if (isOwned(run)) run.committed()
    })
    committed.catch(() => {})
    // All is done by now, in one step, and the commit may never come.
    if (this.#setting.here && !isThenable(written)) this.#noteReached(runs)
    await committed
  }

  /**
   * Outputs first, and changes of state only when all of these are written: of a turn whose outputs are refused the state
   * knows nothing, and whoever does it again counts nothing twice. A process that stood still for longer than its session
   * is out of the group and does not know it; what it would write behind its successor's is what a later restore would
   * find. So the group is asked first, by a commit that changes nothing, and what is lost is not written.
   */
  *#writeAll(runs: readonly TaskRun[]): Steps<void> {
    const { writes } = this.#setting
    const done = runs.map(run => ({ run, ...run.task.drain() }))
    if (done.some(({ outputs }) => outputs.length > 0)) yield* this.#confirm(runs)
    for (const { run, outputs } of done) if (isOwned(run)) writes.addOutputs(outputs)
    yield* this.#flush()
    if (done.every(({ changes }) => changes.length === 0)) return
    yield* this.#confirm(runs)
    for (const { run, changes } of done) if (isOwned(run)) writes.addChanges(changes)
    yield* this.#flush()
  }
  /** In memory whoever is out knows it. */
  *#confirm(runs: readonly TaskRun[]): Steps<void> {
    const { here, broker } = this.#setting
    if (here || broker.clock.now() - this.#memberAt <= confirmAfterMs) return
    yield this.#commit(runs, run => run.standing())
  }
  *#flush(): Steps<void> {
    const flushed = this.#setting.writes.flush()
    if (flushed === undefined) return
    yield flushed
    this.#dropLost()
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

  /** Of tasks that are owned still: others are ended. */
  async #commit(runs: readonly TaskRun[], offsetsOf: (run: TaskRun) => Iterable<NextOffset>): Promise<void> {
    const { clock } = this.#setting.broker
    const began = clock.now()
    for (;;) {
      const living = runs.filter(isOwned)
      const offsets = living.flatMap(run => [...offsetsOf(run)])
      if (offsets.length === 0) return
      const asked = clock.now()
      try {
        await this.#consumer.commit(offsets)
        this.#memberAt = asked
        return
      } catch (error) {
        if (this.#consumer.closed || !(isRetriable(error) || isOut(error))) throw error
        if (isRetriable(error)) await later(this.#setting.broker, retryBackoffMs)
        // The rest of it may be committed all the same.
        this.#dropLost()
        if (isRetriable(error) || !living.every(isOwned)) continue
        if (this.#setting.here || clock.now() - began > heardWithinMs) throw error
        await later(this.#setting.broker, retryBackoffMs)
      }
    }
  }
}

const isOwned = ({ state }: TaskRun): boolean => state !== 'closed'

/** Who is out of the group, or does not own the partition any more. */
export function isOut(error: unknown): boolean {
  return isMillraceError(error, 'ILLEGAL_GENERATION') || isMillraceError(error, 'UNKNOWN_MEMBER_ID')
}
