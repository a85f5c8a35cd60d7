import type { AnyRecord } from './core/record.js'
import type { Term } from './term.js'

/** How many polls' worth of records a busy partition may hand out in one turn. */
const pollsPerTurn = 5

/**
 * The partitions that may have something to hand out, in the order of their turns. Kafka drains one fetched batch after
 * the other (FetchCollector); here a turn ends at the end offset seen when it began, or after a bounded number of
 * records, so that a partition with a busy producer starves nobody.
 */
export class Turns<R extends AnyRecord> {
  readonly #recordsPerTurn: number
  #head: Term<R> | undefined
  #tail: Term<R> | undefined

  constructor(maxPollRecords: number) {
    this.#recordsPerTurn = pollsPerTurn * maxPollRecords
  }

  /** To the back, for a new turn; nothing if it waits there already. */
  add(term: Term<R>): void {
    if (term.queued) return
    term.queued = true
    term.turnLeft = 0
    term.next = undefined
    term.previous = this.#tail
    if (this.#tail === undefined) this.#head = term
    else this.#tail.next = term
    this.#tail = term
  }

  /** Whose turn it is. What may not be handed out now is let go of, and comes back by add(). */
  current(): Term<R> | undefined {
    for (let term = this.#head; term !== undefined; term = this.#head) {
      if (term.open) {
        if (term.turnLeft <= 0) {
          term.turnLeft = this.#recordsPerTurn
          term.turnEnd = term.source.endOffset
        }
        return term
      }
      this.drop(term)
    }
    return undefined
  }

  /** Records of the head have been taken: to the back with it if that was its turn. */
  took(term: Term<R>): void {
    if (term.turnLeft <= 0 || term.position! >= term.turnEnd) {
      this.drop(term)
      this.add(term)
    }
  }

  /** It has nothing more, or may not go on; nothing if it does not wait here. */
  drop(term: Term<R>): void {
    if (!term.queued) return
    const { previous, next } = term
    if (previous === undefined) this.#head = next
    else previous.next = next
    if (next === undefined) this.#tail = previous
    else next.previous = previous
    term.queued = false
    term.next = undefined
    term.previous = undefined
  }
}
