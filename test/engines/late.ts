// The engine in memory behind answers that come late and out of step: what a consumer is to live with on a cluster,
// made of turns of the event loop drawn by a seed. Requests reach the group in order, and the group's word reaches the
// member in order; answers to reads, look-ups and commits come whenever they come.
import { InMemoryBroker } from '../../src/broker.js'
import { InMemoryConsumerGroup } from '../../src/consumer-group.js'
import type { AnyRecord, NextOffset, StartFrom } from '../../src/core/record.js'
import {
  type Engine,
  type MemberPort,
  OUT_OF_RANGE,
  type ResolvedGroupOptions,
  type Source,
  type Waiter,
} from '../../src/engine.js'
import type { BrokerOptions, Clock, ConsumerRecord, Key, MemoryBroker } from '../../src/index.js'
import type { MemoryEngine } from '../../src/memory-engine.js'

/** Calls back after so many turns of the event loop. */
type Later = (then: () => void) => void

function turnsBySeed(seed: number, most: number): Later {
  let state = seed >>> 0
  return then => {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    let left = Math.floor((state / 2 ** 32) * (most + 1))
    const turn = (): void => {
      if (left-- <= 0) then()
      else setImmediate(turn)
    }
    setImmediate(turn)
  }
}

/** One after the other, each after a delay of its own. */
class Wire {
  readonly #later: Later
  #queue: (() => void)[] = []
  constructor(later: Later) {
    this.#later = later
  }
  get empty(): boolean {
    return this.#queue.length === 0
  }
  send(act: () => void): void {
    this.#queue.push(act)
    if (!this.#busy) this.#next()
  }
  #busy = false
  #next(): void {
    this.#busy = true
    this.#later(() => {
      this.#busy = false
      this.#queue.shift()!()
      if (this.#queue.length > 0 && !this.#busy) this.#next()
    })
  }
}

class LateEngine<R extends AnyRecord> implements Engine<R>, MemberPort<R> {
  readonly #inner: MemoryEngine<R>
  readonly #later: Later
  readonly #requests: Wire
  readonly #answers: Wire
  readonly #sources = new Map<Source<R>, LateSource<R>>()
  #memberId: string | undefined
  port!: MemberPort<R>
  /** Memberships as the member counts them, and as the group does: what was said to an earlier one is not heard. */
  #own = 0
  #groups = 0

  constructor(inner: MemoryEngine<R>, later: Later) {
    this.#inner = inner
    this.#later = later
    this.#requests = new Wire(later)
    this.#answers = new Wire(later)
    inner.port = this
  }

  get group(): string {
    return this.#inner.group
  }
  get memberId(): string | undefined {
    return this.#memberId
  }
  get instanceId(): string | undefined {
    return this.#inner.instanceId
  }
  get topics(): readonly string[] {
    return this.#inner.topics
  }
  get clock(): Clock {
    return this.#inner.clock
  }
  get options(): Readonly<ResolvedGroupOptions> {
    return this.#inner.options
  }
  get interceptor(): Engine<R>['interceptor'] {
    return this.#inner.interceptor
  }
  get generation(): number {
    return this.#inner.generation
  }
  get complete(): boolean {
    return this.#inner.complete && this.#asked === 0 && this.#answers.empty
  }

  // ── requests ──

