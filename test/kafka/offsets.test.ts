// A group's offsets, seen from outside of it: committed, lag, resetOffsets and caughtUp.

import type { KafkaBroker } from 'millrace/kafka'
import { describe, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/kafka/cluster.js'
import { type AnyTopics, all, failure, fresh, onCluster } from './support.js'
import { cluster, until, within } from './world.js'

const upTo = (count: number): number[] => [...Array(count).keys()]
const clusterOf = (broker: KafkaBroker<AnyTopics>): Cluster => (broker as unknown as { cluster: Cluster }).cluster

describe('committed(), lag() and resetOffsets()', () => {
  test('are about all partitions, and ask a few questions for many of them', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'), { partitions: 12 })
    await orders.publishAll(upTo(120).map(value => ({ value, partition: value % 12 })))
    const group = broker.group(fresh('billing'), { topics: orders.name })
    expect(await group.committed(orders.name, 5)).toBeUndefined()
    expect(await group.lag()).toBe(120)
    await group.resetOffsets(4, [{ topic: orders.name, partition: 5 }])
    expect(await group.committed(orders.name, 5)).toBe(4)
    expect(await group.lag()).toBe(116)
    await group.resetOffsets('latest')
    expect(await group.lag()).toBe(0)
    const send = vi.spyOn(clusterOf(broker), 'send')
    await group.resetOffsets('earliest')
    expect(await group.lag()).toBe(120)
    // Describe, find the starts, write; the offsets and the ends.
    expect(send.mock.calls.length).toBeLessThanOrEqual(6)
  })

  test('to a time: each partition at its own offset, the end where no record is that young', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'), { partitions: 2 })
    const now = Date.now()
    await orders.publishAll(upTo(10).map(i => ({ value: i, partition: i % 2, timestamp: now + i * 100 })))
    const group = broker.group(fresh('billing'), { topics: orders.name })
    await group.resetOffsets({ timestamp: now + 500 })
    expect([await group.committed(orders.name, 0), await group.committed(orders.name, 1)]).toEqual([3, 2])
    await group.resetOffsets({ timestamp: now + 10_000 })
    expect([await group.committed(orders.name, 0), await group.committed(orders.name, 1)]).toEqual([5, 5])
  })

  test('lag() of a group on latest without a commit is nothing; of one on none it is all there is', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publishAll(upTo(5).map(value => ({ value })))
    const latest = broker.group(fresh('billing'), { topics: orders.name, autoOffsetReset: 'latest' })
    const none = broker.group(fresh('billing'), { topics: orders.name, autoOffsetReset: 'none' })
    expect([await latest.lag(), await none.lag()]).toEqual([0, 5])
  })

  test('what is not of the group is UNKNOWN_TOPIC_OR_PARTITION, and nothing is written', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    const other = await broker.createTopic(fresh('other'))
    const group = broker.group(fresh('billing'), { topics: orders.name })
    const where = [
      { topic: orders.name, partition: 0 },
      { topic: other.name, partition: 0 },
    ]
    expect(await failure(() => group.resetOffsets(0, where))).toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      details: { topic: other.name },
    })
    expect(await failure(() => group.committed(other.name, 0))).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(await failure(() => group.resetOffsets(-1))).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    expect(await failure(() => group.resetOffsets('first' as never))).toBeInstanceOf(TypeError)
    expect(await group.committed(orders.name, 0)).toBeUndefined()
  })
})

test('a topic that has grown: lag(), committed(), caughtUp(), resetOffsets() and read() know of its new partitions', async () => {
  await using here = onCluster()
  await using there = onCluster()
  const orders = await here.createTopic(fresh('orders'))
  await orders.publish({ value: 'old' })
  const group = here.group(fresh('billing'), { topics: orders.name })
  expect(await group.lag()).toBe(1)
  const own = cluster()
  const grown = [{ name: orders.name, count: 2, assignments: null as never }]
  const about = { what: 'Growing a topic' }
  await own.request('any', kafka => kafka.createPartitionsV3.api, [grown, 10_000, false], { about })
  await own.close()
  await until('the topic to have grown', async () => (await there.topic(orders.name).partitionCount()) === 2)
  await there.topic(orders.name).publish({ value: 'new', partition: 1 })

  expect(await group.committed(orders.name, 1)).toBeUndefined()
  expect((await all(orders.read({ until: 'latest' }))).map(({ value }) => value).sort()).toEqual(['new', 'old'])
  expect(await group.lag()).toBe(2)
  expect(await failure(() => group.caughtUp())).toMatchObject({ code: 'CLOSED' })
  await group.resetOffsets('latest')
  expect([await group.lag(), await group.committed(orders.name, 1)]).toEqual([0, 1])
  await group.caughtUp()
})

