import type { ConsumerRecord, TopicPartition } from '../index.js'

/** A record that was put aside, and the member that did. */
interface Burial extends TopicPartition {
  readonly offset: number
  readonly group: string
  readonly memberId: string
}

/** Tells dead letters from what else is published, and who has buried them. */
export class DeadLetters {
  /** Who was last assigned a partition, by group and partition. */
  readonly #assigned = new Map<string, string | undefined>()
  /** Who was last handed a record, by group and record; nobody once it is a dead letter. */
  readonly #lastHolder = new Map<string, string | undefined>()

  assigned(group: string, memberId: string | undefined, partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#assigned.set(`${group}/${topic}-${partition}`, memberId)
  }
  handedOut(group: string, memberId: string | undefined, topic: string, partition: number, offset: number): void {
    this.#lastHolder.set(`${group}/${topic}-${partition}@${offset}`, memberId ?? '')
  }

  /** A dead letter says itself where it comes from (KIP-1191). Undefined for what is none. */
  burial(record: ConsumerRecord<unknown, any>): Burial | undefined {
    if (record.headers.length === 0) return undefined
    const headers = new Map(record.headers.filter(([name]) => name.startsWith('__dlq.errors.')))
    const [topic, partition, offset, group] = ['topic', 'partition', 'offset', 'group'].map(name =>
      headers.get(`__dlq.errors.${name}`),
    )
    if (typeof topic !== 'string' || typeof group !== 'string') return undefined
    const id = `${group}/${topic}-${partition}@${offset}`
    // One that is published once more, headers and all, is not buried again.
    if (this.#lastHolder.has(id) && this.#lastHolder.get(id) === undefined) return undefined
    // What can't be decoded is handed to nobody.
    const memberId = this.#lastHolder.get(id) ?? this.#assigned.get(`${group}/${topic}-${partition}`) ?? ''
    this.#lastHolder.set(id, undefined)
    return { topic, partition: Number(partition), offset: Number(offset), group, memberId }
  }
}
