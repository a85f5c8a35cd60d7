import { ObservedTime } from '../stores/observed-time.js'
import type { UndoLog } from '../stores/undo-log.js'

/**
 * Every time that a task goes by (its own, its operators', its stores', its next punctuations), by name, as its time
 * changelog holds them. Kafka keeps the task's alone, and in the offsets it commits.
 */
export class TimeLog {
  readonly #undo: UndoLog
  readonly #times = new Map<string, ObservedTime>()
  /** Values that the changelog has. */
  readonly #logged = new Map<string, number>()

  constructor(undo: UndoLog) {
    this.#undo = undo
  }

  make(name: string, initial?: number): ObservedTime {
    const time = new ObservedTime(name, this.#undo, initial)
    this.add(name, time)
    return time
  }
  add(name: string, time: ObservedTime): void {
    this.#times.set(name, time)
    const logged = this.#logged.get(name)
    if (logged === undefined) this.#logged.set(name, time.value)
    else time.restore(logged)
  }

  restore(name: string, value: number): void {
    this.#logged.set(name, value)
    this.#times.get(name)?.restore(value)
  }

  /** The times that have changed since the last call. */
  changes(): (readonly [name: string, value: number])[] {
    const found: (readonly [string, number])[] = []
    for (const [name, { value }] of this.#times) {
      if (this.#logged.get(name) === value) continue
      this.#logged.set(name, value)
      found.push([name, value])
    }
    return found
  }
}
