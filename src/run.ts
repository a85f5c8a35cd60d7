import type { Activity } from './activity.js'
import { checkFunction, checkOptions, checkSignal, checkText, checkWhole, refuse } from './core/check.js'
import { isMillraceError, MillraceError } from './core/errors.js'
import { type AnyRecord, toDeadLetter } from './core/record.js'
import { type Entry, KeyedWindow, SingleWindow, type Window } from './core/window.js'
import { OUT_OF_RANGE } from './engine.js'
import { isThenable } from './interceptor.js'
import { closeTimeoutMs, type Member } from './member.js'
import { PollGate } from './poll-gate.js'
import type { Handler, HandlerContext, RunOptions } from './portable.js'
import type { Term } from './term.js'

type Work<R extends AnyRecord> = Entry<R, Term<R>>

/** What waits for a handler's promise. It is used again: closures for each record would cost as much as the rest of run(). */
interface Hand<R extends AnyRecord> {
  work: Work<R> | undefined
  readonly succeeded: () => void
  readonly failed: (error: unknown) => void
}

/** How many records of a partition beyond its first unfinished one may be taken, for each handler that may be at work. */
const aheadPerHandler = 16

/**
 * Calls a handler for each record: so many at once, equal keys in order, with retries and a dead letter topic, and commits
 * never past what is unfinished (groups.md 1.8).
 */
export class Run<R extends AnyRecord> implements Activity {
  /** Settles when the consumer has left. */
  readonly done: Promise<void>

  readonly #member: Member<R>
  readonly #handler: Handler<R>
  readonly #concurrency: number
  readonly #ahead: number
  readonly #attempts: number
  readonly #backoffMs: (attempt: number) => number
  readonly #deadLetter: RunOptions<R>['deadLetter']
  readonly #signal: AbortSignal | undefined
  readonly #gate: PollGate<R>
  #resolve!: () => void
  #reject!: (error: unknown) => void

