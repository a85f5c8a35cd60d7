import type { ObservedTime } from './observed-time.js'
import { Retention } from './retention.js'
import { asItIs, type StoreSetup, type ValueFormat } from './store.js'
import { type Entry, TimeTable } from './time-table.js'

export interface RetainedSetup extends StoreSetup {
  readonly retentionMs: number
}

/** Rows by key and time, kept for so long by the latest time put: what window, session and join stores have in common. */
export abstract class RetainedRows<V, Row = V> {
  readonly name: string
  readonly retentionMs: number
  readonly times: readonly ObservedTime[]
  protected readonly changed: StoreSetup['changed']
  protected readonly format: ValueFormat
  protected readonly rows: TimeTable<Row>
  protected readonly retention: Retention

  /** `changedRows`: where a changelog is told of rows when a turn is over, and not at once. */
  constructor(
    { name, undo, changed, format = asItIs, retentionMs }: RetainedSetup,
    changedRows?: StoreSetup['changedRows'],
  ) {
    this.name = name
    this.retentionMs = retentionMs
    this.changed = changed
    this.format = format
    this.rows = new TimeTable(undo, changedRows)
    this.retention = new Retention(retentionMs, undo)
    this.times = [this.retention.observed]
  }

  get size(): number {
    return this.rows.size
  }

  protected fromLog(logged: unknown): V {
    return this.format.fromLog(logged) as V
  }
  protected abstract forget(row: Entry<Row>): void
  /** Rows that are too old by now are gone, and a changelog is told. */
  protected observe(time: number): void {
    this.retention.observe(time, this.rows, this.#forget)
  }
  readonly #forget = (row: Entry<Row>): void => this.forget(row)
}
