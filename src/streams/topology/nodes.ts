import type { Operator } from '../operators/operator.js'
import type { Callback } from '../record.js'
import type { ValueFormat } from '../stores/store.js'
import type { TopicReference } from './plan.js'

/** What a sub-topology is made of: as Kafka's TopologyDescription has them. */
export type PhysicalNode = SourceNode | ProcessorNode | SinkNode

export interface SourceNode {
  readonly kind: 'source'
  readonly name: string
  readonly topics: readonly TopicReference[]
  readonly from: 'earliest' | 'latest' | undefined
  readonly timestamp: Callback<any, string | null, number> | undefined
  /** Of the values of a repartition topic. */
  readonly format: ValueFormat | undefined
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
  /** Of the values of a repartition topic. */
  readonly format: ValueFormat | undefined
}

export const isDynamic = (
  topic: TopicReference | Callback<any, string | null, string>,
): topic is Callback<any, string | null, string> => typeof topic === 'function'
