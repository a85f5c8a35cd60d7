import type { ConsumerRecord, NextOffset } from '../../index.js'
import type { TopologyTask } from '../task/seam.js'
import type { Readings } from './readings.js'

interface Part {
  readonly records: readonly ConsumerRecord[]
  at: number
  readonly end: number
}

/** A partition that this instance owns: its records that wait, and how far they are worked through. Kafka: RecordQueue. */
export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  /** Nothing more was there when it was last looked for. */
  drained = false
  /** Its consumer hands out nothing of it. */
  paused = true
  /** The next offset, as the group has it; undefined while there is none. */
  committed: number | undefined
  /** The next offset to work on, once something is worked through. */
  next: number | undefined
  /** What polls have brought, in order: parts of their arrays. */
  readonly #parts: Part[] = []
  #size = 0
  #time: number | undefined
  /** The offset of the first that was worked through. */
  #began: number | undefined

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get size(): number {
    return this.#size
  }
  /** Records of one poll, from one place in its array to another. */
  add(records: readonly ConsumerRecord[], at: number, end: number): void {
    this.#parts.push({ records, at, end })
    this.#size += end - at
  }
  clear(): void {
    this.#parts.length = 0
    this.#size = 0
    this.#time = undefined
  }
  /** Of the first record, where it has been asked for and could be told. */
  get time(): number | undefined {
    return this.#time === Number.NEGATIVE_INFINITY ? undefined : this.#time
  }
  get head(): ConsumerRecord | undefined {
    const part = this.#parts[0]
    return part?.records[part.at]
  }
  /** Committed again it changes nothing: what the group has or, where it has nothing, where work begins. */
  get standing(): number | undefined {
    return this.committed ?? this.#began ?? this.head?.offset
  }
  /** The first record is worked through. */
  drop(): void {
    const part = this.#parts[0]!
    const { offset } = part.records[part.at]!
    this.#time = undefined
    this.#size--
    this.#began ??= offset
    this.next = offset + 1
    if (++part.at === part.end) this.#parts.shift()
  }
  /** The first record's. What has none that can be told comes first, and is told of when it is worked on. */
  timeBy(task: TopologyTask): number {
    if (this.#time === undefined) {
      try {
        this.#time = task.timestampOf(this.head!)
      } catch {
        this.#time = Number.NEGATIVE_INFINITY
      }
    }
    return this.#time
  }
}

/** A task of this instance: restored first, then at work on the records of its partitions. Kafka: StreamTask. */
export class TaskRun {
  readonly task: TopologyTask
  /** In the order of the sub-topology's sources: of equal timestamps the first goes first. */
  readonly queues: readonly PartitionQueue[]
  state: 'restoring' | 'restored' | 'running' | 'closed' = 'restoring'
  /** Of its changelogs. */
  readonly readings: Readings

  constructor(task: TopologyTask, queues: readonly PartitionQueue[], readings: Readings) {
    this.task = task
    this.queues = queues
    this.readings = readings
  }

  get running(): boolean {
    return this.state === 'running'
  }

  /** Some of its partitions have records, and it is known that the others have none. Kafka: PartitionGroup.readyToProcess. */
  get ready(): boolean {
    let some = false
    for (const queue of this.queues) {
      if (queue.size > 0) some = true
      else if (!queue.drained && this.queues.length > 1) return false
    }
    return some
  }
  get waiting(): boolean {
    return this.queues.some(queue => queue.size > 0)
  }

  /** Whose first record has the smallest timestamp. Kafka: PartitionGroup.nextRecord. */
  choose(): PartitionQueue | undefined {
    if (this.queues.length === 1) return this.queues[0]!.size > 0 ? this.queues[0] : undefined
    if (!this.ready) return undefined
    let first: PartitionQueue | undefined
    for (const queue of this.queues) {
      if (queue.size === 0) continue
      if (first === undefined || queue.timeBy(this.task) < first.timeBy(this.task)) first = queue
    }
    return first
  }

  /** What its group does not know yet. */
  *uncommitted(): Generator<NextOffset> {
    for (const { topic, partition, next, committed } of this.queues)
      if (next !== undefined && next !== committed) yield { topic, partition, nextOffset: next }
  }
  /** What its group knows, or may know without harm. */
  *standing(): Generator<NextOffset> {
    for (const { topic, partition, standing } of this.queues)
      if (standing !== undefined) yield { topic, partition, nextOffset: standing }
  }
  /** The group has it now. */
  committed(): void {
    for (const queue of this.queues) if (queue.next !== undefined) queue.committed = queue.next
  }

  /** No record of it is worked on any more, and what restores it stops. Whether it was at work. */
  end(): boolean {
    const { running } = this
    this.state = 'closed'
    this.readings.end(`Task ${this.task.id} has gone to another instance`)
    return running
  }
}
