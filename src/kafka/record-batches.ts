import { type Codec, type ConsumerRecord, type Key, MillraceError, type TopicPartition } from '../index.js'
import { decompress } from './decompress.js'
import { errorOf } from './errors.js'
import type { Kafka } from './platformatic.js'
import { asStored, type Serialization } from './serialization.js'

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

type Header = readonly [string, Uint8Array | null]
type Made = ConsumerRecord<unknown, Key>

/** Kafka: DefaultRecordBatch. */
const lengthAt = 8
const magicAt = 16
const crcAt = 17
const attributesAt = 21
const lastOffsetDeltaAt = 23
const firstTimestampAt = 27
const maxTimestampAt = 35
const producerIdAt = 43
const countAt = 57
const recordsAt = 61
const lengthEndsAt = 12
const compressionBits = 0b111
const logAppendTimeBit = 0b1000
const transactionalBit = 0b10000
const controlBit = 0b100000
/** Kafka: ControlRecordType.ABORT. */
const abortMarker = 0

/** One batch whose records are to be read. */
interface Batch {
  readonly at: number
  readonly end: number
  readonly baseOffset: number
  readonly lastOffset: number
}

/**
 * What a partition's leader answered to one fetch: record batches, read one record at a time and decoded only then.
 * Batches of aborted transactions and control batches are passed over. Kafka: CompletedFetch, DefaultRecordBatch.
 */
export class RecordBatches {
  /** The offset behind the last whole batch; the fetch's own where there is none. */
  readonly nextOffset: number
  readonly bytes: number
  readonly #kafka: Kafka
  readonly #where: TopicPartition
  readonly #keysAsText: boolean
  /** Undefined: JSON. */
  readonly #codec: Codec<unknown> | undefined
  readonly #buffer: Buffer
  readonly #batches: readonly Batch[]
  /** The batch that is read now. */
  #index = -1
  /** Its records, uncompressed, and where the next one begins. */
  #records: Buffer = empty
  #plain: Uint8Array = empty
  #at = 0
  #left = 0
  #baseOffset = 0
  #firstTimestamp = 0
  /** The time of appending, which all records of such a batch have. */
  #appendTime: number | undefined

  /**
   * `fetchOffset`: what was asked for; a batch may begin before it. CORRUPT_MESSAGE where a checksum is wrong.
   * `aborted`: undefined for read_uncommitted.
   */
  constructor(
    kafka: Kafka,
    where: TopicPartition,
    serialization: Serialization,
    buffer: Buffer,
    fetchOffset: number,
    aborted: readonly AbortedTransaction[] | undefined,
  ) {
    this.#kafka = kafka
    this.#where = where
    this.#keysAsText = serialization.keys === 'text'
    this.#codec = serialization.codec(where.topic)
    this.#buffer = buffer
    this.bytes = buffer.length
    const batches: Batch[] = []
    this.nextOffset = this.#scan(batches, fetchOffset, aborted === undefined ? undefined : new Aborted(aborted))
    this.#batches = batches
  }

