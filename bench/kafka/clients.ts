// The same work by millrace/kafka, by the bare client beneath it, and by kafkajs: publish so many records, read them.
import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { kafkaBroker } from 'millrace/kafka'

export interface Work {
  readonly address: string
  readonly topic: string
  readonly records: number
  readonly value: Buffer
}
export interface Client {
  readonly name: string
  /** Milliseconds until the last record is acknowledged. */
  publish(work: Work): Promise<number>
  /** Milliseconds from the first record to the last. */
  consume(work: Work): Promise<number>
}

/** Records of a call, and calls at once, for clients that take a batch at a time: what is fastest for them. */
const batch = 5_000
const atOnce = 4
const key = (i: number): string => `key-${i % 1_000}`

async function inBatches(records: number, send: (from: number, to: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < records) {
      const from = next
      next = Math.min(records, from + batch)
      await send(from, next)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

let groups = 0
const group = (): string => `bench-${process.pid}-${++groups}`

/** Counts records; gives the time from the first to the last. */
function counter(records: number): { readonly done: Promise<number>; count(more: number): void } {
  let left = records
  let started: number | undefined
  let finish!: (ms: number) => void
  const done = new Promise<number>(resolve => {
    finish = resolve
  })
  return {
    done,
    count(more) {
      started ??= performance.now()
      left -= more
      if (left <= 0) finish(performance.now() - started)
    },
  }
}

const bytes = { encode: (value: Uint8Array) => value, decode: (value: Uint8Array) => value }

function broker({ address, topic }: Work) {
  return kafkaBroker<Record<string, Uint8Array>>({ bootstrapBrokers: [address], topics: { [topic]: { codec: bytes } } })
}

export const millrace: Client = {
  name: 'millrace/kafka',
  async publish(work) {
    await using cluster = broker(work)
    await cluster.ready()
    function* records(): Generator<{ key: string; value: Uint8Array }> {
      for (let i = 0; i < work.records; i++) yield { key: key(i), value: work.value }
    }
    const started = performance.now()
    await cluster.topic(work.topic).publishAll(records())
    return performance.now() - started
  },
  async consume(work) {
    await using cluster = broker(work)
    const { done, count } = counter(work.records)
    const consumer = cluster.group(group(), { topics: work.topic }).join()
    const polling = (async () => {
      for (;;) {
        const records = await consumer.poll()
        if (records.length === 0) return
        count(records.length)
      }
    })()
    const ms = await done
    await consumer.close()
    await polling
    return ms
  },
}

/** One record at a time, each with a promise of its own. */
export const millraceByRecord: Client = {
  name: 'millrace/kafka, publish() and run()',
  async publish(work) {
    await using cluster = broker(work)
    await cluster.ready()
    const topic = cluster.topic(work.topic)
    const started = performance.now()
    await inBatches(work.records, async (from, to) => {
      const published: unknown[] = []
      for (let i = from; i < to; i++) published.push(topic.publish({ key: key(i), value: work.value }))
      await Promise.all(published)
    })
    return performance.now() - started
  },
  async consume(work) {
    await using cluster = broker(work)
    const { done, count } = counter(work.records)
    const consumer = cluster.group(group(), { topics: work.topic }).join()
    const running = consumer.run(() => count(1))
    const ms = await done
    await consumer.close()
    await running
    return ms
  },
}

export const bare: Client = {
  name: '@platformatic/kafka',
  async publish({ address, topic, records, value }) {
    const producer = new Producer<string, Buffer, Buffer, Buffer>({
      clientId: 'bench',
      bootstrapBrokers: [address],
      serializers: { key: text => Buffer.from(text ?? ''), value: content => content },
    })
    const started = performance.now()
    await inBatches(records, (from, to) => {
      const messages = Array.from({ length: to - from }, (_, i) => ({ topic, key: key(from + i), value }))
      return producer.send({ messages, acks: ProduceAcks.ALL })
    })
    const ms = performance.now() - started
    await producer.close()
    return ms
  },
  async consume({ address, topic, records }) {
    const consumer = new Consumer({ clientId: 'bench', groupId: group(), bootstrapBrokers: [address] })
    const { done, count } = counter(records)
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: true })
    stream.on('data', () => count(1))
    const ms = await done
    await stream.close()
    await consumer.close()
    return ms
  },
}

const quiet = (address: string): Kafka => new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })

export const kafkajs: Client = {
  name: 'kafkajs',
  async publish({ address, topic, records, value }) {
    const producer = quiet(address).producer()
    await producer.connect()
    const started = performance.now()
    await inBatches(records, (from, to) => {
      const messages = Array.from({ length: to - from }, (_, i) => ({ key: key(from + i), value }))
      return producer.send({ topic, messages, acks: -1 })
    })
    const ms = performance.now() - started
    await producer.disconnect()
    return ms
  },
  async consume({ address, topic, records }) {
    const consumer = quiet(address).consumer({ groupId: group(), maxBytes: 50 * 1_024 * 1_024 })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const { done, count } = counter(records)
    await consumer.run({
      eachBatch: async ({ batch: { messages } }) => {
        count(messages.length)
      },
    })
    const ms = await done
    await consumer.disconnect()
    return ms
  },
}
