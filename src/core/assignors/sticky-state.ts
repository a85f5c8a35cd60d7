import type { TopicPartition } from '../record.js'
import type { Assignment, GroupMember } from './assignor.js'
import { type WantedTopic, wantedTopics } from './wanted-topic.js'

/** No member: a partition that nobody owns, or whose owner lost its claim. */
export const NOBODY = -1
const CLAIMED_TWICE = -2

/**
 * What a sticky assignment starts from and works on: members and partitions as indices, members in their order,
 * partitions by topic and number.
 */
export interface StickyState {
  readonly members: readonly GroupMember[]
  readonly topics: readonly WantedTopic[]
  /** Index of each topic's partition 0. */
  readonly firstOf: readonly number[]
  /** Who owned each partition before, and may still. */
  readonly home: Int32Array
  /** Who is to own each partition. */
  readonly owner: Int32Array
}

/** Everything that is owned rightly stays where it is; the rest is nobody's. */
export function stickyState(members: readonly GroupMember[], topics: ReadonlyMap<string, number>): StickyState {
  const wanted = wantedTopics(members, topics)
  const firstOf: number[] = []
  let total = 0
  for (const { partitions } of wanted) {
    firstOf.push(total)
    total += partitions
  }
  const home = claims(members, wanted, firstOf, total)
  return { members, topics: wanted, firstOf, home, owner: home.slice() }
}

function claims(
  members: readonly GroupMember[],
  topics: readonly WantedTopic[],
  firstOf: readonly number[],
  total: number,
): Int32Array {
  const home = new Int32Array(total).fill(NOBODY)
  const indexOf = new Map(topics.map(({ topic }, index) => [topic, index]))
  members.forEach((member, m) => {
    for (const { topic, partition } of member.owned) {
      const index = indexOf.get(topic)
      if (index === undefined || !(partition >= 0 && partition < topics[index]!.partitions)) continue
      const id = firstOf[index]! + partition
      // Kafka: AbstractStickyAssignor — two claims of one generation cancel each other.
      home[id] = home[id] === NOBODY || home[id] === m ? m : CLAIMED_TWICE
    }
  })
  // The last topic each member was seen to subscribe to.
  const subscribed = new Int32Array(members.length).fill(-1)
  topics.forEach(({ members: subscribers, partitions }, index) => {
    for (const member of subscribers) subscribed[member] = index
    const first = firstOf[index]!
    for (let id = first; id < first + partitions; id++) if (subscribed[home[id]!] !== index) home[id] = NOBODY
  })
  return home
}

/**
 * All partitions in the order in which they are kept: by number, then by topic, so that a member that must give some up
 * gives up about as many of each topic. Kafka: ConstrainedAssignmentBuilder.assignOwnedPartitions.
 */
export function inKeepingOrder({ topics, firstOf, owner }: StickyState): number[] {
  const total = owner.length
  const keys = new Float64Array(total)
  topics.forEach(({ partitions }, index) => {
    const first = firstOf[index]!
    for (let partition = 0; partition < partitions; partition++)
      keys[first + partition] = partition * total + first + partition
  })
  return Array.from(keys.sort(), key => key % total)
}

/** To each member what it keeps, then what is new to it, each by topic and number. */
export function toAssignment({ members, topics, firstOf, home, owner }: StickyState): Assignment {
  const lists = members.map((): TopicPartition[] => [])
  for (const kept of [true, false]) {
    topics.forEach(({ topic, partitions }, index) => {
      const first = firstOf[index]!
      for (let partition = 0; partition < partitions; partition++) {
        const id = first + partition
        if ((home[id] === owner[id]) === kept) lists[owner[id]!]!.push({ topic, partition })
      }
    })
  }
  return new Map(members.map(({ memberId }, m) => [memberId, lists[m]!]))
}
