import { refuse } from './core/check.js'

/** What the library knows of time: a now, in milliseconds since the epoch, and timers. */
export interface Clock {
  /** It moves only when told; see settled(). @default false */
  readonly manual?: boolean | undefined
  now(): number
  setTimeout(fn: () => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

/** The host takes a delay as 32 bits and fires at once beyond them. */
const longestDelayMs = 2 ** 31 - 1

/** A delay of any length, as a chain of those that the host can do. */
class LongTimeout {
  #handle: ReturnType<typeof setTimeout>
  #unref = false

  constructor(fn: () => void, ms: number) {
    const arm = (left: number): ReturnType<typeof setTimeout> => {
      const step = Math.min(left, longestDelayMs)
      return setTimeout(() => (left > step ? this.#rearm(arm(left - step)) : fn()), step)
    }
    this.#handle = arm(ms)
  }
  #rearm(handle: ReturnType<typeof setTimeout>): void {
    this.#handle = handle
    if (this.#unref) unref(handle)
  }
  unref(): void {
    this.#unref = true
    unref(this.#handle)
  }
  clear(): void {
    clearTimeout(this.#handle)
  }
}

/** The host's time; its timers are looked up at each call, so that a test's fake ones are seen. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (fn, ms) => (ms > longestDelayMs ? new LongTimeout(fn, ms) : setTimeout(fn, ms)),
  clearTimeout(handle) {
    if (handle instanceof LongTimeout) handle.clear()
    else clearTimeout(handle as ReturnType<typeof setTimeout>)
  },
}

export function checkClock(clock: unknown): void {
  const { now, setTimeout, clearTimeout } = (clock ?? {}) as Partial<Clock>
  if (typeof now !== 'function' || typeof setTimeout !== 'function' || typeof clearTimeout !== 'function')
    refuse('clock', clock, 'an object with now(), setTimeout() and clearTimeout()')
}

/** Lets the process end although this timer waits; a host whose timers can't do that has nothing to let go of. */
export function unref(handle: unknown): void {
  ;(handle as { unref?: () => void } | null | undefined)?.unref?.()
}
