import { ObservedTime } from './observed-time.js'
import type { Entry, TimeTable } from './time-table.js'
import type { UndoLog } from './undo-log.js'

/**
 * How long a store of windows keeps them, by the largest time that was put into it (and not by its task's stream time).
 * Kafka: InMemoryWindowStore.removeExpiredSegments, observedStreamTime.
 */
export class Retention {
  readonly observed: ObservedTime
  readonly #retentionMs: number

  constructor(retentionMs: number, undo: UndoLog) {
    this.#retentionMs = retentionMs
    this.observed = new ObservedTime('observed', undo)
  }

  /** The earliest time that is kept: "records expire exactly retentionPeriod ms after created". */
  get earliest(): number {
    return this.observed.value - this.#retentionMs + 1
  }

  covers(time: number): boolean {
    return time >= this.earliest
  }

  /** Before a row of that time is put in: what it makes too old goes. */
  observe<T>(time: number, rows: TimeTable<T>, forget: (row: Entry<T>) => void): void {
    this.observed.advance(time)
    if (rows.firstTime < this.earliest) for (const row of rows.dropBefore(this.earliest)) forget(row)
  }

  /** A row is restored. What is too old then goes with the next put, so that its changelog hears of it. */
  restore(time: number): void {
    if (time > this.observed.value) this.observed.restore(time)
  }
}
