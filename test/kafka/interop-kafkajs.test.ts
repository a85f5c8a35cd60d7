// What kafkajs writes we read, and the other way round; both put a key into the same partition.
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { lastHeader } from 'millrace'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { all, fresh, onCluster } from './support.js'
import { within } from './world.js'

const partitions = 7
// Of every length modulo four, by which murmur2 takes its bytes; not ASCII alone.
const keys = ['', 'a', 'ab', 'abc', 'abcd', 'ada@example.org', 'Zoë', '漢字', '🦉 owl', ...numbered(100)]

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `visitor ${i * 7919}`)
}

/** The cluster drops what is older than a week. */
const time = Date.now() - 60_000

const kafkajs = new Kafka({ brokers: [inject('kafka')], logLevel: logLevel.NOTHING })
const producer = kafkajs.producer({ createPartitioner: Partitioners.DefaultPartitioner })
beforeAll(() => producer.connect())
afterAll(() => producer.disconnect())

test('what kafkajs publishes we read from the partition that we choose for its key', async () => {
  await using broker = onCluster()
  const topic = await broker.createTopic(fresh('orders'), { partitions })
  const messages = keys.map((key, i) => ({
    key,
    value: JSON.stringify({ i }),
    headers: { trace: `é${i}` },
    timestamp: `${time + i}`,
  }))
  await producer.send({ topic: topic.name, messages })
  const theirs = await all(topic.read({ until: 'latest' }))
  // Of what a new leader is too early for, kafkajs writes all partitions again.
  const byKey = new Map(theirs.map(record => [record.key, record]))
  expect(byKey.size).toBe(keys.length)
  expect(new Set(theirs.map(({ key, partition }) => `${partition} ${key}`)).size).toBe(keys.length)
  for (const [i, key] of keys.entries()) {
    const record = byKey.get(key)!
    expect(record).toMatchObject({ key, value: { i }, timestamp: time + i })
    expect(lastHeader(record, 'trace')).toBe(`é${i}`)
    const ours = await topic.publish({ key, value: { i } })
    expect([key, ours.partition]).toEqual([key, record.partition])
  }
})

test('what we publish kafkajs reads from the partition that it chooses for its key', async () => {
  await using broker = onCluster()
  const topic = await broker.createTopic(fresh('orders'), { partitions })
  for (const [i, key] of keys.entries())
    void topic.publish({ key, value: { i }, headers: { trace: `é${i}` }, timestamp: time + i })
  void topic.publish({ key: 'gone', value: null })
  await broker.flush()

  const choose = Partitioners.DefaultPartitioner()
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 1,
    replicas: [1],
    isr: [1],
  }))
  const consumer = kafkajs.consumer({ groupId: fresh('group') })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: topic.name, fromBeginning: true })
    const read: unknown[] = []
    const chosen: unknown[] = []
    const finished = new Promise<void>((resolve, reject) => {
      const eachMessage = async ({ partition, message }: { partition: number; message: any }): Promise<void> => {
        const value = message.value === null ? null : JSON.parse(message.value.toString())
        read.push([message.key.toString(), partition, value, message.headers.trace?.toString()])
        const at = choose({ topic: topic.name, partitionMetadata, message: { key: message.key, value: null } })
        chosen.push([message.key.toString(), at, value, message.headers.trace?.toString()])
        if (read.length === keys.length + 1) resolve()
      }
      consumer.run({ eachMessage }).catch(reject)
    })
    await within('all records', finished)
    expect(read).toEqual(chosen)
    const byKey = new Map(read.map(record => [(record as string[])[0], record as unknown[]]))
    expect(byKey.size).toBe(keys.length + 1)
    for (const [i, key] of keys.entries()) expect(byKey.get(key)!.slice(2)).toEqual([{ i }, `é${i}`])
    expect(byKey.get('gone')![2]).toBe(null)
  } finally {
    await consumer.disconnect()
  }
})
