import type { ConsumerGroup } from '../../index.js'
import { topicName } from '../topology/plan.js'
import { ReachedPositions } from './positions.js'
import type { TaskRun } from './task-run.js'

/**
 * Fills a task's stores and times from its changelogs, as far as they reach now, and asks its group where its partitions
 * stand. Kafka: StoreChangelogReader.
 */
export async function restore(
  { task, queues, readings }: TaskRun,
  group: ConsumerGroup<any>,
  applicationId: string,
): Promise<ReachedPositions> {
  const reached = new ReachedPositions()
  const changelogs = task.subtopology.changelogs.map(({ topic, store }) =>
    readings.read([topicName(topic, applicationId), task.partition], 'earliest', 'latest', record => {
      if (store !== undefined || !reached.take(record.key, record.value)) task.restore(record)
    }),
  )
  const positions = queues.map(async queue => {
    queue.committed = await group.committed(queue.topic, queue.partition)
  })
  await Promise.all([...changelogs, ...positions])
  return reached
}
