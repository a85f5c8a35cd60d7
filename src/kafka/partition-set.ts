/** Partitions of a topic, by the id that the cluster gave it. */
export interface TopicIdPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

/** A set of partitions, by the ids of their topics. */
export class PartitionSet {
  readonly #byTopic = new Map<string, Set<number>>()
  #size = 0

  constructor(of: readonly TopicIdPartitions[] = []) {
    for (const { topicId, partitions } of of) for (const partition of partitions) this.add(topicId, partition)
  }

  get size(): number {
    return this.#size
  }
  has(topicId: string, partition: number): boolean {
    return this.#byTopic.get(topicId)?.has(partition) ?? false
  }
  add(topicId: string, partition: number): void {
    const partitions = this.#byTopic.get(topicId) ?? new Set()
    this.#byTopic.set(topicId, partitions)
    if (!partitions.has(partition)) this.#size++
    partitions.add(partition)
  }
  delete(topicId: string, partition: number): boolean {
    const partitions = this.#byTopic.get(topicId)
    if (partitions?.delete(partition) !== true) return false
    this.#size--
    if (partitions.size === 0) this.#byTopic.delete(topicId)
    return true
  }
  clear(): void {
    this.#byTopic.clear()
    this.#size = 0
  }

  list(): TopicIdPartitions[] {
    return [...this.#byTopic].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions] }))
  }
  /** What is here and not there. */
  without(other: PartitionSet): TopicIdPartitions[] {
    return this.list()
      .map(({ topicId, partitions }) => ({ topicId, partitions: partitions.filter(one => !other.has(topicId, one)) }))
      .filter(({ partitions }) => partitions.length > 0)
  }
  equals(other: PartitionSet): boolean {
    return this.#size === other.#size && this.without(other).length === 0
  }
}
