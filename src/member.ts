import type { Activity } from './activity.js'
import { AutoCommit } from './auto-commit.js'
import { Commits, type Committer } from './commits.js'
import { MillraceError } from './core/errors.js'
import type { AnyRecord, NextOffset, TopicPartition } from './core/record.js'
import type { Engine, MemberPort, Source } from './engine.js'
import { inOrder, Listeners, type PartitionsAct } from './listeners.js'
import { PollInterval } from './poll-interval.js'
import type { Consumer, JoinOptions } from './portable.js'
import { Positions } from './positions.js'
import { soon } from './soon.js'
import { Term } from './term.js'
import { Turns } from './turns.js'
import { Watch } from './watch.js'

/** Kafka: KafkaConsumer.close()'s default. */
export const closeTimeoutMs = 30_000

/**
 * One member's part in its group: what it owns, which callbacks are due, when it is safe to give a partition up, how it is
 * expelled and comes back, and how it leaves (groups.md 1.2, 1.3, 1.9). The consumer hands out what this allows it to.
 */
export class Member<R extends AnyRecord> implements MemberPort<R>, Committer<R> {
  readonly engine: Engine<R>
  readonly turns: Turns<R>
  readonly watch: Watch
  readonly autoCommit: AutoCommit<R>
  readonly positions: Positions<R>
  activity: Activity | undefined
  /** close() has been called, or crash(). */
  closing = false

  /** What it subscribes to. */
  readonly topics: readonly string[]
  readonly #listeners: Listeners<R>
  readonly #commits: Commits<R>
  readonly #interval: PollInterval
  readonly #terms = new Map<string, Term<R>>()
  #phase: 'joining' | 'live' | 'expelled' | 'fenced' | 'gone' = 'joining'
  /** Why it is out: what commit() and ready() reject with. */
  #out: unknown
  #assignment: readonly TopicPartition[] | undefined
  /** The generation of its latest grant. */
  #assignedIn = 0

  /** The terms of the records in the user's hands since the last poll or step. */
  #handed: Term<R>[] = []
  /** Records in the user's hands, over all terms that live. */
  #held = 0
  #lastBack = 0

  /** Something of rules 10 to 19 may be left to do: nothing is handed out before a pass has looked. */
  #unsettled = false
  #passing = false
  #again = false
  #serveDue = false
  #rejoining = false
  #crashed = false
  /** A callback whose microtask has not come, or that runs. */
  #callback: 'due' | PartitionsAct | undefined
  #callbackSince = 0
  /** onAssigned has not been called since the last (re)join. */
  #welcome = false
  /** Partitions that are gone, for onLost. */
  #lost: TopicPartition[] = []
  /** What callbacks threw, until a call reports it. */
  #errors: unknown[] = []
  /** Of these, what the engine told it last: no failure of a close. */
  #refusal: unknown
  #ready: { resolve: () => void; reject: (error: unknown) => void }[] = []
  readonly #left = new Deferred()
  #deadline: unknown

