import type { Undoable, UndoLog } from './undo-log.js'

/**
 * A time that only a rollback turns back: the largest timestamp that a store or an operator has seen, or the end of the
 * window it emitted last. State of its task, as the rows of a store are: `restore` sets it on another instance.
 */
export class ObservedTime implements Undoable {
  readonly name: string
  readonly #undo: UndoLog
  #value: number

  /** Kafka: ConsumerRecord.NO_TIMESTAMP (-1) before the first. */
  constructor(name: string, undo: UndoLog, initial = -1) {
    this.name = name
    this.#undo = undo
    this.#value = initial
  }

  get value(): number {
    return this.#value
  }

  /** The later of what it was and `time`, which it is from now on. */
  advance(time: number): number {
    if (time > this.#value) this.set(time)
    return this.#value
  }

  /** Also backwards, which a smallest time needs (the earliest record that waits in a join, say). */
  set(time: number): void {
    if (time === this.#value) return
    this.#undo.add(this, this.#value)
    this.#value = time
  }

  /** As it was when its task stopped elsewhere. Nothing to undo. */
  restore(time: number): void {
    this.#value = time
  }

  undo(before: unknown): void {
    this.#value = before as number
  }
}
