import type { Stamped } from '../record.js'
import { LoggedRow } from './changed-rows.js'
import { RetainedRows, type RetainedSetup } from './retained-rows.js'
import { parseRowName, rowName } from './row-name.js'
import type { TimestampedWindowStore, WindowRow } from './store.js'
import type { Entry } from './time-table.js'

/** Kafka: InMemoryWindowStore, with timestamps. */
export class InMemoryWindowStore<V = unknown>
  extends RetainedRows<V, LoggedRow<V>>
  implements TimestampedWindowStore<V>
{
  readonly #waits: boolean

  constructor(setup: RetainedSetup) {
    super(setup, setup.changedRows)
    this.#waits = setup.changedRows !== undefined
  }

  get(key: string, start: number): Stamped<V> | undefined {
    return this.retention.covers(start) ? this.rows.find(key, start)?.value : undefined
  }

  put(key: string, value: V | null | undefined, start: number, timestamp: number): void {
    this.observe(start)
    if (!this.retention.covers(start)) return
    const row = this.rows.find(key, start)
    if (value === null || value === undefined) {
      if (row === undefined) return
      this.rows.remove(row)
      this.changed?.(rowName(key, start), null, timestamp)
      return
    }
    const put = new LoggedRow<V>(value, timestamp)
    if (row === undefined) this.rows.insert(key, start, 0, put)
    else this.rows.replace(row, put)
    if (!this.#waits) this.changed?.(rowName(key, start), this.format.toLog(value), timestamp)
  }

  rowName({ key, time }: Entry<LoggedRow>): string {
    return rowName(key, time)
  }

  fetch(key: string, from: number, to: number): readonly WindowRow<V>[] {
    return this.rows.rangeOf(key, Math.max(from, this.retention.earliest), to).map(handOut)
  }

  fetchAll(from: number, to: number): readonly WindowRow<V>[] {
    return Array.from(this.rows.range(Math.max(from, this.retention.earliest), to), handOut)
  }

  restore(name: string, logged: unknown, timestamp: number): void {
    const [key, start] = parseRowName(name)
    const row = logged === null ? undefined : new LoggedRow<V>(this.fromLog(logged), timestamp)
    this.rows.restore(key, start, 0, row)
    this.retention.restore(start)
  }

  protected override forget({ key, time, value }: Entry<LoggedRow<V>>): void {
    this.changed?.(rowName(key, time), null, value.timestamp)
  }
}

const handOut = <V>({ key, time: start, value: { value, timestamp } }: Entry<Stamped<V>>): WindowRow<V> => ({
  key,
  start,
  value,
  timestamp,
})
