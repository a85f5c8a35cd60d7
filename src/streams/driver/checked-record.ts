import { type HeaderValue, MillraceError, type ProducerRecord } from '../../index.js'
import { type Headers, noHeaders } from '../record.js'
import { shown } from '../shown.js'

export interface CheckedRecord {
  readonly key: string | null
  readonly value: unknown
  readonly timestamp: number | undefined
  readonly partition: number | undefined
  readonly headers: Headers
}

/** A record as a topic would take it, or refuse it. */
export function checkedRecord(topic: string, partitions: number, record: ProducerRecord<unknown>): CheckedRecord {
  if (typeof record !== 'object' || record === null)
    throw new TypeError(`A record must be an object with a value; got ${shown(record)}`)
  const { key = null, value, timestamp, partition, headers } = record
  if (key !== null && typeof key !== 'string') throw new TypeError(`Keys of streams are text; got ${shown(key)}`)
  if (value === undefined)
    throw new TypeError(
      `A record for topic ${topic} has no value (undefined); a tombstone is written down: value: null`,
    )
  if (timestamp !== undefined && (!Number.isSafeInteger(timestamp) || timestamp < 0))
    throw new MillraceError('INVALID_RECORD', {
      topic,
      reason: `its timestamp must be whole milliseconds of at least 0; got ${shown(timestamp)}`,
    })
  checkPartition(topic, partitions, partition)
  return { key, value, timestamp, partition, headers: headers === undefined ? noHeaders : headersOf(headers) }
}

export function checkPartition(topic: string, partitions: number, partition: number | undefined): void {
  if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0 && partition < partitions))
    throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
}

function headersOf(headers: NonNullable<ProducerRecord<unknown>['headers']>): Headers {
  if (typeof headers !== 'object' || headers === null)
    throw new TypeError(`Headers must be an object or an iterable of [name, value]; got ${shown(headers)}`)
  const found = [...(Symbol.iterator in headers ? headers : Object.entries(headers))]
  for (const header of found) {
    const [name, value] = (Array.isArray(header) ? header : []) as readonly unknown[]
    if (typeof name !== 'string' || !isHeaderValue(value))
      throw new TypeError(`A header is [name, value], a text and a text, bytes or null; got ${shown(header)}`)
  }
  return Object.freeze(found.map(([name, value]) => Object.freeze([name, value] as const)))
}
const isHeaderValue = (value: unknown): value is HeaderValue =>
  value === null || typeof value === 'string' || value instanceof Uint8Array
