import { RetainedRows } from './retained-rows.js'
import { parseRowName, rowName } from './row-name.js'
import type { SessionRow, SessionWindowStore } from './store.js'
import type { Entry } from './time-table.js'

/** Kafka: InMemorySessionStore. Its rows have the session's end for time, and tie by start, the later one first. */
export class InMemorySessionStore<V = unknown> extends RetainedRows<V> implements SessionWindowStore<V> {
  get(key: string, start: number, end: number): V | undefined {
    return this.retention.covers(end) ? this.rows.find(key, end, -start)?.value : undefined
  }

  put(key: string, start: number, end: number, value: V | null | undefined): void {
    this.observe(end)
    if (!this.retention.covers(end)) return
    if (value === null || value === undefined) return this.remove(key, start, end)
    const row = this.rows.find(key, end, -start)
    if (row === undefined) this.rows.insert(key, end, -start, value)
    else this.rows.replace(row, value)
    this.changed?.(rowName(key, start, end), this.format.toLog(value), end)
  }

  remove(key: string, start: number, end: number): void {
    const row = this.rows.find(key, end, -start)
    if (row === undefined) return
    this.rows.remove(row)
    this.forget(row)
  }

  findSessions(key: string, earliestEnd: number, latestStart: number): readonly SessionRow<V>[] {
    const ended = this.rows.rangeOf(key, Math.max(earliestEnd, this.retention.earliest), Infinity)
    return ended.filter(({ tie }) => -tie <= latestStart).map(handOut)
  }

  findSessionsByEnd(from: number, to: number): readonly SessionRow<V>[] {
    return Array.from(this.rows.range(Math.max(from, this.retention.earliest), to), handOut)
  }

  restore(name: string, logged: unknown, _timestamp: number): void {
    const [key, start, end] = parseRowName(name)
    this.rows.restore(key, end, -start, logged === null ? undefined : this.fromLog(logged))
    this.retention.restore(end)
  }

  protected override forget({ key, time: end, tie }: Entry<V>): void {
    this.changed?.(rowName(key, -tie, end), null, end)
  }
}

const handOut = <V>({ key, time: end, tie, value }: Entry<V>): SessionRow<V> => ({ key, start: 0 - tie, end, value })
