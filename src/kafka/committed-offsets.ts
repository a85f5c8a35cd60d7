import type { ResolvedGroupOptions } from '../engine.js'
import type { TopicPartition } from '../index.js'
import { byTopic, keyOf } from './by-topic.js'
import type { Cluster, RequestOptions } from './cluster.js'
import { offsetNumber } from './offsets.js'

/** Kafka: OffsetFetchResponse.INVALID_OFFSET: of a partition without a commit. */
const unknown = -1
const unknownEpoch = -1

/**
 * The metadata of an offset that says where a group began under 'latest', and not what it has finished: the next owner
 * begins there too, where Kafka's would skip what has come meanwhile (groups.md 24).
 */
export const beginning = 'millrace: latest'

/** Where a group stands in a partition. */
interface Standing {
  readonly offset: number
  /** It has committed nothing there, only begun. */
  readonly begun: boolean
}
/** Where a group goes on: at what it has committed or, under 'latest', where it has begun. */
export function nextOf(standing: Standing | undefined, autoOffsetReset: AutoOffsetReset): number | undefined {
  return standing?.begun === true && autoOffsetReset !== 'latest' ? undefined : standing?.offset
}
type AutoOffsetReset = ResolvedGroupOptions['autoOffsetReset']
type Asking = Omit<RequestOptions, 'about'>

/** Nothing for a partition in which the group has not even begun. Kafka: OffsetFetch. */
export async function standings(
  cluster: Cluster,
  group: string,
  wanted: readonly TopicPartition[],
  options: Asking = {},
): Promise<Map<string, Standing>> {
  const topics = byTopic(wanted, ({ partition }) => partition).map(({ name, partitions }) => ({
    name,
    partitionIndexes: partitions,
  }))
  const asked = { groupId: group, memberId: null, memberEpoch: unknownEpoch, topics }
  // Offsets of a transaction that is still open are waited for (KIP-447).
  const requireStable = true
  const answer = await cluster.request({ group }, kafka => kafka.offsetFetchV9.api, [[asked], requireStable], {
    lane: 'group',
    ...options,
    about: { what: `Asking for the offsets of group ${group}`, group },
  })
  const found: Map<string, Standing> = new Map()
  for (const { topics } of answer.groups)
    for (const { name: topic, partitions } of topics)
      for (const { partitionIndex: partition, committedOffset, metadata } of partitions) {
        const where = { topic, partition }
        const offset = offsetNumber(committedOffset, where)
        if (offset !== unknown) found.set(keyOf(where), { offset, begun: metadata === beginning })
      }
  return found
}

/** What a group has committed; nothing where it has not. */
export async function committedOffsets(
  cluster: Cluster,
  group: string,
  wanted: readonly TopicPartition[],
  options: Asking = {},
): Promise<Map<string, number>> {
  const found = await standings(cluster, group, wanted, options)
  return new Map([...found].flatMap(([key, { offset, begun }]) => (begun ? [] : [[key, offset] as const])))
}

/** The last of its members has left: where it began is forgotten. Kafka: OffsetDelete, which a group with members refuses. */
export async function forgetBeginnings(
  cluster: Cluster,
  group: string,
  partitions: readonly TopicPartition[],
  timeoutMs: number,
): Promise<void> {
  const found = await standings(cluster, group, partitions, { timeoutMs })
  const begun = partitions.filter(where => found.get(keyOf(where))?.begun === true)
  if (begun.length === 0) return
  const topics = byTopic(begun, ({ partition }) => ({ partitionIndex: partition }))
  await cluster.send({ group }, kafka => kafka.offsetDeleteV0.api, [group, topics], {
    about: { what: `Forgetting where group ${group} began`, group },
    lane: 'group',
    timeoutMs,
  })
}
