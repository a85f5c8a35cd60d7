import { MillraceError, show } from './errors.js'

/** Hashed by its UTF-8 bytes, or as the bytes that it is. */
export type Key = string | Uint8Array
export type HeaderValue = string | Uint8Array | null
export type Headers = ReadonlyArray<readonly [string, HeaderValue]>
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
/** A committed offset, the next one to read; not called `offset`, so that no record can be mistaken for one. */
export interface NextOffset extends TopicPartition {
  readonly nextOffset: number
}
/** An offset, an end of the log, or the first record at or after a time (the end, if there is none). */
export type StartFrom = number | 'earliest' | 'latest' | { readonly timestamp: number }

export interface ProducerRecord<V, K extends Key = string> {
  /** '' is a key; only null and undefined are none. */
  key?: K | null | undefined
  /** Always written: a tombstone is `value: null`; `undefined` is a TypeError. */
  value: V
  /** In order, duplicates allowed. */
  headers?: Record<string, HeaderValue> | Iterable<readonly [string, HeaderValue]> | undefined
  /** Milliseconds since the epoch. @default the clock's now */
  timestamp?: number | undefined
  /** Wins over the partitioner. UNKNOWN_TOPIC_OR_PARTITION where there is none of that number. */
  partition?: number | undefined
}
export interface ConsumerRecord<V = unknown, K extends Key = string, Name extends string = string> {
  topic: Name
  partition: number
  offset: number
  timestamp: number
  key: K | null
  value: V
  headers: Headers
}
export type AnyRecord = ConsumerRecord<unknown, Key>
export interface RecordMetadata extends TopicPartition {
  readonly offset: number
  readonly timestamp: number
}

/** The last header of that name as text, whether it was kept as text (memory) or as bytes (cluster). Kafka: Headers.lastHeader. */
export function lastHeader(record: AnyRecord, name: string): string | null | undefined {
  if (!Array.isArray(record?.headers)) throw new TypeError(`lastHeader() takes a consumed record; got ${show(record)}`)
  for (let i = record.headers.length - 1; i >= 0; i--) {
    const header = record.headers[i]!
    if (header[0] === name) return header[1] instanceof Uint8Array ? new TextDecoder().decode(header[1]) : header[1]
  }
  return undefined
}

/** Values to bytes and back; without one, memory shares values by reference and a cluster writes JSON. */
export interface Codec<V> {
  encode(value: V): Uint8Array
  decode(bytes: Uint8Array): V
}
/** JSON in UTF-8; a value that JSON has no text for (undefined, a function) is a TypeError. */
export function jsonCodec<V>(): Codec<V> {
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  return {
    encode(value) {
      const text: string | undefined = JSON.stringify(value)
      if (text === undefined) throw new TypeError(`JSON has no text for ${typeof value}`)
      return encoder.encode(text)
    },
    decode: bytes => JSON.parse(decoder.decode(bytes)) as V,
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Equal for keys of equal bytes and for no others, so that a Map can tell keys apart; text is its own. */
export function keyId(key: Key): string {
  if (typeof key === 'string') return key
  try {
    return strict.decode(key)
  } catch {
    // No text has a lone surrogate in its UTF-8, so this prefix can't meet one of the texts above.
    return `\ud800${Array.from(key).join()}`
  }
}

/**
 * What `run()` writes for a record that failed for good: key, value, headers and timestamp kept, and headers that say
 * where it came from and why, by Kafka's names (KIP-1191): `__dlq.errors.topic`, `.partition`, `.offset`, `.group`,
 * `.delivery.count`, `.message`.
 */
export function toDeadLetter<V, K extends Key>(
  record: ConsumerRecord<V, K>,
  failure: { error: unknown; group: string; attempts: number },
): ProducerRecord<V, K> {
  if (!Array.isArray(record?.headers) || typeof failure?.group !== 'string')
    throw new TypeError(
      `toDeadLetter() takes a consumed record and { error, group, attempts }; got ${show(record)} and ${show(failure)}`,
    )
  const { error, group, attempts } = failure
  const about: Headers = [
    ['__dlq.errors.topic', record.topic],
    ['__dlq.errors.partition', String(record.partition)],
    ['__dlq.errors.offset', String(record.offset)],
    ['__dlq.errors.group', group],
    ['__dlq.errors.delivery.count', String(attempts)],
    ['__dlq.errors.message', messageOf(error)],
  ]
  return { key: record.key, value: record.value, timestamp: record.timestamp, headers: [...record.headers, ...about] }
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'an error that can not be shown'
  }
}

/** An offset as callers give one. TypeError for what is no whole number, OFFSET_OUT_OF_RANGE below 0 or beyond 2^53 - 1. */
export function checkOffset(offset: number, { topic, partition }: TopicPartition): void {
  if (!Number.isInteger(offset))
    throw new TypeError(`An offset of ${topic}-${partition} must be a whole number; got ${show(offset)}`)
  if (offset < 0 || !Number.isSafeInteger(offset))
    throw new MillraceError('OFFSET_OUT_OF_RANGE', { topic, partition, offset })
}

/** A start as callers give one: as checkOffset, and TypeError for what is none. */
export function checkStart(to: StartFrom, where: TopicPartition): void {
  if (to === 'earliest' || to === 'latest') return
  if (typeof to === 'number') return checkOffset(to, where)
  const timestamp = (to as { timestamp?: unknown } | null | undefined)?.timestamp
  if (!Number.isSafeInteger(timestamp) || (timestamp as number) < 0)
    throw new TypeError(
      `A start of ${where.topic}-${where.partition} must be an offset, 'earliest', 'latest' or { timestamp } in whole milliseconds; got ${show(timestamp === undefined ? to : timestamp)}`,
    )
}
