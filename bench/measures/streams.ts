import { Broker, type MemoryBroker, type ProducerRecord } from 'millrace'
import { type KTable, Streams, StreamsBuilder, type Topology, timeWindows, type Windowed } from 'millrace/streams'
import { interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family, Row } from '../measure.js'
import { show } from '../table.js'
import { distinctKeys, type Order, orders, partitions } from '../workload.js'

export interface Topics {
  orders: Order
}

/** Whose order it is: what to group by, made in advance, so that nobody pays for making texts. */
const customers = Array.from({ length: distinctKeys }, (_, i) => `customer-${i}`)
export const customerOf = ({ id }: Order): string => customers[id % distinctKeys]!

/** Of windows that hold a hundred records of each key. */
export const sizeMs = 100_000

/** Milliseconds on the wall, or of the processor. */
export function now(cpu: boolean): number {
  if (!cpu) return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** One record each millisecond. */
export const stampedOrders = (count: number): ProducerRecord<Order>[] =>
  orders(count).map((record, timestamp) => ({ ...record, timestamp }))

export interface Counting<Key extends string | Windowed = string> {
  readonly topology: Topology<Topics>
  readonly counts: KTable<number, Key>
  readonly store: string
}
const store = 'counts'
export function countByCustomer(): Counting {
  const builder = new StreamsBuilder<Topics>()
  const counts = builder.stream('orders').groupBy(customerOf).count({ store })
  return { topology: builder.build(), counts, store }
}
export function countInWindows(): Counting<Windowed> {
  const builder = new StreamsBuilder<Topics>()
  const counts = builder.stream('orders').groupByKey().windowedBy(timeWindows({ sizeMs })).count({ store })
  return { topology: builder.build(), counts, store }
}
/** Milliseconds: from the first record that is read to the last that is counted and committed, and before that to publish them. */
interface Timing {
  readonly through: number
  readonly published: number
}

function publish(broker: MemoryBroker<Topics>, input: readonly ProducerRecord<Order>[], cpu: boolean): number {
  const start = now(cpu)
  broker.topic('orders').publishAll(input)
  return now(cpu) - start
}
const emptyBroker = (): MemoryBroker<Topics> => new Broker<Topics>({ topics: { orders: { partitions } } })

/** State and changelogs written, and all that is worked through committed. */
async function throughStreams<Key extends string | Windowed>(
  { topology, counts }: Counting<Key>,
  input: readonly ProducerRecord<Order>[],
  cpu: boolean,
): Promise<Timing> {
  const broker = emptyBroker()
  const published = publish(broker, input, cpu)
  const streams = new Streams(topology, { applicationId: 'bench', broker })
  const start = now(cpu)
  const running = streams.run()
  await streams.ready()
  await broker.settled()
  const through = now(cpu) - start
  let counted = 0
  for (const [, count] of streams.query(counts as KTable<number>).range()) counted += count
  // Each contender must have counted everything, or its time means nothing.
  if (counted !== input.length) throw new Error(`Counted ${counted} of ${input.length}`)
  await streams.close()
  await running
  await broker.close()
  return { through, published }
}

/** One application of its kind is always there, as it would be in a process that has something to do. */
async function leaveAtWork<Key extends string | Windowed>({ topology }: Counting<Key>): Promise<void> {
  const broker = keepAlive(emptyBroker())
  const streams = keepAlive(new Streams(topology, { applicationId: 'bench', broker }))
  void streams.run()
  await streams.ready()
  broker.topic('orders').publishAll(stampedOrders(2_000))
  await broker.settled()
}

/** What anybody would write: one consumer, one loop, one Map, which is gone when the process is. */
async function throughLoop(
  count: (order: Order, key: string, timestamp: number) => void,
  input: readonly ProducerRecord<Order>[],
  cpu: boolean,
): Promise<Timing> {
  const broker = emptyBroker()
  const published = publish(broker, input, cpu)
  const consumer = broker.group('loop', { topics: 'orders', autoCommitIntervalMs: 0 }).join()
  const start = now(cpu)
  for (;;) {
    const batch = await consumer.poll({ timeoutMs: 0 })
    if (batch.length === 0) break
    for (const { value, key, timestamp } of batch) count(value, key!, timestamp)
  }
  const through = now(cpu) - start
  await broker.close()
  return { through, published }
}
function countByHand(): (order: Order) => void {
  const counts = new Map<string, number>()
  return order => {
    const customer = customerOf(order)
    counts.set(customer, (counts.get(customer) ?? 0) + 1)
  }
}
function windowsByHand(): (order: Order, key: string, timestamp: number) => void {
  const windows = new Map<number, Map<string, number>>()
  return (_, key, timestamp) => {
    const start = timestamp - (timestamp % sizeMs)
    let counts = windows.get(start)
    if (counts === undefined) {
      counts = new Map()
      windows.set(start, counts)
    }
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
}

/** Streams, with all that they keep (repartition topic, changelogs, undo), against a loop without any of it. */
export const streams: Family = async effort => {
  const { records, cpu } = effort
  const input = stampedOrders(records)
  const byCustomer = countByCustomer()
  const inWindows = countInWindows()
  await leaveAtWork(byCustomer)
  await leaveAtWork(inWindows)
  /** The measured rounds are the last ones. */
  const publishing = {
    count: [] as number[],
    countByHand: [] as number[],
    windows: [] as number[],
    windowsByHand: [] as number[],
  }
  type Name = keyof typeof publishing
  const noted = (name: Name, run: () => Promise<Timing>) => async (): Promise<number> => {
    const { through, published } = await run()
    publishing[name].push(published)
    return through
  }
  const times = await interleave(
    {
      count: noted('count', () => throughStreams(byCustomer, input, cpu)),
      countByHand: noted('countByHand', () => throughLoop(countByHand(), input, cpu)),
      windows: noted('windows', () => throughStreams(inWindows, input, cpu)),
      windowsByHand: noted('windowsByHand', () => throughLoop(windowsByHand(), input, cpu)),
    },
    effort,
  )
  /** As in the first rows of the table: in at one end and out at the other. */
  const whole = (name: Name): number[] =>
    times[name].map((time, round) => time + publishing[name].at(round - times[name].length)!)
  const row = (what: string, ours: Name, byHand: Name): Row => ({
    measure: `publishAll, then ${what} on ${partitions} partitions / a hand-written poll loop with a Map`,
    aim: { text: '>= 0.5x', atLeast: 0.5 },
    ...ratio(whole(byHand), whole(ours)),
    unit: 'x',
    bars: [
      rate('millrace/streams', records, whole(ours), true),
      rate('poll loop with a Map', records, whole(byHand)),
      rate('millrace/streams, published before', records, times[ours], true),
      rate('poll loop with a Map, published before', records, times[byHand]),
    ],
    note: `repartition topic, changelog, commits and undo included; without the publishing ${show(ratio(times[byHand], times[ours]).value, 'x')}`,
  })
  return [
    row('`groupBy` and `count`', 'count', 'countByHand'),
    row('a tumbling window, counted,', 'windows', 'windowsByHand'),
  ]
}
