// Instances that are killed: nothing is lost, and what shows twice is what at least once allows.
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
  uncommitted,
} from './streams-processes.js'
import { topicsOf } from './streams-words.js'
import { fresh } from './support.js'
import { until } from './world.js'

test('an instance killed under load: nothing is lost, and only what it had not committed shows twice', async () => {
  const id = fresh('words')
  await using broker = await prepared(id)
  const total = 2_000
  const [victim, survivor] = [start(id), start(id)]
  const tasks = await shared(victim, survivor)

  let allowed: Awaited<ReturnType<typeof uncommitted>> | undefined
  const { lines, greetings, words } = topicsOf(id)
  for (let i = 0; i < total; i += 20) {
    await broker.topic(lines).publishAll(Array.from({ length: 20 }, (_, j) => lineOf(i + j)))
    if (i !== total / 2) continue
    await until('something to come out', async () => (await logOf(broker, greetings)).length > 0, deadlineMs)
    await end(victim, 'SIGKILL')
    allowed = await uncommitted(broker, id, tasks)
    start(id)
  }
  await workedThrough(id, [lines, words])

  const found = await outcome(broker, id)
  const said = Array.from({ length: total }, (_, i) => lineOf(i))
  expect([...found.greetings.keys()].sort()).toEqual(said.map(greetingOf).sort())
  const greetedTwice = said.filter(line => found.greetings.get(greetingOf(line))! > 1)
  expect(greetedTwice.filter(({ value }) => !allowed!.lines.includes(value))).toEqual([])

  // Each line's words went to be counted at least once, and no more often than its line was worked on.
  const expected = times(said.flatMap(({ value }) => value.split(' ')))
  const twice = times(allowed!.lines.flatMap(line => line.split(' ')))
  const again = times(allowed!.words)
  expect([...found.counts.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [word, once] of expected) {
    const sent = found.words.get(word)!
    expect(sent).toBeGreaterThanOrEqual(once)
    expect(sent).toBeLessThanOrEqual(once + (twice.get(word) ?? 0))
    expect(found.counts.get(word)).toBeGreaterThanOrEqual(sent)
    expect(found.counts.get(word)).toBeLessThanOrEqual(sent + (again.get(word) ?? 0))
  }
  for (const child of children) if (child !== victim) await end(child, 'SIGTERM')
}, 120_000)

test('what was written and never committed is done once more, exactly', async () => {
  const id = fresh('words')
  await using broker = await prepared(id)
  const { lines, greetings, words } = topicsOf(id)
  const victim = start(id)
  expect(await tasksOf(victim)).toEqual(['0_0', '0_1', '0_2', '1_0', '1_1', '1_2'])
  const before = Array.from({ length: 30 }, (_, i) => lineOf(i))
  await broker.topic(lines).publishAll(before)
  await workedThrough(id, [lines, words])

  await tasksOf(victim, 'keep commits')
  const after = Array.from({ length: 30 }, (_, i) => lineOf(before.length + i))
  const commit = messageOf(victim)
  await broker.topic(lines).publishAll(after)
  expect(await commit).toBe('kept')
  await end(victim, 'SIGKILL')
  const greeted = new Set((await logOf(broker, greetings)).map(({ value }) => value as string))
  const written = after.map(greetingOf).filter(greeting => greeted.has(greeting))
  expect(written).not.toEqual([])
  const survivor = start(id)
  await workedThrough(id, [lines, words])

  const found = await outcome(broker, id)
  expect([...found.greetings.keys()].sort()).toEqual([...before, ...after].map(greetingOf).sort())
  const greetedTwice = [...found.greetings].filter(([, count]) => count === 2).map(([greeting]) => greeting)
  expect(greetedTwice.sort()).toEqual(written.sort())
  expect(Math.max(...found.greetings.values())).toBe(2)
  // What counts had not seen any of it: each word counts as often as it was sent.
  expect(found.counts).toEqual(found.words)
  await end(survivor, 'SIGTERM')
}, 120_000)
