import { describe, test } from 'vitest'
import { Broker } from '../../src/index.js'
import { brokerContract } from '../../src/testing/broker-contract.js'
import type { ContractEngine } from '../../src/testing/contract/engine.js'
import { ManualClock } from '../../src/testing/manual-clock.js'
import { testBroker } from '../../src/testing/test-broker.js'
import { lateBroker } from '../engines/late.js'
import { memoryEngine } from '../engines/memory.js'

const engines: readonly ContractEngine[] = [
  memoryEngine('in memory', options => new Broker(options)),
  memoryEngine('in memory, on a manual clock', options => new Broker({ ...options, clock: new ManualClock() })),
  ...[1, 2, 3, 4, 5].map(seed =>
    memoryEngine(`in memory behind late answers, seed ${seed}`, options =>
      lateBroker(seed, { ...options, clock: new ManualClock() }),
    ),
  ),
  memoryEngine('in memory behind late answers, by the system clock', options => lateBroker(6, options)),
  {
    name: 'testBroker(), and its processes',
    open(topics) {
      const broker = testBroker<Record<string, any>>({ topics })
      return {
        broker,
        another: () => broker.process(),
        crash: process => (process as ReturnType<typeof broker.process>).crash(),
        // What a failed test has left behind is not to hide its failure.
        close: () => broker.close({ timeoutMs: 100 }).catch(() => {}),
      }
    },
  },
]

for (const engine of engines) brokerContract({ describe, test }, engine)
