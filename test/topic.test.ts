import {
  Broker,
  ConsumerGroup,
  type ConsumerRecord,
  lastHeader,
  type Partitioner,
  roundRobinPartitioner,
  Topic,
  type TopicOptions,
  toDeadLetter,
} from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, fill, refused, uncaught, watch, world } from './groups/support-c.js'

const topicOf = (options: TopicOptions<string> & { clock?: ManualClock } = {}) =>
  new Topic<string>('orders', { clock: new ManualClock(1_000), ...options })
const records = (topic: ReturnType<typeof topicOf>, partition = 0) => {
  const log = topic.partitions[partition]!
  return log.read(log.startOffset, 10_000)
}

describe('publish()', () => {
  test('gives back where the record is, and offsets are dense from 0', () => {
    const topic = topicOf({ partitions: 2 })
    expect([0, 1, 0, 0].map(partition => topic.publish({ partition, value: 'x' }))).toEqual([
      { topic: 'orders', partition: 0, offset: 0, timestamp: 1_000 },
      { topic: 'orders', partition: 1, offset: 0, timestamp: 1_000 },
      { topic: 'orders', partition: 0, offset: 1, timestamp: 1_000 },
      { topic: 'orders', partition: 0, offset: 2, timestamp: 1_000 },
    ])
  })

  test('takes the time from the clock, unless the record has one', async () => {
    const clock = new ManualClock(5)
    const topic = topicOf({ clock })
    topic.publish({ value: 'a' })
    await clock.advance(10)
    topic.publish({ value: 'b' })
    topic.publish({ value: 'c', timestamp: 0 })
    expect(records(topic).map(({ timestamp }) => timestamp)).toEqual([5, 15, 0])
  })

  test('a record read has everything that was written, and null for a key that was not', () => {
    const topic = topicOf()
    topic.publish({ key: 'k', value: 'v', timestamp: 7, headers: { a: '1', b: null } })
    topic.publish({ value: 'w' })
    expect(records(topic)).toEqual([
      {
        topic: 'orders',
        partition: 0,
        offset: 0,
        timestamp: 7,
        key: 'k',
        value: 'v',
        headers: [
          ['a', '1'],
          ['b', null],
        ],
      },
      { topic: 'orders', partition: 0, offset: 1, timestamp: 1_000, key: null, value: 'w', headers: [] },
    ])
  })

  test('headers keep their order and their duplicates, from any iterable of pairs', () => {
    const topic = topicOf()
    const bytes = new Uint8Array([1])
    const pairs = [
      ['b', '1'],
      ['a', bytes],
      ['b', null],
    ] as const
    topic.publish({ value: 'x', headers: pairs })
    topic.publish({ value: 'x', headers: new Map([['m', '1']]) })
    expect(records(topic).map(({ headers }) => headers)).toEqual([pairs, [['m', '1']]])
  })

  test('a publisher who changes its headers afterwards changes nothing', () => {
    const topic = topicOf()
    const headers: [string, string][] = [['a', '1']]
    topic.publish({ value: 'x', headers })
    headers[0]![1] = 'changed'
    headers.push(['b', '2'])
    expect(records(topic)[0]?.headers).toEqual([['a', '1']])
  })

  test('a reader who scribbles on a record changes nothing for others', () => {
    const topic = topicOf()
    topic.publish({ key: 'k', value: 'v' })
    const [record] = records(topic)
    Object.assign(record!, { value: 'scribble', offset: 99, key: 'other' })
    expect(records(topic)[0]).toMatchObject({ value: 'v', offset: 0, key: 'k' })
  })

  test('values are shared by reference where there is no codec', () => {
    const value = { n: 1 }
    const topic = new Topic<{ n: number }>('t')
    topic.publish({ value })
    expect(topic.partitions[0]!.read(0)[0]!.value).toBe(value)
  })

  test('a value of null is a tombstone, and stays in the log', () => {
    const topic = new Topic<string | null>('t')
    topic.publish({ key: 'k', value: null })
    expect(topic.partitions[0]!.read(0)[0]).toMatchObject({ key: 'k', value: null })
  })

  test('calls made one after the other keep their order in each partition', () => {
    const topic = topicOf({ partitions: 3 })
    for (let i = 0; i < 300; i++) topic.publish({ key: `k${i % 7}`, value: String(i) })
    for (let k = 0; k < 7; k++) {
      const own = topic.partitions.flatMap(log => log.read(0, 1_000)).filter(({ key }) => key === `k${k}`)
      expect(new Set(own.map(({ partition }) => partition)).size).toBe(1)
      const values = own.map(({ value }) => Number(value))
      expect(values).toEqual([...values].sort((a, b) => a - b))
    }
  })
})