  /** Requests on their way that are about membership; commits may be on theirs all the time. */
  #asked = 0
  #request(act: () => void): void {
    this.#asked++
    this.#requests.send(() => {
      this.#asked--
      act()
      // What the member waits for may be that nothing is on its way any more.
      this.#answer(() => this.port.granted([]))
    })
  }

  join(): void {
    this.#request(() => {
      try {
        this.#inner.join()
      } catch (error) {
        this.#answer(() => this.port.refused(error))
      }
    })
  }
  closing(): void {
    this.#request(() => this.#inner.closing())
  }
  release(sources: readonly Source<R>[]): void {
    const inner = sources.map(source => (source as LateSource<R>).inner)
    this.#request(() => this.#inner.release(inner))
  }
  leave(reason: 'closed' | 'expelled' | 'crashed', done?: () => void): void {
    this.#own++
    this.#request(() => {
      this.#groups++
      this.#inner.leave(reason)
      this.#later(() => done?.())
    })
  }
  commit(offsets: readonly NextOffset[], done: (error?: unknown) => void): void {
    const sources = [...this.#sources.values()]
    this.#requests.send(() =>
      this.#inner.commit(offsets, error => {
        this.#later(() => {
          if (error === undefined) for (const source of sources) source.knows(offsets)
          done(error)
        })
      }),
    )
  }
  exists(topic: string, partition: number): boolean {
    return this.#inner.exists(topic, partition)
  }
  changed(): void {
    this.#inner.changed()
  }
  reset(topic: string, partition: number, from: number, to: number): void {
    this.#inner.reset(topic, partition, from, to)
  }
  report(error: unknown): void {
    this.#inner.report(error)
  }

  // ── the group's word ──

  #answer(tell: () => void): void {
    const membership = this.#groups
    this.#answers.send(() => {
      if (membership === this.#own) tell()
    })
  }

  joined(): void {
    this.#answer(() => {
      this.#memberId = this.#inner.memberId
      this.port.joined()
    })
  }
  refused(error: unknown): void {
    this.#answer(() => this.port.refused(error))
  }
  granted(sources: readonly Source<R>[]): void {
    const late = sources.map(source => new LateSource(source, this.#later))
    sources.forEach((source, i) => {
      this.#sources.set(source, late[i]!)
    })
    this.#answer(() => this.port.granted(late))
  }
  wanted(sources: ReadonlySet<Source<R>>): void {
    const late = this.#lateOf(sources)
    this.#answer(() => this.port.wanted(new Set(late)))
  }
  lost(sources: readonly Source<R>[], error: unknown): void {
    const late = this.#lateOf(sources)
    this.#answer(() => this.port.lost(late, error))
  }
  failed(error: unknown): void {
    this.#answer(() => this.port.failed(error))
  }
  out(phase: 'expelled' | 'fenced', error: unknown): void {
    this.#answer(() => this.port.out(phase, error))
  }
  #lateOf(sources: Iterable<Source<R>>): LateSource<R>[] {
    return [...sources].flatMap(source => this.#sources.get(source) ?? [])
  }

  get idle(): boolean {
    return this.port.idle && this.#requests.empty && this.#answers.empty
  }
  returned(source: Source<R>): number | undefined {
    const late = this.#sources.get(source)
    return late && this.port.returned(late)
  }
  retrying(source: Source<R>): boolean {
    const late = this.#sources.get(source)
    return late !== undefined && this.port.retrying(late)
  }
  waitingFor(source: Source<R>): 'records' | 'callback' {
    const late = this.#sources.get(source)
    return late === undefined ? 'callback' : this.port.waitingFor(late)
  }
}

class LateSource<R extends AnyRecord> implements Source<R> {
  readonly topic: string
  readonly partition: number
  readonly inner: Source<R>
  readonly #later: Later
  /** Up to where has been fetched. */
  #fetched = 0
  #committed: number | undefined
  #waiter: Waiter | undefined
  /** Answers that have come, by question. */
  readonly #answers = new Map<string, { readonly offset?: number; readonly error?: unknown }>()
  readonly #asked = new Set<string>()

  constructor(inner: Source<R>, later: Later) {
    this.inner = inner
    this.topic = inner.topic
    this.partition = inner.partition
    this.#later = later
    this.#committed = inner.committed
  }

  get endOffset(): number {
    return this.#fetched
  }
  get committed(): number | undefined {
    return this.#committed
  }
  knows(offsets: readonly NextOffset[]): void {
    for (const { topic, partition, nextOffset } of offsets)
      if (topic === this.topic && partition === this.partition) this.#committed = nextOffset
  }

  read(offset: number, maxRecords: number, into: R[]): number {
    const before = into.length
    const next = this.inner.read(offset, Math.max(0, Math.min(maxRecords, this.#fetched - offset)), into)
    if (next === OUT_OF_RANGE || into.length > before || next > offset) return next
    return offset
  }
  raw(offset: number): R {
    return this.inner.raw(offset)
  }

  resolve(to: StartFrom | 'committed'): number | undefined {
    if (typeof to === 'number') return to
    const question = JSON.stringify(to)
    const answer = this.#answers.get(question)
    if (answer === undefined) {
      this.#ask(question, to)
      return undefined
    }
    this.#answers.delete(question)
    if (answer.offset === undefined) throw answer.error
    return answer.offset
  }
  #ask(question: string, to: StartFrom | 'committed'): void {
    if (this.#asked.has(question)) return
    this.#asked.add(question)
    this.#later(() => {
      this.#asked.delete(question)
      try {
        this.#answers.set(question, { offset: this.inner.resolve(to)! })
      } catch (error) {
        this.#answers.set(question, { error })
      }
      this.#tell()
    })
  }

  whenMore(waiter: Waiter): void {
    this.#waiter = waiter
    this.inner.forget(this)
    if (this.inner.endOffset > this.#fetched) this.available()
    else this.inner.whenMore(this)
  }
  forget(): void {
    this.#waiter = undefined
    this.inner.forget(this)
  }
  /** There is more in the log: it is here some turns later. */
  available(): void {
    this.#later(() => {
      this.#fetched = Math.max(this.#fetched, this.inner.endOffset)
      this.#tell()
    })
  }
  #tell(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.available()
  }
}

class LateGroup<R extends AnyRecord> extends InMemoryConsumerGroup<R> {
  later!: Later
  protected override connect(engine: MemoryEngine<R>): LateEngine<R> {
    return new LateEngine(engine, this.later)
  }
}

class LateBroker<Topics extends object, K extends Key> extends InMemoryBroker<Topics, K> {
  readonly #later: Later
  constructor(later: Later, options: BrokerOptions<Topics>) {
    super(options)
    this.#later = later
  }
  protected override makeGroup<R extends ConsumerRecord<unknown, Key>>(
    id: string,
    topics: readonly string[],
    resolved: ResolvedGroupOptions,
  ): InMemoryConsumerGroup<R> {
    const group = new LateGroup<R>(id, topics, resolved, this)
    group.later = this.#later
    return group
  }
}

/** A broker in memory whose groups answer after 0 to 3 turns of the event loop. */
export function lateBroker<Topics extends object = Record<string, unknown>, K extends Key = string>(
  seed: number,
  options: BrokerOptions<Topics> = {},
): MemoryBroker<Topics, K> {
  return new LateBroker<Topics, K>(turnsBySeed(seed, 3), options)
}
