import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { Counter, inBatches, type Job, keyOf, type Report, value } from '../workload.js'

const open = (address: string): Kafka => new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })

/** Its fastest, as for the bare client. Neither order nor once. */
export const publishFast = (job: Job): Promise<Report> => publish(job, false, { size: 5_000, atOnce: 4 })
/** With the promises of ours: idempotent, one batch after the other. */
export const publishAll = (job: Job): Promise<Report> => publish(job, true, { size: 10_000, atOnce: 1 })

async function publish(
  { address, topic, records }: Job,
  idempotent: boolean,
  batches: { size: number; atOnce: number },
): Promise<Report> {
  const createPartitioner = Partitioners.DefaultPartitioner
  const producer = open(address).producer({ idempotent, createPartitioner })
  await producer.connect()
  const began = performance.now()
  await inBatches(records, batches, (from, to) => {
    const messages = Array.from({ length: to - from }, (_, i) => ({ key: keyOf(from + i), value }))
    return producer.send({ topic, messages, acks: -1 })
  })
  const ms = performance.now() - began
  await producer.disconnect()
  return { ms }
}

async function consume(
  { address, topic, records }: Job,
  how: (counter: Counter) => Parameters<ReturnType<Kafka['consumer']>['run']>[0],
): Promise<Report> {
  const consumer = open(address).consumer({ groupId: `${topic}-${process.pid}`, maxBytes: 50 * 1_024 * 1_024 })
  await consumer.connect()
  const counter = new Counter(records)
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run(how(counter))
  const report = await counter.report
  await consumer.disconnect()
  return report
}

export const run = (job: Job): Promise<Report> => consume(job, counter => ({ eachMessage: async () => counter.add(1) }))
export const poll = (job: Job): Promise<Report> =>
  consume(job, counter => ({ eachBatch: async ({ batch: { messages } }) => counter.add(messages.length) }))
