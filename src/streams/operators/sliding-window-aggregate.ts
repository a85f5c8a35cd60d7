import type { RecordContext, Stamped } from '../record.js'
import type { TimestampedWindowStore } from '../stores/store.js'
import type { SlidingWindows } from '../windows.js'
import type { OperatorContext } from './operator.js'
import { WindowAggregate } from './window-aggregate.js'
import { WindowEmission } from './window-emission.js'

interface Incoming {
  readonly key: string
  readonly value: unknown
  readonly timestamp: number
  readonly closeTime: number
  readonly context: RecordContext
}

/** What the windows around a record say of the records around it. */
interface Around {
  readonly starts: Set<number>
  /** The latest record before this one, where a window of its own right side may be missing. */
  previous: number | undefined
  leftAggregate: Stamped<unknown> | undefined
  rightAggregate: Stamped<unknown> | undefined
  leftThere: boolean
  rightThere: boolean
}

/**
 * A record at t makes the window that ends with it and, for each record that it comes after, the window that begins
 * behind that one; windows that hold it take it in. Nothing is kept but windows, so the records around are told from
 * theirs. Kafka: KStreamSlidingWindowAggregate, with a store that reads backwards.
 */
export class SlidingWindowAggregate extends WindowAggregate<SlidingWindows, TimestampedWindowStore> {
  #emission!: WindowEmission

  override init(context: OperatorContext): void {
    super.init(context)
    this.#emission = new WindowEmission(context, this.store, {
      ...this.options,
      lengthMs: this.windows.differenceMs,
    })
  }

  process(value: unknown, key: string | null, context: RecordContext): void {
    if (key === null || value === null) return
    const { differenceMs, graceMs } = this.windows
    const { timestamp } = context
    const closeTime = this.streamTime.advance(timestamp) - graceMs
    if (timestamp + differenceMs < closeTime) return
    const record: Incoming = { key, value, timestamp, closeTime, context }
    // As Kafka's: an early record closes no windows.
    if (timestamp < differenceMs) return this.#processEarly(record)
    this.#processOrdinary(record)
    this.#emission.close(closeTime, context, emitted => ({
      from: emitted === -1 ? 0 : Math.max(0, emitted - differenceMs),
      to: closeTime - differenceMs - 1,
    }))
  }

  /** Kafka: processReverse. */
  #processOrdinary(record: Incoming): void {
    const { differenceMs } = this.windows
    const { key, timestamp } = record
    const around = nothingAround()
    const windows = this.store.fetch(key, Math.max(0, timestamp - 2 * differenceMs), timestamp + 1)
    for (let i = windows.length - 1; i >= 0; i--) {
      const window = windows[i]!
      const end = window.start + differenceMs
      around.starts.add(window.start)
      if (window.start === timestamp + 1) around.rightThere = true
      else if (end > timestamp) {
        around.rightAggregate ??= window
        this.#update(window.start, window, record)
      } else if (end === timestamp) {
        around.leftThere = true
        this.#update(window.start, window, record)
        // A record of this very timestamp was here before, and made all windows that this one would.
        if (window.timestamp >= timestamp) return
        around.previous = window.timestamp
      } else {
        around.leftAggregate = window
        around.previous = window.timestamp
        break
      }
    }
    this.#createWindows(record, around)
  }

  /** Kafka: createWindows. */
  #createWindows(record: Incoming, around: Around): void {
    const { differenceMs } = this.windows
    const { timestamp } = record
    const { previous } = around
    if (previous !== undefined && !around.starts.has(previous + 1) && previous + 1 + differenceMs >= timestamp)
      this.#update(previous + 1, this.#begun(timestamp), record)
    if (!around.leftThere) {
      const holdsPrevious = previous !== undefined && timestamp - differenceMs <= previous
      const begun = holdsPrevious ? { value: around.leftAggregate?.value, timestamp } : this.#begun(timestamp)
      this.#update(timestamp - differenceMs, begun, record)
    }
    this.#createRight(record, around)
  }

  /**
   * Records before the first whole window share one, from 0, which holds more than it should. Kafka: processEarly.
   */
  #processEarly(record: Incoming): void {
    const { key, timestamp } = record
    const around = nothingAround()
    let combined: Stamped<unknown> | undefined
    for (const window of this.store.fetch(key, 0, timestamp + 1)) {
      around.starts.add(window.start)
      if (window.start === 0) {
        combined = window
        if (window.timestamp < timestamp) around.previous = window.timestamp
      } else if (window.start <= timestamp) {
        around.rightAggregate = window
        this.#update(window.start, window, record)
      } else around.rightThere = true
    }
    if (combined !== undefined && combined.timestamp > timestamp) around.rightAggregate ??= combined
    this.#createRight(record, around)
    if (around.previous !== undefined && !around.starts.has(around.previous + 1))
      this.#update(around.previous + 1, this.#begun(timestamp), record)
    this.#update(0, combined ?? this.#begun(timestamp), record)
  }

  /** The window behind this record, where later ones are there already to be in it. */
  #createRight({ key, timestamp, context }: Incoming, { rightThere, rightAggregate }: Around): void {
    if (rightThere || rightAggregate === undefined || rightAggregate.timestamp <= timestamp) return
    const { value } = rightAggregate
    this.store.put(key, value, timestamp + 1, rightAggregate.timestamp)
    const change = { oldValue: null, newValue: value }
    this.#emission.update(key, timestamp + 1, change, rightAggregate.timestamp, context)
  }

  /** Kafka: updateWindowAndForward. */
  #update(start: number, before: Stamped<unknown>, record: Incoming): void {
    if (start + this.windows.differenceMs < record.closeTime) return
    const { key, value, context } = record
    const oldValue = before.value ?? null
    const begins = this.aggregator.initial === undefined && oldValue === null
    const newValue: unknown = begins ? value : this.context.result(this.aggregator.add(oldValue, value, key))
    const timestamp = oldValue === null ? record.timestamp : Math.max(record.timestamp, before.timestamp)
    this.store.put(key, newValue, start, timestamp)
    this.#emission.update(key, start, { oldValue, newValue }, timestamp, context)
  }

  #begun(timestamp: number): Stamped<unknown> {
    const { initial } = this.aggregator
    return { value: initial === undefined ? null : this.context.result(initial()), timestamp }
  }
}

const nothingAround = (): Around => ({
  starts: new Set(),
  previous: undefined,
  leftAggregate: undefined,
  rightAggregate: undefined,
  leftThere: false,
  rightThere: false,
})
