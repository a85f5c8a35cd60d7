// A member of the sessions group: folds requests into visitors, in the job's own process or in one of its own.
import { type Consumer, type GroupOptions, type RebalanceListener, stickyAssignor } from 'millrace'
import { type Visitor, visit } from './session.js'
import type { LogRecord, RequestsTopic, TopicNames } from './topics.js'

/** Where a member's work goes: the database, and whoever watches it. */
export interface Desk {
  /** Where the result for a partition ends. */
  nextOffset(partition: number): number | Promise<number>
  visitors(addresses: readonly string[]): readonly Visitor[] | Promise<readonly Visitor[]>
  /** It works on this record now, the `done`th of `of` in its batch. */
  saw(record: Seen, done: number, of: number): void
  save(batch: readonly Seen[], visitors: readonly Visitor[]): void | Promise<void>
}
export type Seen = Pick<LogRecord, 'partition' | 'offset' | 'key' | 'value'>

export const sessionsId = 'sessions'
export const sessionsOptions = ({ requests }: TopicNames): GroupOptions & { topics: RequestsTopic } => ({
  topics: requests,
  commitMode: 'manualCommit',
  maxPollRecords: 50,
  // Who is still there keeps what it has when another dies or comes.
  assignor: stickyAssignor,
})

/** Who takes over a partition goes on where the result for it ends, wherever the group's own commit stands. */
export const listenerFor =
  (desk: Desk): RebalanceListener<LogRecord> =>
  async (partitions, consumer) => {
    for (const { topic, partition } of partitions)
      consumer.seek(topic as RequestsTopic, partition, await desk.nextOffset(partition))
  }

/** Until the consumer is closed. A member keeps nothing between two batches, so nothing but a batch dies with it. */
export async function rebuildSessions(consumer: Consumer<LogRecord>, desk: Desk): Promise<void> {
  while (!consumer.closed) {
    const batch = await consumer.poll()
    if (batch.length === 0) continue
    const addresses = new Set(batch.flatMap(({ value: { request } }) => request?.address ?? []))
    const known = await desk.visitors([...addresses])
    const visitors = new Map(known.map(visitor => [visitor.address, visitor]))
    for (const [index, record] of batch.entries()) {
      desk.saw(record, index + 1, batch.length)
      if (consumer.closed) return
      const { request } = record.value
      if (request !== undefined) visitors.set(request.address, visit(visitors.get(request.address), request))
    }
    await desk.save(batch, [...visitors.values()])
    await consumer.commit(batch)
  }
}
