import {
  type ConsumerRecord,
  MillraceError,
  type ProducerRecord,
  type TopicName,
  type TopicPartition,
} from '../../index.js'
import { GlobalTables } from '../global-tables.js'
import { PriorityQueue } from '../priority-queue.js'
import { type Queries, queryOf, specOfQueried } from '../queries.js'
import { refuse } from '../store-options.js'
import type { Task } from '../streams.js'
import { decide, handlerFailed } from '../task/callback-errors.js'
import type { Output, TaskEnvironment } from '../task/seam.js'
import { StreamTask } from '../task/task.js'
import { checkTopic } from '../topology/naming.js'
import { partitionCounts } from '../topology/partition-counts.js'
import { type Subtopology, type TopologyPlan, topicName } from '../topology/plan.js'
import { planOf, type Topology } from '../topology/topology.js'
import { checkedRecord, checkPartition } from './checked-record.js'
import { CompactedLogs } from './compacted-logs.js'
import { type DriverSetting, driverSetting, type TopologyTestDriverOptions } from './driver-options.js'
import { DriverTopic } from './driver-topic.js'
import { RecordQueue } from './record-queue.js'

const applicationId = 'topology-test-driver'

/** A place for a task, which outlives it when it is moved. */
interface Slot {
  readonly subtopology: Subtopology
  readonly partition: number
  readonly partitions: readonly TopicPartition[]
  readonly logs: CompactedLogs
  task: StreamTask
}
/**
 * Runs a topology synchronously, record by record, without a broker: the same input gives the same output, everywhere.
 * Unlike Java's, over any number of partitions. Kafka: TopologyTestDriver.
 */
export class TopologyTestDriver<Topics extends object = any> implements Queries {
  readonly #plan: TopologyPlan
  readonly #setting: DriverSetting
  readonly #errors: Parameters<typeof decide>[0]
  readonly #environment: TaskEnvironment
  readonly #globals: GlobalTables
  readonly #slots: Slot[] = []
  readonly #topics = new Map<string, DriverTopic>()
  readonly #waiting = new PriorityQueue<RecordQueue>(queue => queue.timestamp)
  readonly #written = new Map<string, ConsumerRecord[]>()
  #now: number
  #closed = false

  /** @throws TOPOLOGY where topics that are joined have not as many partitions, HANDLER_FAILED for a throw in init */
  constructor(topology: Topology<Topics>, options: TopologyTestDriverOptions<Topics> = {}) {
    this.#plan = planOf(topology)
    this.#setting = driverSetting(options)
    this.#now = this.#setting.startMs
    this.#errors = { applicationId, onError: this.#setting.onError, deadLetter: undefined }
    this.#globals = new GlobalTables(this.#plan)
    this.#environment = {
      applicationId,
      freeze: true,
      now: () => this.#now,
      globalStore: name => this.#globals.store(name),
      admit: output => this.#admit(output),
    }
    this.#makeTasks(this.#countTopics())
    for (const slot of this.#slots) this.#start(slot)
    this.#work()
  }

