import * as kafka from '@platformatic/kafka'
import { isMillraceError } from 'millrace'
import { describe, expect, test } from 'vitest'
import { OUT_OF_RANGE } from '../../src/engine.js'
import { type Asked, Feed } from '../../src/kafka/feed.js'
import type { Kafka } from '../../src/kafka/platformatic.js'
import { RecordBatchWriter } from '../../src/kafka/record-batch-writer.js'
import { Serialization } from '../../src/kafka/serialization.js'

const share = 1_000

function open(): Feed<any> {
  const host = { wanting() {}, closed() {} }
  return new Feed<any>(new Serialization('text', []), { topic: 'orders', partition: 0 }, 'id', 'read_committed', host)
}
/** So many records from an offset on, each as long as told. */
function records(at: number, count: number, length = 1): Buffer {
  const writer = new RecordBatchWriter()
  for (let i = 0; i < count; i++) writer.add(null, JSON.stringify('x'.repeat(length)), undefined, 0)
  const bytes = Buffer.from(writer.finish(kafka as Kafka, 'none', { producerId: -1n, epoch: -1, sequence: -1 }))
  bytes.writeBigInt64BE(BigInt(at), 0)
  return bytes
}
function answer(feed: Feed<any>, asked: Asked<any>, bytes: Buffer | undefined): void {
  feed.answered(asked, kafka as Kafka, { partition: 0, errorCode: 0, aborted: [], records: bytes })
}
/** The offsets that are there from one on, and where the next read begins. */
function read(feed: Feed<any>, from: number): { offsets: number[]; next: number } {
  const into: { offset: number }[] = []
  const next = feed.read(from, 100, into)
  return { offsets: into.map(({ offset }) => offset), next }
}

describe('what is fetched', () => {
  test('is nothing before it is known from where', () => {
    const feed = open()
    expect(feed.wants(share)).toBe(false)
    expect(read(feed, 7)).toEqual({ offsets: [], next: 7 })
    expect(feed.wants(share)).toBe(true)
    expect(feed.ask().offset).toBe(7)
  })

  test('is asked for once at a time, and goes on behind what is there', () => {
    const feed = open()
    read(feed, 0)
    const asked = feed.ask()
    expect(feed.wants(share)).toBe(false)
    answer(feed, asked, records(0, 3))
    expect([feed.wants(share), feed.ask().offset, feed.endOffset]).toEqual([true, 3, 3])
    expect(read(feed, 0)).toEqual({ offsets: [0, 1, 2], next: 3 })
  })

  test('is no more while a share of the memory is full, and again when that has been read', () => {
    const feed = open()
    read(feed, 0)
    answer(feed, feed.ask(), records(0, 1, share))
    expect(feed.wants(share)).toBe(false)
    expect(read(feed, 0)).toEqual({ offsets: [0], next: 1 })
    expect(feed.wants(share)).toBe(true)
  })

  test('is nothing while it is paused; what is there stays', () => {
    const feed = open()
    read(feed, 0)
    answer(feed, feed.ask(), records(0, 2))
    feed.paused = true
    expect(feed.wants(share)).toBe(false)
    feed.paused = false
    expect(feed.wants(share)).toBe(true)
    expect(read(feed, 0)).toEqual({ offsets: [0, 1], next: 2 })
  })

  test('is dropped by a seek, with the answer that is on its way; the new place is asked for at once', () => {
    const feed = open()
    read(feed, 0)
    answer(feed, feed.ask(), records(0, 2))
    const old = feed.ask()
    expect(read(feed, 50)).toEqual({ offsets: [], next: 50 })
    expect(feed.wants(share)).toBe(true)
    const asked = feed.ask()
    answer(feed, old, records(2, 2))
    expect(read(feed, 50)).toEqual({ offsets: [], next: 50 })
    answer(feed, asked, records(50, 1))
    expect(read(feed, 50)).toEqual({ offsets: [50], next: 51 })
  })

  test('is kept by a seek into it, back too', () => {
    const feed = open()
    read(feed, 0)
    answer(feed, feed.ask(), records(0, 4))
    feed.read(0, 2, [])
    expect(read(feed, 3)).toEqual({ offsets: [3], next: 4 })
    answer(feed, feed.ask(), records(4, 4))
    feed.read(4, 3, [])
    expect(read(feed, 5)).toEqual({ offsets: [5, 6, 7], next: 8 })
  })
})

describe('what goes wrong', () => {
  test('an offset out of range is told until another is read', () => {
    const feed = open()
    read(feed, 99)
    feed.outOfRange(feed.ask())
    expect([read(feed, 99).next, read(feed, 99).next, feed.wants(share)]).toEqual([OUT_OF_RANGE, OUT_OF_RANGE, false])
    expect(read(feed, 0)).toEqual({ offsets: [], next: 0 })
    expect(feed.wants(share)).toBe(true)
  })

  test('a failure is thrown once what came before has been read, and then tried again', () => {
    const feed = open()
    read(feed, 0)
    answer(feed, feed.ask(), records(0, 1))
    feed.failed(feed.ask(), new Error('refused'))
    expect(feed.wants(share)).toBe(false)
    expect(read(feed, 0)).toEqual({ offsets: [0], next: 1 })
    expect(() => read(feed, 1)).toThrow('refused')
    expect(read(feed, 1)).toEqual({ offsets: [], next: 1 })
    expect(feed.wants(share)).toBe(true)
  })

  test('a topic that is gone is told by its name', () => {
    const feed = open()
    read(feed, 0)
    feed.isGone()
    let error: unknown
    try {
      read(feed, 0)
    } catch (thrown) {
      error = thrown
    }
    expect(isMillraceError(error, 'UNKNOWN_TOPIC_OR_PARTITION') && error.details).toEqual({ topic: 'orders' })
  })

  test('who waits is told once, when something has come', () => {
    const feed = open()
    read(feed, 0)
    let told = 0
    feed.whenMore({ available: () => told++ })
    answer(feed, feed.ask(), undefined)
    expect(told).toBe(0)
    answer(feed, feed.ask(), records(0, 1))
    answer(feed, feed.ask(), records(1, 1))
    expect(told).toBe(1)
  })
})
