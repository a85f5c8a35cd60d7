// A built topology as data, as tasks and shells read it: it has no state and knows no time.
import type { Codec } from '../../index.js'
import type { PhysicalNode } from './nodes.js'
import type { StoreSpec } from './store-spec.js'

/** A topic of the user's, or (internal) one of the application's own: `<applicationId>-<name>`. */
export interface TopicReference {
  readonly name: string
  readonly internal: boolean
}
/** The name that the broker knows it by. */
export function topicName({ name, internal }: TopicReference, applicationId: string): string {
  return internal ? `${applicationId}-${name}` : name
}

export interface TopologyPlan {
  readonly subtopologies: readonly Subtopology[]
  readonly globalStores: readonly GlobalStore[]
  /** The topics that the application makes to send records through; see partitionCounts(). */
  readonly repartitionTopics: readonly RepartitionTopic[]
}

/** Nodes that are connected, so that one task works on a partition of each of their topics. */
export interface Subtopology {
  readonly id: number
  /** All topics that it reads, repartition topics included. */
  readonly sources: readonly SourceTopic[]
  /** The topics that it writes to and that are known beforehand, repartition topics included. */
  readonly sinks: readonly TopicReference[]
  /** Whether a sink chooses its topic record by record. */
  readonly dynamicSink: boolean
  /** Of its stores that are logged, and of its time (the last one). Compacted, as many partitions as it has tasks. */
  readonly changelogs: readonly Changelog[]
  /** Sets of its sources' topics that must have as many partitions, because they are joined. */
  readonly copartitioned: readonly (readonly TopicReference[])[]
  /** Parents before children. */
  readonly nodes: readonly PhysicalNode[]
  readonly stores: readonly StoreSpec[]
}
export interface SourceTopic {
  readonly topic: TopicReference
  /** Where to start without a committed offset. @default as the group says: 'earliest' */
  readonly from: 'earliest' | 'latest' | undefined
}
export interface Changelog {
  readonly topic: TopicReference
  /** Undefined: the time changelog. */
  readonly store: string | undefined
}
export interface RepartitionTopic {
  readonly topic: TopicReference
  /** @default as many as the topics upstream have at most */
  readonly partitions: number | undefined
}
/** A topic that every instance reads whole into a store. */
export interface GlobalStore {
  readonly id: number
  readonly topic: TopicReference
  readonly store: string
  readonly spec: StoreSpec
  readonly codec: Codec<any> | undefined
  readonly sourceNode: string
  readonly processorNode: string
}
