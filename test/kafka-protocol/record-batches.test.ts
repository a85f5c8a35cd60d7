import * as kafka from '@platformatic/kafka'
import { isMillraceError } from 'millrace'
import { describe, expect, test } from 'vitest'
import type { Compression, Kafka } from '../../src/kafka/platformatic.js'
import { RecordBatchWriter } from '../../src/kafka/record-batch-writer.js'
import { RecordBatches } from '../../src/kafka/record-batches.js'
import { Serialization } from '../../src/kafka/serialization.js'

const where = { topic: 'orders', partition: 3 }
const json = new Serialization('text', [])

interface Written {
  readonly values: readonly (string | null)[]
  readonly at: number
  readonly compression?: Compression
}
/** A batch as a log has it: the writer's, with the offset that the broker gives it. */
function batch({ values, at, compression = 'none' }: Written): Buffer {
  const writer = new RecordBatchWriter()
  for (const [i, value] of values.entries()) writer.add(`k${i}`, value, undefined, 1_000 + i)
  const bytes = Buffer.from(writer.finish(kafka as Kafka, compression, { producerId: -1n, epoch: -1, sequence: -1 }))
  bytes.writeBigInt64BE(BigInt(at), 0)
  return bytes
}
function reading(parts: readonly Buffer[], from: number, serialization = json): RecordBatches {
  return new RecordBatches(kafka as Kafka, where, serialization, Buffer.concat(parts), from, [])
}
function readAll(batches: RecordBatches, from: number, maxRecords = 100): [offset: number, value: unknown][] {
  const records: Parameters<RecordBatches['read']>[2] = []
  let at = from
  while (at < batches.nextOffset) at = batches.read(at, maxRecords, records)
  return records.map(({ offset, value }) => [offset, value])
}
const thrown = (act: () => unknown): unknown => {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}

describe('batches', () => {
  test('are read record by record, over their borders, as many at a time as are asked for', () => {
    const parts = [batch({ values: ['1', '2'], at: 5 }), batch({ values: ['3'], at: 7 })]
    for (const maxRecords of [1, 2, 3, 10])
      expect(readAll(reading(parts, 5), 5, maxRecords)).toEqual([
        [5, 1],
        [6, 2],
        [7, 3],
      ])
  })

  // Kafka: a fetch may start in the middle of a batch, which is sent whole (KAFKA-3252, DefaultRecordBatch)
  test('begin before what was asked for, whose records are passed over', () => {
    const batches = reading([batch({ values: ['1', '2', '3'], at: 5 })], 6)
    expect(readAll(batches, 6)).toEqual([
      [6, 2],
      [7, 3],
    ])
  })

  // KIP-74: an answer is cut at its size, in the middle of a batch
  test('that are cut off are left for the next fetch', () => {
    const parts = [batch({ values: ['1'], at: 0 }), batch({ values: ['2', '3'], at: 1 }).subarray(0, 70)]
    const batches = reading(parts, 0)
    expect(batches.nextOffset).toBe(1)
    expect(readAll(batches, 0)).toEqual([[0, 1]])
    expect(reading([parts[1]!], 1).nextOffset).toBe(1)
  })

  test('may have gaps between them, and are read again from anywhere in them', () => {
    const parts = [batch({ values: ['1', '2'], at: 0 }), batch({ values: ['3', '4'], at: 10, compression: 'gzip' })]
    const batches = reading(parts, 0)
    expect(batches.nextOffset).toBe(12)
    for (const from of [0, 11, 1, 5, 10, 0]) {
      const all = [
        [0, 1],
        [1, 2],
        [10, 3],
        [11, 4],
      ] as const
      expect(readAll(batches, from)).toEqual(all.filter(([offset]) => offset >= from))
    }
  })

  test('keep tombstones, and times as they are', () => {
    const records: Parameters<RecordBatches['read']>[2] = []
    reading([batch({ values: ['1', null], at: 0 })], 0).read(0, 10, records)
    expect(records.map(({ value, timestamp, key }) => [value, timestamp, key])).toEqual([
      [1, 1_000, 'k0'],
      [null, 1_001, 'k1'],
    ])
  })

  test('give keys as bytes where that is asked for, of the reader’s own', () => {
    const records: Parameters<RecordBatches['read']>[2] = []
    reading([batch({ values: ['1'], at: 0 })], 0, new Serialization('bytes', [])).read(0, 10, records)
    expect(records[0]!.key).toEqual(new Uint8Array([0x6b, 0x30]))
  })
})

