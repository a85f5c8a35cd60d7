// Instances of the application of words as processes of their own, and what comes out of it.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ConsumerRecord } from 'millrace'
import type { KafkaBroker } from 'millrace/kafka'
import { afterEach, expect, inject } from 'vitest'
import { clusterWith, deadlineMs } from './streams-applications.js'
import { topicsOf } from './streams-words.js'
import { type AnyTopics, all } from './support.js'
import { until, within } from './world.js'

const program = join(import.meta.dirname, 'streams-instance.ts')
export const partitions = 3
/** Known before they say anything; not so long ago that the cluster drops them. */
const people = Array.from({ length: 10 }, (_, i) => ({
  key: `k${i}`,
  value: `Nr ${i}`,
  timestamp: Date.now() - 60_000,
}))
/** Each ends with a word that no other has. */
export const lineOf = (i: number) => ({ key: `k${i % people.length}`, value: `to be or not to be ${i}` })

export const children: Set<ChildProcess> = new Set()
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})
export function start(id: string): ChildProcess {
  const child = fork(program, [inject('kafka'), id], { execArgv: ['--import', 'tsx'] })
  children.add(child)
  return child
}
export async function tasksOf(child: ChildProcess, message = 'tasks'): Promise<string[]> {
  const answer = messageOf(child)
  child.send(message)
  return (await answer) as string[]
}
export async function messageOf(child: ChildProcess): Promise<unknown> {
  return (await within('a message', once(child, 'message'), deadlineMs))[0]
}
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit')
  child.kill(signal)
  expect(await within('its end', ended, deadlineMs)).toEqual(signal === 'SIGKILL' ? [null, 'SIGKILL'] : [0, null])
}

/** The cluster, with the topics of one run and the names in them. */
export async function prepared(id: string): Promise<KafkaBroker<AnyTopics>> {
  const { lines, names, counts, greetings } = topicsOf(id)
  const topics = [lines, names, counts, greetings]
  const broker = await clusterWith(Object.fromEntries(topics.map(name => [name, partitions])))
  await broker.topic(names).publishAll(people)
  return broker
}
export const logOf = (broker: KafkaBroker<AnyTopics>, topic: string): Promise<ConsumerRecord<any>[]> =>
  all(broker.topic(topic).read({ until: 'latest' }))

/** What a killed instance may have done and not committed, the values of its records: others do these again. */
export async function uncommitted(
  broker: KafkaBroker<AnyTopics>,
  id: string,
  tasks: readonly string[],
): Promise<{ readonly lines: string[]; readonly words: string[] }> {
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

export function times<T>(values: Iterable<T>): Map<T, number> {
  const found = new Map<T, number>()
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1)
  return found
}
export interface Outcome {
  /** The last count of each word. */
  readonly counts: ReadonlyMap<string | null, number>
  /** How often each word went to be counted. */
  readonly words: ReadonlyMap<string, number>
  readonly greetings: ReadonlyMap<string, number>
}
/** What came out in the end. */
export async function outcome(broker: KafkaBroker<AnyTopics>, id: string): Promise<Outcome> {
  const { counts, greetings, words } = topicsOf(id)
  return {
    counts: new Map((await logOf(broker, counts)).map(({ key, value }) => [key, value as number])),
    words: times((await logOf(broker, words)).map(({ value }) => value as string)),
    greetings: times((await logOf(broker, greetings)).map(({ value }) => value as string)),
  }
}
export const greetingOf = ({ key, value }: ReturnType<typeof lineOf>): string => `Nr ${key.slice(1)}: ${value}`

/** Both have a part, all tasks together; the first one's. */
export async function shared(one: ChildProcess, other: ChildProcess): Promise<string[]> {
  let tasks: string[] = []
  await until(
    'both to have a part',
    async () => {
      tasks = await tasksOf(one)
      return tasks.length > 0 && tasks.length + (await tasksOf(other)).length === 2 * partitions
    },
    deadlineMs,
  )
  return tasks
}
