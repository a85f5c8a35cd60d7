import { Broker, type ConsumerRecord, type MemoryTopic } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, caught, expectCode, fill, refused, watch, wrongKind } from './groups/support-c.js'

function setup(partitions = 1) {
  const clock = new ManualClock()
  const broker = new Broker<{ orders: string }>({ clock, topics: { orders: { partitions, segmentRecords: 4 } } })
  return { broker, orders: broker.topic('orders'), drain: () => clock.advance(0) }
}
async function all(source: AsyncIterable<ConsumerRecord<string>>): Promise<string[]> {
  const seen: string[] = []
  for await (const record of source) seen.push(at(record))
  return seen
}
const tailOf = (topic: MemoryTopic<string>, options?: Parameters<MemoryTopic<string>['read']>[0]) =>
  topic.read(options)[Symbol.asyncIterator]()

describe('until: latest', () => {
  test('gives all there is, of all partitions, each in order, and ends by itself', async () => {
    const { orders } = setup(2)
    fill(orders, 0, 10)
    fill(orders, 1, 3)
    const seen = await all(orders.read({ until: 'latest' }))
    expect(seen.filter(each => each.startsWith('0'))).toEqual(Array.from({ length: 10 }, (_, i) => `0:${i}`))
    expect(seen.filter(each => each.startsWith('1'))).toEqual(['1:0', '1:1', '1:2'])
  })

  test('ends at once where there is nothing', async () => {
    const { orders } = setup(2)
    expect(await all(orders.read({ until: 'latest' }))).toEqual([])
  })

  test('ends at the ends of the log as of its first step, though more is published', async () => {
    const { orders } = setup()
    fill(orders, 0, 2)
    const reading = orders.read({ until: 'latest' })
    fill(orders, 0, 1)
    const seen: string[] = []
    for await (const record of reading) {
      seen.push(at(record))
      fill(orders, 0, 1)
    }
    expect(seen).toEqual(['0:0', '0:1', '0:2'])
  })

  test('reads long logs to the end', async () => {
    const { orders } = setup(3)
    for (let i = 0; i < 5_000; i++) orders.publish({ partition: i % 3, value: 'x' })
    expect((await all(orders.read({ until: 'latest' }))).length).toBe(5_000)
  })
})

describe('from', () => {
  const timed = () => {
    const all = setup()
    for (const timestamp of [10, 20, 30]) all.orders.publish({ value: 'x', timestamp })
    return all
  }

  test.each([
    ['nothing said', undefined, ['0:0', '0:1', '0:2']],
    ['earliest', 'earliest', ['0:0', '0:1', '0:2']],
    ['latest', 'latest', []],
    ['an offset', 1, ['0:1', '0:2']],
    ['the end', 3, []],
    ['a time', { timestamp: 20 }, ['0:1', '0:2']],
    ['a time between', { timestamp: 11 }, ['0:1', '0:2']],
    ['a time after all', { timestamp: 31 }, []],
  ] as const)('%s', async (_, from, expected) => {
    const { orders } = timed()
    expect(await all(orders.read({ from, until: 'latest' }))).toEqual(expected)
  })

  test('is resolved at the first step, not at the call', async () => {
    const { orders, drain } = timed()
    const tail = tailOf(orders, { from: 'latest' })
    orders.publish({ value: 'before the step' })
    const step = watch(tail.next())
    await drain()
    expect(step.state).toBe('pending')
    orders.publish({ value: 'after' })
    await drain()
    expect(step.value?.value).toMatchObject({ offset: 4, value: 'after' })
  })

  test('skips what retention has dropped before it came', async () => {
    const { orders } = setup()
    fill(orders, 0, 8)
    orders.partitions[0]!.deleteRecords(3)
    expect(await all(orders.read({ from: 1, until: 'latest' }))).toEqual(['0:3', '0:4', '0:5', '0:6', '0:7'])
  })

  test('skips also what is dropped between two steps', async () => {
    const { orders, drain } = setup()
    const tail = tailOf(orders)
    const step = watch(tail.next())
    await drain()
    fill(orders, 0, 1)
    await drain()
    expect(step.value?.value).toMatchObject({ offset: 0 })
    fill(orders, 0, 6)
    orders.partitions[0]!.deleteRecords(5)
    expect((await tail.next()).value).toMatchObject({ offset: 5 })
  })

  test('beyond the end is OFFSET_OUT_OF_RANGE', async () => {
    const { orders } = timed()
    expectCode(await caught(() => tailOf(orders, { from: 4 }).next()), 'OFFSET_OUT_OF_RANGE', '4', '0 to 3')
  })
})

