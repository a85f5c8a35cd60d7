import { type Clock, unref } from './clock.js'

/**
 * Kafka: max.poll.interval.ms. One timer, armed when something begins to count and no timer runs, and looked at only when
 * it fires: who comes back in time pays nothing (groups.md 39).
 */
export class PollInterval {
  readonly #clock: Clock
  readonly #ms: number
  readonly #since: () => number | undefined
  readonly #expire: () => void
  #timer: unknown

  /** `since`: since when the consumer has not come back; undefined while it has. */
  constructor(clock: Clock, ms: number, since: () => number | undefined, expire: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#since = since
    this.#expire = expire
  }

  arm(delay: number = this.#ms): void {
    if (this.#timer !== undefined) return
    this.#timer = this.#clock.setTimeout(() => this.#look(), delay)
    unref(this.#timer)
  }

  #look(): void {
    this.#timer = undefined
    const since = this.#since()
    if (since === undefined) return
    const left = since + this.#ms - this.#clock.now()
    if (left > 0) this.arm(left)
    else this.#expire()
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
