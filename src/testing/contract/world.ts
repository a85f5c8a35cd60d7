import {
  type Clock,
  type Consumer,
  type ConsumerGroup,
  type ConsumerRecord,
  type ErrorCode,
  type GroupOptions,
  type Handler,
  isMillraceError,
  type JoinOptions,
  type MaybePromise,
  type MillraceError,
  type ProducerRecord,
  type RunOptions,
  type Topic,
  type TopicPartition,
} from '../../index.js'
import { check } from '../runner.js'
import { nextTurn } from '../turns.js'
import { shown } from './assert.js'
import type { AnyBroker, ContractEngine, OpenedEngine } from './engine.js'
import { Patience } from './patience.js'

export type Read = ConsumerRecord<any>
export type Group = ConsumerGroup<Read>
export type Member = Consumer<Read>

/** One promise of the portable API: the topics that it is tried on, with their partitions, and how. */
interface Promised {
  readonly topics: Readonly<Record<string, number>>
  readonly keep: (world: World) => Promise<void>
  /** It is about what a killed process leaves. */
  readonly needsCrash?: true
}
export type Promises = Readonly<Record<string, Promised>>

export function given(topics: Readonly<Record<string, number>>, keep: (world: World) => Promise<void>): Promised {
  return { topics, keep }
}
export function givenCrashes(
  topics: Readonly<Record<string, number>>,
  keep: (world: World) => Promise<void>,
): Promised {
  return { topics, keep, needsCrash: true }
}

let worlds = 0

/** Opens an engine for one promise, tries it, and closes the engine, whatever came of it. */
export async function tryOn(engine: ContractEngine, { topics, keep, needsCrash }: Promised): Promise<void> {
  // Of this run alone, also on a cluster that has seen others.
  const tag = `${Date.now().toString(36)}-${Math.floor(Math.random() * 2 ** 32).toString(36)}-${++worlds}`
  const names = new Map(Object.keys(topics).map(topic => [topic, `${topic}-${tag}`]))
  const opened = await engine.open(
    Object.fromEntries(Object.entries(topics).map(([topic, partitions]) => [names.get(topic)!, { partitions }])),
  )
  const world = new World(opened, names, tag, engine.patienceMs)
  const failures: unknown[] = []
  try {
    if (!needsCrash || opened.crash !== undefined) await keep(world)
  } catch (error) {
    failures.push(error)
  }
  world.letGo()
  try {
    await world.patience.keep('the engine to close', opened.close())
  } catch (error) {
    failures.push(error)
  }
  if (failures.length > 0) throw failures[0]
}

/** What one test has at hand: an engine with some topics, groups of names of its own, and patience. */
export class World {
  readonly broker: AnyBroker
  readonly clock: Clock
  readonly patience: Patience
  readonly #opened: OpenedEngine
  readonly #names: ReadonlyMap<string, string>
  readonly #tag: string
  readonly #gates: Gate[] = []

  constructor(opened: OpenedEngine, names: ReadonlyMap<string, string>, tag: string, patienceMs: number | undefined) {
    this.broker = opened.broker
    this.clock = opened.broker.clock
    this.patience = new Patience(this.clock, patienceMs)
    this.#opened = opened
    this.#names = names
    this.#tag = tag
  }

  // ── time ──

