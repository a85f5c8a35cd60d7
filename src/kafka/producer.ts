import { MillraceError } from '../index.js'
import { Batch, Bulk, type Waiter } from './batch.js'
import { backoff, type Cluster } from './cluster.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { type Compression, type Kafka, loadKafka } from './platformatic.js'
import { type ProduceAnswer, type ProduceTopics, produce } from './produce-api.js'
import type { Sequenced } from './record-batch-writer.js'
import type { Outgoing } from './serialization.js'

export interface ProducerOptions {
  readonly lingerMs: number
  readonly compression: Compression
  readonly bufferBytes: number
}

/** A batch is closed beyond it. Kafka: batch.size, which is smaller; the cluster takes up to message.max.bytes, 1 MiB. */
const batchBytes = 512 * 1_024
/** Kafka: max.request.size */
const requestBytes = 2 * 1_024 * 1_024
const lastEpoch = 32_767
const lastSequence = 2 ** 31 - 1

/** What is on its way to one partition: one batch at a time, so that no retry can overtake another. */
interface Lineup {
  readonly topic: string
  readonly partition: number
  readonly batches: Batch[]
  /** The first batch has been sent, or waits for its leader or for a retry. */
  busy: boolean
  identity: Sequenced | undefined
  /** Halved when the topic takes less. */
  batchBytes: number
}

/**
 * Writes batches to the leaders of their partitions, idempotently (KIP-98): a batch keeps its sequence when it is sent
 * again, so that the leader writes it once. Kafka: Sender, RecordAccumulator.
 */
export class Producer {
  readonly #cluster: Cluster
  readonly #options: ProducerOptions
  readonly #lineups = new Map<string, Lineup[]>()
  /** Those with batches. */
  readonly #active = new Set<Lineup>()
  #buffered = 0
  #waitingForRoom: (() => void)[] = []
  #producerId: Promise<{ readonly producerId: bigint; readonly epoch: number }> | undefined
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #hurried = 0
  #kafka: Kafka | undefined

  constructor(cluster: Cluster, options: ProducerOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /** More bytes wait for their acknowledgement than are to. */
  get full(): boolean {
    return this.#buffered >= this.#options.bufferBytes
  }
  /** Resolves when it is not full any more, at least for the first who have asked. */
  room(): Promise<void> {
    return new Promise(resolve => {
      if (this.full) this.#waitingForRoom.push(resolve)
      else resolve()
    })
  }

  append(
    topic: string,
    partition: number,
    record: Outgoing,
    resolve?: Waiter['resolve'],
    reject?: Waiter['reject'],
    bulk?: Bulk,
  ): void {
    const lineup = this.#lineup(topic, partition)
    const { batches } = lineup
    let batch = batches.at(-1)
    if (
      batch === undefined ||
      (batches.length === 1 && lineup.busy) ||
      batch.sequenced !== undefined ||
      batch.writer.bytes >= lineup.batchBytes
    ) {
      batch = new Batch(topic, partition, Date.now())
      batches.push(batch)
      this.#active.add(lineup)
      this.#schedule(batches.length > 1)
    }
    this.#buffered += batch.add(record, resolve, reject, bulk)
  }

  #lineup(topic: string, partition: number): Lineup {
    let ofTopic = this.#lineups.get(topic)
    if (ofTopic === undefined) {
      ofTopic = []
      this.#lineups.set(topic, ofTopic)
    }
    const known = ofTopic[partition]
    if (known !== undefined) return known
    const lineup: Lineup = { topic, partition, batches: [], busy: false, identity: undefined, batchBytes }
    ofTopic[partition] = lineup
    return lineup
  }

  // ── when to send ──

