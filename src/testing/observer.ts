import type {
  AnyRecord,
  Clock,
  ConsumerRecord,
  HandleOperation,
  Interceptor,
  NextOffset,
  PartitionsOperation,
  ProducerRecord,
  RecordMetadata,
  TopicPartition,
} from '../index.js'
import type { Effect, FaultBook, Operation, Point } from './faults.js'
import type { Happened } from './history.js'
import { isThenable } from './thenable.js'

type Read = (topic: string, partition: number, offset: number) => ConsumerRecord<unknown, any> | undefined
type Owns = (group: string, memberId: string | undefined, where: TopicPartition) => boolean

/** A call of a handler that has not settled. */
interface Work {
  readonly group: string
  readonly memberId: string | undefined
  readonly what: string
}

/** Of a member, from its joining on. */
export interface Life {
  dead: boolean
}

/**
 * Lets the operations of processes go on one at a time: simulate()'s scheduler. Undefined for what is none of its business.
 */
export interface Turns {
  /** Whether it is its business. */
  takes(point: Point): boolean
  /** Before an operation has its effect. What is published takes effect in the order of the calls. */
  before(point: Point): Promise<Effect | undefined> | undefined
  /** The same for what begins at once, and has its turn afterwards. */
  during(point: Point): Effect | undefined
  /** Before its answer arrives. */
  after(point: Point): Promise<void> | undefined
  /** A clock of a process's own. */
  clockOf(process: string): Clock | undefined
}

/** Sees all that the producers and consumers of a broker do, writes it down, and lets faults act on it. */
export class Observer {
  readonly #faults: FaultBook
  readonly #record: (event: Happened) => void
  readonly #read: Read
  readonly #owns: Owns
  readonly #published = new Map<string, ConsumerRecord<unknown, any>[]>()
  readonly #listeners = new Set<{ readonly topic: string; readonly tell: (record: AnyRecord) => void }>()
  readonly #topics = new Map<string, readonly string[]>()
  /** The process of each member, by group and member id; undefined for one of the test itself. */
  readonly #processes = new Map<string, string | undefined>()
  /** Members, by group and member id: in it, as history has it, or expelled, and about to come (back). */
  readonly #members = new Map<string, 'in' | 'away'>()
  /** What has been joined and not left, by group and member id; another of that id may come after one that has died. */
  readonly #lives = new Map<string, Life>()
  readonly #atWork = new Set<Work>()
  /** Who was last assigned a partition, by group and partition. */
  readonly #assigned = new Map<string, string | undefined>()
  /** Who was last handed a record, by group and record; nobody once it is a dead letter. */
  readonly #lastHolder = new Map<string, string | undefined>()
  /** The calls of handlers that have begun. */
  readonly #begun = new WeakSet<HandleOperation>()
  /** The call of a handler that nothing has come before. */
  #calling: HandleOperation | undefined
  /** Whose code is on the stack. */
  #process: string | undefined
  /** The process that is being killed. */
  #dying: string | undefined
  turns: Turns | undefined

