import type { GroupMember } from './assignor.js'

/**
 * Static members first, by instance id; then the others, by member id. Kafka: AbstractPartitionAssignor.MemberInfo.
 *
 * `<` compares UTF-16 code units, as Java does; localeCompare would put "a" before "B", and "a10" after "a2".
 */
export function inMemberOrder(members: readonly GroupMember[]): GroupMember[] {
  return [...members].sort(
    (a, b) =>
      Number(a.instanceId === undefined) - Number(b.instanceId === undefined) ||
      compare(a.instanceId ?? a.memberId, b.instanceId ?? b.memberId),
  )
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
