// A group whose members are ours and Java's: one record, one handler, whoever comes and goes.
import type { Consumer } from 'millrace'
import type { KafkaBroker } from 'millrace/kafka'
import { beforeAll, expect, inject, test } from 'vitest'
import { compileJava, type JavaProgram, startJava } from './java/java.js'
import { type AnyTopics, fresh, onCluster } from './support.js'
import { pass, until, within } from './world.js'

const partitions = 6

/** What the members of one group own and are given, by what they tell themselves, Java's by its output. */
class Ledger {
  /** By partition: who had it, from when till when. */
  readonly terms: { owner: string; partition: number; from: number; to: number }[] = []
  readonly seen: { owner: string; partition: number; offset: number }[] = []
  readonly lost: string[] = []

  assigned(owner: string, at: number, list: readonly number[]): void {
    for (const partition of list) this.terms.push({ owner, partition, from: at, to: Number.POSITIVE_INFINITY })
  }
  revoked(owner: string, at: number, list: readonly number[]): void {
    for (const partition of list) {
      const term = this.terms.find(
        one => one.owner === owner && one.partition === partition && one.to === Number.POSITIVE_INFINITY,
      )
      if (term === undefined) this.lost.push(`${owner} gave up ${partition}, which it did not have`)
      else term.to = at
    }
  }

  owned(owner: string): number[] {
    const open = this.terms.filter(term => term.owner === owner && term.to === Number.POSITIVE_INFINITY)
    return open.map(({ partition }) => partition).sort((a, b) => a - b)
  }
  get handled(): number {
    return new Set(this.seen.map(({ partition, offset }) => `${partition} ${offset}`)).size
  }
  seenBy(owner: string): number {
    return this.seen.filter(record => record.owner === owner).length
  }

  /** Two terms of one partition that overlap. */
  get conflicts(): unknown[] {
    return this.terms.flatMap((a, i) =>
      this.terms
        .slice(i + 1)
        .filter(b => a.partition === b.partition && a.from < b.to && b.from < a.to)
        .map(b => [a, b]),
    )
  }
}

interface Ours {
  readonly broker: KafkaBroker<AnyTopics>
  readonly consumer: Consumer<any>
  leave(): Promise<void>
}

beforeAll(() => compileJava(), 300_000)

test('members of both share the partitions through joins and leaves: all once, in order, by one owner', async () => {
  const topic = fresh('orders')
  const id = fresh('group')
  await using publisher = onCluster({ topics: { [topic]: { partitions } } })
  await publisher.ready()
  const ledger = new Ledger()
  const numbers = (list: readonly { partition: number }[]): number[] => list.map(({ partition }) => partition)

  const ours = (owner: string): Ours => {
    const broker = onCluster()
    const consumer = broker.group(id, { topics: topic, autoCommitIntervalMs: 100 }).join({
      onAssigned: list => ledger.assigned(owner, Date.now(), numbers(list)),
      onRevoked: list => ledger.revoked(owner, Date.now(), numbers(list)),
      onLost: () => void ledger.lost.push(`${owner} lost its partitions`),
    })
    const running = consumer.run(({ partition, offset }) => void ledger.seen.push({ owner, partition, offset }))
    const leave = async (): Promise<void> => {
      await consumer.close()
      await running
      await broker.close()
    }
    return { broker, consumer, leave }
  }
  const javas = (owner: string): JavaProgram =>
    startJava('millrace.Member', [inject('kafka'), id, topic], line => {
      const [what, at, ...list] = line.split(' ')
      if (what === 'assigned') ledger.assigned(owner, Number(at), list.map(Number))
      if (what === 'revoked') ledger.revoked(owner, Number(at), list.map(Number))
      if (what === 'lost') ledger.lost.push(`${owner} lost its partitions`)
      if (what === 'record') ledger.seen.push({ owner, partition: Number(list[0]), offset: Number(list[1]) })
    })

  let published = 0
  let over = false
  const publishing = (async () => {
    while (!over) {
      const some = Array.from({ length: 12 }, () => {
        const partition = published++ % partitions
        return publisher.topic(topic).publish({ value: { n: published }, key: `${partition}`, partition })
      })
      await Promise.all(some)
      await pass(5)
    }
  })()
  /** Each has its share, between them all, and is at work on it. */
  const shared = async (...owners: string[]): Promise<void> => {
    const before = owners.map(owner => ledger.seenBy(owner))
    await until(`${owners.join(', ')} to share`, () => {
      const parts = owners.map(owner => ledger.owned(owner))
      const even = parts.every(part => part.length === partitions / owners.length)
      const whole = new Set(parts.flat()).size === partitions
      return even && whole && owners.every((owner, i) => ledger.seenBy(owner) > before[i]! + 50)
    })
  }

  const first = ours('ours 1')
  await shared('ours 1')
  const java = javas('java 1')
  await shared('ours 1', 'java 1')
  const second = ours('ours 2')
  await shared('ours 1', 'ours 2', 'java 1')
  await first.leave()
  await shared('ours 2', 'java 1')
  await second.leave()
  await shared('java 1')
  const third = ours('ours 3')
  await shared('ours 3', 'java 1')
  await within('Java to leave', java.end())
  await shared('ours 3')
  const javaAgain = javas('java 2')
  await shared('ours 3', 'java 2')
  over = true
  await publishing
  await until('all that was published to be handled', () => ledger.handled >= published)
  await third.leave()
  await within('Java to leave', javaAgain.end())

  expect(ledger.lost).toEqual([])
  expect(ledger.conflicts).toEqual([])
  for (let partition = 0; partition < partitions; partition++) {
    const records = ledger.seen.filter(record => record.partition === partition)
    const offsets = records.map(({ offset }) => offset).sort((a, b) => a - b)
    // Also none twice: each has handed over in an orderly way what it had committed.
    expect([partition, offsets]).toEqual([partition, [...offsets.keys()]])
    for (const owner of new Set(records.map(record => record.owner))) {
      const inOrder = records.filter(record => record.owner === owner).map(({ offset }) => offset)
      expect([partition, owner, inOrder]).toEqual([partition, owner, inOrder.toSorted((a, b) => a - b)])
    }
  }
  expect(ledger.seen.length).toBe(published)
})
