import type { Change, RecordContext } from '../record.js'
import type { TimestampedKeyValueStore } from '../stores/store.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, OperatorContext, ValueGetter, ValueGetterSupplier } from './operator.js'
import { storeView, TableSupplier } from './table-supplier.js'

/** What filter and mapValues of a table make of a row; null where nothing is left of it. Asked only of rows that are there. */
export type RowChange = (value: any, key: any, context: OperatorContext) => unknown

/**
 * A table made row by row of another one, with a store of its own or without. Kafka: KTableFilter and KTableMapValues,
 * which differ in two points: `filters`.
 */
export class TableRowChange extends TableSupplier {
  readonly #parent: TableSupplier
  readonly #change: RowChange
  readonly #store: StoreSpec | undefined
  readonly #filters: boolean
  #sendOldValues = false

  constructor(parent: TableSupplier, change: RowChange, store: StoreSpec | undefined, filters: boolean) {
    super()
    this.#parent = parent
    this.#change = change
    this.#store = store
    this.#filters = filters
    // B11.8: where the parent passes old values anyway, a filter need not tell of rows that never matched.
    if (filters) this.#sendOldValues = parent.enableSendingOldValues(false)
  }

  make(): Operator {
    return new RowChangeOperator(this.#change, this.#store?.name, this.#sendOldValues, this.#filters)
  }
  stores(): readonly StoreSpec[] {
    return this.#store === undefined ? [] : [this.#store]
  }
  get queryableStore(): StoreSpec | undefined {
    return this.#store
  }
  view(): ValueGetterSupplier {
    if (this.#store !== undefined) return storeView(this.#store.name)
    const parent = this.#parent.view()
    const change = this.#change
    return { stores: parent.stores, make: () => rowChangeGetter(parent.make(), change) }
  }
  protected enable(force: boolean): boolean {
    if (this.#store !== undefined || this.#parent.enableSendingOldValues(force)) this.#sendOldValues = true
    return this.#sendOldValues
  }
}

class RowChangeOperator implements Operator {
  readonly #change: RowChange
  readonly #name: string | undefined
  readonly #sendOldValues: boolean
  readonly #filters: boolean
  #context!: OperatorContext
  #store: TimestampedKeyValueStore | undefined

  constructor(change: RowChange, name: string | undefined, sendOldValues: boolean, filters: boolean) {
    this.#change = change
    this.#name = name
    this.#sendOldValues = sendOldValues
    this.#filters = filters
  }
  init(context: OperatorContext): void {
    this.#context = context
    if (this.#name !== undefined) this.#store = context.store(this.#name)
  }
  process(change: Change<unknown>, key: any, context: RecordContext): void {
    const newValue = this.#apply(change.newValue, key)
    const oldValue = this.#sendOldValues ? this.#old(change, key) : null
    if (this.#filters && this.#sendOldValues && oldValue === null && newValue === null) return
    this.#store?.put(key, newValue, context.timestamp)
    this.#context.forward({ oldValue, newValue } satisfies Change<unknown>, key, context)
  }
  #old(change: Change<unknown>, key: any): unknown {
    return this.#store === undefined ? this.#apply(change.oldValue, key) : (this.#store.get(key)?.value ?? null)
  }
  #apply(value: unknown, key: any): unknown {
    return value === null ? null : this.#change(value, key, this.#context)
  }
}

function rowChangeGetter(parent: ValueGetter, change: RowChange): ValueGetter {
  let own: OperatorContext
  return {
    init(context) {
      own = context
      parent.init(context)
    },
    get(key) {
      const row = parent.get(key)
      if (row === undefined) return undefined
      const value = change(row.value, key, own)
      return value === null ? undefined : { value, timestamp: row.timestamp }
    },
  }
}
