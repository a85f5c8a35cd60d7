import { type Clock, MillraceError } from '../index.js'
import type { Chance } from './chance.js'
import { requestTimeoutMs } from './fault-errors.js'
import type { Effect, Point } from './faults.js'
import { isInLine } from './queue.js'

const longestDelayMs = 1_000

/** What chance lets happen to the operations of services: that they fail, come late, or that their answer gets lost. */
export class Mishaps {
  readonly #chance: Chance
  readonly #rate: number
  readonly #tell: (fault: string, process: string | undefined) => void
  /** How many each copy has done of each kind. */
  readonly #operations = new Map<string, number>()
  readonly #late = new WeakMap<Point, Promise<void>>()

  constructor(chance: Chance, rate: number, tell: (fault: string, process: string | undefined) => void) {
    this.#chance = chance
    this.#rate = rate
    this.#tell = tell
  }

  /** What happens to this one, of that copy of a service, by the clock of its process; nothing does when it is calm. */
  at(point: Point, copy: string, calm: boolean, clock: Clock): Effect | undefined {
    if (this.#rate === 0) return undefined
    const { operation, process } = point
    // By whose it is, and which of theirs, however often they have died: what is left out elsewhere changes nothing.
    const who = `${operation} of ${copy}`
    const n = this.#operations.get(who) ?? 0
    this.#operations.set(who, n + 1)
    if (calm || !this.#chance.happens(who, this.#rate, n) || !this.#chance.offer('faults')) return undefined
    const kind = this.#chance.pick(`kind ${who}`, n, 3)
    if (kind === 0) {
      this.#tell(`fail ${operation}`, process)
      return {
        error: new MillraceError('UNKNOWN_SERVER_ERROR', { error: `a fault at ${operation}` }, { retriable: true }),
      }
    }
    if (kind === 1 && isInLine(operation)) {
      this.#tell(`lose the answer of ${operation}`, process)
      const details = { what: `The ${operation}`, timeoutMs: requestTimeoutMs }
      return { lost: new MillraceError('REQUEST_TIMED_OUT', details, { retriable: true }) }
    }
    const ms = 1 + this.#chance.pick(`delay ${who}`, n, longestDelayMs)
    const wait = new Promise<void>(resolve => clock.setTimeout(resolve, ms))
    if (!isInLine(operation) && operation !== 'assign') {
      this.#tell(`delay by ${ms} ms ${operation}`, process)
      return { wait }
    }
    // What comes after it is not to overtake it, and a callback begins at once: it is its answer that is late.
    this.#tell(`delay by ${ms} ms the answer of ${operation}`, process)
    this.#late.set(point, wait)
    return undefined
  }

  /** Waited for before its answer arrives; undefined for one that is in time. */
  lateAnswerOf(point: Point): Promise<void> | undefined {
    return this.#late.get(point)
  }
}
