import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, ValueGetterSupplier } from './operator.js'
import { TableSupplier } from './table-supplier.js'

/** Makes an aggregate's operator, told whether what is downstream needs old values. */
type MakeAggregate = (sendOldValues: boolean) => Operator

/** A table that sums up a stream: always a store. Kafka: KStreamAggProcessorSupplier. */
export class StreamAggregate extends TableSupplier {
  readonly queryableStore: StoreSpec
  readonly #make: MakeAggregate
  readonly #view: ValueGetterSupplier
  #sendOldValues = false

  constructor(make: MakeAggregate, store: StoreSpec, view: ValueGetterSupplier) {
    super()
    this.#make = make
    this.queryableStore = store
    this.#view = view
  }
  make(): Operator {
    return this.#make(this.#sendOldValues)
  }
  stores(): readonly StoreSpec[] {
    return [this.queryableStore]
  }
  view(): ValueGetterSupplier {
    return this.#view
  }
  protected enable(): boolean {
    this.#sendOldValues = true
    return true
  }
}