  constructor(engine: Engine<R>, listeners: JoinOptions<R>, consumer: Consumer<R>) {
    const { clock, options } = engine
    this.engine = engine
    this.topics = engine.topics
    this.#listeners = new Listeners(
      engine,
      listeners,
      consumer,
      error => this.#keepError(error),
      () => this.gone,
    )
    this.#commits = new Commits(engine, this)
    this.turns = new Turns(options.maxPollRecords)
    this.watch = new Watch(clock)
    this.#interval = new PollInterval(
      clock,
      options.maxPollIntervalMs,
      () => this.#since,
      () => this.expel(),
    )
    this.autoCommit = new AutoCommit(
      engine,
      this.watch,
      () => this.#terms.values(),
      () => this.activity?.atWork === 0 && !this.callbackRuns,
      (offsets, then) => this.#commits.commitQuietly(offsets, then),
    )
    this.positions = new Positions(engine, this.turns, this.autoCommit, () => this.#terms.values())
  }

  // ── what it owns ──

  term(topic: string, partition: number): Term<R> | undefined {
    return this.#terms.get(`${topic}-${partition}`)
  }
  get terms(): Iterable<Term<R>> {
    return this.#terms.values()
  }
  #termOf(source: Source<R>): Term<R> | undefined {
    const term = this.term(source.topic, source.partition)
    return term?.source === source ? term : undefined
  }
  get assignment(): readonly TopicPartition[] {
    this.#assignment ??= Object.freeze(inOrder([...this.#terms.values()]))
    return this.#assignment
  }
  get live(): boolean {
    return this.#phase === 'live'
  }
  get fenced(): boolean {
    return this.#phase === 'fenced'
  }
  /** It has left, or crashed. */
  get gone(): boolean {
    return this.#phase === 'gone'
  }
  get outError(): unknown {
    return this.#out
  }

  // ── records in the user's hands ──

  hold(term: Term<R>): void {
    term.held++
    this.#held++
  }
  letGo(term: Term<R>): void {
    term.held--
    if (term.ended) this.#unsettled ||= !this.live
    else {
      this.#held--
      this.#unsettled ||= term.wanted || this.closing
    }
  }

  /** Records of this term go to a caller of poll() or next(), who holds them until it comes back. */
  handOut(term: Term<R>): void {
    this.autoCommit.moved = true
    if (term.held > 0) return
    this.hold(term)
    this.#handed.push(term)
  }

  /** How to take back what has just been handed out, if it does not reach its caller: it will be handed out again. */
  handedOut(records: readonly R[]): () => void {
    const places = this.#handed.map(term => {
      const first = records.find(({ topic, partition }) => topic === term.topic && partition === term.partition)
      return { term, from: first?.offset ?? term.position, to: term.position }
    })
    return () => {
      for (const { term, from, to } of places) {
        // Unless it was sought meanwhile, lost, or finished by a close.
        if (!this.#handed.includes(term)) continue
        if (!term.ended && term.position === to && from !== undefined) term.goBackTo(from)
        this.#handed.splice(this.#handed.indexOf(term), 1)
        this.letGo(term)
        this.turns.add(term)
      }
      this.pump()
    }
  }

  /** A poll or a step begins: what was handed out is finished, and an auto-commit may be due (groups.md 33a). */
  comeBack(): void {
    const now = this.watch.now()
    this.#lastBack = now
    if (this.#handed.length > 0) this.#finishHanded()
    this.autoCommit.cameBack(now)
  }
  #finishHanded(): void {
    for (let term = this.#handed.pop(); term !== undefined; term = this.#handed.pop()) {
      this.letGo(term)
      term.comeBack()
    }
    this.engine.changed()
  }
  /** It goes off with records: from here on the interval counts. */
  goOff(waited: boolean): void {
    if (!this.live || this.closing) return
    if (waited) this.#lastBack = this.watch.now()
    this.#interval.arm()
  }
  /** A handler has begun: the interval counts from there. */
  armInterval(): void {
    this.#interval.arm()
  }
  get #since(): number | undefined {
    if (this.activity === undefined) return this.#lastBack
    return this.callbackRuns ? this.#callbackSince : this.activity.since
  }

  /** The position of a term has been given a new target. */
  retarget(term: Term<R>): void {
    this.positions.lookFor(term)
    this.autoCommit.moved = true
    this.pump()
  }

  // ── what the engine tells ──

  joined(): void {
    this.#phase = 'live'
    this.#out = undefined
    this.#rejoining = false
    this.#welcome = this.#listeners.has('assign')
    this.#lastBack = this.engine.clock.now()
    this.#interval.arm()
    this.#changed()
  }

  refused(error: unknown): void {
    this.#rejoining = false
    this.#out = error
    this.#phase = 'expelled'
    // Whoever waits for it to be ready is told; else the next call that can tell. To close it is no failure.
    if (this.#ready.length === 0 || this.activity !== undefined) this.#errors.push(error)
    this.#refusal = error
    this.#rejectReady(error)
    this.#changed()
  }

  failed(error: unknown): void {
    // What comes again and again while nobody asks is told once.
    if (this.closing || this.#errors.includes(this.#refusal)) return
    this.#refusal = error
    this.#errors.push(error)
    this.wake()
  }

  granted(sources: readonly Source<R>[]): void {
    for (const source of sources) {
      const term = new Term(source, this.#more)
      term.announced = !this.#listeners.has('assign')
      this.#terms.set(`${source.topic}-${source.partition}`, term)
      this.positions.lookFor(term)
    }
    this.#assignment = undefined
    this.#assignedIn = this.engine.generation
    if (!this.#listeners.has('assign')) this.#assignQuietly(sources)
    this.#changed()
  }
  #assignQuietly(sources: readonly Source<R>[]): void {
    const terms = this.#assigning(sources.map(source => this.#termOf(source)!))
    this.#listeners.pass('assign', terms, () => {
      this.#assigned(terms)
      this.#tellReady()
      this.wake()
    })
  }
  readonly #more = (term: Term<R>): void => {
    this.turns.add(term)
    this.wake()
  }

  wanted(sources: ReadonlySet<Source<R>>): void {
    for (const term of this.#terms.values()) {
      if (term.leaving) continue
      // Rule 6: a move that is called off leaves position, pause and term as they were.
      if (term.wanted && !sources.has(term.source)) this.turns.add(term)
      term.wanted = sources.has(term.source)
    }
    this.#changed()
  }

  lost(sources: readonly Source<R>[], error: unknown): void {
    this.#loseAll(
      sources.flatMap(source => this.#termOf(source) ?? []),
      error,
    )
    this.#changed()
  }
  #loseAll(terms: readonly Term<R>[], error: unknown): void {
    const told = terms.filter(term => this.#lose(term, error))
    if (!this.#listeners.has('lose')) this.#listeners.pass('lose', told, () => {})
  }

  out(phase: 'expelled' | 'fenced', error: unknown): void {
    if (this.gone || this.fenced) return
    this.#goOut(phase, error)
    this.#changed()
  }
  #goOut(phase: 'expelled' | 'fenced', error: unknown): void {
    this.#phase = phase
    this.#out = error
    this.#loseAll([...this.#terms.values()], error)
    this.#interval.stop()
    this.autoCommit.stop()
    this.watch.stop()
    this.#rejectReady(error)
  }

  get idle(): boolean {
    if (this.gone) return true
    if (this.#callback !== undefined || this.#serveDue || this.#rejoining) return false
    const { atWork = 0, waiting = 0 } = this.activity ?? {}
    // On a clock that moves only when told, a back-off waits for somebody to move it (groups.md 58).
    return atWork === 0 && this.#held === (this.engine.clock.manual ? waiting : 0)
  }
  returned(source: Source<R>): number | undefined {
    return this.#termOf(source)?.returned
  }
  retrying(source: Source<R>): boolean {
    return this.#termOf(source)?.window?.waiting ?? false
  }
  waitingFor(source: Source<R>): 'records' | 'callback' {
    const held = this.#listeners.has('revoke') ? this.#held : (this.#termOf(source)?.held ?? 0)
    return held > 0 && !this.callbackRuns ? 'records' : 'callback'
  }

  // ── the pass: whatever is due, as soon as it is safe (groups.md 4, 10 to 19, 50) ──

  #changed(): void {
    this.#unsettled = true
    this.pump()
  }

  pump(): void {
    this.#settle()
    this.wake()
  }

  /** Idempotent; a request from inside only sets "again". Wakes nobody, or looking would be a reason to look again. */
  #settle(): void {
    if (this.#passing) {
      this.#again = true
      return
    }
    this.#passing = true
    try {
      do {
        this.#again = false
        this.#pass()
      } while (this.#again)
    } finally {
      this.#passing = false
    }
    this.engine.changed()
  }

  #pass(): void {
    if (this.gone || this.#phase === 'joining') return
    this.activity?.giveWay()
    this.#giveUpQuietly()
    if (this.#callback !== undefined) return
    if (this.#nothingAtWork) {
      if (this.#dueCallback() !== undefined) {
        this.#callback = 'due'
        soon(() => this.#startCallback())
        return
      }
      if (this.closing && this.#terms.size === 0) return this.#leave('closed')
      // Why it was refused is told before it is tried again.
      if (this.#phase === 'expelled' && this.activity !== undefined && !this.closing && this.#errors.length === 0)
        this.#rejoin()
    }
    this.#tellReady()
    this.#unsettled = this.closing || !this.live || this.#lost.length > 0 || this.#dueCallback() !== undefined
  }

  /** The activity is served in a microtask, once however often it is woken. */
  wake(): void {
    if (this.#serveDue || this.activity === undefined) return
    this.#serveDue = true
    soon(this.#serve)
  }
  readonly #serve = (): void => {
    this.#serveDue = false
    this.activity?.serve()
    this.engine.changed()
  }

  /** What a pass would do is done first; then whether records may be handed out (groups.md 11, 16). */
  get blocked(): boolean {
    if (this.#unsettled) this.#settle()
    return this.#unsettled || this.#callback !== undefined || this.closing || this.#errors.length > 0
  }
  /** A callback is due, and waits for what is at work: nothing new is started, retries give way. */
  get callbackDue(): boolean {
    return this.#dueCallback() !== undefined
  }
  /** A callback runs or will. */
  get callbackPending(): boolean {
    return this.#callback !== undefined || this.#lost.length > 0
  }
  get callbackRuns(): boolean {
    return this.#callback !== undefined && this.#callback !== 'due'
  }
  get #nothingAtWork(): boolean {
    return this.#held === 0 && (this.activity?.atWork ?? 0) === 0
  }

  /** Rules 13 and 14: without an onRevoked, or before onAssigned has named it, a partition goes as soon as it is not held. */
  #giveUpQuietly(): void {
    const quiet = !this.#listeners.has('revoke')
    const going: Term<R>[] = []
    for (const term of this.#terms.values()) {
      if (!(term.wanted || this.closing) || term.leaving || term.held > 0) continue
      if (quiet || !term.announced) going.push(term)
    }
    if (going.length > 0) this.#commitAndRelease(going)
  }
  #commitAndRelease(terms: readonly Term<R>[]): void {
    for (const term of terms) term.leaving = true
    const told = terms.filter(term => term.announced)
    this.autoCommit.commitThen(() => this.#listeners.pass('revoke', told, () => this.#release(terms)))
  }
  #release(terms: readonly Term<R>[]): void {
    const living = terms.filter(term => !term.ended)
    if (living.length === 0) return
    const stale = this.#stale()
    for (const term of living) this.#endTerm(term, stale)
    this.engine.release(living.map(term => term.source))
    this.#changed()
  }

  /** The term is over without its owner having been asked. Rule 19: what onRevoked has been told is not named again. */
  #lose(term: Term<R>, error: unknown): boolean {
    const told = term.announced && !term.leaving
    if (told && this.#listeners.has('lose')) this.#lost.push({ topic: term.topic, partition: term.partition })
    this.#endTerm(term, () => error)
    return told
  }
  #endTerm(term: Term<R>, why: () => unknown): void {
    this.#terms.delete(`${term.topic}-${term.partition}`)
    this.#assignment = undefined
    this.#held -= term.held
    this.turns.drop(term)
    term.end(why)
  }
  staleError(): MillraceError {
    return this.#stale()()
  }
  /** As of now, however late it is asked for. */
  #stale(): () => MillraceError {
    const { group, generation: current } = this.engine
    const generation = this.#assignedIn
    let error: MillraceError | undefined
    return () => {
      error ??= new MillraceError('ILLEGAL_GENERATION', { group, generation, current })
      return error
    }
  }

  // ── callbacks ──

  #dueCallback(): PartitionsAct | undefined {
    if (this.#lost.length > 0 && (this.activity !== undefined || this.closing)) return 'lose'
    if (!this.live) return undefined
    let fresh = this.#welcome
    for (const term of this.#terms.values()) {
      if (term.leaving) continue
      if (!term.announced) fresh ||= !term.wanted
      else if ((term.wanted || this.closing) && this.#listeners.has('revoke')) return 'revoke'
    }
    return fresh && !this.closing ? 'assign' : undefined
  }

  #startCallback(): void {
    this.#callback = undefined
    if (this.gone) return
    const act = this.#nothingAtWork ? this.#dueCallback() : undefined
    if (act === undefined) return this.#changed()
    this.#callback = act
    this.#callbackSince = this.engine.clock.now()
    this.#interval.arm()
    if (act === 'revoke') this.autoCommit.commitThen(() => this.#callRevoked())
    else if (act === 'assign') this.#callAssigned()
    else this.#call('lose', this.#lost.splice(0), () => {})
  }

  #callAssigned(): void {
    const terms = [...this.#terms.values()].filter(term => !term.announced && !term.wanted && !term.leaving)
    this.#welcome = false
    for (const term of terms) term.announced = true
    this.#call('assign', this.#assigning(terms), () => this.#assigned(terms))
  }
  #assigning(terms: readonly Term<R>[]): readonly Term<R>[] {
    for (const term of terms) term.assigning = true
    return terms
  }
  #assigned(terms: readonly Term<R>[]): void {
    for (const term of terms) {
      term.assigning = false
      if (!term.ended) this.turns.add(term)
    }
  }

  #callRevoked(): void {
    const terms = [...this.#terms.values()].filter(
      term => (term.wanted || this.closing) && term.announced && !term.leaving,
    )
    // A commit that took its time: meanwhile the move may have been called off, or the member expelled.
    if (!this.live || terms.length === 0) return this.#callbackOver()
    for (const term of terms) term.leaving = true
    this.#call('revoke', terms, () => this.#release(terms))
  }

  /** "Over" and its bookkeeping are one block: nothing may come between them. */
  #call(act: PartitionsAct, partitions: readonly TopicPartition[], then: () => void): void {
    this.#listeners.call(act, inOrder(partitions), () => {
      if (!this.gone) then()
      this.#callbackOver()
    })
  }

  /** To be told by the next call that can; who has left is not asked any more, and a killed process tells nobody. */
  #keepError(error: unknown): void {
    if (!this.gone) this.#errors.push(error)
    else if (!this.#crashed) this.engine.report(error)
  }

  #callbackOver(): void {
    this.#callback = undefined
    if (!this.gone) this.#changed()
  }

  /** What a callback threw, once. */
  takeError(): { readonly error: unknown } | undefined {
    return this.#errors.length > 0 ? { error: this.#errors.shift() } : undefined
  }

  // ── joining, expulsion, and the way back ──

  /** Throws what the engine throws, with nothing changed. */
  join(): void {
    this.engine.join()
  }

  expel(): void {
    if (!this.live) return
    this.#goOut('expelled', this.#unknown())
    this.engine.leave('expelled')
    this.#changed()
  }

  #rejoin(): void {
    if (this.#rejoining) return
    this.#rejoining = true
    try {
      this.engine.join()
    } catch (error) {
      this.#rejoining = false
      this.activity?.fail(error)
    }
  }

  #unknown(): MillraceError {
    return new MillraceError('UNKNOWN_MEMBER_ID', {
      group: this.engine.group,
      memberId: this.engine.memberId ?? '(none yet)',
    })
  }

  ready(): Promise<void> {
    if (this.fenced) return Promise.reject(this.#out)
    if (this.closing) return Promise.reject(this.closedError())
    if (this.#out !== undefined) return Promise.reject(this.#out)
    return new Promise((resolve, reject) => {
      this.#ready.push({ resolve, reject })
      this.#tellReady()
    })
  }
  #tellReady(): void {
    if (this.#ready.length === 0 || !this.live || this.closing || !this.engine.complete) return
    if (this.#callback !== undefined || this.#dueCallback() !== undefined) return
    for (const term of this.#terms.values()) if (term.wanted || !term.settled) return
    for (const { resolve } of this.#ready.splice(0)) resolve()
  }
  #rejectReady(error: unknown): void {
    for (const { reject } of this.#ready.splice(0)) reject(error)
  }

  // ── leaving ──

  closedError(): MillraceError<'CLOSED'> {
    const { group, memberId } = this.engine
    return new MillraceError('CLOSED', { what: `Consumer ${memberId ?? '(not joined yet)'} of group ${group}` })
  }

  /** Settles when it has left. A call that a callback may be awaiting does not wait: it would wait for itself. */
  close(timeoutMs: number): Promise<void> {
    const first = !this.closing
    const inside = this.#listeners.calling || (!first && this.callbackRuns)
    if (first) this.beginClose(timeoutMs)
    // A promise of its own for each caller, so that a rejection that nobody handles is seen.
    if (!inside) return this.#left.promise.then()
    if (first) this.#left.promise.catch(error => this.engine.report(error))
    return Promise.resolve()
  }
  /** When it has left. */
  get left(): Promise<void> {
    return this.#left.promise
  }

  beginClose(timeoutMs: number): void {
    if (!this.closing) this.markClosing()
    this.finishClose(timeoutMs)
  }

  /** Hands out nothing more. broker.close() marks all its consumers before the first of them leaves. */
  markClosing(): void {
    this.closing = true
    // Who polled has come back by calling close(); the record in hand of a loop has not (groups.md 50).
    if (this.handsByPoll) this.#finishHanded()
    for (const term of this.#handed.splice(0)) this.letGo(term)
    this.#rejectReady(this.closedError())
    this.activity?.closing()
  }
  /** The records in the user's hands came from a poll, not from a step of an iterator. */
  handsByPoll = true

  finishClose(timeoutMs: number): void {
    if (this.gone || this.#deadline !== undefined) return
    this.#deadline = this.engine.clock.setTimeout(() => this.#outOfTime(timeoutMs), timeoutMs)
    if (this.live || this.#phase === 'joining') this.engine.closing()
    this.#changed()
  }

  #outOfTime(timeoutMs: number): void {
    const { group, memberId } = this.engine
    const what = `close() of consumer ${memberId ?? ''} of group ${group}, which waits for its handlers and callbacks (a handler must not await it, but call context.stop()),`
    const error = new MillraceError('REQUEST_TIMED_OUT', { what, timeoutMs })
    this.#errors.push(error)
    if (this.gone) return this.#over()
    // What is finished is committed, but not waited for any more.
    this.autoCommit.commitThen(() => {})
    this.#leave('closed', error)
    this.#over()
  }

  crash(): void {
    if (this.gone) return this.#over()
    this.closing = true
    this.#crashed = true
    this.#errors.length = 0
    this.#rejectReady(this.closedError())
    this.#leave('crashed')
  }

  #leave(reason: 'closed' | 'crashed', why?: unknown): void {
    if (!this.fenced) this.#out = this.#unknown()
    this.#phase = 'gone'
    const end = why ?? this.#out
    for (const term of [...this.#terms.values()]) this.#endTerm(term, () => end)
    this.#interval.stop()
    this.autoCommit.stop()
    this.watch.stop()
    this.engine.leave(reason, () => this.#over())
    if (reason === 'crashed') this.#over()
  }

  /** It has left, and the group has heard it; or it is not waited for any longer. */
  #over(): void {
    if (this.#deadline !== undefined) this.engine.clock.clearTimeout(this.#deadline)
    const { activity } = this
    this.activity = undefined
    // A listener that throws the same error each time has failed once.
    const errors = [...new Set(this.#errors.splice(0))].filter(error => error !== this.#refusal)
    const untold = activity?.over(errors) ?? errors
    if (untold.length === 0) this.#left.resolve()
    else if (untold.length === 1) this.#left.reject(untold[0])
    else this.#left.reject(new AggregateError(untold, `${untold.length} errors while a consumer closed`))
    this.engine.changed()
  }

  // ── commits ──

  commit(offsets: readonly NextOffset[]): Promise<void> {
    return this.#commits.commit(offsets)
  }

  /** Every position or, where that would cover what is in the hands of others, all that is finished (groups.md 31). */
  commitAll(finishedOnly: boolean): Promise<void> {
    const offsets: NextOffset[] = []
    for (const term of this.#terms.values()) {
      const nextOffset = finishedOnly || this.callbackRuns || this.closing ? term.finished : term.position
      if (nextOffset !== undefined) offsets.push({ topic: term.topic, partition: term.partition, nextOffset })
    }
    return this.commit(offsets)
  }
}

/** A promise and the means to settle it; one that nobody waits for may reject unheard. */
class Deferred {
  resolve!: () => void
  reject!: (error: unknown) => void
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
  constructor() {
    this.promise.catch(() => {})
  }
}
