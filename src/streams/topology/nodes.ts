import type { Codec } from '../../index.js'
import type { Operator } from '../operators/operator.js'
import type { Callback } from '../record.js'
import type { TopicReference } from './plan.js'

/** What a sub-topology is made of: as Kafka's TopologyDescription has them. */
export type PhysicalNode = SourceNode | ProcessorNode | SinkNode

export interface SourceNode {
  readonly kind: 'source'
  readonly name: string
  readonly topics: readonly TopicReference[]
  readonly from: 'earliest' | 'latest' | undefined
  readonly timestamp: Callback<any, string | null, number> | undefined
  /** Of a repartition topic, whose values are its bytes as base64 text. */
  readonly codec: Codec<any> | undefined
}
export interface ProcessorNode {
  readonly kind: 'processor'
  readonly name: string
  readonly parents: readonly string[]
  /** A new one for each task. */
  readonly make: () => Operator
  readonly stores: ReadonlySet<string>
}
export interface SinkNode {
  readonly kind: 'sink'
  readonly name: string
  readonly parents: readonly string[]
  /** A topic, or what chooses it record by record. */
  readonly topic: TopicReference | Callback<any, string | null, string>
  /** Undefined from it, or without it: as the topic's partitioner says. */
  readonly partition: Callback<any, string | null, number | undefined> | undefined
  /** Of a repartition topic. */
  readonly codec: Codec<any> | undefined
}

export const isDynamic = (
  topic: TopicReference | Callback<any, string | null, string>,
): topic is Callback<any, string | null, string> => typeof topic === 'function'