describe('a tail', () => {
  test('waits for more and goes on', async () => {
    const { orders, drain } = setup(2)
    fill(orders, 0, 1)
    const tail = tailOf(orders)
    expect((await tail.next()).value).toMatchObject({ partition: 0, offset: 0 })
    const step = watch(tail.next())
    await drain()
    expect(step.state).toBe('pending')
    fill(orders, 1, 1)
    await drain()
    expect(step.value?.value).toMatchObject({ partition: 1, offset: 0 })
  })

  test('reads only the partitions that it was told to', async () => {
    const { orders } = setup(3)
    for (const partition of [0, 1, 2]) fill(orders, partition, 2)
    expect(await all(orders.read({ partitions: [2, 0], until: 'latest' }))).toHaveLength(4)
    expect((await all(orders.read({ partitions: [1], until: 'latest' }))).sort()).toEqual(['1:0', '1:1'])
  })

  test('of no partitions ends at once with until', async () => {
    const { orders } = setup()
    fill(orders, 0, 1)
    expect(await all(orders.read({ partitions: [], until: 'latest' }))).toEqual([])
  })

  test('removes nothing, and tails do not notice each other', async () => {
    const { orders } = setup()
    fill(orders, 0, 3)
    const [a, b] = [tailOf(orders), tailOf(orders)]
    expect([(await a.next()).value, (await a.next()).value, (await b.next()).value].map(each => at(each!))).toEqual([
      '0:0',
      '0:1',
      '0:0',
    ])
    expect(orders.partitions[0]!.startOffset).toBe(0)
  })

  test('steps asked for at once are answered in order', async () => {
    const { orders } = setup()
    const tail = tailOf(orders)
    const steps = [tail.next(), tail.next(), tail.next()]
    fill(orders, 0, 3)
    expect((await Promise.all(steps)).map(({ value }) => at(value!))).toEqual(['0:0', '0:1', '0:2'])
  })

  test('that is left by break is over', async () => {
    const { orders, drain } = setup()
    fill(orders, 0, 3)
    const tail = orders.read()
    const iterator = tail[Symbol.asyncIterator]()
    expect((await iterator.next()).done).toBe(false)
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined })
    const step = watch(iterator.next())
    await drain()
    expect(step.value).toEqual({ done: true, value: undefined })
  })

  test('a step that waits when the tail is left is done', async () => {
    const { orders, drain } = setup()
    const tail = tailOf(orders)
    const step = watch(tail.next())
    await tail.return?.()
    await drain()
    expect(step.value).toEqual({ done: true, value: undefined })
  })

  test('does not starve a quiet partition beside a busy one', async () => {
    const { orders } = setup(2)
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    let steps = 0
    for await (const record of orders.read()) {
      if (record.partition === 1) break
      fill(orders, 0, 1)
      if (++steps === 5_000) break
    }
    expect(steps).toBeLessThan(5_000)
  })
})

describe('the end of a tail', () => {
  test('broker.close(): one that waits is done', async () => {
    const { broker, orders, drain } = setup()
    const step = watch(tailOf(orders).next())
    await drain()
    await broker.close()
    await drain()
    expect(step.value).toEqual({ done: true, value: undefined })
  })

  test('broker.close(): one that is behind ends with what is there', async () => {
    const { broker, orders } = setup(2)
    fill(orders, 0, 3)
    fill(orders, 1, 2)
    const tail = tailOf(orders)
    const first = (await tail.next()).value!
    await broker.close()
    const seen = [at(first)]
    for (let step = await tail.next(); !step.done; step = await tail.next()) seen.push(at(step.value))
    expect(seen.sort()).toEqual(['0:0', '0:1', '0:2', '1:0', '1:1'])
  })

  test('deleteTopic rejects one that waits with UNKNOWN_TOPIC_OR_PARTITION; then it is done', async () => {
    const { broker, orders, drain } = setup()
    const tail = tailOf(orders)
    const step = watch(tail.next())
    await drain()
    broker.deleteTopic('orders')
    await drain()
    expectCode(step.error, 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
    expect((await tail.next()).done).toBe(true)
  })

  test('deleteTopic rejects the next step of one that does not wait', async () => {
    const { broker, orders } = setup()
    fill(orders, 0, 1)
    const tail = tailOf(orders)
    await tail.next()
    broker.deleteTopic('orders')
    await refused(() => tail.next(), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
  })

  test('a new topic of the name is not what an old tail reads', async () => {
    const { broker, orders } = setup()
    const tail = tailOf(orders)
    broker.deleteTopic('orders')
    broker.createTopic('orders').publish({ value: 'new' })
    await refused(() => tail.next(), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
  })

  test("an abort rejects one that waits with the signal's reason", async () => {
    const { orders, drain } = setup()
    const controller = new AbortController()
    const step = watch(tailOf(orders, { signal: controller.signal }).next())
    await drain()
    const why = new Error('enough')
    controller.abort(why)
    await drain()
    expect(step.error).toBe(why)
  })

  test('an abort ends a loop with its reason', async () => {
    const { orders } = setup()
    fill(orders, 0, 5)
    const controller = new AbortController()
    const why = new Error('enough')
    const seen: string[] = []
    const error = await caught(async () => {
      for await (const record of orders.read({ signal: controller.signal })) {
        seen.push(at(record))
        if (record.offset === 1) controller.abort(why)
      }
    })
    expect([error, seen]).toEqual([why, ['0:0', '0:1']])
  })

  test('a signal that is aborted already rejects the first step', async () => {
    const { orders } = setup()
    fill(orders, 0, 1)
    const why = new Error('before')
    expect(await caught(() => tailOf(orders, { signal: AbortSignal.abort(why) }).next())).toBe(why)
  })
})

describe('bad options', () => {
  test.each([
    ['partitions out of range', { partitions: [1] }, 'UNKNOWN_TOPIC_OR_PARTITION', '1'],
    ['from below 0', { from: -1 }, 'OFFSET_OUT_OF_RANGE', '-1'],
    ['until something else', { until: 'soon' }, 'INVALID_CONFIG', 'soon'],
    ['a signal that is none', { signal: 'stop' }, 'INVALID_CONFIG', 'stop'],
    ['partitions that are no array', { partitions: 0 }, 'INVALID_CONFIG', '0'],
  ] as const)('%s', async (_, options, code, shown) => {
    const { orders } = setup()
    await refused(() => tailOf(orders, options as object).next(), code, shown)
  })

  test.each([['soonest'], [1.5], [Number.NaN], [{ timestamp: -1 }], [{ timestamp: 0.5 }], [null]])(
    'from: %j',
    async from => {
      const { orders } = setup()
      const shown = String(typeof from === 'object' && from !== null ? from.timestamp : from)
      await wrongKind(() => tailOf(orders, { from: from as number }).next(), shown)
    },
  )
})
