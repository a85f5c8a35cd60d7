import { MillraceError } from './core/errors.js'
import { type AnyRecord, checkOffset, type NextOffset } from './core/record.js'
import type { Engine } from './engine.js'
import type { MaybePromise } from './portable.js'
import type { Term } from './term.js'

/** Whose commits they are: what it owns, and why it may commit nothing. */
export interface Committer<R extends AnyRecord> {
  term(topic: string, partition: number): Term<R> | undefined
  /** UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID for who is out. */
  readonly outError: unknown
  /** ILLEGAL_GENERATION: what it does not own (any more). */
  staleError(): MillraceError
}

/** The commits of one consumer, its own and auto-commit's: all or nothing, refused for what it does not own (groups.md 28 to 30). */
export class Commits<R extends AnyRecord> {
  readonly #engine: Engine<R>
  readonly #committer: Committer<R>

  constructor(engine: Engine<R>, committer: Committer<R>) {
    this.#engine = engine
    this.#committer = committer
  }

  /** Checked whole before anything is written. */
  async commit(offsets: readonly NextOffset[]): Promise<void> {
    for (const entry of offsets) checkOffset(entry.nextOffset, entry)
    const terms = this.#owned(offsets)
    if (offsets.length > 0) await this.#through(offsets, terms, true)
  }

  /** Whatever becomes of it: Kafka, too, only logs a failed auto-commit. */
  commitQuietly(offsets: readonly NextOffset[], then: () => void): void {
    let result: MaybePromise<void>
    try {
      result = this.#through(offsets, this.#owned(offsets), false)
    } catch {
      return then()
    }
    if (result === undefined) then()
    else result.then(then, then)
  }

  #owned(offsets: readonly NextOffset[]): readonly Term<R>[] {
    if (this.#committer.outError !== undefined) throw this.#committer.outError
    return offsets.map(({ topic, partition }) => {
      const term = this.#committer.term(topic, partition)
      if (term === undefined) throw this.#notOwned(topic, partition)
      return term
    })
  }
  #notOwned(topic: string, partition: number): unknown {
    return this.#engine.exists(topic, partition)
      ? this.#committer.staleError()
      : new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
  }

  /** A promise only where an interceptor or the engine answers later. */
  #through(offsets: readonly NextOffset[], terms: readonly Term<R>[], explicit: boolean): MaybePromise<void> {
    const { interceptor, group, memberId } = this.#engine
    if (interceptor.commit === undefined) return this.#commitNow(offsets, terms, explicit)
    return interceptor.commit({ group, memberId, offsets }, () => {
      // It may have taken its time. Kafka: a commit on its way carries the generation that it was made in.
      const over = terms.find(term => term.ended)
      if (over !== undefined) throw this.#committer.outError ?? over.reason
      return this.#commitNow(offsets, terms, explicit)
    })
  }

  #commitNow(offsets: readonly NextOffset[], terms: readonly Term<R>[], explicit: boolean): MaybePromise<void> {
    let answer: { readonly error: unknown } | undefined
    let later: ((error: unknown) => void) | undefined
    this.#engine.commit(offsets, error => {
      if (explicit && error === undefined)
        terms.forEach((term, i) => {
          term.explicit = offsets[i]!.nextOffset
        })
      answer = { error }
      later?.(error)
      this.#engine.changed()
    })
    if (answer === undefined)
      return new Promise((resolve, reject) => {
        later = error => (error === undefined ? resolve() : reject(error))
      })
    if (answer.error !== undefined) throw answer.error
  }
}
