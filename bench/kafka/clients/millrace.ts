import type { Codec } from 'millrace'
import { type KafkaBroker, kafkaBroker } from 'millrace/kafka'
import { Counter, type Job, keyOf, type Report, value } from '../workload.js'

type Topics = Record<string, Uint8Array>

/** Bytes as they are, as the others give them. */
const bytes: Codec<Uint8Array> = { encode: given => given, decode: read => read }

function open({ address, topic, fetchBytes }: Job): KafkaBroker<Topics> {
  return kafkaBroker<Topics>({
    bootstrapBrokers: [address],
    topics: { [topic]: { codec: bytes } },
    consumer: { fetchBytes },
  })
}

/** publishAll() of an iterable. */
export async function publishAll(job: Job): Promise<Report> {
  await using broker = open(job)
  await broker.ready()
  const began = performance.now()
  await broker.topic(job.topic).publishAll(records(job.records))
  return { ms: performance.now() - began }
}
function* records(count: number): Generator<{ key: string; value: Uint8Array }> {
  for (let i = 0; i < count; i++) yield { key: keyOf(i), value }
}

/** publish() of one after the other, each with its own RecordMetadata. */
export async function publish(job: Job): Promise<Report> {
  await using broker = open(job)
  await broker.ready()
  const topic = broker.topic(job.topic)
  const began = performance.now()
  for (let done = 0; done < job.records; ) {
    const batch: Promise<unknown>[] = []
    for (; batch.length < 10_000 && done < job.records; done++)
      batch.push(topic.publish({ key: keyOf(done), value }) as Promise<unknown>)
    await Promise.all(batch)
  }
  return { ms: performance.now() - began }
}

/** run(): a handler for each record, in order, with commits. */
export async function run(job: Job): Promise<Report> {
  await using broker = open(job)
  const counter = new Counter(job.records)
  const consumer = broker.group(`${job.topic}-${process.pid}`, { topics: job.topic }).join()
  const running = consumer.run(() => counter.add(1))
  const report = await counter.report
  await consumer.close()
  await running
  return report
}

/** poll(), by as many as are there. */
export async function poll(job: Job): Promise<Report> {
  await using broker = open(job)
  const counter = new Counter(job.records)
  const group = broker.group(`${job.topic}-${process.pid}`, { topics: job.topic, maxPollRecords: 5_000 })
  const consumer = group.join()
  for (let left = job.records; left > 0; ) {
    const batch = await consumer.poll()
    counter.add(batch.length)
    left -= batch.length
  }
  return counter.report
}

/** A consumer that is slower than its cluster: how much does it hold? */
export async function memory(job: Job): Promise<Report> {
  await using broker = open(job)
  const consumer = broker.group(`${job.topic}-${process.pid}`, { topics: job.topic }).join()
  await consumer.ready()
  const before = held()
  let most = before
  const began = performance.now()
  for (let left = job.records, polls = 1; left > 0; polls++) {
    left -= (await consumer.poll()).length
    // Others have their turn, above all what fetches ahead.
    await new Promise(resolve => setImmediate(resolve))
    if (polls % 10 === 0) most = Math.max(most, held())
  }
  return { ms: performance.now() - began, peakBytes: most - before }
}
/** Without what nobody refers to any more; the second time has swept what the first has found. */
function held(): number {
  globalThis.gc!()
  globalThis.gc!()
  return process.memoryUsage().arrayBuffers
}
