import type { TopicPartition } from '../record.js'
import type { Assignor } from './assignor.js'
import { inMemberOrder } from './member-order.js'
import { wantedTopics } from './wanted-topic.js'

/**
 * Topic by topic, consecutive partitions to each member; the first members take the remainder.
 *
 * Topics with as many partitions and the same subscribers are assigned alike, so what has the same key meets in one
 * member; and over many topics the remainders pile up on the first members. Kafka: RangeAssignor.
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  assign(members, topics) {
    const ordered = inMemberOrder(members)
    const assignment = new Map<string, TopicPartition[]>(ordered.map(({ memberId }) => [memberId, []]))
    for (const { topic, partitions, members: subscribers } of wantedTopics(ordered, topics)) {
      const share = Math.floor(partitions / subscribers.length)
      const remainder = partitions % subscribers.length
      let partition = 0
      subscribers.forEach((member, i) => {
        const list = assignment.get(ordered[member]!.memberId)!
        for (let end = partition + share + (i < remainder ? 1 : 0); partition < end; partition++)
          list.push({ topic, partition })
      })
    }
    return assignment
  },
}
