import { skipTaggedFields } from './fetch-api.js'
import { PartitionSet } from './partition-set.js'
import type { Api, Kafka, Reader } from './platformatic.js'

/** A member as the group's coordinator sees it. */
export interface DescribedMember {
  readonly memberId: string
  readonly memberEpoch: number
  readonly assigned: PartitionSet
  readonly target: PartitionSet
}
export interface DescribedGroup {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly epoch: number
  /** Of the target. */
  readonly assignmentEpoch: number
  readonly members: readonly DescribedMember[]
}
type DescribeApi = Api<[groups: readonly string[], authorizedOperations: boolean], readonly DescribedGroup[]>

const apiKey = 69
const apiVersion = 0
let made: DescribeApi | undefined

/** ConsumerGroupDescribe as the client writes it; it does not read the members' part. */
export function describeGroupsApi(kafka: Kafka): DescribeApi {
  made ??= kafka.createAPI<[readonly string[], boolean], readonly DescribedGroup[]>(
    apiKey,
    apiVersion,
    kafka.consumerGroupDescribeV0.createRequest,
    (_id, _key, _version, reader) => {
      // How long the broker held it back for a quota.
      reader.readInt32()
      return reader.readArray(group, true, false)
    },
  )
  return made
}

function group(reader: Reader): DescribedGroup {
  const errorCode = reader.readInt16()
  const errorMessage = reader.readNullableString()
  // Its id, and its state.
  reader.readString()
  reader.readString()
  const epoch = reader.readInt32()
  const assignmentEpoch = reader.readInt32()
  // The name of its assignor.
  reader.readString()
  const members = reader.readArray(member, true, false)
  // What the caller may do.
  reader.readInt32()
  skipTaggedFields(reader)
  return { errorCode, errorMessage, epoch, assignmentEpoch, members }
}

function member(reader: Reader): DescribedMember {
  const memberId = reader.readString()
  // Its instance id and its rack.
  reader.readNullableString()
  reader.readNullableString()
  const memberEpoch = reader.readInt32()
  // The client's id and host, and what it subscribes to, by name and by pattern.
  reader.readString()
  reader.readString()
  reader.readArray(one => one.readString(), true, false)
  reader.readNullableString()
  const assigned = assignment(reader)
  const target = assignment(reader)
  skipTaggedFields(reader)
  return { memberId, memberEpoch, assigned, target }
}

function assignment(reader: Reader): PartitionSet {
  const partitions = reader.readArray(
    one => {
      const topicId = one.readUUID()
      one.readString()
      const partitions = one.readArray(each => each.readInt32(), true, false)
      skipTaggedFields(one)
      return { topicId, partitions }
    },
    true,
    false,
  )
  skipTaggedFields(reader)
  return new PartitionSet(partitions)
}
