import type { Clock, MaybePromise } from '../../index.js'
import { nextTurn } from '../turns.js'

/** A clock of this library's tests: it stands still until it is told to move. */
interface Movable {
  advance(ms: number): Promise<void>
}

/** Turns of the event loop that pass before a manual clock is moved at all, and before each further step. */
const turnsFirst = 200
const turnsPerStep = 20
/** Steps of a manual clock grow to this: a move must not jump over several things at once. */
const longestStepMs = 50

/** Waits by the clock of a broker, and says at its end what it has waited for. A manual clock is moved while it waits. */
export class Patience {
  readonly ms: number
  readonly #clock: Clock
  readonly #movable: Movable | undefined

  constructor(clock: Clock, ms: number = 5_000) {
    this.ms = ms
    this.#clock = clock
    const { advance, advanceUntil } = clock as Partial<Movable & { advanceUntil: unknown }>
    if (clock.manual === true && typeof advance === 'function' && typeof advanceUntil === 'function')
      this.#movable = clock as unknown as Movable
  }

  /** The promise's outcome. An Error that says what it has waited for, if that takes too long. */
  async keep<T>(what: string | (() => string), promise: MaybePromise<T> | PromiseLike<T>): Promise<T> {
    const outOfPatience = (): Error =>
      new Error(`waited ${this.ms} ms in vain for ${typeof what === 'string' ? what : what()}`)
    return this.#movable === undefined
      ? this.#within(promise, outOfPatience)
      : this.#moving(this.#movable, promise, outOfPatience)
  }

  #within<T>(promise: MaybePromise<T> | PromiseLike<T>, outOfPatience: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => reject(outOfPatience()), this.ms)
      Promise.resolve(promise)
        .finally(() => this.#clock.clearTimeout(timer))
        .then(resolve, reject)
    })
  }

  /** What can happen without time happens first; then time passes in small steps. */
  async #moving<T>(clock: Movable, promise: MaybePromise<T> | PromiseLike<T>, outOfPatience: () => Error): Promise<T> {
    let settled = false
    const outcome = Promise.resolve(promise).finally(() => {
      settled = true
    })
    outcome.catch(() => {})
    const deadline = this.#clock.now() + this.ms
    await this.#turns(turnsFirst, () => settled)
    for (let stepMs = 1; !settled; stepMs = Math.min(stepMs * 2, longestStepMs)) {
      const leftMs = deadline - this.#clock.now()
      if (leftMs <= 0) throw outOfPatience()
      await clock.advance(Math.min(stepMs, leftMs))
      await this.#turns(turnsPerStep, () => settled)
    }
    return outcome
  }

  /** Until it holds: looked at again and again. */
  async until(what: string | (() => string), holds: () => MaybePromise<boolean>): Promise<void> {
    let over = false
    const watch = async (): Promise<void> => {
      for (let look = 0; !over && !(await holds()); look++) await this.#beforeNextLook(look)
    }
    try {
      await this.keep(what, watch())
    } finally {
      over = true
    }
  }
  #beforeNextLook(look: number): Promise<void> {
    return this.#movable !== undefined || look < 20 ? nextTurn() : this.#wait(5)
  }

  /** So much time goes by, and what it brings about without more time has happened. */
  async pass(ms: number): Promise<void> {
    if (this.#movable === undefined) return this.#wait(ms)
    await this.#turns(turnsPerStep)
    await this.#movable.advance(ms)
    await this.#turns(turnsPerStep)
  }

  #wait(ms: number): Promise<void> {
    return new Promise(resolve => void this.#clock.setTimeout(resolve, ms))
  }
  async #turns(count: number, enough: () => boolean = () => false): Promise<void> {
    for (let turn = 0; turn < count && !enough(); turn++) await nextTurn()
  }
}
