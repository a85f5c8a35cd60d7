import { type Codec, MillraceError } from '../../index.js'
import { formatOf } from '../codec-format.js'
import { NullKeyFilter } from '../operators/stateless.js'
import type { Callback } from '../record.js'
import type { GraphNode, GraphNodeOptions, NullKeys } from '../topology/graph.js'
import type { Program } from './program.js'

const suffix = '-repartition'
/** A name that Kafka gave: then the nodes of a repartition get numbers of their own. */
const generated = /^KSTREAM.*-[0-9]{10}$/

export interface RepartitionOptions {
  readonly codec?: Codec<any> | undefined
  readonly partitions?: number | undefined
  readonly partition?: Callback<any, string | null, number> | undefined
}

/**
 * A stream through a topic of the application's own: a filter, a sink and a source. Names are used up even where the
 * node is not added in the end. Kafka: KStreamImpl.createRepartitionedSource.
 */
export function repartitionNode(program: Program, prefix: string, options: RepartitionOptions = {}): GraphNodeOptions {
  const topic = prefix.endsWith(suffix) ? prefix : prefix + suffix
  const { naming } = program
  const numbered = [naming.node('KSTREAM-SINK-'), naming.node('KSTREAM-FILTER-'), naming.node('KSTREAM-SOURCE-')]
  const named = [`${topic}-sink`, `${topic}-filter`, `${topic}-source`]
  const [sink, filter, source] = (generated.test(prefix) ? numbered : named) as [string, string, string]
  const nullKeys: NullKeys = { kept: false }
  const format = formatOf(options.codec)
  return {
    name: source,
    nullKeys,
    write(wiring, parents) {
      wiring.addInternalTopic(topic, options.partitions)
      wiring.addProcessor(filter, () => new NullKeyFilter(nullKeys), parents)
      wiring.addSink(sink, topic, [filter], { partition: options.partition, format })
      wiring.addSource(source, [topic], { format })
    },
  }
}

export function checkPartitions(topic: string, partitions: unknown): void {
  if (partitions !== undefined && (!Number.isSafeInteger(partitions) || (partitions as number) < 1))
    throw new MillraceError('INVALID_PARTITIONS', { topic, partitions: partitions as number })
}

/** Where a grouping's aggregates begin: behind a repartition topic, if its key may have changed. */
export class GroupingStart {
  readonly #program: Program
  readonly #parent: GraphNode
  readonly #sources: ReadonlySet<string>
  readonly #required: boolean
  readonly name: string | undefined
  readonly #codec: Codec<any> | undefined
  #node: GraphNode | undefined

  constructor(
    program: Program,
    from: { readonly node: GraphNode; readonly sources: ReadonlySet<string>; readonly repartitionRequired: boolean },
    { name, codec }: { name?: string | undefined; codec?: Codec<any> | undefined },
  ) {
    this.#program = program
    this.#parent = from.node
    this.#sources = from.sources
    this.#required = from.repartitionRequired
    this.name = name
    this.#codec = codec
  }

  /** For an aggregate with that store. A named grouping has one topic for all its aggregates. Kafka: GroupedStreamAggregateBuilder.build. */
  for(store: string): { readonly node: GraphNode; readonly sources: ReadonlySet<string> } {
    if (!this.#required) return { node: this.#parent, sources: this.#sources }
    const options = repartitionNode(this.#program, this.name ?? store, { codec: this.#codec })
    if (this.#node === undefined || this.name === undefined)
      this.#node = this.#program.graph.add([this.#parent], options)
    else this.#program.graph.addAgain(this.#node)
    return { node: this.#node, sources: new Set([this.#node.name]) }
  }

  /** For a cogroup, whose topic is its own and made once. Kafka: CogroupedStreamAggregateBuilder.processRepartitions. */
  forCogroup(
    store: string,
    made: Map<GroupingStart, GraphNode>,
  ): { readonly node: GraphNode; readonly sources: ReadonlySet<string> } {
    if (!this.#required) return { node: this.#parent, sources: this.#sources }
    const options = repartitionNode(this.#program, this.name ?? store, { codec: this.#codec })
    let node = made.get(this)
    if (node === undefined) {
      node = this.#program.graph.add([this.#parent], options)
      made.set(this, node)
    }
    return { node, sources: new Set([node.name]) }
  }
}
