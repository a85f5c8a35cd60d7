// A memory broker as one process of several sees it: a portable Broker whose close and crash are about what was made
// through it alone.
import {
  type Broker,
  type BrokerOptions,
  type Clock,
  type CloseOptions,
  type Consumer,
  type ConsumerGroup,
  type GroupOptions,
  type MemoryBroker,
  MillraceError,
  type RecordOf,
  type Topic,
  type TopicOptions,
} from '../../src/index.js'
import type { ContractEngine } from '../../src/testing/contract/engine.js'
import { crash } from '../../src/testing/crash.js'

type Topics = Record<string, any>

export class MemoryProcess implements Broker<Topics> {
  readonly clock: Clock
  readonly #inner: Broker<Topics>
  readonly #consumers: Consumer<any>[] = []
  #open = true

  constructor(inner: Broker<Topics>) {
    this.#inner = inner
    this.clock = inner.clock
  }

  #checkOpen(): void {
    if (!this.#open) throw new MillraceError('CLOSED', { what: 'This process' })
  }

  topic(name: string): Topic<any> {
    return this.#view(this.#inner.topic(name))
  }
  async createTopic(name: string, options?: TopicOptions<any>): Promise<Topic<any>> {
    this.#checkOpen()
    return this.#view(await this.#inner.createTopic(name, options))
  }
  #view(topic: Topic<any>): Topic<any> {
    return {
      name: topic.name,
      partitionCount: () => topic.partitionCount(),
      check: record => topic.check(record),
      publish: record => {
        this.#checkOpen()
        return topic.publish(record)
      },
      publishAll: records => {
        this.#checkOpen()
        return topic.publishAll(records)
      },
      read: options => topic.read(options),
    }
  }

  group<N extends string>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): ConsumerGroup<RecordOf<Topics, string, N>> {
    const group = this.#inner.group(id, options)
    return {
      id,
      join: joinOptions => {
        this.#checkOpen()
        const consumer = group.join(joinOptions)
        this.#consumers.push(consumer)
        return consumer
      },
      committed: (topic, partition) => group.committed(topic, partition),
      lag: () => group.lag(),
      resetOffsets: (to, where) => group.resetOffsets(to, where),
      caughtUp: () => group.caughtUp(),
    }
  }

  async close(options?: CloseOptions): Promise<void> {
    this.#open = false
    const outcomes = await Promise.allSettled(this.#consumers.map(consumer => consumer.close(options)))
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  crash(): void {
    this.#open = false
    for (const consumer of this.#consumers) if (!consumer.closed) crash(consumer)
  }
}

/** An engine of brokers in memory, each made anew; `wrap` puts something between them and the suite. */
export function memoryEngine(
  name: string,
  make: (options: BrokerOptions<Topics>) => MemoryBroker<Topics>,
  wrap: (broker: Broker<Topics>) => Broker<Topics> = broker => broker,
): ContractEngine {
  return {
    name,
    open(topics) {
      const memory = make({ topics })
      const broker = wrap(memory)
      return {
        broker,
        another: () => new MemoryProcess(broker),
        crash: process => (process as MemoryProcess).crash(),
        // What a failed test has left behind is not to hide its failure.
        close: () => memory.close({ timeoutMs: 100 }).catch(() => {}),
      }
    },
  }
}
