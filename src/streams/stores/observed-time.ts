import type { Undoable, UndoLog } from './undo-log.js'

/**
 * A time that is state: the largest timestamp that a store or an operator has seen, or the end of the window it emitted
 * last. A rollback turns it back; with its task it moves to another instance.
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

  /** Backwards, too: the smallest timestamp of what waits in a join is such a time. */
  set value(time: number) {
    if (time === this.#value) return
    this.#undo.add(this, this.#value)
    this.#value = time
  }

  /** The later of what it was and `time`, which it is from now on. */
  advance(time: number): number {
    if (time > this.#value) this.value = time
    return this.#value
  }

  /** As it was when its task stopped elsewhere. Can't be undone. */
  restore(time: number): void {
    this.#value = time
  }

  undo(before: unknown): void {
    this.#value = before as number
  }
}
