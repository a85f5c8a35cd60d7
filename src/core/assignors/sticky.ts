import type { Assignor } from './assignor.js'
import { inMemberOrder } from './member-order.js'
import { balance } from './sticky-balance.js'
import { shareEvenly } from './sticky-share.js'
import { type StickyState, stickyState, toAssignment } from './sticky-state.js'

/**
 * As balanced as subscriptions allow, and as much as possible stays where it was.
 *
 * Balanced: the members' counts differ by one at most, or who has two fewer than another can't take any of the other's.
 * Kafka: StickyAssignor, AbstractStickyAssignor.
 */
export const stickyAssignor: Assignor = {
  name: 'sticky',
  assign(members, topics) {
    const state = stickyState(inMemberOrder(members), topics)
    const subscribers = equalSubscribers(state)
    if (subscribers === undefined) balance(state)
    else shareEvenly(state, subscribers)
    return toAssignment(state)
  },
}

/** Who subscribes to anything, if all of them subscribe to the same. */
function equalSubscribers({ topics }: StickyState): readonly number[] | undefined {
  const first = topics[0]?.members ?? []
  const areFirst = (members: readonly number[]): boolean =>
    members.length === first.length && members.every((member, i) => member === first[i])
  return topics.every(({ members }) => areFirst(members)) ? first : undefined
}
