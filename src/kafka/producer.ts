import { MillraceError } from '../index.js'
import { backoff } from './backoff.js'
import { type Batch, Bulk, type Waiter } from './batch.js'
import type { Cluster } from './cluster.js'
import { elapsedMs } from './elapsed.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { Lineup } from './lineup.js'
import { offsetNumber } from './offsets.js'
import { type Compression, type Kafka, loadKafka } from './platformatic.js'
import { type ProduceAnswer, type ProduceTopics, produce } from './produce-api.js'
import type { Outgoing } from './serialization.js'

interface ProducerOptions {
  readonly lingerMs: number
  readonly compression: Compression
  readonly bufferBytes: number
}

/** Kafka: max.request.size */
const requestBytes = 2 * 1_024 * 1_024
/** Kafka: socket.request.max.bytes, on more than which a broker hangs up, less what comes before a batch. */
const mostBatchBytes = 100 * 1_024 * 1_024 - 4_096

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
  /** All has been acknowledged or has failed: what comes back of a request that was on its way is too late. */
  #closed = false

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
    let batch = lineup.open
    if (batch === undefined) {
      batch = lineup.begin(elapsedMs())
      this.#active.add(lineup)
      this.#schedule(lineup.batches.length > 1 ? 0 : this.#lingerMs)
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
    const lineup = new Lineup(topic, partition)
    ofTopic[partition] = lineup
    return lineup
  }

  // ── when to send ──

  /** While somebody waits for all to be sent nothing lingers. */
  get #lingerMs(): number {
    return this.#hurried > 0 ? 0 : this.#options.lingerMs
  }

  /** At the end of this turn of the event loop, or later. */
  #schedule(ms: number): void {
    if (ms > 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined
        this.#drain()
      }, ms)
    } else
      this.#immediate ??= setImmediate(() => {
        this.#immediate = undefined
        this.#drain()
      })
  }

  /** Sends the first batch of every partition that has one due, those of one leader together. */
  #drain(): void {
    const now = elapsedMs()
    const due: Lineup[] = []
    let next = Number.POSITIVE_INFINITY
    for (const lineup of this.#active) {
      const at = lineup.dueAt(this.#lingerMs)
      if (at === undefined) continue
      if (at <= now) due.push(lineup)
      else next = Math.min(next, at)
    }
    if (next < Number.POSITIVE_INFINITY) this.#schedule(next - now)
    if (due.length === 0) return
    if (this.#kafka === undefined) return this.#prepare(due)
    const byLeader = new Map<number, { lineups: Lineup[]; bytes: number }>()
    for (const lineup of due) {
      const { first } = lineup
      if (now >= this.#deadline(first)) {
        this.#fail(lineup, first, this.#timedOut(lineup))
        continue
      }
      lineup.busy = true
      const leader = this.#cluster.leaderOf(lineup.topic, lineup.partition)
      if (lineup.identity === undefined || leader === undefined) {
        void this.#locate(lineup)
        continue
      }
      const request = byLeader.get(leader)
      if (request !== undefined && request.bytes + first.writer.bytes <= requestBytes) {
        request.lineups.push(lineup)
        request.bytes += first.writer.bytes
        continue
      }
      if (request !== undefined) void this.#send(leader, request.lineups)
      byLeader.set(leader, { lineups: [lineup], bytes: first.writer.bytes })
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
  #timedOut({ what }: Lineup): MillraceError {
    const timeoutMs = this.#cluster.deliveryTimeoutMs
    return new MillraceError('REQUEST_TIMED_OUT', { what, timeoutMs }, { retriable: true })
  }

  /** Finds the partition's leader, and an identity to write as. */
  async #locate(lineup: Lineup): Promise<void> {
    const { topic, partition, first, what } = lineup
    const about = { what, topic, partition }
    // metadata() has looked for a topic long enough.
    const isGone = (error: unknown): boolean => kafkaNameOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION'
    const attempt = async (timeoutMs: number): Promise<void> => {
      if (lineup.identity === undefined) lineup.identity = { ...(await this.#identity(timeoutMs)), sequence: 0 }
      const { partitions } = await this.#cluster.metadata(topic, { about, timeoutMs })
      if (partitions[partition] === undefined) throw errorOf(3, about)
      if (partitions[partition].leader >= 0) return
      this.#cluster.outdated(topic)
      throw errorOf(5, about)
    }
    try {
      const timeoutMs = Math.max(1, this.#deadline(first) - elapsedMs())
      await this.#cluster.retrying(attempt, { timeoutMs }, error => !isGone(error))
      lineup.busy = false
    } catch (error) {
      if (this.#closed) return
      // Batches behind it may have more time.
      if (isRetriable(error) && !isGone(error)) this.#fail(lineup, first, error)
      else this.#failAll(lineup, error)
    }
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
    const now = elapsedMs()
    const least = Math.min(...lineups.map(({ first }) => this.#deadline(first)))
    const timeoutMs = Math.max(1, Math.min(this.#cluster.requestTimeoutMs, least - now))
    const about = { what: lineups[0]!.what }
    let answer: ProduceAnswer
    try {
      const topics = this.#topicsOf(lineups)
      if (lineups.some(({ first }) => first.encoded!.length > mostBatchBytes)) return this.#oversized(lineups)
      answer = await this.#cluster.send(leader, produce, [topics, timeoutMs], {
        about,
        timeoutMs,
        lane: 'produce',
        partial: true,
      })
    } catch (error) {
      if (this.#closed) return
      for (const lineup of lineups) this.#failed(lineup, error, true)
      return this.#drain()
    }
    if (this.#closed) return
    const answers = new Map(
      answer.responses.flatMap(({ name, partitionResponses }) =>
        partitionResponses.map(partition => [`${name}-${partition.index}`, partition]),
      ),
    )
    for (const lineup of lineups) {
      const found = answers.get(`${lineup.topic}-${lineup.partition}`)
      if (found === undefined) this.#failed(lineup, errorOf(-1, { what: lineup.what }), true)
      else this.#answered(lineup, found)
    }
    this.#drain()
  }

  /** What is so large is in a request of its own, which is not sent: each of its records is tried alone. */
  #oversized(lineups: readonly Lineup[]): void {
    for (const lineup of lineups) {
      const { first, what, topic, partition } = lineup
      const { bytes, count } = first.writer
      if (count > 1) this.#divided(first, lineup.divide(Math.ceil(count / 2)))
      else this.#fail(lineup, first, errorOf(10, { what, topic, partition, bytes }))
    }
    this.#drain()
  }

  #topicsOf(lineups: readonly Lineup[]): ProduceTopics {
    const topics = new Map<string, { index: number; records: Buffer }[]>()
    for (const lineup of lineups) {
      const batch = lineup.first
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
    const { first, what, topic, partition } = lineup
    const { errorCode, errorMessage, recordErrors, baseOffset, logAppendTimeMs } = answer
    const about = { what, topic, partition, bytes: first.writer.bytes }
    const error = errorCode === 0 ? undefined : errorOf(errorCode, about, errorMessage)
    const name = kafkaNameOf(error)
    if (error === undefined || name === 'DUPLICATE_SEQUENCE_NUMBER') {
      lineup.advance()
      return this.#written(lineup, error === undefined ? baseOffset : -1n, logAppendTimeMs)
    }
    if (first.writer.count > 1 && tooLarge.has(name!)) return this.#divided(first, lineup.halve())
    if (recordErrors.length > 0 && recordErrors.length < first.writer.count) {
      const refused = recordErrors.map(({ batchIndex, batchIndexErrorMessage }) => {
        const reason = batchIndexErrorMessage ?? errorMessage
        return [batchIndex, errorOf(errorCode, about, reason)] as const
      })
      return this.#divided(first, lineup.divide(first.writer.count, new Map(refused)))
    }
    this.#failed(lineup, error, false)
  }
  #written(lineup: Lineup, baseOffset: bigint, logAppendTimeMs: bigint): void {
    const { first } = lineup
    try {
      const offset = offsetNumber(baseOffset, lineup)
      const time = logAppendTimeMs < 0n ? undefined : Number(logAppendTimeMs)
      this.#end(lineup, first, () => first.acknowledge(offset, time))
    } catch (error) {
      this.#fail(lineup, first, error)
    }
  }
  #divided(whole: Batch, parts: readonly Batch[]): void {
    this.#buffered -= whole.writer.recordBytes
    for (const part of parts) this.#buffered += part.writer.recordBytes
  }

  #failed(lineup: Lineup, error: unknown, unanswered: boolean): void {
    const { first, topic, partition } = lineup
    const name = kafkaNameOf(error) ?? ''
    if (mayBeWritten.has(name) || (unanswered && name === 'NETWORK_EXCEPTION')) first.uncertain = true
    this.#cluster.heard({ topic, partition }, error)
    const lost = outOfSequence.has(name)
    const wait = lost ? 0 : backoff(first.attempts - 1)
    if (!(lost || isRetriable(error)) || elapsedMs() + wait >= this.#deadline(first))
      return this.#fail(lineup, first, error)
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

  #renew(lineup: Lineup): void {
    if (!lineup.renew()) this.#producerId = undefined
  }

  // ── what is over ──

  #end(lineup: Lineup, batch: Batch, tell: () => void): void {
    lineup.remove(batch)
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
    this.#schedule(0)
    try {
      await all.done
    } finally {
      this.#hurried--
    }
  }

  /** What has not been acknowledged fails. */
  close(error: unknown): void {
    this.#closed = true
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
const tooLarge: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
/** After which a batch may be in the log. */
const mayBeWritten: ReadonlySet<string> = new Set(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'])

function isRetriable(error: unknown): boolean {
  return error instanceof MillraceError && error.retriable
}
