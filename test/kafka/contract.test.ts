import { kafkaBroker } from 'millrace/kafka'
import { brokerContract } from 'millrace/testing'
import { describe, inject, test } from 'vitest'
import type { ContractEngine } from '../../src/testing/contract/engine.js'
import { deadlineMs } from './world.js'

type AnyTopics = Record<string, any>

/** Topics have names of their own for each test, so that one cluster serves them all. */
const onKafka: ContractEngine = {
  name: 'on a cluster',
  async open(topics) {
    const bootstrapBrokers = [inject('kafka')]
    const broker = kafkaBroker<AnyTopics>({ bootstrapBrokers, topics })
    await broker.ready()
    const others: ReturnType<typeof kafkaBroker<AnyTopics>>[] = []
    return {
      broker,
      another() {
        const other = kafkaBroker<AnyTopics>({ bootstrapBrokers })
        others.push(other)
        return other
      },
      crash: other => (other as unknown as { crash(): Promise<void> }).crash(),
      async close() {
        // What a failed test has left behind is not to hide its failure.
        await Promise.allSettled([broker, ...others].map(open => open.close({ timeoutMs: 1_000 })))
      },
    }
  },
  patienceMs: deadlineMs,
}

brokerContract({ describe, test }, onKafka)
