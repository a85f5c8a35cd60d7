import { Batch } from './batch.js'
import type { Sequenced } from './record-batch-writer.js'

/** A batch is closed beyond it. Kafka: batch.size, which is smaller; the cluster takes up to message.max.bytes, 1 MiB. */
const mostBytes = 512 * 1_024
const lastEpoch = 32_767
const lastSequence = 2 ** 31 - 1

/** What is on its way to one partition: one batch at a time, so that no retry can overtake another (KIP-98). */
export class Lineup {
  readonly topic: string
  readonly partition: number
  readonly batches: Batch[] = []
  /** The first batch has been sent, or waits for its leader or for a retry. */
  busy = false
  /** As whom the next batch is written, and in which sequence; undefined before there is a producer id. */
  identity: Sequenced | undefined
  #batchBytes = mostBytes

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** The request, as a message says it. */
  get what(): string {
    return `Publishing to ${this.topic}-${this.partition}`
  }
  get first(): Batch {
    return this.batches[0]!
  }

  /** The batch that takes more records; undefined if a new one must be begun. */
  get open(): Batch | undefined {
    const last = this.batches.at(-1)
    const sent = last?.sequenced !== undefined || (this.busy && this.batches.length === 1)
    return last === undefined || sent || this.#isFull(last) ? undefined : last
  }
  begin(now: number): Batch {
    const batch = new Batch(this.topic, this.partition, now)
    this.batches.push(batch)
    return batch
  }
  #isFull({ writer }: Batch): boolean {
    return writer.bytes >= this.#batchBytes
  }

  /** When the first batch is to be sent; undefined while it can't be. */
  dueAt(lingerMs: number): number | undefined {
    const [first, second] = this.batches
    if (first === undefined || this.busy) return undefined
    const lingers = second === undefined && first.attempts === 0 && !this.#isFull(first)
    return lingers ? first.createdAt + lingerMs : first.createdAt
  }

  remove(batch: Batch): void {
    this.batches.splice(this.batches.indexOf(batch), 1)
    this.busy = false
  }

  /** The first batch has been written: the next one follows on it. Kafka: DefaultRecordBatch.incrementSequence. */
  advance(): void {
    const { writer, sequenced } = this.first
    const next = sequenced!.sequence + writer.count
    this.identity = { ...sequenced!, sequence: next > lastSequence ? next - lastSequence - 1 : next }
  }

  /**
   * Begins a new count of sequences; false when there is no further epoch. Kafka:
   * TransactionManager.bumpIdempotentProducerEpoch.
   */
  renew(): boolean {
    if (this.identity === undefined) return true
    const { producerId, epoch } = this.identity
    this.identity = epoch < lastEpoch ? { producerId, epoch: epoch + 1, sequence: 0 } : undefined
    return this.identity !== undefined
  }

  /** The first batch is too large for its topic, which from now on gets smaller ones. Kafka: splitAndReenqueue. */
  halve(): readonly Batch[] {
    const { writer } = this.first
    this.#batchBytes = Math.max(1, Math.floor(Math.min(this.#batchBytes, writer.bytes) / 2))
    return this.divide(Math.ceil(writer.count / 2))
  }

  /** The first batch in parts, some records left out and failed. What was refused as a whole has used no sequence. */
  divide(most: number, refused?: ReadonlyMap<number, unknown>): readonly Batch[] {
    const parts = this.first.split(most, refused)
    this.batches.splice(0, 1, ...parts)
    this.busy = false
    return parts
  }
}
