// `npm run bench:kafka`: 1,000,000 records of 100 bytes to one real broker and back, by millrace/kafka and by others, in
// turns. --records N, --rounds N.
import { parseArgs } from 'node:util'
import { kafkaBroker } from 'millrace/kafka'
import { startNode } from '../../test/kafka/cluster.js'
import { bare, type Client, kafkajs, millrace, millraceByRecord, type Work } from './clients.js'

const { values } = parseArgs({
  options: { records: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '3' } },
})
const records = Number(values.records)
const rounds = Number(values.rounds)
const clients: readonly Client[] = [millrace, millraceByRecord, bare, kafkajs]

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!
const perSecond = (ms: number): string => Math.round((records / ms) * 1_000).toLocaleString('en')

const node = await startNode(['log.retention.bytes=-1'])
try {
  const times = new Map(clients.map(({ name }) => [name, { publish: [] as number[], consume: [] as number[] }]))
  await using admin = kafkaBroker({ bootstrapBrokers: [node.address] })
  for (let round = 0; round <= rounds; round++) {
    for (const [i, client] of clients.entries()) {
      const topic = `bench-${round}-${i}`
      await admin.createTopic(topic, { partitions: 3 })
      // The first round warms up, with a tenth.
      const work: Work = {
        address: node.address,
        topic,
        records: round === 0 ? Math.ceil(records / 10) : records,
        value: Buffer.alloc(100, 'x'),
      }
      globalThis.gc?.()
      const publish = await client.publish(work)
      globalThis.gc?.()
      const consume = await client.consume(work)
      if (round === 0) continue
      times.get(client.name)!.publish.push(publish)
      times.get(client.name)!.consume.push(consume)
      console.error(`${client.name}: published ${perSecond(publish)}/s, consumed ${perSecond(consume)}/s`)
    }
  }
  console.log(`${records.toLocaleString('en')} records of 100 bytes, 3 partitions, medians of ${rounds}, records/s`)
  console.table(
    Object.fromEntries(
      [...times].map(([name, { publish, consume }]) => [
        name,
        { publish: perSecond(median(publish)), consume: perSecond(median(consume)) },
      ]),
    ),
  )
} finally {
  await node.remove()
}
