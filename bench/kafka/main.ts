// npm run bench:kafka [-- --records 1000000 --rounds 5 --partitions 6 --kafka HOST:PORT]
//
// Publishes and consumes the same records through millrace/kafka, through the client that it stands on, and through
// kafkajs: in one run against one broker, each measurement in a process of its own, the clients taking turns; the
// figures are medians. Without --kafka it starts a broker for itself, as the tests do.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { build } from 'esbuild'
import { kafkaBroker } from 'millrace/kafka'
import { startNode } from '../../test/kafka/cluster.js'
import type { Job, Report } from './workload.js'

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    partitions: { type: 'string', default: '6' },
    kafka: { type: 'string' },
  },
})
const records = Number(values.records)
const rounds = Number(values.rounds)
const partitions = Number(values.partitions)

const ways = [
  { client: 'millrace', what: 'publishAll', says: 'millrace/kafka  publishAll()' },
  { client: 'millrace', what: 'publish', says: 'millrace/kafka  publish() each, 10,000 at once' },
  { client: 'platformatic', what: 'publishAll', says: 'platformatic    Producer.send(), idempotent' },
  { client: 'platformatic', what: 'publishFast', says: 'platformatic    Producer.send(), four at once' },
  { client: 'kafkajs', what: 'publishAll', says: 'kafkajs         send(), idempotent' },
  { client: 'kafkajs', what: 'publishFast', says: 'kafkajs         send(), four at once' },
  { client: 'millrace', what: 'run', says: 'millrace/kafka  run(), a handler each' },
  { client: 'millrace', what: 'poll', says: 'millrace/kafka  poll()' },
  { client: 'platformatic', what: 'run', says: 'platformatic    consume(), a stream' },
  { client: 'kafkajs', what: 'run', says: 'kafkajs         eachMessage' },
  { client: 'kafkajs', what: 'poll', says: 'kafkajs         eachBatch' },
] as const

const aims = [
  ['publishAll() is at least as fast as the bare Producer', 'millrace publishAll', 'platformatic publishFast'],
  ['publishAll() is faster than kafkajs', 'millrace publishAll', 'kafkajs publishFast'],
  ['publish() each is at least as fast as the bare Producer', 'millrace publish', 'platformatic publishFast'],
  ['run() is at least as fast as the bare stream', 'millrace run', 'platformatic run'],
  ['poll() is at least as fast as the bare stream', 'millrace poll', 'platformatic run'],
  ['run() is faster than kafkajs by message', 'millrace run', 'kafkajs run'],
  ['poll() is faster than kafkajs by batch', 'millrace poll', 'kafkajs poll'],
] as const

// As published: without what tsx adds to each function.
const child = fileURLToPath(new URL('../../node_modules/.cache/millrace-bench-kafka/child.mjs', import.meta.url))
await build({
  entryPoints: [fileURLToPath(new URL('child.ts', import.meta.url))],
  bundle: true,
  packages: 'external',
  alias: {
    // With what the paths of tsconfig.json lead to, as if it were no package.
    'millrace/kafka': fileURLToPath(new URL('../../src/kafka/index.ts', import.meta.url)),
    millrace: fileURLToPath(new URL('../../src/index.ts', import.meta.url)),
    // As in the tests: on Node 22 or later.
    ...(process.env['MILLRACE_KAFKA_CLIENT'] === '2' ? { '@platformatic/kafka': 'platformatic-kafka-2' } : {}),
  },
  format: 'esm',
  platform: 'node',
  target: 'node20',
  outfile: child,
})
async function measure(job: Job): Promise<Report> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', child, JSON.stringify(job)])
  return JSON.parse(stdout) as Report
}

const node = values.kafka === undefined ? await startNode() : undefined
const address = values.kafka ?? node!.address
try {
  let topics = 0
  const newTopic = async (): Promise<string> => {
    await using broker = kafkaBroker({ bootstrapBrokers: [address] })
    const name = `bench-${Date.now().toString(36)}-${topics++}`
    await broker.createTopic(name, { partitions })
    return name
  }
  const full = await newTopic()
  await measure({ client: 'millrace', what: 'publishAll', address, topic: full, partitions, records })

  const reports = new Map<string, Report[]>(ways.map(({ client, what }) => [`${client} ${what}`, []]))
  for (let round = 0; round < rounds; round++) {
    // In turns: each round begins with another.
    for (let turn = 0; turn < ways.length; turn++) {
      const { client, what } = ways[(turn + round) % ways.length]!
      const topic = what.startsWith('publish') ? await newTopic() : full
      const report = await measure({ client, what, address, topic, partitions, records })
      reports.get(`${client} ${what}`)!.push(report)
      console.error(`round ${round + 1}: ${client} ${what} ${Math.round(report.ms)} ms`)
    }
  }

  const ms = (way: string): number => median(reports.get(way)!.map(report => report.ms))
  console.log(
    `${records.toLocaleString('en-US')} records of 100 bytes, ${partitions} partitions, medians of ${rounds}\n`,
  )
  for (const { client, what, says } of ways) {
    const all = reports.get(`${client} ${what}`)!
    const times = all.map(report => report.ms)
    const rate = Math.round((records / median(times)) * 1_000).toLocaleString('en-US')
    const joining = all.flatMap(({ joiningMs }) => joiningMs ?? [])
    const joined = joining.length === 0 ? '' : `, after ${Math.round(median(joining))} ms to join`
    const spread = `${Math.round(Math.min(...times))} to ${Math.round(Math.max(...times))} ms`
    console.log(`${says.padEnd(50)} ${rate.padStart(10)} records/s   (${spread}${joined})`)
  }
  console.log()
  for (const [aim, ours, theirs] of aims) {
    const ratio = ms(theirs) / ms(ours)
    console.log(`${ratio >= 1 ? '✓' : '✗'} ${aim}: ${ratio.toFixed(2)} times`)
  }

  // Much less than this is not possible with batches of half a megabyte, which nobody divides.
  console.log('\nHeld outside of the heap while consuming, at most')
  for (const megabytes of [4, 8, 16]) {
    const fetchBytes = megabytes * 1_048_576
    const { peakBytes } = await measure({
      ...{ client: 'millrace', what: 'memory', address, topic: full, partitions, records, fetchBytes },
    })
    const times = (peakBytes! / fetchBytes).toFixed(2)
    console.log(`${peakBytes! <= 2 * fetchBytes ? '✓' : '✗'} fetchBytes of ${megabytes} MiB: ${times} times that`)
  }
} finally {
  await node?.remove()
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
