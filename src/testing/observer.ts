import type {
  AnyRecord,
  ConsumerRecord,
  HandleOperation,
  Interceptor,
  NextOffset,
  PartitionsOperation,
  ProducerRecord,
  RecordMetadata,
  TopicPartition,
} from '../index.js'
import { DeadLetters } from './dead-letters.js'
import { Effects } from './effects.js'
import type { FaultBook } from './faults.js'
import type { Happened } from './history.js'
import { type Life, Members } from './members.js'
import { isThenable } from './thenable.js'

type Read = (topic: string, partition: number, offset: number) => ConsumerRecord<unknown, any> | undefined
type Owns = (group: string, memberId: string | undefined, where: TopicPartition) => boolean

/** A call of a handler that has not settled. */
interface Work {
  readonly group: string
  readonly memberId: string | undefined
  readonly what: string
}

/** Sees all that the producers and consumers of a broker do, writes it down, and lets faults act on it. */
export class Observer {
  readonly members: Members = new Members()
  readonly effects: Effects
  readonly #faults: FaultBook
  readonly #record: (event: Happened) => void
  readonly #read: Read
  readonly #owns: Owns
  readonly #published = new Map<string, ConsumerRecord<unknown, any>[]>()
  readonly #listeners = new Set<{ readonly topic: string; readonly tell: (record: AnyRecord) => void }>()
  readonly #deadLetters = new DeadLetters()
  readonly #atWork = new Set<Work>()
  /** The calls of handlers that have begun. */
  readonly #begun = new WeakSet<HandleOperation>()
  /** The call of a handler that nothing has come before. */
  #calling: HandleOperation | undefined

  constructor(faults: FaultBook, record: (event: Happened) => void, read: Read, owns: Owns) {
    this.#faults = faults
    this.effects = new Effects(faults, this.members)
    this.#record = record
    this.#read = read
    this.#owns = owns
  }

  // ── who ──

  joined(group: string, memberId: string): void {
    if (this.members.joined(group, memberId))
      this.#record({ type: 'joined', group, memberId, process: this.members.processOf(group, memberId) })
  }
  left(group: string, memberId: string, reason: 'closed' | 'expelled' | 'crashed' | 'fenced'): void {
    this.#record({ type: 'left', group, memberId, reason, process: this.members.processOf(group, memberId) })
    if (reason === 'crashed') this.died(group, memberId, this.members.lifeOf(group, memberId))
    this.members.left(group, memberId, reason === 'expelled')
  }
  /** Its group is told only of the death of who has not been expelled before. */
  died(group: string, memberId: string, life: Life): void {
    life.dead = true
    if (!this.members.isLatest(group, memberId, life)) return
    this.#faults.crashed(group, memberId)
    for (const work of this.#atWork) if (work.group === group && work.memberId === memberId) this.#atWork.delete(work)
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
    return [this.#outcomes(), this.effects.interceptor, this.#deeds()]
  }

  #outcomes(): Interceptor {
    return {
      handle: (operation, proceed) => {
        const { group, memberId, record, attempt } = operation
        const { topic, partition, offset } = record
        const who = { group, memberId: memberId!, process: this.members.processOf(group, memberId) }
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
        return this.members.as(this.members.processOf(group, memberId), proceed)
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
    this.#record({ type: 'published', topic, partition, offset, key, process: this.members.running })
    this.#buried(record)
    for (const listener of [...this.#listeners]) if (listener.topic === topic) listener.tell(record)
  }

  #buried(record: ConsumerRecord<unknown, any>): void {
    const burial = this.#deadLetters.burial(record)
    if (burial === undefined) return
    const process = this.members.processOf(burial.group, burial.memberId)
    this.#record({ type: 'dead-lettered', ...burial, to: record.topic, process })
  }

  #handedOut(group: string, memberId: string | undefined, record: AnyRecord, attempt: number): void {
    const { topic, partition, offset } = record
    this.#deadLetters.handedOut(group, memberId, topic, partition, offset)
    const process = this.members.processOf(group, memberId)
    this.#record({ type: 'handed out', topic, partition, offset, group, memberId: memberId!, attempt, process })
  }

  committed(group: string, memberId: string | undefined, offsets: readonly NextOffset[]): void {
    const process = memberId === undefined ? this.members.running : this.members.processOf(group, memberId)
    this.#record({ type: 'committed', group, memberId, offsets: offsets.map(entry => ({ ...entry })), process })
  }

  #moved(
    type: 'assigned' | 'revoked' | 'lost',
    { group, memberId, partitions }: PartitionsOperation,
    proceed: () => unknown,
  ): unknown {
    if (this.members.isDying(group, memberId)) return proceed()
    if (type === 'assigned') {
      this.joined(group, memberId!)
      this.#deadLetters.assigned(group, memberId, partitions)
    }
    const process = this.members.processOf(group, memberId)
    this.#record({ type, group, memberId: memberId!, partitions, process })
    return this.members.as(process, proceed)
  }
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
