import type { StateStore, TimestampedKeyValueStore } from './stores/store.js'
import { UndoLog } from './stores/undo-log.js'
import type { TopologyPlan } from './topology/plan.js'

/** The global tables of an instance, which all of its tasks read; the shell fills them from their topics. */
export class GlobalTables {
  readonly #undo = new UndoLog()
  readonly #stores = new Map<string, StateStore>()

  constructor({ globalStores }: TopologyPlan) {
    for (const { store, spec } of globalStores) this.#stores.set(store, spec.make({ name: store, undo: this.#undo }))
  }

  store(name: string): StateStore | undefined {
    return this.#stores.get(name)
  }
  /** For queries; undefined where it is no global table's. */
  storesOf(name: string): readonly StateStore[] | undefined {
    const store = this.#stores.get(name)
    return store && [store]
  }

  /** Records without a key are left out. Kafka: GlobalStateUpdateTask, KTableSource. */
  update(store: string, record: { readonly key: unknown; readonly value: unknown; readonly timestamp: number }): void {
    if (typeof record.key !== 'string') return
    const rows = this.#stores.get(store) as TimestampedKeyValueStore
    rows.put(record.key, record.value, record.timestamp)
    this.#undo.commit()
  }
}
