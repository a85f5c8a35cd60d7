import { isDynamic, type PhysicalNode } from './nodes.js'
import type { GlobalStore, Subtopology, TopicReference, TopologyPlan } from './plan.js'

/** A topology as a flowchart: a box per sub-topology, topics between them, stores beside who uses them. */
export function mermaidOf({ subtopologies, globalStores }: TopologyPlan): string {
  const ids = new Ids()
  const boxes = [
    ...subtopologies.map(subtopology => ({ id: subtopology.id, lines: boxOf(subtopology, ids) })),
    ...globalStores.map(store => ({ id: store.id, lines: globalBox(store, ids) })),
  ].sort((one, other) => one.id - other.id)
  const edges = [
    ...subtopologies.flatMap(({ nodes }) => nodes.flatMap(node => topicEdges(node, ids))),
    ...globalStores.map(({ topic, sourceNode }) => `${ids.topic(topic)} --> ${ids.node(sourceNode)}`),
  ]
  const topics = [...ids.topics].map(([name, id]) => `${id}([${quoted(name)}])`)
  return ['flowchart TB', ...indented([...topics, ...boxes.flatMap(({ lines }) => lines), ...edges])].join('\n')
}

/** Short names, since Mermaid has no use for those of nodes and topics as they are. */
class Ids {
  readonly topics = new Map<string, string>()
  readonly #nodes = new Map<string, string>()
  readonly #stores = new Map<string, string>()

  topic = ({ name }: TopicReference): string => idIn(this.topics, name, 't')
  node = (name: string): string => idIn(this.#nodes, name, 'n')
  store = (name: string): string => idIn(this.#stores, name, 's')
}
function idIn(ids: Map<string, string>, name: string, letter: string): string {
  const id = ids.get(name) ?? `${letter}${ids.size}`
  ids.set(name, id)
  return id
}

function boxOf({ id, nodes, stores }: Subtopology, ids: Ids): string[] {
  const inside = [
    ...nodes.map(({ name }) => `${ids.node(name)}[${quoted(name)}]`),
    ...stores.map(({ name }) => `${ids.store(name)}[(${quoted(name)})]`),
    ...nodes.flatMap(node => (node.kind === 'source' ? [] : parentEdges(node.name, node.parents, ids))),
    ...nodes.flatMap(node => (node.kind === 'processor' ? storeEdges(node.name, node.stores, ids) : [])),
  ]
  return [`subgraph sub${id}[${quoted(`Sub-topology: ${id}`)}]`, ...indented(inside), 'end']
}
function globalBox({ id, store, sourceNode, processorNode }: GlobalStore, ids: Ids): string[] {
  const inside = [
    `${ids.node(sourceNode)}[${quoted(sourceNode)}]`,
    `${ids.node(processorNode)}[${quoted(processorNode)}]`,
    `${ids.store(store)}[(${quoted(store)})]`,
    ...parentEdges(processorNode, [sourceNode], ids),
    ...storeEdges(processorNode, [store], ids),
  ]
  return [`subgraph sub${id}[${quoted(`Sub-topology: ${id} (global store)`)}]`, ...indented(inside), 'end']
}

const parentEdges = (name: string, parents: readonly string[], ids: Ids): string[] =>
  parents.map(parent => `${ids.node(parent)} --> ${ids.node(name)}`)
const storeEdges = (name: string, stores: Iterable<string>, ids: Ids): string[] =>
  Array.from(stores, store => `${ids.node(name)} -.- ${ids.store(store)}`)

function topicEdges(node: PhysicalNode, ids: Ids): string[] {
  if (node.kind === 'source') return node.topics.map(topic => `${ids.topic(topic)} --> ${ids.node(node.name)}`)
  if (node.kind === 'processor') return []
  const topic = isDynamic(node.topic) ? { name: '(chosen by record)', internal: false } : node.topic
  return [`${ids.node(node.name)} --> ${ids.topic(topic)}`]
}

const quoted = (text: string): string => `"${text.replaceAll('"', '#quot;')}"`
const indented = (lines: readonly string[]): string[] => lines.map(line => `  ${line}`)
