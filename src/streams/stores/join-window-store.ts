import { Retention } from './retention.js'
import { parseRowName, rowName } from './row-name.js'
import { asItIs, type JoinWindowStore, type StoreSetup, type ValueFormat, type WindowRow } from './store.js'
import { type Entry, TimeTable } from './time-table.js'

/** Kafka: InMemoryWindowStore with retainDuplicates. */
export class InMemoryJoinWindowStore<V = unknown> implements JoinWindowStore<V> {
  readonly name: string
  readonly retentionMs: number
  readonly times: JoinWindowStore['times']
  readonly #changed: StoreSetup['changed']
  readonly #format: ValueFormat
  readonly #rows: TimeTable<V>
  readonly #retention: Retention
  /** Tells duplicates apart. Gaps, as a rollback leaves them, are no harm. Kafka: seqnum. */
  #duplicates = 0

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

  put(key: string, value: V | null, timestamp: number): void {
    this.#retention.observe(timestamp, this.#rows, this.#forget)
    if (value === null || !this.#retention.covers(timestamp)) return
    const number = ++this.#duplicates
    this.#rows.insert(key, timestamp, number, value)
    this.#changed?.(rowName(key, timestamp, number), this.#format.toLog(value), timestamp)
  }

  fetch(key: string, from: number, to: number): readonly WindowRow<V>[] {
    return this.#rows.rangeOf(key, Math.max(from, this.#retention.earliest), to).map(handOut)
  }

  restore(name: string, logged: unknown, _timestamp: number): void {
    const [key, timestamp, number] = parseRowName(name)
    this.#rows.restore(key, timestamp, number, logged === null ? undefined : (this.#format.fromLog(logged) as V))
    this.#retention.restore(timestamp)
    this.#duplicates = Math.max(this.#duplicates, number)
  }

  readonly #forget = ({ key, time, tie }: Entry<V>): void => this.#changed?.(rowName(key, time, tie), null, time)
}

const handOut = <V>({ key, time, value }: Entry<V>): WindowRow<V> => ({ key, start: time, value, timestamp: time })
