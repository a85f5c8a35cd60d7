import { Closing } from '../async-dispose.js'
import { systemClock } from '../clock.js'
import { timeoutOf } from '../consumer.js'
import { refuse } from '../core/check.js'
import { checkSameOptions, checkTopicNames, resolveGroupOptions } from '../group-options.js'
import {
  type Broker,
  type Clock,
  type CloseOptions,
  type ConsumerGroup,
  type ConsumerRecord,
  type GroupOptions,
  type Key,
  MillraceError,
  type RecordOf,
  type Topic,
  type TopicName,
  type TopicOptions,
} from '../index.js'
import { Cluster } from './cluster.js'
import { checkKafkaTopicOptions, createTopic, ensureTopics } from './create-topic.js'
import { elapsedMs } from './elapsed.js'
import { Fetcher } from './fetcher.js'
import { type GroupHost, KafkaGroup } from './group.js'
import {
  checkId,
  checkTopicName,
  type KafkaBrokerOptions,
  type ResolvedKafkaOptions,
  resolveKafkaOptions,
} from './options.js'
import { Producer } from './producer.js'
import { Serialization } from './serialization.js'
import type { Reading, Tail } from './tail.js'
import { KafkaTopic, type TopicHost } from './topic.js'

/** A broker of a real cluster: the portable interface, and what only a cluster needs. */
export interface KafkaBroker<Topics extends object = Record<string, unknown>, K extends Key = string>
  extends Broker<Topics, K> {
  /**
   * Kafka: CreateTopics. TOPIC_ALREADY_EXISTS; options that only memory has are INVALID_CONFIG.
   *
   * @default partitions and replicas as the cluster's own defaults say
   */
  createTopic<N extends TopicName<Topics>>(
    name: N,
    options?: TopicOptions<Topics[N]> & { replicas?: number | undefined },
  ): Promise<Topic<Topics[N], K>>
  /**
   * Connected, and its topics are there (made, where `partitions` says so); rejects with what is wrong, within
   * requestTimeoutMs where nobody answers: UNKNOWN_TOPIC_OR_PARTITION, NETWORK_EXCEPTION, SASL_AUTHENTICATION_FAILED,
   * UNSUPPORTED_VERSION ...
   */
  ready(): Promise<void>
  /** All published so far is acknowledged; rejects with the first that is not. */
  flush(): Promise<void>
}

/**
 * Connects when first used. Writing is idempotent (KIP-98) with acks from all in-sync replicas: no retry writes twice or
 * out of order.
 *
 * @throws INVALID_CONFIG with the option and its value
 */
export function kafkaBroker<Topics extends object = Record<string, unknown>, K extends Key = string>(
  options: KafkaBrokerOptions<Topics>,
): KafkaBroker<Topics, K> {
  return new ClusterBroker<Topics, K>(resolveKafkaOptions(options))
}

/** How long consumers whose time to close is over may still take to tell their groups. */
const longestFarewellMs = 500

