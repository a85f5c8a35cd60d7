import { OUT_OF_RANGE, type Waiter } from '../engine.js'
import { type AnyRecord, MillraceError, type TopicPartition } from '../index.js'
import type { FetchedPartition } from './fetch-api.js'
import type { Kafka } from './platformatic.js'
import { RecordBatches } from './record-batches.js'
import type { Serialization } from './serialization.js'

/** What a feed asks of its fetcher. */
interface FeedHost {
  /** It may want something. */
  wanting(): void
  closed(): void
  /** Its topic is not there any more. */
  readonly gone?: ((error: MillraceError) => void) | undefined
}

/** What a request asks for of one partition. */
export interface Asked<R extends AnyRecord = AnyRecord> {
  readonly feed: Feed<R>
  readonly offset: number
}

/** One partition as it is read, without waiting, from what has been fetched of it ahead. */
export class Feed<R extends AnyRecord = AnyRecord> implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly #serialization: Serialization
  readonly #committedOnly: boolean
  readonly #host: FeedHost
  /** What has been fetched, in order and without a hole. */
  #fetched: { readonly from: number; readonly batches: RecordBatches }[] = []
  #bytes = 0
  /** Where the next fetch goes on; undefined before it is read from somewhere. */
  #fetchOffset: number | undefined
  /** Of the request on its way whose answer is still wanted. */
  #asked: Asked<R> | undefined
  #outOfRange = false
  #error: { readonly error: unknown } | undefined
  #waiter: Waiter | undefined
  #paused = false
  #closed = false

  constructor(
    serialization: Serialization,
    { topic, partition }: TopicPartition,
    topicId: string,
    isolation: 'read_uncommitted' | 'read_committed',
    host: FeedHost,
  ) {
    this.topic = topic
    this.partition = partition
    this.topicId = topicId
    this.#serialization = serialization
    this.#committedOnly = isolation === 'read_committed'
    this.#host = host
  }

  // ── for its reader ──

  /** As Source.read; also throws what fetching has failed with, once for each time it fails. */
  read(offset: number, maxRecords: number, into: R[]): number {
    if (!this.#comeTo(offset)) return OUT_OF_RANGE
    let next = offset
    while (this.#fetched.length > 0) {
      const before = into.length
      const { batches } = this.#fetched[0]!
      next = batches.read(next, maxRecords, into as unknown as Parameters<typeof batches.read>[2])
      if (next >= batches.nextOffset) this.#drop()
      if (into.length > before) break
    }
    this.#host.wanting()
    return next
  }

  /** The first record from `offset` on, its value as the bytes that are stored. */
  raw(offset: number): R {
    this.#comeTo(offset)
    const record = this.#fetched[0]?.batches.raw(offset)
    if (record === undefined) throw new MillraceError('OFFSET_OUT_OF_RANGE', { ...this.#where, offset })
    return record as R
  }

  /** Up to where read() finds something now. */
  get endOffset(): number {
    return this.#fetched.at(-1)?.batches.nextOffset ?? this.#fetchOffset ?? 0
  }
  get #where(): TopicPartition {
    return { topic: this.topic, partition: this.partition }
  }

  /** Calls `waiter.available()` once when something new has come of what was asked for. */
  whenMore(waiter: Waiter): void {
    this.#waiter = waiter
    this.#host.wanting()
  }
  forget(): void {
    this.#waiter = undefined
  }

  /** Nothing more is fetched while it is paused; what is there stays. */
  set paused(paused: boolean) {
    this.#paused = paused
    if (!paused) this.#host.wanting()
  }

  close(): void {
    this.#closed = true
    this.#waiter = undefined
    this.#fetched = []
    this.#host.closed()
  }

  /** What lies before is dropped; what does not go on from what is there is fetched anew. */
  #comeTo(offset: number): boolean {
    const first = this.#fetched[0]
    if (first !== undefined && offset < first.from) this.#startAt(offset)
    while (this.#fetched.length > 0 && offset >= this.#fetched[0]!.batches.nextOffset) this.#drop()
    if (this.#fetched.length === 0 && offset !== this.#fetchOffset) this.#startAt(offset)
    if (this.#fetched.length > 0) return true
    if (this.#error !== undefined) {
      const { error } = this.#error
      this.#error = undefined
      this.#host.wanting()
      throw error
    }
    return !this.#outOfRange
  }
  #startAt(offset: number): void {
    this.#fetched = []
    this.#bytes = 0
    this.#fetchOffset = offset
    this.#asked = undefined
    this.#outOfRange = false
    this.#error = undefined
  }
  #drop(): void {
    this.#bytes -= this.#fetched.shift()!.batches.bytes
  }

  // ── for its fetcher ──

  /** Whether it is to be asked for: it has room for as much again as `share`. */
  wants(share: number): boolean {
    if (this.#fetchOffset === undefined || this.#asked !== undefined) return false
    if (this.#closed || this.#paused || this.#outOfRange || this.#error !== undefined) return false
    return this.#bytes < share
  }
  /** It is asked for now; one of the methods below must be called with this. */
  ask(): Asked<R> {
    this.#asked = { feed: this, offset: this.#fetchOffset! }
    return this.#asked
  }

  answered(asked: Asked<R>, kafka: Kafka, { records, aborted }: FetchedPartition): void {
    if (!this.#heard(asked) || records === undefined) return
    const { offset } = asked
    try {
      const transactions = this.#committedOnly ? aborted : undefined
      const batches = new RecordBatches(kafka, this.#where, this.#serialization, records, offset, transactions)
      if (batches.nextOffset === offset) return
      this.#fetched.push({ from: offset, batches })
      this.#bytes += batches.bytes
      this.#fetchOffset = batches.nextOffset
      this.#tell()
    } catch (error) {
      this.#fail(error)
    }
  }
  unanswered(asked: Asked<R>): void {
    this.#heard(asked)
  }
  outOfRange(asked: Asked<R>): void {
    if (!this.#heard(asked)) return
    this.#outOfRange = true
    this.#tell()
  }
  failed(asked: Asked<R>, error: unknown): void {
    if (this.#heard(asked)) this.#fail(error)
  }
  isGone(): void {
    const error = new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: this.topic })
    this.#fail(error)
    this.#host.gone?.(error)
  }

  /** Whether the answer is to what is still wanted. */
  #heard(asked: Asked<R>): boolean {
    const heard = this.#asked === asked
    if (heard) this.#asked = undefined
    return heard && !this.#closed
  }
  #fail(error: unknown): void {
    this.#error = { error }
    this.#tell()
  }
  #tell(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.available()
  }
}
