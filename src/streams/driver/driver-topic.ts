import { type ConsumerRecord, type Partitioner, roundRobinPartitioner } from '../../index.js'
import { deepFreeze } from '../freeze.js'
import type { CheckedRecord } from './checked-record.js'
import type { RecordQueue } from './record-queue.js'

/** A topic as the driver has it: ends of partitions, and who reads them. What was read is not kept. */
export class DriverTopic {
  readonly name: string
  /** Of the tasks that read it, by partition. */
  readonly queues: readonly RecordQueue[]
  /** The global stores that it fills. */
  readonly globals: readonly string[]
  /** The next offset of each partition. */
  readonly #ends: number[]
  readonly #partitioner: Partitioner = roundRobinPartitioner()

  constructor(name: string, partitions: number, readers: Pick<DriverTopic, 'queues' | 'globals'>) {
    this.name = name
    this.queues = readers.queues
    this.globals = readers.globals
    this.#ends = Array.from<number>({ length: partitions }).fill(0)
  }

  get partitionCount(): number {
    return this.#ends.length
  }
  get isRead(): boolean {
    return this.queues.length > 0 || this.globals.length > 0
  }

  /** The record that a consumer would get, frozen. */
  append(record: CheckedRecord, now: number): ConsumerRecord {
    const { key, value, timestamp = now, headers } = record
    const partition = record.partition ?? this.#partitioner({ key }, this.#ends.length)
    const offset = this.#ends[partition]!++
    if (headers.length > 0) deepFreeze(headers)
    deepFreeze(value)
    return Object.freeze<ConsumerRecord>({ topic: this.name, partition, offset, timestamp, key, value, headers })
  }
}
