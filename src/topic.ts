import { type Clock, checkClock, systemClock } from './clock.js'
import { checkFunction, checkOneOf, checkOptions, checkWhole, refuse } from './core/check.js'
import { MillraceError, show } from './core/errors.js'
import { type Partition, PartitionLog } from './core/partition.js'
import { keyedPartitioner, type Partitioner } from './core/partitioner.js'
import type { Codec, ConsumerRecord, Headers, HeaderValue, Key, ProducerRecord, RecordMetadata } from './core/record.js'
import { noHeaders } from './core/segment.js'
import { EventHub } from './events.js'
import type { Interceptor } from './interceptor.js'
import type { Topic as PortableTopic, ReadOptions, TopicOptions } from './portable.js'
import { TopicReader, type TopicTail } from './topic-reader.js'

/** A listener that throws does so in a microtask of its own, uncaught; what it listened to goes on. */
export interface TopicEvents<V = unknown, K extends Key = string> {
  /** Each record as it is appended, for who only wants to hear; costs nothing while nobody listens. */
  record: ConsumerRecord<V, K>
  partitions: { topic: string; total: number }
  truncate: { topic: string; partition: number; startOffset: number }
}

/** A topic in memory: results at once, and partitions to look into. */
export interface MemoryTopic<V = unknown, K extends Key = string> extends PortableTopic<V, K> {
  readonly partitions: readonly Partition<V, K>[]
  partitionCount(): number
  /**
   * Appends one record. CLOSED, INVALID_RECORD, UNKNOWN_TOPIC_OR_PARTITION for an explicit partition that it does not
   * have; a TypeError for a value that is undefined, and for a key or headers of another type. A refused record leaves
   * everything as it was.
   */
  publish(record: ProducerRecord<V, K>): RecordMetadata
  publishAll(records: Iterable<ProducerRecord<V, K>>): void
  /** To so many in all, at most 1,000,000; groups see them at once. INVALID_PARTITIONS unless it grows. Keys move (Kafka: hash % count). */
  addPartitions(total: number): void
  /** Drops what retention allows to drop, now; it is also done as segments fill up. */
  enforceRetention(): void
  /** Compacts every segment but the active one, now; it is also done as segments fill up. INVALID_CONFIG unless cleanupPolicy is 'compact'. */
  compact(): void
  on<E extends keyof TopicEvents>(event: E, listener: (event: TopicEvents<V, K>[E]) => void): () => void
}

/** What a topic tells the groups that read it, and asks of them. */
export interface TopicSubscriber {
  partitionsAdded(topic: InMemoryTopic<any, any>, from: number): void
  topicDeleted(topic: InMemoryTopic<any, any>): void
  /** Nothing below this offset is needed any more. */
  consumedTo(topic: string, partition: number): number
  changed(): void
}

/** Kafka: Topic.LEGAL_CHARS, at most 249 of them; no "." and no "..". */
const legalName = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/
const keyless = Object.freeze({ key: null })
const defaultSegmentRecords = 1_024
/**
 * Partitions of a topic in memory, at most. An empty one takes 0.8 KB, so many of them most of the heap that Node gives a
 * process; beyond that it would end, not the call.
 */
export const mostPartitions = 1_000_000
/** Of an array, between two looks at the clock: one costs as much as half a record. */
const recordsPerLook = 32

export class InMemoryTopic<V = unknown, K extends Key = string> implements MemoryTopic<V, K> {
  readonly name: string
  readonly clock: Clock
  /** The groups that read it, also those without members. */
  readonly subscribers: Set<TopicSubscriber> = new Set()
  readonly #partitions: PartitionLog<V, K>[] = []
  readonly #partitioner: Partitioner
  readonly #codec: Codec<V> | undefined
  readonly #compact: boolean
  readonly #retention: NonNullable<TopicOptions['retention']> | undefined
  readonly #segmentRecords: number
  readonly #around: Interceptor['publish']
  readonly #events = new EventHub<TopicEvents<V, K>>(['record', 'partitions', 'truncate'])
  readonly #readers = new Set<TopicTail<V, K>>()
  #heard = false
  #lastOffset = 0
  #state: 'open' | 'closed' | 'deleted' = 'open'