  /** Handlers, and dead letters on their way, that have not settled; also those whose term is over. */
  #atWork = 0
  /** As many as have been needed at once, and those of them that are free. */
  readonly #hands: Hand<R>[] = []
  readonly #freeHands: Hand<R>[] = []
  /** What has failed for good, while its dead letter is on its way. */
  readonly #burying = new Set<Work<R>>()
  /** What waits for its next attempt. */
  readonly #waiting = new Map<Work<R>, unknown>()
  #serving = false
  /** As of the last look for more. */
  #now = 0
  /** Why it can't go on. */
  #failure: { readonly error: unknown } | undefined
  /** It has asked for the close itself: by failure, by stop(), by the signal. */
  #asked = false
  readonly #stop = (): void => {
    this.#asked ||= !this.#member.closing
    this.#member.beginClose(closeTimeoutMs)
  }

  constructor(member: Member<R>, handler: Handler<R>, options: RunOptions<R>) {
    const { concurrency = 1, retry = { attempts: 1 }, deadLetter, signal } = options
    checkWhole('concurrency', concurrency, 1)
    checkOptions('retry', retry, ['attempts', 'backoffMs'])
    checkWhole('retry.attempts', retry.attempts, 1)
    const { backoffMs = 0 } = retry
    if (typeof backoffMs !== 'function') checkWhole('retry.backoffMs', backoffMs, 0)
    checkSignal(signal)
    if (deadLetter !== undefined) checkDeadLetter(deadLetter, member)
    this.#member = member
    this.#handler = handler
    this.#concurrency = concurrency
    this.#ahead = Math.max(member.engine.options.maxPollRecords, aheadPerHandler * concurrency)
    this.#attempts = retry.attempts
    this.#backoffMs = typeof backoffMs === 'function' ? backoffMs : () => backoffMs
    this.#deadLetter = deadLetter
    this.#signal = signal
    this.#gate = new PollGate(
      member.engine,
      () => this.serve(),
      error => this.fail(error),
    )
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    member.comeBack()
    member.activity = this
    signal?.addEventListener('abort', this.#stop)
    if (signal?.aborted) this.#stop()
    else member.pump()
  }

  get atWork(): number {
    return this.#atWork
  }
  get waiting(): number {
    return [...this.#waiting.keys()].filter(work => work.held).length
  }
  get since(): number | undefined {
    const atWork = [...this.#hands.map(({ work }) => work), ...this.#burying]
    const begun = atWork.flatMap(work => work?.begun ?? [])
    return begun.length === 0 ? undefined : Math.min(...begun)
  }

  /** Starts handlers one by one, everything looked at anew after each: its synchronous part may close, seek or pause. */
  serve(): void {
    if (this.#serving || this.#member.activity !== this) return
    const member = this.#member
    this.#serving = true
    this.#comeBack()
    let left = member.engine.options.maxPollRecords
    try {
      while (!this.#stopped() && this.#atWork < this.#concurrency && this.#gate.pass()) {
        const work = this.#next()
        if (work === undefined) {
          if (this.#atWork === 0) member.autoCommit.park()
          break
        }
        this.#start(work)
        this.#comeBack()
        // Handlers that return no promise must not keep the other consumers from their turn.
        if (--left === 0) {
          member.wake()
          break
        }
      }
    } catch (error) {
      this.fail(error)
    } finally {
      this.#serving = false
      member.engine.changed()
    }
  }

  /** It looks for more: an interval that is over is acted on. */
  #comeBack(): void {
    this.#now = this.#member.watch.now()
    this.#member.autoCommit.cameBack(this.#now)
  }

  #stopped(): boolean {
    const member = this.#member
    if (member.activity !== this) return true
    if (member.fenced && !member.callbackPending && !member.closing) this.fail(member.outError)
    else if (!member.callbackPending && !member.closing && this.#atWork === 0) {
      const thrown = member.takeError()
      if (thrown !== undefined) this.fail(thrown.error)
    }
    return member.blocked
  }

  /** The next record that may start, in the order of turns, then of offsets. */
  #next(): Work<R> | undefined {
    const { turns } = this.#member
    this.#member.positions.resolve()
    for (let term = turns.current(); term !== undefined; term = turns.current()) {
      const window = this.#windowOf(term)
      if (window === undefined) {
        turns.drop(term)
        continue
      }
      const work = window.next()
      if (work !== undefined) return work
      if (window.size >= (this.#concurrency === 1 ? 1 : this.#ahead)) turns.drop(term)
      else this.#takeInto(window, term)
    }
    return undefined
  }

  /** What is still at work from before a seek comes first: its keys may be those that follow. */
  #windowOf(term: Term<R>): Window<R, Term<R>> | undefined {
    if (term.window === undefined && term.atWork === 0)
      term.window = this.#concurrency === 1 ? new SingleWindow(term) : new KeyedWindow(term)
    return term.window
  }

  #takeInto(window: Window<R, Term<R>>, term: Term<R>): void {
    const { reach } = term
    let found: ReturnType<typeof term.fill>
    try {
      found = term.fill(Math.min(this.#member.engine.options.maxPollRecords, term.turnRecords))
    } catch (error) {
      // What can't be decoded fails in its handler's place, so that retry and dead letter apply.
      if (!isMillraceError(error, 'INVALID_RECORD')) throw error
      window.add(term.takeRaw(), reach, error)
      return
    }
    if (found === true) window.add(term.take(), reach)
    else if (found === OUT_OF_RANGE) this.#member.positions.outOfRange(term)
    else this.#member.positions.drained(term)
  }

  // ── one attempt ──

  #start(work: Work<R>): void {
    const member = this.#member
    const term = work.window.owner
    const { offset } = work
    if (term.position === undefined || term.position <= offset) term.position = offset + 1
    member.autoCommit.moved = true
    this.#hold(work)
    member.turns.took(term)
    work.state = 'working'
    work.attempts++
    this.#atWork++
    term.atWork++
    let result: unknown
    try {
      if (work.failure !== undefined) throw work.failure
      result = this.#call(work)
    } catch (error) {
      return this.#failed(work, error)
    }
    if (!isThenable(result)) return this.#over(work)
    work.begun = this.#now
    member.armInterval()
    const hand = this.#freeHands.pop() ?? this.#anotherHand()
    hand.work = work
    Promise.resolve(result).then(hand.succeeded, hand.failed)
  }

  #anotherHand(): Hand<R> {
    const free = (hand: Hand<R>): Work<R> => {
      const work = hand.work!
      hand.work = undefined
      this.#freeHands.push(hand)
      return work
    }
    const hand: Hand<R> = {
      work: undefined,
      succeeded: () => this.#over(free(hand)),
      failed: error => this.#failed(free(hand), error),
    }
    this.#hands.push(hand)
    return hand
  }

  #call(work: Work<R>): unknown {
    const { record, attempts, window } = work
    const context = new Attempt(this, work, this.#stop)
    const { engine } = this.#member
    const { interceptor, group, memberId } = engine
    if (interceptor.handle === undefined) return this.#handler(record, context)
    return interceptor.handle({ group, memberId, record, attempt: attempts }, () => {
      // It may have taken its time.
      if (window.owner.ended) throw window.owner.reason
      return this.#handler(record, context)
    })
  }

  /** Finished for good: its key goes on, and the consumer comes back. */
  #over(work: Work<R>): void {
    work.finished = true
    work.window.over(work)
    this.#letGo(work)
  }

  /** Not with a handler any more. A handler whose term is over, or was sought away, counts for nothing (groups.md 45, 26). */
  #letGo(work: Work<R>): void {
    const member = this.#member
    const term = work.window.owner
    this.#atWork--
    term.atWork--
    work.begun = undefined
    if (work.state !== 'waiting') this.#unhold(work)
    if (!term.ended) {
      term.comeBack()
      if (work.window === term.window || term.atWork === 0) member.turns.add(term)
    }
    this.serve()
  }

  #failed(work: Work<R>, error: unknown): void {
    const { window } = work
    const term = window.owner
    if (term.ended) return this.#letGo(work)
    const last = window.detached || work.attempts >= this.#attempts
    if (!last) return this.#tryAgain(work, error)
    if (this.#deadLetter === undefined) return this.#giveUp(work, error)
    this.#bury(work, error)
  }

  #tryAgain(work: Work<R>, error: unknown): void {
    const term = work.window.owner
    let wait: number
    try {
      wait = this.#backoffMs(work.attempts)
      if (typeof wait !== 'number' || !(wait >= 0))
        refuse('retry.backoffMs', wait, 'a function to milliseconds of at least 0')
    } catch (thrown) {
      return this.#giveUp(work, thrown === error ? error : thrown)
    }
    if (wait === 0 || this.#mustGiveWay(term)) {
      this.#goBack(work)
      return this.#letGo(work)
    }
    const { clock } = this.#member.engine
    // It stays held while it waits: its partition moves only when it has gone back.
    work.state = 'waiting'
    this.#waiting.set(
      work,
      clock.setTimeout(() => {
        this.#callOff(work)
        this.serve()
      }, wait),
    )
    this.#letGo(work)
  }

  /** It is to be handed out again: in place, before all that comes after it. */
  #goBack(work: Work<R>): void {
    const term = work.window.owner
    if (!work.finished) term.position = Math.min(term.position ?? work.offset, work.offset)
    work.window.again(work)
    this.#member.turns.add(term)
  }

  #mustGiveWay(term: Term<R>): boolean {
    return this.#member.closing || term.wanted || term.ended || this.#member.callbackDue
  }

  giveWay(): void {
    for (const work of [...this.#waiting.keys()])
      if (work.window.detached || this.#mustGiveWay(work.window.owner)) this.#callOff(work)
  }

  #callOff(work: Work<R>): void {
    const timer = this.#waiting.get(work)
    this.#waiting.delete(work)
    this.#member.engine.clock.clearTimeout(timer)
    this.#unhold(work)
    if (!work.window.detached) return this.#goBack(work)
    const term = work.window.owner
    if (term.held === 0) term.comeBack()
    this.#member.turns.add(term)
  }

  // ── failed for good ──

  #bury(work: Work<R>, error: unknown): void {
    const { group } = this.#member.engine
    let written: unknown
    try {
      // From where it was, whatever its handler has made of it.
      const { topic, partition } = work.window.owner
      const record = { ...work.record, topic, partition, offset: work.offset }
      const letter = toDeadLetter(record, { error, group, attempts: work.attempts })
      written = this.#deadLetter!.publish(letter as Parameters<NonNullable<RunOptions<R>['deadLetter']>['publish']>[0])
    } catch (refused) {
      return this.#giveUp(work, refused)
    }
    if (!isThenable(written)) return this.#buried(work)
    // The attempt is at work until it has arrived, also of a handler that threw at once (groups.md 39).
    work.begun ??= this.#now
    this.#member.armInterval()
    this.#burying.add(work)
    Promise.resolve(written).then(
      () => {
        this.#burying.delete(work)
        this.#buried(work)
      },
      refused => {
        this.#burying.delete(work)
        if (work.window.owner.ended) this.#letGo(work)
        else this.#giveUp(work, refused)
      },
    )
  }

  #buried(work: Work<R>): void {
    const term = work.window.owner
    if (!term.ended && !work.window.detached) this.#commitBuried(work, term)
    this.#over(work)
  }

  /** Rule 32: in manualCommit mode too, unless a record that still exists lies between it and what is committed. */
  #commitBuried(work: Work<R>, term: Term<R>): void {
    const { offset, reach, window } = work
    if (this.#member.engine.options.commitMode !== 'manualCommit') return
    const committed = term.source.committed ?? term.startedAt ?? 0
    if (committed < reach || committed > offset) return
    const { topic, partition } = term
    this.#member
      .commit([{ topic, partition, nextOffset: window.nextAskedAfter(work) }])
      .catch(error => this.#member.engine.report(error))
  }

  /** Position and what auto-commit writes go back to the failed record, or close() would commit it (groups.md 47). */
  #giveUp(work: Work<R>, cause: unknown): void {
    const { offset, window, attempts } = work
    const term = window.owner
    work.state = 'queued'
    if (!window.detached && !work.finished) term.position = Math.min(term.position ?? offset, offset)
    const { topic, partition } = term
    this.fail(new MillraceError('HANDLER_FAILED', { topic, partition, offset, attempts }, { cause }))
    this.#letGo(work)
  }

  /** The consumer closes, once those in flight have finished; then done rejects. */
  fail(error: unknown): void {
    if (this.#failure === undefined) this.#failure = { error }
    else this.#member.engine.report(error)
    this.#stop()
  }

  closing(): void {
    this.giveWay()
  }

  over(errors: readonly unknown[]): readonly unknown[] {
    this.#signal?.removeEventListener('abort', this.#stop)
    for (const timer of this.#waiting.values()) this.#member.engine.clock.clearTimeout(timer)
    this.#waiting.clear()
    this.#gate.stop()
    const [first, ...rest] = this.#failure === undefined && this.#asked ? errors : []
    if (this.#failure !== undefined) this.#reject(this.#failure.error)
    else if (first !== undefined) this.#reject(first)
    else this.#resolve()
    if (!this.#asked) return errors
    for (const error of first === undefined ? errors : rest) this.#member.engine.report(error)
    return []
  }

  /** context.commit(): refused with why the term of its record is over, if it is. */
  async commitWork(work: Work<R>): Promise<void> {
    const term = work.window.owner
    if (term.ended) throw this.#member.outError ?? term.reason
    work.finished = true
    work.asked = true
    const { topic, partition } = term
    await this.#member.commit([{ topic, partition, nextOffset: work.window.nextOffset }])
    // Finished: what its handler still does holds nothing up (groups.md 1.0).
    this.#unhold(work)
    if (!term.ended) term.comeBack()
    this.#member.wake()
    this.#member.engine.changed()
  }

  #hold(work: Work<R>): void {
    if (!work.held) this.#member.hold(work.window.owner)
    work.held = true
  }
  #unhold(work: Work<R>): void {
    if (work.held) this.#member.letGo(work.window.owner)
    work.held = false
  }
}

/** What one call of the handler is given. Its parts are made when they are asked for: most handlers ask for none. */
class Attempt<R extends AnyRecord> implements HandlerContext {
  readonly attempt: number
  readonly stop: () => void
  readonly #run: Run<R>
  readonly #work: Work<R>

  constructor(run: Run<R>, work: Work<R>, stop: () => void) {
    this.#run = run
    this.#work = work
    this.attempt = work.attempts
    this.stop = stop
  }
  get commit(): () => Promise<void> {
    return () => this.#run.commitWork(this.#work)
  }
  get signal(): AbortSignal {
    return this.#work.window.owner.signal
  }
}

function checkDeadLetter<R extends AnyRecord>(
  deadLetter: NonNullable<RunOptions<R>['deadLetter']>,
  member: Member<R>,
): void {
  checkOptions('deadLetter', deadLetter)
  checkText('deadLetter.name', deadLetter.name)
  checkFunction('deadLetter.publish', deadLetter.publish)
  if (member.topics.includes(deadLetter.name))
    refuse('deadLetter', deadLetter.name, 'a topic that this consumer does not read')
}
