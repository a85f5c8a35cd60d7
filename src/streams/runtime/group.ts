import { type Assignor, type Broker, type ConsumerGroup, isMillraceError, rangeAssignor } from '../../index.js'
import { checkForRange } from '../topology/partition-counts.js'
import { type TopologyPlan, topicName } from '../topology/plan.js'
import { taskAssignor } from './task-assignor.js'
import type { Counts } from './topics.js'

/** The group by which the instances of an application share its tasks. */
export interface TaskGroup {
  readonly group: ConsumerGroup<any>
  /** It takes our own assignor: it is in this process. */
  readonly here: boolean
  /** Topics that begin at their end, where the group itself begins at the start. */
  readonly latest: ReadonlySet<string>
}

/**
 * The group of that name with an assignor of ours or, where it takes none (a cluster), with range, which keeps tasks whole
 * as long as all topics of a sub-topology have as many partitions: TOPOLOGY where they don't.
 */
export function taskGroup(broker: Broker<any>, plan: TopologyPlan, applicationId: string, counts: Counts): TaskGroup {
  const topicsOf = plan.subtopologies.map(({ sources }) => sources.map(({ topic }) => topicName(topic, applicationId)))
  const sources = plan.subtopologies.flatMap(subtopology => subtopology.sources)
  const atEnd = sources.filter(({ from }) => from === 'latest').map(({ topic }) => topicName(topic, applicationId))
  const allAtEnd = atEnd.length === sources.length
  const open = (assignor: Assignor): ConsumerGroup<any> =>
    broker.group(applicationId, {
      topics: topicsOf.flat(),
      commitMode: 'manualCommit',
      autoOffsetReset: allAtEnd ? 'latest' : 'earliest',
      assignor,
    })
  const latest = new Set(allAtEnd ? [] : atEnd)
  try {
    return { group: open(taskAssignor(topicsOf)), here: true, latest }
  } catch (error) {
    if (!isMillraceError(error, 'INVALID_CONFIG')) throw error
    checkForRange(plan, applicationId, counts)
    return { group: open(rangeAssignor), here: false, latest }
  }
}
