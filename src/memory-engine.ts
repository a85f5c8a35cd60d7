import type { Clock } from './clock.js'
import type { AppendWaiter, PartitionLog } from './core/partition.js'
import type { AnyRecord, NextOffset, StartFrom } from './core/record.js'
import {
  type Engine,
  type MemberPort,
  OUT_OF_RANGE,
  type ResolvedGroupOptions,
  type Source,
  type Waiter,
} from './engine.js'
import { offsetIn } from './group-offsets.js'
import type { Interceptor } from './interceptor.js'

/** What the engine in memory needs of its group. */
export interface Coordinator<R extends AnyRecord> {
  readonly id: string
  readonly clock: Clock
  readonly resolved: Readonly<ResolvedGroupOptions>
  readonly interceptor: Interceptor
  readonly generation: number
  admit(engine: MemoryEngine<R>): void
  closing(engine: MemoryEngine<R>): void
  release(engine: MemoryEngine<R>, sources: readonly MemorySource<R>[]): void
  leave(engine: MemoryEngine<R>, reason: 'closed' | 'expelled' | 'crashed'): void
  commit(engine: MemoryEngine<R>, offsets: readonly NextOffset[]): unknown
  committedAt(source: MemorySource<R>): number | undefined
  startOf(source: MemorySource<R>): number
  complete(engine: MemoryEngine<R>): boolean
  exists(topic: string, partition: number): boolean
  changed(): void
  reset(topic: string, partition: number, from: number, to: number): void
  report(error: unknown): void
}

/** A member of a group in memory: every answer comes at once, inside the call that asks. */
export class MemoryEngine<R extends AnyRecord> implements Engine<R> {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  /** What it owns, as the group has it. */
  readonly holdings: Set<MemorySource<R>> = new Set()
  /** Of the group, which alone changes it. */
  state: 'new' | 'member' | 'closing' | 'expelled' | 'fenced' | 'gone' = 'new'
  port!: MemberPort<R>
  readonly #group: Coordinator<R>

  constructor(
    group: Coordinator<R>,
    member: { memberId: string; instanceId: string | undefined; topics: readonly string[] },
  ) {
    this.#group = group
    this.memberId = member.memberId
    this.instanceId = member.instanceId
    this.topics = member.topics
  }

  get group(): string {
    return this.#group.id
  }
  get clock(): Clock {
    return this.#group.clock
  }
  get options(): Readonly<ResolvedGroupOptions> {
    return this.#group.resolved
  }
  get interceptor(): Interceptor {
    return this.#group.interceptor
  }
  get generation(): number {
    return this.#group.generation
  }
  get complete(): boolean {
    return this.#group.complete(this)
  }

  join(): void {
    this.#group.admit(this)
  }
  closing(): void {
    this.#group.closing(this)
  }
  release(sources: readonly Source<R>[]): void {
    this.#group.release(this, sources as readonly MemorySource<R>[])
  }
  leave(reason: 'closed' | 'expelled' | 'crashed', done?: () => void): void {
    this.#group.leave(this, reason)
    done?.()
  }
  commit(offsets: readonly NextOffset[], done: (error?: unknown) => void): void {
    done(this.#group.commit(this, offsets))
  }
  rangeOf(source: Source<R>): { readonly startOffset: number; readonly endOffset: number } {
    const { startOffset, endOffset } = (source as MemorySource<R>).log
    return { startOffset, endOffset }
  }
  exists(topic: string, partition: number): boolean {
    return this.#group.exists(topic, partition)
  }
  changed(): void {
    this.#group.changed()
  }
  reset(topic: string, partition: number, from: number, to: number): void {
    this.#group.reset(topic, partition, from, to)
  }
  report(error: unknown): void {
    this.#group.report(error)
  }
}

/** A partition's log as its owner reads it, for one term. */
export class MemorySource<R extends AnyRecord> implements Source<R>, AppendWaiter {
  readonly topic: string
  readonly partition: number
  readonly log: PartitionLog<unknown, any>
  readonly owner: MemoryEngine<R>
  readonly #group: Coordinator<R>
  #waiter: Waiter | undefined

  constructor(group: Coordinator<R>, owner: MemoryEngine<R>, log: PartitionLog<unknown, any>) {
    this.#group = group
    this.owner = owner
    this.log = log
    this.topic = log.topic
    this.partition = log.index
  }

  get endOffset(): number {
    return this.log.endOffset
  }
  get committed(): number | undefined {
    return this.#group.committedAt(this)
  }

  read(offset: number, maxRecords: number, into: R[]): number {
    const { log } = this
    if (offset < log.startOffset || offset > log.endOffset) return OUT_OF_RANGE
    return log.readInto(offset, maxRecords, into as unknown as Parameters<typeof log.readInto>[2])
  }
  raw(offset: number): R {
    return this.log.raw(offset) as unknown as R
  }

  resolve(to: StartFrom | 'committed'): number {
    return to === 'committed' ? this.#group.startOf(this) : offsetIn(this.log, to)
  }

  whenMore(waiter: Waiter): void {
    this.#waiter = waiter
    this.log.whenAppended(this)
  }
  forget(): void {
    this.#waiter = undefined
    this.log.forget(this)
  }
  appended(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.available()
  }
}
