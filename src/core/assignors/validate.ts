import { refuse } from '../check.js'
import { show } from '../errors.js'
import type { TopicPartition } from '../record.js'
import type { Assignment, GroupMember } from './assignor.js'

/**
 * What an assignor answered, checked and copied: every member, in the order given, with what is its own.
 *
 * A member that the answer leaves out has nothing, and a partition left out has no owner, as Kafka allows (standbys).
 *
 * @throws INVALID_CONFIG for an answer that is no map, an unknown member or partition, a member that gets a topic it
 * did not ask for, or a partition given out twice.
 */
export function validateAssignment(
  assignor: string,
  assignment: unknown,
  members: readonly GroupMember[],
  topics: ReadonlyMap<string, number>,
): Assignment {
  const refuseAnswer = (value: unknown, expected: string): never =>
    refuse('assignor', value, `one that ${expected} (${assignor} did not)`)
  const entries = entriesOf(assignment) ?? refuseAnswer(assignment, 'answers with a Map of partitions by member id')
  const memberById = new Map(members.map(member => [member.memberId, member]))
  const checked = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]))
  const ownersOf = new Map<string, string[]>()

  for (const [memberId, partitions] of entries) {
    const member = memberById.get(memberId as string)
    if (member === undefined) return refuseAnswer(memberId, 'assigns to members of the group only')
    if (!isIterable(partitions))
      return refuseAnswer(`${memberId}: ${show(partitions)}`, 'gives each member an array of { topic, partition }')
    const subscribed = new Set(member.topics)
    for (const entry of partitions) {
      const { topic, partition } = (entry ?? {}) as TopicPartition
      if (typeof topic !== 'string' || typeof partition !== 'number')
        return refuseAnswer(`${memberId}: ${show(entry)}`, 'gives each member an array of { topic, partition }')
      const refused = (expected: string, other = ''): never =>
        refuseAnswer(`${topic}-${partition} for ${other}${memberId}`, expected)
      const total = topics.get(topic) ?? 0
      if (!Number.isInteger(partition) || partition < 0 || partition >= total)
        return refused('assigns partitions that exist')
      if (!subscribed.has(topic)) return refused('gives a member partitions of its own topics only')
      const owners = ownersOf.get(topic) ?? []
      ownersOf.set(topic, owners)
      const other = owners[partition]
      if (other !== undefined) return refused('gives each partition to one member only', `${other} and `)
      owners[partition] = member.memberId
      checked.get(member.memberId)!.push({ topic, partition })
    }
  }
  return checked
}

/** Of a Map, also one of another realm; a plain object or an array is none. */
function entriesOf(value: unknown): Iterable<readonly [unknown, unknown]> | undefined {
  const map = value as Partial<ReadonlyMap<unknown, unknown>> | null | undefined
  return typeof map?.get === 'function' && typeof map.entries === 'function' ? map.entries() : undefined
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
