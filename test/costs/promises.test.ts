import { describe, expect, test } from 'vitest'
import { Broker, type Handler, type RunOptions } from '../../src/index.js'
import { promisesOf, type Sale, type Shop, sales, shop } from './support.js'

// What a change must not make dearer unnoticed, in numbers that are the same on every machine; times are bench/'s affair.

const many = sales(10_000)
/** To begin, to end, and to be told: whatever does not grow with the number of records. */
const fixed = 40

/** A group behind a full topic. */
function full(): Shop {
  const made = shop()
  made.topic.publishAll(many)
  return made
}

async function runAll(
  { consumer }: Shop,
  handler: Handler,
  options: RunOptions = {},
  count: number = many.length,
): Promise<void> {
  let left = count
  const done = new Promise<void>(resolve => {
    void consumer.run(
      (record, context) => {
        if (--left === 0) resolve()
        return handler(record, context)
      },
      options as RunOptions<any>,
    )
  })
  await done
  consumer.crash()
}

describe('promises', () => {
  test('none for what is published, however many groups are there', async () => {
    const broker = new Broker<{ sales: Sale }>({ topics: { sales: { partitions: 6 } } })
    for (let i = 0; i < 50; i++) broker.group(`group-${i}`, { topics: 'sales' }).join()
    const topic = broker.topic('sales')
    expect(await promisesOf(() => topic.publishAll(many))).toBe(0)
    expect(
      await promisesOf(() => {
        for (const record of many) topic.publish(record)
      }),
    ).toBe(0)
  })

  test('a few for a poll, none for its records', async () => {
    const { consumer } = full()
    let polls = 0
    const promises = await promisesOf(async () => {
      do polls++
      while ((await consumer.poll({ timeoutMs: 0 })).length > 0)
    })
    // The poll's, and what the runtime makes for the await.
    expect(promises).toBeLessThanOrEqual(2 * polls + fixed)
    expect(polls).toBeLessThan(many.length / 400)
  })

  test('one for a step of an iterator, beside the runtime’s own', async () => {
    const { consumer } = full()
    let left = many.length
    const promises = await promisesOf(async () => {
      for await (const _ of consumer) if (--left === 0) return
    })
    expect(promises).toBeLessThanOrEqual(2 * many.length + fixed)
  })

  test('none for a handler that returns none', async () => {
    const made = full()
    // One wake-up for each 500, so that other consumers get their turn.
    expect(await promisesOf(() => runAll(made, () => {}))).toBeLessThanOrEqual(many.length / 500 + fixed)
  })

  test.each([1, 64])('one for a handler’s own, with concurrency %i', async concurrency => {
    const made = full()
    const promises = await promisesOf(() => runAll(made, async () => {}, { concurrency }))
    expect(promises).toBeLessThanOrEqual(2 * many.length + fixed)
  })

  test('three for each record that a parked consumer is woken for', async () => {
    const { topic, consumer } = shop()
    const promises = await promisesOf(async () => {
      for (const record of many) {
        const parked = consumer.poll()
        topic.publish(record)
        await parked
      }
    })
    // The poll's, the wake-up's, and the runtime's own.
    expect(promises).toBeLessThanOrEqual(3 * many.length + fixed)
  })
})

/** The test runner has promises of its own now and then: the fewest of some tries are ours. */
async function fewest(count: () => Promise<number>): Promise<number> {
  const counts: number[] = []
  for (let i = 0; i < 8; i++) counts.push(await count())
  return Math.min(...counts)
}

describe('wake-ups', () => {
  test.each([
    ['publishAll', ({ topic }: Shop, count: number) => topic.publishAll(many.slice(0, count))],
    [
      'publish',
      ({ topic }: Shop, count: number) => {
        for (const record of many.slice(0, count)) topic.publish(record)
      },
    ],
  ])('of a parked poll: one for a burst of %s, however long', async (_, publish) => {
    const wake = async (count: number): Promise<number> => {
      const made = shop()
      const parked = made.consumer.poll()
      let records = 0
      const promises = await promisesOf(async () => {
        publish(made, count)
        records = (await parked).length
      })
      expect(records).toBe(count)
      return promises
    }
    expect(await fewest(() => wake(400))).toBe(await fewest(() => wake(2)))
  })

  test('of run(): one for a burst', async () => {
    const wake = async (count: number): Promise<number> => {
      const made = shop()
      return promisesOf(async () => {
        const running = runAll(made, () => {}, {}, count)
        await Promise.resolve()
        made.topic.publishAll(many.slice(0, count))
        await running
      })
    }
    expect(await fewest(() => wake(400))).toBe(await fewest(() => wake(2)))
  })
})
