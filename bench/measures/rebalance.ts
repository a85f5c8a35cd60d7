import { type Assignor, Broker, rangeAssignor, roundRobinAssignor, stickyAssignor } from 'millrace'
import { interleave, median } from '../harness.js'
import type { Bar, Family } from '../measure.js'

const assignors = [rangeAssignor, roundRobinAssignor, stickyAssignor]
const members = 1_000
const partitions = 10_000

/** One more member in a group at rest: the time until join() has returned, with all that has moved. */
function joinOne(assignor: Assignor, shrunk: number): () => number {
  const broker = new Broker<{ orders: unknown }>({ topics: { orders: { partitions: 1 } } })
  const group = broker.group('billing', { topics: 'orders', assignor })
  for (let i = 0; i < members / shrunk; i++) group.join()
  broker.topic('orders').addPartitions(partitions / shrunk)
  return () => {
    const start = performance.now()
    const newcomer = group.join()
    const took = performance.now() - start
    if (newcomer.assignment.length === 0) throw new Error('Nothing has come to the newcomer')
    newcomer.crash()
    return took
  }
}

/** A large group, and smaller ones of the same shape: the curve. */
export const rebalance: Family = async effort => {
  const sizes = [8, 4, 2, 1]
  const contenders = Object.fromEntries(
    assignors.flatMap(assignor =>
      sizes.map(shrunk => [`${assignor.name} ${partitions / shrunk}`, joinOne(assignor, shrunk)] as const),
    ),
  )
  const times = await interleave(contenders, effort)
  const took = (assignor: Assignor, shrunk: number): number => median(times[`${assignor.name} ${partitions / shrunk}`]!)
  const slowest = Math.max(...assignors.map(assignor => took(assignor, 1)))
  const curve = assignors.flatMap(assignor =>
    sizes.map(
      (shrunk): Bar => ({
        label: `${assignor.name}, ${partitions / shrunk} of ${members / shrunk}`,
        value: took(assignor, shrunk),
        unit: 'ms',
        ours: true,
      }),
    ),
  )
  const growth = assignors.map(assignor => `${assignor.name} ${(took(assignor, 1) / took(assignor, 8)).toFixed(1)}x`)
  return [
    {
      measure: 'rebalance: 10,000 partitions, 1,000 members, one joins',
      aim: { text: '<= 50 ms, and n log n', atMost: 50 },
      value: slowest,
      unit: 'ms',
      bars: curve,
      note: `the slowest of the assignors; for 8 times the partitions and members (n log n: 11x): ${growth.join(', ')}`,
    },
  ]
}
