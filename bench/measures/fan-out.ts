import { EventEmitter } from 'eventemitter3'
import { ConsumerGroup, type ProducerRecord, Topic } from 'millrace'
import { interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { fewOrders, type Order, orders, partitions, Till } from '../workload.js'
import { pollAll } from './reading.js'

const readers = 10

/** Ten groups that each read everything, and ten listeners that each hear everything. */
export const fanOut: Family = async effort => {
  const count = effort.records
  const input = orders(count)
  const till = new Till(input, readers)
  const emitter = new EventEmitter<{ order: [ProducerRecord<Order>] }>()
  for (let i = 0; i < readers; i++) emitter.on('order', ({ value }) => till.add(value))

  const begin = () => {
    const topic = new Topic<Order>('orders', { partitions })
    const consumers = Array.from({ length: readers }, (_, i) => new ConsumerGroup(`group-${i}`, topic).join())
    return { topic, consumers }
  }
  const living = keepAlive(begin())
  living.topic.publishAll(fewOrders)
  for (const consumer of living.consumers) await pollAll(consumer, new Till(fewOrders))

  const times = await interleave(
    {
      millrace: async () => {
        const { topic, consumers } = begin()
        topic.publishAll(input)
        await Promise.all(consumers.map(consumer => pollAll(consumer, till)))
        till.check()
      },
      eventemitter3: () => {
        for (const record of input) emitter.emit('order', record)
        till.check()
      },
    },
    effort,
  )

  return [
    {
      measure: '10 groups each reading all / eventemitter3 with 10 listeners',
      aim: { text: '>= 0.5x', atLeast: 0.5 },
      ...ratio(times.eventemitter3, times.millrace),
      unit: 'x',
      bars: [
        rate('millrace, 10 groups', count, times.millrace, true),
        rate('eventemitter3, 10 listeners', count, times.eventemitter3),
      ],
      note: `${count.toLocaleString('en')} records, each read ten times`,
    },
  ]
}
