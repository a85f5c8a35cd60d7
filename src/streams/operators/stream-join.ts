import { at, type RecordContext } from '../record.js'
import type { JoinSide, OuterJoinStore, Unmatched } from '../stores/outer-join-store.js'
import type { JoinWindowStore } from '../stores/store.js'
import type { JoinWindows } from '../windows.js'
import type { Operator, OperatorContext } from './operator.js'

/** Told the left value, the right value (undefined: none) and the key. */
export type StreamJoiner = (left: any, right: any, key: any) => unknown

/** Keeps a side's records for the other side to find, after they have gone on to meet the other side's. Kafka: KStreamJoinWindow. */
export class StreamJoinWindow implements Operator {
  readonly #name: string
  #context!: OperatorContext
  #window!: JoinWindowStore

  constructor(store: string) {
    this.#name = store
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#window = context.store(this.#name)
  }
  process(value: unknown, key: string | null, context: RecordContext): void {
    this.#context.forward(value, key, context)
    if (key !== null) this.#window.put(key, value, context.timestamp)
  }
}

interface StreamJoinSetup {
  readonly side: JoinSide
  readonly windows: JoinWindows
  readonly join: StreamJoiner
  /** Of the other side's records. */
  readonly otherStore: string
  /** Of what waits for its window to close: left and outer joins have one, which both sides share. */
  readonly outerStore: string | undefined
  /** Whether records of this side come out alone, too: the left of a left join, both of an outer one. */
  readonly outer: boolean
}

/**
 * One side of a join of two streams. Nothing is ever too late: a record meets what the other side's store still has.
 * Records without a value take no part; those without a key come out alone, if their side does (KIP-962). What has met
 * nothing waits until its window has closed, by the largest timestamp of both sides. Kafka: KStreamKStreamJoin.
 */
export class StreamJoin implements Operator {
  readonly #setup: StreamJoinSetup
  /** Of the timestamps that it meets: that much before its own, and after. */
  readonly #beforeMs: number
  readonly #afterMs: number
  #context!: OperatorContext
  #others!: JoinWindowStore
  #waiting: OuterJoinStore | undefined

  constructor(setup: StreamJoinSetup) {
    const { beforeMs, afterMs } = setup.windows
    this.#setup = setup
    this.#beforeMs = setup.side === 'left' ? beforeMs : afterMs
    this.#afterMs = setup.side === 'left' ? afterMs : beforeMs
  }
  init(context: OperatorContext): void {
    const { otherStore, outerStore } = this.#setup
    this.#context = context
    this.#others = context.store(otherStore)
    this.#waiting = outerStore === undefined ? undefined : context.store(outerStore)
  }

  process(value: unknown, key: string | null, context: RecordContext): void {
    const { timestamp } = context
    // The time that both sides share goes by records without a key, or without a value, too.
    const streamTime = this.#waiting?.streamTime.advance(timestamp)
    if (value === null) return
    if (key === null) {
      if (this.#setup.outer) this.#forward(value, undefined, key, context)
      return
    }
    if (timestamp === streamTime) this.#emitUnmatched(streamTime, context)

    const until = Math.max(0, timestamp + this.#afterMs)
    const others = this.#others.fetch(key, Math.max(0, timestamp - this.#beforeMs), until)
    for (const { value: other, timestamp: otherTimestamp } of others) {
      this.#waiting?.remove(this.#otherSide, key, otherTimestamp)
      this.#forward(value, other, key, at(context, Math.max(timestamp, otherTimestamp)))
    }
    if (others.length === 0 && this.#setup.outer) this.#keep(value, key, until, context)
  }

  /** One without a partner waits, if one may still come in order; else it comes out at once. */
  #keep(value: unknown, key: string, until: number, context: RecordContext): void {
    const waiting = this.#waiting!
    if (until < waiting.streamTime.value) return this.#forward(value, undefined, key, context)
    if (context.timestamp < waiting.minTime.value) waiting.minTime.value = context.timestamp
    waiting.add(this.#setup.side, key, context.timestamp, value)
  }

  /**
   * What has waited until its window closed comes out alone: with its own timestamp, and the headers of the record at
   * work. Kafka: emitNonJoinedOuterRecords, to the letter of when it looks: `minTime` is left at the last that was looked
   * at, which may be later than one that still waits, and then nothing is looked at before that one's time.
   */
  #emitUnmatched(streamTime: number, context: RecordContext): void {
    const waiting = this.#waiting!
    const { afterMs, beforeMs, graceMs } = this.#setup.windows
    if (waiting.minTime.value + this.#afterMs + graceMs >= streamTime) return
    const closed: Unmatched[] = []
    const open = { left: false, right: false }
    let minTime = Number.MAX_SAFE_INTEGER
    for (const found of waiting.all()) {
      minTime = found.timestamp
      if (open.left && open.right) break
      const closes = found.timestamp + (found.side === 'left' ? afterMs : beforeMs) + graceMs
      if (closes < streamTime) closed.push(found)
      else open[found.side] = true
      // Kafka looks at each value: at the second of these it has seen that both sides are open.
      if (open.left && open.right && found.values.length > 1) break
    }
    waiting.minTime.value = minTime
    for (const { side, key, timestamp, values } of closed) {
      for (const value of values) {
        const [left, right] = side === 'left' ? [value, undefined] : [undefined, value]
        const result = this.#context.result(this.#setup.join(left, right, key))
        this.#context.forward(result, key, at(context, timestamp))
      }
      waiting.remove(side, key, timestamp)
    }
  }

  get #otherSide(): JoinSide {
    return this.#setup.side === 'left' ? 'right' : 'left'
  }

  #forward(own: unknown, other: unknown, key: string | null, context: RecordContext): void {
    const { side, join } = this.#setup
    const result = side === 'left' ? join(own, other, key) : join(other, own, key)
    this.#context.forward(this.#context.result(result), key, context)
  }
}