  /** Kafka: CompletedFetch.nextFetchedRecord. The last batch may have been cut off by the size of the answer. */
  #scan(batches: Batch[], fetchOffset: number, aborted: Aborted | undefined): number {
    const buffer = this.#buffer
    let nextOffset = fetchOffset
    for (let at = 0; at + lengthEndsAt <= buffer.length; ) {
      const end = at + lengthEndsAt + buffer.readInt32BE(at + lengthAt)
      if (end > buffer.length) break
      const wrong = this.#wrongWith(at, end)
      if (wrong !== undefined) {
        // What comes before it is read first; the next fetch comes upon it.
        if (nextOffset > fetchOffset) break
        throw wrong
      }
      const baseOffset = this.#int64(at)
      const lastOffset = baseOffset + buffer.readInt32BE(at + lastOffsetDeltaAt)
      const attributes = buffer.readInt16BE(at + attributesAt)
      const skipped = aborted?.skips(buffer, at, attributes, lastOffset) ?? (attributes & controlBit) !== 0
      if (lastOffset >= fetchOffset) {
        nextOffset = lastOffset + 1
        if (!skipped && buffer.readInt32BE(at + countAt) > 0) batches.push({ at, end, baseOffset, lastOffset })
      }
      at = end
    }
    return nextOffset
  }

  /** Of a whole batch. */
  #wrongWith(at: number, end: number): MillraceError | undefined {
    const buffer = this.#buffer
    const offset = this.#int64(at)
    if (!Number.isSafeInteger(offset)) return new MillraceError('OFFSET_OUT_OF_RANGE', { ...this.#where, offset })
    if (buffer[at + magicAt] !== 2) return this.#unsupported(buffer[at + magicAt]!)
    const computed = this.#kafka.crc32c(buffer.subarray(at + attributesAt, end))
    return computed >>> 0 === buffer.readUInt32BE(at + crcAt) ? undefined : this.#corrupt(offset)
  }

  /** Pushes records from `offset` on; gives the next offset to read. INVALID_RECORD as Source.read says. */
  read(offset: number, maxRecords: number, into: Made[]): number {
    if (!this.#seek(offset)) return this.nextOffset
    const before = into.length
    const limit = before + maxRecords
    let next = offset
    try {
      while (into.length < limit) {
        if (this.#left === 0 && !this.#enter(this.#index + 1)) return this.nextOffset
        const record = this.#next(next, false)
        if (record === undefined) continue
        into.push(record)
        next = record.offset + 1
      }
    } catch (error) {
      if (into.length === before) throw error
      return next
    }
    return this.#left === 0 && this.#index + 1 === this.#batches.length ? this.nextOffset : next
  }

  /** The first record from `offset` on, its value as bytes. */
  raw(offset: number): Made | undefined {
    if (!this.#seek(offset)) return undefined
    for (;;) {
      if (this.#left === 0 && !this.#enter(this.#index + 1)) return undefined
      const record = this.#next(offset, true)
      if (record !== undefined) return record
    }
  }

  /** Into the batch where `offset` is or would be; false if all of them are before it. */
  #seek(offset: number): boolean {
    const current = this.#batches[this.#index]
    if (current !== undefined && offset === this.#expected)
      return this.#left > 0 || this.#index + 1 < this.#batches.length
    let index = current !== undefined && offset > current.lastOffset ? this.#index + 1 : 0
    while (index < this.#batches.length && this.#batches[index]!.lastOffset < offset) index++
    if (index === this.#batches.length) return false
    this.#enter(index)
    this.#expected = offset
    return true
  }
  /** The offset from which on reading goes on in order. */
  #expected = -1

  #enter(index: number): boolean {
    const batch = this.#batches[index]
    if (batch === undefined) return false
    const buffer = this.#buffer
    const { at } = batch
    const attributes = buffer.readInt16BE(at + attributesAt)
    const compression = attributes & compressionBits
    if (compression === 0) {
      this.#records = buffer
      this.#at = at + recordsAt
    } else {
      this.#records = this.#uncompressed(compression, batch)
      this.#at = 0
    }
    const { buffer: memory, byteOffset, length } = this.#records
    this.#plain = new Uint8Array(memory, byteOffset, length)
    this.#index = index
    this.#left = buffer.readInt32BE(at + countAt)
    this.#baseOffset = batch.baseOffset
    this.#firstTimestamp = Number(buffer.readBigInt64BE(at + firstTimestampAt))
    const maxTimestamp = Number(buffer.readBigInt64BE(at + maxTimestampAt))
    this.#appendTime = (attributes & logAppendTimeBit) === 0 ? undefined : maxTimestamp
    return true
  }

  #uncompressed(compression: number, { at, end, baseOffset }: Batch): Buffer {
    try {
      return decompress(this.#kafka, compression, this.#buffer.subarray(at + recordsAt, end))
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw this.#corrupt(baseOffset, error)
    }
  }

  /** The next record, if it is at `from` or later. What can't be decoded is come upon again. */
  #next(from: number, raw: boolean): Made | undefined {
    const start = this.#at
    const length = this.#varint()
    const end = this.#at + length
    // Its attributes are unused.
    this.#at++
    const timestampDelta = this.#varlong()
    const offset = this.#baseOffset + this.#varint()
    if (offset < from) {
      this.#at = end
      this.#left--
      return undefined
    }
    const key = this.#key()
    const value = this.#value(offset, raw, start)
    const headers = this.#headers()
    this.#at = end
    this.#left--
    this.#expected = offset + 1
    const { topic, partition } = this.#where
    const timestamp = this.#appendTime ?? this.#firstTimestamp + timestampDelta
    return { topic, partition, offset, timestamp, key, value, headers }
  }

  #key(): Key | null {
    const length = this.#varint()
    if (length < 0) return null
    const start = this.#at
    this.#at += length
    return this.#keysAsText ? this.#records.toString('utf8', start, this.#at) : this.#plain.slice(start, this.#at)
  }

  #value(offset: number, raw: boolean, recordAt: number): unknown {
    const length = this.#varint()
    if (length < 0) return null
    const start = this.#at
    this.#at += length
    if (raw) return asStored(this.#records.subarray(start, this.#at))
    const codec = this.#codec
    try {
      if (codec === undefined) return JSON.parse(this.#records.toString('utf8', start, this.#at))
      return codec.decode(this.#plain.slice(start, this.#at))
    } catch (cause) {
      this.#at = recordAt
      const { topic, partition } = this.#where
      const reason = `the codec can't decode the value of ${topic}-${partition} offset ${offset}; see cause`
      throw new MillraceError('INVALID_RECORD', { topic, reason }, { cause })
    }
  }

  #headers(): readonly Header[] {
    const count = this.#varint()
    if (count === 0) return noHeaders
    const headers: Header[] = []
    for (let i = 0; i < count; i++) {
      const nameLength = this.#varint()
      const name = this.#records.toString('utf8', this.#at, this.#at + nameLength)
      this.#at += nameLength
      const length = this.#varint()
      const start = this.#at
      if (length > 0) this.#at += length
      headers.push([name, length < 0 ? null : this.#plain.slice(start, this.#at)])
    }
    return headers
  }

  /** Zigzag, seven bits a byte. Kafka: ByteUtils.readVarint. */
  #varint(): number {
    const bytes = this.#plain
    let byte = bytes[this.#at++]!
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 0x7f
    for (let shift = 7; ; shift += 7) {
      byte = bytes[this.#at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80 || shift > 28) return (value >>> 1) ^ -(value & 1)
    }
  }
  /** The same for 64 bits, as far as a number goes. */
  #varlong(): number {
    const bytes = this.#plain
    const first = bytes[this.#at]!
    if (first < 0x80) {
      this.#at++
      return (first >>> 1) ^ -(first & 1)
    }
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++, scale *= 128) {
      const byte = bytes[this.#at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  #int64(at: number): number {
    return this.#buffer.readInt32BE(at) * 2 ** 32 + this.#buffer.readUInt32BE(at + 4)
  }
  #corrupt(offset: number, cause?: unknown): MillraceError {
    return errorOf(2, { what: 'Reading', ...this.#where, offset }, undefined, cause)
  }
  #unsupported(magic: number): MillraceError {
    const what = `Message format v${magic} of ${this.#where.topic}-${this.#where.partition}`
    return new MillraceError('UNSUPPORTED_VERSION', { what, needed: 'message format v2 (Apache Kafka 0.11)' })
  }
}

const empty: Buffer = Buffer.alloc(0)
const noHeaders: readonly Header[] = Object.freeze([])

/** Which producers' transactions are aborted, from batch to batch. Kafka: CompletedFetch.consumeAbortedTransactionsUpTo. */
class Aborted {
  readonly #transactions: AbortedTransaction[]
  readonly #producers = new Set<bigint>()

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#transactions = [...transactions].sort((a, b) => b.firstOffset - a.firstOffset)
  }

  skips(buffer: Buffer, at: number, attributes: number, lastOffset: number): boolean {
    const control = (attributes & controlBit) !== 0
    if ((attributes & transactionalBit) === 0) return control
    const producerId = buffer.readBigInt64BE(at + producerIdAt)
    while (this.#transactions.length > 0 && this.#transactions.at(-1)!.firstOffset <= lastOffset)
      this.#producers.add(this.#transactions.pop()!.producerId)
    if (!control) return this.#producers.has(producerId)
    if (isAbortMarker(buffer, at)) this.#producers.delete(producerId)
    return true
  }
}

/** A control record's key is its version and its type, 16 bits each; control batches are never compressed. */
function isAbortMarker(buffer: Buffer, at: number): boolean {
  if (buffer.readInt32BE(at + countAt) === 0) return false
  let key = at + recordsAt
  // Past length, attributes, the deltas of time and offset, and the length of the key.
  const pass = (): void => {
    while (buffer[key++]! >= 0x80);
  }
  pass()
  key++
  pass()
  pass()
  pass()
  return buffer.readInt16BE(key + 2) === abortMarker
}
