import { at, type Change, type RecordContext } from '../record.js'
import type { TimestampedKeyValueStore } from '../stores/store.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, OperatorContext, ValueGetterSupplier } from './operator.js'
import { storeView, TableSupplier } from './table-supplier.js'

/** How a table's groups are summed up. */
export interface TableAggregator {
  /** Left out by reduce, which begins with a group's first value. */
  readonly initial?: (() => unknown) | undefined
  readonly add: (aggregate: any, value: any, key: string) => unknown
  readonly subtract: (aggregate: any, value: any, key: string) => unknown
}

/** Takes from a group what a row was, adds what it is. Kafka: KTableAggregate, KTableReduce. */
export class TableAggregate extends TableSupplier {
  readonly #aggregator: TableAggregator
  readonly queryableStore: StoreSpec
  #sendOldValues = false

  constructor(aggregator: TableAggregator, store: StoreSpec) {
    super()
    this.#aggregator = aggregator
    this.queryableStore = store
  }

  make(): Operator {
    return new TableAggregateOperator(this.#aggregator, this.queryableStore.name, this.#sendOldValues)
  }
  stores(): readonly StoreSpec[] {
    return [this.queryableStore]
  }
  view(): ValueGetterSupplier {
    return storeView(this.queryableStore.name)
  }
  protected enable(): boolean {
    this.#sendOldValues = true
    return true
  }
}

class TableAggregateOperator implements Operator {
  readonly #aggregator: TableAggregator
  readonly #name: string
  readonly #sendOldValues: boolean
  #context!: OperatorContext
  #store!: TimestampedKeyValueStore

  constructor(aggregator: TableAggregator, name: string, sendOldValues: boolean) {
    this.#aggregator = aggregator
    this.#name = name
    this.#sendOldValues = sendOldValues
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#store = context.store(this.#name)
  }
  process(change: Change<unknown>, key: string, context: RecordContext): void {
    const row = this.#store.get(key)
    const before: unknown = row === undefined ? null : row.value
    let aggregate = before
    let { timestamp } = context
    if (change.oldValue !== null && row !== undefined) {
      aggregate = this.#context.result(this.#aggregator.subtract(before, change.oldValue, key))
      timestamp = Math.max(context.timestamp, row.timestamp)
    }
    if (change.newValue !== null) {
      if (row !== undefined && this.#takesTime(aggregate)) timestamp = Math.max(context.timestamp, row.timestamp)
      aggregate = this.#add(aggregate, change.newValue, key)
    }
    this.#store.put(key, aggregate, timestamp)
    const oldValue = this.#sendOldValues ? before : null
    this.#context.forward({ oldValue, newValue: aggregate } satisfies Change<unknown>, key, at(context, timestamp))
  }
  /** A reduce that begins anew has the time of what it begins with. */
  #takesTime(aggregate: unknown): boolean {
    return this.#aggregator.initial !== undefined || aggregate !== null
  }
  #add(aggregate: unknown, value: unknown, key: string): unknown {
    const { initial, add } = this.#aggregator
    if (aggregate !== null) return this.#context.result(add(aggregate, value, key))
    if (initial === undefined) return value
    return this.#context.result(add(this.#context.result(initial()), value, key))
  }
}