describe('what is wrong with them', () => {
  test('a checksum: CORRUPT_MESSAGE with the offset', () => {
    const bytes = batch({ values: ['1', '2'], at: 5 })
    bytes[bytes.length - 3]! ^= 1
    const error = thrown(() => reading([bytes], 5))
    expect(isMillraceError(error, 'CORRUPT_MESSAGE') && error.details).toEqual({ ...where, offset: 5 })
  })

  // Kafka: CompletedFetch.fetchRecords hands out what it has before it throws.
  test('what comes before it is read first, and the next fetch comes upon it', () => {
    const corrupt = batch({ values: ['2'], at: 6 })
    corrupt[corrupt.length - 3]! ^= 1
    const batches = reading([batch({ values: ['1'], at: 5 }), corrupt], 5)
    expect([readAll(batches, 5), batches.nextOffset]).toEqual([[[5, 1]], 6])
    expect(
      isMillraceError(
        thrown(() => reading([corrupt], 6)),
        'CORRUPT_MESSAGE',
      ),
    ).toBe(true)
  })

  test('what can’t be uncompressed: CORRUPT_MESSAGE with the offset and the cause, and it can be sought past', () => {
    const bytes = batch({ values: ['1', '2'], at: 5, compression: 'gzip' })
    bytes.fill(0xff, 61)
    bytes.writeUInt32BE(kafka.crc32c(bytes.subarray(21)) >>> 0, 17)
    const batches = reading([bytes, batch({ values: ['3'], at: 7 })], 5)
    for (let i = 0; i < 2; i++) {
      const error = thrown(() => batches.read(5, 10, []))
      expect(isMillraceError(error, 'CORRUPT_MESSAGE') && error.details).toEqual({ ...where, offset: 5 })
      expect((error as Error).cause).toBeInstanceOf(Error)
    }
    expect(readAll(batches, 7)).toEqual([[7, 3]])
  })

  test('an offset beyond 2^53: an error, not a wrong number', () => {
    const error = thrown(() => reading([batch({ values: ['1'], at: 2 ** 53 })], 0))
    expect(isMillraceError(error, 'OFFSET_OUT_OF_RANGE')).toBe(true)
    expect(readAll(reading([batch({ values: ['1'], at: 2 ** 53 - 2 })], 2 ** 53 - 2), 2 ** 53 - 2)).toEqual([
      [2 ** 53 - 2, 1],
    ])
  })

  test('a message format of before 0.11: UNSUPPORTED_VERSION', () => {
    const bytes = batch({ values: ['1'], at: 0 })
    bytes[16] = 1
    expect(
      isMillraceError(
        thrown(() => reading([bytes], 0)),
        'UNSUPPORTED_VERSION',
      ),
    ).toBe(true)
  })

  test('a value that can’t be decoded ends what is read before it, is come upon again, and is there as bytes', () => {
    const batches = reading([batch({ values: ['1', '{', '3'], at: 0 })], 0)
    const records: Parameters<RecordBatches['read']>[2] = []
    expect(batches.read(0, 10, records)).toBe(1)
    for (let i = 0; i < 2; i++) {
      const error = thrown(() => batches.read(1, 10, records))
      expect(isMillraceError(error, 'INVALID_RECORD')).toBe(true)
      expect((error as Error).message).toContain('orders-3 offset 1')
      expect((error as Error).cause).toBeInstanceOf(SyntaxError)
    }
    expect(batches.raw(1)).toMatchObject({ offset: 1, key: 'k1', value: new Uint8Array([0x7b]) })
    expect(batches.read(2, 10, records)).toBe(3)
    expect(records.map(({ value }) => value)).toEqual([1, 3])
  })
})
