import { at, type Change, type RecordContext, type Windowed } from '../record.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { TimestampedWindowStore } from '../stores/store.js'
import type { OperatorContext } from './operator.js'

/** Which windows have closed, by their starts, both included. */
export interface ClosedStarts {
  readonly from: number
  readonly to: number
}

/**
 * What time and sliding windows pass on and when: each change, or each window once when it has closed. Kafka:
 * AbstractKStreamTimeWindowAggregateProcessor.
 */
export class WindowEmission {
  readonly #context: OperatorContext
  readonly #store: TimestampedWindowStore
  readonly #sendOldValues: boolean
  readonly #lengthMs: number
  /** The close time up to which windows have been passed on; none is kept where each change is. */
  readonly #emitted: ObservedTime | undefined

  constructor(
    context: OperatorContext,
    store: TimestampedWindowStore,
    { sendOldValues, onClose, lengthMs }: { sendOldValues: boolean; onClose: boolean; lengthMs: number },
  ) {
    this.#context = context
    this.#store = store
    this.#sendOldValues = sendOldValues
    this.#lengthMs = lengthMs
    this.#emitted = onClose ? context.time('emitted') : undefined
  }

  /** Whether update() passes nothing on. */
  get silent(): boolean {
    return this.#emitted !== undefined || this.#context.leaf
  }
  update(key: string, start: number, change: Change<unknown>, timestamp: number, context: RecordContext): void {
    if (this.silent) return
    const passed = this.#sendOldValues
      ? change
      : ({ oldValue: null, newValue: change.newValue } satisfies Change<unknown>)
    this.#context.forward(passed, this.#window(key, start), at(context, timestamp))
  }

  /** Whether windows are passed on when they have closed. */
  get onClose(): boolean {
    return this.#emitted !== undefined
  }
  /** `closed` is told the close time of the last emission, -1 before the first. */
  close(closeTime: number, context: RecordContext, closed: (emitted: number) => ClosedStarts | undefined): void {
    const emitted = this.#emitted
    if (emitted === undefined || (emitted.value !== -1 && emitted.value >= closeTime)) return
    const starts = closed(emitted.value)
    if (starts === undefined || starts.to < 0) return
    for (const { key, start, value, timestamp } of this.#store.fetchAll(starts.from, starts.to))
      this.#context.forward(
        { oldValue: null, newValue: value } satisfies Change<unknown>,
        this.#window(key, start),
        at(context, timestamp),
      )
    emitted.advance(closeTime)
  }

  #window(key: string, start: number): Windowed {
    return { key, start, end: start + this.#lengthMs }
  }
}