  constructor(
    name: string,
    options: TopicOptions<V> & { clock?: Clock | undefined } = {},
    publish?: Interceptor['publish'],
  ) {
    if (typeof name !== 'string' || !legalName.test(name))
      throw new MillraceError('INVALID_TOPIC_EXCEPTION', { topic: name })
    checkTopicOptions(name, options)
    const { partitions = 1, cleanupPolicy = 'delete', segmentRecords = defaultSegmentRecords } = options
    this.name = name
    this.clock = options.clock ?? systemClock
    this.#partitioner = options.partitioner ?? keyedPartitioner()
    this.#codec = options.codec
    this.#compact = cleanupPolicy === 'compact'
    this.#retention = options.retention && { ...options.retention }
    this.#segmentRecords = segmentRecords
    this.#around = publish
    this.#grow(partitions)
  }

  get partitions(): readonly PartitionLog<V, K>[] {
    return this.#partitions
  }
  partitionCount(): number {
    return this.#partitions.length
  }

  // ── writing ──

  check(record: ProducerRecord<V, K>): void {
    this.#keyOf(record, record?.timestamp === undefined ? 0 : record.timestamp)
    if (record.headers !== undefined) readHeaders(record.headers)
    if (this.#codec !== undefined && record.value !== null) this.#encode(record.value)
    if (record.partition !== undefined) this.#logAt(record.partition)
  }

  publish(record: ProducerRecord<V, K>): RecordMetadata {
    if (this.#around === undefined) return this.#write(record)
    return this.#around({ topic: this.name, record }, changed => this.#write(changed as ProducerRecord<V, K>))
  }
  #write(record: ProducerRecord<V, K>): RecordMetadata {
    const timestamp = record?.timestamp === undefined ? this.clock.now() : record.timestamp
    const log = this.#append(record, timestamp)
    return { topic: this.name, partition: log.index, offset: this.#lastOffset, timestamp }
  }

  publishAll(records: Iterable<ProducerRecord<V, K>>): void {
    if (typeof records?.[Symbol.iterator] !== 'function')
      throw new TypeError(`publishAll() takes an iterable of records; got ${show(records)}`)
    if (this.#around !== undefined) for (const record of records) this.publish(record)
    else if (Array.isArray(records)) this.#appendAll(records)
    else
      for (const record of records)
        this.#append(record, record?.timestamp === undefined ? this.clock.now() : record.timestamp)
  }
  /** Between the records of an array come partitioner, codec and listeners alone, all synchronous: so many share a look. */
  #appendAll(records: readonly ProducerRecord<V, K>[]): void {
    let now = 0
    for (let i = 0; i < records.length; i++) {
      if (i % recordsPerLook === 0) now = this.clock.now()
      const record = records[i]!
      this.#append(record, record?.timestamp === undefined ? now : record.timestamp)
    }
  }

  /** Everything is checked before anything is written. */
  #append(record: ProducerRecord<V, K>, timestamp: number): PartitionLog<V, K> {
    const key = this.#keyOf(record, timestamp)
    const headers = record.headers === undefined ? noHeaders : readHeaders(record.headers)
    const value = this.#codec === undefined || record.value === null ? record.value : this.#encode(record.value)
    const log = this.#logAt(
      record.partition === undefined ? this.#choose(key === null ? keyless : (record as { key: K })) : record.partition,
    )
    const sealed = log.sealedCount
    const offset = log.append(key, value, headers, timestamp)
    if (this.#heard) this.#events.emit('record', log.read(offset, 1)[0]!)
    if (log.sealedCount !== sealed) this.#segmentFilled(log)
    // Last of all: a listener may have published meanwhile.
    this.#lastOffset = offset
    return log
  }

  /** Of a record that may be written, as far as that is not up to its headers, its codec or its partition. */
  #keyOf(record: ProducerRecord<V, K>, timestamp: number): K | null {
    if (this.#state !== 'open') throw this.#gone()
    if (typeof record !== 'object' || record === null)
      throw new TypeError(`A record must be an object with a value; got ${show(record)}`)
    const key = record.key ?? null
    if (key !== null && typeof key !== 'string' && !(key instanceof Uint8Array))
      throw new TypeError(`A key must be a string or a Uint8Array; got ${show(key)}`)
    if (record.value === undefined)
      throw new TypeError(
        `A record for topic ${this.name} has no value (undefined); a tombstone is written down: value: null`,
      )
    if (!Number.isSafeInteger(timestamp) || timestamp < 0)
      throw this.#refusal(`its timestamp must be whole milliseconds of at least 0; got ${show(timestamp)}`)
    if (key === null && this.#compact) throw this.#refusal('a compacted topic needs a key')
    return key
  }

  #logAt(partition: number): PartitionLog<V, K> {
    if (typeof partition !== 'number') throw new TypeError(`A partition must be a number; got ${show(partition)}`)
    const log = this.#partitions[partition]
    if (log === undefined) throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: this.name, partition })
    return log
  }

  #choose(record: { key: Key | null }): number {
    const count = this.#partitions.length
    const chosen = this.#partitioner(record, count)
    if (Number.isInteger(chosen) && chosen >= 0 && chosen < count) return chosen
    return refuse('partitioner', chosen, `one that chooses a partition from 0 to ${count - 1}`)
  }

  #encode(value: V): Uint8Array {
    let bytes: unknown
    try {
      bytes = this.#codec!.encode(value)
    } catch (cause) {
      throw this.#refusal('its codec could not encode the value', cause)
    }
    if (!(bytes instanceof Uint8Array)) throw this.#refusal(`its codec gave ${show(bytes)} instead of a Uint8Array`)
    return bytes
  }

  #refusal(reason: string, cause?: unknown): MillraceError {
    return new MillraceError(
      'INVALID_RECORD',
      { topic: this.name, reason },
      cause === undefined ? undefined : { cause },
    )
  }
  #gone(): MillraceError {
    return this.#state === 'deleted'
      ? new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: this.name })
      : new MillraceError('CLOSED', { what: `Topic ${this.name}` })
  }

  // ── what goes ──

  #segmentFilled(log: PartitionLog<V, K>): void {
    if (this.#retention !== undefined) this.#enforce(log)
    if (this.#compact) log.compactIfDirty(this.clock.now())
  }

  enforceRetention(): void {
    if (this.#retention !== undefined) for (const log of this.#partitions) this.#enforce(log)
  }

  #enforce(log: PartitionLog<V, K>): void {
    const { ms, records, consumed } = this.#retention!
    log.enforce({ now: this.clock.now(), ms, records, consumedTo: consumed ? this.#consumedTo(log.index) : 0 })
  }

  /** What every group has committed past; nothing while there is none. */
  #consumedTo(partition: number): number {
    if (this.subscribers.size === 0) return 0
    let least = Number.POSITIVE_INFINITY
    for (const group of this.subscribers) least = Math.min(least, group.consumedTo(this.name, partition))
    return least
  }

  compact(): void {
    if (!this.#compact) refuse(`cleanupPolicy of topic ${this.name}`, 'delete', `'compact' for compact()`)
    for (const log of this.#partitions) log.compact(this.clock.now())
  }

  // ── partitions ──

  addPartitions(total: number): void {
    if (this.#state !== 'open') throw this.#gone()
    const before = this.#partitions.length
    checkPartitions(this.name, total, before + 1)
    this.#grow(total)
    for (const reader of this.#readers) reader.grown()
    for (const group of [...this.subscribers]) group.partitionsAdded(this, before)
    this.#events.emit('partitions', { topic: this.name, total })
  }

  #grow(total: number): void {
    while (this.#partitions.length < total) {
      const log = new PartitionLog<V, K>(this.name, this.#partitions.length, {
        segmentRecords: this.#segmentRecords,
        compact: this.#compact,
        codec: this.#codec,
      })
      log.onTruncate = startOffset => {
        for (const group of this.subscribers) group.changed()
        this.#events.emit('truncate', { topic: this.name, partition: log.index, startOffset })
      }
      this.#partitions.push(log)
    }
  }

  // ── reading ──

  read(options: ReadOptions = {}): AsyncIterable<ConsumerRecord<V, K>> {
    return new TopicReader(this, this.#readers, options)
  }

  on<E extends keyof TopicEvents>(event: E, listener: (event: TopicEvents<V, K>[E]) => void): () => void {
    const off = this.#events.on(event, listener)
    this.#heard = this.#events.hears('record')
    return () => {
      off()
      this.#heard = this.#events.hears('record')
    }
  }

  // ── the end ──

  get closed(): boolean {
    return this.#state !== 'open'
  }
  get deleted(): boolean {
    return this.#state === 'deleted'
  }
  /** Writing is over; tails end with what is there. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closed'
    for (const reader of this.#readers) reader.appended()
  }
  /** It is gone: for its groups, for its tails, for who still has it in hand. */
  delete(): void {
    this.#state = 'deleted'
    for (const group of [...this.subscribers]) group.topicDeleted(this)
    for (const reader of this.#readers) reader.appended()
  }
}

/** `replicas` are a cluster's: topics that both are given may say them. */
export const topicOptions: readonly string[] = [
  'partitions',
  'partitioner',
  'cleanupPolicy',
  'retention',
  'segmentRecords',
  'codec',
  'replicas',
]

function checkPartitions(topic: string, partitions: number, least: number): void {
  if (!Number.isSafeInteger(partitions) || partitions < least || partitions > mostPartitions)
    throw new MillraceError('INVALID_PARTITIONS', { topic, partitions, most: mostPartitions })
}

function checkTopicOptions<V>(name: string, options: TopicOptions<V> & { clock?: Clock | undefined }): void {
  // The clock is of a topic without a broker.
  checkOptions(`options of topic ${name}`, options, [...topicOptions, 'clock'])
  const { partitions, partitioner, cleanupPolicy, retention, segmentRecords, codec } = options
  if (partitions !== undefined) checkPartitions(name, partitions, 1)
  if (partitioner !== undefined) checkFunction('partitioner', partitioner)
  if (cleanupPolicy !== undefined) checkOneOf('cleanupPolicy', cleanupPolicy, ['delete', 'compact'])
  if (segmentRecords !== undefined) checkWhole('segmentRecords', segmentRecords, 1)
  checkOptions('retention', retention, ['ms', 'records', 'consumed'])
  if (retention?.ms !== undefined) checkWhole('retention.ms', retention.ms, 0)
  if (retention?.records !== undefined) checkWhole('retention.records', retention.records, 0)
  if (retention?.consumed !== undefined) checkOneOf('retention.consumed', retention.consumed, [true, false])
  if (options.clock !== undefined) checkClock(options.clock)
  if (codec !== undefined && (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function'))
    refuse('codec', codec, 'an object with encode() and decode()')
}

/** In order, duplicates kept, frozen: what a publisher does to its own object afterwards changes nothing here. */
function readHeaders(headers: NonNullable<ProducerRecord<unknown>['headers']>): Headers {
  if (typeof headers !== 'object' || headers === null)
    throw new TypeError(`Headers must be an object or an iterable of [name, value]; got ${show(headers)}`)
  if (Array.isArray(headers) && headers.length === 0) return noHeaders
  const entries = Symbol.iterator in headers ? headers : Object.entries(headers)
  const found: (readonly [string, HeaderValue])[] = []
  for (const entry of entries) {
    if (!Array.isArray(entry)) throw new TypeError(`A header must be a pair [name, value]; got ${show(entry)}`)
    const [name, value] = entry as readonly [unknown, unknown]
    if (typeof name !== 'string') throw new TypeError(`A header's name must be a string; got ${show(name)}`)
    if (value !== null && typeof value !== 'string' && !(value instanceof Uint8Array))
      throw new TypeError(`Header ${show(name)} must be a string, a Uint8Array or null; got ${show(value)}`)
    found.push(Object.freeze([name, value] as const))
  }
  return found.length === 0 ? noHeaders : Object.freeze(found)
}

export type Topic<V = unknown, K extends Key = string> = PortableTopic<V, K>
/** A topic of its own, without a broker. */
export const Topic: {
  new <V = unknown, K extends Key = string>(
    name: string,
    options?: TopicOptions<V> & { clock?: Clock | undefined },
  ): MemoryTopic<V, K>
} = InMemoryTopic
