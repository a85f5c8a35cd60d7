import { refuse } from '../core/check.js'
import { show } from '../core/errors.js'
import {
  type Codec,
  type Key,
  MillraceError,
  type Partitioner,
  type ProducerRecord,
  type RecordMetadata,
} from '../index.js'
import { Bulk, type Waiter } from './batch.js'
import type { Cluster } from './cluster.js'
import type { Producer } from './producer.js'
import { checkOutgoing, type Outgoing, toOutgoing } from './serialization.js'

/** Records of a bulk that are taken before others have their turn of the event loop. */
const turnRecords = 4_096
const keyless = Object.freeze({ key: null })

/** What waits for its turn: a record, or the rest of a bulk. */
type Entry =
  | { readonly record: Outgoing; readonly resolve: Waiter['resolve']; readonly reject: Waiter['reject']; asked?: true }
  | { readonly records: Iterator<ProducerRecord<unknown, Key>>; readonly bulk: Bulk }
  | Marker
/** Whoever waits until all before it has been taken, and what of that has failed first. */
interface Marker {
  readonly reached: () => void
  failure?: { readonly error: unknown }
}

interface WriterOptions {
  readonly partitioner: Partitioner
  readonly codec: () => Codec<unknown> | undefined
}

/**
 * Gives each record of a topic its partition, in the order of the calls. Calls line up while the topic is not known yet,
 * and while more is on its way than bufferBytes allows.
 */
export class TopicWriter {
  readonly #name: string
  readonly #cluster: Cluster
  readonly #producer: Producer
  readonly #options: WriterOptions
  readonly #line: Entry[] = []
  /** The first of the line; what was before it has been taken. */
  #at = 0
  #advancing = false

  constructor(name: string, cluster: Cluster, producer: Producer, options: WriterOptions) {
    this.#name = name
    this.#cluster = cluster
    this.#producer = producer
    this.#options = options
  }

  /** Throws what is known of the record without the cluster. */
  check(record: ProducerRecord<unknown, Key>): void {
    checkOutgoing(this.#name, this.#options.codec(), record)
  }

  publish(record: ProducerRecord<unknown, Key>): Promise<RecordMetadata> {
    let outgoing: Outgoing
    try {
      outgoing = toOutgoing(this.#name, this.#options.codec(), record)
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      if (this.#advancing || this.#producer.full || !this.#place(outgoing, resolve, reject)) {
        this.#line.push({ record: kept(outgoing), resolve, reject })
        void this.#advance()
      }
    })
  }

  publishAll(records: Iterable<ProducerRecord<unknown, Key>>): Promise<void> {
    if (typeof records?.[Symbol.iterator] !== 'function')
      return Promise.reject(new TypeError(`publishAll() takes an iterable of records; got ${show(records)}`))
    const bulk = new Bulk()
    try {
      // What its owner does to an array meanwhile changes nothing here.
      const list = Array.isArray(records) ? [...records] : records
      this.#line.push({ records: list[Symbol.iterator](), bulk })
    } catch (error) {
      return Promise.reject(error)
    }
    void this.#advance()
    return bulk.done
  }

  /** All that was published before has been given to the producer; rejects with the first that has not. */
  lineUp(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#advancing) return resolve()
      const marker: Marker = { reached: () => (marker.failure ? reject(marker.failure.error) : resolve()) }
      this.#line.push(marker)
    })
  }
  #failed(error: unknown): void {
    for (const entry of this.#line.slice(this.#at + 1)) if ('reached' in entry) entry.failure ??= { error }
  }

  /** False where it is not known yet how many partitions there are. */
  #place(record: Outgoing, resolve?: Waiter['resolve'], reject?: Waiter['reject'], bulk?: Bulk, sure = false): boolean {
    const count = this.#cluster.topic(this.#name)?.partitions.length
    if (count === undefined) return false
    let partition: number
    try {
      const { key } = record
      partition = record.partition ?? this.#choose(key === null ? keyless : { key }, count)
      if (!(Number.isInteger(partition) && partition >= 0 && partition < count)) {
        // It may have grown.
        if (!sure && Number.isInteger(partition) && partition >= count) return false
        throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: this.#name, partition })
      }
    } catch (error) {
      if (reject === undefined) throw error
      reject(error)
      return true
    }
    this.#producer.append(this.#name, partition, record, resolve, reject, bulk)
    return true
  }

  #choose(record: { key: Key | null }, count: number): number {
    const chosen = this.#options.partitioner(record, count)
    if (Number.isInteger(chosen) && chosen >= 0 && chosen < count) return chosen
    return refuse('partitioner', chosen, `one that chooses a partition from 0 to ${count - 1}`)
  }

  /** Takes one after the other, each when there is room for it. */
  async #advance(): Promise<void> {
    if (this.#advancing) return
    this.#advancing = true
    for (; this.#at < this.#line.length; this.#at++) {
      const entry = this.#line[this.#at]!
      if ('reached' in entry) entry.reached()
      else if ('record' in entry) await this.#takeRecord(entry)
      else await this.#takeBulk(entry)
      if (this.#at < 1_024) continue
      this.#line.splice(0, this.#at)
      this.#at = 0
    }
    this.#line.length = 0
    this.#at = 0
    this.#advancing = false
  }

  async #takeRecord({ record, resolve, reject }: Extract<Entry, { record: Outgoing }>): Promise<void> {
    try {
      while (this.#producer.full) await this.#producer.room()
      if (this.#place(record, resolve, reject)) return
      await this.#look()
      this.#place(record, resolve, reject, undefined, true)
    } catch (error) {
      this.#failed(error)
      reject(error)
    }
  }

  async #takeBulk({ records, bulk }: Extract<Entry, { bulk: Bulk }>): Promise<void> {
    try {
      const codec = this.#options.codec()
      for (let taken = 1; !bulk.failed; taken++) {
        if (this.#cluster.topic(this.#name) === undefined) await this.#look()
        while (this.#producer.full) await this.#producer.room()
        const { done, value } = records.next()
        if (done === true) return bulk.complete()
        const outgoing = toOutgoing(this.#name, codec, value)
        if (!this.#place(outgoing, undefined, undefined, bulk)) {
          await this.#look()
          this.#place(outgoing, undefined, undefined, bulk, true)
        }
        if (taken % turnRecords === 0) await new Promise(resolve => setImmediate(resolve))
      }
      bulk.complete()
    } catch (error) {
      this.#failed(error)
      bulk.complete(error)
    }
    closeIterator(records)
  }

  /** Asks the cluster about the topic, and how many partitions it has by now. */
  async #look(): Promise<void> {
    const about = { what: `Publishing to ${this.#name}`, topic: this.#name }
    this.#cluster.outdated(this.#name)
    try {
      await this.#cluster.metadata(this.#name, { about })
    } catch (error) {
      this.#failRest(error)
      throw error
    }
  }

  /** What is behind the first would fail in the same way, each after the same wait. */
  #failRest(error: unknown): void {
    this.#failed(error)
    for (const entry of this.#line.splice(this.#at + 1)) {
      if ('reached' in entry) entry.reached()
      else if ('record' in entry) entry.reject(error)
      else {
        entry.bulk.complete(error)
        closeIterator(entry.records)
      }
    }
  }
}

/** A record that is to wait: the bytes of its value may be its owner's. */
function kept(record: Outgoing): Outgoing {
  return typeof record.value === 'object' && record.value !== null
    ? { ...record, value: new Uint8Array(record.value) }
    : record
}

function closeIterator(records: Iterator<unknown>): void {
  try {
    records.return?.()
  } catch {
    // It comes too late: the bulk has failed already.
  }
}
