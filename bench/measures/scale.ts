import { Broker, type MemoryConsumer, type MemoryTopic } from 'millrace'
import { collectGarbage, median } from '../harness.js'
import type { Bar, Family, Row } from '../measure.js'
import { held } from './held.js'

const things = 2_000

/** The slope: what one more takes, of things that are there by the thousand. */
const bytesEach = (make: () => object, count: number = things): number =>
  median(Array.from({ length: 5 }, () => held(make) / count))

/** Microseconds a call, over some thousand calls; the median of several goes. */
async function each(calls: number, act: (i: number) => unknown): Promise<number> {
  const goes: number[] = []
  for (let go = 0; go < 7; go++) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const result = act(i)
      if (result instanceof Promise) await result
    }
    goes.push(((performance.now() - start) / calls) * 1_000)
  }
  return median(goes.slice(2))
}

const brokerOf = (partitions: number) => new Broker<{ orders: number }>({ topics: { orders: { partitions } } })

/** A group of so many members on as many partitions times ten. */
function groupOf(members: number) {
  const broker = brokerOf(1)
  const group = broker.group('billing', { topics: 'orders' })
  for (let i = 0; i < members; i++) group.join()
  broker.topic('orders').addPartitions(members * 10)
  return { broker, group }
}

/** What an operation costs as the world grows: the figures of the cost model in bench/README.md. */
export const scale: Family = async () => {
  const ours = (label: string, value: number, unit: string): Bar => ({ label, value, unit, ours: true })
  const bytes: Bar[] = [
    ours(
      'an empty partition',
      bytesEach(() => brokerOf(things)),
      'bytes',
    ),
    ours(
      'a group without members',
      bytesEach(() => {
        const broker = brokerOf(1)
        for (let i = 0; i < things; i++) broker.group(`group-${i}`, { topics: 'orders' })
        return broker
      }),
      'bytes',
    ),
    ours(
      'a group with a member that owns a partition',
      bytesEach(() => {
        const broker = brokerOf(1)
        for (let i = 0; i < things; i++) broker.group(`group-${i}`, { topics: 'orders' }).join()
        return broker
      }),
      'bytes',
    ),
    ours(
      'a partition owned in a group',
      bytesEach(() => {
        const broker = brokerOf(things)
        broker.group('billing', { topics: 'orders' }).join()
        return broker
      }) - bytesEach(() => brokerOf(things)),
      'bytes',
    ),
  ]

  const { broker, group } = groupOf(10)
  const topic = broker.topic('orders')
  const consumer = group.join()
  const owned = consumer.assignment[0]!.partition
  const one = async (): Promise<void> => {
    topic.publish({ value: 1, partition: owned })
    await consumer.poll()
  }
  const joinAndLeave = (members: number, leave: (newcomer: MemoryConsumer<any>) => unknown) => {
    const world = groupOf(members)
    return each(members >= 1_000 ? 10 : 100, async () => {
      await leave(world.group.join())
    })
  }
  const times: Bar[] = [
    ours('publish', await each(200_000, i => topic.publish({ value: i, partition: owned })), 'µs'),
    ours('publish, then poll of the one record', await each(50_000, one), 'µs'),
    ours(
      'commit of one partition',
      await each(5_000, i => consumer.commit([{ topic: 'orders', partition: owned, nextOffset: i }])),
      'µs',
    ),
    ours('join and crash, 10 members, 100 partitions', await joinAndLeave(10, it => it.crash()), 'µs'),
    ours('join and close, 10 members, 100 partitions', await joinAndLeave(10, it => it.close()), 'µs'),
    ours('join and crash, 100 members, 1,000 partitions', await joinAndLeave(100, it => it.crash()), 'µs'),
    ours('join and crash, 1,000 members, 10,000 partitions', await joinAndLeave(1_000, it => it.crash()), 'µs'),
  ]
  const collections: Bar[] = [1, 2, 4].map(millions => {
    const full = brokerOf(6).topic('orders') as MemoryTopic<unknown>
    for (let id = 0; id < millions * 1e6; id++) full.publish({ key: `order-${id % 1_000}`, value: { id } })
    collectGarbage()
    const start = performance.now()
    collectGarbage()
    const took = performance.now() - start
    if (full.partitionCount() !== 6) throw new Error('It must be alive until here')
    return ours(`${millions} M records stored`, took, 'ms')
  })

  const row = (measure: string, bars: readonly Bar[]): Row => ({
    measure,
    value: bars[0]!.value,
    unit: bars[0]!.unit,
    bars,
  })
  return [
    row('what things take in memory', bytes),
    row('what operations take', times),
    row('a full collection of garbage, all at once, as --expose-gc does it', collections),
  ]
}
