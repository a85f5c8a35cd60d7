import { Closing } from './async-dispose.js'
import { checkFunction, checkOptions, checkPlace, checkSignal, checkTopicPartitions, checkWhole } from './core/check.js'
import { MillraceError, show } from './core/errors.js'
import {
  type AnyRecord,
  checkOffset,
  checkStart,
  type NextOffset,
  type StartFrom,
  type TopicPartition,
} from './core/record.js'
import { type Engine, OUT_OF_RANGE } from './engine.js'
import { notProceeded, thenAtOnce } from './interceptor.js'
import { closeTimeoutMs, Member } from './member.js'
import type { CloseOptions, Consumer, Handler, JoinOptions, PollOptions, RunOptions } from './portable.js'
import { Run } from './run.js'
import type { Term } from './term.js'
import { Wait } from './wait.js'

const pollOptions = ['maxRecords', 'timeoutMs', 'signal']
const noOptions: PollOptions = {}

/** Polls, iterates, runs, commits and seeks, over any engine: what Kafka's consumer does on its own side of the wire. */
export class EngineConsumer<R extends AnyRecord> extends Closing implements Consumer<R> {
  readonly #member: Member<R>
  #loop: Loop<R> | undefined
  /** An interceptor has not answered the latest poll or step yet, though it may have been given its records. */
  #answering = false

  constructor(engine: Engine<R>, options: JoinOptions<R>) {
    super()
    this.#member = new Member<R>(engine, options, this)
  }

  /** Its part in the group: of the library, not of its users. */
  static memberOf<R extends AnyRecord>(consumer: EngineConsumer<R>): Member<R> {
    return consumer.#member
  }

  get memberId(): string | undefined {
    return this.#member.engine.memberId
  }
  get assignment(): readonly TopicPartition[] {
    return this.#member.assignment
  }
  get paused(): readonly TopicPartition[] {
    return this.#member.assignment.filter(({ topic, partition }) => this.#member.term(topic, partition)?.paused)
  }
  get closed(): boolean {
    return this.#member.closing
  }

  ready(): Promise<void> {
    return this.#member.ready()
  }

  // ── handing out ──

