import { type AnyRecord, MillraceError, type TopicPartition } from '../index.js'
import { backoff } from './backoff.js'
import type { Cluster } from './cluster.js'
import type { Lane } from './connections.js'
import { elapsedMs } from './elapsed.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { type Asked, Feed } from './feed.js'
import { type FetchAnswer, type FetchArgs, type FetchedPartition, fetchApi } from './fetch-api.js'
import type { Serialization } from './serialization.js'

export interface FetcherOptions {
  /** What is asked for at once, over all partitions; in memory at most twice that. Kafka: fetch.max.bytes */
  readonly fetchBytes: number
  readonly isolation: 'read_uncommitted' | 'read_committed'
}

/** Kafka: fetch.max.wait.ms: a broker that has nothing answers after so long, and before the request is over. */
const maxWaitMs = 500
/** Kafka: fetch.min.bytes */
const minBytes = 1
/** Of one partition at once. Kafka: max.partition.fetch.bytes */
const partitionBytes = 1_048_576
/** Requests on their way to one broker at once: a partition that comes anew does not wait for the others' answer. */
const lanesPerBroker = 2
/** Without a session every request names its partitions. Kafka: FetchMetadata.LEGACY */
const noSession = 0
const sessionless = -1
/** A broker does not check what it is not told. */
const unknownEpoch = -1
/** A topic is gone when it has not been found for so long. */
const missingMs = 1_000

/** What a broker is asked for, and how that goes. */
interface Broker {
  readonly node: number
  /** Free lanes. */
  readonly lanes: Lane[]
  failures: number
  /** Not to be asked before the pause is over. */
  resting: boolean
}

let fetchers = 0

/**
 * Fetches ahead, in the background, what its feeds want, one request at a time for each partition. Each broker is asked
 * by connections of this fetcher's own, since it holds a request back until there is something. Kafka: Fetcher,
 * AbstractFetch; without sessions (KIP-227).
 */
export class Fetcher<R extends AnyRecord = AnyRecord> {
  readonly #cluster: Cluster
  readonly #serialization: Serialization
  readonly #options: FetcherOptions
  /** Of its lanes. */
  readonly #number = ++fetchers
  /** Those that were asked for last come last. */
  readonly #feeds = new Set<Feed<R>>()
  readonly #brokers = new Map<number, Broker>()
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #lanes = new Set<Lane>()
  #due = false
  #looking = false
  #closed = false

  constructor(cluster: Cluster, serialization: Serialization, options: FetcherOptions) {
    this.#cluster = cluster
    this.#serialization = serialization
    this.#options = options
  }

