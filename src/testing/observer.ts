import type { AnyRecord, ConsumerRecord, Interceptor, TopicPartition } from '../index.js'
import type { Effect, FaultBook, Operation, Point, Touched } from './faults.js'
import type { Happened } from './history.js'

type Read = (topic: string, partition: number, offset: number) => ConsumerRecord<unknown, any> | undefined

/** Something that may be put before every operation of a member, besides faults: simulate()'s scheduler. */
export type Gate = (point: Point) => Promise<Effect | undefined> | undefined

/** Sees all that the producers and consumers of a broker do, writes it down, and lets faults act on it. */
export class Observer {
  readonly #faults: FaultBook
  readonly #record: (event: Happened) => void
  readonly #read: Read
  readonly #published = new Map<string, ConsumerRecord<unknown, any>[]>()
  readonly #listeners = new Set<{ readonly topic: string; readonly tell: (record: AnyRecord) => void }>()
  readonly #topics = new Map<string, readonly string[]>()
  /** The process of a member, by group and member id. */
  readonly #processes = new Map<string, string>()
  readonly #atWork = new Set<string>()
  /** Whose code is on the stack. */
  #process: string | undefined
  gate: Gate | undefined
  /** Something that may keep back the answer of a publish, which itself is done at once. */
  answer: ((point: Point) => Promise<void> | undefined) | undefined

  constructor(faults: FaultBook, record: (event: Happened) => void, read: Read) {
    this.#faults = faults
    this.#record = record
    this.#read = read
  }

  // ── who ──

