import { type Change, noHeaders, type RecordContext, type Windowed } from '../record.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { SessionWindowStore } from '../stores/store.js'
import { isClosed, type SessionWindows } from '../windows.js'
import type { Aggregator } from './aggregator.js'
import type { OperatorContext } from './operator.js'
import { WindowAggregate } from './window-aggregate.js'

/**
 * A record joins the sessions that it touches to one: they are gone (null), then the new one is there. Its timestamp is
 * its end. Records without a key are left out, those without a value count. Kafka: KStreamSessionWindowAggregate.
 */
export class SessionWindowAggregate extends WindowAggregate<SessionWindows, SessionWindowStore> {
  #emitted: ObservedTime | undefined

  override init(context: OperatorContext): void {
    super.init(context)
    if (this.options.onClose) this.#emitted = context.time('emitted')
  }

  process(value: unknown, key: string | null, context: RecordContext): void {
    if (key === null) return
    const streamTime = this.streamTime.advance(context.timestamp)
    this.#add(key, value, streamTime, context)
    if (this.#emitted !== undefined) this.#emitClosed(streamTime, this.#emitted, context)
  }

  #add(key: string, value: unknown, streamTime: number, context: RecordContext): void {
    const { timestamp } = context
    const { gapMs } = this.windows
    const { initial, add, merge } = this.aggregator
    const touched = this.store.findSessions(key, timestamp - gapMs, timestamp + gapMs)
    let aggregate: unknown = initial === undefined ? null : this.context.result(initial())
    let start = timestamp
    let end = timestamp
    for (const session of touched) {
      aggregate = this.#merge(merge!, aggregate, session.value, key)
      start = Math.min(start, session.start)
      end = Math.max(end, session.end)
    }
    if (isClosed(this.windows, end, streamTime)) return
    // A session of this very record's time alone is taken over in place, without being gone first.
    if (start !== timestamp || end !== timestamp)
      for (const session of touched) {
        this.store.remove(key, session.start, session.end)
        this.#update({ key, start: session.start, end: session.end }, session.value, null, context)
      }
    const begins = initial === undefined && aggregate === null
    const newValue: unknown = begins ? value : this.context.result(add(aggregate, value, key))
    this.store.put(key, start, end, newValue)
    this.#update({ key, start, end }, null, newValue, context)
  }

  /** A reduce has nothing to begin with. Kafka: SessionWindowedKStreamImpl.mergerFromAggregator. */
  #merge(merge: NonNullable<Aggregator['merge']>, one: unknown, other: unknown, key: string): unknown {
    return this.aggregator.initial === undefined && one === null ? other : this.context.result(merge(one, other, key))
  }

  /** As Kafka's, without the headers of the record that caused it. */
  #update(window: Windowed, before: unknown, newValue: unknown, context: RecordContext): void {
    if (this.#emitted !== undefined) return
    const oldValue = this.options.sendOldValues ? before : null
    const { topic, partition, offset } = context
    const forwarded: RecordContext = { topic, partition, offset, timestamp: window.end, headers: noHeaders }
    this.context.forward({ oldValue, newValue } satisfies Change<unknown>, window, forwarded)
  }

  #emitClosed(streamTime: number, emitted: ObservedTime, context: RecordContext): void {
    const closeTime = streamTime - this.windows.graceMs - this.windows.gapMs
    if (emitted.value !== -1 && emitted.value >= closeTime) return
    const from = Math.max(0, emitted.value)
    const to = closeTime - 1
    if (to < 0 || to < from) return
    const { topic, partition, offset, headers } = context
    for (const { key, start, end, value } of this.store.findSessionsByEnd(from, to)) {
      const forwarded: RecordContext = { topic, partition, offset, timestamp: end, headers }
      this.context.forward(
        { oldValue: null, newValue: value } satisfies Change<unknown>,
        { key, start, end },
        forwarded,
      )
    }
    emitted.advance(closeTime)
  }
}