class ClusterBroker<Topics extends object, K extends Key>
  extends Closing
  implements KafkaBroker<Topics, K>, TopicHost, GroupHost
{
  readonly clock: Clock = systemClock
  readonly cluster: Cluster
  readonly producer: Producer
  readonly serialization: Serialization
  readonly options: ResolvedKafkaOptions
  readonly tails: Set<Tail> = new Set()
  readonly #topics = new Map<string, KafkaTopic<any, K>>()
  readonly #groups = new Map<string, KafkaGroup<any>>()
  #closed: Promise<void> | undefined
  #writable = true

  constructor(options: ResolvedKafkaOptions) {
    super()
    this.options = options
    this.cluster = new Cluster(options)
    this.producer = new Producer(this.cluster, options)
    const codecs = [...options.topics].flatMap(([name, { codec }]) => (codec ? [[name, codec] as const] : []))
    this.serialization = new Serialization(options.keys, codecs)
  }

  async ready(): Promise<void> {
    this.#checkOpen()
    await ensureTopics(this.cluster, this.options.topics)
  }

  // ── topics ──

  topic<N extends TopicName<Topics>>(name: N): KafkaTopic<Topics[N], K> {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    checkTopicName(name)
    const topic = new KafkaTopic<Topics[N], K>(name, this)
    this.#topics.set(name, topic)
    return topic
  }

  async createTopic<N extends TopicName<Topics>>(
    name: N,
    options: TopicOptions<Topics[N]> & { replicas?: number | undefined } = {},
  ): Promise<Topic<Topics[N], K>> {
    this.#checkOpen()
    checkKafkaTopicOptions(name, options)
    await createTopic(this.cluster, name, options)
    const topic = this.topic(name)
    topic.use(options)
    return topic
  }

  reading(): Reading {
    const { options } = this
    const own = this.#writable ? undefined : new Cluster(options)
    const cluster = own ?? this.cluster
    const fetcher = new Fetcher<ConsumerRecord<any, any>>(cluster, this.serialization, options)
    return {
      cluster,
      fetcher,
      isolation: options.isolation,
      end() {
        fetcher.close()
        void own?.close()
      },
    }
  }

  checkWritable(): void {
    if (!this.#writable) throw new MillraceError('CLOSED', { what: 'This broker' })
  }

  async flush(): Promise<void> {
    const lined = await Promise.allSettled([...this.#topics.values()].map(topic => topic.lineUp()))
    const outcomes = [...lined, ...(await Promise.allSettled([this.producer.flush()]))]
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  // ── groups ──

  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): ConsumerGroup<RecordOf<Topics, K, N>> {
    checkId('group id', id)
    if (typeof options !== 'object' || options === null) refuse('group options', options, 'an object of options')
    const topics = typeof options.topics === 'string' ? [options.topics] : options.topics
    checkTopicNames('topics', topics)
    const names: readonly string[] = [...new Set(topics as readonly string[])]
    for (const name of names) checkTopicName(name)
    const resolved = resolveGroupOptions(options)
    const known = this.#groups.get(id)
    if (known !== undefined) {
      if (known.topics.length !== names.length || !names.every(name => known.topics.includes(name)))
        refuse(`topics of group ${id}`, names.join(), `${known.topics.join()}, as when the group was made`)
      checkSameOptions(id, known.resolved, resolved)
      return known
    }
    this.#checkOpen()
    const group = new KafkaGroup<any>(id, names, resolved, this)
    this.#groups.set(id, group)
    return group
  }

  // ── the end ──

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new MillraceError('CLOSED', { what: 'This broker' })
  }

  /** As a killed process looks to the others: nothing is committed or given up, what was not acknowledged is lost. */
  crash(): Promise<void> {
    this.#closed ??= Promise.resolve()
    this.#writable = false
    for (const group of this.#groups.values()) group.crash()
    for (const tail of [...this.tails]) tail.cut()
    this.producer.close(new MillraceError('CLOSED', { what: 'This broker' }))
    return this.cluster.close()
  }

  close(options: CloseOptions = {}): Promise<void> {
    try {
      const timeoutMs = timeoutOf(options)
      this.#closed ??= this.#close(timeoutMs)
      return this.#closed
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Handlers may publish until they have finished; then what was published is acknowledged. */
  async #close(timeoutMs: number): Promise<void> {
    const deadline = elapsedMs() + timeoutMs
    const outcomes = await Promise.allSettled([...this.#groups.values()].flatMap(group => group.shut(timeoutMs)))
    const errors = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    this.#writable = false
    for (const tail of [...this.tails]) tail.cut()
    // What fails has told its publisher.
    const flushed = this.flush().then(
      () => true,
      () => true,
    )
    const tooLate = new MillraceError('REQUEST_TIMED_OUT', { what: 'Closing this broker', timeoutMs })
    if (!(await within(flushed, deadline - elapsedMs()))) errors.push(tooLate)
    this.producer.close(tooLate)
    // Else what they have committed last is lost, and their partitions rest until their sessions are over.
    const farewells = Promise.all([...this.#groups.values()].map(group => group.deserted())).then(() => true)
    await within(farewells, Math.max(longestFarewellMs, deadline - elapsedMs()))
    await this.cluster.close()
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} failures while the broker closed`)
  }
}

/** False when it takes longer. */
function within(promise: Promise<boolean>, ms: number): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(false), Math.max(0, ms))
    void promise.then(value => {
      clearTimeout(timer)
      resolve(value)
    })
  })
}
