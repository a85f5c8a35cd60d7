import type { ProducerRecord } from 'millrace'
import { StreamsBuilder, type Topology, TopologyTestDriver, timeWindows } from 'millrace/streams'
import { collectGarbage, interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Aim, Family } from '../measure.js'
import { javaStreams } from '../peers/java-streams.js'
import { distinctKeys } from '../workload.js'
import { now, sizeMs } from './streams.js'

interface Topics {
  orders: number
}
const customers = Array.from({ length: distinctKeys }, (_, i) => `customer-${i}`)
const keys = Array.from({ length: distinctKeys }, (_, i) => `order-${i}`)

function count(): Topology<Topics> {
  const builder = new StreamsBuilder<Topics>()
  builder
    .stream('orders')
    .groupBy(id => customers[id % distinctKeys]!)
    .count()
  return builder.build()
}
function windows(): Topology<Topics> {
  const builder = new StreamsBuilder<Topics>()
  builder.stream('orders').groupByKey().windowedBy(timeWindows({ sizeMs })).count()
  return builder.build()
}

function drive(topology: Topology<Topics>, records: number, cpu: boolean): number {
  collectGarbage()
  const driver = new TopologyTestDriver(topology)
  const start = now(cpu)
  for (let i = 0; i < records; i++) {
    const record: ProducerRecord<number> = { key: keys[i % distinctKeys]!, value: i, timestamp: i }
    driver.pipe('orders', record)
  }
  return now(cpu) - start
}

/** The same topologies and the same input as test/streams/oracle, class Bench, whose values are 64-bit numbers: made to suit Java. */
export const streamsDriver: Family = async ({ long, rounds, cpu }) => {
  const records = long ? 1_000_000 : 30_000
  const [counting, windowing] = [count(), windows()]
  for (const topology of [counting, windowing]) keepAlive(new TopologyTestDriver(topology)).pipe('orders', { value: 0 })
  const java = await javaStreams(records, distinctKeys, sizeMs, ...(cpu ? ['cpu'] : []))
  const times = await interleave(
    {
      count: () => drive(counting, records, cpu),
      javaCount: () => java?.round('count') ?? 0,
      windows: () => drive(windowing, records, cpu),
      javaWindows: () => java?.round('windows') ?? 0,
    },
    // The warm-up is what a Java machine needs to become fast.
    { rounds: Math.min(rounds, 5), warmUp: long ? 2 : 5, cpu },
  )
  java?.close()
  const row = (what: string, ours: readonly number[], theirs: readonly number[]) => {
    const own = rate('millrace/streams', records, ours, true)
    const measure = `TopologyTestDriver: ${what} / Java's own, the same topology and input`
    if (java === undefined)
      return { measure, value: own.value, unit: own.unit, bars: [own], note: 'no Java, or no Maven, to compare with' }
    const aim: Aim = { text: '> 1x', atLeast: 1 }
    return { measure, aim, ...ratio(theirs, ours), unit: 'x', bars: [own, rate('Kafka Streams 4.1', records, theirs)] }
  }
  return [
    row('`groupBy` and `count`', times.count, times.javaCount),
    row('a tumbling window, counted', times.windows, times.javaWindows),
  ]
}
