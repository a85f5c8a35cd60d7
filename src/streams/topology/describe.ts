import { hashOrder, JavaTreeSet } from './java-order.js'
import { isDynamic, type PhysicalNode } from './nodes.js'
import type { GlobalStore, Subtopology, TopologyPlan } from './plan.js'

/** A node as it is described. Kafka: InternalTopologyBuilder.AbstractNode. */
interface Described {
  readonly node: PhysicalNode
  readonly predecessors: JavaTreeSet<Described>
  readonly successors: JavaTreeSet<Described>
  /** Of all paths from here, counted while they are connected. */
  size: number
}

/** A topology in the words of Kafka's TopologyDescription.toString(), to the letter. */
export function describePlan({ subtopologies, globalStores }: TopologyPlan): string {
  const parts = [
    ...subtopologies.map(subtopology => ({ id: subtopology.id, text: describeSubtopology(subtopology) })),
    ...globalStores.map(store => ({ id: store.id, text: describeGlobalStore(store) })),
  ].sort((one, other) => one.id - other.id)
  return `Topologies:\n ${parts.map(({ text }) => `  ${text}`).join('')}`
}

/** The larger first, then by name. Kafka: NodeComparator. */
function compare(one: Described, other: Described): number {
  if (one === other) return 0
  if (one.size !== other.size) return other.size - one.size
  return one.node.name < other.node.name ? -1 : 1
}

function describeSubtopology({ id, nodes }: Subtopology): string {
  const described = hashOrder(
    nodes.map(node => ({
      node,
      predecessors: new JavaTreeSet(compare),
      successors: new JavaTreeSet(compare),
      size: 1,
    })),
    ({ node }) => node.name,
  )
  const byName = new Map(described.map(one => [one.node.name, one]))
  for (const one of described) {
    if (one.node.kind === 'source') continue
    for (const name of one.node.parents) {
      const parent = byName.get(name)!
      one.predecessors.add(parent)
      parent.successors.add(one)
      grow(parent, one.size)
    }
  }
  const sorted = new JavaTreeSet(compare)
  for (const one of described) sorted.add(one)
  return `Sub-topology: ${id}\n${[...sorted].map(one => `    ${describeNode(one)}\n`).join('')}\n`
}

function grow(node: Described, by: number): void {
  node.size += by
  for (const predecessor of node.predecessors) grow(predecessor, by)
}

function describeNode({ node, predecessors, successors }: Described): string {
  const before = `<-- ${namesOf(predecessors)}`
  const after = `--> ${namesOf(successors)}`
  if (node.kind === 'source') {
    const topics = node.topics.map(({ name }) => name)
    return `Source: ${node.name} (topics: [${hashOrder(topics, topic => topic).join(', ')}])\n      ${after}`
  }
  if (node.kind === 'processor') {
    const stores = hashOrder(node.stores, store => store).join(', ')
    return `Processor: ${node.name} (stores: [${stores}])\n      ${after}\n      ${before}`
  }
  const to = isDynamic(node.topic) ? 'extractor class: a function' : `topic: ${node.topic.name}`
  return `Sink: ${node.name} (${to})\n      ${before}`
}

function namesOf(nodes: Iterable<Described>): string {
  return [...nodes].map(({ node }) => node.name).join(', ') || 'none'
}

function describeGlobalStore({ id, topic, store, sourceNode, processorNode }: GlobalStore): string {
  const source = `Source: ${sourceNode} (topics: [${topic.name}])\n      --> ${processorNode}`
  const processor = `Processor: ${processorNode} (stores: [${store}])\n      --> none\n      <-- ${sourceNode}`
  return `Sub-topology: ${id} for global store (will not generate tasks)\n    ${source}\n    ${processor}\n`
}
