import { PerformanceObserver } from 'node:perf_hooks'
import { ConsumerGroup, Topic } from 'millrace'
import { collectGarbage, quantile } from '../harness.js'
import type { Family, Row } from '../measure.js'
import { type Order, partitions } from '../workload.js'

const kept = 100_000
const burst = 1_000

/** A topic that forgets, with a consumer behind it: does the heap stay flat, does anything stop the process for long? */
export const retention: Family = async ({ long }) => {
  const total = long ? 50_000_000 : 3_000_000
  const topic = new Topic<Order>('orders', { partitions, retention: { records: Math.floor(kept / partitions) } })
  const consumer = new ConsumerGroup('billing', topic).join()
  const keys = Array.from({ length: 1_000 }, (_, i) => `order-${i}`)
  const bursts = new Float64Array(total / burst)
  const heap: number[] = []
  const collections: number[] = []
  const observer = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) collections.push(duration)
  })
  observer.observe({ entryTypes: ['gc'] })

  let id = 0
  let read = 0
  for (let i = 0; i < bursts.length; i++) {
    const start = performance.now()
    for (const end = id + burst; id < end; id++)
      topic.publish({ key: keys[id % keys.length]!, value: { id, amount: id & 255 } })
    for (;;) {
      const batch = await consumer.poll({ timeoutMs: 0 })
      if (batch.length === 0) break
      read += batch.length
    }
    bursts[i] = performance.now() - start
    if (i % Math.floor(bursts.length / 20) === 0) {
      collectGarbage()
      heap.push(process.memoryUsage().heapUsed)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  observer.disconnect()
  if (read !== total) throw new Error(`Read ${read} of ${total}`)

  const warm = heap.slice(4)
  const growth = warm.at(-1)! / warm[0]!
  const pause = quantile(bursts.sort(), 0.999)
  const through = `${total / 1e6} M records through a topic with retention of ${kept.toLocaleString('en')}`
  const common = { unit: 'ms', ours: true }
  const rows: Row[] = [
    {
      measure: `${through}: heap at the end / after warm-up`,
      aim: { text: 'flat (<= 1.05x)', atMost: 1.05 },
      value: growth,
      unit: 'x',
      bars: [
        { label: 'after warm-up', value: warm[0]! / 2 ** 20, unit: 'MB', ours: true },
        { label: 'at the end', value: warm.at(-1)! / 2 ** 20, unit: 'MB', ours: true },
        { label: 'at most', value: Math.max(...warm) / 2 ** 20, unit: 'MB', ours: true },
      ],
    },
    {
      measure: `${through}: longest stop, p99.9 of bursts of ${burst.toLocaleString('en')} published and polled`,
      aim: { text: '<= 50 ms', atMost: 50 },
      value: pause,
      unit: 'ms',
      bars: [
        { label: 'p50', value: quantile(bursts, 0.5), ...common },
        { label: 'p99.9', value: pause, ...common },
        { label: 'longest', value: bursts.at(-1)!, ...common },
        { label: 'longest collection of garbage', value: Math.max(0, ...collections), ...common },
      ],
      note: 'forced collections of the measurement included in the last bar',
    },
  ]
  return rows
}