  /** Short, for what is to happen at a time: an interval, a back-off, a deadline. */
  get shortMs(): number {
    return Math.ceil(this.patience.ms / 250)
  }
  /** Longer than anything that goes well takes. */
  get longMs(): number {
    return this.patience.ms * 40
  }
  keep<T>(what: string | (() => string), promise: MaybePromise<T> | PromiseLike<T>): Promise<T> {
    return this.patience.keep(what, promise)
  }
  until(what: string | (() => string), holds: () => MaybePromise<boolean>): Promise<void> {
    return this.patience.until(what, holds)
  }
  pass(ms: number): Promise<void> {
    return this.patience.pass(ms)
  }
  /** Others have their turn: for a handler that is to take a while. */
  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await nextTurn()
  }

  /** For a handler to wait at. All are opened at the end of the test, or closing would wait for them. */
  gate(): Gate {
    const gate = new Gate()
    this.#gates.push(gate)
    return gate
  }
  letGo(): void {
    for (const gate of this.#gates) gate.open()
  }

  // ── processes, topics, groups ──

  async another(): Promise<AnyBroker> {
    return this.keep('another broker', this.#opened.another())
  }
  async crash(broker: AnyBroker): Promise<void> {
    await this.keep('a broker to be killed', this.#opened.crash!(broker))
  }

  /** What a topic of the test is called, or would be called if it were there. */
  name(topic: string): string {
    return this.#names.get(topic) ?? `${topic}-${this.#tag}`
  }
  at(topic: string, partition: number): TopicPartition {
    return { topic: this.name(topic), partition }
  }
  topic(topic: string, broker: AnyBroker = this.broker): Topic<any> {
    return broker.topic(this.name(topic))
  }
  /** The group of that id (and this test), by default of all its topics. */
  group(
    options: GroupOptions & { id?: string; topics?: readonly string[] } = {},
    broker: AnyBroker = this.broker,
  ): Group {
    const { id = 'group', topics = [...this.#names.keys()], ...others } = options
    return broker.group(`${id}-${this.#tag}`, { topics: topics.map(topic => this.name(topic)), ...others })
  }

  async publish(topic: string, records: Iterable<ProducerRecord<any>>): Promise<void> {
    await this.keep(`records to be published to ${topic}`, this.topic(topic).publishAll(records))
  }

  // ── consumers ──

  /** A member that has its partitions. */
  async join(group: Group, options?: JoinOptions<Read>): Promise<Member> {
    const consumer = group.join(options)
    await this.ready(consumer)
    return consumer
  }
  async ready(...consumers: readonly Member[]): Promise<void> {
    for (const consumer of consumers) await this.keep(`a member of ${consumers.length} to be ready`, consumer.ready())
  }
  /** The next records, exactly so many, by as many polls as it takes. */
  take(consumer: Member, count: number): Promise<Read[]> {
    const taken: Read[] = []
    const poll = async (): Promise<Read[]> => {
      while (taken.length < count) {
        const batch = await consumer.poll({ maxRecords: count - taken.length })
        check(batch.length > 0, () => `a poll without a time limit gave [] (after ${taken.map(placeOf).join(' ')})`)
        taken.push(...batch)
      }
      return taken
    }
    return this.keep(() => `${count} records; there came ${taken.length}: ${taken.map(placeOf).join(' ')}`, poll())
  }
  /** Nothing comes for a while. */
  async nothing(consumer: Member, why: string): Promise<void> {
    const records = await this.keep('a poll to time out', consumer.poll({ timeoutMs: this.shortMs }))
    check(records.length === 0, () => `${why}: there came ${records.map(placeOf).join(' ')}`)
  }
  /** Where an owned partition is read from has been found out. */
  async positioned(consumer: Member, partitions: readonly TopicPartition[] = consumer.assignment): Promise<void> {
    const poll = async (): Promise<void> => {
      const unknown = (): boolean =>
        partitions.some(({ topic, partition }) => consumer.position(topic, partition) === undefined)
      do {
        const records = await consumer.poll({ timeoutMs: this.shortMs })
        check(records.length === 0, () => `there is nothing to read yet, but ${records.map(placeOf).join(' ')} came`)
      } while (unknown())
    }
    await this.keep(() => `positions of ${partitions.map(nameOf).join(' ')}`, poll())
  }
  /** Starts run(); a failure is for who awaits what this gives. */
  run(consumer: Member, handler: Handler<Read>, options?: RunOptions<Read>): Promise<void> {
    return later(consumer.run(handler, options))
  }
  async close(...consumers: readonly Member[]): Promise<void> {
    for (const consumer of consumers) await this.keep('a consumer to close', consumer.close())
  }

  async committed(group: Group, topic: string, partition: number): Promise<number | undefined> {
    return this.keep(`what ${topic}-${partition} has committed`, group.committed(this.name(topic), partition))
  }
  /** All that is there now. */
  async all(topic: string, broker: AnyBroker = this.broker): Promise<Read[]> {
    return this.collect(this.topic(topic, broker).read({ until: 'latest' }))
  }
  collect(records: AsyncIterable<Read>): Promise<Read[]> {
    const found: Read[] = []
    const read = async (): Promise<Read[]> => {
      for await (const record of records) found.push(record)
      return found
    }
    return this.keep(() => `a reading to end; it came to ${found.map(placeOf).join(' ')}`, read())
  }

  // ── what goes wrong ──

  /** It throws or rejects with that code. */
  async refused<C extends ErrorCode>(what: string, code: C, call: () => unknown): Promise<MillraceError<C>> {
    const error = await this.thrown(what, call)
    if (isMillraceError(error, code)) return error as MillraceError<C>
    throw new Error(`${what}: expected ${code}, got ${shown(error)}`, { cause: error })
  }
  async typeError(what: string, call: () => unknown): Promise<void> {
    const error = await this.thrown(what, call)
    check(error instanceof TypeError, () => `${what}: expected a TypeError, got ${shown(error)}`)
  }
  /** What it throws or rejects with. */
  async thrown(what: string, call: () => unknown): Promise<unknown> {
    const outcome = (async (): Promise<{ error?: unknown; value?: unknown }> => {
      try {
        return { value: await call() }
      } catch (error) {
        return { error }
      }
    })()
    const settled = await this.keep(`a refusal: ${what}`, outcome)
    if ('error' in settled) return settled.error
    throw new Error(`${what}: expected a refusal, but it went well, with ${shown(settled.value)}`)
  }
}

/** Closed until it is opened, then for good. */
export class Gate {
  open!: () => void
  readonly opened: Promise<void> = new Promise(resolve => {
    this.open = resolve
  })
}

/** For what is begun now and awaited later: if the test fails in between, that is the failure to be told. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

// ── records ──

/** Values from 0 on, into the partitions in turn. */
export function numbered(count: number, partitions: number = 1, from: number = 0): ProducerRecord<any>[] {
  return Array.from({ length: count }, (_, i) => ({ value: from + i, partition: (from + i) % partitions }))
}
export function valuesOf(records: readonly Read[]): any[] {
  return records.map(({ value }) => value)
}
export function sortedValues(records: readonly Read[]): any[] {
  return valuesOf(records).sort((a, b) => a - b)
}
export function upTo(count: number): number[] {
  return [...Array(count).keys()]
}
export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}
export function partitionsOf(list: readonly TopicPartition[]): number[] {
  return list.map(({ partition }) => partition).sort((a, b) => a - b)
}
export function placeOf({ partition, offset }: Read): string {
  return `${partition}@${offset}`
}