  constructor(faults: FaultBook, record: (event: Happened) => void, read: Read, owns: Owns) {
    this.#faults = faults
    this.#record = record
    this.#read = read
    this.#owns = owns
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
  /** Kills a process: of its consumers none takes over from another. */
  kill(process: string, act: () => void): void {
    this.#dying = process
    try {
      act()
    } finally {
      this.#dying = undefined
    }
  }
  reads(group: string, topics: readonly string[]): void {
    this.#topics.set(group, topics)
  }
  /** A member is of a process, whatever code is on the stack when the group hears of it. */
  belongs(group: string, memberId: string, process: string): void {
    const id = `${group}/${memberId}`
    this.#processes.set(id, process)
    if (!this.#members.has(id)) this.#members.set(id, 'away')
  }
  /** Partitions are assigned inside the call that joins, before the group tells of the member. */
  joined(group: string, memberId: string): void {
    const id = `${group}/${memberId}`
    const known = this.#members.get(id)
    if (known === 'in') return
    // A member that comes back does so in whatever happens to run.
    if (known === undefined) this.#processes.set(id, this.#process)
    this.#members.set(id, 'in')
    this.#record({ type: 'joined', group, memberId, process: this.#processes.get(id) })
  }
  left(group: string, memberId: string, reason: 'closed' | 'expelled' | 'crashed' | 'fenced'): void {
    const id = `${group}/${memberId}`
    if (reason === 'expelled') this.#members.set(id, 'away')
    else this.#members.delete(id)
    this.#record({ type: 'left', group, memberId, reason, process: this.#processes.get(id) })
    if (reason === 'crashed') this.died(group, memberId, this.lifeOf(group, memberId))
    if (reason !== 'expelled') this.#lives.delete(id)
  }
  lifeOf(group: string, memberId: string): Life {
    const id = `${group}/${memberId}`
    let life = this.#lives.get(id)
    if (life === undefined) {
      life = { dead: false }
      this.#lives.set(id, life)
    }
    return life
  }
  /** Its group is told only of the death of who has not been expelled before. */
  died(group: string, memberId: string, life: Life): void {
    life.dead = true
    if (this.#lives.get(`${group}/${memberId}`) !== life) return
    this.#faults.crashed(group, memberId)
    for (const work of this.#atWork) if (work.group === group && work.memberId === memberId) this.#atWork.delete(work)
  }
  processOf(group: string | undefined, memberId: string | undefined): string | undefined {
    if (group === undefined) return this.#process
    const id = `${group}/${memberId}`
    return this.#processes.get(id) ?? (this.#processes.has(id) ? undefined : this.#process)
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
  /** Handlers that have not settled; those of a killed process are at work no more. */
  get atWork(): readonly string[] {
    return [...this.#atWork].map(({ what }) => what)
  }

  /** Outermost what has become of an operation, then the faults, innermost what is really done. */
  get interceptors(): readonly Interceptor[] {
    return [this.#outcomes(), this.#effects(), this.#deeds()]
  }

  #outcomes(): Interceptor {
    return {
      handle: (operation, proceed) => {
        const { group, memberId, record, attempt } = operation
        const { topic, partition, offset } = record
        const who = { group, memberId: memberId!, process: this.processOf(group, memberId) }
        const what = `${topic}-${partition}@${offset} in ${memberId} (attempt ${attempt})`
        const work: Work = { group, memberId, what }
        this.#atWork.add(work)
        const failed = (error: unknown): never => {
          this.#atWork.delete(work)
          // What was held until its partition was lost has not been begun, so it has not failed either.
          if (this.#begun.has(operation) || this.#owns(group, memberId, record))
            this.#record({ type: 'failed', topic, partition, offset, ...who, attempt, error })
          throw error
        }
        let result: unknown
        this.#calling = operation
        try {
          result = proceed()
        } catch (error) {
          return failed(error)
        } finally {
          this.#calling = undefined
        }
        if (!isThenable(result)) {
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
      this.#through(point, places, proceed)
    return {
      publish: ({ topic, record }, proceed) => {
        // What is no record is refused further in.
        const { partition } = (record ?? {}) as Partial<typeof record>
        const point = this.#point('publish', undefined, undefined, [{ topic, partition }])
        const effect = this.#faults.meet(point, [{ topic, partition: partition ?? -1 }])
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
        const point = this.#point('commit', group, memberId, places)
        return this.#answered(point, around(point, places, proceed))
      },
      assign: (operation, proceed) => {
        const { group, memberId, partitions } = operation
        const point = this.#point('assign', group, memberId, partitions)
        const call = this.#ofTheLiving(operation, proceed)
        const { turns } = this
        if (turns?.takes(point) !== true) return around(point, partitions, call)
        // What it names is to be there still when it begins: its turn comes when it is over.
        const act = async (): Promise<unknown> =>
          this.#withEffect(turns.during(point) ?? this.#faults.meet(point, partitions), call)
        return this.#answered(point, act())
      },
      revoke: (operation, proceed) => {
        const { group, memberId, partitions } = operation
        const point = this.#point('revoke', group, memberId, partitions)
        return around(point, partitions, this.#ofTheLiving(operation, proceed))
      },
    }
  }

  #deeds(): Interceptor {
    return {
      publish: ({ record }, proceed) => {
        const metadata = proceed(record)
        this.#wrote(this.#written(metadata) ?? asRecord(record, metadata))
        return metadata
      },
      poll: async ({ group, memberId }, proceed) => {
        const records = await proceed()
        for (const record of records) this.#handedOut(group, memberId, record, 1)
        return records
      },
      handle: (operation, proceed) => {
        const { group, memberId, record, attempt } = operation
        if (this.#calling === operation || this.#owns(group, memberId, record)) {
          this.#begun.add(operation)
          this.#handedOut(group, memberId, record, attempt)
        }
        return this.as(this.processOf(group, memberId), proceed)
      },
      commit: ({ group, memberId, offsets }, proceed) => {
        const result = proceed()
        this.committed(group, memberId, offsets)
        return result
      },
      assign: (operation, proceed) => this.#moved('assigned', operation, proceed),
      revoke: (operation, proceed) => this.#moved('revoked', operation, proceed),
      lose: (operation, proceed) => this.#moved('lost', operation, proceed),
    }
  }

  /** As its readers see it; undefined for what can't be decoded, or is gone already. */
  #written({ topic, partition, offset }: RecordMetadata): ConsumerRecord<unknown, any> | undefined {
    try {
      const written = this.#read(topic, partition, offset)
      return written?.offset === offset ? written : undefined
    } catch {
      return undefined
    }
  }
  #wrote(record: ConsumerRecord<unknown, any>): void {
    const { topic, partition, offset, key } = record
    const list = this.#published.get(topic)
    if (list === undefined) this.#published.set(topic, [record])
    else list.push(record)
    this.#record({ type: 'published', topic, partition, offset, key, process: this.#process })
    this.#buried(record)
    for (const listener of [...this.#listeners]) if (listener.topic === topic) listener.tell(record)
  }

  /** A dead letter says itself where it comes from (KIP-1191). */
  #buried(record: ConsumerRecord<unknown, any>): void {
    if (record.headers.length === 0) return
    const headers = new Map(record.headers.filter(([name]) => name.startsWith('__dlq.errors.')))
    const [topic, partition, offset, group] = ['topic', 'partition', 'offset', 'group'].map(name =>
      headers.get(`__dlq.errors.${name}`),
    )
    if (typeof topic !== 'string' || typeof group !== 'string') return
    const place = { topic, partition: Number(partition), offset: Number(offset) }
    const id = `${group}/${topic}-${partition}@${offset}`
    // One that is published once more, headers and all, is not buried again.
    if (this.#lastHolder.has(id) && this.#lastHolder.get(id) === undefined) return
    // What can't be decoded is handed to nobody.
    const memberId = this.#lastHolder.get(id) ?? this.#assigned.get(`${group}/${topic}-${partition}`) ?? ''
    this.#lastHolder.set(id, undefined)
    const process = this.processOf(group, memberId)
    this.#record({ type: 'dead-lettered', ...place, group, memberId, to: record.topic, process })
  }

  #handedOut(group: string, memberId: string | undefined, record: AnyRecord, attempt: number): void {
    const { topic, partition, offset } = record
    this.#lastHolder.set(`${group}/${topic}-${partition}@${offset}`, memberId ?? '')
    const process = this.processOf(group, memberId)
    this.#record({ type: 'handed out', topic, partition, offset, group, memberId: memberId!, attempt, process })
  }

  committed(group: string, memberId: string | undefined, offsets: readonly NextOffset[]): void {
    const process = memberId === undefined ? this.#process : this.processOf(group, memberId)
    this.#record({ type: 'committed', group, memberId, offsets: offsets.map(entry => ({ ...entry })), process })
  }

  #moved(
    type: 'assigned' | 'revoked' | 'lost',
    { group, memberId, partitions }: PartitionsOperation,
    proceed: () => unknown,
  ): unknown {
    const dies = this.#dying !== undefined && this.processOf(group, memberId) === this.#dying
    if (dies) return proceed()
    if (type === 'assigned') {
      this.joined(group, memberId!)
      for (const { topic, partition } of partitions) this.#assigned.set(`${group}/${topic}-${partition}`, memberId)
    }
    const process = this.processOf(group, memberId)
    this.#record({ type, group, memberId: memberId!, partitions, process })
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
    // Part by part, not by spreads: it is made for each operation.
    const point: { -readonly [Part in keyof Point]: Point[Part] } = { operation }
    if (topic !== undefined) point.topic = topic
    if (one && first?.partition !== undefined) point.partition = first.partition
    if (one && first?.offset !== undefined) point.offset = first.offset
    if (group !== undefined) point.group = group
    if (memberId !== undefined) point.memberId = memberId
    if (process !== undefined) point.process = process
    return point
  }

  /** First the scheduler, if there is one, then what the faults make of it. At once, unless somebody waits. */
  #through(point: Point, places: readonly TopicPartition[], proceed: () => any): any {
    const meet = (): Effect | undefined => this.#faults.meet(point, places, this.#topics.get(point.group ?? ''))
    const turn = this.turns?.before(point)
    if (turn !== undefined) return turn.then(effect => this.#withEffect(effect ?? meet(), proceed))
    return this.#withEffect(meet(), proceed)
  }
  /** A callback that its consumer has not lived to see is not called. */
  #ofTheLiving({ group, memberId }: PartitionsOperation, proceed: () => unknown): () => unknown {
    const life = this.lifeOf(group, memberId!)
    return () => (life.dead ? undefined : proceed())
  }
  /** Between what an operation has done and what its caller does then, a process may die. */
  #answered(point: Point, result: any): any {
    if (this.turns === undefined || !isThenable(result)) return result
    const back = async (): Promise<void> => this.turns?.after(point)
    return Promise.resolve(result).then(
      value => back().then(() => value),
      error =>
        back().then(() => {
          throw error
        }),
    )
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

function onlyOne(topics: readonly string[] | undefined): string | undefined {
  return topics?.length === 1 ? topics[0] : undefined
}

/** What was written, told by who wrote it. */
function asRecord(
  { key, value, headers }: ProducerRecord<any, any>,
  metadata: RecordMetadata,
): ConsumerRecord<any, any> {
  const { topic, partition, offset, timestamp } = metadata
  const entries = headers === undefined ? [] : Symbol.iterator in headers ? headers : Object.entries(headers)
  return { topic, partition, offset, timestamp, key: key ?? null, value, headers: [...entries] }
}
