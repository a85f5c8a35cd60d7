import type { Clock } from '../../index.js'

/** Goes off at a time, once. */
export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => void
  #set: { readonly at: number; readonly handle: unknown } | undefined

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Instead of when it was set to before; undefined: not at all. */
  set(at: number | undefined): void {
    if (at === this.#set?.at) return
    if (this.#set !== undefined) this.#clock.clearTimeout(this.#set.handle)
    this.#set = undefined
    if (at === undefined) return
    const ring = (): void => {
      this.#set = undefined
      this.#ring()
    }
    this.#set = { at, handle: this.#clock.setTimeout(ring, Math.max(0, at - this.#clock.now())) }
  }
}
