import {
  type Broker,
  type Clock,
  type CloseOptions,
  type Consumer,
  type ConsumerGroup,
  type GroupOptions,
  type JoinOptions,
  type Key,
  type MaybePromise,
  type MemoryBroker,
  type MemoryConsumer,
  type MemoryConsumerGroup,
  MillraceError,
  type ProducerRecord,
  type RecordMetadata,
  type RecordOf,
  type StartFrom,
  type Topic,
  type TopicName,
  type TopicOptions,
  type TopicPartition,
} from '../index.js'
import type { Observer } from './observer.js'

/** A portable broker of one process of several: what is made through it dies with it. */
export interface TestProcess<Topics extends object = Record<string, unknown>, K extends Key = string>
  extends Broker<Topics, K> {
  readonly name: string
  readonly crashed: boolean
  /**
   * As a killed process looks to the others: nothing committed, no callback, its partitions free at once; whatever it
   * still tries is CLOSED, a commit UNKNOWN_MEMBER_ID.
   */
  crash(): void
}

export class BrokerProcess<Topics extends object, K extends Key> implements TestProcess<Topics, K> {
  readonly name: string
  declare readonly [Symbol.asyncDispose]: () => Promise<void>
  readonly #broker: MemoryBroker<Topics, K>
  readonly #observer: Observer
  readonly #consumers = new Set<MemoryConsumer<any>>()
  #state: 'running' | 'closed' | 'crashed' = 'running'

  constructor(name: string, broker: MemoryBroker<Topics, K>, observer: Observer) {
    this.name = name
    this.#broker = broker
    this.#observer = observer
    Object.defineProperty(this, Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'), { value: () => this.close() })
  }

  get clock(): Clock {
    return this.#broker.clock
  }
  get crashed(): boolean {
    return this.#state === 'crashed'
  }

  topic<N extends TopicName<Topics>>(name: N): Topic<Topics[N], K> {
    return new ProcessTopic<Topics[N], K>(
      this,
      this.act(() => this.#broker.topic(name)),
    )
  }
  createTopic<N extends TopicName<Topics>>(name: N, options?: TopicOptions<Topics[N]>): Topic<Topics[N], K> {
    return new ProcessTopic<Topics[N], K>(
      this,
      this.act(() => this.#broker.createTopic(name, options)),
    )
  }
  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): ConsumerGroup<RecordOf<Topics, K, N>> {
    return new ProcessGroup<RecordOf<Topics, K, N>>(
      this,
      this.act(() => this.#broker.group(id, options)),
    ) as never
  }

  /** What the code of this process does; CLOSED once it is dead. */
  act<T>(call: () => T): T {
    if (this.#state !== 'running') throw new MillraceError('CLOSED', { what: `Process ${this.name}` })
    return this.#observer.as(this.name, call)
  }
  /** The same for what a simulation may answer later. */
  answered<T>(topic: string, call: () => T): MaybePromise<T> {
    const result = this.act(call)
    const answer = this.#observer.answer?.({ operation: 'publish', topic, process: this.name })
    return answer === undefined ? result : answer.then(() => result)
  }
  joined(consumer: MemoryConsumer<any>): void {
    this.#consumers.add(consumer)
  }

  crash(): void {
    if (this.#state === 'crashed') throw new MillraceError('CLOSED', { what: `Process ${this.name}` })
    this.#state = 'crashed'
    // All at one instant: nobody of them takes over from another.
    for (const consumer of this.#consumers) consumer.crash()
  }

  /** Its consumers close; the broker that others share goes on. */
  async close(options?: CloseOptions): Promise<void> {
    if (this.#state !== 'running') return
    const closing = [...this.#consumers].map(consumer => consumer.close(options))
    this.#state = 'closed'
    const outcomes = await Promise.allSettled(closing)
    const errors = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1)
      throw new AggregateError(errors, `${errors.length} consumers of ${this.name} failed to close`)
  }
}

class ProcessTopic<V, K extends Key> implements Topic<V, K> {
  readonly #process: BrokerProcess<any, any>
  readonly #topic: Topic<V, K>
  constructor(process: BrokerProcess<any, any>, topic: Topic<V, K>) {
    this.#process = process
    this.#topic = topic
  }
  get name(): string {
    return this.#topic.name
  }
  partitionCount(): number {
    return this.#process.act(() => this.#topic.partitionCount()) as number
  }
  publish(record: ProducerRecord<V, K>): MaybePromise<RecordMetadata> {
    return this.#process.answered(this.name, () => this.#topic.publish(record) as RecordMetadata)
  }
  publishAll(records: Iterable<ProducerRecord<V, K>>): MaybePromise<void> {
    return this.#process.answered(this.name, () => this.#topic.publishAll(records) as undefined)
  }
  read(options?: Parameters<Topic<V, K>['read']>[0]): ReturnType<Topic<V, K>['read']> {
    return this.#process.act(() => this.#topic.read(options))
  }
}

class ProcessGroup<R extends RecordOf<any, any>> implements ConsumerGroup<R> {
  readonly #process: BrokerProcess<any, any>
  readonly #group: MemoryConsumerGroup<R>
  constructor(process: BrokerProcess<any, any>, group: MemoryConsumerGroup<any>) {
    this.#process = process
    this.#group = group
  }
  get id(): string {
    return this.#group.id
  }
  join(options?: JoinOptions<R>): Consumer<R> {
    const consumer = this.#process.act(() => this.#group.join(options))
    this.#process.joined(consumer)
    return consumer
  }
  committed(topic: R['topic'], partition: number): number | undefined {
    return this.#process.act(() => this.#group.committed(topic, partition))
  }
  lag(): number {
    return this.#process.act(() => this.#group.lag())
  }
  resetOffsets(to: StartFrom, where?: readonly TopicPartition[]): void {
    this.#process.act(() => this.#group.resetOffsets(to, where))
  }
  async caughtUp(): Promise<void> {
    await this.#process.act(() => this.#group.caughtUp())
  }
}
