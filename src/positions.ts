import type { AutoCommit } from './auto-commit.js'
import { MillraceError } from './core/errors.js'
import type { AnyRecord } from './core/record.js'
import type { Engine } from './engine.js'
import type { Term } from './term.js'
import type { Turns } from './turns.js'

/** Where the terms of one consumer are read next: positions that are yet to be known, sought, or out of range (groups.md 23 to 26). */
export class Positions<R extends AnyRecord> {
  readonly #engine: Engine<R>
  readonly #turns: Turns<R>
  readonly #autoCommit: AutoCommit<R>
  readonly #terms: () => Iterable<Term<R>>
  #allKnown = true

  constructor(engine: Engine<R>, turns: Turns<R>, autoCommit: AutoCommit<R>, terms: () => Iterable<Term<R>>) {
    this.#engine = engine
    this.#turns = turns
    this.#autoCommit = autoCommit
    this.#terms = terms
  }

  /** All that can be known are; throws NO_OFFSET_FOR_PARTITION for the first that autoOffsetReset leaves open. */
  resolve(): void {
    if (this.#allKnown) return
    let allKnown = true
    for (const term of this.#terms()) {
      if (term.target === undefined) continue
      const from = term.resetFrom
      if (!term.settled || !term.resolve()) {
        allKnown = false
        continue
      }
      this.#autoCommit.moved = true
      if (from !== undefined) this.#engine.reset(term.topic, term.partition, from, term.position!)
      term.resetFrom = undefined
      this.#turns.add(term)
      this.#engine.changed()
    }
    this.#allKnown = allKnown
  }

  /** Of a new term, or after a seek. */
  lookFor(term: Term<R>): void {
    this.#allKnown = false
    this.#turns.add(term)
  }

  /** Nothing more to read, for now. */
  drained(term: Term<R>): void {
    this.#turns.drop(term)
    term.listen()
  }

  /** autoOffsetReset for a position below the start or beyond the end (Kafka: OffsetResetStrategy). */
  outOfRange(term: Term<R>): void {
    const { autoOffsetReset } = this.#engine.options
    const { topic, partition, cursor: offset, source } = term
    if (autoOffsetReset === 'none')
      throw new MillraceError('OFFSET_OUT_OF_RANGE', { topic, partition, offset, ...this.#engine.rangeOf?.(source) })
    term.beginReset(autoOffsetReset)
    this.#allKnown = false
    this.resolve()
  }
}