  get tasks(): readonly Task[] {
    return this.#slots.map(({ task: { id, streamTime }, partitions }) => ({
      id,
      partitions,
      state: 'running',
      streamTime,
    }))
  }

  query: Queries['query'] = (subject: any): any => {
    const spec = specOfQueried(this.#plan, subject)
    return queryOf(spec, () => this.#globals.storesOf(spec.name) ?? this.#storesOf(spec.name))
  }
  #storesOf(name: string): readonly unknown[] {
    return this.#slots.map(({ task }) => task.store(name)).filter(store => store !== undefined)
  }

  /** Publishes, and works until nothing more moves, repartition topics included, before the next record. @default timestamp the driver's wall clock */
  pipe<N extends TopicName<Topics>>(topic: N, ...records: readonly ProducerRecord<Topics[N]>[]): void {
    this.#checkOpen()
    const target = this.#topics.get(topic)
    if (target === undefined || !target.isRead)
      throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: String(topic) })
    const checked = records.map(record => checkedRecord(topic, target.partitionCount, record))
    for (const record of checked) {
      this.#deliver(target, target.append(record, this.#now))
      this.#work()
    }
  }

  /** What was written since the last time one asked, in the order it was written. */
  read<N extends TopicName<Topics>>(topic: N): ConsumerRecord<Topics[N], string, N>[] {
    const found = this.#written.get(topic) ?? []
    this.#written.delete(topic)
    return found as ConsumerRecord<Topics[N], string, N>[]
  }

  /** Lets so many milliseconds pass at once: wall-clock punctuations fire once each at most. */
  advanceWallClock(ms: number): void {
    this.#checkOpen()
    if (!Number.isSafeInteger(ms) || ms < 0) refuse('ms of advanceWallClock()', ms, 'whole milliseconds of at least 0')
    this.#now += ms
    try {
      for (const slot of this.#slots) this.#punctuate(slot, 'wall clock time')
    } finally {
      for (const slot of this.#slots) this.#collect(slot)
    }
    this.#work()
  }

  /**
   * Kills the task and restores it from its changelogs, as on another instance; what a processor keeps in its own fields,
   * or in a store without logging, is gone.
   */
  moveTask(id: string): void {
    this.#checkOpen()
    const slot = this.#slots.find(({ task }) => task.id === id)
    if (slot === undefined)
      return refuse('id of moveTask()', id, `one of ${this.#slots.map(({ task }) => task.id).join(', ')}`)
    slot.task = new StreamTask(slot.subtopology, slot.partition, this.#environment)
    for (const record of slot.logs.records()) slot.task.restore(record)
    this.#start(slot)
    this.#work()
  }

  /** Processors are closed, punctuations cancelled. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    let failed: MillraceError | undefined
    for (const { task } of this.#slots) {
      try {
        task.close()
      } catch (error) {
        failed ??= handlerFailed(error, task, 'close', task.failedNode)
      }
    }
    if (failed !== undefined) throw failed
  }

  // ── tasks and topics ──

  #countTopics(): ReadonlyMap<string, number> {
    const { partitionsOf } = this.#setting
    const given = new Map<string, number>()
    for (const { sources } of this.#plan.subtopologies)
      for (const { topic } of sources) if (!topic.internal) given.set(topic.name, partitionsOf(topic.name))
    return partitionCounts(this.#plan, applicationId, given)
  }
  #makeTasks(counts: ReadonlyMap<string, number>): void {
    const queues = new Map<string, RecordQueue[]>()
    for (const subtopology of this.#plan.subtopologies) {
      const topics = subtopology.sources.map(({ topic }) => topicName(topic, applicationId))
      const tasks = Math.max(...topics.map(topic => counts.get(topic)!))
      for (let partition = 0; partition < tasks; partition++) {
        const own = topics.filter(topic => partition < counts.get(topic)!)
        for (const topic of own) queues.set(topic, [...(queues.get(topic) ?? []), new RecordQueue(this.#slots.length)])
        this.#slots.push({
          subtopology,
          partition,
          partitions: own.map(topic => ({ topic, partition })),
          logs: new CompactedLogs(),
          task: new StreamTask(subtopology, partition, this.#environment),
        })
      }
    }
    for (const [name, own] of queues) this.#addTopic(name, own.length, own)
    for (const { topic } of this.#plan.globalStores) this.#addTopic(topic.name, this.#setting.partitionsOf(topic.name))
  }
  #addTopic(name: string, partitions: number, queues: readonly RecordQueue[] = []): DriverTopic {
    const globals = this.#plan.globalStores.filter(({ topic }) => topic.name === name).map(({ store }) => store)
    const topic = new DriverTopic(name, partitions, { queues, globals })
    this.#topics.set(name, topic)
    return topic
  }

  #start(slot: Slot): void {
    try {
      slot.task.start()
    } catch (error) {
      throw handlerFailed(error, slot.task, 'init', slot.task.failedNode)
    }
    this.#collect(slot)
  }

  // ── records ──

  #admit({ topic, partition }: Output): void {
    const known = this.#topics.get(topic)
    if (known === undefined) checkTopic(topic)
    checkPartition(topic, known?.partitionCount ?? this.#setting.partitionsOf(topic), partition)
  }

  #deliver(topic: DriverTopic, record: ConsumerRecord): void {
    for (const store of topic.globals) this.#globals.update(store, record)
    const queue = topic.queues[record.partition]
    if (queue !== undefined) this.#enqueue(queue, record)
  }
  #enqueue(queue: RecordQueue, record: ConsumerRecord): void {
    const { task } = this.#slots[queue.slot]!
    let timestamp: number
    try {
      timestamp = task.timestampOf(record)
    } catch (error) {
      decide(this.#errors, error, task, record)
      return
    }
    queue.push(record, timestamp)
    if (queue.size === 1) this.#waiting.push(queue)
  }

  /** Of all that waits the record with the smallest timestamp goes first. Kafka: completeAllProcessableWork, PartitionGroup. */
  #work(): void {
    for (let queue = this.#waiting.pop(); queue !== undefined; queue = this.#waiting.pop()) {
      const { record, timestamp } = queue.shift()
      if (queue.size > 0) this.#waiting.push(queue)
      const slot = this.#slots[queue.slot]!
      try {
        this.#process(slot, record, timestamp)
      } finally {
        // Where it can't go on, what came before stays.
        this.#collect(slot)
      }
    }
  }
  #process(slot: Slot, record: ConsumerRecord, timestamp: number): void {
    try {
      slot.task.process(record, timestamp)
    } catch (error) {
      decide(this.#errors, error, slot.task, record)
    }
    this.#punctuate(slot, 'stream time')
  }

  #punctuate({ task }: Slot, time: 'stream time' | 'wall clock time'): void {
    for (;;) {
      try {
        return task.punctuate(time)
      } catch (error) {
        decide(this.#errors, error, task, 'punctuation')
      }
    }
  }

  /** All of what a task has done since the last time, also where a record of it can't be taken in. */
  #collect({ task, logs }: Slot): void {
    const { outputs, changes } = task.drain()
    for (const change of changes) logs.append(change)
    let failed: { readonly error: unknown } | undefined
    for (const output of outputs) {
      const topic =
        this.#topics.get(output.topic) ?? this.#addTopic(output.topic, this.#setting.partitionsOf(output.topic))
      const record = topic.append(output, this.#now)
      const written = this.#written.get(topic.name)
      if (written === undefined) this.#written.set(topic.name, [record])
      else written.push(record)
      try {
        this.#deliver(topic, record)
      } catch (error) {
        failed ??= { error }
      }
    }
    if (failed !== undefined) throw failed.error
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError('CLOSED', { what: 'This TopologyTestDriver' })
  }
}
