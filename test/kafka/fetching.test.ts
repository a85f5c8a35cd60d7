import * as zlib from 'node:zlib'
import { Kafka, logLevel } from 'kafkajs'
import { type ConsumerRecord, isMillraceError } from 'millrace'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { fresh, onCluster } from './support.js'
import { cluster, makeTopic, until, within } from './world.js'

const kafkajs = new Kafka({ brokers: [inject('kafka')], logLevel: logLevel.NOTHING })
const admin = kafkajs.admin()
beforeAll(() => admin.connect())
afterAll(() => admin.disconnect())

async function make(settings: Record<string, string> = {}, numPartitions = 1): Promise<string> {
  const topic = fresh('records')
  await makeTopic(topic, settings, numPartitions)
  return topic
}
/** All that comes of a group of its own, until `enough`. */
async function consume(
  topic: string,
  enough: (records: readonly ConsumerRecord<any>[]) => boolean,
  consumer: object = {},
): Promise<ConsumerRecord<any>[]> {
  const broker = onCluster({ consumer })
  await using _ = broker
  const group = broker.group(fresh('group'), { topics: topic })
  const member = group.join()
  const records: ConsumerRecord<any>[] = []
  while (!enough(records)) records.push(...((await within('more records', member.poll())) as ConsumerRecord<any>[]))
  return records
}

describe('compression', () => {
  const hasZstd = 'zstdDecompressSync' in zlib

  // The broker compresses anew as the topic says, by Java's own codecs; snappy in the frames of snappy-java.
  test.each(['uncompressed', 'gzip', 'snappy', 'lz4', ...(hasZstd ? ['zstd'] : [])])(
    '%s records are read',
    async type => {
      const topic = await make({ 'compression.type': type })
      const broker = onCluster()
      await using _ = broker
      const pad = (i: number): string => 'abc '.repeat(i % 100)
      await broker.topic(topic).publishAll(
        (function* () {
          for (let i = 0; i < 3_000; i++) yield { key: `k${i}`, value: { i, pad: pad(i) }, headers: { h: `h${i}` } }
        })(),
      )
      const records = await consume(topic, ({ length }) => length >= 3_000)
      const text = new TextDecoder()
      for (const [i, { key, value, headers, offset }] of records.entries())
        expect([offset, key, value, headers.map(([name, bytes]) => [name, text.decode(bytes as Uint8Array)])]).toEqual([
          i,
          `k${i}`,
          { i, pad: pad(i) },
          [['h', `h${i}`]],
        ])
    },
  )

  const toldOfZstd = async (): Promise<void> => {
    const topic = await make({ 'compression.type': 'zstd' })
    const broker = onCluster()
    await using _ = broker
    await broker.topic(topic).publish({ value: 1 })
    const consumer = broker.group(fresh('group'), { topics: topic }).join()
    const error = await within(
      'an error',
      consumer.poll().then(
        () => undefined,
        (thrown: unknown) => thrown,
      ),
    )
    expect(isMillraceError(error, 'UNSUPPORTED_VERSION')).toBe(true)
    expect((error as Error).message).toMatch(/zstd.*Node\.js 22\.15/)
  }
  if (!hasZstd) test('zstd is told to need a newer Node.js, as this one has none', toldOfZstd)
})

