import type { Amounts, Kind, Plan } from './plan.js'

/** What chance brings in a schedule, by its seed, and what of it a plan leaves out. */
export class Chance {
  readonly met: Amounts = noneOf()
  readonly offered: Amounts = noneOf()
  readonly #seed: number
  readonly #plan: Plan

  constructor(seed: number, plan: Plan) {
    this.#seed = seed
    this.#plan = plan
  }

  /** Everything goes on in order. */
  get plain(): boolean {
    return this.#plan.plain
  }

  happens(purpose: string, rate: number, n: number): boolean {
    return !this.plain && this.draw(purpose, n) < rate
  }

  /** Whether what is about to happen is left in. */
  offer(kind: Kind): boolean {
    if (this.#plan[kind].has(this.offered[kind]++)) return false
    this.met[kind]++
    return true
  }

  /** 0 <= x < 1, by seed, purpose and number: what is left out elsewhere does not change it. */
  draw(purpose: string, n: number): number {
    let hash = Math.imul(this.#seed, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b)
    for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193)
    // The finalizer of MurmurHash3.
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
  }

  /** One of so many, from 0. */
  pick(purpose: string, n: number, count: number): number {
    return Math.floor(this.draw(purpose, n) * count)
  }
}

function noneOf(): Amounts {
  return { leaps: 0, crashes: 0, faults: 0, acts: 0, turns: 0 }
}
