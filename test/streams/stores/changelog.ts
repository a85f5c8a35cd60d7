import { ChangedRows } from '../../../src/streams/stores/changed-rows.js'
import type { StateStore, StoreSetup, ValueFormat } from '../../../src/streams/stores/store.js'
import { UndoLog } from '../../../src/streams/stores/undo-log.js'

/** What a task does with its stores: a record's changes go to the changelog together, or not at all. */
export class Changelog {
  readonly undo: UndoLog = new UndoLog()
  /** As after compaction, tombstones dropped. Values are JSON text, so that only what JSON can say gets through. */
  readonly rows: Map<string, { readonly value: string; readonly timestamp: number }> = new Map()
  readonly #waiting = new ChangedRows()
  #record: { key: string; value: unknown; timestamp: number }[] = []

  setup(format?: ValueFormat): StoreSetup {
    return {
      name: 'store',
      undo: this.undo,
      format,
      changed: (key, value, timestamp = 0) => this.#record.push({ key, value, timestamp }),
    }
  }

  /** As a task has it where values are held as they are: rows that are put wait until endTurn(). */
  waitingSetup(): StoreSetup {
    return { ...this.setup(), changedRows: this.#waiting }
  }
  endTurn(store: StateStore): void {
    this.#waiting.drain((name, { value, timestamp }) => {
      const key = store.rowName?.(name) ?? (name as string)
      this.rows.set(key, { value: JSON.stringify(value), timestamp })
    })
  }

  /** What the record at work has changed so far. */
  get changes(): readonly (readonly [key: string, value: unknown, timestamp: number])[] {
    return this.#record.map(({ key, value, timestamp }) => [key, value, timestamp])
  }

  commit(): void {
    for (const { key, value, timestamp } of this.#record) {
      this.rows.delete(key)
      if (value !== null) this.rows.set(key, { value: JSON.stringify(value), timestamp })
    }
    this.#record = []
    this.undo.commit()
  }

  rollback(): void {
    this.#record = []
    this.undo.rollback()
  }

  /** Makes of a new store what the old one was: as a task is moved. */
  restore<S extends StateStore>(store: S, times: readonly { readonly name: string; readonly value: number }[]): S {
    for (const [key, { value, timestamp }] of this.rows) store.restore(key, JSON.parse(value), timestamp)
    for (const time of store.times) time.restore(times.find(({ name }) => name === time.name)!.value)
    return store
  }
}
