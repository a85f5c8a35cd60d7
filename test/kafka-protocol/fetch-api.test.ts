import * as kafka from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { readFetchAnswer } from '../../src/kafka/fetch-api.js'
import type { Kafka } from '../../src/kafka/platformatic.js'
import { RecordBatchWriter } from '../../src/kafka/record-batch-writer.js'

const topicId = '0123456a-789a-4bcd-8ef0-0123456789ab'

function batch(length: number): Buffer {
  const writer = new RecordBatchWriter()
  writer.add(null, JSON.stringify('x'.repeat(length)), undefined, 0)
  return Buffer.from(writer.finish(kafka as Kafka, 'none', { producerId: -1n, epoch: -1, sequence: -1 }))
}

/** Fetch Response (Version: 17), as Kafka's protocol guide has it, of one topic: for each partition its record batches. */
function answer(partitions: readonly Buffer[]): kafka.Reader {
  const int64 = (value: number): Buffer => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(BigInt(value))
    return bytes
  }
  const int32 = (value: number): Buffer => int64(value).subarray(4)
  const int16 = (value: number): Buffer => int64(value).subarray(6)
  const varint = (value: number): Buffer =>
    value < 0x80 ? Buffer.from([value]) : Buffer.concat([Buffer.from([(value & 0x7f) | 0x80]), varint(value >>> 7)])
  const noTags = varint(0)
  // Throttle time, error code, session id; one topic.
  const parts = [int32(0), int16(0), int32(0), varint(2)]
  parts.push(Buffer.from(topicId.replaceAll('-', ''), 'hex'), varint(partitions.length + 1))
  for (const [index, records] of partitions.entries()) {
    // Index, error code, high watermark, last stable offset, log start offset.
    parts.push(int32(index), int16(0), int64(9), int64(9), int64(0))
    // One aborted transaction; the preferred replica.
    parts.push(varint(2), int64(5), int64(3), noTags, int32(-1))
    parts.push(varint(records.length + 1), records)
    // The current leader, a tagged field.
    parts.push(varint(1), varint(1), varint(9), int32(1), int32(2), noTags)
  }
  parts.push(noTags, noTags)
  return kafka.Reader.from(Buffer.concat(parts))
}

test('an answer is read partition by partition; of record batches only whole ones are kept', () => {
  const [one, two] = [batch(10), batch(1_000)]
  const wrong = batch(10)
  wrong.writeInt32BE(-12, 8)
  const partitions = [
    Buffer.concat([one, two]),
    Buffer.alloc(0),
    Buffer.concat([one, two.subarray(0, 500)]),
    Buffer.concat([one, two.subarray(0, 7)]),
    two.subarray(0, 900),
    wrong,
  ]
  const { topics, errorCode } = readFetchAnswer(kafka as Kafka, answer(partitions))
  expect([errorCode, topics.length, topics[0]!.topicId]).toEqual([0, 1, topicId])
  const found = topics[0]!.partitions
  expect(found.map(({ partition, errorCode, aborted }) => [partition, errorCode, aborted])).toEqual(
    partitions.map((_, partition) => [partition, 0, [{ producerId: 5n, firstOffset: 3 }]]),
  )
  expect(found.map(({ records }) => records)).toEqual([
    Buffer.concat([one, two]),
    undefined,
    one,
    one,
    undefined,
    wrong,
  ])
})
