import type { GroupMember } from './assignor.js'
import { compare } from './member-order.js'

/** A topic that exists and that somebody asked for. */
export interface WantedTopic {
  readonly topic: string
  readonly partitions: number
  /** Who asked for it, as ascending indices into the members. */
  readonly members: readonly number[]
}

/** By name, in code units; topics that do not exist are skipped. */
export function wantedTopics(members: readonly GroupMember[], topics: ReadonlyMap<string, number>): WantedTopic[] {
  const found = new Map<string, { topic: string; partitions: number; members: number[] }>()
  members.forEach((member, index) => {
    for (const topic of member.topics) {
      let entry = found.get(topic)
      if (entry === undefined) {
        const partitions = topics.get(topic)
        if (partitions === undefined) continue
        entry = { topic, partitions, members: [] }
        found.set(topic, entry)
      }
      // A member that asked twice asked once.
      if (entry.members.at(-1) !== index) entry.members.push(index)
    }
  })
  return [...found.values()].sort((a, b) => compare(a.topic, b.topic))
}
