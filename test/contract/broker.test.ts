import { describe, test } from 'vitest'
import { Broker } from '../../src/index.js'
import { brokerContract } from '../../src/testing/broker-contract.js'
import type { ContractEngine } from '../../src/testing/contract/engine.js'
import { ManualClock } from '../../src/testing/manual-clock.js'
import { Random } from '../../src/testing/runner.js'
import { type TestBroker, testBroker } from '../../src/testing/test-broker.js'
import { lateBroker } from '../engines/late.js'
import { memoryEngine } from '../engines/memory.js'
import { forbidHostTimers } from '../testing/support-host-timers.js'

const delayed = {
  'close() with a deadline is REQUEST_TIMED_OUT: signal aborts, what is unfinished stays so':
    'a commit that starts after the deadline is one of who has left',
}

/** By the system clock. */
const onTheHost: readonly ContractEngine[] = [
  memoryEngine('in memory', options => new Broker(options)),
  memoryEngine('in memory behind late answers, by the system clock', options => lateBroker(6, options)),
]
/** By a clock that the suite moves. */
const onAManualClock: readonly ContractEngine[] = [
  memoryEngine('in memory, on a manual clock', options => new Broker({ ...options, clock: new ManualClock() })),
  ...[1, 2, 3, 4, 5].map(seed =>
    memoryEngine(`in memory behind late answers, seed ${seed}`, options =>
      lateBroker(seed, { ...options, clock: new ManualClock() }),
    ),
  ),
  testEngine('testBroker(), and its processes', () => {}),
  ...[1, 2].map(seed => ({
    ...testEngine(`testBroker(), every answer delayed at random, seed ${seed}`, delays(seed)),
    exceptions: delayed,
  })),
]

function testEngine(name: string, prepare: (broker: TestBroker<Record<string, any>>) => void): ContractEngine {
  return {
    name,
    open(topics) {
      const broker = testBroker<Record<string, any>>({ topics })
      prepare(broker)
      return {
        broker,
        another: () => broker.process(),
        crash: process => (process as ReturnType<typeof broker.process>).crash(),
        // What a failed test has left behind is not to hide its failure.
        close: () => broker.close({ timeoutMs: 100 }).catch(() => {}),
      }
    },
  }
}
/** Three of four operations are late, by one of three times; all commits are, by one, since none overtakes another. */
function delays(seed: number): (broker: TestBroker<Record<string, any>>) => void {
  return ({ faults }) => {
    const random = new Random(seed)
    const times = Number.POSITIVE_INFINITY
    for (const operation of ['poll', 'handle', 'assign', 'revoke'] as const)
      for (const [ms, chance] of [
        [1, 4],
        [3, 3],
        [8, 2],
      ] as const)
        faults.delay(operation, { ms, when: () => random.below(chance) === 0, times })
    faults.delay('commit', { ms: 1 + random.below(8), times })
  }
}
for (const engine of onTheHost) brokerContract({ describe, test }, engine)

describe('without a timer of the host', () => {
  forbidHostTimers()
  for (const engine of onAManualClock) brokerContract({ describe, test }, engine)
})