describe('check()', () => {
  const bytes = (value: unknown): Uint8Array => {
    if (value === 'bad') throw new RangeError('no such value')
    return value === 'odd' ? (value as never) : new TextEncoder().encode(value as string)
  }
  const codec = { encode: bytes, decode: (encoded: Uint8Array) => new TextDecoder().decode(encoded) }
  const wrong: readonly (readonly [what: string, record: any, options?: TopicOptions<string>])[] = [
    ['no record', null],
    ['no value', { key: 'k' }],
    ['a key of another type', { key: 1, value: 'x' }],
    ['a timestamp that is none', { value: 'x', timestamp: -1 }],
    ['headers of another type', { value: 'x', headers: { a: 1 } }],
    ['a partition that it does not have', { value: 'x', partition: 2 }],
    ['a partition of another type', { value: 'x', partition: '0' }],
    ['no partition, but null', { value: 'x', partition: null }],
    ['no key, where it is compacted', { value: 'x' }, { cleanupPolicy: 'compact' }],
    ['a value that its codec refuses', { value: 'bad' }, { codec }],
    ['a value that its codec makes no bytes of', { value: 'odd' }, { codec }],
  ]
  test.each(wrong)('throws what publish() throws: %s', (_, record, options) => {
    const topic = topicOf({ partitions: 2, ...options })
    const thrown = (call: (record: any) => unknown): unknown => {
      try {
        return call(record)
      } catch (error) {
        return error
      }
    }
    const refusal = thrown(given => topic.publish(given))
    expect(refusal).toBeInstanceOf(Error)
    expect(thrown(given => topic.check(given))).toEqual(refusal)
  })

  test('writes nothing, and asks neither partitioner nor interceptors', () => {
    const asked: string[] = []
    const broker = new Broker<{ orders: string }>({
      interceptors: [
        {
          publish(operation, proceed) {
            asked.push('interceptor')
            return proceed(operation.record)
          },
        },
      ],
    })
    const partitioner = () => asked.push('partitioner') - 1
    const topic = broker.createTopic('orders', { codec, partitioner })
    topic.check({ key: 'k', value: 'x', partition: 0, timestamp: 5, headers: [['a', 'b']] })
    topic.check({ value: null as never })
    expect([asked, topic.partitions[0]!.endOffset]).toEqual([[], 0])
  })

  test('throws where the topic is closed or deleted', async () => {
    const broker = new Broker<{ orders: string; gone: string }>({ topics: { orders: {}, gone: {} } })
    const [orders, gone] = [broker.topic('orders'), broker.topic('gone')]
    broker.deleteTopic('gone')
    await refused(() => gone.check({ value: 'x' }), 'UNKNOWN_TOPIC_OR_PARTITION')
    await broker.close()
    await refused(() => orders.check({ value: 'x' }), 'CLOSED')
  })
})

