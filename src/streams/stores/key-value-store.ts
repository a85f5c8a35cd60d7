import type { Stamped } from '../record.js'
import { type ChangedRows, LoggedRow } from './changed-rows.js'
import { compareKeys } from './key-order.js'
import type { ObservedTime } from './observed-time.js'
import { SortedKeys } from './sorted-keys.js'
import { asItIs, type StoreSetup, type TimestampedKeyValueStore, type ValueFormat } from './store.js'
import type { Undoable } from './undo-log.js'

type Entry<V> = readonly [key: string, row: Stamped<V>]

/**
 * A Map of rows. Its keys are sorted when a range is first asked for, and kept sorted from then on, so that a store that
 * is only read by key costs no more than the Map. Kafka: InMemoryKeyValueStore, with timestamps.
 */
export class InMemoryKeyValueStore<V = unknown> implements TimestampedKeyValueStore<V>, Undoable {
  readonly name: string
  readonly times: readonly ObservedTime[] = []
  readonly #undo: StoreSetup['undo']
  readonly #changed: StoreSetup['changed']
  readonly #format: ValueFormat
  readonly #changedRows: ChangedRows<string> | undefined
  readonly #rows = new Map<string, LoggedRow<V>>()
  /** What was asked for last: who puts a row has mostly looked at the one before. */
  #latestKey: string | undefined
  #latestRow: LoggedRow<V> | undefined
  #sorted: SortedKeys | undefined

  constructor({ name, undo, changed, changedRows, format = asItIs }: StoreSetup) {
    this.name = name
    this.#undo = undo
    this.#changed = changed
    this.#changedRows = changedRows as ChangedRows<string> | undefined
    this.#format = format
  }

  get size(): number {
    return this.#rows.size
  }

  get(key: string): LoggedRow<V> | undefined {
    if (key !== this.#latestKey) {
      this.#latestRow = this.#rows.get(key)
      this.#latestKey = key
    }
    return this.#latestRow
  }

  put(key: string, value: V | null | undefined, timestamp: number): void {
    const before = this.get(key)
    if (value === null || value === undefined) {
      if (before !== undefined) this.#remove(key, before, timestamp)
      return
    }
    const row = new LoggedRow<V>(value, timestamp)
    this.#set(key, before, row)
    this.#undo.add(this, key, before, this.#changedRows?.put(key, before, row))
    if (this.#changedRows === undefined) this.#changed?.(key, this.#format.toLog(value), timestamp)
  }

  delete(key: string): Stamped<V> | undefined {
    const before = this.get(key)
    if (before === undefined) return undefined
    this.#remove(key, before, undefined)
    return before
  }

  #remove(key: string, row: LoggedRow<V>, timestamp: number | undefined): void {
    this.#set(key, row, undefined)
    this.#undo.add(this, key, row, this.#changedRows?.remove(row))
    this.#changed?.(key, null, timestamp)
  }

  range(from = '', to?: string, reverse = false): IterableIterator<Entry<V>> {
    const wanted = to === undefined ? () => true : (key: string) => compareKeys(key, to) <= 0
    return this.#read(this.#keys().take(from, wanted), reverse)
  }

  prefix(prefix: string, reverse = false): IterableIterator<Entry<V>> {
    const keys = this.#keys().take(prefix, key => key.startsWith(prefix))
    return this.#read(keys, reverse)
  }

  restore(key: string, logged: unknown, timestamp: number): void {
    const row = logged === null ? undefined : new LoggedRow<V>(this.#format.fromLog(logged) as V, timestamp)
    this.#set(key, this.get(key), row)
  }

  undo(key: string, before: LoggedRow<V> | undefined, waited: boolean | undefined): void {
    const after = this.get(key)
    this.#set(key, after, before)
    if (waited !== undefined) this.#changedRows!.undo(before, after, waited)
  }

  #set(key: string, before: LoggedRow<V> | undefined, row: LoggedRow<V> | undefined): void {
    this.#latestKey = key
    this.#latestRow = row
    if (row !== undefined) {
      this.#rows.set(key, row)
      if (before === undefined) this.#sorted?.add(key)
    } else if (before !== undefined) {
      this.#rows.delete(key)
      this.#sorted?.delete(key)
    }
  }

  #keys(): SortedKeys {
    this.#sorted ??= new SortedKeys(this.#rows.keys())
    return this.#sorted
  }

  /** Kafka: InMemoryKeyValueIterator — the keys as they were, without those that have gone meanwhile. */
  *#read(keys: readonly string[], reverse: boolean): IterableIterator<Entry<V>> {
    for (let i = 0; i < keys.length; i++) {
      const key = keys[reverse ? keys.length - 1 - i : i]!
      const row = this.#rows.get(key)
      if (row !== undefined) yield [key, row]
    }
  }
}
