import type { Stamped } from '../record.js'

/** A row, which knows where it waits for its changelog. */
export class LoggedRow<V = unknown> implements Stamped<V> {
  readonly value: V
  readonly timestamp: number
  /** In a ChangedRows. Whether it is still there, that says. */
  #place = -1

  constructor(value: V, timestamp: number) {
    this.value = value
    this.timestamp = timestamp
  }
  static placeOf(row: LoggedRow): number {
    return row.#place
  }
  static put(row: LoggedRow, place: number): void {
    row.#place = place
  }
}

/**
 * Rows that a changelog is to be told of when a turn is over: however often one has changed by then, it is written once,
 * and named once. What is gone is not here: of that a changelog is told at once.
 */
export class ChangedRows<Name = unknown> {
  #names: Name[] = []
  /** By place; holes where rows have gone, or were taken back. */
  #rows: (LoggedRow | undefined)[] = []

  /** Whether the row before it was waiting, whose place it takes. */
  put(name: Name, before: LoggedRow | undefined, row: LoggedRow): boolean {
    const waited = before !== undefined && this.#holds(before)
    const place = waited ? LoggedRow.placeOf(before) : this.#rows.length
    LoggedRow.put(row, place)
    this.#rows[place] = row
    if (!waited) this.#names.push(name)
    return waited
  }
  /** Whether it was waiting. */
  remove(row: LoggedRow): boolean {
    const waited = this.#holds(row)
    if (waited) this.#rows[LoggedRow.placeOf(row)] = undefined
    return waited
  }
  /** Takes back a put, or where there is no row after it, a removal. `waited`: as that has said. */
  undo(before: LoggedRow | undefined, after: LoggedRow | undefined, waited: boolean): void {
    if (waited) this.#rows[LoggedRow.placeOf(before!)] = before
    else if (after !== undefined) this.#rows[LoggedRow.placeOf(after)] = undefined
  }
  #holds(row: LoggedRow): boolean {
    return this.#rows[LoggedRow.placeOf(row)] === row
  }

  drain(log: (name: Name, row: LoggedRow) => void): void {
    const rows = this.#rows
    if (rows.length === 0) return
    for (let i = 0; i < rows.length; i++) if (rows[i] !== undefined) log(this.#names[i]!, rows[i]!)
    // Not emptied: a place in here must not be taken for one of the next turn.
    this.#rows = []
    this.#names = []
  }
}
