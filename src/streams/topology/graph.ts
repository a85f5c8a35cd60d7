import { MillraceError } from '../../index.js'
import type { SourceNode } from './nodes.js'
import type { TopologyPlan } from './plan.js'
import { Wiring } from './wiring.js'

/** What a repartition node does with records without a key, decided when all that follows is known. */
export interface NullKeys {
  kept: boolean
}

export interface GraphNodeOptions {
  readonly name: string
  /** Adds what it stands for to the wiring; `parents` are the names of the nodes before it. */
  readonly write: (wiring: Wiring, parents: readonly string[]) => void
  /** A left or outer join, which takes records without a key (KIP-962). */
  readonly takesNullKeys?: boolean
  /** Of a windowed aggregate: how long after its end a window takes records. Kafka: GracePeriodGraphNode. */
  readonly graceMs?: number
  /** Of a repartition node. */
  readonly nullKeys?: NullKeys
}

/** One operation of the DSL, which may be several nodes of the topology. Kafka: GraphNode. */
export class GraphNode {
  readonly name: string
  readonly parents: Set<GraphNode> = new Set()
  readonly children: Set<GraphNode> = new Set()
  readonly options: GraphNodeOptions
  /** Nodes are written in the order in which the program made them, as far as parents come first. */
  priority: number

  constructor(options: GraphNodeOptions, priority: number) {
    this.name = options.name
    this.options = options
    this.priority = priority
  }
}

/** The source of stream(): those of the same topics are one. */
class StreamSourceNode extends GraphNode {
  readonly topics: readonly string[]
  readonly from: SourceNode['from']

  constructor(
    name: string,
    topics: readonly string[],
    options: Pick<SourceNode, 'from' | 'timestamp'>,
    priority: number,
  ) {
    super({ name, write: wiring => wiring.addSource(name, topics, options) }, priority)
    this.topics = topics
    this.from = options.from
  }
}

/** What a program has said, before it is put into nodes. Kafka: InternalStreamsBuilder with topology.optimization=none. */
export class Graph {
  readonly #roots = new Set<GraphNode>()
  /** Sources that have become part of another one, by their names. */
  readonly #merged = new Map<string, string>()
  readonly #internalTopics: string[] = []
  readonly #copartitioned: ReadonlySet<string>[] = []
  #priority = 0

  add(parents: readonly GraphNode[], options: GraphNodeOptions): GraphNode {
    return this.#attach(parents, new GraphNode(options, this.#priority++))
  }
  /** As Kafka does with the repartition node of a named grouping at each use: it moves back in the order. */
  addAgain(node: GraphNode): void {
    node.priority = this.#priority++
  }
  addRoot(options: GraphNodeOptions): GraphNode {
    return this.add([], options)
  }
  addStreamSource(name: string, topics: readonly string[], options: Pick<SourceNode, 'from' | 'timestamp'>): GraphNode {
    return this.#attach([], new StreamSourceNode(name, topics, options, this.#priority++))
  }
  /** An internal topic that no repartition node brings along (foreign-key joins). */
  addInternalTopic(name: string): void {
    this.#internalTopics.push(name)
  }
  /** The topics of these sources are joined with one another. */
  copartition(sources: Iterable<string>): void {
    this.#copartitioned.push(new Set(sources))
  }

  /** Kafka: buildAndOptimizeTopology. */
  plan(): TopologyPlan {
    this.#mergeSources()
    this.#keepNullKeys()
    const wiring = new Wiring()
    for (const name of this.#internalTopics) wiring.addInternalTopic(name)
    for (const node of this.#inOrder())
      node.options.write(
        wiring,
        [...node.parents].map(({ name }) => name),
      )
    for (const sources of this.#copartitioned)
      wiring.copartition(new Set([...sources].map(name => this.#merged.get(name) ?? name)))
    return wiring.plan()
  }

  #attach<N extends GraphNode>(parents: readonly GraphNode[], node: N): N {
    if (parents.length === 0) this.#roots.add(node)
    for (const parent of parents) {
      parent.children.add(node)
      node.parents.add(parent)
    }
    return node
  }

  /** Kafka: mergeDuplicateSourceNodes; the `timestamp` of the first one counts. */
  #mergeSources(): void {
    const byTopic = new Map<string, StreamSourceNode>()
    for (const node of this.#roots) {
      if (!(node instanceof StreamSourceNode)) continue
      const first = node.topics.map(topic => byTopic.get(topic)).find(source => source !== undefined)
      if (first === undefined) for (const topic of node.topics) byTopic.set(topic, node)
      else this.#merge(first, node)
    }
  }
  #merge(first: StreamSourceNode, node: StreamSourceNode): void {
    if (first.topics.length !== node.topics.length || !first.topics.every(topic => node.topics.includes(topic)))
      throw new MillraceError('TOPOLOGY', {
        reason: `${first.name} reads ${first.topics.join(', ')} and ${node.name} reads ${node.topics.join(', ')}: two streams read the same topics or none in common`,
      })
    if (first.from !== node.from)
      throw new MillraceError('TOPOLOGY', {
        reason: `${first.name} and ${node.name} read ${node.topics.join(', ')} and begin at different ends (from)`,
      })
    this.#merged.set(node.name, first.name)
    this.#roots.delete(node)
    for (const child of node.children) {
      child.parents.delete(node)
      child.parents.add(first)
      first.children.add(child)
    }
  }

  /** Before a left or outer join a repartition node keeps records without a key. Kafka: rewriteRepartitionNodes, KIP-962. */
  #keepNullKeys(): void {
    const taken = new Map<GraphNode, boolean>()
    const takes = (node: GraphNode): boolean => {
      let found = taken.get(node)
      if (found !== undefined) return found
      found = false
      for (const child of node.children) {
        const below = takes(child)
        found ||= below || child.options.takesNullKeys === true
      }
      taken.set(node, found)
      if (node.options.nullKeys !== undefined) node.options.nullKeys.kept = found
      return found
    }
    for (const root of this.#roots) takes(root)
  }

  /** Parents first, then as the program has them. */
  #inOrder(): GraphNode[] {
    const order: GraphNode[] = []
    const written = new Set<GraphNode>()
    const waiting = [...this.#roots]
    while (waiting.length > 0) {
      let first = 0
      for (let i = 1; i < waiting.length; i++) if (waiting[i]!.priority < waiting[first]!.priority) first = i
      const [node] = waiting.splice(first, 1) as [GraphNode]
      if (written.has(node)) continue
      if (![...node.parents].every(parent => written.has(parent))) continue
      written.add(node)
      order.push(node)
      waiting.push(...node.children)
    }
    return order
  }
}
