import type { Stamped } from '../record.js'
import { LoggedRow } from './changed-rows.js'
import { Retention } from './retention.js'
import { parseRowName, rowName } from './row-name.js'
import { asItIs, type StoreSetup, type TimestampedWindowStore, type ValueFormat, type WindowRow } from './store.js'
import { type Entry, TimeTable } from './time-table.js'

/** Kafka: InMemoryWindowStore, with timestamps. */
export class InMemoryWindowStore<V = unknown> implements TimestampedWindowStore<V> {
  readonly name: string
  readonly retentionMs: number
  readonly times: TimestampedWindowStore['times']
  readonly #changed: StoreSetup['changed']
  readonly #format: ValueFormat
  readonly #rows: TimeTable<LoggedRow<V>>
  readonly #waits: boolean
  readonly #retention: Retention

  constructor({
    name,
    undo,
    changed,
    changedRows,
    format = asItIs,
    retentionMs,
  }: StoreSetup & { readonly retentionMs: number }) {
    this.name = name
    this.retentionMs = retentionMs
    this.#changed = changed
    this.#format = format
    this.#rows = new TimeTable(undo, changedRows)
    this.#waits = changedRows !== undefined
    this.#retention = new Retention(retentionMs, undo)
    this.times = [this.#retention.observed]
  }

  get size(): number {
    return this.#rows.size
  }

  get(key: string, start: number): Stamped<V> | undefined {
    return this.#retention.covers(start) ? this.#rows.find(key, start)?.value : undefined
  }

  put(key: string, value: V | null | undefined, start: number, timestamp: number): void {
    this.#retention.observe(start, this.#rows, this.#forget)
    if (!this.#retention.covers(start)) return
    const row = this.#rows.find(key, start)
    if (value === null || value === undefined) {
      if (row === undefined) return
      this.#rows.remove(row)
      this.#changed?.(rowName(key, start), null, timestamp)
      return
    }
    const put = new LoggedRow<V>(value, timestamp)
    if (row === undefined) this.#rows.insert(key, start, 0, put)
    else this.#rows.replace(row, put)
    if (!this.#waits) this.#changed?.(rowName(key, start), this.#format.toLog(value), timestamp)
  }

  rowName({ key, time }: Entry<LoggedRow>): string {
    return rowName(key, time)
  }

  fetch(key: string, from: number, to: number): readonly WindowRow<V>[] {
    return this.#rows.rangeOf(key, Math.max(from, this.#retention.earliest), to).map(handOut)
  }

  fetchAll(from: number, to: number): readonly WindowRow<V>[] {
    return Array.from(this.#rows.range(Math.max(from, this.#retention.earliest), to), handOut)
  }

  restore(name: string, logged: unknown, timestamp: number): void {
    const [key, start] = parseRowName(name)
    const row = logged === null ? undefined : new LoggedRow<V>(this.#format.fromLog(logged) as V, timestamp)
    this.#rows.restore(key, start, 0, row)
    this.#retention.restore(start)
  }

  readonly #forget = ({ key, time, value }: Entry<LoggedRow<V>>): void =>
    this.#changed?.(rowName(key, time), null, value.timestamp)
}

const handOut = <V>({ key, time: start, value: { value, timestamp } }: Entry<Stamped<V>>): WindowRow<V> => ({
  key,
  start,
  value,
  timestamp,
})