describe('publishAll()', () => {
  test('takes any iterable, and keeps its order', () => {
    const topic = topicOf()
    topic.publishAll(
      (function* () {
        for (const value of ['a', 'b', 'c']) yield { value }
      })(),
    )
    topic.publishAll([])
    expect(records(topic).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
  })

  test('the records before a bad one stay, the bad one and all after it do not', async () => {
    const topic = topicOf()
    await refused(
      () => topic.publishAll([{ value: 'a' }, { value: 'b', partition: 9 }, { value: 'c' }]),
      'UNKNOWN_TOPIC_OR_PARTITION',
      '9',
    )
    expect(records(topic).map(({ value }) => value)).toEqual(['a'])
  })

  test('wakes a parked poll once, with all of it', async () => {
    const { orders, group, drain } = world()
    const poll = watch(group.join().poll())
    await drain()
    orders.publishAll(['a', 'b', 'c'].map(value => ({ value })))
    expect(poll.state).toBe('pending')
    await drain()
    expect(poll.value?.map(({ value }) => value)).toEqual(['a', 'b', 'c'])
  })

  test('an iterable that throws leaves what came before', () => {
    const topic = topicOf()
    const why = new Error('no more')
    const source = function* () {
      yield { value: 'a' }
      throw why
    }
    expect(() => topic.publishAll(source())).toThrow(why)
    expect(records(topic).map(({ value }) => value)).toEqual(['a'])
  })
})

describe('routing (B1)', () => {
  // Kafka: UtilsTest.testMurmur2; (hash & 0x7fffffff) % 5, as BuiltInPartitioner.partitionForKey.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['abc', 479470107],
  ])('key %j goes where Kafka puts it', (key, hash) => {
    const topic = topicOf({ partitions: 5 })
    expect(topic.publish({ key, value: 'x' }).partition).toBe((hash & 0x7fffffff) % 5)
  })

  test('a key of bytes goes where the text of those bytes goes', () => {
    const topic = new Topic<string, string | Uint8Array>('t', { partitions: 16 })
    for (const key of ['foobar', 'é€😀', ''])
      expect(topic.publish({ key: new TextEncoder().encode(key), value: 'x' }).partition).toBe(
        topic.publish({ key, value: 'x' }).partition,
      )
  })

  test("'' is a key: always one partition, Kafka's", () => {
    const topic = topicOf({ partitions: 7 })
    const chosen = Array.from({ length: 50 }, () => topic.publish({ key: '', value: 'x' }).partition)
    // Zero-length bytes hash to 275646681 (librdkafka: unittest_murmur2).
    expect(new Set(chosen)).toEqual(new Set([275646681 % 7]))
  })

  test('an explicit partition wins over the key and over a custom partitioner, which is not asked', () => {
    let asked = 0
    const partitioner: Partitioner = () => {
      asked++
      return 0
    }
    const topic = topicOf({ partitions: 3, partitioner })
    expect(topic.publish({ key: 'k', partition: 2, value: 'x' }).partition).toBe(2)
    expect(asked).toBe(0)
  })

  test('a custom partitioner is told the key, null where there is none, and how many partitions there are now', () => {
    const told: unknown[] = []
    const topic = topicOf({
      partitions: 2,
      partitioner: ({ key }, count) => {
        told.push([key, count])
        return count - 1
      },
    })
    expect(topic.publish({ key: 'k', value: 'x' }).partition).toBe(1)
    topic.publish({ value: 'x' })
    topic.publish({ key: null, value: 'x' })
    topic.addPartitions(4)
    expect(topic.publish({ key: '', value: 'x' }).partition).toBe(3)
    expect(told).toEqual([
      ['k', 2],
      [null, 2],
      [null, 2],
      ['', 4],
    ])
  })

  test('keyless records stick to a partition for a while, then change, and use all of them', () => {
    const topic = topicOf({ partitions: 4 })
    const chosen = Array.from({ length: 2_000 }, () => topic.publish({ value: 'x' }).partition)
    const changes = chosen.filter((partition, i) => i > 0 && partition !== chosen[i - 1]).length
    expect(new Set(chosen).size).toBe(4)
    expect(changes).toBeGreaterThan(10)
    expect(changes).toBeLessThan(400)
  })

  test('with the round-robin partitioner keyless records go round, keyed ones do not', () => {
    const topic = topicOf({ partitions: 3, partitioner: roundRobinPartitioner() })
    const chosen = Array.from({ length: 6 }, () => topic.publish({ value: 'x' }).partition)
    expect(chosen).toEqual([0, 1, 2, 0, 1, 2])
    const keyed = Array.from({ length: 5 }, () => topic.publish({ key: 'abc', value: 'x' }).partition)
    expect(new Set(keyed)).toEqual(new Set([479470107 % 3]))
  })

  test('topics of a broker do not share where their keyless records are', () => {
    const broker = new Broker<Record<string, string>>({ clock: new ManualClock() })
    const [a, b] = ['a', 'b'].map(name =>
      broker.createTopic(name, { partitions: 2, partitioner: roundRobinPartitioner() }),
    )
    expect([a!, b!, a!, b!].map(topic => topic.publish({ value: 'x' }).partition)).toEqual([0, 0, 1, 1])
  })
})

describe('names', () => {
  test.each(['a', 'Z9', 'with.dots_and-dashes', '...', '_', 'x'.repeat(249)])('%j is one', name => {
    expect(new Topic(name).name).toBe(name)
  })

  test.each(['', '.', '..', 'with space', 'a/b', 'ä', 'a\n', 'x'.repeat(250)])('%j is none', async name => {
    await refused(() => new Topic(name), 'INVALID_TOPIC_EXCEPTION', JSON.stringify(name))
  })
})

