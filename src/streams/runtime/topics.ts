import { type Broker, isMillraceError, MillraceError, type TopicOptions } from '../../index.js'
import { checkForRange, partitionCounts } from '../topology/partition-counts.js'
import { type Subtopology, type TopologyPlan, topicName } from '../topology/plan.js'
import { answerOf, type Steps } from './steps.js'

/** What is known of an application's topics: how many partitions those that it reads have, by name. */
export type Counts = ReadonlyMap<string, number>

/** UNKNOWN_TOPIC_OR_PARTITION for a topic of the user's that is not there; TOPOLOGY where what is joined differs. */
export function* lookUpTopics(
  broker: Broker<any>,
  plan: TopologyPlan,
  applicationId: string,
  others: readonly string[],
): Steps<Counts> {
  const references = [
    ...plan.subtopologies.flatMap(({ sources, sinks }) => [...sources.map(({ topic }) => topic), ...sinks]),
    ...plan.globalStores.map(({ topic }) => topic),
  ]
  const names = references.filter(({ internal }) => !internal).map(topic => topicName(topic, applicationId))
  const given = new Map<string, number>()
  for (const name of new Set([...names, ...others]))
    given.set(name, yield* answerOf(broker.topic(name).partitionCount()))
  return partitionCounts(plan, applicationId, given)
}

/** Kafka: PartitionGrouper — as many tasks as the widest of its topics has partitions. */
function taskCount({ sources }: Subtopology, applicationId: string, counts: Counts): number {
  return Math.max(...sources.map(({ topic }) => counts.get(topicName(topic, applicationId))!))
}

/** Makes the application's own topics, where another instance has not. TOPOLOGY where one has other partitions. */
export function* makeInternalTopics(
  broker: Broker<any>,
  plan: TopologyPlan,
  applicationId: string,
  counts: Counts,
): Steps<void> {
  for (const { topic } of plan.repartitionTopics) {
    const name = topicName(topic, applicationId)
    const onlyForRange = (): void => checkForRange(plan, applicationId, counts)
    yield* makeRepartitionTopic(broker, name, counts.get(name)!, onlyForRange)
  }
  for (const subtopology of plan.subtopologies) {
    const partitions = taskCount(subtopology, applicationId, counts)
    for (const { topic } of subtopology.changelogs)
      yield* make(broker, topicName(topic, applicationId), { partitions, cleanupPolicy: 'compact' })
  }
}

/** For ever, where the default would be a cluster's own, of days. Kafka: retention.ms=-1 for repartition topics. */
const noRetention = { ms: Number.MAX_SAFE_INTEGER }

/** A record is of no use once it is worked through; a cluster can't tell when that is, and must not lose it before. */
function* makeRepartitionTopic(
  broker: Broker<any>,
  name: string,
  partitions: number,
  onCluster: () => void,
): Steps<void> {
  try {
    yield* make(broker, name, { partitions, retention: { consumed: true } })
  } catch (error) {
    if (!isMillraceError(error, 'INVALID_CONFIG')) throw error
    onCluster()
    yield* make(broker, name, { partitions, retention: noRetention })
  }
}

function* make(broker: Broker<any>, name: string, options: TopicOptions<any> & { partitions: number }): Steps<void> {
  try {
    yield* answerOf(broker.createTopic(name, options))
  } catch (error) {
    if (!isMillraceError(error, 'TOPIC_ALREADY_EXISTS')) throw error
    const found = yield* answerOf(broker.topic(name).partitionCount())
    const { partitions } = options
    if (found !== partitions)
      throw new MillraceError('TOPOLOGY', {
        reason: `its topic ${name} has ${found} partition(s) and needs ${partitions}: delete the application's topics where those that it reads have changed`,
      })
  }
}
