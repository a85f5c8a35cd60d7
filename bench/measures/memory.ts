import { Topic } from 'millrace'
import { median } from '../harness.js'
import type { Family } from '../measure.js'
import { NaiveLog } from '../peers/naive-log.js'
import { type Order, orders, partitions } from '../workload.js'
import { held } from './held.js'

/** What a stored record takes beyond its key and its value, which the workload holds already. */
export const memory: Family = async ({ records: count, rounds }) => {
  const input = orders(count)
  const log = (segmentRecords: number) => () => {
    const topic = new Topic<Order>('orders', { partitions, segmentRecords })
    topic.publishAll(input)
    return topic
  }
  const withHeaders = input.map(record => ({ ...record, headers: { trace: 'a' } }))
  const naive = () => {
    const naiveLog = new NaiveLog<Order>('orders', partitions)
    for (const record of input) naiveLog.append(record as { key: string; value: Order })
    return naiveLog
  }
  const each = (make: () => object): number =>
    median(Array.from({ length: Math.min(rounds, 5) }, () => held(make) / count))

  const bytes = each(log(1_024))
  return [
    {
      measure: 'memory per stored record beyond its key and value (heap and array buffers)',
      aim: { text: '<= 26 bytes', atMost: 26 },
      value: bytes,
      unit: 'bytes',
      bars: [
        { label: 'millrace', value: bytes, unit: 'bytes', ours: true },
        { label: 'millrace, segments of 128', value: each(log(128)), unit: 'bytes', ours: true },
        {
          label: 'millrace, one header each',
          value: each(() => {
            const topic = new Topic<Order>('orders', { partitions })
            topic.publishAll(withHeaders)
            return topic
          }),
          unit: 'bytes',
          ours: true,
        },
        { label: 'naive log', value: each(naive), unit: 'bytes' },
      ],
    },
  ]
}