describe('addPartitions()', () => {
  test('grows the topic, tells who listens, and touches no record', () => {
    const topic = topicOf()
    fill(topic, 0, 2)
    const events: unknown[] = []
    topic.on('partitions', event => events.push(event))
    topic.addPartitions(3)
    expect(topic.partitionCount()).toBe(3)
    expect(topic.partitions.map(({ topic: name, index, endOffset }) => [name, index, endOffset])).toEqual([
      ['orders', 0, 2],
      ['orders', 1, 0],
      ['orders', 2, 0],
    ])
    expect(events).toEqual([{ topic: 'orders', total: 3 }])
  })

  test('moves keys, as in Kafka: hash % n', () => {
    const topic = topicOf({ partitions: 2 })
    expect(topic.publish({ key: 'abc', value: 'x' }).partition).toBe(479470107 % 2)
    topic.addPartitions(5)
    expect(topic.publish({ key: 'abc', value: 'x' }).partition).toBe(479470107 % 5)
  })
})

describe('events', () => {
  test("'record' has each record as it is appended, in order", () => {
    const topic = topicOf({ partitions: 2 })
    topic.publish({ value: 'unheard', partition: 0 })
    const heard: ConsumerRecord<string>[] = []
    topic.on('record', record => heard.push(record))
    topic.publish({ value: 'a', partition: 1, key: 'k' })
    topic.publishAll([
      { value: 'b', partition: 0 },
      { value: 'c', partition: 1 },
    ])
    expect(heard.map(record => `${at(record)} ${record.key} ${record.value}`)).toEqual([
      '1:0 k a',
      '0:1 null b',
      '1:1 null c',
    ])
  })

  test("a listener of 'record' that scribbles changes nothing in the log", () => {
    const topic = topicOf()
    topic.on('record', record => void Object.assign(record, { value: 'scribble' }))
    topic.publish({ value: 'a' })
    expect(records(topic)[0]?.value).toBe('a')
  })

  test("a listener of 'record' may publish, and publish() still tells where its own record is", () => {
    const topic = topicOf()
    topic.on('record', ({ value }) => {
      if (value === 'first') topic.publish({ value: 'second' })
    })
    expect(topic.publish({ value: 'first' }).offset).toBe(0)
    expect(records(topic).map(({ value }) => value)).toEqual(['first', 'second'])
  })

  test('what on() gives takes the listener off, once and only that one', () => {
    const topic = topicOf()
    const heard: string[] = []
    const off = topic.on('record', ({ value }) => heard.push(`1 ${value}`))
    topic.on('record', ({ value }) => heard.push(`2 ${value}`))
    topic.publish({ value: 'a' })
    off()
    off()
    topic.publish({ value: 'b' })
    expect(heard).toEqual(['1 a', '2 a', '2 b'])
  })

  test('a listener that throws does so in a task of its own; the publish and the other listeners go on', async () => {
    const topic = topicOf()
    const why = new Error('listener')
    const heard: string[] = []
    topic.on('record', () => {
      throw why
    })
    topic.on('record', ({ value }) => heard.push(value))
    const errors = await uncaught(async () => {
      expect(topic.publish({ value: 'a' }).offset).toBe(0)
      await new ManualClock().advance(0)
    })
    expect([errors, heard, records(topic).length]).toEqual([[why], ['a'], 1])
  })

  test("'truncate' tells when the start of a partition has moved", () => {
    const topic = topicOf({ partitions: 2 })
    fill(topic, 1, 5)
    const events: unknown[] = []
    topic.on('truncate', event => events.push(event))
    topic.partitions[1]!.deleteRecords(3)
    topic.partitions[1]!.deleteRecords(2)
    expect(events).toEqual([{ topic: 'orders', partition: 1, startOffset: 3 }])
    expect(topic.partitions[1]!.startOffset).toBe(3)
  })

  test('there are no others', async () => {
    const topic = topicOf()
    await refused(() => topic.on('nonsense' as 'record', () => {}), 'INVALID_CONFIG', 'nonsense')
  })
})

