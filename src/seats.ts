import { type Clock, unref } from './clock.js'

/** How long the seats of static members are kept that have left (groups.md 53). Kafka: session.timeout.ms. */
export class Seats<Seat> {
  readonly #clock: Clock
  readonly #sessionTimeoutMs: number
  readonly #expire: (seat: Seat) => void
  readonly #timers = new Map<Seat, unknown>()

  constructor(clock: Clock, sessionTimeoutMs: number, expire: (seat: Seat) => void) {
    this.#clock = clock
    this.#sessionTimeoutMs = sessionTimeoutMs
    this.#expire = expire
  }

  /** From now on, unless it is kept already. */
  keep(seat: Seat): void {
    if (this.#timers.has(seat)) return
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(seat)
      this.#expire(seat)
    }, this.#sessionTimeoutMs)
    unref(timer)
    this.#timers.set(seat, timer)
  }

  /** It is taken: its time is over. */
  release(seat: Seat): void {
    const timer = this.#timers.get(seat)
    if (timer !== undefined) this.#clock.clearTimeout(timer)
    this.#timers.delete(seat)
  }
  releaseAll(): void {
    for (const seat of [...this.#timers.keys()]) this.release(seat)
  }
}
