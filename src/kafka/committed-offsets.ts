import type { TopicPartition } from '../index.js'
import { byTopic, keyOf } from './by-topic.js'
import type { Cluster, RequestOptions } from './cluster.js'
import { offsetNumber } from './offsets.js'

/** Kafka: OffsetFetchResponse.INVALID_OFFSET: of a partition without a commit. */
const unknown = -1
const unknownEpoch = -1

/** What a group has committed; undefined where it has not. Kafka: OffsetFetch. */
export async function committedOffsets(
  cluster: Cluster,
  group: string,
  wanted: readonly TopicPartition[],
  options: Omit<RequestOptions, 'about'> = {},
): Promise<Map<string, number | undefined>> {
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
  const found: Map<string, number | undefined> = new Map()
  for (const { topics } of answer.groups)
    for (const { name: topic, partitions } of topics)
      for (const { partitionIndex: partition, committedOffset } of partitions) {
        const where = { topic, partition }
        const offset = offsetNumber(committedOffset, where)
        found.set(keyOf(where), offset === unknown ? undefined : offset)
      }
  return found
}
