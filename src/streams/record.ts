import type { HeaderValue } from '../index.js'

/** A key in a window. `end` is exclusive for time windows, inclusive for sliding and session windows. */
export interface Windowed {
  readonly key: string
  readonly start: number
  readonly end: number
}
export type StreamKey = string | null | Windowed
export type Headers = ReadonlyArray<readonly [string, HeaderValue]>
/**
 * The record at work: where it came from, and the timestamp and headers that what follows from it will have. After a
 * punctuation there is no topic, and partition and offset are -1.
 */
export interface RecordContext {
  readonly topic: string | undefined
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly headers: Headers
}

/** A callback is given the value first, then the key (as Map.forEach). */
export type Callback<V, K, R> = (value: V, key: K, context: RecordContext) => R

/** The same record at another time; itself where the time is the same. */
export function at(context: RecordContext, timestamp: number): RecordContext {
  if (context.timestamp === timestamp) return context
  const { topic, partition, offset, headers } = context
  return { topic, partition, offset, timestamp, headers }
}

/** What tables pass on: a row before and after; null where there is none. Kafka: Change. */
export interface Change<V> {
  /** Null, too, where nothing downstream has asked for old values (Kafka: sendOldValues). */
  readonly oldValue: V | null
  readonly newValue: V | null
}

/** A value of a table and the time that it is of. Kafka: ValueAndTimestamp. */
export interface Stamped<V> {
  readonly value: V
  readonly timestamp: number
}

export const noHeaders: Headers = Object.freeze([])
