import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, ValueGetter, ValueGetterSupplier } from './operator.js'

/**
 * What makes a table: its operator, the stores that come with it, and how others read its rows. Whether it has a store
 * and passes old values along is decided by what the program builds on it, so it is asked only when the topology is
 * built. Kafka: KTableProcessorSupplier, and what KTableImpl knows of it.
 */
export abstract class TableSupplier {
  #sendsOldValues = false

  /** A new one for each task. */
  abstract make(): Operator
  abstract stores(): readonly StoreSpec[]
  /** Kafka: KTableImpl.valueGetterSupplier; a table source is made a store by it. */
  abstract view(): ValueGetterSupplier

  /** Whether it will pass old values; with `force` a table source becomes a store for it. Kafka: KTableImpl.enableSendingOldValues. */
  enableSendingOldValues(force: boolean): boolean {
    if (!this.#sendsOldValues) this.#sendsOldValues = this.enable(force)
    return this.#sendsOldValues
  }
  protected abstract enable(force: boolean): boolean

  /** The store that a query reads it by. */
  abstract readonly queryableStore: StoreSpec | undefined
}

/** Rows straight from a key-value store. Kafka: KTableMaterializedValueGetterSupplier. */
export function storeView(store: string): ValueGetterSupplier {
  return {
    stores: [store],
    make(): ValueGetter {
      let rows: { get(key: string): { readonly value: unknown; readonly timestamp: number } | undefined }
      return {
        init(context) {
          rows = context.store(store)
        },
        get: (key: string) => rows.get(key),
      }
    },
  }
}
