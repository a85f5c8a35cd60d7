import type { Broker, TopicPartition } from '../../index.js'
import type { TopologyTask } from '../task/seam.js'
import { type Subtopology, topicName } from '../topology/plan.js'
import { Readings } from './readings.js'
import { PartitionQueue, TaskRun } from './task-run.js'

/** What the tasks of one instance are made from. */
export interface TaskSource {
  readonly applicationId: string
  readonly broker: Broker<any>
  readonly subtopologies: readonly Subtopology[]
  /** Of all topics that are read, by name. */
  readonly counts: ReadonlyMap<string, number>
  make(subtopology: Subtopology, partition: number): TopologyTask
}

/** The partitions that an instance owns, and the tasks that it therefore has: those of which it owns all partitions. */
export class TaskTable {
  readonly #source: TaskSource
  readonly #subtopologyOf = new Map<string, Subtopology>()
  readonly #queues = new Map<string, PartitionQueue>()
  readonly #runs = new Map<string, TaskRun>()

  constructor(source: TaskSource) {
    this.#source = source
    for (const subtopology of source.subtopologies)
      for (const { topic } of subtopology.sources)
        this.#subtopologyOf.set(topicName(topic, source.applicationId), subtopology)
  }

  get runs(): Iterable<TaskRun> {
    return this.#runs.values()
  }
  queue(topic: string, partition: number): PartitionQueue | undefined {
    return this.#queues.get(`${topic}-${partition}`)
  }

  /** It owns these now. The tasks that are complete with them, not yet restored. */
  assigned(partitions: readonly TopicPartition[]): TaskRun[] {
    for (const { topic, partition } of partitions)
      this.#queues.set(`${topic}-${partition}`, new PartitionQueue(topic, partition))
    const made: TaskRun[] = []
    for (const { topic, partition } of partitions) {
      const run = this.#complete(this.#subtopologyOf.get(topic)!, partition)
      if (run === undefined) continue
      this.#runs.set(run.task.id, run)
      made.push(run)
    }
    return made
  }
  #complete(subtopology: Subtopology, partition: number): TaskRun | undefined {
    if (this.#runs.has(`${subtopology.id}_${partition}`)) return undefined
    const queues: PartitionQueue[] = []
    for (const { topic } of subtopology.sources) {
      const name = topicName(topic, this.#source.applicationId)
      if (partition >= this.#source.counts.get(name)!) continue
      const queue = this.queue(name, partition)
      if (queue === undefined) return undefined
      queues.push(queue)
    }
    return new TaskRun(this.#source.make(subtopology, partition), queues, new Readings(this.#source.broker))
  }

  /** It does not own these any more. The tasks that have ended with that. */
  revoked(partitions: readonly TopicPartition[]): TaskRun[] {
    const ended: TaskRun[] = []
    for (const { topic, partition } of partitions) {
      this.#queues.delete(`${topic}-${partition}`)
      const run = this.#runs.get(`${this.#subtopologyOf.get(topic)!.id}_${partition}`)
      if (run === undefined) continue
      this.#runs.delete(run.task.id)
      ended.push(run)
    }
    return ended
  }

  /** All that is left, at the end. */
  clear(): TaskRun[] {
    const runs = [...this.#runs.values()]
    this.#runs.clear()
    this.#queues.clear()
    return runs
  }
}
