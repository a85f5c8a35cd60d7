import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka'
import { Counter, inBatches, type Job, keyOf, type Report, value } from '../workload.js'

/** Its fastest: of batches of 1,000, 5,000 and 10,000, of 1 to 8 at once. Neither order nor once. */
export const publishFast = (job: Job): Promise<Report> => publish(job, false, { size: 5_000, atOnce: 4 })
/** With the promises of ours: idempotent, one batch after the other. */
export const publishAll = (job: Job): Promise<Report> => publish(job, true, { size: 10_000, atOnce: 1 })

async function publish(
  { address, topic, records }: Job,
  idempotent: boolean,
  batches: { size: number; atOnce: number },
): Promise<Report> {
  const producer = new Producer<string, Buffer, Buffer, Buffer>({
    clientId: 'bench',
    bootstrapBrokers: [address],
    idempotent,
    serializers: { key: text => Buffer.from(text ?? ''), value: content => content },
  })
  // Connects, and learns of the topic.
  await producer.metadata({ topics: [topic] })
  const began = performance.now()
  await inBatches(records, batches, (from, to) => {
    const messages = Array.from({ length: to - from }, (_, i) => ({ topic, key: keyOf(from + i), value }))
    return producer.send({ messages, acks: ProduceAcks.ALL })
  })
  const ms = performance.now() - began
  await producer.close()
  return { ms }
}

/** The stream, which hands out record by record and commits. */
export async function run({ address, topic, records }: Job): Promise<Report> {
  const consumer = new Consumer({
    clientId: 'bench',
    groupId: `${topic}-${process.pid}`,
    bootstrapBrokers: [address],
  })
  const counter = new Counter(records)
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: true })
  stream.on('data', () => counter.add(1))
  const report = await counter.report
  await consumer.close(true)
  return report
}
