import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, ValueGetterSupplier } from './operator.js'
import { PassThrough } from './stateless.js'
import type { StreamAggregate } from './stream-aggregate.js'
import { TableSupplier } from './table-supplier.js'

/** Where the aggregates of a cogroup meet, which share their store. Kafka: KTablePassThrough. */
export class CogroupMerge extends TableSupplier {
  readonly #parts: readonly StreamAggregate[]

  constructor(parts: readonly StreamAggregate[]) {
    super()
    this.#parts = parts
  }
  make(): Operator {
    return new PassThrough()
  }
  stores(): readonly StoreSpec[] {
    return []
  }
  get queryableStore(): StoreSpec {
    return this.#parts[0]!.queryableStore
  }
  view(): ValueGetterSupplier {
    return this.#parts[0]!.view()
  }
  protected enable(force: boolean): boolean {
    for (const part of this.#parts) part.enableSendingOldValues(force)
    return true
  }
}
