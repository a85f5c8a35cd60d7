import { type Consumer, rangeAssignor, stickyAssignor } from 'millrace'
import type { KafkaBroker } from 'millrace/kafka'
import { expect, test } from 'vitest'
import { type AnyTopics, fresh, onCluster } from './support.js'
import { until } from './world.js'

const partitions = 6

function randomBySeed(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

interface Member {
  readonly name: string
  readonly broker: KafkaBroker<AnyTopics>
  readonly consumer: Consumer<any>
  readonly running: Promise<void>
}

/** Who owns what, by what the members were told; who handles what, by what they were given. */
class Ledger {
  readonly owners = new Map<number, string>()
  readonly seen: number[][] = Array.from({ length: partitions }, () => [])
  readonly wrong: string[] = []

  assigned(name: string, list: readonly { partition: number }[]): void {
    for (const { partition } of list) {
      const owner = this.owners.get(partition)
      if (owner !== undefined) this.wrong.push(`${name} was given ${partition}, which ${owner} has`)
      this.owners.set(partition, name)
    }
  }
  revoked(name: string, list: readonly { partition: number }[]): void {
    for (const { partition } of list) {
      if (this.owners.get(partition) !== name) this.wrong.push(`${name} gave up ${partition}, which it did not have`)
      this.owners.delete(partition)
    }
  }
  handled(name: string, partition: number, offset: number): void {
    if (this.owners.get(partition) !== name) this.wrong.push(`${name} handled ${partition}@${offset} without owning it`)
    this.seen[partition]!.push(offset)
  }
}

test.each([
  { assignor: rangeAssignor, seed: 1 },
  { assignor: stickyAssignor, seed: 2 },
])('20 joins and leaves under load ($assignor.name, seed $seed): all once, in order, by its one owner', async how => {
  const { assignor } = how
  const random = randomBySeed(how.seed)
  const topic = fresh('orders')
  const id = fresh('group')
  const publisher = onCluster({ topics: { [topic]: { partitions } } })
  await using _ = publisher
  await publisher.ready()
  const ledger = new Ledger()
  const members: Member[] = []
  let named = 0

  const join = (): void => {
    // As many processes have it: a broker, with connections, of its own.
    const broker = onCluster()
    const name = `member ${++named}`
    const consumer = broker.group(id, { topics: topic, assignor }).join({
      onAssigned: list => ledger.assigned(name, list),
      onRevoked: list => ledger.revoked(name, list),
      onLost: list => void ledger.wrong.push(`${name} lost ${list.length} partitions`),
    })
    const running = consumer.run(
      async ({ partition, offset }) => {
        await new Promise(resolve => setImmediate(resolve))
        ledger.handled(name, partition, offset)
      },
      { concurrency: 3 },
    )
    members.push({ name, broker, consumer, running })
  }
  const leave = async ({ broker, consumer, running }: Member): Promise<void> => {
    await consumer.close()
    await running
    await broker.close()
  }

  let published = 0
  let over = false
  const publishing = (async () => {
    while (!over) {
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          publisher.topic(topic).publish({ value: i, partition: published++ % partitions }),
        ),
      )
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  })()
  const handled = (): number => ledger.seen.reduce((sum, { length }) => sum + length, 0)

  join()
  await until('a first record', () => handled() > 0)
  const leaving: Promise<void>[] = []
  for (let change = 0; change < 20; change++) {
    if (members.length === 1 || (members.length < 5 && random() < 0.5)) join()
    else leaving.push(leave(members.splice(Math.floor(random() * members.length), 1)[0]!))
    // Sometimes the next comes before the group has settled, sometimes after.
    const enough = handled() + Math.floor(random() * 400)
    await until('the load to go on', () => handled() >= enough)
  }
  over = true
  await publishing
  await until('all that was published to be handled', () => handled() >= published)
  await Promise.all(leaving)
  await Promise.all(members.map(leave))
  expect(ledger.wrong).toEqual([])
  for (const offsets of ledger.seen) expect(offsets).toEqual([...offsets.keys()])
  expect(handled()).toBe(published)
  expect(ledger.owners.size).toBe(0)
})
