import { type Clock, systemClock, unref } from './clock.js'

/** How many times at most the time is told from one look. */
const mostPerLook = 32

/**
 * Tells the time without looking at the clock each time: on many hosts a look costs as much as a record.
 *
 * The host's clock is looked at again after so many calls as took no more than a millisecond, and after each turn of the
 * event loop, so that what it tells is old by no more than the caller's own last few steps. Any other clock, which may
 * be moved by hand, is looked at each time.
 */
export class Watch {
  readonly #clock: Clock
  #now = 0
  /** How often `#now` is good for. */
  #perLook = 1
  #left = 0
  #timer: unknown

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    if (this.#left === 0) return this.#look()
    this.#left--
    return this.#now
  }

  #look(): number {
    const now = this.#clock.now()
    if (this.#clock === systemClock) {
      this.#perLook = now - this.#now <= 1 ? Math.min(2 * this.#perLook, mostPerLook) : 1
      this.#left = this.#perLook - 1
      if (this.#left > 0) this.#forgetSoon()
    }
    this.#now = now
    return now
  }

  /** Who lets the event loop turn takes its time. */
  #forgetSoon(): void {
    if (this.#timer !== undefined) return
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.#left = 0
      this.#perLook = 1
    }, 1)
    unref(this.#timer)
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#left = 0
  }
}