describe('retention (B7.5)', () => {
  test('by age: whole segments whose youngest record is older than ms, by record timestamps', async () => {
    const clock = new ManualClock()
    const topic = topicOf({ clock, segmentRecords: 2, retention: { ms: 100 } })
    for (const timestamp of [0, 10, 20, 60, 70, 80]) topic.publish({ value: 'x', timestamp })
    await clock.advance(110)
    topic.enforceRetention()
    expect(topic.partitions[0]!.startOffset).toBe(0)
    await clock.advance(1)
    topic.enforceRetention()
    expect(topic.partitions[0]!.startOffset).toBe(2)
    await clock.advance(50)
    topic.enforceRetention()
    expect(topic.partitions[0]!.startOffset).toBe(4)
    expect(records(topic).map(({ offset }) => offset)).toEqual([4, 5])
  })

  test('by age: one record of the future keeps its segment, and all after it', async () => {
    const clock = new ManualClock()
    const topic = topicOf({ clock, segmentRecords: 2, retention: { ms: 100 } })
    for (const timestamp of [0, 10, 9_999, 0, 0, 0]) topic.publish({ value: 'x', timestamp })
    await clock.advance(1_000)
    topic.enforceRetention()
    expect(topic.partitions[0]!.startOffset).toBe(2)
  })

  test('by count: keeps at least so many, and drops whole segments beyond', () => {
    const topic = topicOf({ segmentRecords: 4, retention: { records: 5 } })
    fill(topic, 0, 11)
    topic.enforceRetention()
    const { startOffset, endOffset } = topic.partitions[0]!
    expect([startOffset, endOffset]).toEqual([4, 11])
  })

  test('is also done as segments fill up: the log stays bounded', () => {
    const topic = topicOf({ segmentRecords: 10, retention: { records: 20 } })
    let most = 0
    for (let i = 0; i < 1_000; i++) {
      topic.publish({ value: 'x' })
      const { startOffset, endOffset } = topic.partitions[0]!
      most = Math.max(most, endOffset - startOffset)
      expect(endOffset - startOffset).toBeGreaterThanOrEqual(Math.min(i + 1, 20))
    }
    expect(most).toBeLessThanOrEqual(40)
  })

  test('never renumbers', () => {
    const topic = topicOf({ segmentRecords: 2, retention: { records: 2 } })
    fill(topic, 0, 9)
    topic.enforceRetention()
    for (const record of records(topic)) expect(record.value).toBe(`0:${record.offset}`)
    expect(topic.publish({ partition: 0, value: 'x' }).offset).toBe(9)
  })

  test('without retention the log grows until told otherwise', () => {
    const topic = topicOf({ segmentRecords: 2 })
    fill(topic, 0, 50)
    topic.enforceRetention()
    expect(topic.partitions[0]!.startOffset).toBe(0)
  })

  test("a reader behind the new start goes by the reset policy, and a 'reset' event says what it missed", async () => {
    const { orders, group } = world()
    fill(orders, 0, 6)
    const resets: unknown[] = []
    group.on('reset', event => resets.push(event))
    const consumer = group.join()
    await consumer.poll({ maxRecords: 1 })
    orders.partitions[0]!.deleteRecords(4)
    expect((await consumer.poll()).map(at)).toEqual(['0:4', '0:5'])
    expect(resets).toEqual([{ group: 'g', topic: 'orders', partition: 0, from: 1, to: 4 }])
  })
})

