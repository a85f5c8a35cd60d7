// Instances that stand still for longer than their session, and wake up: what they have in hand belongs to others by then.
import { expect, test } from 'vitest'
import { deadlineMs, workedThrough } from './streams-applications.js'
import {
  children,
  end,
  greetingOf,
  lineOf,
  logOf,
  messageOf,
  outcome,
  prepared,
  shared,
  start,
  tasksOf,
  times,
} from './streams-processes.js'
import { topicsOf } from './streams-words.js'
import { fresh } from './support.js'
import { until } from './world.js'

const lines = (from: number, count: number) => Array.from({ length: count }, (_, i) => lineOf(from + i))

test.each(['with words in hand', 'after its counts'])(
  '%s: it counts nothing any more, comes back, and what is restored is right',
  async at => {
    const id = fresh('words')
    await using broker = await prepared(id)
    const topics = topicsOf(id)
    const read = [topics.lines, topics.words]
    const said = lines(0, 120)
    const [victim, survivor] = [start(id), start(id)]
    await shared(victim, survivor)
    await broker.topic(topics.lines).publishAll(said.slice(0, 30))
    await workedThrough(id, read)

    await tasksOf(victim, at)
    const still = messageOf(victim)
    await broker.topic(topics.lines).publishAll(said.slice(30, 60))
    expect(await still).toBe('stands still')
    // The other one takes over, and goes on.
    await workedThrough(id, read)
    await broker.topic(topics.lines).publishAll(said.slice(60, 90))
    await workedThrough(id, read)

    victim.kill('SIGCONT')
    await shared(victim, survivor)
    await broker.topic(topics.lines).publishAll(said.slice(90))
    await workedThrough(id, read)

    const found = await outcome(broker, id)
    expect([...found.greetings.keys()].sort()).toEqual(said.map(greetingOf).sort())
    // Who had written nothing yet of what it had in hand has done nothing twice.
    const mayComeTwice = at === 'with words in hand' ? 1 : 2
    for (const [word, once] of times(said.flatMap(({ value }) => value.split(' ')))) {
      expect(found.words.get(word)).toBeGreaterThanOrEqual(once)
      expect(found.words.get(word)).toBeLessThanOrEqual(once * mayComeTwice)
    }
    expect(found.counts).toEqual(found.words)
    for (const child of children) await end(child, 'SIGTERM')
  },
  120_000,
)

test('wherever it is at work: nothing is lost, and it comes back', async () => {
  const id = fresh('words')
  await using broker = await prepared(id)
  const topics = topicsOf(id)
  const read = [topics.lines, topics.words]
  const total = 1_500
  const [victim, survivor] = [start(id), start(id)]
  await shared(victim, survivor)
  for (let i = 0; i < total; i += 20) {
    await broker.topic(topics.lines).publishAll(lines(i, 20))
    if (i === 500) {
      await until('something to come out', async () => (await logOf(broker, topics.greetings)).length > 0, deadlineMs)
      victim.kill('SIGSTOP')
    }
    if (i !== 1_000) continue
    await workedThrough(id, read)
    victim.kill('SIGCONT')
  }
  await shared(victim, survivor)
  await workedThrough(id, read)

  const found = await outcome(broker, id)
  const said = lines(0, total)
  expect([...found.greetings.keys()].sort()).toEqual(said.map(greetingOf).sort())
  for (const [word, once] of times(said.flatMap(({ value }) => value.split(' '))))
    expect(found.words.get(word)).toBeGreaterThanOrEqual(once)
  for (const child of children) await end(child, 'SIGTERM')
}, 120_000)
