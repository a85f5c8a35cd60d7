import { Broker, type MemoryBroker } from 'millrace'
import { Streams } from 'millrace/streams'
import { collectGarbage, median } from '../harness.js'
import type { Family, Row } from '../measure.js'
import { partitions } from '../workload.js'
import { type Counting, countByCustomer, now, stampedOrders, type Topics } from './streams.js'

function heapUsed(): number {
  collectGarbage()
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function started(
  { topology }: Counting,
  broker: MemoryBroker<Topics>,
): Promise<{ streams: Streams<Topics>; stop(): Promise<void> }> {
  const streams = new Streams(topology, { applicationId: 'bench', broker })
  const running = streams.run()
  await streams.ready()
  return {
    streams,
    async stop() {
      await streams.close()
      await running
      await broker.close()
    },
  }
}

/** Does what an application holds grow with its records, or with its keys? */
async function growth(total: number): Promise<Row> {
  const burst = 10_000
  const input = stampedOrders(burst)
  const counting = countByCustomer()
  const before = heapUsed()
  const broker = new Broker<Topics>({ topics: { orders: { partitions, retention: { consumed: true } } } })
  const { stop } = await started(counting, broker)
  const held: number[] = []
  for (let published = burst; published <= total; published += burst) {
    broker.topic('orders').publishAll(input)
    await broker.settled()
    if ((published / burst) % Math.ceil(total / burst / 10) === 0) held.push(heapUsed() - before)
  }
  await stop()
  const [warm, last] = [held[2]!, held.at(-1)!]
  const bar = (label: string, bytes: number) => ({ label, value: bytes / 2 ** 20, unit: 'MB', ours: true })
  return {
    measure: `memory of \`groupBy\` and \`count\`: after ${total.toLocaleString('en')} records of ${(1_000).toLocaleString('en')} keys / after three tenths of them`,
    aim: { text: 'bounded (<= 1.2x)', atMost: 1.2 },
    value: last / warm,
    unit: 'x',
    bars: [bar('after three tenths', warm), bar('at the end', last), bar('at most', Math.max(...held))],
    note: 'internal topics and their segments included',
  }
}

/** An instance that takes over all tasks of one that is gone. */
async function restoring(rows: number, rounds: number, cpu: boolean): Promise<readonly Row[]> {
  const keys = Array.from({ length: rows }, (_, i) => `customer-${i}`)
  const counting = countByCustomer()
  const times: number[] = []
  const plain: number[] = []
  const held: number[] = []
  for (let round = 0; round < rounds; round++) {
    const broker = new Broker<Topics>({ topics: { orders: { partitions } } })
    // Makes the internal topics.
    const first = new Streams(counting.topology, { applicationId: 'bench', broker })
    const over = first.run()
    await first.ready()
    await first.close()
    await over
    const changelog = (broker as MemoryBroker<any>).topic(`bench-${counting.store}-changelog`)
    changelog.publishAll(keys.map(key => ({ key, value: 1 })))

    let start = now(cpu)
    const map = new Map<string, number>()
    for await (const { key, value } of changelog.read({ until: 'latest' })) map.set(key as string, value)
    plain.push(now(cpu) - start)
    if (map.size !== rows) throw new Error(`Read ${map.size} of ${rows}`)
    map.clear()

    const before = heapUsed()
    start = now(cpu)
    const { streams, stop } = await started(counting, broker)
    times.push(now(cpu) - start)
    held.push((heapUsed() - before) / rows)
    const { size } = streams.query(counting.counts)
    if (size !== rows) throw new Error(`Restored ${size} of ${rows}`)
    await stop()
  }
  const took = median(times)
  const perRow = median(held)
  const ms = (label: string, value: number, ours: boolean) => ({ label, value, unit: 'ms', ours })
  return [
    {
      measure: `restoring ${rows.toLocaleString('en')} changelog records, each a row of its own: time`,
      value: took,
      unit: 'ms',
      bars: [ms('millrace/streams', took, true), ms('topic.read() into a Map', median(plain), false)],
    },
    {
      measure: `restoring ${rows.toLocaleString('en')} changelog records, each a row of its own: memory per row beside the log`,
      value: perRow,
      unit: 'bytes',
      bars: [{ label: 'millrace/streams', value: perRow, unit: 'bytes', ours: true }],
    },
  ]
}

export const streamsState: Family = async ({ records, rounds, cpu }) => {
  // What V8 keeps of code that has run is not the application's.
  await growth(100_000)
  return [await growth(records), ...(await restoring(records, Math.min(rounds, 3), cpu))]
}
