// Groups and answers in the shorthand of Kafka's javadoc: 't0p1' is partition 1 of topic t0.
import type { Assignment, GroupMember } from '../../../src/core/assignors/assignor.js'
import type { TopicPartition } from '../../../src/core/record.js'

export function partition(name: string): TopicPartition {
  const [, topic, number] = /^(.*)p(\d+)$/.exec(name)!
  return { topic: topic!, partition: Number(number) }
}

/** A member with its topics, and what it owned, both as words. */
export function member(memberId: string, topics: string, owned = '', instanceId?: string): GroupMember {
  return {
    memberId,
    ...(instanceId === undefined ? {} : { instanceId }),
    topics: words(topics),
    owned: words(owned).map(partition),
  }
}

export function topics(counts: Record<string, number>): ReadonlyMap<string, number> {
  return new Map(Object.entries(counts))
}

/** The answer in the same shorthand, order within a member kept. */
export function shown(assignment: Assignment): Record<string, string> {
  return Object.fromEntries(
    [...assignment].map(([memberId, list]) => [memberId, list.map(tp => `${tp.topic}p${tp.partition}`).join(' ')]),
  )
}

/** The members again, each owning what it was given. */
export function afterwards(members: readonly GroupMember[], assignment: Assignment): GroupMember[] {
  return members.map(each => ({ ...each, owned: assignment.get(each.memberId) ?? [] }))
}

const words = (text: string): string[] => text.split(' ').filter(word => word !== '')
