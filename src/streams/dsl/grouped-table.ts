import { TableAggregate, type TableAggregator } from '../operators/table-aggregate.js'
import { checkFunction, checkStoreOptions, type Named, type StoreOptions } from '../store-options.js'
import type { GraphNode } from '../topology/graph.js'
import type { KGroupedTable } from './ktable.js'
import type { Program } from './program.js'
import { rowsSpec } from './store-specs.js'

type Options = Named & StoreOptions<any>

const aggregatePrefix = 'KTABLE-AGGREGATE-'
const counting: TableAggregator = { initial: () => 0, add: count => count + 1, subtract: count => count - 1 }

/** A table's rows by other keys: always through a topic. Kafka: KGroupedTableImpl. */
export class GroupedTable implements KGroupedTable<any, any> {
  readonly #program: Program
  readonly #parent: GraphNode
  readonly #name: string | undefined
  #repartition: GraphNode | undefined

  constructor(program: Program, parent: GraphNode, name: string | undefined) {
    this.#program = program
    this.#parent = parent
    this.#name = name
  }

  count(options?: Options): any {
    return this.#aggregate('count()', aggregatePrefix, counting, options)
  }
  reduce(add: any, subtract: any, options?: Options): any {
    checkFunction('add of reduce()', add)
    checkFunction('subtract of reduce()', subtract)
    return this.#aggregate('reduce()', 'KTABLE-REDUCE-', { add, subtract }, options)
  }
  aggregate(initial: any, add: any, subtract: any, options?: Options): any {
    checkFunction('initial of aggregate()', initial)
    checkFunction('add of aggregate()', add)
    checkFunction('subtract of aggregate()', subtract)
    return this.#aggregate('aggregate()', aggregatePrefix, { initial, add, subtract }, options)
  }

  #aggregate(operation: string, prefix: string, aggregator: TableAggregator, options: Options = {}): unknown {
    this.#program.checkOpen(operation)
    checkStoreOptions(`options of ${operation}`, options)
    const { naming, graph } = this.#program
    const store = options.store ?? naming.store(aggregatePrefix)
    const sink = naming.suffixedOr(options.name, '-sink', 'KSTREAM-SINK-')
    const source = naming.suffixedOr(options.name, '-source', 'KSTREAM-SOURCE-')
    const name = naming.nodeOr(options.name, prefix)
    const repartition = this.#repartitionBy(`${this.#name ?? store}-repartition`, sink, source)
    const supplier = new TableAggregate(aggregator, rowsSpec(store, options))
    const node = graph.add([repartition], {
      name,
      write: (wiring, parents) => wiring.addProcessor(name, () => supplier.make(), parents, supplier.stores()),
    })
    return this.#program.table({
      name,
      node,
      sources: new Set([repartition.name]),
      supplier,
      keys: 'text',
      codec: options.codec,
    })
  }

  /** A named grouping has one topic for all its aggregates. Kafka: GroupedTableOperationRepartitionNode. */
  #repartitionBy(topic: string, sink: string, source: string): GraphNode {
    const { graph } = this.#program
    if (this.#repartition !== undefined && this.#name !== undefined) {
      graph.addAgain(this.#repartition)
      return this.#repartition
    }
    this.#repartition = graph.add([this.#parent], {
      name: source,
      write(wiring, parents) {
        wiring.addInternalTopic(topic)
        wiring.addSink(sink, topic, parents)
        wiring.addSource(source, [topic])
      },
    })
    return this.#repartition
  }
}
