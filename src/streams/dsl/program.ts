import { type Codec, MillraceError } from '../../index.js'
import type { TableSupplier } from '../operators/table-supplier.js'
import { Graph, type GraphNode } from '../topology/graph.js'
import { Naming } from '../topology/naming.js'
import type { StoreSpec } from '../topology/store-spec.js'

/** What a stream or a table is in the graph. */
export interface Place {
  /** Of the node that the next one comes after, unless a repartition is between them. */
  readonly name: string
  readonly node: GraphNode
  /** The names of the sources that lead to it without a repartition. */
  readonly sources: ReadonlySet<string>
}
export interface StreamPlace extends Place {
  /** Whether its keys may not be those that its topic was partitioned by. */
  readonly repartitionRequired: boolean
}
export interface TablePlace extends Place {
  readonly supplier: TableSupplier
  readonly keys: 'text' | 'windowed'
  /** Of its values, where a store or a topic was told. Kafka: valueSerde. */
  readonly codec: Codec<any> | undefined
}
/** Makes what operations give; here, so that the files of streams and tables need not import each other. */
interface Makers {
  stream(program: Program, place: StreamPlace): any
  table(program: Program, place: TablePlace): any
}

/** What the streams and tables of one builder share: the graph they add to, until it is built. */
export class Program {
  readonly graph: Graph = new Graph()
  readonly naming: Naming = new Naming()
  readonly #stores = new Set<StoreSpec>()
  readonly #makers: Makers
  #built = false

  constructor(makers: Makers) {
    this.#makers = makers
  }

  stream(place: StreamPlace): any {
    return this.#makers.stream(this, place)
  }
  table(place: TablePlace): any {
    return this.#makers.table(this, place)
  }

  /** Called by every operation before it changes anything. */
  checkOpen(operation: string): void {
    if (this.#built)
      throw new MillraceError('TOPOLOGY', { reason: `${operation} comes after build(), which fixed the topology` })
  }
  checkOwn(operation: string, other: Program): void {
    if (other !== this)
      throw new MillraceError('TOPOLOGY', {
        reason: `${operation} takes streams and tables of the same StreamsBuilder`,
      })
  }
  close(): void {
    this.#built = true
  }

  /** A store that processors name; each is added once. */
  addStore(spec: StoreSpec): void {
    if (this.#stores.has(spec)) return
    this.#stores.add(spec)
    this.graph.addRoot({ name: spec.name, write: wiring => wiring.addStore(spec) })
  }
}