describe('compaction (B7.7)', () => {
  const compacted = () => new Topic<string | null>('t', { cleanupPolicy: 'compact', segmentRecords: 4 })

  test('the last value of each key stays, order and offsets unchanged, and the active segment is untouched', () => {
    const topic = compacted()
    for (const [key, value] of ['a1', 'b1', 'a2', 'a3', 'c1', 'c2'].map(each => [each[0]!, each]))
      topic.publish({ key: key!, value: value! })
    topic.compact()
    // Offsets 4 and 5 are the active segment's.
    const kept = topic.partitions[0]!.read(0).map(({ offset, value }) => `${offset} ${value}`)
    expect(kept).toEqual(['1 b1', '3 a3', '4 c1', '5 c2'])
    expect(topic.partitions[0]!.endOffset).toBe(6)
  })

  test('a reader goes over the gaps, and lag counts them', async () => {
    const topic = compacted()
    for (let i = 0; i < 9; i++) topic.publish({ key: i < 8 ? 'k' : 'other', value: String(i) })
    topic.compact()
    const group = new ConsumerGroup('g', topic)
    expect(group.lag()).toBe(9)
    const polled = await group.join().poll()
    expect(polled.map(({ offset }) => offset)).toEqual([7, 8])
  })

  test('a keyless record is refused with INVALID_RECORD', async () => {
    const topic = compacted()
    await refused(() => topic.publish({ value: 'x' }), 'INVALID_RECORD', 't')
    topic.publish({ key: '', value: 'x' })
    expect(topic.partitions[0]!.endOffset).toBe(1)
  })

  test('compact() of a topic that is not compacted is INVALID_CONFIG', async () => {
    const topic = topicOf()
    await refused(() => topic.compact(), 'INVALID_CONFIG')
  })

  // groups.md 32: gaps of compaction don't count.
  test('a gap is no unfinished record: the dead letter of a record behind one is committed', async () => {
    const topic = compacted()
    for (let i = 0; i < 5; i++) topic.publish({ key: i < 4 ? 'k' : 'other', value: String(i) })
    topic.compact()
    const group = new ConsumerGroup('g', topic, { commitMode: 'manualCommit', clock: new ManualClock() })
    const failed = new Topic<string | null>('failed')
    void group.join().run(
      () => {
        throw new Error('no')
      },
      { deadLetter: failed },
    )
    await new ManualClock().advance(0)
    expect(failed.partitions[0]!.read(0).map(({ value }) => value)).toEqual(['3', '4'])
    expect(group.committed('t', 0)).toBe(5)
  })
})

describe('a topic and a group stand alone', () => {
  test('in two lines, without a broker', async () => {
    const topic = new Topic<number>('numbers', { partitions: 2 })
    const group = new ConsumerGroup('g', topic)
    for (const value of [1, 2, 3]) topic.publish({ partition: value % 2, value })
    const consumer = group.join()
    expect((await consumer.poll()).map(({ value }) => value).sort()).toEqual([1, 2, 3])
    await consumer.close()
    expect(group.lag()).toBe(0)
  })

  test('a group reads several topics', async () => {
    const [a, b] = [new Topic<number>('a'), new Topic<string>('b')]
    const group = new ConsumerGroup('g', [a, b])
    a.publish({ value: 1 })
    b.publish({ value: 'x' })
    const consumer = group.join()
    expect((await consumer.poll()).map(({ topic, value }) => `${topic} ${value}`).sort()).toEqual(['a 1', 'b x'])
    await consumer.close()
  })
})

describe('toDeadLetter() and lastHeader()', () => {
  const record: ConsumerRecord<string> = {
    topic: 'orders',
    partition: 3,
    offset: 17,
    timestamp: 5,
    key: null,
    value: 'v',
    headers: [['h', '1']],
  }

  test('keeps key, value, headers and timestamp, and tells where it came from and why', () => {
    const letter = toDeadLetter(record, { error: new TypeError('bad'), group: 'g', attempts: 2 })
    expect(letter).toMatchObject({ key: null, value: 'v', timestamp: 5 })
    const read = { ...record, headers: [...(letter.headers as Iterable<readonly [string, string]>)] }
    const named = (name: string) => lastHeader(read, name)
    expect(named('h')).toBe('1')
    expect(
      ['topic', 'partition', 'offset', 'group', 'delivery.count', 'message'].map(name => named(`__dlq.errors.${name}`)),
    ).toEqual(['orders', '3', '17', 'g', '2', 'bad'])
    expect('partition' in letter && letter.partition !== undefined).toBe(false)
  })

  test.each([
    ['a text', 'text', 'text'],
    ['a number', 7, '7'],
    ['undefined', undefined, 'undefined'],
  ])('an error that is %s is a message too', (_, error, message) => {
    const letter = toDeadLetter(record, { error, group: 'g', attempts: 1 })
    const read = { ...record, headers: [...(letter.headers as Iterable<readonly [string, string]>)] }
    expect(lastHeader(read, '__dlq.errors.message')).toBe(message)
  })

  test('an error that can not be shown does not throw', () => {
    expect(() => toDeadLetter(record, { error: Object.create(null), group: 'g', attempts: 1 })).not.toThrow()
  })

  test('lastHeader() gives the last of a name, as text, also from bytes; null and undefined differ', () => {
    const read = {
      ...record,
      headers: [
        ['a', '1'],
        ['b', 'x'],
        ['a', new TextEncoder().encode('é')],
        ['c', null],
      ] as const,
    }
    expect(['a', 'b', 'c', 'd'].map(name => lastHeader(read, name))).toEqual(['é', 'x', null, undefined])
  })
})
