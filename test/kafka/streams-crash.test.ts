// Instances that are killed: nothing is lost, and what shows twice is what at least once allows.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ConsumerRecord } from 'millrace'
import type { KafkaBroker } from 'millrace/kafka'
import { afterEach, expect, inject, test } from 'vitest'
import { clusterWith, deadlineMs, workedThrough } from './streams-applications.js'
import { topicsOf } from './streams-words.js'
import { type AnyTopics, all, fresh } from './support.js'
import { until, within } from './world.js'

const program = join(import.meta.dirname, 'streams-instance.ts')
const partitions = 3
/** Known before they say anything; not so long ago that the cluster drops them. */
const people = Array.from({ length: 10 }, (_, i) => ({
  key: `k${i}`,
  value: `Nr ${i}`,
  timestamp: Date.now() - 60_000,
}))
/** Each ends with a word that no other has. */
const lineOf = (i: number) => ({ key: `k${i % people.length}`, value: `to be or not to be ${i}` })

const children = new Set<ChildProcess>()
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})
function start(id: string): ChildProcess {
  const child = fork(program, [inject('kafka'), id], { execArgv: ['--import', 'tsx'] })
  children.add(child)
  return child
}
async function tasksOf(child: ChildProcess, message = 'tasks'): Promise<string[]> {
  const answer = messageOf(child)
  child.send(message)
  return (await answer) as string[]
}
async function messageOf(child: ChildProcess): Promise<unknown> {
  return (await within('a message', once(child, 'message'), deadlineMs))[0]
}
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit')
  child.kill(signal)
  expect(await within('its end', ended, deadlineMs)).toEqual(signal === 'SIGKILL' ? [null, 'SIGKILL'] : [0, null])
}

/** The cluster, with the topics of one run and the names in them. */
async function prepared(id: string): Promise<KafkaBroker<AnyTopics>> {
  const { lines, names, counts, greetings } = topicsOf(id)
  const topics = [lines, names, counts, greetings]
  const broker = await clusterWith(Object.fromEntries(topics.map(name => [name, partitions])))
  await broker.topic(names).publishAll(people)
  return broker
}
const logOf = (broker: KafkaBroker<AnyTopics>, topic: string): Promise<ConsumerRecord<any>[]> =>
  all(broker.topic(topic).read({ until: 'latest' }))

/** What a killed instance may have done and not committed, the values of its records: others do these again. */
async function uncommitted(broker: KafkaBroker<AnyTopics>, id: string, tasks: readonly string[]) {
  const { lines, words } = topicsOf(id)
  const group = broker.group(id, { topics: [lines, words], commitMode: 'manualCommit' })
  const of = async (subtopology: number, topic: string): Promise<string[]> => {
    const committed = Array.from({ length: partitions }, async (_, partition) =>
      tasks.includes(`${subtopology}_${partition}`) ? ((await group.committed(topic, partition)) ?? 0) : undefined,
    )
    const from = await Promise.all(committed)
    const log = await logOf(broker, topic)
    return log.filter(({ partition, offset }) => offset >= (from[partition] ?? Infinity)).map(({ value }) => value)
  }
  return { lines: await of(0, lines), words: await of(1, words) }
}

function times<T>(values: Iterable<T>): Map<T, number> {
  const found = new Map<T, number>()
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1)
  return found
}
/** What came out in the end. */
async function outcome(broker: KafkaBroker<AnyTopics>, id: string) {
  const { counts, greetings, words } = topicsOf(id)
  return {
    /** The last count of each word. */
    counts: new Map((await logOf(broker, counts)).map(({ key, value }) => [key, value as number])),
    /** How often each word went to be counted. */
    words: times((await logOf(broker, words)).map(({ value }) => value as string)),
    greetings: times((await logOf(broker, greetings)).map(({ value }) => value as string)),
  }
}
const greetingOf = ({ key, value }: ReturnType<typeof lineOf>): string => `Nr ${key.slice(1)}: ${value}`

test('an instance killed under load: nothing is lost, and only what it had not committed shows twice', async () => {
  const id = fresh('words')
  await using broker = await prepared(id)
  const total = 2_000
  const [victim, survivor] = [start(id), start(id)]
  let tasks: string[] = []
  await until(
    'both to have a part',
    async () => {
      tasks = await tasksOf(victim)
      return tasks.length > 0 && tasks.length + (await tasksOf(survivor)).length === 2 * partitions
    },
    deadlineMs,
  )

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
