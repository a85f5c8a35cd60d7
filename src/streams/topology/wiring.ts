import { MillraceError } from '../../index.js'
import type { Operator } from '../operators/operator.js'
import type { Callback } from '../record.js'
import { isDynamic, type PhysicalNode, type ProcessorNode, type SinkNode, type SourceNode } from './nodes.js'
import type { GlobalStore, RepartitionTopic, Subtopology, TopicReference, TopologyPlan } from './plan.js'
import type { StoreSpec } from './store-spec.js'

interface ConnectedStore {
  readonly spec: StoreSpec
  readonly processors: string[]
}

/**
 * Takes sources, processors, sinks and stores, parents first, and tells which of them are connected. Kafka:
 * InternalTopologyBuilder.
 */
export class Wiring {
  readonly #nodes = new Map<string, PhysicalNode>()
  readonly #stores = new Map<string, ConnectedStore>()
  readonly #internalTopics = new Map<string, number | undefined>()
  readonly #topicsTaken = new Set<string>()
  readonly #globals: Omit<GlobalStore, 'id'>[] = []
  readonly #copartitioned: ReadonlySet<string>[] = []
  readonly #united = new Map<string, string>()

  // ── what is added ──

  addInternalTopic(name: string, partitions?: number): void {
    this.#internalTopics.set(name, partitions)
  }

  addSource(
    name: string,
    topics: readonly string[],
    options: Partial<Pick<SourceNode, 'from' | 'timestamp' | 'format'>> = {},
  ): void {
    this.#checkNode(name)
    for (const topic of topics) this.#take(topic)
    const { from, timestamp, format } = options
    this.#add({ kind: 'source', name, topics: topics.map(topic => this.#reference(topic)), from, timestamp, format })
  }

  addProcessor(
    name: string,
    make: () => Operator,
    parents: readonly string[],
    stores: readonly StoreSpec[] = [],
  ): void {
    this.#checkNode(name)
    this.#add({ kind: 'processor', name, make, parents, stores: new Set() })
    for (const spec of stores) this.addStore(spec, [name])
  }

  addSink(
    name: string,
    topic: string | Callback<any, string | null, string>,
    parents: readonly string[],
    { partition, format }: Partial<Pick<SinkNode, 'partition' | 'format'>> = {},
  ): void {
    this.#checkNode(name)
    const target = typeof topic === 'string' ? this.#reference(topic) : topic
    this.#add({ kind: 'sink', name, topic: target, parents, partition, format })
  }

  addStore(spec: StoreSpec, processors: readonly string[] = []): void {
    if (this.#stores.get(spec.name)?.spec !== spec) {
      this.#checkStore(spec)
      this.#stores.set(spec.name, { spec, processors: [] })
    }
    for (const processor of processors) this.connect(processor, [spec.name])
  }

  /** Who share a store are one sub-topology. */
  connect(processor: string, stores: Iterable<string>): void {
    const node = this.#nodes.get(processor) as ProcessorNode
    for (const store of stores) {
      const connected = this.#stores.get(store)
      if (connected === undefined)
        throw new MillraceError('TOPOLOGY', { reason: `${processor} uses store ${store}, which nothing has added` })
      if (connected.processors.length > 0) this.#unite(connected.processors[0]!, processor)
      connected.processors.push(processor)
      ;(node.stores as Set<string>).add(store)
    }
  }

