import { type HeaderValue, type Key, MillraceError } from '../index.js'
import type { Compression, Kafka } from './platformatic.js'

/** Bytes of a batch before its records. Kafka: DefaultRecordBatch.RECORD_BATCH_OVERHEAD. */
const batchOverhead = 61
/** What the checksum covers begins here. Kafka: DefaultRecordBatch.ATTRIBUTES_OFFSET. */
const attributesAt = 21
const magic = 2
const firstRoom = 1_024

/** Who writes, and where a batch stands among all that it writes to the partition (KIP-98). */
export interface Sequenced {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/**
 * A batch of records as Kafka stores it, written record by record into one buffer. Kafka: DefaultRecordBatch,
 * DefaultRecord (magic 2).
 */
export class RecordBatchWriter {
  #buffer = Buffer.allocUnsafeSlow(firstRoom)
  #at = batchOverhead
  #count = 0
  #baseTimestamp = 0
  #maxTimestamp = 0

  /** Bytes so far, not compressed. */
  get bytes(): number {
    return this.#at
  }
  /** Of the records alone. */
  get recordBytes(): number {
    return this.#at - batchOverhead
  }
  get count(): number {
    return this.#count
  }

  /** Gives the bytes that the record takes. */
  add(
    key: Key | null,
    value: string | Uint8Array | null,
    headers: readonly (readonly [string, HeaderValue])[] | undefined,
    timestamp: number,
  ): number {
    if (this.#count === 0) this.#baseTimestamp = timestamp
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    const timestampDelta = timestamp - this.#baseTimestamp
    const keyBytes = lengthOf(key)
    const valueBytes = lengthOf(value)
    const headerBytes = headers === undefined ? 1 : headersLength(headers)
    const size =
      1 +
      longLength(timestampDelta) +
      intLength(this.#count) +
      intLength(keyBytes) +
      Math.max(0, keyBytes) +
      intLength(valueBytes) +
      Math.max(0, valueBytes) +
      headerBytes
    const start = this.#at
    this.#room(size + 5)
    this.#int(size)
    this.#buffer[this.#at++] = 0
    this.#long(timestampDelta)
    this.#int(this.#count++)
    this.#bytes(key, keyBytes)
    this.#bytes(value, valueBytes)
    if (headers === undefined) this.#buffer[this.#at++] = 0
    else this.#headers(headers)
    return this.#at - start
  }

  /**
   * The batch as it is sent. Its buffer is this writer's own where nothing is compressed: nothing may be added
   * afterwards, but it may be asked for again, as of another sequence.
   */
  finish(kafka: Kafka, compression: Compression, { producerId, epoch, sequence }: Sequenced): Buffer {
    let batch = this.#buffer.subarray(0, this.#at)
    let attributes = 0
    if (compression !== 'none') {
      const algorithm = kafka.compressionsAlgorithms[compression]
      if (!algorithm.available)
        throw new MillraceError('UNSUPPORTED_VERSION', {
          what: `Compression ${compression}`,
          needed: 'Node.js 22.15 or later',
        })
      const records = algorithm.compressSync(batch.subarray(batchOverhead))
      attributes = algorithm.bitmask
      batch = Buffer.allocUnsafeSlow(batchOverhead + records.length)
      batch.set(records, batchOverhead)
    }
    batch.writeBigInt64BE(0n, 0)
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt32BE(-1, 12)
    batch.writeInt8(magic, 16)
    batch.writeInt16BE(attributes, attributesAt)
    batch.writeInt32BE(this.#count - 1, 23)
    batch.writeBigInt64BE(BigInt(this.#baseTimestamp), 27)
    batch.writeBigInt64BE(BigInt(this.#maxTimestamp), 35)
    batch.writeBigInt64BE(producerId, 43)
    batch.writeInt16BE(epoch, 51)
    batch.writeInt32BE(sequence, 53)
    batch.writeInt32BE(this.#count, 57)
    // As a Writer's buffer it is not copied first.
    const covered = kafka.Writer.create().append(batch.subarray(attributesAt)).dynamicBuffer
    batch.writeUInt32BE(kafka.crc32c(covered), 17)
    return batch
  }

  /** The same records without some of them, in batches of at most so many: for what the cluster refuses as a whole. */
  split(most: number, without: ReadonlySet<number> = new Set()): { batch: RecordBatchWriter; from: number[] }[] {
    const parts: { batch: RecordBatchWriter; from: number[] }[] = []
    let at = batchOverhead
    for (let index = 0; index < this.#count; index++) {
      const size = this.#readLong(at)
      const end = size.next + size.value
      const timestampDelta = this.#readLong(size.next + 1)
      const offsetDelta = this.#readLong(timestampDelta.next)
      at = end
      if (without.has(index)) continue
      let part = parts.at(-1)
      if (part === undefined || part.batch.count >= most) {
        part = { batch: new RecordBatchWriter(), from: [] }
        parts.push(part)
      }
      part.batch.#copy(this.#baseTimestamp + timestampDelta.value, this.#buffer.subarray(offsetDelta.next, end))
      part.from.push(index)
    }
    return parts
  }
  /** A record whose key, value and headers are bytes already. */
  #copy(timestamp: number, rest: Uint8Array): void {
    if (this.#count === 0) this.#baseTimestamp = timestamp
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    const timestampDelta = timestamp - this.#baseTimestamp
    const size = 1 + longLength(timestampDelta) + intLength(this.#count) + rest.length
    this.#room(size + 5)
    this.#int(size)
    this.#buffer[this.#at++] = 0
    this.#long(timestampDelta)
    this.#int(this.#count++)
    this.#buffer.set(rest, this.#at)
    this.#at += rest.length
  }
  #readLong(at: number): { value: number; next: number } {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#buffer[at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 128
    }
    return { value: value % 2 === 0 ? value / 2 : -(value + 1) / 2, next: at }
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }

  /** A varint of 32 bits, zigzag. Kafka: ByteUtils.writeVarint. */
  #int(value: number): void {
    let left = ((value << 1) ^ (value >> 31)) >>> 0
    while (left >= 0x80) {
      this.#buffer[this.#at++] = (left & 0x7f) | 0x80
      left >>>= 7
    }
    this.#buffer[this.#at++] = left
  }
  /** The same of a number that may need more than 32 bits. */
  #long(value: number): void {
    if (value >= -0x40000000 && value < 0x40000000) return this.#int(value)
    let left = value < 0 ? -2 * value - 1 : 2 * value
    while (left >= 0x80) {
      this.#buffer[this.#at++] = (left % 0x80) | 0x80
      left = Math.floor(left / 0x80)
    }
    this.#buffer[this.#at++] = left
  }
  #bytes(value: string | Uint8Array | null, length: number): void {
    this.#int(length)
    if (value === null) return
    if (typeof value === 'string') this.#buffer.write(value, this.#at, length, 'utf8')
    else this.#buffer.set(value, this.#at)
    this.#at += length
  }
  #headers(headers: readonly (readonly [string, HeaderValue])[]): void {
    this.#int(headers.length)
    for (const [name, value] of headers) {
      this.#bytes(name, lengthOf(name))
      this.#bytes(value, lengthOf(value))
    }
  }
}

/** In UTF-8; -1 for none. */
function lengthOf(value: string | Uint8Array | null): number {
  if (value === null) return -1
  return typeof value === 'string' ? Buffer.byteLength(value, 'utf8') : value.length
}
function headersLength(headers: readonly (readonly [string, HeaderValue])[]): number {
  let length = intLength(headers.length)
  for (const [name, value] of headers) {
    const nameBytes = lengthOf(name)
    const valueBytes = lengthOf(value)
    length += intLength(nameBytes) + nameBytes + intLength(valueBytes) + Math.max(0, valueBytes)
  }
  return length
}
function intLength(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  if (zigzag < 0x80) return 1
  if (zigzag < 0x4000) return 2
  if (zigzag < 0x200000) return 3
  return zigzag < 0x10000000 ? 4 : 5
}
function longLength(value: number): number {
  if (value >= -0x40000000 && value < 0x40000000) return intLength(value)
  let left = value < 0 ? -2 * value - 1 : 2 * value
  let length = 1
  for (; left >= 0x80; length++) left = Math.floor(left / 0x80)
  return length
}
