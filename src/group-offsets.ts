import { MillraceError } from './core/errors.js'
import { Offsets } from './core/offsets.js'
import type { PartitionLog } from './core/partition.js'
import type { NextOffset, StartFrom, TopicPartition } from './core/record.js'
import type { InMemoryTopic } from './topic.js'

/** Where a group stands: what it has committed, and where it starts without a commit (groups.md 23, 24). */
export class GroupOffsets {
  readonly #group: string
  readonly #reset: 'earliest' | 'latest' | 'none'
  readonly #committed = new Offsets()
  /** `latest` is resolved once, when the group first assigns a partition, and kept until something is committed. */
  readonly #pins = new Offsets()

  constructor(group: string, reset: 'earliest' | 'latest' | 'none') {
    this.#group = group
    this.#reset = reset
  }

  committed(where: TopicPartition): number | undefined {
    return this.#committed.get(where)
  }
  commit(offsets: readonly NextOffset[]): void {
    for (const entry of offsets) {
      this.#committed.set(entry, entry.nextOffset)
      this.#pins.set(entry, undefined)
    }
  }

  /** Where a new owner starts: committed, else by autoOffsetReset. Throws NO_OFFSET_FOR_PARTITION. */
  start(where: TopicPartition, log: PartitionLog<unknown, any>): number {
    const { topic, partition } = where
    if (this.#reset === 'none' && this.#committed.get(where) === undefined)
      throw new MillraceError('NO_OFFSET_FOR_PARTITION', { group: this.#group, topic, partition })
    return this.next(where, log)
  }
  /** The same where nobody starts; without a commit and a reset what is there counts as unread. */
  next(where: TopicPartition, log: PartitionLog<unknown, any>): number {
    return (
      this.#committed.get(where) ??
      (this.#reset === 'latest' ? (this.#pins.get(where) ?? log.endOffset) : log.startOffset)
    )
  }

  /** A partition is assigned: from here on the group has a place in it. */
  pinLatest(where: TopicPartition, log: PartitionLog<unknown, any>): void {
    if (this.#reset !== 'latest') return
    if (this.#committed.get(where) === undefined && this.#pins.get(where) === undefined)
      this.#pins.set(where, log.endOffset)
  }
  /** What comes while somebody is there to read it is read from its start, also under 'latest'. */
  pinStart(topic: InMemoryTopic<any, any>, from: number): void {
    for (const { index, startOffset } of topic.partitions.slice(from))
      this.#pins.set({ topic: topic.name, partition: index }, startOffset)
  }
  forgetPins(): void {
    this.#pins.clear()
  }

  lag(topics: readonly InMemoryTopic<any, any>[]): number {
    let lag = 0
    for (const topic of topics) {
      for (const log of topic.partitions)
        lag += Math.max(0, log.endOffset - this.next({ topic: topic.name, partition: log.index }, log))
    }
    return lag
  }

  forget(topic: string): void {
    this.#committed.forget(topic)
    this.#pins.forget(topic)
  }
  clear(): void {
    this.#committed.clear()
    this.#pins.clear()
  }
}

/** The offset in a log that is meant. */
export function offsetIn(log: PartitionLog<unknown, any>, to: StartFrom): number {
  if (typeof to === 'number') return to
  if (to === 'earliest') return log.startOffset
  if (to === 'latest') return log.endOffset
  return log.offsetForTimestamp(to.timestamp) ?? log.endOffset
}
