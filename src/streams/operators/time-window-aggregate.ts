import type { RecordContext } from '../record.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { TimestampedWindowStore } from '../stores/store.js'
import { firstStart, type TimeWindows, windowStarts } from '../windows.js'
import type { Aggregator } from './aggregator.js'
import type { Operator, OperatorContext } from './operator.js'
import { type ClosedStarts, WindowEmission } from './window-emission.js'

export interface WindowAggregateOptions {
  readonly sendOldValues: boolean
  readonly onClose: boolean
}

/** A row for each key and window; records without a key are left out, those without a value count. Kafka: KStreamWindowAggregate. */
export class TimeWindowAggregate implements Operator {
  readonly #name: string
  readonly #windows: TimeWindows
  readonly #aggregator: Aggregator
  readonly #options: WindowAggregateOptions
  #context!: OperatorContext
  #store!: TimestampedWindowStore
  #streamTime!: ObservedTime
  #emission!: WindowEmission

  constructor(store: string, windows: TimeWindows, aggregator: Aggregator, options: WindowAggregateOptions) {
    this.#name = store
    this.#windows = windows
    this.#aggregator = aggregator
    this.#options = options
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#store = context.store(this.#name)
    this.#streamTime = context.time('stream-time')
    this.#emission = new WindowEmission(context, this.#store, { ...this.#options, lengthMs: this.#windows.sizeMs })
  }
  process(value: unknown, key: string | null, context: RecordContext): void {
    if (key === null) return
    const { sizeMs, advanceMs, graceMs } = this.#windows
    const closeTime = this.#streamTime.advance(context.timestamp) - graceMs
    const { timestamp } = context
    for (let start = firstStart(this.#windows, timestamp); start <= timestamp; start += advanceMs)
      if (start + sizeMs > closeTime) this.#add(key, value, start, context)
    if (this.#emission.onClose) this.#emission.close(closeTime, context, emitted => this.#closed(closeTime, emitted))
  }

  #add(key: string, value: unknown, start: number, context: RecordContext): void {
    const { initial, add } = this.#aggregator
    const row = this.#store.get(key, start)
    const timestamp = row === undefined ? context.timestamp : Math.max(context.timestamp, row.timestamp)
    // A reduce begins with the first value, which may be null and then begins nothing.
    const oldValue: unknown =
      row !== undefined ? row.value : initial === undefined ? null : this.#context.result(initial())
    const begins = initial === undefined && oldValue === null
    const newValue: unknown = begins ? value : this.#context.result(add(oldValue, value, key))
    this.#store.put(key, newValue, start, timestamp)
    if (!this.#emission.silent) this.#emission.update(key, start, { oldValue, newValue }, timestamp, context)
  }

  #closed(closeTime: number, emitted: number): ClosedStarts | undefined {
    const { sizeMs } = this.#windows
    const to = closeTime - sizeMs
    if (to < 0) return undefined
    const from = emitted === -1 ? 0 : Math.max(0, emitted - sizeMs) + 1
    if (emitted !== -1 && sameStarts(windowStarts(this.#windows, to), windowStarts(this.#windows, from - 1)))
      return undefined
    return { from, to }
  }
}

const sameStarts = (one: readonly number[], other: readonly number[]): boolean =>
  one.length === other.length && one.every((start, i) => start === other[i])
