import type { NextOffset } from '../index.js'
import type { Cluster } from './cluster.js'
import { byTopic } from './committed-offsets.js'
import { errorOf, kafkaNameOf } from './errors.js'

/** A group as its coordinator has it. */
export interface GroupDescription {
  readonly members: readonly {
    readonly memberId: string
    /** Partitions that it is to have, by topic. */
    readonly target: ReadonlyMap<string, readonly number[]>
  }[]
}

/** Kafka: ConsumerGroupDescribe. A group that there is not has no members. */
export async function describeGroup(cluster: Cluster, group: string): Promise<GroupDescription> {
  const about = { what: `Describing group ${group}`, group }
  return cluster.retrying(async timeoutMs => {
    const to = { group }
    const answer = await cluster.send(to, kafka => kafka.consumerGroupDescribeV0.api, [[group], false], {
      about,
      timeoutMs,
      lane: 'group',
      partial: true,
    })
    const { errorCode, errorMessage, members } = answer.groups[0]!
    const error = errorCode === 0 ? undefined : errorOf(errorCode, about, errorMessage)
    // No consumer group: none, or only offsets that were written without a member.
    if (kafkaNameOf(error) === 'GROUP_ID_NOT_FOUND') return { members: [] }
    if (error !== undefined) {
      cluster.heard(to, error)
      throw error
    }
    return {
      members: members.map(({ memberId, targetAssignment }) => ({
        memberId,
        target: new Map(targetAssignment.topicPartitions.map(({ topicName, partitions }) => [topicName, partitions])),
      })),
    }
  }, {})
}

/** Kafka: OffsetCommit by nobody, which a group with members refuses. */
export async function writeOffsets(cluster: Cluster, group: string, offsets: readonly NextOffset[]): Promise<void> {
  const about = { what: `Writing the offsets of group ${group}`, group }
  const topics = byTopic(offsets, entry => ({
    partitionIndex: entry.partition,
    committedOffset: BigInt((entry as NextOffset).nextOffset),
    committedLeaderEpoch: -1,
    committedMetadata: '',
  }))
  const nobody = ''
  try {
    await cluster.request({ group }, kafka => kafka.offsetCommitV9.api, [group, -1, nobody, null, topics], {
      about,
      lane: 'group',
    })
  } catch (error) {
    const name = kafkaNameOf(error)
    if (name !== 'UNKNOWN_MEMBER_ID' && name !== 'STALE_MEMBER_EPOCH') throw error
    const { members } = await describeGroup(cluster, group)
    throw errorOf(68, { ...about, members: members.length }, null, error)
  }
}
