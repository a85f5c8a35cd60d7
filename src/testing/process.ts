import {
  type Broker,
  type Clock,
  type CloseOptions,
  type Consumer,
  type ConsumerGroup,
  type ConsumerRecord,
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
import type { Effect } from './faults.js'
import { unlessKilled, whileAlive } from './killed.js'
import type { Observer } from './observer.js'
import { nextTurn } from './turns.js'

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

/** In this order; while it closes, handlers that finish may still publish. */
const states = ['running', 'closing', 'closed', 'crashed'] as const
type State = (typeof states)[number]

export class BrokerProcess<Topics extends object, K extends Key> implements TestProcess<Topics, K> {
  readonly name: string
  declare readonly [Symbol.asyncDispose]: () => Promise<void>
  readonly #broker: MemoryBroker<Topics, K>
  readonly #observer: Observer
  readonly #consumers = new Set<MemoryConsumer<any>>()
  readonly #tails = new Set<ProcessTail<any>>()
  #state: State = 'running'
  #closed: Promise<void> | undefined

  constructor(name: string, broker: MemoryBroker<Topics, K>, observer: Observer) {
    this.name = name
    this.#broker = broker
    this.#observer = observer
    Object.defineProperty(this, Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'), { value: () => this.close() })
  }

  get clock(): Clock {
    return this.#observer.effects.turns?.clockOf(this.name) ?? this.#broker.clock
  }
  get crashed(): boolean {
    return this.#state === 'crashed'
  }
  /** Nothing of it goes on any more. */
  get over(): boolean {
    return this.#state === 'crashed' || this.#state === 'closed'
  }

  topic<N extends TopicName<Topics>>(name: N): Topic<Topics[N], K> {
    const latest = this.#broker.topics.has(name) ? 'closed' : 'running'
    return new ProcessTopic<Topics[N], K>(
      this,
      this.during(latest, () => this.#broker.topic(name)),
    )
  }
  createTopic<N extends TopicName<Topics>>(name: N, options?: TopicOptions<Topics[N]>): Topic<Topics[N], K> {
    return new ProcessTopic<Topics[N], K>(
      this,
      this.during('running', () => this.#broker.createTopic(name, options)),
    )
  }
  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): ConsumerGroup<RecordOf<Topics, K, N>> {
    const latest = this.#broker.groups.has(id) ? 'closed' : 'running'
    return new ProcessGroup<RecordOf<Topics, K, N>>(
      this,
      this.during(latest, () => this.#broker.group(id, options)),
    ) as never
  }

  /** What its code does, which works until it is in a later state than this; CLOSED from there on. */
  during<T>(latest: State, call: () => T): T {
    if (states.indexOf(this.#state) > states.indexOf(latest))
      throw new MillraceError('CLOSED', { what: `Process ${this.name}` })
    return this.#observer.members.as(this.name, call)
  }
  /** The same for a publish, which a simulation may carry out later and answer later still. */
  sent<T>(topic: string, call: () => T): MaybePromise<T> {
    const { turns } = this.#observer.effects
    const point = { operation: 'publish', topic, process: this.name } as const
    const turn = turns?.before(point)
    if (turn === undefined) return this.during('closing', call)
    this.during('closing', () => {})
    return this.#send(turn, call, () => turns!.after(point))
  }
  async #send<T>(
    turn: Promise<Effect | undefined>,
    call: () => T,
    answer: () => Promise<void> | undefined,
  ): Promise<T> {
    const { error, lost } = (await turn) ?? {}
    try {
      if (error !== undefined) throw error
      // What it has accepted, it carries out, also when it closes meanwhile.
      const result = this.#observer.members.as(this.name, call)
      if (lost !== undefined) throw lost
      return result
    } finally {
      await answer()
    }
  }
  joined(group: string, consumer: MemoryConsumer<any>): void {
    this.#observer.members.belongs(group, consumer.memberId, this.name)
    this.#consumers.add(consumer)
    if (this.#observer.effects.turns !== undefined) whileAlive(consumer, () => this.crashed)
  }
  tail<T>(inner: AsyncIterator<T, undefined>): AsyncIterator<T, undefined> {
    const tail = new ProcessTail(inner, () => this.#state, this.#tails)
    this.#tails.add(tail)
    if (this.#observer.effects.turns === undefined) return tail
    const alive = <R>(step: Promise<R>): Promise<R> => unlessKilled(step, () => this.crashed)
    return { next: () => alive(tail.next()), return: () => alive(tail.return()) }
  }

  crash(): void {
    if (this.over) throw new MillraceError('CLOSED', { what: `Process ${this.name}` })
    this.#state = 'crashed'
    // All at one instant: nobody of them takes over from another.
    this.#observer.members.kill(this.name, () => {
      for (const consumer of this.#consumers) consumer.crash()
    })
    for (const tail of this.#tails) tail.end()
  }

  /** Its consumers close; the broker that others share goes on. */
  close(options?: CloseOptions): Promise<void> {
    this.#closed ??= this.#close(options)
    return this.#closed
  }
  async #close(options?: CloseOptions): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'closing'
    const outcomes = await Promise.allSettled([...this.#consumers].map(consumer => consumer.close(options)))
    if (!this.crashed) this.#state = 'closed'
    for (const tail of this.#tails) tail.end()
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
    return this.#process.during('closed', () => this.#topic.partitionCount()) as number
  }
  check(record: ProducerRecord<V, K>): void {
    this.#process.during('closing', () => this.#topic.check(record))
  }
  publish(record: ProducerRecord<V, K>): MaybePromise<RecordMetadata> {
    const own = ownCopy(record)
    return this.#process.sent(this.name, () => this.#topic.publish(own) as RecordMetadata)
  }
  publishAll(records: Iterable<ProducerRecord<V, K>>): MaybePromise<void> {
    const own = ownCopy(records)
    return this.#process.sent(this.name, () => this.#topic.publishAll(own) as undefined)
  }
  read(options?: Parameters<Topic<V, K>['read']>[0]): ReturnType<Topic<V, K>['read']> {
    const records = this.#process.during('closed', () => this.#topic.read(options))
    return {
      [Symbol.asyncIterator]: () =>
        this.#process.during('closed', () =>
          this.#process.tail(records[Symbol.asyncIterator]() as AsyncIterator<ConsumerRecord<V, K>, undefined>),
        ),
    }
  }
}

/** What is published later is what it was at the call. */
function ownCopy<T>(given: T): T {
  if (Array.isArray(given)) return given.map(ownCopy) as T
  return given !== null && typeof given === 'object' && !(Symbol.iterator in given) ? { ...given } : given
}

const done: IteratorReturnResult<undefined> = { value: undefined, done: true }

/** A tail that ends with its process: at once when that crashes, with what is there when it closes. */
class ProcessTail<T> implements AsyncIterator<T, undefined> {
  readonly #inner: AsyncIterator<T, undefined>
  readonly #stateOf: () => State
  readonly #tails: Set<ProcessTail<any>>
  readonly #waiting = new Set<(step: IteratorResult<T, undefined>) => void>()

  constructor(inner: AsyncIterator<T, undefined>, stateOf: () => State, tails: Set<ProcessTail<any>>) {
    this.#inner = inner
    this.#stateOf = stateOf
    this.#tails = tails
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const state = this.#stateOf()
    if (state === 'crashed') return Promise.resolve(done)
    const step = this.#step()
    // What is there comes within the turn.
    if (state === 'closed') void nextTurn().then(() => this.end())
    return step
  }
  #step(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve)
      this.#inner
        .next()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(resolve))
    })
  }
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#tails.delete(this)
    await this.#inner.return?.()
    return done
  }

  end(): void {
    if (this.#waiting.size === 0) return
    for (const resolve of this.#waiting) resolve(done)
    void this.return()
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
    const consumer = this.#process.during('running', () => this.#group.join(options))
    this.#process.joined(this.id, consumer)
    return consumer
  }
  committed(topic: R['topic'], partition: number): number | undefined {
    return this.#process.during('closed', () => this.#group.committed(topic, partition))
  }
  lag(): number {
    return this.#process.during('closed', () => this.#group.lag())
  }
  resetOffsets(to: StartFrom, where?: readonly TopicPartition[]): void {
    this.#process.during('running', () => this.#group.resetOffsets(to, where))
  }
  async caughtUp(): Promise<void> {
    const caughtUp = this.#process.during('closed', () => this.#group.caughtUp())
    await unlessKilled(caughtUp, () => this.#process.crashed)
  }
}
