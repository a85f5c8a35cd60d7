import { unref } from './clock.js'
import type { AnyRecord, NextOffset } from './core/record.js'
import type { Engine } from './engine.js'
import type { Term } from './term.js'
import type { Watch } from './watch.js'

/**
 * Kafka: enable.auto.commit. Commits what the consumer has come back from, at the first coming back after the interval
 * (or while it is parked), before a partition moves, and at close; never because a handler finished (groups.md 33, 34).
 */
export class AutoCommit<R extends AnyRecord> {
  readonly #engine: Engine<R>
  readonly #watch: Watch
  readonly #terms: () => Iterable<Term<R>>
  readonly #parked: () => boolean
  readonly #commit: (offsets: readonly NextOffset[], then: () => void) => void
  readonly #enabled: boolean
  readonly #intervalMs: number
  #dueAt: number
  #timer: unknown
  /** Something has moved since it was last found that nothing differs from what is committed. */
  moved = false

  constructor(
    engine: Engine<R>,
    watch: Watch,
    terms: () => Iterable<Term<R>>,
    parked: () => boolean,
    commit: (offsets: readonly NextOffset[], then: () => void) => void,
  ) {
    this.#engine = engine
    this.#watch = watch
    this.#commit = commit
    this.#terms = terms
    this.#parked = parked
    this.#enabled = engine.options.commitMode === 'autoCommit'
    this.#intervalMs = engine.options.autoCommitIntervalMs
    this.#dueAt = this.#enabled ? watch.now() + this.#intervalMs : Number.POSITIVE_INFINITY
  }

  /** `now` as the watch tells it: an interval of 0 is always over. */
  cameBack(now: number): void {
    if (now >= this.#dueAt) this.commitThen(() => {})
  }

  /** The consumer waits: a timer commits what has come back if it is still there when the interval ends. */
  park(): void {
    if (!this.#enabled || !this.moved || this.#timer !== undefined) return
    if (this.#outstanding().length === 0) {
      this.moved = false
      return
    }
    const { clock } = this.#engine
    this.#timer = clock.setTimeout(
      () => {
        this.#timer = undefined
        if (!this.#parked()) return
        // Meanwhile a move may have committed, which begins the interval anew.
        if (clock.now() >= this.#dueAt) this.commitThen(() => {})
        else this.park()
      },
      Math.max(0, this.#dueAt - clock.now()),
    )
    unref(this.#timer)
  }

  /** Commits now where it is on, then goes on, whatever became of it: Kafka, too, only logs a failed auto-commit. */
  commitThen(then: () => void): void {
    if (!this.#enabled) return then()
    this.#dueAt = this.#watch.now() + this.#intervalMs
    const offsets = this.#outstanding()
    if (offsets.length === 0) return then()
    this.#commit(offsets, then)
  }

  #outstanding(): NextOffset[] {
    const offsets: NextOffset[] = []
    for (const term of this.#terms()) {
      term.resolveSeek()
      const nextOffset = term.finished
      if (nextOffset !== undefined && nextOffset !== term.source.committed)
        offsets.push({ topic: term.topic, partition: term.partition, nextOffset })
    }
    return offsets
  }

  stop(): void {
    if (this.#timer !== undefined) this.#engine.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
