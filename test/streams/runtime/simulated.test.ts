import { Broker, type MemoryBroker, type Broker as PortableBroker, type ProducerRecord } from 'millrace'
import {
  joinWindows,
  Streams,
  StreamsBuilder,
  sessionWindows,
  type Topology,
  timeWindows,
  untilWindowCloses,
} from 'millrace/streams'
import { simulate, type World } from 'millrace/testing'
import { expect, test } from 'vitest'
import { inOneStep, read } from './instances.js'

type Topics = Record<string, any>
const inputs = ['orders', 'payments', 'customers']
const outputs = ['by-city', 'named', 'per-minute', 'paid', 'visits']
const topics = Object.fromEntries([...inputs, ...outputs].map(name => [name, { partitions: 2 }]))

/** A grouping through a repartition topic, a table and a window of streams joined, windows with their final results, sessions. */
function topology(): Topology<Topics> {
  const builder = new StreamsBuilder<Topics>()
  const orders = builder.stream('orders')
  orders
    .groupBy((_order, key) => `city of ${key}`)
    .reduce((sum, order) => ({ n: sum.n + order.n }))
    .toStream()
    .to('by-city')
  orders.leftJoin(builder.table('customers'), (order, name) => `${order.n} of ${name}`).to('named')
  orders
    .groupByKey()
    .windowedBy(timeWindows({ sizeMs: 4_000, graceMs: 1_000 }))
    .count()
    .suppress(untilWindowCloses())
    .toStream()
    .map((n, { key, start }) => [key, `${start}: ${n}`])
    .to('per-minute')
  orders
    .outerJoin(
      builder.stream('payments'),
      (order, payment) => `${order?.n}/${payment?.n}`,
      joinWindows({ differenceMs: 3_000, graceMs: 500 }),
    )
    .to('paid')
  builder
    .stream('payments')
    .groupByKey()
    .windowedBy(sessionWindows({ gapMs: 5_000, graceMs: 60_000 }))
    .count()
    .toStream()
    .map((n, { key, start, end }) => [key, `${start}-${end}: ${n}`])
    .to('visits')
  return builder.build()
}

/** In the order of their timestamps, as one that never died takes them too. */
const records = Array.from({ length: 26 }, (_, i): [topic: string, ProducerRecord<unknown>] => {
  const topic = i % 7 === 0 ? 'customers' : i % 3 === 1 ? 'payments' : 'orders'
  const key = `k${(7 * i + (i >> 2)) % 5}`
  return [topic, { key, value: topic === 'customers' ? `name-${i}` : { n: i }, timestamp: i * 1_000 }]
})

type Sequences = Record<string, Record<string, unknown[]>>
async function sequences(broker: MemoryBroker<Topics>): Promise<Sequences> {
  const found: Sequences = {}
  for (const topic of outputs) {
    const byKey: Record<string, unknown[]> = {}
    for (const { key, value, timestamp } of await read(broker, topic))
      byKey[key!] = [...(byKey[key!] ?? []), [value, timestamp]]
    found[topic] = byKey
  }
  return found
}

async function undisturbed(): Promise<Sequences> {
  const broker = new Broker<Topics>({ topics })
  const streams = new Streams(topology(), { applicationId: 'app', broker })
  const done = streams.run()
  await streams.ready()
  for (const [topic, record] of records) {
    broker.topic(topic).publish(record)
    await broker.settled()
  }
  await streams.close()
  await done
  return sequences(broker)
}

const publishAll = (world: World<Topics, string>): void =>
  world.step(
    i => {
      const [topic, record] = records[i]!
      world.broker.topic(topic).publish(record)
    },
    { times: records.length },
  )

test.each([
  ['as many records a turn as come', 500, 200],
  ['two records a turn', 2, 40],
])(
  'three instances killed at random: all that shows is as from one that never died (%s)',
  async (_, maxPollRecords, schedules) => {
    const expected = await undisturbed()
    for (const topic of outputs) expect(Object.keys(expected[topic]!).length).toBeGreaterThan(2)
    const { crashes } = await simulate<Topics>({ topics, schedules }, world => {
      const start = (process: PortableBroker<Topics>) =>
        new Streams(topology(), {
          applicationId: 'app',
          broker: inOneStep(process, world.broker),
          maxPollRecords,
        }).run()
      world.service('app', start, { copies: 3 })
      publishAll(world)
      world.eventually(async () => expect(await sequences(world.broker)).toEqual(expected))
    })
    expect(crashes).toBeGreaterThan(schedules)
  },
  60_000,
)

test('killed between two writes, and with writes, polls and commits that fail: everything shows and counts at least once', async () => {
  const orders = records
    .filter(([topic]) => topic === 'orders')
    .map(([, { key, value }]) => [`city of ${key}`, (value as { n: number }).n] as const)
  const named = orders.map(([, n]) => n)
  const sums = new Map<string, number>()
  for (const [city, n] of orders) sums.set(city, (sums.get(city) ?? 0) + n)
  await simulate<Topics>({ topics, schedules: 40, faultRate: 0.02 }, world => {
    const start = (broker: PortableBroker<Topics>) => new Streams(topology(), { applicationId: 'app', broker }).run()
    world.service('app', start, { copies: 3 })
    publishAll(world)
    world.eventually(async () => {
      const seen = new Set((await read(world.broker, 'named')).map(({ value }) => Number.parseInt(value as string, 10)))
      expect(named.filter(n => !seen.has(n))).toEqual([])
      const last = new Map(
        (await read(world.broker, 'by-city')).map(({ key, value }) => [key, (value as { n: number }).n]),
      )
      expect([...sums].filter(([city, n]) => !(last.get(city)! >= n))).toEqual([])
    })
  })
}, 60_000)
