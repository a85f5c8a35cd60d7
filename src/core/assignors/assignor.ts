import type { TopicPartition } from '../record.js'

/** A member as assignors see it: what it wants, and what the previous target gave it. */
export interface GroupMember {
  readonly memberId: string
  /** Kafka: group.instance.id. */
  readonly instanceId?: string
  readonly topics: readonly string[]
  readonly owned: readonly TopicPartition[]
}
/** Partitions by member id. */
export type Assignment = ReadonlyMap<string, readonly TopicPartition[]>
/** Who is to own what: a pure function of members and topics (name to number of partitions). */
export interface Assignor {
  readonly name: string
  assign(members: readonly GroupMember[], topics: ReadonlyMap<string, number>): Assignment
}
