import type { RecordContext } from '../record.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { Aggregator } from './aggregator.js'
import type { Operator, OperatorContext } from './operator.js'

export interface WindowAggregateOptions {
  readonly sendOldValues: boolean
  readonly onClose: boolean
}

/** What sums up a stream in windows of some kind: by its own stream time, into a store of windows or sessions. */
export abstract class WindowAggregate<Windows, Store> implements Operator {
  readonly #name: string
  protected readonly windows: Windows
  protected readonly aggregator: Aggregator
  protected readonly options: WindowAggregateOptions
  protected context!: OperatorContext
  protected store!: Store
  protected streamTime!: ObservedTime

  constructor(store: string, windows: Windows, aggregator: Aggregator, options: WindowAggregateOptions) {
    this.#name = store
    this.windows = windows
    this.aggregator = aggregator
    this.options = options
  }
  init(context: OperatorContext): void {
    this.context = context
    this.store = context.store(this.#name)
    this.streamTime = context.time('stream-time')
  }
  abstract process(value: unknown, key: string | null, context: RecordContext): void
}
