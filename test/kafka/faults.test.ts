// Brokers that go and come back while a publisher and two consumers work.
import type { KafkaBroker } from 'millrace/kafka'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Node, startNode } from './cluster.js'
import { type AnyTopics, fresh, onCluster } from './support.js'
import { pass, until } from './world.js'

const partitions = 4
const sessionMs = 2_000
const longMs = 150_000

/** A publisher and a group of two, at work until told to stop; every record carries its number within its partition. */
class Load {
  readonly broker: KafkaBroker<AnyTopics>
  readonly #topic: string
  readonly #seen: number[][] = Array.from({ length: partitions }, () => [])
  readonly #told: number[][] = Array.from({ length: partitions }, () => [])
  readonly #members: { close(): Promise<void> }[] = []
  #published = 0
  #over = false
  readonly #publishing: Promise<void>

  private constructor(broker: KafkaBroker<AnyTopics>, topic: string) {
    this.broker = broker
    this.#topic = topic
    const group = broker.group(fresh('group'), { topics: topic, autoCommitIntervalMs: 100 })
    for (let i = 0; i < 2; i++) {
      const consumer = group.join()
      const running = consumer.run(({ partition, value }) => void this.#seen[partition]!.push(value as number))
      this.#members.push({
        async close() {
          await consumer.close()
          await running
        },
      })
    }
    this.#publishing = this.#publish()
  }

  static async on(node: Node, replicas: number): Promise<Load> {
    const topic = fresh('orders')
    const broker = onCluster({ bootstrapBrokers: [node.address], topics: { [topic]: { partitions, replicas } } })
    await broker.ready()
    return new Load(broker, topic)
  }

  async #publish(): Promise<void> {
    const topic = this.broker.topic(this.#topic)
    while (!this.#over) {
      const some = Array.from({ length: 20 }, () => {
        const partition = this.#published % partitions
        const number = Math.floor(this.#published++ / partitions)
        return topic.publish({ value: number, partition })
      })
      for (const { partition, offset } of await Promise.all(some)) this.#told[partition]!.push(offset)
      await pass(2)
    }
  }

  get #handled(): number {
    return this.#seen.reduce((sum, values) => sum + new Set(values).size, 0)
  }
  /** It goes on. */
  async more(records: number): Promise<void> {
    const enough = this.#handled + records
    await until(`${records} more records`, () => this.#handled >= enough, 60_000)
  }

  /** Nothing is lost, nothing is written twice, and each partition is in order but for what came again. */
  async check(): Promise<void> {
    this.#over = true
    await this.#publishing
    await until('all that was published to be handled', () => this.#handled >= this.#published, 60_000)
    for (const member of this.#members) await member.close()
    const written: number[][] = Array.from({ length: partitions }, () => [])
    for await (const { partition, value } of this.broker.topic(this.#topic).read({ until: 'latest' }))
      written[partition]!.push(value as number)
    await this.broker.close()
    for (const [partition, values] of written.entries()) {
      const all = [...values.keys()]
      expect([partition, values]).toEqual([partition, all])
      expect([partition, this.#told[partition]]).toEqual([partition, all])
      expect([partition, [...new Set(this.#seen[partition])]]).toEqual([partition, all])
    }
    expect(written.reduce((sum, { length }) => sum + length, 0)).toBe(this.#published)
  }
}

const properties = [`group.consumer.session.timeout.ms=${sessionMs}`]
let node: Node
beforeAll(async () => {
  node = await startNode(properties)
})
afterAll(() => node.remove())

test.each([
  { what: 'stopped', go: () => node.stop() },
  { what: 'killed', go: () => node.kill() },
])(
  'a broker that is $what and started again under load: nothing lost, nothing doubled, in order',
  async ({ go }) => {
    const load = await Load.on(node, 1)
    await load.more(300)
    await go()
    await pass(500)
    await node.again()
    await load.more(500)
    await load.check()
  },
  longMs,
)

test(
  'a broker that stands still for longer than a session: its members lose everything, and go on',
  async () => {
    const load = await Load.on(node, 1)
    await load.more(300)
    await node.stall()
    await pass(2 * sessionMs)
    await node.resume()
    await load.more(500)
    await load.check()
  },
  longMs,
)

test(
  'with two brokers, one that leads goes and comes back under load: the other takes over',
  async () => {
    const second = await startNode(properties, node)
    try {
      const load = await Load.on(node, 2)
      await load.more(300)
      await second.stop()
      await load.more(500)
      await second.again()
      await load.more(500)
      await second.kill()
      await load.more(500)
      await second.again()
      await load.more(300)
      await load.check()
    } finally {
      await second.remove()
    }
  },
  longMs,
)
