import { ConsumerGroup, Topic } from 'millrace'
import { interleave, median, quantile, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { type Order, orders, partitions } from '../workload.js'

/** How many microtasks lie between publish() and the line after `await consumer.poll()`: the wake-up, and the await. */
const links = 2

const now = (): number => performance.now()

/** From publish() to a consumer that waits in poll(), one record at a time; and through promises that are resolved already. */
export const latency: Family = async effort => {
  const count = effort.records / 5
  const input = orders(count)
  const topic = new Topic<Order>('orders', { partitions, retention: { records: 1_024 } })
  const consumer = new ConsumerGroup('billing', topic).join()
  const samples = new Float64Array(count)
  const taken = (): { p50: number[]; p99: number[] } => ({ p50: [], p99: [] })
  const quantiles = { millrace: taken(), chain: taken(), oneLink: taken(), clock: taken() }
  type Name = keyof typeof quantiles
  const keep = (name: Name): number => {
    const { p50, p99 } = quantiles[name]
    p50.push(quantile(samples, 0.5))
    p99.push(quantile(samples, 0.99))
    return p50.at(-1)!
  }

  const times = await interleave(
    {
      millrace: async () => {
        for (let i = 0; i < count; i++) {
          const parked = consumer.poll()
          const start = now()
          topic.publish(input[i]!)
          const records = await parked
          samples[i] = now() - start
          if (records[0]!.value !== input[i]!.value) throw new Error('Another record has come')
        }
        return keep('millrace')
      },
      chain: async () => {
        for (let i = 0; i < count; i++) {
          const start = now()
          let chain: Promise<unknown> = Promise.resolve(input[i])
          for (let link = 1; link < links; link++) chain = chain.then(value => value)
          await chain
          samples[i] = now() - start
        }
        return keep('chain')
      },
      oneLink: async () => {
        for (let i = 0; i < count; i++) {
          const start = now()
          await Promise.resolve(input[i])
          samples[i] = now() - start
        }
        return keep('oneLink')
      },
      clock: () => {
        for (let i = 0; i < count; i++) {
          const start = now()
          samples[i] = now() - start
        }
        return keep('clock')
      },
    },
    effort,
  )
  await consumer.close()

  const row = (at: 'p50' | 'p99', title: string) => {
    const clock = median(quantiles.clock.p50)
    const net = (name: Name): number[] => quantiles[name][at].slice(-times.millrace.length).map(time => time - clock)
    const bar = (label: string, name: Name, ours = false) => ({
      label,
      value: median(net(name)) * 1e6,
      unit: 'ns',
      ours,
    })
    return {
      measure: `publish to a parked consumer, one record at a time, latency ${title} / a resolved promise chain of the same length`,
      aim: { text: '<= 3x', atMost: 3 },
      ...ratio(net('millrace'), net('chain')),
      unit: 'x',
      bars: [
        bar('millrace publish to poll', 'millrace', true),
        bar(`${links} links`, 'chain'),
        bar('1 link', 'oneLink'),
      ],
      note: `${links} microtasks from publish() to the line after the poll; what reading the clock costs (${Math.round(clock * 1e6)} ns) is taken off both`,
    }
  }
  return [row('p50', 'median'), row('p99', 'p99')]
}
