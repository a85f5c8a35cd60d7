import { type Clock, MillraceError } from '../index.js'
import { checkKnown } from './known-options.js'
import { nextTurn } from './turns.js'

interface Timer {
  readonly due: number
  readonly fn: () => void
}

/** Why it has not settled, or undefined if it has. In a box, so that it is not awaited. */
interface Waited<T> {
  readonly why: string | undefined
  readonly outcome: Promise<T>
}

const dayMs = 86_400_000
/** Turns of the event loop in which nothing moves before advanceUntil() says that nothing will. */
const idleTurns = 64

// What the rest of this entry point may do with a clock, and nobody else.
/** As advanceUntil(), but its caller says what to make of a wait in vain. */
export let waitOn: <T>(clock: ManualClock, promise: PromiseLike<T>, limitMs: number) => Promise<Waited<T>>
/** Somebody who can tell what happened, when advanceUntil() has waited in vain. */
export let witness: (clock: ManualClock, tell: () => string) => void
/** Whether there is a timer until then. */
export let isDue: (clock: ManualClock, until: number) => boolean
/** To the next timer, if there is one until then, and no further. */
export let advanceToNext: (clock: ManualClock, until?: number) => Promise<boolean>

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  readonly manual = true as const
  #now: number
  /** In the order of their making, which is that of the handles. */
  readonly #timers = new Map<number, Timer>()
  #made = 0
  readonly #witnesses: (() => string)[] = []

  /** @default 0 */
  constructor(startMs: number = 0) {
    checkTime('startMs', startMs)
    this.#now = startMs
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  /** As the host's: whole milliseconds of at least 0. */
  setTimeout(fn: () => void, ms: number): unknown {
    if (typeof fn !== 'function')
      throw new MillraceError('INVALID_CONFIG', { option: 'fn', value: fn, expected: 'a function' })
    const handle = ++this.#made
    this.#timers.set(handle, { due: this.#now + Math.max(0, Math.trunc(ms) || 0), fn })
    return handle
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number)
  }

  /**
   * Due timers fire by time, then by age, each at its own instant; all that one starts, promises included, is over before
   * the next. INVALID_CONFIG for a negative, fractional or non-finite time.
   */
  advance(ms: number): Promise<void> {
    try {
      checkTime('ms', ms)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.advanceTo(this.#now + ms)
  }

  async advanceTo(timestamp: number): Promise<void> {
    checkTime('timestamp', timestamp)
    if (timestamp < this.#now)
      throw new MillraceError('INVALID_CONFIG', {
        option: 'timestamp',
        value: timestamp,
        expected: `a time that is not before now, ${this.#now}`,
      })
    await nextTurn()
    for (let handle = this.#first(timestamp); handle !== undefined; handle = this.#first(timestamp)) {
      this.#fire(handle)
      await nextTurn()
    }
    this.#now = Math.max(this.#now, timestamp)
    await nextTurn()
  }

  /**
   * From timer to timer until the promise settles, and gives its outcome. Rejects with REQUEST_TIMED_OUT when that would
   * take longer than limitMs, or no timer is left and nothing moves any more: a test never hangs here.
   *
   * @default limitMs 86_400_000
   */
  async advanceUntil<T>(promise: PromiseLike<T>, options: { limitMs?: number | undefined } = {}): Promise<T> {
    checkKnown('options of advanceUntil()', options, ['limitMs'])
    const { limitMs = dayMs } = options
    const { why, outcome } = await this.#until(promise, limitMs)
    if (why === undefined) return outcome
    const seen = this.#witnesses.map(tell => tell()).filter(text => text !== '')
    const what =
      seen.length === 0
        ? `A promise awaited by advanceUntil() (${why})`
        : [`advanceUntil() has waited in vain: ${why}.`, ...seen, 'Its promise'].join('\n')
    throw new MillraceError('REQUEST_TIMED_OUT', { what, timeoutMs: limitMs })
  }
  /** Once it has settled, or why it will not. */
  async #until<T>(promise: PromiseLike<T>, limitMs: number): Promise<Waited<T>> {
    checkTime('limitMs', limitMs)
    const limit = this.#now + limitMs
    let settled = false
    const outcome = Promise.resolve(promise).finally(() => {
      settled = true
    })
    outcome.catch(() => {})
    for (let idle = 0; ; ) {
      await nextTurn()
      if (settled) return { why: undefined, outcome }
      const handle = this.#first(limit)
      if (handle !== undefined) {
        this.#fire(handle)
        idle = 0
      } else if (++idle > idleTurns) break
    }
    return { why: this.#whyIdle(), outcome }
  }
  #whyIdle(): string {
    if (this.timers === 0) return 'no timer is left, and nothing moves'
    return this.timers === 1 ? '1 timer waits beyond it' : `${this.timers} timers wait beyond it`
  }

  static {
    waitOn = (clock, promise, limitMs) => clock.#until(promise, limitMs)
    witness = (clock, tell) => void clock.#witnesses.push(tell)
    isDue = (clock, until) => clock.#first(until) !== undefined
    advanceToNext = async (clock, until = Number.POSITIVE_INFINITY) => {
      const handle = clock.#first(until)
      if (handle !== undefined) clock.#fire(handle)
      await nextTurn()
      return handle !== undefined
    }
  }

  /** The timer that is due first, of those until a time. */
  #first(until: number): number | undefined {
    let first: number | undefined
    let due = Number.POSITIVE_INFINITY
    for (const [handle, timer] of this.#timers) {
      if (timer.due > until || timer.due >= due) continue
      first = handle
      due = timer.due
    }
    return first
  }

  #fire(handle: number): void {
    const { due, fn } = this.#timers.get(handle)!
    this.#timers.delete(handle)
    this.#now = Math.max(this.#now, due)
    fn()
  }
}

export function checkTime(option: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new MillraceError('INVALID_CONFIG', {
      option,
      value,
      expected: 'a whole number of milliseconds of at least 0',
    })
}
