import type { RecordMetadata } from '../index.js'
import { RecordBatchWriter, type Sequenced } from './record-batch-writer.js'
import type { Outgoing } from './serialization.js'

/** Who waits for one record of a batch. */
export interface Waiter {
  index: number
  readonly timestamp: number
  readonly resolve: (metadata: RecordMetadata) => void
  readonly reject: (error: unknown) => void
}

/** Many records with one promise: kept when all of their batches are acknowledged. */
export class Bulk {
  readonly done: Promise<void>
  #resolve!: () => void
  #reject!: (error: unknown) => void
  #batches = 0
  #complete = false
  #failure: { readonly error: unknown } | undefined

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get failed(): boolean {
    return this.#failure !== undefined
  }
  begun(): void {
    this.#batches++
  }
  settled(error?: unknown): void {
    this.#batches--
    if (error !== undefined) this.#failure ??= { error }
    this.#look()
  }
  /** No more records come; with an error, since one of them was bad. */
  complete(error?: unknown): void {
    this.#complete = true
    if (error !== undefined) this.#failure ??= { error }
    this.#look()
  }
  #look(): void {
    if (!this.#complete || this.#batches > 0) return
    if (this.#failure === undefined) this.#resolve()
    else this.#reject(this.#failure.error)
  }
}

/** Records that are sent together to one partition, and who waits for them. */
export class Batch {
  readonly topic: string
  readonly partition: number
  readonly createdAt: number
  readonly writer: RecordBatchWriter
  /** As of which sequence it was sent; it stays the same when it is sent again, so that it is written only once. */
  sequenced: Sequenced | undefined
  encoded: Buffer | undefined
  /** It was sent and not answered, so that it may be in the log. */
  uncertain = false
  attempts = 0
  #waiters: Waiter[] = []
  #bulks: Bulk[] = []

  constructor(
    topic: string,
    partition: number,
    createdAt: number,
    writer: RecordBatchWriter = new RecordBatchWriter(),
  ) {
    this.topic = topic
    this.partition = partition
    this.createdAt = createdAt
    this.writer = writer
  }

  /** Gives the bytes that it takes. */
  add(
    { key, value, headers, timestamp }: Outgoing,
    resolve?: Waiter['resolve'],
    reject?: Waiter['reject'],
    bulk?: Bulk,
  ): number {
    const index = this.writer.count
    const bytes = this.writer.add(key, value, headers, timestamp)
    if (resolve !== undefined) this.#waiters.push({ index, timestamp, resolve, reject: reject! })
    if (bulk !== undefined) this.follow(bulk)
    return bytes
  }

  /** The bulk is not done before this batch is over. */
  follow(bulk: Bulk): void {
    if (this.#bulks.at(-1) === bulk) return
    this.#bulks.push(bulk)
    bulk.begun()
  }

  acknowledge(baseOffset: number, logAppendTime: number | undefined): void {
    const { topic, partition } = this
    for (const { index, timestamp, resolve } of this.#waiters)
      resolve({
        topic,
        partition,
        offset: baseOffset < 0 ? baseOffset : baseOffset + index,
        timestamp: logAppendTime ?? timestamp,
      })
    for (const bulk of this.#bulks) bulk.settled()
    this.#forget()
  }

  fail(error: unknown): void {
    for (const { reject } of this.#waiters) reject(error)
    for (const bulk of this.#bulks) bulk.settled(error)
    this.#forget()
  }
  #forget(): void {
    this.#waiters = []
    this.#bulks = []
  }

  /** The same records in smaller batches; some of them left out, and failed. */
  split(most: number, refused: ReadonlyMap<number, unknown> = new Map()): Batch[] {
    const parts = this.writer
      .split(most, new Set(refused.keys()))
      .map(({ batch, from }) => ({ from, part: new Batch(this.topic, this.partition, this.createdAt, batch) }))
    const places = new Map(parts.flatMap(({ part, from }) => from.map((index, place) => [index, { part, place }])))
    for (const waiter of this.#waiters) {
      const found = places.get(waiter.index)
      if (found === undefined) waiter.reject(refused.get(waiter.index))
      else {
        waiter.index = found.place
        found.part.#waiters.push(waiter)
      }
    }
    for (const bulk of this.#bulks) {
      for (const { part } of parts) part.follow(bulk)
      bulk.settled(refused.values().next().value)
    }
    this.#forget()
    return parts.map(({ part }) => part)
  }
}
