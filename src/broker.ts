import { Closing } from './async-dispose.js'
import { type Clock, checkClock, systemClock } from './clock.js'
import { timeoutOf } from './consumer.js'
import { type GroupHost, InMemoryConsumerGroup } from './consumer-group.js'
import { checkOneOf, checkOptions, checkText, checkWhole, refuse } from './core/check.js'
import { MillraceError } from './core/errors.js'
import type { ConsumerRecord, Key } from './core/record.js'
import { checkSameOptions, checkTopicNames, resolveGroupOptions } from './group-options.js'
import { checkInterceptors, compose, type Interceptor } from './interceptor.js'
import type { MemoryConsumerGroup } from './memory-consumer-group.js'
import type {
  BrokerOptions,
  CloseOptions,
  GroupOptions,
  Broker as PortableBroker,
  RecordOf,
  TopicName,
  TopicOptions,
} from './portable.js'
import { soon } from './soon.js'
import { InMemoryTopic, type MemoryTopic, mostPartitions, topicOptions } from './topic.js'

/** A broker in memory: topics and groups to look into, and `settled()`. */
export interface MemoryBroker<Topics extends object = Record<string, unknown>, K extends Key = string>
  extends PortableBroker<Topics, K> {
  topic<N extends TopicName<Topics>>(name: N): MemoryTopic<Topics[N], K>
  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): MemoryConsumerGroup<RecordOf<Topics, K, N>>
  createTopic<N extends TopicName<Topics>>(name: N, options?: TopicOptions<Topics[N]>): MemoryTopic<Topics[N], K>
  /** Its records and what groups have committed for it are gone; groups stay subscribed to the name. UNKNOWN_TOPIC_OR_PARTITION. */
  deleteTopic(name: TopicName<Topics>): void
  readonly topics: ReadonlyMap<string, MemoryTopic<any, K>>
  readonly groups: ReadonlyMap<string, MemoryConsumerGroup<any>>
  /**
   * Nothing more happens by itself: every group with members has finished all there is (or a retry waits for a manual
   * clock), nothing is on the move, no handler or callback runs. Don't await it in a handler or a callback.
   */
  settled(): Promise<void>
}

const brokerOptions = ['topics', 'clock', 'autoCreateTopics', 'defaultPartitions', 'interceptors']

