import type { NextOffset } from '../index.js'
import { byTopic } from './by-topic.js'
import type { Cluster } from './cluster.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { type DescribedMember, describeGroupsApi } from './group-api.js'

/** A group as its coordinator has it. */
interface GroupDescription {
  readonly members: readonly DescribedMember[]
  /** The target is of all its members. */
  readonly settled: boolean
}

/** Kafka: ConsumerGroupDescribe. A group that there is not has no members. */
export function describeGroup(cluster: Cluster, group: string): Promise<GroupDescription> {
  const about = { what: `Describing group ${group}`, group }
  const to = { group }
  return cluster.retrying(async timeoutMs => {
    const [found] = await cluster.send(to, describeGroupsApi, [[group], false], { about, timeoutMs, lane: 'group' })
    const { errorCode, errorMessage, members, epoch, assignmentEpoch } = found!
    // Nobody makes a target for a group that is empty.
    if (errorCode === 0) return { members, settled: members.length === 0 || epoch === assignmentEpoch }
    const error = errorOf(errorCode, about, errorMessage)
    // No consumer group: none, or only offsets that were written without a member.
    if (kafkaNameOf(error) === 'GROUP_ID_NOT_FOUND') return { members: [], settled: true }
    cluster.heard(to, error)
    throw error
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
