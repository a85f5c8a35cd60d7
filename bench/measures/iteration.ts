import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { ConsumerGroup, Topic } from 'millrace'
import { interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { fewOrders, type Order, orders, partitions, Till } from '../workload.js'
import { iterate } from './reading.js'

/** `for await` over a consumer, and over a stream of objects: written and read to the end. */
export const iteration: Family = async effort => {
  const count = effort.records
  const input = orders(count)
  const till = new Till(input)
  const drain = async (stream: PassThrough): Promise<void> => {
    for await (const record of stream) till.add(record.value)
    till.check()
  }

  const begin = () => {
    const topic = new Topic<Order>('orders', { partitions })
    return { topic, consumer: new ConsumerGroup('billing', topic).join() }
  }
  const living = keepAlive(begin())
  living.topic.publishAll(fewOrders)
  await iterate(living.consumer, new Till(fewOrders), fewOrders.length)

  const times = await interleave(
    {
      millrace: async () => {
        const { topic, consumer } = begin()
        topic.publishAll(input)
        await iterate(consumer, till, count)
        till.check()
      },
      // Written all at once, as into a log: it takes in more than it wants to.
      passThrough: async () => {
        const stream = new PassThrough({ objectMode: true })
        for (const record of input) stream.write(record)
        stream.end()
        await drain(stream)
      },
      // Written as fast as it is read.
      backPressure: async () => {
        const stream = new PassThrough({ objectMode: true })
        const read = drain(stream)
        for (const record of input) if (!stream.write(record)) await once(stream, 'drain')
        stream.end()
        await read
      },
    },
    effort,
  )

  return [
    {
      measure: '`for await` / PassThrough',
      aim: { text: '>= 1.5x', atLeast: 1.5 },
      ...ratio(times.passThrough, times.millrace),
      unit: 'x',
      bars: [
        rate('millrace for await', count, times.millrace, true),
        rate('PassThrough, written at once', count, times.passThrough),
        rate('PassThrough, with back-pressure', count, times.backPressure),
      ],
      note: 'publishing, or writing, included; against the faster way to write to a PassThrough',
    },
  ]
}
