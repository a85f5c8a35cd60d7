import type { AnyRecord, ConsumerRecord, NextOffset, StartFrom, TopicPartition } from './core/record.js'
import type { Consumer, JoinOptions, ConsumerGroup as PortableConsumerGroup } from './portable.js'

/** Partitions on their way to another owner, and what each waits for. */
export type Moves = readonly (TopicPartition & {
  from: string
  to: string | undefined
  waitingFor: 'records' | 'callback'
})[]

export interface GroupEvents {
  rebalance: { group: string; generation: number; moves: MemoryConsumerGroup['moves'] }
  /**
   * What no call could report: an assignor that failed on a leave, a listener that threw. Without a listener it is
   * thrown in a microtask of its own, uncaught.
   */
  error: { group: string; error: unknown }
  join: { group: string; memberId: string }
  leave: { group: string; memberId: string; reason: 'closed' | 'expelled' | 'crashed' | 'fenced' }
  commit: { group: string; memberId: string | undefined; offsets: readonly NextOffset[] }
  /** A position was out of range, and autoOffsetReset moved it: records that were dropped before they were read are `from`..`to`. */
  reset: { group: string; topic: string; partition: number; from: number; to: number }
}

/** A group in memory: results at once, and members, moves and events to look at. */
export interface MemoryConsumerGroup<R extends AnyRecord = ConsumerRecord> extends PortableConsumerGroup<R> {
  /** Counts the targets: 0 before the first join. Kafka: the group epoch. */
  readonly generation: number
  /** Members, and the seats that static members have left. */
  readonly members: readonly { memberId: string; instanceId?: string; assignment: readonly TopicPartition[] }[]
  readonly moves: Moves
  /** @default memberId: `<group>-0001` and so on */
  join(options?: JoinOptions<R> & { memberId?: string | undefined }): MemoryConsumer<R>
  committed(topic: R['topic'], partition: number): number | undefined
  lag(): number
  resetOffsets(to: StartFrom, where?: readonly TopicPartition[]): void
  /**
   * Kafka: DeleteGroups. Forgets its offsets, holds back no retention any more and frees its id; NON_EMPTY_GROUP while it
   * has members or seats. Afterwards joining it is CLOSED.
   */
  delete(): void
  on<E extends keyof GroupEvents>(event: E, listener: (event: GroupEvents[E]) => void): () => void
}
export interface MemoryConsumer<R extends AnyRecord = ConsumerRecord> extends Consumer<R> {
  readonly memberId: string
  /** As a killed process looks to the others: nothing committed, no callback, its partitions free at once. */
  crash(): void
  /** What maxPollIntervalMs does, now; it rejoins when it comes back. */
  expel(): void
}
