import type { Change, RecordContext } from '../record.js'
import type { TimestampedKeyValueStore } from '../stores/store.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, OperatorContext, ValueGetterSupplier } from './operator.js'
import { storeView, TableSupplier } from './table-supplier.js'

/**
 * A stream's records as changes of a table: of a topic, of toTable(), of a foreign-key join. It keeps no rows unless
 * somebody needs them. Kafka: KTableSource.
 */
export class TableSource extends TableSupplier {
  readonly #store: StoreSpec
  #materialized: boolean
  #sendOldValues = false

  constructor(store: StoreSpec, materialized: boolean) {
    super()
    this.#store = store
    this.#materialized = materialized
  }

  make(): Operator {
    return this.#materialized ? new Materialized(this.#store.name, this.#sendOldValues) : new Passing()
  }
  stores(): readonly StoreSpec[] {
    return this.#materialized ? [this.#store] : []
  }
  get queryableStore(): StoreSpec | undefined {
    return this.#materialized ? this.#store : undefined
  }
  view(): ValueGetterSupplier {
    this.#materialized = true
    return storeView(this.#store.name)
  }
  protected enable(force: boolean): boolean {
    if (!force && !this.#materialized) return false
    this.#materialized = true
    this.#sendOldValues = true
    return true
  }
}

class Materialized implements Operator {
  readonly #name: string
  readonly #sendOldValues: boolean
  #context!: OperatorContext
  #store!: TimestampedKeyValueStore

  constructor(name: string, sendOldValues: boolean) {
    this.#name = name
    this.#sendOldValues = sendOldValues
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#store = context.store(this.#name)
  }
  /** A late record counts as any other: the table holds what came last. */
  process(value: unknown, key: string | null, context: RecordContext): void {
    if (key === null) return
    const oldValue = this.#sendOldValues ? (this.#store.get(key)?.value ?? null) : null
    this.#store.put(key, value, context.timestamp)
    this.#context.forward({ oldValue, newValue: value } satisfies Change<unknown>, key, context)
  }
}

class Passing implements Operator {
  #context!: OperatorContext

  init(context: OperatorContext): void {
    this.#context = context
  }
  process(value: unknown, key: string | null, context: RecordContext): void {
    if (key !== null) this.#context.forward({ oldValue: null, newValue: value } satisfies Change<unknown>, key, context)
  }
}