describe('transactions', () => {
  /** Committed and aborted ones, several at a time, and records outside of any. */
  async function publishInTransactions(topic: string): Promise<void> {
    const plain = kafkajs.producer()
    const producers = ['one', 'two'].map(() =>
      kafkajs.producer({ transactionalId: fresh('transaction'), maxInFlightRequests: 1, idempotent: true }),
    )
    await Promise.all([plain, ...producers].map(producer => producer.connect()))
    const [one, two] = producers as [(typeof producers)[0], (typeof producers)[0]]
    const send = (to: { send: (typeof plain)['send'] }, ...values: string[]): Promise<unknown> =>
      to.send({ topic, messages: values.map(value => ({ value: JSON.stringify(value) })) })
    await send(plain, 'plain 0')
    const first = await one.transaction()
    const second = await two.transaction()
    await send(first, 'one aborts 0', 'one aborts 1')
    await send(second, 'two commits 0')
    await send(first, 'one aborts 2')
    await first.abort()
    await send(plain, 'plain 1')
    await second.commit()
    // The same producer's next transaction is another matter.
    const third = await one.transaction()
    await send(third, 'one commits 0')
    await third.commit()
    const fourth = await two.transaction()
    await send(fourth, 'two aborts 0')
    await fourth.abort()
    await Promise.all([plain, ...producers].map(producer => producer.disconnect()))
  }
  const committed = ['plain 0', 'two commits 0', 'plain 1', 'one commits 0']

  test('read_committed passes over what was aborted and over control records, which are no lag', async () => {
    const topic = await make()
    await publishInTransactions(topic)
    const broker = onCluster()
    await using _ = broker
    const group = broker.group(fresh('group'), { topics: topic })
    const consumer = group.join()
    const values: unknown[] = []
    while (values.length < 4) values.push(...(await within('records', consumer.poll())).map(({ value }) => value))
    expect(values).toEqual(committed)
    // The last to come is aborted: a poll that finds nothing is past it all the same.
    const end = Number((await admin.fetchTopicOffsets(topic))[0]!.high)
    const polled = consumer.poll({ timeoutMs: 10_000 })
    await until('the position to be past the end', () => consumer.position(topic, 0) === end)
    await consumer.close()
    expect(await polled).toEqual([])
    expect([await group.committed(topic, 0), await group.lag()]).toEqual([end, 0])
  })

  test('read_uncommitted reads what was aborted too, without the control records', async () => {
    const topic = await make()
    await publishInTransactions(topic)
    const records = await consume(topic, ({ length }) => length >= 8, { isolation: 'read_uncommitted' })
    expect(records.map(({ value }) => value)).toEqual([
      'plain 0',
      'one aborts 0',
      'one aborts 1',
      'two commits 0',
      'one aborts 2',
      'plain 1',
      'one commits 0',
      'two aborts 0',
    ])
  })

  test('an open transaction is waited for', async () => {
    const topic = await make()
    const producer = kafkajs.producer({
      transactionalId: fresh('transaction'),
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: '1' }] })
    const broker = onCluster()
    await using _ = broker
    const consumer = broker.group(fresh('group'), { topics: topic }).join()
    await consumer.ready()
    expect(await consumer.poll({ timeoutMs: 1_000 })).toEqual([])
    await transaction.commit()
    expect((await within('the record', consumer.poll())).map(({ value }) => value)).toEqual([1])
    await producer.disconnect()
  })
})

describe('gaps', () => {
  test('what compaction has removed is passed over, at the end too', async () => {
    const topic = await make({
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'delete.retention.ms': '0',
    })
    const broker = onCluster()
    await using _ = broker
    const table = broker.topic(topic)
    for (let i = 0; i < 50; i++) await table.publish({ key: `k${i % 5}`, value: i })
    const keys = new Set<string>()
    // A segment is compacted when a later one has begun.
    await until(
      'compaction',
      async () => {
        await table.publish({ key: 'last', value: 0 })
        let old = 0
        for await (const { key, value } of table.read({ until: 'latest' })) {
          keys.add(key as string)
          if (key !== 'last' && (value as number) < 45) old++
        }
        return old === 0
      },
      40_000,
    )
    const records = await consume(topic, all => all.some(({ key, offset }) => key === 'last' && offset >= 50))
    const kept = records.filter(({ key }) => key !== 'last')
    expect(kept.map(({ key, value, offset }) => [key, value, offset])).toEqual(
      [45, 46, 47, 48, 49].map(i => [`k${i % 5}`, i, i]),
    )
  })

  test('what retention has dropped sends the position where autoOffsetReset says', async () => {
    const topic = await make()
    const broker = onCluster()
    await using _ = broker
    await broker.topic(topic).publishAll(Array.from({ length: 20 }, (_, value) => ({ value })))
    const group = broker.group(fresh('group'), { topics: topic, maxPollRecords: 5 })
    const consumer = group.join()
    await consumer.ready()
    expect((await consumer.poll()).length).toBe(5)
    await consumer.close()
    const own = cluster()
    await own.request(
      { topic, partition: 0 },
      kafka => kafka.deleteRecordsV2.api,
      [[{ name: topic, partitions: [{ partitionIndex: 0, offset: 12n }] }], 10_000],
      { about: { what: 'Deleting records' } },
    )
    await own.close()
    const next = group.join()
    expect((await within('records', next.poll())).map(({ offset }) => offset)).toEqual([12, 13, 14, 15, 16])
    next.seek(topic, 0, 99)
    expect((await within('records', next.poll())).map(({ offset }) => offset)).toEqual([12, 13, 14, 15, 16])
  })
})

