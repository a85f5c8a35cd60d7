// The job in memory: topics, groups and all their members are in this process.
import { Broker } from 'millrace'
import type { Place } from './place.js'
import { listenerFor, rebuildSessions, sessionsId, sessionsOptions } from './sessions-member.js'
import { namesOf, requestsPartitioner, requestsPartitions, type Topics } from './topics.js'

export function inMemory(): Place {
  const names = namesOf('')
  const broker = new Broker<Topics>({
    topics: {
      [names.requests]: {
        partitions: requestsPartitions,
        partitioner: requestsPartitioner(),
        // What all groups have committed past is dropped: memory does not grow with the log.
        retention: { consumed: true },
      },
      [names.dead]: {},
    },
  })
  return {
    broker,
    names,
    startMember(desk) {
      const consumer = broker.group(sessionsId, sessionsOptions(names)).join({ onAssigned: listenerFor(desk) })
      return {
        name: consumer.memberId,
        get owned() {
          return consumer.assignment.map(({ partition }) => partition)
        },
        ready: () => consumer.ready(),
        ended: rebuildSessions(consumer, desk),
        // Others see of it what they would see of a killed process.
        kill: () => consumer.crash(),
      }
    },
    close: () => broker.close(),
    async inspect(groups) {
      const { partitions } = broker.topic(names.requests)
      const published = partitions.reduce((sum, { endOffset }) => sum + endOffset, 0)
      const lags = await Promise.all(groups.map(async group => [group.id, await group.lag()] as const))
      return { published, lags: new Map(lags) }
    },
  }
}
