import { RetainedRows } from './retained-rows.js'
import { parseRowName, rowName } from './row-name.js'
import type { JoinWindowStore, WindowRow } from './store.js'
import type { Entry } from './time-table.js'

/** Kafka: InMemoryWindowStore with retainDuplicates. */
export class InMemoryJoinWindowStore<V = unknown> extends RetainedRows<V> implements JoinWindowStore<V> {
  /** Tells duplicates apart. Gaps, as a rollback leaves them, are no harm. Kafka: seqnum. */
  #duplicates = 0

  put(key: string, value: V | null, timestamp: number): void {
    this.observe(timestamp)
    if (value === null || !this.retention.covers(timestamp)) return
    const number = ++this.#duplicates
    this.rows.insert(key, timestamp, number, value)
    this.changed?.(rowName(key, timestamp, number), this.format.toLog(value), timestamp)
  }

  fetch(key: string, from: number, to: number): readonly WindowRow<V>[] {
    return this.rows.rangeOf(key, Math.max(from, this.retention.earliest), to).map(handOut)
  }

  restore(name: string, logged: unknown, _timestamp: number): void {
    const [key, timestamp, number] = parseRowName(name)
    this.rows.restore(key, timestamp, number, logged === null ? undefined : this.fromLog(logged))
    this.retention.restore(timestamp)
    this.#duplicates = Math.max(this.#duplicates, number)
  }

  protected override forget({ key, time, tie }: Entry<V>): void {
    this.changed?.(rowName(key, time, tie), null, time)
  }
}

const handOut = <V>({ key, time, value }: Entry<V>): WindowRow<V> => ({ key, start: time, value, timestamp: time })
