import { at, type Change, type RecordContext } from '../record.js'
import type { TimestampedKeyValueStore } from '../stores/store.js'
import type { Aggregator } from './aggregator.js'
import type { Operator, OperatorContext } from './operator.js'

/**
 * A row for each key, over all time; records without a key or a value are left out. Its time is the largest one of what
 * it sums up. Kafka: KStreamAggregate, KStreamReduce.
 */
export class KeyAggregate implements Operator {
  readonly #name: string
  readonly #aggregator: Aggregator
  readonly #sendOldValues: boolean
  #context!: OperatorContext
  #store!: TimestampedKeyValueStore

  constructor(store: string, aggregator: Aggregator, sendOldValues: boolean) {
    this.#name = store
    this.#aggregator = aggregator
    this.#sendOldValues = sendOldValues
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#store = context.store(this.#name)
  }
  process(value: unknown, key: string | null, context: RecordContext): void {
    if (key === null || value === null) return
    const row = this.#store.get(key)
    const timestamp = row === undefined ? context.timestamp : Math.max(context.timestamp, row.timestamp)
    const begun: unknown = row === undefined ? this.#initial() : row.value
    const newValue = begun === undefined ? value : this.#context.result(this.#aggregator.add(begun, value, key))
    this.#store.put(key, newValue, timestamp)
    if (this.#context.leaf) return
    // As Kafka's: what a new row begins with counts as its old value, except that a reduce has none.
    const oldValue = this.#sendOldValues && begun !== undefined ? begun : null
    this.#context.forward({ oldValue, newValue } satisfies Change<unknown>, key, at(context, timestamp))
  }
  /** Undefined for a reduce. */
  #initial(): unknown {
    const { initial } = this.#aggregator
    return initial === undefined ? undefined : this.#context.result(initial())
  }
}
