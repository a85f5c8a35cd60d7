import { elapsedMs } from './elapsed.js'
import type { Kafka } from './platformatic.js'

/** A partition as the cluster's metadata has it. */
interface PartitionMetadata {
  /** The broker that leads it; -1 while there is none. */
  readonly leader: number
}
export interface TopicMetadata {
  readonly name: string
  readonly id: string
  readonly partitions: readonly PartitionMetadata[]
}
type AnsweredTopic = ReturnType<Kafka['metadataV12']['parseResponse']>['topics'][number]

/** Kafka: UNKNOWN_TOPIC_OR_PARTITION */
export const notThere = 3

/** What was last heard of topics, and which of that is known to be old. */
export class KnownTopics {
  readonly #topics = new Map<string, TopicMetadata & { readonly heardAt: number }>()
  readonly #names = new Map<string, string>()
  /** Why a topic is not known, by Kafka's number. */
  readonly #refused = new Map<string, number>()

  get(name: string): TopicMetadata | undefined {
    return this.#topics.get(name)
  }
  nameOf(id: string): string | undefined {
    return this.#names.get(id)
  }
  /** Kafka's number of the error that the cluster has answered with. */
  refusalOf(name: string): number {
    return this.#refused.get(name) ?? notThere
  }

  /** When it was heard of; undefined for what is not known, or known to be old. */
  heardAt(name: string): number | undefined {
    return this.#topics.get(name)?.heardAt || undefined
  }
  outdate(name: string): void {
    const known = this.#topics.get(name)
    if (known !== undefined) this.#topics.set(name, { ...known, heardAt: 0 })
  }

  hear({ name, topicId, errorCode, partitions }: AnsweredTopic): void {
    if (typeof name !== 'string') return
    const known = this.#topics.get(name)
    // One that was made again under the name has another id.
    if (known !== undefined) this.#names.delete(known.id)
    if (errorCode !== 0 || partitions.length === 0) {
      this.#topics.delete(name)
      this.#refused.set(name, errorCode === 0 ? notThere : errorCode)
      return
    }
    const list: PartitionMetadata[] = []
    for (const { partitionIndex, leaderId } of partitions) list[partitionIndex] = { leader: leaderId }
    this.#refused.delete(name)
    this.#topics.set(name, { name, id: topicId, partitions: list, heardAt: elapsedMs() })
    this.#names.set(topicId, name)
  }
}