  poll(options?: PollOptions): Promise<R[]> {
    try {
      checkOptions('poll options', options, pollOptions)
      const { maxRecords = this.#member.engine.options.maxPollRecords, timeoutMs, signal } = options ?? noOptions
      checkWhole('maxRecords', maxRecords, 1)
      if (timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY) checkWhole('timeoutMs', timeoutMs, 0)
      checkSignal(signal)
      this.#checkFree()
      signal?.throwIfAborted()
      const take = (): R[] | undefined => this.#collect(maxRecords)
      return this.#handOut(take, [], timeoutMs, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<R, undefined> {
    return new Loop(this)
  }

  /** A step of a loop. */
  step(loop: Loop<R>): Promise<IteratorResult<R, undefined>> {
    if (this.#loop === loop && this.#handsOut) return Promise.reject(this.#concurrent())
    try {
      if (this.#loop !== loop) this.#checkFree()
      this.#loop = loop
      const step = this.#handOut(this.#takeStep, done)
      // A rejection ends a for await without a call of return().
      if (this.#member.activity !== undefined || this.#member.engine.interceptor.poll !== undefined)
        step.catch(() => this.leave(loop))
      return step
    } catch (error) {
      this.leave(loop)
      return Promise.reject(error)
    }
  }

  /** The loop has ended: what was read ahead for it is dropped, the record in hand stays held (groups.md 42). */
  leave(loop: Loop<R>): void {
    if (this.#loop !== loop) return
    this.#loop = undefined
    if (this.#member.activity instanceof Wait) this.#member.activity.closing()
    for (const term of this.#member.terms) {
      term.dropBuffer()
      this.#member.turns.add(term)
    }
  }

  run(handler: Handler<R>, options: RunOptions<R> = {}): Promise<void> {
    try {
      checkFunction('handler', handler)
      checkOptions('run options', options, ['concurrency', 'retry', 'deadLetter', 'signal'])
      this.#checkFree()
      return new Run(this.#member, handler, options).done
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #checkFree(): void {
    if (this.#member.closing) throw this.#member.closedError()
    if (this.#handsOut || this.#loop !== undefined) throw this.#concurrent()
  }
  get #handsOut(): boolean {
    return this.#member.activity !== undefined || this.#answering
  }
  #concurrent(): MillraceError {
    const { group, memberId = '(not joined yet)' } = this.#member.engine
    return new MillraceError('CONCURRENT_POLL', { group, memberId })
  }

  /** Comes back, then hands out what there is, or waits for it (groups.md 36). */
  #handOut<T extends R[] | IteratorResult<R, undefined>>(
    take: () => T | undefined,
    nothing: T,
    timeoutMs?: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const member = this.#member
    member.comeBack()
    if (member.engine.interceptor.poll !== undefined) return this.#handOutThrough(take, nothing, timeoutMs, signal)
    if (!member.blocked) {
      const found = take()
      if (found !== undefined) {
        member.goOff(false)
        return Promise.resolve(found)
      }
      if (timeoutMs === 0) {
        member.goOff(false)
        return Promise.resolve(nothing)
      }
    }
    return new Wait(member, take, nothing, timeoutMs, signal).found
  }

  /** The same through an interceptor. What ends the wait before it has let it go on, ends it at once. */
  #handOutThrough<T extends R[] | IteratorResult<R, undefined>>(
    take: () => T | undefined,
    nothing: T,
    timeoutMs?: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const { engine } = this.#member
    const { group, memberId } = engine
    const wait = new Wait(this.#member, take, nothing, timeoutMs, signal, true)
    this.#answering = true
    return new Promise((resolve, reject) => {
      let through = false
      let takeBack: (() => void) | undefined
      const proceed = async (): Promise<readonly R[]> => {
        through = true
        const records = recordsOf<R>(await wait.open())
        takeBack = this.#member.handedOut(records)
        return records
      }
      const answer = (found: T | Promise<T>): void => {
        this.#answering = false
        resolve(found)
      }
      const refuse = (error: unknown): void => {
        this.#answering = false
        reject(error)
      }
      wait.found.then(
        found => through || answer(found),
        error => through || refuse(error),
      )
      const failed = (error: unknown): void => {
        refuse(error)
        wait.fail(error)
        takeBack?.()
      }
      const over = (): void => (through ? answer(wait.found) : failed(notProceeded()))
      try {
        thenAtOnce(engine.interceptor.poll!({ group, memberId }, proceed), over, failed)
      } catch (error) {
        failed(error)
      }
    })
  }

  /** A batch, from any number of partitions; they take turns (groups.md 38). Undefined if there is nothing. */
  #collect(maxRecords: number): R[] | undefined {
    const member = this.#member
    const batch: R[] = []
    try {
      member.positions.resolve()
      while (batch.length < maxRecords) {
        const term = member.turns.current()
        if (term === undefined) break
        const found = term.readInto(batch, Math.min(maxRecords - batch.length, term.turnRecords))
        if (found === true) {
          member.handOut(term)
          member.turns.took(term)
        } else this.#nothingIn(term, found)
      }
    } catch (error) {
      // What was collected is handed out; the next poll comes upon the error again.
      if (batch.length === 0) throw error
    }
    if (batch.length === 0) return undefined
    member.handsByPoll = true
    return batch
  }

  readonly #takeStep = (): IteratorResult<R, undefined> | undefined => {
    const value = this.#takeOne()
    return value === undefined ? undefined : { value, done: false }
  }

  #takeOne(): R | undefined {
    const member = this.#member
    member.positions.resolve()
    for (let term = member.turns.current(); term !== undefined; term = member.turns.current()) {
      const found = term.fill(Math.min(member.engine.options.maxPollRecords, term.turnRecords))
      if (found === true) {
        const record = term.take()
        term.position = record.offset + 1
        member.handOut(term)
        member.handsByPoll = false
        member.turns.took(term)
        return record
      }
      this.#nothingIn(term, found)
    }
    return undefined
  }

  #nothingIn(term: Term<R>, found: false | typeof OUT_OF_RANGE): void {
    if (found === OUT_OF_RANGE) this.#member.positions.outOfRange(term)
    else this.#member.positions.drained(term)
  }

  // ── commits and positions ──

  commit(...args: [what?: R | readonly R[] | readonly NextOffset[]]): Promise<void> {
    const member = this.#member
    if (member.outError !== undefined) return Promise.reject(member.outError)
    if (args.length === 0) return member.commitAll(member.activity instanceof Run)
    try {
      return member.commit(nextOffsets(args[0]))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  position(topic: R['topic'], partition: number): number | undefined {
    this.#checkOpen()
    checkPlace('position()', topic, partition)
    return this.#member.term(topic, partition)?.position
  }

  seek(topic: R['topic'], partition: number, to: StartFrom): void {
    this.#checkOpen()
    checkPlace('seek()', topic, partition)
    const term = this.#owned({ topic, partition })
    checkStart(to, term)
    term.seek(to)
    this.#member.retarget(term)
  }

  pause(partitions: readonly TopicPartition[] = this.assignment): void {
    this.#checkOpen()
    checkTopicPartitions('partitions', partitions)
    for (const term of partitions.map(entry => this.#owned(entry))) {
      term.paused = true
      term.source.pause?.(true)
    }
  }

  resume(partitions: readonly TopicPartition[] = this.assignment): void {
    this.#checkOpen()
    checkTopicPartitions('partitions', partitions)
    for (const term of partitions.map(entry => this.#owned(entry))) {
      term.paused = false
      term.source.pause?.(false)
      this.#member.turns.add(term)
    }
    this.#member.wake()
  }

  #checkOpen(): void {
    if (this.#member.gone) throw this.#member.closedError()
  }
  #owned({ topic, partition }: TopicPartition): Term<R> {
    const term = this.#member.term(topic, partition)
    if (term === undefined) throw new MillraceError('NOT_ASSIGNED', { topic, partition })
    return term
  }

  // ── the end ──

  close(options: CloseOptions = {}): Promise<void> {
    try {
      return this.#member.close(timeoutOf(options))
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

function recordsOf<R>(found: R[] | IteratorResult<R, undefined>): readonly R[] {
  if (Array.isArray(found)) return found
  return found.done === true ? [] : [found.value as R]
}

export function timeoutOf(options: CloseOptions): number {
  checkOptions('close options', options, ['timeoutMs'])
  const { timeoutMs = closeTimeoutMs } = options
  checkWhole('timeoutMs', timeoutMs, 0)
  return timeoutMs
}

const done: IteratorReturnResult<undefined> = { value: undefined, done: true }

/** A `for await` over a consumer. One record for each step: a step finishes the record before it. */
class Loop<R extends AnyRecord> implements AsyncIterator<R, undefined> {
  readonly #consumer: EngineConsumer<R>
  #begun = false
  #over = false

  constructor(consumer: EngineConsumer<R>) {
    this.#consumer = consumer
  }

  next(): Promise<IteratorResult<R, undefined>> {
    // An ordinary shutdown throws out of no loop; one that begins afterwards is told.
    if (this.#over || (this.#begun && this.#consumer.closed)) return this.return()
    this.#begun = true
    return this.#consumer.step(this)
  }

  return(): Promise<IteratorResult<R, undefined>> {
    this.#over = true
    this.#consumer.leave(this)
    return Promise.resolve(done)
  }
}

/** What commit() was given as offsets, the last entry of a partition winning, of its records the furthest. */
function nextOffsets(what: AnyRecord | readonly AnyRecord[] | readonly NextOffset[] | undefined): NextOffset[] {
  const list: readonly unknown[] = Array.isArray(what) ? what : [what]
  const found = new Map<string, NextOffset>()
  for (const entry of list) {
    const { topic, partition, offset, nextOffset } = (entry ?? {}) as Partial<AnyRecord & NextOffset>
    if (typeof topic !== 'string' || typeof partition !== 'number')
      throw new TypeError(`commit() takes a record, records, or { topic, partition, nextOffset }s; got ${show(entry)}`)
    const where = { topic, partition }
    const isRecord = offset !== undefined && nextOffset === undefined
    // As a record it would be finished, and the next one meant: other clients mean `offset` itself.
    if (isRecord && !('value' in (entry as object)))
      throw new TypeError(
        `commit() takes records, or nextOffset; offset ${offset} of ${topic}-${partition} has no value, so it is no record`,
      )
    checkOffset((isRecord ? offset : nextOffset) as number, where)
    const next = isRecord ? offset + 1 : nextOffset!
    const key = `${topic}-${partition}`
    const before = found.get(key)
    if (before === undefined || !isRecord || before.nextOffset < next) found.set(key, { ...where, nextOffset: next })
  }
  return [...found.values()]
}