  /** Runs a call of a process: what is made in it belongs to it. */
  as<T>(process: string | undefined, call: () => T): T {
    const before = this.#process
    this.#process = process
    try {
      return call()
    } finally {
      this.#process = before
    }
  }
  reads(group: string, topics: readonly string[]): void {
    this.#topics.set(group, topics)
  }
  joined(group: string, memberId: string): void {
    const id = `${group}/${memberId}`
    // A member that comes back does so in whatever happens to run.
    if (this.#process !== undefined) this.#processes.set(id, this.#process)
  }
  processOf(group: string | undefined, memberId: string | undefined): string | undefined {
    return this.#processes.get(`${group}/${memberId}`) ?? this.#process
  }

  // ── what ──

  published(topic: string): readonly ConsumerRecord<unknown, any>[] {
    return this.#published.get(topic) ?? []
  }
  onPublished(topic: string, tell: (record: AnyRecord) => void): () => void {
    const listener = { topic, tell }
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
  get atWork(): readonly string[] {
    return [...this.#atWork]
  }

  /** Outermost what has become of an operation, then the faults, innermost what is really done. */
  get interceptors(): readonly Interceptor[] {
    return [this.#outcomes(), this.#effects(), this.#deeds()]
  }

  #outcomes(): Interceptor {
    return {
      handle: ({ group, memberId, record, attempt }, proceed) => {
        const { topic, partition, offset } = record
        const who = { group, memberId: memberId!, process: this.processOf(group, memberId) }
        const work = `${topic}-${partition}@${offset} in ${memberId} (attempt ${attempt})`
        this.#atWork.add(work)
        const failed = (error: unknown): never => {
          this.#atWork.delete(work)
          this.#record({ type: 'failed', topic, partition, offset, ...who, attempt, error } as Happened)
          throw error
        }
        let result: unknown
        try {
          result = this.as(who.process, proceed)
        } catch (error) {
          return failed(error)
        }
        if (typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') {
          this.#atWork.delete(work)
          return result
        }
        return Promise.resolve(result).then(value => {
          this.#atWork.delete(work)
          return value
        }, failed)
      },
    }
  }

  #effects(): Interceptor {
    const around = (point: Point, places: readonly TopicPartition[], proceed: () => any): any =>
      this.#through(touched(point, places, this.#topics.get(point.group ?? '') ?? []), proceed)
    return {
      publish: ({ topic, record }, proceed) => {
        const point = this.#point('publish', undefined, undefined, [{ topic, partition: record.partition }])
        const effect = this.#faults.meet(touched(point, [{ topic, partition: record.partition ?? -1 }], [topic]))
        if (effect?.error !== undefined) throw effect.error
        const metadata = proceed(record)
        if (effect?.lost !== undefined) throw effect.lost
        return metadata
      },
      poll: ({ group, memberId }, proceed) => around(this.#point('poll', group, memberId, []), [], proceed),
      handle: ({ group, memberId, record }, proceed) =>
        around(this.#point('handle', group, memberId, [record]), [record], proceed),
      commit: ({ group, memberId, offsets }, proceed) => {
        const places = offsets.map(({ topic, partition, nextOffset }) => ({ topic, partition, offset: nextOffset }))
        return around(this.#point('commit', group, memberId, places), places, proceed)
      },
      assign: ({ group, memberId, partitions }, proceed) =>
        around(this.#point('assign', group, memberId, partitions), partitions, proceed),
      revoke: ({ group, memberId, partitions }, proceed) =>
        around(this.#point('revoke', group, memberId, partitions), partitions, proceed),
    }
  }

  #deeds(): Interceptor {
    return {
      publish: ({ record }, proceed) => {
        const metadata = proceed(record)
        const written = this.#read(metadata.topic, metadata.partition, metadata.offset)
        if (written !== undefined) this.#wrote(written)
        return metadata
      },
      poll: async ({ group, memberId }, proceed) => {
        const records = await proceed()
        for (const record of records) this.#handedOut(group, memberId, record, 1)
        return records
      },
      handle: ({ group, memberId, record, attempt }, proceed) => {
        this.#handedOut(group, memberId, record, attempt)
        return proceed()
      },
      assign: (operation, proceed) => this.#moved('assigned', operation, proceed),
      revoke: (operation, proceed) => this.#moved('revoked', operation, proceed),
      lose: (operation, proceed) => this.#moved('lost', operation, proceed),
    }
  }

  #wrote(record: ConsumerRecord<unknown, any>): void {
    const { topic, partition, offset, key } = record
    const list = this.#published.get(topic)
    if (list === undefined) this.#published.set(topic, [record])
    else list.push(record)
    this.#record({ type: 'published', topic, partition, offset, key, process: this.#process } as Happened)
    this.#buried(record)
    for (const listener of [...this.#listeners]) if (listener.topic === topic) listener.tell(record)
  }

  /** A dead letter says itself where it comes from (KIP-1191). */
  #buried(record: ConsumerRecord<unknown, any>): void {
    const headers = new Map(record.headers.filter(([name]) => name.startsWith('__dlq.errors.')))
    const [topic, partition, offset, group] = ['topic', 'partition', 'offset', 'group'].map(name =>
      headers.get(`__dlq.errors.${name}`),
    )
    if (typeof topic !== 'string' || typeof group !== 'string') return
    const place = { topic, partition: Number(partition), offset: Number(offset) }
    const memberId = this.#lastHolder.get(`${group}/${topic}-${partition}@${offset}`) ?? ''
    const process = this.processOf(group, memberId)
    this.#record({ type: 'dead-lettered', ...place, group, memberId, to: record.topic, process } as Happened)
  }
  /** Who was last handed a record, for as long as it may become a dead letter. */
  readonly #lastHolder = new Map<string, string>()

  #handedOut(group: string, memberId: string | undefined, record: AnyRecord, attempt: number): void {
    const { topic, partition, offset } = record
    this.#lastHolder.set(`${group}/${topic}-${partition}@${offset}`, memberId ?? '')
    const process = this.processOf(group, memberId)
    this.#record({ type: 'handed out', topic, partition, offset, group, memberId, attempt, process } as Happened)
  }

  #moved(
    type: 'assigned' | 'revoked' | 'lost',
    {
      group,
      memberId,
      partitions,
    }: { group: string; memberId: string | undefined; partitions: readonly TopicPartition[] },
    proceed: () => unknown,
  ): unknown {
    const process = this.processOf(group, memberId)
    this.#record({ type, group, memberId, partitions, process } as Happened)
    return this.as(process, proceed)
  }

  #point(
    operation: Operation,
    group: string | undefined,
    memberId: string | undefined,
    places: readonly { topic: string; partition?: number | undefined; offset?: number | undefined }[],
  ): Point {
    const [first] = places
    const one = places.length === 1
    const topic = first?.topic ?? (group === undefined ? undefined : onlyOne(this.#topics.get(group)))
    const process = group === undefined ? this.#process : this.processOf(group, memberId)
    return {
      operation,
      ...(topic === undefined ? {} : { topic }),
      ...(one && first?.partition !== undefined ? { partition: first.partition } : {}),
      ...(one && first?.offset !== undefined ? { offset: first.offset } : {}),
      ...(group === undefined ? {} : { group }),
      ...(memberId === undefined ? {} : { memberId }),
      ...(process === undefined ? {} : { process }),
    }
  }

  /** First the scheduler, if there is one, then what the faults make of it. At once, unless somebody waits. */
  #through(where: Touched, proceed: () => any): any {
    const gate = this.gate?.(where.point)
    if (gate !== undefined) return gate.then(effect => this.#withEffect(effect ?? this.#faults.meet(where), proceed))
    return this.#withEffect(this.#faults.meet(where), proceed)
  }
  #withEffect(effect: Effect | undefined, proceed: () => any): any {
    if (effect === undefined) return proceed()
    if (effect.error !== undefined) throw effect.error
    if (effect.wait !== undefined) return effect.wait.then(proceed)
    return Promise.resolve(proceed()).then(() => {
      throw effect.lost
    })
  }
}

function touched(point: Point, places: readonly TopicPartition[], topics: readonly string[]): Touched {
  return {
    point,
    topics: places.length === 0 ? topics : places.map(({ topic }) => topic),
    partitions: places.map(({ partition }) => partition),
  }
}

function onlyOne(topics: readonly string[] | undefined): string | undefined {
  return topics?.length === 1 ? topics[0] : undefined
}
