import { Retention } from './retention.js'
import { parseRowName, rowName } from './row-name.js'
import { asItIs, type SessionRow, type SessionWindowStore, type StoreSetup, type ValueFormat } from './store.js'
import { type Entry, TimeTable } from './time-table.js'

/** Kafka: InMemorySessionStore. Its rows have the session's end for time, and tie by start, the later one first. */
export class InMemorySessionStore<V = unknown> implements SessionWindowStore<V> {
  readonly name: string
  readonly retentionMs: number
  readonly times: SessionWindowStore['times']
  readonly #changed: StoreSetup['changed']
  readonly #format: ValueFormat
  readonly #rows: TimeTable<V>
  readonly #retention: Retention

  constructor({ name, undo, changed, format = asItIs, retentionMs }: StoreSetup & { readonly retentionMs: number }) {
    this.name = name
    this.retentionMs = retentionMs
    this.#changed = changed
    this.#format = format
    this.#rows = new TimeTable(undo)
    this.#retention = new Retention(retentionMs, undo)
    this.times = [this.#retention.observed]
  }

  get size(): number {
    return this.#rows.size
  }

  get(key: string, start: number, end: number): V | undefined {
    return this.#retention.covers(end) ? this.#rows.find(key, end, -start)?.value : undefined
  }

  put(key: string, start: number, end: number, value: V | null | undefined): void {
    this.#retention.observe(end, this.#rows, this.#forget)
    if (!this.#retention.covers(end)) return
    if (value === null || value === undefined) return this.remove(key, start, end)
    const row = this.#rows.find(key, end, -start)
    if (row === undefined) this.#rows.insert(key, end, -start, value)
    else this.#rows.replace(row, value)
    this.#changed?.(rowName(key, start, end), this.#format.toLog(value), end)
  }

  remove(key: string, start: number, end: number): void {
    const row = this.#rows.find(key, end, -start)
    if (row === undefined) return
    this.#rows.remove(row)
    this.#forget(row)
  }

  findSessions(key: string, earliestEnd: number, latestStart: number): readonly SessionRow<V>[] {
    const ended = this.#rows.rangeOf(key, Math.max(earliestEnd, this.#retention.earliest), Infinity)
    return ended.filter(({ tie }) => -tie <= latestStart).map(handOut)
  }

  findSessionsByEnd(from: number, to: number): readonly SessionRow<V>[] {
    return Array.from(this.#rows.range(Math.max(from, this.#retention.earliest), to), handOut)
  }

  restore(name: string, logged: unknown, _timestamp: number): void {
    const [key, start, end] = parseRowName(name)
    this.#rows.restore(key, end, -start, logged === null ? undefined : (this.#format.fromLog(logged) as V))
    this.#retention.restore(end)
  }

  readonly #forget = ({ key, time: end, tie }: Entry<V>): void => this.#changed?.(rowName(key, -tie, end), null, end)
}

const handOut = <V>({ key, time: end, tie, value }: Entry<V>): SessionRow<V> => ({ key, start: 0 - tie, end, value })
