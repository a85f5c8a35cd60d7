import { MillraceError } from '../../index.js'
import { type TopicReference, type TopologyPlan, topicName } from './plan.js'

/**
 * How many partitions each topic that is read has, or is to have: those of the user's topics are given, those of
 * repartition topics follow from what is upstream. TOPOLOGY where topics that are joined differ.
 *
 * Kafka: RepartitionTopics, CopartitionedTopicsEnforcer.
 */
export function partitionCounts(
  plan: TopologyPlan,
  applicationId: string,
  given: ReadonlyMap<string, number>,
): Map<string, number> {
  const counts = new Map(given)
  const nameOf = (topic: TopicReference): string => topicName(topic, applicationId)
  const fixed = new Set<string>()
  for (const { topic, partitions } of plan.repartitionTopics) {
    if (partitions === undefined) continue
    counts.set(nameOf(topic), partitions)
    fixed.add(nameOf(topic))
  }
  const repartition = new Set(plan.repartitionTopics.map(({ topic }) => nameOf(topic)))
  countUpstream(plan, nameOf, counts)
  for (const { copartitioned } of plan.subtopologies)
    for (const joined of copartitioned) copartition(joined.map(nameOf), repartition, fixed, counts)
  return counts
}

/** As many as the widest topic of the sub-topologies that write to it; again and again, as these may be repartition topics. */
function countUpstream(
  plan: TopologyPlan,
  nameOf: (topic: TopicReference) => string,
  counts: Map<string, number>,
): void {
  let open = plan.repartitionTopics.map(({ topic }) => nameOf(topic)).filter(name => !counts.has(name))
  while (open.length > 0) {
    const still = open.filter(name => {
      const writers = plan.subtopologies.filter(({ sinks }) => sinks.some(sink => nameOf(sink) === name))
      const upstream = writers.flatMap(({ sources }) => sources.map(({ topic }) => counts.get(nameOf(topic)) ?? 0))
      const widest = Math.max(0, ...upstream)
      if (widest > 0) counts.set(name, widest)
      return widest === 0
    })
    if (still.length === open.length)
      throw new MillraceError('TOPOLOGY', {
        reason: `nothing upstream says how many partitions ${still.join(', ')} has`,
      })
    open = still
  }
}

function copartition(
  topics: readonly string[],
  repartition: ReadonlySet<string>,
  fixed: ReadonlySet<string>,
  counts: Map<string, number>,
): void {
  const given = topics.filter(topic => !repartition.has(topic) || fixed.has(topic))
  const open = topics.filter(topic => repartition.has(topic) && !fixed.has(topic))
  checkEqual(given, counts, 'that are joined')
  const count = given.length > 0 ? counts.get(given[0]!)! : Math.max(...open.map(topic => counts.get(topic)!))
  for (const topic of open) counts.set(topic, count)
}

/** What keeps tasks whole where partitions are shared by range: TOPOLOGY where the topics of a sub-topology differ in theirs. */
export function checkForRange(plan: TopologyPlan, applicationId: string, counts: ReadonlyMap<string, number>): void {
  for (const { sources } of plan.subtopologies)
    checkEqual(
      sources.map(({ topic }) => topicName(topic, applicationId)),
      counts,
      'of one sub-topology',
    )
}

/** TOPOLOGY for topics that differ in their partitions. */
function checkEqual(topics: readonly string[], counts: ReadonlyMap<string, number>, which: string): void {
  if (new Set(topics.map(topic => counts.get(topic))).size <= 1) return
  const found = topics.map(topic => `${topic} has ${counts.get(topic)}`).join(', ')
  throw new MillraceError('TOPOLOGY', { reason: `topics ${which} need as many partitions as one another: ${found}` })
}
