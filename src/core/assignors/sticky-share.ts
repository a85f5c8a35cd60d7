import { inKeepingOrder, NOBODY, type StickyState } from './sticky-state.js'

/**
 * The case of equal subscriptions: everyone keeps what it owns up to its quota, and the rest is dealt in turn.
 *
 * Kafka: AbstractStickyAssignor.ConstrainedAssignmentBuilder. Unlike Kafka, which takes members in the order of a hash
 * map, the first in member order keep one more than the others.
 */
export function shareEvenly(state: StickyState, members: readonly number[]): void {
  if (members.length === 0) return
  const { owner } = state
  const quota = Math.floor(owner.length / members.length)
  /** How many members may have one more than the quota. */
  let over = owner.length % members.length

  const ownedBy = new Map(members.map(member => [member, [] as number[]]))
  for (const id of inKeepingOrder(state)) ownedBy.get(owner[id]!)?.push(id)

  const size = new Map<number, number>()
  let below: number[] = []
  const full: number[] = []
  for (const member of members) {
    const owned = ownedBy.get(member)!
    const oneMore = owned.length > quota && over > 0
    if (oneMore) over--
    const kept = Math.min(owned.length, oneMore ? quota + 1 : quota)
    for (const id of owned.slice(kept)) owner[id] = NOBODY
    size.set(member, kept)
    if (kept < quota) below.push(member)
    else if (!oneMore) full.push(member)
  }

  const free: number[] = []
  owner.forEach((member, id) => {
    if (member === NOBODY) free.push(id)
  })
  let next = 0
  while (below.length > 0) {
    const stillBelow: number[] = []
    for (const member of below) {
      owner[free[next++]!] = member
      const now = size.get(member)! + 1
      size.set(member, now)
      ;(now < quota ? stillBelow : full).push(member)
    }
    below = stillBelow
  }
  // What is left is `over`, and there are at least as many members at their quota.
  for (let i = 0; next < free.length; i++) owner[free[next++]!] = full[i]!
}
