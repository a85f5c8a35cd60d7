import { MillraceError } from '../index.js'
import { backoff, pause } from './backoff.js'
import { closingController } from './closing-controller.js'
import { Connections, type ConnectionsOptions, type Lane } from './connections.js'
import { elapsedMs } from './elapsed.js'
import { type About, ClusterError, errorOf, kafkaNameOf } from './errors.js'
import { KnownTopics, notThere, type TopicMetadata } from './known-topics.js'
import type { Address, Api, Kafka } from './platformatic.js'

interface ClusterOptions extends ConnectionsOptions {
  readonly bootstrap: readonly Address[]
  readonly deliveryTimeoutMs: number
}

/** Who is to answer: a broker by its id, any of them, a group's coordinator, or a partition's leader. */
type Target = number | 'any' | { readonly group: string } | { readonly topic: string; readonly partition: number }

export interface RequestOptions {
  readonly about: About
  /** @default requestTimeoutMs for one try, deliveryTimeoutMs with retries */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** @default 'main' */
  readonly lane?: Lane | undefined
  /** Gives an answer that has error codes in it, for who looks at each. */
  readonly partial?: boolean | undefined
}

/** Kafka: metadata.max.age.ms */
const metadataAgeMs = 300_000
/** How long a topic that was not found is looked for: a new one is not known to every broker at once. */
const unknownTopicMs = 1_000

/** What is known of a cluster, and requests to it: who leads what, who coordinates whom, retries within a time limit. */
export class Cluster {
  readonly requestTimeoutMs: number
  readonly deliveryTimeoutMs: number
  readonly #bootstrap: readonly Address[]
  readonly #connections: Connections
  readonly #nodes = new Map<number, Address>()
  /** Brokers that have left a request unanswered last: who may ask any asks the others first. */
  readonly #silent = new Set<string>()
  readonly #topics = new KnownTopics()
  readonly #coordinators = new Map<string, number>()
  readonly #closing = closingController()
  /** Names for the next question; one is on its way at a time. */
  #asked = new Set<string>()
  #next: Promise<void> | undefined
  #current: Promise<void> = Promise.resolve()
  #clusterKnown = false
  #rounds = 0

  constructor(options: ClusterOptions) {
    const { bootstrap, requestTimeoutMs, deliveryTimeoutMs } = options
    this.requestTimeoutMs = requestTimeoutMs
    this.deliveryTimeoutMs = deliveryTimeoutMs
    this.#bootstrap = bootstrap
    this.#connections = new Connections(options)
  }

  // ── what is known ──