  #schedule(now = false): void {
    if (now || this.#options.lingerMs === 0 || this.#hurried > 0) {
      this.#immediate ??= setImmediate(() => {
        this.#immediate = undefined
        this.#drain()
      })
      return
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#drain()
    }, this.#options.lingerMs)
  }

  #due(lineup: Lineup, now: number): boolean {
    const [first, second] = lineup.batches
    if (first === undefined || lineup.busy) return false
    if (this.#hurried > 0 || this.#options.lingerMs === 0 || second !== undefined || first.attempts > 0) return true
    return first.writer.bytes >= lineup.batchBytes || now - first.createdAt >= this.#options.lingerMs
  }

  /** Sends the first batch of every partition that has one due, those of one leader together. */
  #drain(): void {
    const now = Date.now()
    const due = [...this.#active].filter(lineup => this.#due(lineup, now))
    const lingering = this.#options.lingerMs > 0 && this.#active.size > due.length
    if (lingering) this.#schedule()
    if (due.length === 0) return
    if (this.#kafka === undefined) return this.#prepare(due)
    const byLeader = new Map<number, { lineups: Lineup[]; bytes: number }>()
    for (const lineup of due) {
      const batch = lineup.batches[0]!
      if (this.#expired(batch, now)) {
        this.#fail(lineup, batch, this.#timedOut(batch))
        continue
      }
      lineup.busy = true
      const leader = this.#cluster.leaderOf(lineup.topic, lineup.partition)
      if (lineup.identity === undefined || leader === undefined) {
        void this.#locate(lineup)
        continue
      }
      const request = byLeader.get(leader)
      if (request !== undefined && request.bytes < requestBytes) {
        request.lineups.push(lineup)
        request.bytes += batch.writer.bytes
        continue
      }
      if (request !== undefined) void this.#send(leader, request.lineups)
      byLeader.set(leader, { lineups: [lineup], bytes: batch.writer.bytes })
    }
    for (const [leader, { lineups }] of byLeader) void this.#send(leader, lineups)
  }

  #prepare(due: readonly Lineup[]): void {
    for (const lineup of due) lineup.busy = true
    loadKafka().then(
      kafka => {
        this.#kafka = kafka
        for (const lineup of due) lineup.busy = false
        this.#drain()
      },
      error => {
        for (const lineup of due) this.#failAll(lineup, error)
      },
    )
  }

  #deadline({ createdAt }: Batch): number {
    return createdAt + this.#cluster.deliveryTimeoutMs
  }
  #expired(batch: Batch, now: number): boolean {
    return now >= this.#deadline(batch)
  }
  #timedOut(batch: Batch): MillraceError {
    const timeoutMs = this.#cluster.deliveryTimeoutMs
    return new MillraceError('REQUEST_TIMED_OUT', { what: whatOf(batch), timeoutMs }, { retriable: true })
  }

  /** Finds the partition's leader, and an identity to write as. */
  async #locate(lineup: Lineup): Promise<void> {
    const { topic, partition } = lineup
    const batch = lineup.batches[0]!
    const about = { what: whatOf(batch), topic, partition }
    try {
      const timeoutMs = Math.max(1, this.#deadline(batch) - Date.now())
      await this.#cluster.retrying(
        async left => {
          if (lineup.identity === undefined) lineup.identity = { ...(await this.#identity(left)), sequence: 0 }
          const { partitions } = await this.#cluster.metadata(topic, { about, timeoutMs: left })
          if (partitions[partition] === undefined) throw errorOf(3, about)
          if (partitions[partition].leader >= 0) return
          this.#cluster.outdated(topic)
          throw errorOf(5, about)
        },
        { timeoutMs },
        // metadata() has looked for it long enough.
        error => kafkaNameOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION',
      )
    } catch (error) {
      return this.#failAll(lineup, error)
    }
    lineup.busy = false
    this.#drain()
  }

  async #identity(timeoutMs: number): Promise<{ readonly producerId: bigint; readonly epoch: number }> {
    const about = { what: 'Asking for a producer id' }
    this.#producerId ??= this.#cluster
      .request('any', kafka => kafka.initProducerIdV4.api, [null, 0, -1n, -1], { about, timeoutMs })
      .then(({ producerId, producerEpoch }) => ({ producerId, epoch: producerEpoch }))
    try {
      return await this.#producerId
    } catch (error) {
      this.#producerId = undefined
      throw error
    }
  }

  // ── sending ──

  async #send(leader: number, lineups: readonly Lineup[]): Promise<void> {
    const now = Date.now()
    const least = Math.min(...lineups.map(({ batches }) => this.#deadline(batches[0]!)))
    const timeoutMs = Math.max(1, Math.min(this.#cluster.requestTimeoutMs, least - now))
    const { batches } = lineups[0]!
    const about = { what: whatOf(batches[0]!) }
    let answer: ProduceAnswer
    try {
      const topics = this.#topicsOf(lineups)
      answer = await this.#cluster.send(leader, produce, [topics, timeoutMs], {
        about,
        timeoutMs,
        lane: 'produce',
        partial: true,
      })
    } catch (error) {
      for (const lineup of lineups) this.#failed(lineup, error, true)
      return this.#drain()
    }
    const answers = new Map(
      answer.responses.flatMap(({ name, partitionResponses }) =>
        partitionResponses.map(partition => [`${name}-${partition.index}`, partition]),
      ),
    )
    for (const lineup of lineups) {
      const found = answers.get(`${lineup.topic}-${lineup.partition}`)
      if (found === undefined) this.#failed(lineup, errorOf(-1, { what: whatOf(lineup.batches[0]!) }), true)
      else this.#answered(lineup, found)
    }
    this.#drain()
  }

  #topicsOf(lineups: readonly Lineup[]): ProduceTopics {
    const topics = new Map<string, { index: number; records: Buffer }[]>()
    for (const lineup of lineups) {
      const batch = lineup.batches[0]!
      batch.attempts++
      if (batch.sequenced !== lineup.identity) {
        batch.sequenced = lineup.identity!
        batch.encoded = batch.writer.finish(this.#kafka!, this.#options.compression, batch.sequenced)
      }
      const partition = { index: lineup.partition, records: batch.encoded! }
      const known = topics.get(lineup.topic)
      if (known === undefined) topics.set(lineup.topic, [partition])
      else known.push(partition)
    }
    return [...topics].map(([name, partitions]) => ({ name, partitions }))
  }

  #answered(lineup: Lineup, answer: ProduceAnswer['responses'][number]['partitionResponses'][number]): void {
    const batch = lineup.batches[0]!
    const { errorCode, errorMessage, recordErrors, baseOffset, logAppendTimeMs } = answer
    const { topic, partition, writer } = batch
    const error =
      errorCode === 0
        ? undefined
        : errorOf(errorCode, { what: whatOf(batch), topic, partition, bytes: writer.bytes }, errorMessage)
    const name = kafkaNameOf(error)
    if (error === undefined || name === 'DUPLICATE_SEQUENCE_NUMBER') {
      this.#advance(lineup, batch)
      const offset = error === undefined ? Number(baseOffset) : -1
      const time = logAppendTimeMs < 0n ? undefined : Number(logAppendTimeMs)
      return this.#end(lineup, batch, () => batch.acknowledge(offset, time))
    }
    if (writer.count > 1 && (name === 'MESSAGE_TOO_LARGE' || name === 'RECORD_LIST_TOO_LARGE')) {
      lineup.batchBytes = Math.max(1, Math.floor(Math.min(lineup.batchBytes, writer.bytes) / 2))
      return this.#divide(lineup, batch, Math.ceil(writer.count / 2))
    }
    if (recordErrors.length > 0 && recordErrors.length < writer.count) {
      const refused = recordErrors.map(({ batchIndex, batchIndexErrorMessage }) => {
        const reason = batchIndexErrorMessage ?? errorMessage
        return [batchIndex, errorOf(errorCode, { what: whatOf(batch), topic, partition }, reason)] as const
      })
      return this.#divide(lineup, batch, writer.count, new Map(refused))
    }
    this.#failed(lineup, error, false)
  }

  /** What the leader has refused as a whole has used no sequence. */
  #divide(lineup: Lineup, batch: Batch, most: number, refused?: ReadonlyMap<number, unknown>): void {
    const parts = batch.split(most, refused)
    this.#buffered -= batch.writer.recordBytes
    for (const part of parts) this.#buffered += part.writer.recordBytes
    lineup.batches.splice(0, 1, ...parts)
    lineup.busy = false
  }

  /** The next batch follows on this one. Kafka: DefaultRecordBatch.incrementSequence. */
  #advance(lineup: Lineup, { writer, sequenced }: Batch): void {
    const next = sequenced!.sequence + writer.count
    lineup.identity = { ...sequenced!, sequence: next > lastSequence ? next - lastSequence - 1 : next }
  }

  #failed(lineup: Lineup, error: unknown, unanswered: boolean): void {
    const batch = lineup.batches[0]!
    const name = kafkaNameOf(error)
    if (unanswered && (name === 'REQUEST_TIMED_OUT' || name === 'NETWORK_EXCEPTION')) batch.uncertain = true
    if (name === 'REQUEST_TIMED_OUT' || name === 'NOT_ENOUGH_REPLICAS_AFTER_APPEND') batch.uncertain = true
    this.#cluster.heard({ topic: lineup.topic, partition: lineup.partition }, error)
    const now = Date.now()
    const lost = name !== undefined && outOfSequence.has(name)
    const retriable = lost || (error instanceof MillraceError && error.retriable)
    const wait = lost ? 0 : backoff(batch.attempts - 1)
    if (!retriable || now + wait >= this.#deadline(batch)) {
      return this.#fail(lineup, batch, error)
    }
    // The leader has lost what it knew of this writer: the batch is not in its log. KIP-360.
    if (lost) this.#renew(lineup)
    this.#cluster.pause(wait).then(
      () => {
        lineup.busy = false
        this.#drain()
      },
      closed => this.#failAll(lineup, closed),
    )
  }

  /** Begins a new count of sequences. Kafka: TransactionManager.bumpIdempotentProducerEpoch. */
  #renew(lineup: Lineup): void {
    const { identity } = lineup
    if (identity === undefined) return
    if (identity.epoch < lastEpoch)
      lineup.identity = { producerId: identity.producerId, epoch: identity.epoch + 1, sequence: 0 }
    else {
      lineup.identity = undefined
      this.#producerId = undefined
    }
  }

  // ── what is over ──

  #end(lineup: Lineup, batch: Batch, tell: () => void): void {
    lineup.batches.splice(lineup.batches.indexOf(batch), 1)
    lineup.busy = false
    this.#buffered -= batch.writer.recordBytes
    if (lineup.batches.length === 0) this.#active.delete(lineup)
    tell()
    while (!this.full && this.#waitingForRoom.length > 0) {
      const waiting = this.#waitingForRoom
      this.#waitingForRoom = []
      for (const resolve of waiting) resolve()
    }
  }

  /** Later batches are no continuation of one that may have been written: under its sequence they would not be. */
  #fail(lineup: Lineup, batch: Batch, error: unknown): void {
    if (batch.uncertain) this.#renew(lineup)
    this.#end(lineup, batch, () => batch.fail(error))
  }
  #failAll(lineup: Lineup, error: unknown): void {
    for (const batch of [...lineup.batches]) this.#fail(lineup, batch, error)
  }

  /** All that is in batches now is acknowledged; rejects with the first that is not. */
  async flush(): Promise<void> {
    const all = new Bulk()
    for (const { batches } of this.#active) for (const batch of batches) batch.follow(all)
    all.complete()
    this.#hurried++
    this.#schedule()
    try {
      await all.done
    } finally {
      this.#hurried--
    }
  }

  /** What has not been acknowledged fails. */
  close(error: unknown): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    for (const lineup of [...this.#active]) this.#failAll(lineup, error)
  }
}

/** What a leader says that does not know, or no longer knows, what this writer has written before. */
const outOfSequence: ReadonlySet<string> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
])

function whatOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `Publishing to ${topic}-${partition}`
}