  addGlobalStore(sourceNode: string, processorNode: string, topic: string, spec: StoreSpec): void {
    this.#checkNode(sourceNode)
    this.#checkNode(processorNode)
    this.#take(topic)
    this.#checkStore(spec)
    this.#add({
      kind: 'source',
      name: sourceNode,
      topics: [this.#reference(topic)],
      from: undefined,
      timestamp: undefined,
      format: undefined,
    })
    this.#add({
      kind: 'processor',
      name: processorNode,
      make: neverMade,
      parents: [sourceNode],
      stores: new Set([spec.name]),
    })
    this.#globals.push({
      topic: this.#reference(topic),
      store: spec.name,
      spec,
      codec: spec.codec,
      sourceNode,
      processorNode,
    })
  }

  /** Joined with one another: their topics must have as many partitions. */
  copartition(sourceNodes: ReadonlySet<string>): void {
    this.#copartitioned.push(sourceNodes)
  }

  // ── what comes of it ──

  /** Groups are numbered by their first node, global ones too. Kafka: makeNodeGroups. */
  plan(): TopologyPlan {
    const groups = new Map<string, PhysicalNode[]>()
    for (const node of this.#nodes.values()) {
      const root = this.#root(node.name)
      groups.set(root, [...(groups.get(root) ?? []), node])
    }
    const subtopologies: Subtopology[] = []
    const globalStores: GlobalStore[] = []
    let id = 0
    for (const nodes of groups.values()) {
      const global = this.#globals.find(({ sourceNode }) => nodes.some(({ name }) => name === sourceNode))
      if (global === undefined) subtopologies.push(this.#subtopology(id, nodes))
      else globalStores.push({ ...global, id })
      id++
    }
    return { subtopologies, globalStores, repartitionTopics: this.#repartitionTopics() }
  }

  #subtopology(id: number, nodes: readonly PhysicalNode[]): Subtopology {
    const sources = nodes.filter(node => node.kind === 'source')
    const sinks = nodes.filter(node => node.kind === 'sink')
    if (sources.length === 0)
      throw new MillraceError('TOPOLOGY', { reason: `no topic leads to ${nodes.map(({ name }) => name).join(', ')}` })
    const names = new Set(nodes.flatMap(node => (node.kind === 'processor' ? [...node.stores] : [])))
    const stores = [...this.#stores.values()].map(({ spec }) => spec).filter(({ name }) => names.has(name))
    const logged = stores.filter(({ logging }) => logging)
    const copartitioned = this.#copartitioned
      .map(joined => sources.filter(({ name }) => joined.has(name)).flatMap(({ topics }) => topics))
      .filter(topics => topics.length > 1)
    for (const topics of copartitioned) this.#checkCopartitioned(topics)
    return {
      id,
      nodes,
      stores,
      sources: sources.flatMap(({ topics, from }) => topics.map(topic => ({ topic, from }))),
      sinks: unique(sinks.flatMap(({ topic }) => (isDynamic(topic) ? [] : [topic]))),
      dynamicSink: sinks.some(({ topic }) => isDynamic(topic)),
      changelogs: [
        ...logged.map(({ name }) => ({ topic: { name: `${name}-changelog`, internal: true }, store: name })),
        { topic: { name: `${id}-time-changelog`, internal: true }, store: undefined },
      ],
      copartitioned,
    }
  }

  /** What is known before any topic is looked at. Kafka: validateCopartition. */
  #checkCopartitioned(topics: readonly TopicReference[]): void {
    const told = topics
      .map(({ name }) => ({ name, partitions: this.#internalTopics.get(name) }))
      .filter(({ partitions }) => partitions !== undefined)
    if (new Set(told.map(({ partitions }) => partitions)).size > 1)
      throw new MillraceError('TOPOLOGY', {
        reason: `topics that are joined need as many partitions as one another: ${told.map(({ name, partitions }) => `${name} has ${partitions}`).join(', ')}`,
      })
  }

  #repartitionTopics(): RepartitionTopic[] {
    return [...this.#internalTopics].map(([name, partitions]) => ({ topic: { name, internal: true }, partitions }))
  }

  #add(node: PhysicalNode): void {
    this.#nodes.set(node.name, node)
    this.#united.set(node.name, node.name)
    if (node.kind !== 'source') for (const parent of node.parents) this.#unite(node.name, parent)
  }
  #checkNode(name: string): void {
    if (this.#nodes.has(name))
      throw new MillraceError('INVALID_CONFIG', {
        option: 'name',
        value: name,
        expected: 'a name that no other operation of the topology has',
      })
  }
  #checkStore({ name }: StoreSpec): void {
    if (this.#stores.has(name) || this.#globals.some(({ store }) => store === name))
      throw new MillraceError('INVALID_CONFIG', {
        option: 'store',
        value: name,
        expected: 'a name that no other store of the topology has',
      })
  }
  #take(topic: string): void {
    if (this.#topicsTaken.has(topic))
      throw new MillraceError('TOPOLOGY', {
        reason: `topic ${topic} is read by two sources; make a stream or a table of it once, and use that twice`,
      })
    this.#topicsTaken.add(topic)
  }
  #reference(name: string): TopicReference {
    return { name, internal: this.#internalTopics.has(name) }
  }

  #root(node: string): string {
    let root = node
    while (this.#united.get(root) !== root) root = this.#united.get(root)!
    return root
  }
  #unite(one: string, other: string): void {
    this.#united.set(this.#root(one), this.#root(other))
  }
}

function unique(topics: readonly TopicReference[]): TopicReference[] {
  return [...new Map(topics.map(topic => [`${topic.internal}${topic.name}`, topic])).values()]
}

/** A global table's processor is no operator of a task: the shell fills its store. */
function neverMade(): never {
  throw new TypeError('A global store has no task')
}
