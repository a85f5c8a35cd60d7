import { show } from '../core/errors.js'
import { type Codec, type HeaderValue, type Key, MillraceError, type ProducerRecord } from '../index.js'

/** How the records of a broker's topics are written and read: codecs by topic, keys as text or as bytes. */
export class Serialization {
  readonly keys: 'text' | 'bytes'
  readonly #codecs: Map<string, Codec<unknown>>

  constructor(keys: 'text' | 'bytes', codecs: Iterable<readonly [string, Codec<unknown>]>) {
    this.keys = keys
    this.#codecs = new Map(codecs)
  }

  /** Undefined: JSON. */
  codec(topic: string): Codec<unknown> | undefined {
    return this.#codecs.get(topic)
  }
  setCodec(topic: string, codec: Codec<unknown>): void {
    this.#codecs.set(topic, codec)
  }
}

/** Values that could not be decoded, as they are stored; written to a dead letter topic they stay as they are. */
const stored = new WeakSet<Uint8Array>()
export function asStored(bytes: Buffer): Uint8Array {
  const copy: Uint8Array = new Uint8Array(bytes)
  stored.add(copy)
  return copy
}

/** A record ready to be written. Text is not yet bytes, so that it is encoded only once, where it goes. */
export interface Outgoing {
  readonly key: Key | null
  readonly value: string | Uint8Array | null
  readonly headers: readonly (readonly [string, HeaderValue])[] | undefined
  readonly timestamp: number
  readonly partition: number | undefined
}

/**
 * Checks a record and encodes its value. A TypeError for a value that is undefined and for a key, a partition or headers
 * of another type; INVALID_RECORD for a timestamp that is none, and for what the codec can't encode.
 */
export function toOutgoing(
  topic: string,
  codec: Codec<unknown> | undefined,
  record: ProducerRecord<unknown, Key>,
): Outgoing {
  checkParts(topic, record)
  const { key = null, value, timestamp, partition, headers } = record
  return {
    // What a publisher does to its own bytes afterwards changes nothing here.
    key: typeof key === 'object' && key !== null ? new Uint8Array(key) : key,
    value: encode(topic, codec, value),
    headers: headers === undefined ? undefined : readHeaders(headers),
    timestamp: timestamp ?? Date.now(),
    partition,
  }
}

/** Throws as toOutgoing() does, and UNKNOWN_TOPIC_OR_PARTITION for a partition that no topic has. */
export function checkOutgoing(
  topic: string,
  codec: Codec<unknown> | undefined,
  record: ProducerRecord<unknown, Key>,
): void {
  checkParts(topic, record)
  const { value, partition, headers } = record
  if (headers !== undefined) readHeaders(headers)
  // Of these JSON always has a text.
  if (codec !== undefined || !(typeof value === 'string' || typeof value === 'number')) encode(topic, codec, value)
  if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0))
    throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
}

/** All but what is in its value and its headers. */
function checkParts(topic: string, record: ProducerRecord<unknown, Key>): void {
  if (typeof record !== 'object' || record === null)
    throw new TypeError(`A record must be an object with a value; got ${show(record)}`)
  const { key = null, value, timestamp, partition } = record
  if (key !== null && typeof key !== 'string' && !(key instanceof Uint8Array))
    throw new TypeError(`A key must be a string or a Uint8Array; got ${show(key)}`)
  if (value === undefined)
    throw new TypeError(
      `A record for topic ${topic} has no value (undefined); a tombstone is written down: value: null`,
    )
  if (timestamp !== undefined && (!Number.isSafeInteger(timestamp) || timestamp < 0))
    throw refusal(topic, `its timestamp must be whole milliseconds of at least 0; got ${show(timestamp)}`)
  if (partition !== undefined && typeof partition !== 'number')
    throw new TypeError(`A partition must be a number; got ${show(partition)}`)
}

function encode(topic: string, codec: Codec<unknown> | undefined, value: unknown): string | Uint8Array | null {
  if (value === null) return null
  if (value instanceof Uint8Array && stored.has(value)) return value
  let encoded: unknown
  try {
    encoded = codec === undefined ? JSON.stringify(value) : codec.encode(value)
  } catch (cause) {
    throw refusal(topic, 'its codec could not encode the value', cause)
  }
  if (codec === undefined) {
    if (typeof encoded === 'string') return encoded
    const cause = new TypeError(`JSON has no text for ${typeof value}`)
    throw refusal(topic, 'its codec could not encode the value', cause)
  }
  if (!(encoded instanceof Uint8Array)) throw refusal(topic, `its codec gave ${show(encoded)} instead of a Uint8Array`)
  return encoded
}

function readHeaders(headers: NonNullable<ProducerRecord<unknown>['headers']>): Outgoing['headers'] {
  if (typeof headers !== 'object' || headers === null)
    throw new TypeError(`Headers must be an object or an iterable of [name, value]; got ${show(headers)}`)
  const found: (readonly [string, HeaderValue])[] = []
  for (const entry of Symbol.iterator in headers ? headers : Object.entries(headers)) {
    if (!Array.isArray(entry)) throw new TypeError(`A header must be a pair [name, value]; got ${show(entry)}`)
    const [name, value] = entry as readonly [unknown, unknown]
    if (typeof name !== 'string') throw new TypeError(`A header's name must be a string; got ${show(name)}`)
    if (value !== null && typeof value !== 'string' && !(value instanceof Uint8Array))
      throw new TypeError(`Header ${show(name)} must be a string, a Uint8Array or null; got ${show(value)}`)
    found.push([name, value instanceof Uint8Array ? new Uint8Array(value) : value])
  }
  return found
}

function refusal(topic: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('INVALID_RECORD', { topic, reason }, cause === undefined ? undefined : { cause })
}