export class InMemoryBroker<Topics extends object, K extends Key = string>
  extends Closing
  implements MemoryBroker<Topics, K>, GroupHost
{
  readonly clock: Clock
  readonly interceptor: Interceptor
  readonly #autoCreateTopics: boolean
  readonly #defaultPartitions: number
  readonly #topics = new Map<string, InMemoryTopic<any, K>>()
  readonly #groups = new Map<string, InMemoryConsumerGroup<any>>()
  #settled: (() => void)[] = []
  #checkDue = false
  #closed: Promise<void> | undefined

  constructor(options: BrokerOptions<Topics> = {}) {
    super()
    checkOptions('broker options', options, brokerOptions)
    const { topics, clock = systemClock, autoCreateTopics = false, defaultPartitions = 1, interceptors = [] } = options
    checkClock(clock)
    checkOneOf('autoCreateTopics', autoCreateTopics, [true, false])
    checkWhole('defaultPartitions', defaultPartitions, 1, mostPartitions)
    checkOptions('topics', topics)
    checkInterceptors(interceptors)
    this.clock = clock
    this.interceptor = compose(interceptors)
    this.#autoCreateTopics = autoCreateTopics
    this.#defaultPartitions = defaultPartitions
    for (const [name, its] of Object.entries(topics ?? {}))
      this.createTopic(name as TopicName<Topics>, its as TopicOptions<any>)
  }

  get topics(): ReadonlyMap<string, MemoryTopic<any, K>> {
    return this.#topics
  }
  get groups(): ReadonlyMap<string, MemoryConsumerGroup<any>> {
    return this.#groups
  }

  createTopic<N extends TopicName<Topics>>(
    name: N,
    options: TopicOptions<Topics[N]> = {},
  ): InMemoryTopic<Topics[N], K> {
    this.#checkOpen()
    checkOptions(`options of topic ${String(name)}`, options, topicOptions)
    if (this.#topics.has(name)) throw new MillraceError('TOPIC_ALREADY_EXISTS', { topic: name })
    const partitions = options.partitions === undefined ? this.#defaultPartitions : options.partitions
    const all = { ...options, partitions, clock: this.clock }
    const topic = new InMemoryTopic<Topics[N], K>(name, all, this.interceptor.publish)
    this.#topics.set(name, topic)
    for (const group of this.#groups.values()) if (group.topics.includes(name)) group.topicCreated(topic)
    return topic
  }

  topic<N extends TopicName<Topics>>(name: N): InMemoryTopic<Topics[N], K> {
    const topic = this.#topics.get(name)
    if (topic !== undefined) return topic
    if (!this.#autoCreateTopics) throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: name })
    return this.createTopic(name)
  }

  deleteTopic(name: TopicName<Topics>): void {
    this.#checkOpen()
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: name })
    this.#topics.delete(name)
    topic.delete()
  }

  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): MemoryConsumerGroup<RecordOf<Topics, K, N>> {
    checkText('group id', id)
    const resolved = resolveGroupOptions(options)
    const topics = typeof options?.topics === 'string' ? [options.topics] : options?.topics
    checkTopicNames('topics', topics)
    const names: readonly string[] = [...new Set(topics as readonly string[])]
    const known = this.#groups.get(id)
    if (known !== undefined) {
      if (known.topics.length !== names.length || !names.every(name => known.topics.includes(name)))
        refuse(`topics of group ${id}`, names.join(), `${known.topics.join()}, as when the group was made`)
      checkSameOptions(id, known.resolved, resolved)
      return known
    }
    this.#checkOpen()
    for (const name of names) this.topic(name as TopicName<Topics>)
    const group = this.makeGroup<RecordOf<Topics, K, N> & ConsumerRecord<unknown, Key>>(id, names, resolved)
    this.#groups.set(id, group)
    return group as unknown as MemoryConsumerGroup<RecordOf<Topics, K, N>>
  }

  /** Where another kind of group may be made. */
  protected makeGroup<R extends ConsumerRecord<unknown, Key>>(
    ...[id, topics, resolved]: [string, readonly string[], ReturnType<typeof resolveGroupOptions>]
  ): InMemoryConsumerGroup<R> {
    return new InMemoryConsumerGroup<R>(id, topics, resolved, this)
  }

  // ── what groups need of their host ──

  find(topic: string): InMemoryTopic<any, any> | undefined {
    return this.#topics.get(topic)
  }
  forget(id: string): void {
    this.#groups.delete(id)
  }
  get watched(): boolean {
    return this.#settled.length > 0
  }
  changed(): void {
    if (this.#checkDue) return
    this.#checkDue = true
    soon(() => {
      this.#checkDue = false
      for (const group of this.#groups.values()) if (!group.settled) return
      for (const resolve of this.#settled.splice(0)) resolve()
    })
  }

  settled(): Promise<void> {
    return new Promise(resolve => {
      this.#settled.push(resolve)
      this.changed()
    })
  }

  // ── the end ──

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new MillraceError('CLOSED', { what: 'This broker' })
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

  async #close(timeoutMs: number): Promise<void> {
    const leaving = [...this.#groups.values()].flatMap(group => group.shut(timeoutMs))
    const outcomes = await Promise.allSettled(leaving)
    for (const topic of this.#topics.values()) topic.close()
    const errors = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} consumers failed while the broker closed`)
  }
}

export type Broker<Topics extends object = Record<string, unknown>, K extends Key = string> = PortableBroker<Topics, K>
/** The registry that gives an app its topics and groups, in memory. */
export const Broker: {
  new <Topics extends object = Record<string, unknown>, K extends Key = string>(
    options?: BrokerOptions<Topics>,
  ): MemoryBroker<Topics, K>
} = InMemoryBroker
