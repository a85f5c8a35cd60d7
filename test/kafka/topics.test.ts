import { jsonCodec } from 'millrace'
import { expect, test } from 'vitest'
import { loadKafka } from '../../src/kafka/platformatic.js'
import { all, fresh, onCluster } from './support.js'
import { settingsOf } from './world.js'

test('these tests run on the client that they are told to', async () => {
  const isSecond = 'apiVersionsV1' in (await loadKafka())
  expect(isSecond).toBe(process.env['MILLRACE_KAFKA_CLIENT'] === '2')
})

test('ready() makes the topics that say how many partitions they have, and leaves those that are there', async () => {
  const [missing, there] = [fresh('missing'), fresh('there')]
  await using first = onCluster()
  await first.createTopic(there, { partitions: 2 })
  const topics = { [missing]: { partitions: 3, replicas: 1 }, [there]: { partitions: 5 } }
  // Of processes that start together one is the first.
  await using one = onCluster({ topics })
  await using two = onCluster({ topics })
  await Promise.all([one.ready(), two.ready()])
  expect([await one.topic(missing).partitionCount(), await one.topic(there).partitionCount()]).toEqual([3, 2])
  await two.ready()
})

test('createTopic() without options goes by the defaults of the cluster', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  expect(await orders.partitionCount()).toBe(1)
  const found = await settingsOf(orders.name, ['cleanup.policy', 'retention.ms'])
  expect(found).toEqual({ 'cleanup.policy': 'delete', 'retention.ms': '604800000' })
})

test('createTopic() tells the cluster what is to be kept', async () => {
  await using broker = onCluster()
  const state = await broker.createTopic(fresh('state'), {
    partitions: 4,
    cleanupPolicy: 'compact',
    retention: { ms: 60_000 },
  })
  expect(await state.partitionCount()).toBe(4)
  const found = await settingsOf(state.name, ['cleanup.policy', 'retention.ms'])
  expect(found).toEqual({ 'cleanup.policy': 'compact', 'retention.ms': '60000' })
})

test('createTopic() brings a codec and a partitioner, also for handles that were there before', async () => {
  await using broker = onCluster()
  const name = fresh('orders')
  const before = broker.topic(name)
  const wrapped = {
    encode: (value: unknown) => jsonCodec<unknown>().encode({ wrapped: value }),
    decode: (bytes: Uint8Array) => jsonCodec<any>().decode(bytes).wrapped,
  }
  const orders = await broker.createTopic(name, { partitions: 3, codec: wrapped, partitioner: () => 2 })
  await orders.publish({ key: 'a', value: 1 })
  await before.publish({ key: 'b', value: 2 })
  const found = await all(orders.read({ until: 'latest' }))
  expect(found.map(({ partition, value }) => [partition, value])).toEqual([
    [2, 1],
    [2, 2],
  ])
  await using plain = onCluster()
  expect((await all(plain.topic(name).read({ until: 'latest' })))[0]!.value).toEqual({ wrapped: 1 })
})

test('a partitioner that chooses what there is not is INVALID_CONFIG, and nothing is written', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'), { partitions: 2, partitioner: () => 2 })
  const outcomes = await Promise.allSettled([orders.publish({ value: 1 }), orders.publishAll([{ value: 2 }])])
  for (const outcome of outcomes)
    expect((outcome as PromiseRejectedResult).reason).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'partitioner', value: 2 },
    })
  expect(await all(orders.read({ until: 'latest' }))).toEqual([])
})
