// What simulate() makes of some seeds, as text. By itself, in a process of its own, it prints that text; after a change to
// the scheduler that is meant, from the root of the repository:
//   npx tsx test/testing/golden-history.ts > test/testing/golden-history.txt
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Broker } from 'millrace'
import { simulate } from 'millrace/testing'

interface Topics {
  orders: { id: number }
  invoices: { id: number }
  dead: { id: number }
}

/** A bit of everything: two groups, retries, a dead letter, callbacks, a poll loop with a time limit, a timer. */
const billing = (broker: Broker<Topics>): Promise<void> =>
  broker
    .group('billing', { topics: 'orders', commitMode: 'manualCommit' })
    .join({ onAssigned: () => {}, onRevoked: () => {} })
    .run(
      async ({ key, value }, { commit }) => {
        if (value.id === 3) throw new Error('card refused')
        await broker.topic('invoices').publish({ key, value })
        await commit()
      },
      { concurrency: 2, retry: { attempts: 2, backoffMs: 700 }, deadLetter: broker.topic('dead') },
    )
const archive = async (broker: Broker<Topics>): Promise<void> => {
  const consumer = broker.group('archive', { topics: ['invoices', 'dead'], autoCommitIntervalMs: 1_000 }).join()
  while (!consumer.closed) {
    await consumer.poll({ timeoutMs: 20_000, maxRecords: 2 })
    await new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50))
  }
}

/** The history of a schedule. */
async function historyOf(seed: number, faultRate: number): Promise<string> {
  let text = ''
  const topics = { orders: { partitions: 3 }, invoices: {}, dead: {} }
  await simulate<Topics>({ topics, seed, schedules: 1, crashRate: 0.04, faultRate }, world => {
    world.service('billing', billing, { copies: 2 })
    world.service('archive', archive)
    const customers = Math.ceil(world.random() * 4)
    world.step(
      id => {
        const key = id % 2 === 0 ? `customer ${id % customers}` : null
        return world.broker.topic('orders').publish({ key, value: { id } })
      },
      { times: 6 },
    )
    world.eventually(() => {
      text = String(world.broker.history)
    })
  })
  return text
}

/** Two to read, and the digest of many. */
export async function goldenHistory(): Promise<string> {
  const shown = [await historyOf(1, 0), await historyOf(2, 0.1)]
  const digest = createHash('sha256')
  for (let seed = 1; seed <= 40; seed++) digest.update(await historyOf(seed, seed % 2 === 0 ? 0 : 0.05))
  return [...shown, `The histories of 40 seeds: ${digest.digest('hex')}`, ''].join('\n\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(await goldenHistory())