describe('memory', () => {
  test('a record larger than the share of its partition is read, and the others with it', async () => {
    const topic = await make({}, 3)
    const broker = onCluster()
    await using _ = broker
    const large = 'x'.repeat(100_000)
    for (let i = 0; i < 9; i++) await broker.topic(topic).publish({ value: `${i} ${large}`, partition: i % 3 })
    const records = await consume(topic, ({ length }) => length === 9, { fetchBytes: 10_000 })
    expect(records.map(({ value }) => Number(value[0])).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('what is paused is not handed out, and the rest goes on', async () => {
    const topic = await make({}, 2)
    const broker = onCluster()
    await using _ = broker
    const consumer = broker.group(fresh('group'), { topics: topic }).join()
    await consumer.ready()
    await consumer.poll({ timeoutMs: 100 })
    consumer.pause([{ topic, partition: 0 }])
    for (let i = 0; i < 4; i++) await broker.topic(topic).publish({ value: i, partition: i % 2 })
    const values: unknown[] = []
    while (values.length < 2) values.push(...(await within('records', consumer.poll())).map(({ value }) => value))
    expect(values).toEqual([1, 3])
    consumer.resume()
    while (values.length < 4) values.push(...(await within('records', consumer.poll())).map(({ value }) => value))
    expect(values).toEqual([1, 3, 0, 2])
  })
})

describe('what can not be decoded', () => {
  test('is INVALID_RECORD from each poll until it is sought past', async () => {
    const topic = await make()
    const producer = kafkajs.producer()
    await producer.connect()
    await producer.send({ topic, messages: ['1', '{broken', '3'].map(value => ({ value })) })
    await producer.disconnect()
    const broker = onCluster()
    await using _ = broker
    const consumer = broker.group(fresh('group'), { topics: topic }).join()
    expect((await within('a record', consumer.poll())).map(({ value }) => value)).toEqual([1])
    for (let i = 0; i < 2; i++) {
      const error = await within(
        'an error',
        consumer.poll().then(
          () => undefined,
          (thrown: unknown) => thrown,
        ),
      )
      expect(isMillraceError(error, 'INVALID_RECORD')).toBe(true)
      expect((error as Error).message).toContain(`${topic}-0 offset 1`)
    }
    consumer.seek(topic, 0, 2)
    expect((await within('a record', consumer.poll())).map(({ value }) => value)).toEqual([3])
  })

  test('fails in its handler’s place in run(), and goes to the dead letters as it is', async () => {
    const topic = await make()
    const letters = await make()
    const producer = kafkajs.producer()
    await producer.connect()
    await producer.send({ topic, messages: ['1', '{broken', '3'].map(value => ({ value })) })
    await producer.disconnect()
    const broker = onCluster()
    await using _ = broker
    const group = broker.group(fresh('group'), { topics: topic })
    const consumer = group.join()
    const seen: unknown[] = []
    const running = consumer.run(record => void seen.push(record.value), { deadLetter: broker.topic(letters) })
    await until('the last record', () => seen.length === 2)
    await consumer.close()
    await running
    expect(seen).toEqual([1, 3])
    expect(await group.committed(topic, 0)).toBe(3)
    const raw: string[] = []
    const own = kafkajs.consumer({ groupId: fresh('group') })
    await own.connect()
    await own.subscribe({ topic: letters, fromBeginning: true })
    await own.run({ eachMessage: async ({ message }) => void raw.push(message.value!.toString()) })
    await until('the dead letter', () => raw.length === 1)
    await own.disconnect()
    expect(raw).toEqual(['{broken'])
  })
})

test('a topic of that name that was made anew is read from its start', async () => {
  const topic = await make()
  const broker = onCluster()
  await using _ = broker
  await broker.topic(topic).publish({ value: 'old' })
  const consumer = broker.group(fresh('group'), { topics: topic }).join()
  expect((await within('a record', consumer.poll())).map(({ value }) => value)).toEqual(['old'])
  const own = cluster()
  const about = { what: 'Deleting a topic' }
  await own.request('any', kafka => kafka.deleteTopicsV6.api, [[{ name: topic }] as never, 10_000], { about })
  await own.close()
  await until('the partition to be lost', () => consumer.assignment.length === 0)
  await makeTopic(topic, {})
  const other = onCluster()
  await using __ = other
  await other.topic(topic).publish({ value: 'new' })
  expect((await within('the new record', consumer.poll())).map(({ value }) => value)).toEqual(['new'])
})