  /** A partition to be read; nothing is fetched before it is read from somewhere. `gone`: the topic is not there any more. */
  open(where: TopicPartition, topicId: string, gone?: (error: MillraceError) => void): Feed<R> {
    const feed = new Feed<R>(this.#serialization, where, topicId, this.#options.isolation, {
      wanting: () => this.#wake(),
      closed: () => this.#feeds.delete(feed),
      gone,
    })
    this.#feeds.add(feed)
    return feed
  }

  close(): void {
    this.#closed = true
    for (const feed of [...this.#feeds]) feed.close()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    for (const lane of this.#lanes) this.#cluster.endLane(lane)
  }

  /** Looked at in a task of its own, once for what was read in one go. */
  #wake(): void {
    if (this.#due || this.#closed) return
    this.#due = true
    setImmediate(() => {
      this.#due = false
      if (!this.#closed) this.#fetch()
    })
  }

  /**
   * Equal shares: a partition that nobody reads can't take the memory of the others. Of each there may be one share that is
   * read, one that comes, and the copy that is made of it: three of them are twice fetchBytes. More only where a batch is
   * larger than a share: of a partition that holds nothing a broker sends one batch at least (KIP-74).
   */
  get #share(): number {
    const share = Math.floor((2 * this.#options.fetchBytes) / (3 * Math.max(1, this.#feeds.size)))
    return Math.max(1, Math.min(partitionBytes, share))
  }

  #fetch(): void {
    const share = this.#share
    const wanted = new Map<number, Feed<R>[]>()
    const unknown = new Set<string>()
    for (const feed of this.#feeds) {
      if (!feed.wants(share)) continue
      const leader = this.#leaderOf(feed)
      if (leader === undefined) unknown.add(feed.topic)
      else if (wanted.has(leader)) wanted.get(leader)!.push(feed)
      else wanted.set(leader, [feed])
    }
    for (const [node, feeds] of wanted) {
      const broker = this.#broker(node)
      if (!broker.resting && broker.lanes.length > 0) void this.#ask(broker, feeds, share)
    }
    if (unknown.size > 0) this.#look(unknown)
  }

  #broker(node: number): Broker {
    let broker = this.#brokers.get(node)
    if (broker === undefined) {
      const lanes = Array.from({ length: lanesPerBroker }, (_, i): Lane => `fetch-${this.#number}-${node}-${i}`)
      broker = { node, lanes, failures: 0, resting: false }
      this.#brokers.set(node, broker)
    }
    return broker
  }

  // ── one request ──

  async #ask(broker: Broker, feeds: readonly Feed<R>[], share: number): Promise<void> {
    const lane = broker.lanes.shift()!
    this.#lanes.add(lane)
    const asked = feeds.map(feed => {
      this.#feeds.delete(feed)
      this.#feeds.add(feed)
      return feed.ask()
    })
    try {
      const answer = await this.#send(broker.node, lane, asked, share)
      broker.failures = 0
      this.#answered(asked, answer)
    } catch (error) {
      if (!this.#closed) this.#failed(broker, asked, error)
    } finally {
      broker.lanes.push(lane)
      // It may have been opened since.
      if (this.#closed) this.#cluster.endLane(lane)
      this.#wake()
    }
  }

  async #send(node: number, lane: Lane, asked: readonly Asked<R>[], share: number): Promise<FetchAnswer> {
    const { fetchBytes, isolation } = this.#options
    const level = isolation === 'read_committed' ? 1 : 0
    const about = { what: 'Fetching' }
    const waitMs = Math.min(maxWaitMs, Math.floor(this.#cluster.requestTimeoutMs / 2))
    const topics = topicsOf(asked, share)
    const args: FetchArgs = [waitMs, minBytes, fetchBytes, level, noSession, sessionless, topics, [], '']
    const answer = await this.#cluster.send(node, fetchApi, args, { about, lane })
    if (answer.errorCode !== 0) throw errorOf(answer.errorCode, about)
    return answer
  }

  #answered(asked: readonly Asked<R>[], { kafka, topics }: FetchAnswer): void {
    const byId = new Map<string, Map<number, FetchedPartition>>()
    for (const { topicId, partitions } of topics)
      byId.set(topicId, new Map(partitions.map(found => [found.partition, found])))
    let refused = false
    for (const one of asked) {
      const { feed } = one
      const found = byId.get(feed.topicId)?.get(feed.partition)
      // A broker may leave out what does not fit.
      if (found === undefined) feed.unanswered(one)
      else if (found.errorCode === 0) feed.answered(one, kafka, found)
      else {
        refused = true
        this.#refused(one, found.errorCode)
      }
    }
    this.#refusals = refused ? this.#refusals + 1 : 0
  }

  /** Kafka: FetchCollector.handleInitializeErrors. */
  #refused(asked: Asked<R>, code: number): void {
    const { feed } = asked
    const { topic, partition } = feed
    const { offset } = asked
    const error = errorOf(code, { what: `Fetching from ${topic}-${partition}`, topic, partition, offset })
    const name = kafkaNameOf(error)
    if (name === 'OFFSET_OUT_OF_RANGE') return feed.outOfRange(asked)
    const passes = (error.retriable && name !== 'CORRUPT_MESSAGE') || name === 'UNKNOWN_SERVER_ERROR'
    if (!passes) return feed.failed(asked, error)
    feed.unanswered(asked)
    this.#stale.add(topic)
  }

  /** The broker can't be reached, or refuses: it may not lead any more what it was asked for. */
  #failed(broker: Broker, asked: readonly Asked<R>[], error: unknown): void {
    const hopeless = !(error instanceof MillraceError && error.retriable)
    for (const one of asked) {
      if (hopeless) one.feed.failed(one, error)
      else one.feed.unanswered(one)
      this.#stale.add(one.feed.topic)
    }
    broker.resting = true
    this.#later(backoff(broker.failures++), () => {
      broker.resting = false
    })
  }

  // ── who leads what ──

  /** Topics whose metadata has turned out to be old. */
  readonly #stale = new Set<string>()
  /** Since when a topic has not been found. */
  readonly #missing = new Map<string, number>()
  /** Answers in a row that sent it looking. */
  #refusals = 0

  /** Undefined while it is not known, or there is none; a topic of that name with another id is another topic. */
  #leaderOf(feed: Feed<R>): number | undefined {
    if (this.#stale.has(feed.topic) || this.#cluster.topic(feed.topic)?.id !== feed.topicId) return undefined
    return this.#cluster.leaderOf(feed.topic, feed.partition)
  }

  /** Asks for the metadata of these: at once when something is new, after a pause when the last look did not help. */
  #look(topics: ReadonlySet<string>): void {
    if (this.#looking) return
    this.#looking = true
    const pause = this.#refusals === 0 ? 0 : backoff(this.#refusals - 1)
    this.#later(pause, () => {
      this.#cluster.refresh(topics).then(
        () => this.#looked(topics),
        () => {
          this.#looking = false
          this.#refusals++
          this.#wake()
        },
      )
    })
  }
  #looked(topics: ReadonlySet<string>): void {
    this.#looking = false
    for (const topic of topics) this.#stale.delete(topic)
    let open = false
    for (const feed of [...this.#feeds])
      if (topics.has(feed.topic) && this.#leaderOf(feed) === undefined) open = !this.#isGone(feed) || open
    if (open) this.#refusals++
    this.#wake()
  }

  /** A new topic is not known to every broker at once: that one is missing must last. */
  #isGone(feed: Feed<R>): boolean {
    const found = this.#cluster.topic(feed.topic)
    if (found?.id === feed.topicId) {
      this.#missing.delete(feed.topic)
      return false
    }
    const since = this.#missing.get(feed.topic) ?? elapsedMs()
    this.#missing.set(feed.topic, since)
    if (found === undefined && (!this.#cluster.isMissing(feed.topic) || elapsedMs() - since < missingMs)) return false
    feed.isGone()
    return true
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
      this.#wake()
    }, ms)
    this.#timers.add(timer)
  }
}

type TopicsOfRequest = {
  topicId: string
  partitions: {
    partition: number
    currentLeaderEpoch: number
    fetchOffset: bigint
    lastFetchedEpoch: number
    partitionMaxBytes: number
  }[]
}[]

function topicsOf(asked: readonly Asked[], share: number): TopicsOfRequest {
  const topics = new Map<string, TopicsOfRequest[number]>()
  for (const { feed, offset } of asked) {
    const { topicId, partition } = feed
    const topic = topics.get(topicId) ?? { topicId, partitions: [] }
    topics.set(topicId, topic)
    topic.partitions.push({
      partition,
      currentLeaderEpoch: unknownEpoch,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: unknownEpoch,
      partitionMaxBytes: share,
    })
  }
  return [...topics.values()]
}
