import type { TopicPartition } from '../index.js'

/** As what is kept by partition is found. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`

/** As requests list partitions. */
export function byTopic<Where extends TopicPartition, T>(
  wanted: readonly Where[],
  entry: (where: Where) => T,
): { name: string; partitions: T[] }[] {
  const topics = new Map<string, T[]>()
  for (const where of wanted) {
    const partitions = topics.get(where.topic) ?? []
    topics.set(where.topic, partitions)
    partitions.push(entry(where))
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }))
}
