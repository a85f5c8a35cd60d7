import type { TopicPartition } from '../record.js'
import type { Assignor } from './assignor.js'
import { inMemberOrder } from './member-order.js'
import { wantedTopics } from './wanted-topic.js'

/**
 * All partitions of all topics, one at a time to the members in turn.
 *
 * Who does not subscribe to a topic is passed over, so differing subscriptions can end unbalanced: stickyAssignor
 * does better. Kafka: RoundRobinAssignor.
 */
export const roundRobinAssignor: Assignor = {
  name: 'roundrobin',
  assign(members, topics) {
    const ordered = inMemberOrder(members)
    const assignment = new Map<string, TopicPartition[]>(ordered.map(({ memberId }) => [memberId, []]))
    // The turn goes on from topic to topic; within one, only its subscribers are walked.
    let turn = 0
    for (const { topic, partitions, members: subscribers } of wantedTopics(ordered, topics)) {
      if (partitions === 0) continue
      const first = Math.max(
        0,
        subscribers.findIndex(member => member >= turn),
      )
      for (let partition = 0; partition < partitions; partition++) {
        const member = subscribers[(first + partition) % subscribers.length]!
        assignment.get(ordered[member]!.memberId)!.push({ topic, partition })
        turn = member + 1
      }
    }
    return assignment
  },
}
