// topic.read() on a cluster: what the contract suite can't see in memory.
import type { ConsumerRecord } from 'millrace'
import { afterEach, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/kafka/cluster.js'
import type { Api, Kafka } from '../../src/kafka/platformatic.js'
import { all, failure, fresh, onCluster } from './support.js'
import { cluster as other, until } from './world.js'

const upTo = (count: number): number[] => [...Array(count).keys()]
const valuesOf = (records: readonly ConsumerRecord<any>[]): any[] => records.map(({ value }) => value)

afterEach(() => {
  vi.useRealTimers()
})

/** Done by an administrator, past the library. */
async function administrate<Args extends unknown[]>(
  api: (kafka: Kafka) => Api<Args, unknown>,
  args: Args,
): Promise<void> {
  const own: Cluster = other()
  try {
    await own.request('any', api, args, { about: { what: 'Administrating' } })
  } finally {
    await own.close()
  }
}

/** Reads on and on; gives what has come, and how it ended. */
function tailOf(records: AsyncIterable<ConsumerRecord<any>>) {
  const found: ConsumerRecord<any>[] = []
  const ended = (async () => {
    for await (const record of records) found.push(record)
  })()
  ended.catch(() => {})
  return { found, ended }
}

test('a topic that grows: the new partitions are read from their start', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  const tail = tailOf(orders.read())
  await orders.publish({ value: 0 })
  await until('the first record', () => tail.found.length === 1)
  await administrate(kafka => kafka.createPartitionsV3.api, [[{ name: orders.name, count: 3 }], 5_000, false])
  await until('the topic to have grown', async () => (await orders.partitionCount()) === 3)
  await orders.publish({ value: 1, partition: 2 })
  expect(valuesOf(tail.found)).toEqual([0])
  // Kafka: metadata.max.age.ms
  vi.advanceTimersByTime(300_000)
  await until('a record of a new partition', () => tail.found.length === 2)
  expect(tail.found[1]).toMatchObject({ value: 1, partition: 2, offset: 0 })
})

test('a partition that has come meanwhile can be published to at once', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  await orders.publish({ value: 0 })
  await administrate(kafka => kafka.createPartitionsV3.api, [[{ name: orders.name, count: 2 }], 5_000, false])
  await until('the topic to have grown', async () => {
    const own = other()
    const { partitions } = await own.metadata(orders.name)
    await own.close()
    return partitions.length === 2
  })
  expect(await orders.publish({ value: 1, partition: 1 })).toMatchObject({ partition: 1, offset: 0 })
})

test('a topic that is deleted: UNKNOWN_TOPIC_OR_PARTITION, from a tail that waits and from publishing', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  const tail = tailOf(orders.read())
  await orders.publish({ value: 0 })
  await until('the first record', () => tail.found.length === 1)
  await administrate(kafka => kafka.deleteTopicsV6.api, [[{ name: orders.name }], 5_000])
  const expected = { code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: orders.name } }
  expect(await failure(() => tail.ended)).toMatchObject(expected)
  const refused = await failure(() => orders.publish({ value: 1 }))
  expect(refused.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
})

test('a topic that is made again under its name is published to and read from its start', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  await orders.publishAll(upTo(5).map(value => ({ value })))
  await administrate(kafka => kafka.deleteTopicsV6.api, [[{ name: orders.name }], 5_000])
  await until('the topic to be gone', async () => {
    const outcome = await Promise.allSettled([orders.publish({ value: -1 })])
    const { reason } = outcome[0] as PromiseRejectedResult
    return reason?.code === 'UNKNOWN_TOPIC_OR_PARTITION'
  })
  await broker.createTopic(orders.name)
  expect(await orders.publish({ value: 'new' })).toMatchObject({ offset: 0 })
  expect(valuesOf(await all(orders.read({ until: 'latest' })))).toEqual(['new'])
})

test('what is dropped before it came is skipped', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  await orders.publishAll(upTo(10).map(value => ({ value })))
  const early = orders.read({ from: 3, until: 'latest' })
  await administrate(
    kafka => kafka.deleteRecordsV2.api,
    [[{ name: orders.name, partitions: [{ partitionIndex: 0, offset: 6n }] }], 5_000],
  )
  expect(valuesOf(await all(early))).toEqual([6, 7, 8, 9])
  await administrate(
    kafka => kafka.deleteRecordsV2.api,
    [[{ name: orders.name, partitions: [{ partitionIndex: 0, offset: 10n }] }], 5_000],
  )
  expect(await all(orders.read({ until: 'latest' }))).toEqual([])
  expect(await failure(() => all(orders.read({ from: 11, until: 'latest' })))).toMatchObject({
    code: 'OFFSET_OUT_OF_RANGE',
    details: { offset: 11 },
  })
})

test('steps that are asked for at once are answered in order, and a tail that is left leaves nothing open', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  await orders.publishAll(upTo(5).map(value => ({ value })))
  const tail = orders.read()[Symbol.asyncIterator]()
  const steps = await Promise.all(upTo(5).map(() => tail.next()))
  expect(steps.map(step => step.value?.value)).toEqual(upTo(5))
  const parked = tail.next()
  expect(await tail.return!()).toEqual({ value: undefined, done: true })
  expect(await parked).toEqual({ value: undefined, done: true })
  expect(await tail.next()).toEqual({ value: undefined, done: true })
})

test('a step in a loop over a closing broker: it ends with what is there', async () => {
  const broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'), { partitions: 2 })
  await orders.publishAll(upTo(2_000).map(value => ({ value, partition: value % 2 })))
  const values: number[] = []
  for await (const { value } of orders.read()) if (values.push(value) === 10) await broker.close()
  expect(values.sort((a, b) => a - b)).toEqual(upTo(2_000))
})
