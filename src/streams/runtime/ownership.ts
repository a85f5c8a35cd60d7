import { type Consumer, isMillraceError, MillraceError, type TopicPartition } from '../../index.js'
import { handlerFailed } from '../task/callback-errors.js'
import type { ReachedPositions } from './positions.js'
import { restore } from './restore.js'
import { Results, type ResultsSetting } from './results.js'
import { isRetriable, later, retryBackoffMs } from './retries.js'
import type { PartitionQueue, TaskRun } from './task-run.js'
import { type TaskSource, TaskTable } from './task-table.js'

export interface OwnershipSetting extends TaskSource, ResultsSetting {
  /** Tasks have come, gone, or are restored. */
  readonly changed: () => void
}

/** What the worker does about it. */
export interface Owner {
  /** Nothing new is begun. */
  readonly over: boolean
  /** A turn that has not ended. */
  readonly turning: Promise<void> | undefined
  /** A task is restored. */
  restored(): void
  fail(error: unknown): void
}

/** The partitions that one instance is given and gives up, and the tasks that come and go with them. Kafka: TaskManager. */
export class Ownership {
  readonly consumer: Consumer<any>
  readonly results: Results
  readonly #setting: OwnershipSetting
  readonly #owner: Owner
  readonly #tasks: TaskTable
  readonly #reached = new WeakMap<TaskRun, ReachedPositions>()
  /** As of the last look. */
  #assignment: readonly TopicPartition[] | undefined
  #told = false

  constructor(setting: OwnershipSetting, owner: Owner) {
    this.#setting = setting
    this.#owner = owner
    this.#tasks = new TaskTable(setting)
    this.consumer = setting.group.join({
      onAssigned: partitions => this.#change(() => this.#assigned(partitions)),
      onRevoked: partitions => this.#revoked(partitions),
      onLost: partitions => {
        this.#change(() => this.#drop(this.#tasks.revoked(partitions)))
        for (const topic of new Set(partitions.map(partition => partition.topic))) void this.#checkThere(topic)
      },
    })
    this.results = new Results(setting, this.consumer, () => {
      this.#assignment = undefined
      this.dropLost()
    })
  }

  get runs(): Iterable<TaskRun> {
    return this.#tasks.runs
  }
  /** It has been told its part, and all of that is restored. */
  get settled(): boolean {
    return this.#told && [...this.runs].every(run => run.running)
  }
  queue(topic: string, partition: number): PartitionQueue | undefined {
    return this.#tasks.queue(topic, partition)
  }
  /** Where a task that is restored goes on, if its group does not know. */
  reachedBy(run: TaskRun, queue: PartitionQueue): number | undefined {
    return this.#reached.get(run)?.of(queue)
  }
  /** Something is owned that no callback has named. */
  get untold(): boolean {
    return this.consumer.assignment.some(({ topic, partition }) => this.queue(topic, partition) === undefined)
  }

  #change(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#owner.fail(error)
    }
    this.#setting.changed()
  }

  // ── what comes ──

  #assigned(partitions: readonly TopicPartition[]): void {
    this.#told = true
    if (this.#owner.over) return
    // Had before and not told to have lost them: another may have worked on them meanwhile.
    this.#drop(this.#tasks.revoked(partitions))
    this.pause(partitions)
    this.#checkCounts(partitions)
    for (const run of this.#tasks.assigned(partitions)) void this.#restore(run)
  }
  /** Keys would move, and no changelog has these partitions. Kafka: "Existing internal topic has invalid partitions". */
  #checkCounts(partitions: readonly TopicPartition[]): void {
    const { counts } = this.#setting
    for (const { topic, partition } of partitions)
      if (partition >= counts.get(topic)!)
        throw new MillraceError('TOPOLOGY', {
          reason: `topic ${topic} has been given more partitions than the ${counts.get(topic)} that the application's own topics go by`,
        })
  }

  async #restore(run: TaskRun): Promise<void> {
    const { broker, group, applicationId } = this.#setting
    while (run.state === 'restoring') {
      try {
        this.#reached.set(run, await restore(run, group, applicationId))
        if (run.state !== 'restoring') return
        run.state = 'restored'
        this.#owner.restored()
      } catch (error) {
        if (run.state !== 'restoring') return
        if (!isRetriable(error)) return this.#owner.fail(error)
        await later(broker, retryBackoffMs)
      }
    }
  }

  // ── what goes ──

  /** Nothing is given up in the midst of a turn. */
  #revoked(partitions: readonly TopicPartition[]): unknown {
    const end = (): void => this.#change(() => this.#drop(this.#tasks.revoked(partitions)))
    const { turning } = this.#owner
    return turning === undefined ? end() : turning.then(end, end)
  }

  /** What is lost comes again, unless its topic is deleted. Kafka: MissingSourceTopicException. */
  async #checkThere(topic: string): Promise<void> {
    try {
      await this.#setting.broker.topic(topic).partitionCount()
    } catch (error) {
      if (isMillraceError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) this.#owner.fail(error)
    }
  }

  /** Whoever is out of the group hears of it late: nothing is written for a task that is not owned any more. */
  dropLost(): void {
    const { assignment } = this.consumer
    if (assignment === this.#assignment) return
    this.#assignment = assignment
    const owned = new Set(assignment.map(idOf))
    const gone = [...this.runs].flatMap(({ queues }) => queues).filter(queue => !owned.has(idOf(queue)))
    // Whatever they have not committed others do again.
    if (gone.length > 0) this.#change(() => this.#drop(this.#tasks.revoked(gone)))
  }

  /** All of it. */
  leave(): void {
    this.#drop(this.#tasks.clear())
  }
  /** A killed process does nothing any more. */
  abandon(): void {
    for (const run of this.#tasks.clear()) run.end()
  }

  /** What they have done is written by now, unless it is not wanted any more; closing them does nothing that is. */
  #drop(runs: readonly TaskRun[]): void {
    const working = runs.filter(run => {
      this.results.forget(run)
      this.pause(run.queues)
      return run.end()
    })
    closeAll(working)
  }

  // ── what is handed out ──

  /** Of what is owned still. */
  pause(partitions: readonly (TopicPartition | PartitionQueue)[]): void {
    const owned = new Set(this.consumer.assignment.map(idOf))
    const still = partitions.filter(where => owned.has(idOf(where)))
    if (still.length > 0) this.consumer.pause(still.map(({ topic, partition }) => ({ topic, partition })))
    for (const { topic, partition } of still) {
      const queue = this.queue(topic, partition)
      if (queue !== undefined) queue.paused = true
    }
  }
  resume(queues: readonly PartitionQueue[]): void {
    for (const queue of queues) queue.paused = false
    this.consumer.resume(queues.map(({ topic, partition }) => ({ topic, partition })))
  }
}

const idOf = ({ topic, partition }: TopicPartition | PartitionQueue): string => `${topic}-${partition}`

/** All of them, whatever one throws. */
function closeAll(runs: readonly TaskRun[]): void {
  let failure: { readonly error: unknown } | undefined
  for (const { task } of runs) {
    try {
      task.close()
    } catch (error) {
      failure ??= { error: handlerFailed(error, task, 'close', task.failedNode) }
    }
  }
  if (failure !== undefined) throw failure.error
}
