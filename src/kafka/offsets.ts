import { MillraceError, type StartFrom, type TopicPartition } from '../index.js'
import { byTopic, keyOf } from './by-topic.js'
import type { Cluster, RequestOptions } from './cluster.js'
import { errorOf, kafkaNameOf } from './errors.js'

/** Kafka: ListOffsetsRequest.LATEST_TIMESTAMP, EARLIEST_TIMESTAMP, CONSUMER_REPLICA_ID. */
const latest = -1n
const earliest = -2n
const consumerReplica = -1
const unknownEpoch = -1

export type Isolation = 'read_uncommitted' | 'read_committed'
/** Where an end of a partition's log is, or a time in it; of each partition one at a time. */
export interface OffsetQuestion extends TopicPartition {
  readonly at: Exclude<StartFrom, number>
}
type Asking = Omit<RequestOptions, 'about'> & Partial<Pick<RequestOptions, 'about'>>

/** An offset of the wire as a number; beyond 2^53 an error, not a wrong number. */
export function offsetNumber(offset: bigint, { topic, partition }: TopicPartition): number {
  const number = Number(offset)
  if (Number.isSafeInteger(number)) return number
  throw new MillraceError('OFFSET_OUT_OF_RANGE', { topic, partition, offset: number })
}

/**
 * The offsets that are meant, in the order of the questions, asked of the partitions' leaders; for a time after all
 * records it is the end. Under read_committed a log ends at its first open transaction. Kafka: ListOffsets.
 */
export async function findOffsets(
  cluster: Cluster,
  questions: readonly OffsetQuestion[],
  isolation: Isolation,
  options: Asking = {},
): Promise<number[]> {
  const about = { what: 'Looking for offsets', ...options.about }
  const found = new Map<OffsetQuestion, number | 'end'>()
  /** A leader may not have heard of a partition yet; the metadata has the last word. */
  let absent = false
  const attempt = async (timeoutMs: number): Promise<void> => {
    const open = questions.filter(question => !found.has(question))
    absent = true
    const byLeader = await leadersOf(cluster, open, { ...options, about, timeoutMs })
    absent = false
    const asked = [...byLeader].map(([leader, list]) =>
      askLeader(cluster, leader, list, isolation, found, { ...options, about, timeoutMs }),
    )
    const failed = (await Promise.allSettled(asked)).find(outcome => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
  await cluster.retrying(attempt, options, error => !absent || kafkaNameOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION')
  const late = questions.filter(question => found.get(question) === 'end')
  if (late.length > 0) {
    const ends = await findOffsets(
      cluster,
      late.map(({ topic, partition }) => ({ topic, partition, at: 'latest' as const })),
      isolation,
      options,
    )
    for (const [i, question] of late.entries()) found.set(question, ends[i]!)
  }
  return questions.map(question => found.get(question) as number)
}

async function leadersOf(
  cluster: Cluster,
  questions: readonly OffsetQuestion[],
  { about, timeoutMs, signal }: RequestOptions,
): Promise<Map<number, OffsetQuestion[]>> {
  const names = [...new Set(questions.map(({ topic }) => topic))]
  await Promise.all(names.map(topic => cluster.metadata(topic, { about: { ...about, topic }, timeoutMs, signal })))
  const byLeader = new Map<number, OffsetQuestion[]>()
  for (const question of questions) {
    const { topic, partition } = question
    const leader = cluster.leaderOf(topic, partition)
    if (leader === undefined) {
      const unknown = cluster.topic(topic)?.partitions[partition] === undefined
      cluster.outdated(topic)
      throw errorOf(unknown ? 3 : 5, { ...about, topic, partition })
    }
    const list = byLeader.get(leader)
    if (list === undefined) byLeader.set(leader, [question])
    else list.push(question)
  }
  return byLeader
}

async function askLeader(
  cluster: Cluster,
  leader: number,
  questions: readonly OffsetQuestion[],
  isolation: Isolation,
  found: Map<OffsetQuestion, number | 'end'>,
  { about, timeoutMs, signal }: RequestOptions,
): Promise<void> {
  const level = isolation === 'read_committed' ? 1 : 0
  const topics = byTopic(questions, ({ partition, at }) => ({
    partitionIndex: partition,
    currentLeaderEpoch: unknownEpoch,
    timestamp: at === 'earliest' ? earliest : at === 'latest' ? latest : BigInt(at.timestamp),
  }))
  const byPartition = new Map(questions.map(question => [keyOf(question), question]))
  try {
    const answer = await cluster.send(leader, kafka => kafka.listOffsetsV7.api, [consumerReplica, level, topics], {
      about,
      timeoutMs,
      signal,
      partial: true,
    })
    for (const { name: topic, partitions } of answer.topics) {
      for (const { partitionIndex: partition, errorCode, offset } of partitions) {
        if (errorCode !== 0) throw errorOf(errorCode, { ...about, topic, partition })
        const question = byPartition.get(keyOf({ topic, partition }))!
        found.set(question, offset < 0n ? 'end' : offsetNumber(offset, question))
      }
    }
  } catch (error) {
    for (const { topic, partition } of questions) cluster.heard({ topic, partition }, error)
    throw error
  }
}