describe('caughtUp()', () => {
  test('resolves when a member of another process has committed, and asks for the ends once', async () => {
    await using here = onCluster()
    await using there = onCluster()
    const orders = await here.createTopic(fresh('orders'), { partitions: 2 })
    await orders.publishAll(upTo(20).map(value => ({ value, partition: value % 2 })))
    const id = fresh('billing')
    const group = here.group(id, { topics: orders.name, commitMode: 'manualCommit' })
    const consumer = there.group(id, { topics: orders.name, commitMode: 'manualCommit' }).join()
    await consumer.ready()
    const send = vi.spyOn(clusterOf(here), 'send')
    let caughtUp = false
    const waiting = group.caughtUp().then(() => {
      caughtUp = true
    })
    const read: number[] = []
    while (read.length < 20) read.push(...(await consumer.poll({ maxRecords: 7 })).map(({ value }) => value))
    // Published after the call: not waited for.
    await orders.publish({ value: 20, partition: 0 })
    expect(caughtUp).toBe(false)
    await consumer.commit()
    await waiting
    const lookups = send.mock.calls.filter(([to, , , { lane }]) => typeof to === 'number' && lane !== 'produce')
    // One request for the ends and one for the starts, of the one leader.
    expect(lookups.length).toBe(2)
    await consumer.close()
  })

  test('makes its own members commit what is finished before the interval is over', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publishAll(upTo(20).map(value => ({ value })))
    const group = broker.group(fresh('billing'), { topics: orders.name, autoCommitIntervalMs: 3_600_000 })
    const consumer = group.join()
    const handled: number[] = []
    const running = consumer.run(({ value }) => handled.push(value))
    await group.caughtUp()
    expect(handled).toEqual(upTo(20))
    expect(await group.lag()).toBe(0)
    await consumer.close()
    await running
  })

  test('waits for a consumer that is about to join', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publish({ value: 1 })
    const group = broker.group(fresh('billing'), { topics: orders.name })
    const consumer = group.join()
    const running = consumer.run(() => {})
    await group.caughtUp()
    await consumer.close()
    await running
  })

  // Rule 24: where 'latest' has begun counts as finished.
  test.each(['manualCommit', 'autoCommit'] as const)(
    "resolves on 'latest' when nothing has come since the group began, with %s, here and elsewhere",
    async commitMode => {
      await using here = onCluster()
      await using there = onCluster()
      const orders = await here.createTopic(fresh('orders'), { partitions: 2 })
      await orders.publishAll(upTo(20).map(value => ({ value, partition: value % 2 })))
      const id = fresh('billing')
      const options = { topics: orders.name, autoOffsetReset: 'latest', commitMode } as const
      await using consumer = here.group(id, options).join()
      await consumer.ready()
      await within('one that caught up', here.group(id, options).caughtUp())
      await within('the same, seen from elsewhere', there.group(id, options).caughtUp())
      await orders.publish({ value: 20, partition: 1 })
      let caughtUp = false
      const waiting = there
        .group(id, options)
        .caughtUp()
        .then(() => {
          caughtUp = true
        })
      expect((await consumer.poll()).map(({ value }) => value)).toEqual([20])
      expect(caughtUp).toBe(false)
      await consumer.commit()
      await within('what came', waiting)
    },
  )

  test('a topic that none of the members reads: CLOSED', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    const other = await broker.createTopic(fresh('other'))
    await other.publish({ value: 1 })
    const group = broker.group(fresh('billing'), { topics: [orders.name, other.name] })
    await using consumer = group.join({ topics: [orders.name] })
    await consumer.ready()
    expect(await failure(() => group.caughtUp())).toMatchObject({ code: 'CLOSED' })
  })

  test('ends with CLOSED when its broker closes', async () => {
    const broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publish({ value: 1 })
    const group = broker.group(fresh('billing'), { topics: orders.name })
    const consumer = group.join()
    await consumer.ready()
    const waiting = failure(() => group.caughtUp())
    await broker.close()
    expect(await waiting).toMatchObject({ code: 'CLOSED' })
  })
})
