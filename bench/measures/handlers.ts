import * as fastq from 'fastq'
import { ConsumerGroup, type ConsumerRecord, type Handler, type ProducerRecord, Topic } from 'millrace'
import PQueue from 'p-queue'
import { interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { fewOrders, type Order, orders, partitions, Till } from '../workload.js'

type OrderHandler = Handler<ConsumerRecord<Order>>

/** Publishes all, and runs until all is finished. */
async function run(input: readonly ProducerRecord<Order>[], handler: OrderHandler, concurrency: number) {
  const topic = new Topic<Order>('orders', { partitions })
  const group = new ConsumerGroup('billing', topic)
  const consumer = group.join()
  topic.publishAll(input)
  const running = consumer.run(handler, { concurrency })
  await group.caughtUp()
  return { consumer, running }
}
async function runAll(
  input: readonly ProducerRecord<Order>[],
  handler: OrderHandler,
  concurrency: number,
): Promise<void> {
  const { consumer, running } = await run(input, handler, concurrency)
  await consumer.close()
  await running
}

/** One asynchronous handler at a time. */
export const serial: Family = async effort => {
  const count = effort.records
  const input = orders(count)
  const till = new Till(input)

  const few = new Till(fewOrders)
  keepAlive(await run(fewOrders, async ({ value }) => few.add(value), 1))
  keepAlive(await run(fewOrders, ({ value }) => few.add(value), 1))
  const living = keepAlive(fastq.promise(async ({ value }: ProducerRecord<Order>) => few.add(value), 1))
  await Promise.all(fewOrders.map(record => living.push(record)))

  const times = await interleave(
    {
      millrace: async () => {
        await runAll(input, async ({ value }) => till.add(value), 1)
        till.check()
      },
      fastq: async () => {
        const queue = fastq.promise(async ({ value }: ProducerRecord<Order>) => till.add(value), 1)
        for (const record of input) queue.push(record)
        await queue.drained()
        till.check()
      },
      synchronous: async () => {
        await runAll(input, ({ value }) => till.add(value), 1)
        till.check()
      },
    },
    effort,
  )

  return [
    {
      measure: '`run(handler)`, async handler / fastq promise queue with concurrency 1',
      aim: { text: '>= 1x', atLeast: 1 },
      ...ratio(times.fastq, times.millrace),
      unit: 'x',
      bars: [
        rate('millrace run, async handler', count, times.millrace, true),
        rate('fastq.promise', count, times.fastq),
        rate('millrace run, handler without a promise', count, times.synchronous, true),
      ],
    },
  ]
}

const concurrency = 64
const macrotask = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Sixty-four handlers at once that wait for the event loop; ours keep the order of equal keys, p-queue keeps none. */
export const concurrent: Family = async effort => {
  const count = effort.records / 5
  const input = orders(count)
  const till = new Till(input)
  const handlerOf =
    (into: Till) =>
    async ({ value }: { value: Order }): Promise<void> => {
      await macrotask()
      into.add(value)
    }
  const handler = handlerOf(till)
  const few = handlerOf(new Till(fewOrders))

  keepAlive(await run(fewOrders, few, concurrency))
  const living = keepAlive(new PQueue({ concurrency }))
  await Promise.all(fewOrders.map(record => living.add(() => few(record))))

  const times = await interleave(
    {
      millrace: async () => {
        await runAll(input, handler, concurrency)
        till.check()
      },
      pQueue: async () => {
        const queue = new PQueue({ concurrency })
        for (const record of input) void queue.add(() => handler(record))
        await queue.onIdle()
        till.check()
      },
    },
    effort,
  )

  return [
    {
      measure: '`run` with concurrency 64 per key, handlers that wait a macrotask / p-queue, which keeps no order',
      aim: { text: '>= 1x', atLeast: 1 },
      ...ratio(times.pQueue, times.millrace),
      unit: 'x',
      bars: [rate('millrace run', count, times.millrace, true), rate('p-queue', count, times.pQueue)],
      note: `${count.toLocaleString('en')} records`,
    },
  ]
}
