import {
  Broker,
  type BrokerOptions,
  type CloseOptions,
  type ConsumerRecord,
  type GroupOptions,
  isMillraceError,
  type Key,
  keyedPartitioner,
  type MemoryBroker,
  type MemoryConsumer,
  type MemoryConsumerGroup,
  type MemoryTopic,
  MillraceError,
  type RecordOf,
  type TopicName,
  type TopicOptions,
  type TopicPartition,
} from '../index.js'
import { FaultBook, type Faults, threw } from './faults.js'
import { EventHistory, errorText, type Happened, type History, table } from './history.js'
import { checkKnown } from './known-options.js'
import { checkTime, ManualClock, waitOn, witness } from './manual-clock.js'
import { Observer } from './observer.js'
import { BrokerProcess, type TestProcess } from './process.js'

export interface TestBrokerOptions<Topics extends object> extends Omit<BrokerOptions<Topics>, 'clock'> {
  /** @default a new one at 0 */
  clock?: ManualClock | undefined
  /** Of all that is random: keyless partitioning, fault rates. @default 1 */
  seed?: number | undefined
}

/** A broker for one test: in memory, on a clock that the test moves. */
export interface TestBroker<Topics extends object = Record<string, unknown>, K extends Key = string>
  extends MemoryBroker<Topics, K> {
  readonly clock: ManualClock
  readonly history: History
  readonly faults: Faults
  /** All records of a topic in the order they were published, over all partitions, also those that retention has dropped. */
  published<N extends TopicName<Topics>>(topic: N): readonly ConsumerRecord<Topics[N], K, N>[]
  /**
   * The first record, published already or yet to come, that `accept` accepts; the clock moves as with advanceUntil.
   * Rejects with REQUEST_TIMED_OUT that lists what came instead.
   *
   * @default timeoutMs 60_000, on the clock
   */
  next<N extends TopicName<Topics>>(
    topic: N,
    accept?: (record: ConsumerRecord<Topics[N], K, N>) => boolean,
    options?: { timeoutMs?: number | undefined },
  ): Promise<ConsumerRecord<Topics[N], K, N>>
  /** The same broker as one process of several sees it: what is made through it dies with it. */
  process(name?: string): TestProcess<Topics, K>
  /**
   * close(), its clock moved as with advanceUntil, then rejects with one readable list if something was left over: a
   * handler still at work, a failure that nobody was told, a fault never met.
   */
  [Symbol.asyncDispose](): Promise<void>
}

/** An in-memory broker on a manual clock that remembers what happened, can be told to fail, and says at its end what was left over. */
export function testBroker<Topics extends object = Record<string, unknown>, K extends Key = string>(
  options: TestBrokerOptions<Topics> = {},
): TestBroker<Topics, K> {
  return new ObservedBroker<Topics, K>(options)
}

const known = ['topics', 'clock', 'seed', 'autoCreateTopics', 'defaultPartitions', 'interceptors']
/** How much of the history a failure shows. */
const shownEvents = 25
const nextTimeoutMs = 60_000

export class ObservedBroker<Topics extends object, K extends Key> implements TestBroker<Topics, K> {
  readonly clock: ManualClock
  readonly history: EventHistory = new EventHistory()
  readonly faults: FaultBook
  readonly observer: Observer
  declare readonly [Symbol.asyncDispose]: () => Promise<void>
  readonly #broker: MemoryBroker<Topics, K>
  readonly #seed: number
  readonly #autoCreateTopics: boolean
  #topicsMade = 0
  readonly #groups = new Map<string, MemoryConsumerGroup<any>>()
  /** The latest of each group and member id. */
  readonly #consumers = new Map<string, MemoryConsumer<any>>()
  /** Groups in which only what is committed is finished. */
  readonly #manual = new Set<string>()
  #processes = 0
  /** Failures of groups that no listener of the test's was told. */
  readonly #untold: string[] = []