  /** As last heard; undefined before it was asked for, or when it is gone. */
  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name)
  }
  /** It is not there, as last heard, which is not that it may not be seen. */
  isMissing(name: string): boolean {
    return this.#topics.get(name) === undefined && this.#topics.refusalOf(name) === notThere
  }
  /** The name of a topic by its id, as last heard. */
  topicName(id: string): string | undefined {
    return this.#topics.nameOf(id)
  }
  /** Undefined while there is none, none is known, or what is known is outdated: metadata() asks. */
  leaderOf(topic: string, partition: number): number | undefined {
    this.#freshen(topic)
    const leader = this.#topics.get(topic)?.partitions[partition]?.leader
    return leader === undefined || leader < 0 || this.#topics.heardAt(topic) === undefined ? undefined : leader
  }

  /**
   * Waits until the topic is known. `anew`: as of now, for what is about all of its partitions; it may have grown.
   * UNKNOWN_TOPIC_OR_PARTITION when it is not there.
   */
  async metadata(
    name: string,
    { anew = false, ...options }: Partial<RequestOptions> & { readonly anew?: boolean } = {},
  ): Promise<TopicMetadata> {
    if (!anew) this.#freshen(name)
    if (!anew && this.#topics.heardAt(name) !== undefined) return this.#topics.get(name)!
    const about = { what: `Looking for topic ${name}`, topic: name, ...options.about }
    const started = elapsedMs()
    return this.retrying(
      async () => {
        await this.refresh([name])
        const found = this.#topics.get(name)
        if (found === undefined)
          throw errorOf(this.#topics.refusalOf(name), { ...about, topic: name, partition: undefined })
        return found
      },
      { ...options, about },
      error => kafkaNameOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION' || elapsedMs() - started < unknownTopicMs,
    )
  }

  /** What was heard long ago is asked for anew, and nobody waits for it: the topic may have grown. */
  #freshen(name: string): void {
    const heardAt = this.#topics.heardAt(name)
    if (heardAt === undefined || elapsedMs() - heardAt < metadataAgeMs || this.#freshening) return
    this.#freshening = true
    const over = (): void => {
      this.#freshening = false
    }
    this.refresh([name]).then(over, over)
  }
  #freshening = false

  /** Asks the cluster about topics, and who is in it; several calls become one question. */
  refresh(names: Iterable<string>): Promise<void> {
    for (const name of names) this.#asked.add(name)
    this.#next ??= this.#current
      .catch(() => {})
      .then(() => {
        const asked = this.#asked
        this.#asked = new Set()
        this.#next = undefined
        this.#current = this.#askMetadata([...asked])
        return this.#current
      })
    return this.#next
  }

  async #askMetadata(names: string[]): Promise<void> {
    const answer = await this.#anyone(kafka => kafka.metadataV12.api, [names, false, false], {
      about: { what: 'Asking for the metadata of the cluster' },
      partial: true,
    })
    this.#clusterKnown = true
    const nodes = new Set<number>()
    for (const { nodeId, host, port } of answer.brokers) {
      nodes.add(nodeId)
      this.#nodes.set(nodeId, { host, port })
    }
    for (const nodeId of this.#nodes.keys()) if (!nodes.has(nodeId)) this.#nodes.delete(nodeId)
    for (const topic of answer.topics) this.#topics.hear(topic)
  }

  /** The broker that coordinates a group. */
  async coordinator(group: string): Promise<number> {
    const known = this.#coordinators.get(group)
    if (known !== undefined) return known
    const about = { what: `Looking for the coordinator of group ${group}`, group }
    const answer = await this.#anyone(kafka => kafka.findCoordinatorV6.api, [0, [group]], { about, partial: true })
    const { errorCode, errorMessage, nodeId, host, port } = answer.coordinators[0]!
    if (errorCode !== 0) throw errorOf(errorCode, about, errorMessage)
    this.#nodes.set(nodeId, { host, port })
    this.#coordinators.set(group, nodeId)
    return nodeId
  }

  // ── requests ──

  /** Tries again what fails for the moment, with back-off, until the time is over. */
  request<Args extends unknown[], Answer>(
    to: Target,
    api: (kafka: Kafka) => Api<Args, Answer>,
    args: Args,
    options: RequestOptions,
  ): Promise<Answer> {
    return this.retrying(left => this.send(to, api, args, { ...options, timeoutMs: left }), options)
  }

  /** Tries once. What it fails with makes whoever is behind `to` be looked for anew. */
  async send<Args extends unknown[], Answer>(
    to: Target,
    api: (kafka: Kafka) => Api<Args, Answer>,
    args: Args,
    options: RequestOptions,
  ): Promise<Answer> {
    options.signal?.throwIfAborted()
    if (to === 'any') return this.#anyone(api, args, options)
    try {
      const node = await this.#nodeOf(to)
      const address = await this.#addressOf(node, options.about)
      return await this.#ask(address, api, args, options)
    } catch (error) {
      this.heard(to, error)
      throw error
    }
  }
  async #ask<Args extends unknown[], Answer>(
    address: Address,
    api: (kafka: Kafka) => Api<Args, Answer>,
    args: Args,
    options: RequestOptions,
  ): Promise<Answer> {
    let silent = false
    try {
      return await this.#connections.send(address, this.#sent(api, args, options))
    } catch (error) {
      silent = isUnanswered(error)
      throw error
    } finally {
      if (silent) this.#silent.add(nameOf(address))
      else this.#silent.delete(nameOf(address))
    }
  }
  #sent<Args extends unknown[], Answer>(
    api: (kafka: Kafka) => Api<Args, Answer>,
    args: Args,
    { about, timeoutMs, lane = 'main', partial }: RequestOptions,
  ): Parameters<typeof Connections.prototype.send<Args, Answer>>[1] {
    const least = Math.min(this.requestTimeoutMs, timeoutMs ?? this.requestTimeoutMs)
    return { api, args, about, timeoutMs: least, lane, partial }
  }

  /** An error of that target: what it makes outdated is forgotten. */
  heard(to: Target, error: unknown): void {
    const name = kafkaNameOf(error)
    if (name === undefined) return
    const gone = isUnanswered(error)
    if (typeof to !== 'object') return
    if ('group' in to) {
      if (gone || name === 'NOT_COORDINATOR' || name === 'COORDINATOR_NOT_AVAILABLE')
        this.#coordinators.delete(to.group)
    } else if (gone || staleMetadata.has(name)) {
      this.outdated(to.topic)
    }
  }
  /** What is known of a topic is old: the next who needs it asks. */
  outdated(name: string): void {
    this.#topics.outdate(name)
  }

  async #nodeOf(to: Exclude<Target, 'any'>): Promise<number> {
    if (typeof to === 'number') return to
    if ('group' in to) return this.coordinator(to.group)
    const { topic, partition } = to
    const about = { what: `Looking for the leader of ${topic}-${partition}`, topic, partition }
    const { partitions } = await this.metadata(topic, { about })
    const found = partitions[partition]
    if (found === undefined) throw errorOf(3, about)
    if (found.leader >= 0) return found.leader
    this.outdated(topic)
    throw errorOf(5, about)
  }
  async #addressOf(node: number, about: About): Promise<Address> {
    if (!this.#nodes.has(node)) await this.refresh([])
    const address = this.#nodes.get(node)
    if (address !== undefined) return address
    const details = { what: about.what, address: `node ${node}, which is not in the cluster now` }
    throw new ClusterError('NETWORK_EXCEPTION', 'NETWORK_EXCEPTION', details, { retriable: true })
  }

  /** Any of the brokers, one after the other until one answers. Kafka: leastLoadedNode. Before any is known, those of the bootstrap list. */
  async #anyone<Args extends unknown[], Answer>(
    api: (kafka: Kafka) => Api<Args, Answer>,
    args: Args,
    options: RequestOptions,
  ): Promise<Answer> {
    const known = [...this.#nodes.values()]
    const first = this.#rounds++
    const turned = known.map((_, i) => known[(first + i) % known.length]!)
    const isSilent = (address: Address): boolean => this.#silent.has(nameOf(address))
    const inOrder = [...turned.filter(address => !isSilent(address)), ...turned.filter(isSilent), ...this.#bootstrap]
    let failure: unknown
    for (const address of inOrder) {
      try {
        return await this.#ask(address, api, args, options)
      } catch (error) {
        failure = error
        if (!isUnanswered(error)) throw error
      }
    }
    throw failure
  }

  /** Calls again, after a back-off, what fails for the moment, as long as the time and `worthwhile` allow. */
  async retrying<T>(
    attempt: (leftMs: number) => Promise<T>,
    { timeoutMs = this.deliveryTimeoutMs, signal }: Partial<RequestOptions>,
    worthwhile: (error: unknown) => boolean = () => true,
  ): Promise<T> {
    const started = elapsedMs()
    for (let tries = 0; ; tries++) {
      // Where nobody has answered yet, nobody may be there: that is told soon.
      const limit = this.#clusterKnown ? timeoutMs : Math.min(timeoutMs, this.requestTimeoutMs)
      const left = started + limit - elapsedMs()
      try {
        return await attempt(Math.max(1, left))
      } catch (error) {
        const wait = backoff(tries)
        const retriable = error instanceof MillraceError && error.retriable
        if (!retriable || !worthwhile(error) || elapsedMs() + wait - started >= limit) throw error
        await this.pause(wait, signal)
      }
    }
  }

  /** Waits; rejects with CLOSED when the cluster is closed, or with the signal's reason. */
  pause(ms: number, signal?: AbortSignal): Promise<void> {
    const closing = this.#closing.signal
    return pause(ms, signal === undefined ? [closing] : [closing, signal])
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }
  /** Who had a lane of its own needs it no more. */
  endLane(lane: Lane): void {
    this.#connections.endLane(lane)
  }
  async close(): Promise<void> {
    this.#closing.abort(new MillraceError('CLOSED', { what: 'This broker' }))
    await this.#connections.close()
  }
}

const nameOf = ({ host, port }: Address): string => `${host}:${port}`

function isUnanswered(error: unknown): boolean {
  const name = kafkaNameOf(error)
  return name === 'NETWORK_EXCEPTION' || name === 'REQUEST_TIMED_OUT'
}

/** Kafka: InvalidMetadataException, and what says that a partition is elsewhere. */
const staleMetadata: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'REPLICA_NOT_AVAILABLE',
  'LISTENER_NOT_FOUND',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
])
