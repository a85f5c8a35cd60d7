// What our writer of batches writes, read by the client's own reader, which checks nothing: so the checksum is checked here.
import { crc32c, type KafkaRecord, Reader, readRecordsBatch } from '@platformatic/kafka'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadKafka } from '../../src/kafka/platformatic.js'
import { RecordBatchWriter } from '../../src/kafka/record-batch-writer.js'

const kafka = await loadKafka()
const sequenced = { producerId: 77n, epoch: 3, sequence: 1_000 }

interface Written {
  readonly key: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  readonly headers: (readonly [string, string | Uint8Array | null])[] | undefined
  readonly timestamp: number
}

function written(records: readonly Written[]): RecordBatchWriter {
  const writer = new RecordBatchWriter()
  for (const { key, value, headers, timestamp } of records) writer.add(key, value, headers, timestamp)
  return writer
}
const bytes = (value: string | Uint8Array | null): Buffer | null =>
  value === null ? null : Buffer.from(value as string)
/** What the client's reader finds. */
function read(batch: Buffer): { timestamp: number; key: Buffer | null; value: Buffer | null; headers: unknown }[] {
  expect(batch.readUInt32BE(17)).toBe(crc32c(batch.subarray(21)))
  const { firstTimestamp, records } = readRecordsBatch(Reader.from(batch))
  return records.map(({ timestampDelta, offsetDelta, key, value, headers }: KafkaRecord, i) => {
    expect(offsetDelta).toBe(i)
    return { timestamp: Number(firstTimestamp + timestampDelta), key, value, headers }
  })
}
const expected = (records: readonly Written[]) =>
  records.map(({ key, value, headers = [], timestamp }) => ({
    timestamp,
    key: bytes(key),
    value: bytes(value),
    headers: headers.map(([name, content]) => [Buffer.from(name), bytes(content)]),
  }))

const content = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.uint8Array(),
  fc.constant(null),
  fc.constant('x'.repeat(1_000)),
)
const record: fc.Arbitrary<Written> = fc.record({
  key: content,
  value: content,
  headers: fc.option(fc.array(fc.tuple(fc.string(), content), { maxLength: 3 }), { nil: undefined }),
  timestamp: fc.oneof(fc.nat({ max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 2 ** 48 })),
})

test('keys, values, headers and times of any size and order', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 100 }), records => {
      const writer = written(records)
      expect(writer.count).toBe(records.length)
      expect(read(writer.finish(kafka, 'none', sequenced))).toEqual(expected(records))
    }),
    { numRuns: 60 },
  )
})

test('the header says who writes, which sequence, and how many', () => {
  const batch = written([1, 9, 5].map(timestamp => ({ key: null, value: 'v', headers: undefined, timestamp })))
  const { firstSequence, producerId, producerEpoch, lastOffsetDelta, maxTimestamp, length, magic } = readRecordsBatch(
    Reader.from(batch.finish(kafka, 'none', sequenced)),
  )
  expect({ firstSequence, producerId, producerEpoch, lastOffsetDelta, maxTimestamp, magic }).toEqual({
    firstSequence: 1_000,
    producerId: 77n,
    producerEpoch: 3,
    lastOffsetDelta: 2,
    maxTimestamp: 9n,
    magic: 2,
  })
  expect(length).toBe(batch.bytes - 12)
})

test('it can be written again as of another sequence', () => {
  const writer = written([{ key: 'a', value: 'b', headers: undefined, timestamp: 1 }])
  writer.finish(kafka, 'none', sequenced)
  const again = writer.finish(kafka, 'none', { ...sequenced, epoch: 4, sequence: 0 })
  expect(readRecordsBatch(Reader.from(again))).toMatchObject({ producerEpoch: 4, firstSequence: 0 })
  expect(read(again)).toHaveLength(1)
})

test.each(['gzip', 'snappy', 'lz4'] as const)('compressed by %s', compression => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 50 }), records => {
      expect(read(written(records).finish(kafka, compression, sequenced))).toEqual(expected(records))
    }),
    { numRuns: 20 },
  )
})

test('split in any way, the parts together are the whole without what is left out', () => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.nat({ max: 59 })),
      (records, most, left) => {
        const without = new Set(left)
        const parts = written(records).split(most, without)
        expect(parts.every(({ batch, from }) => batch.count === from.length && batch.count <= most)).toBe(true)
        expect(parts.flatMap(({ from }) => from)).toEqual([...records.keys()].filter(i => !without.has(i)))
        expect(parts.flatMap(({ batch }) => read(batch.finish(kafka, 'none', sequenced)))).toEqual(
          expected(records.filter((_, i) => !without.has(i))),
        )
      },
    ),
    { numRuns: 60 },
  )
})