  constructor(options: TestBrokerOptions<Topics>) {
    checkKnown('options of testBroker()', options, known)
    const { clock = new ManualClock(), seed = 1, topics, interceptors = [], autoCreateTopics, ...rest } = options
    if (!(clock instanceof ManualClock))
      throw new MillraceError('INVALID_CONFIG', { option: 'clock', value: clock, expected: 'a ManualClock' })
    if (!Number.isSafeInteger(seed))
      throw new MillraceError('INVALID_CONFIG', { option: 'seed', value: seed, expected: 'a whole number' })
    this.clock = clock
    witness(clock, () => this.#whatMatters())
    this.#seed = seed
    this.faults = new FaultBook(clock, (fault, point) => {
      this.record({ type: 'fault', fault: fault.toString(), process: point.process })
    })
    this.observer = new Observer(
      this.faults,
      event => this.record(event),
      (topic, partition, offset) => this.#broker.topics.get(topic)?.partitions[partition]?.read(offset, 1)[0],
      (group, memberId, where) => this.#owns(group, memberId, where),
    )
    this.#broker = new Broker<Topics, K>({
      ...rest,
      clock,
      // What makes itself is made here, where the seed is.
      autoCreateTopics: autoCreateTopics === true ? false : autoCreateTopics,
      interceptors: Array.isArray(interceptors) ? [...interceptors, ...this.observer.interceptors] : interceptors,
    })
    this.#autoCreateTopics = autoCreateTopics === true
    for (const [name, topicOptions] of Object.entries(topics ?? {}))
      this.createTopic(name as TopicName<Topics>, topicOptions as TopicOptions<any>)
    Object.defineProperty(this, Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'), {
      value: () => this.#dispose(),
    })
  }

  record(event: Happened): void {
    // Spread first: V8 clones it in one go then.
    this.history.add({ ...event, at: this.clock.now() })
  }
  #owns(group: string, memberId: string | undefined, where: TopicPartition): boolean {
    const { assignment = [] } = this.#consumers.get(`${group}/${memberId}`) ?? {}
    return assignment.some(({ topic, partition }) => topic === where.topic && partition === where.partition)
  }

  // ── the broker ──

  get topics(): ReadonlyMap<string, MemoryTopic<any, K>> {
    return this.#broker.topics
  }
  get groups(): ReadonlyMap<string, MemoryConsumerGroup<any>> {
    return this.#broker.groups
  }
  topic<N extends TopicName<Topics>>(name: N): MemoryTopic<Topics[N], K> {
    return this.#withTopics(() => this.#broker.topic(name))
  }
  #withTopics<T>(call: () => T): T {
    for (;;) {
      try {
        return call()
      } catch (error) {
        if (!this.#autoCreateTopics || !isMillraceError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
        this.createTopic(error.details.topic as TopicName<Topics>)
      }
    }
  }
  /** Keyless records go where the seed says, another way in each topic. */
  createTopic<N extends TopicName<Topics>>(name: N, options: TopicOptions<Topics[N]> = {}): MemoryTopic<Topics[N], K> {
    const partitioner = options.partitioner ?? keyedPartitioner({ seed: this.#seed + this.#topicsMade })
    const topic = this.#broker.createTopic(name, { ...options, partitioner })
    this.#topicsMade++
    return topic
  }
  deleteTopic(name: TopicName<Topics>): void {
    this.#broker.deleteTopic(name)
  }
  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): MemoryConsumerGroup<RecordOf<Topics, K, N>> {
    const group = this.#withTopics(() => this.#broker.group(id, options))
    if (this.#groups.get(id) !== group)
      this.#observe(
        id,
        group,
        typeof options.topics === 'string' ? [options.topics] : options.topics,
        options.commitMode === 'manualCommit',
      )
    return group
  }
  settled(): Promise<void> {
    return this.#broker.settled()
  }
  close(options?: CloseOptions): Promise<void> {
    return this.#broker.close(options)
  }

  #observe(id: string, group: MemoryConsumerGroup<any>, topics: readonly string[], manual: boolean): void {
    this.#groups.set(id, group)
    this.observer.effects.reads(id, topics)
    if (manual) this.#manual.add(id)
    else this.#manual.delete(id)
    const { join } = group
    group.join = options => {
      this.observer.members.checkJoins()
      const consumer = join.call(group, options)
      const { memberId } = consumer
      this.#consumers.set(`${id}/${memberId}`, consumer)
      const life = this.observer.members.lifeOf(id, memberId)
      const { crash } = consumer
      consumer.crash = () => {
        crash.call(consumer)
        this.observer.died(id, memberId, life)
      }
      return consumer
    }
    group.on('join', ({ memberId }) => this.observer.joined(id, memberId))
    group.on('leave', ({ memberId, reason }) => this.observer.left(id, memberId, reason))
    // Those of members are heard of where they are made, before what follows from them.
    group.on('commit', ({ memberId, offsets }) => {
      if (memberId === undefined) this.observer.committed(id, memberId, offsets)
    })
    // Whoever of the test's listens for errors is told, and nothing is left over.
    let told = 0
    group.on('error', ({ error }) => {
      if (told === 0) this.#untold.push(`group ${id}: ${errorText(error)}`)
    })
    const { on } = group
    group.on = (event, listener) => {
      if (event === 'error') told++
      const off = on.call(group, event, listener as never)
      return () => {
        if (event === 'error') told--
        off()
      }
    }
  }

  // ── what a test asks ──

  published<N extends TopicName<Topics>>(topic: N): readonly ConsumerRecord<Topics[N], K, N>[] {
    this.topic(topic)
    return [...this.observer.published(topic)] as unknown as readonly ConsumerRecord<Topics[N], K, N>[]
  }

  async next<N extends TopicName<Topics>>(
    topic: N,
    accept: (record: ConsumerRecord<Topics[N], K, N>) => boolean = () => true,
    options: { timeoutMs?: number | undefined } = {},
  ): Promise<ConsumerRecord<Topics[N], K, N>> {
    checkKnown('options of next()', options, ['timeoutMs'])
    const { timeoutMs = nextTimeoutMs } = options
    if (typeof accept !== 'function')
      throw new MillraceError('INVALID_CONFIG', { option: 'accept', value: accept, expected: 'a function' })
    checkTime('timeoutMs', timeoutMs)
    const came = this.published(topic)
    let stop = (): void => {}
    const found = new Promise<ConsumerRecord<Topics[N], K, N>>((resolve, reject) => {
      const look = (record: ConsumerRecord<Topics[N], K, N>): void => {
        try {
          if (accept(record)) resolve(record)
        } catch (error) {
          reject(threw('accept', accept, `${topic}-${record.partition}@${record.offset}`, error))
        }
      }
      came.forEach(look)
      stop = this.observer.onPublished(topic, record => look(record as unknown as ConsumerRecord<Topics[N], K, N>))
    })
    const { why, outcome } = await waitOn(this.clock, found, timeoutMs).finally(() => stop())
    if (why === undefined) return outcome
    const instead = this.history.filter(event => event.type === 'published' && event.topic === topic)
    const what = [
      `next('${topic}'): no record that it accepts came: ${why}.`,
      instead.length === 0
        ? `Nothing was published to ${topic}.`
        : `What came instead:\n${table(instead.slice(-shownEvents))}`,
      this.#whatMatters(),
      'This',
    ]
    throw new MillraceError('REQUEST_TIMED_OUT', { what: what.filter(text => text !== '').join('\n'), timeoutMs })
  }

  process(name: string = `process-${++this.#processes}`): TestProcess<Topics, K> {
    if (typeof name !== 'string' || name === '')
      throw new MillraceError('INVALID_CONFIG', { option: 'name', value: name, expected: 'a text that is not empty' })
    return new BrokerProcess<Topics, K>(name, this, this.observer)
  }

  async #dispose(): Promise<void> {
    const left: string[] = []
    await this.clock.advanceUntil(this.close()).catch(error => {
      for (const one of error instanceof AggregateError ? (error.errors as unknown[]) : [error])
        left.push(`close: ${errorText(one)}`)
    })
    left.push(...this.observer.atWork.map(handler => `a handler is still at work: ${handler}`))
    left.push(...this.#untold.map(failure => `nobody was told of a failure: ${failure}`))
    left.push(...this.faults.holding.map(hold => `a hold was never released: ${hold.toString()}`))
    left.push(...this.faults.pending.map(fault => `a fault was never met: ${fault.toString()}`))
    left.push(...this.faults.failures.map(failure => `a fault could not be told: ${errorText(failure)}`))
    this.faults.clear()
    if (left.length === 0) return
    throw new Error(
      [`The test has left something over:\n- ${left.join('\n- ')}`, this.#lastHappened].join('\n').trimEnd(),
    )
  }

  /** For a helper of the test's that has waited in vain: what others wait for, and what came before. */
  #whatMatters(): string {
    const open = [
      ...this.observer.atWork.map(handler => `a handler is at work: ${handler}`),
      ...this.faults.holding.map(hold => `held: ${hold.toString()}`),
      ...[...this.#groups].flatMap(([id, group]) => this.#openIn(id, group)),
    ]
    const said = open.length === 0 ? [] : [`Still open:\n- ${open.join('\n- ')}`]
    return [...said, this.#lastHappened].join('\n').trimEnd()
  }
  #openIn(id: string, group: MemoryConsumerGroup<any>): readonly string[] {
    const moves = group.moves.map(({ topic, partition, from, to, waitingFor }) => {
      const [giver, taker] = [from ?? 'nobody', to ?? 'nobody']
      return `${topic}-${partition} is to move from ${giver} to ${taker}, and waits for ${waitingFor}`
    })
    if (!this.#manual.has(id) || group.members.length === 0) return moves
    const lag = group.lag()
    if (lag === 0) return moves
    const records = lag === 1 ? '1 record' : `${lag} records`
    return [...moves, `group ${id} has ${records} that it has not committed (manualCommit)`]
  }
  get #lastHappened(): string {
    if (this.history.length === 0) return ''
    return `The last that happened:\n${table(this.history.slice(-shownEvents))}`
  }
}
