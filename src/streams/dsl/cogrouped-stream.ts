import type { Aggregator } from '../operators/aggregator.js'
import { CogroupMerge } from '../operators/cogroup-merge.js'
import { KeyAggregate } from '../operators/key-aggregate.js'
import { StreamAggregate } from '../operators/stream-aggregate.js'
import { storeView } from '../operators/table-supplier.js'
import { checkFunction, checkStoreOptions, type Named, refuse, type StoreOptions } from '../store-options.js'
import type { GraphNode } from '../topology/graph.js'
import type { StoreSpec } from '../topology/store-spec.js'
import { graceAfterEnd, retentionOf } from '../windows.js'
import type { GroupedStream } from './grouped-stream.js'
import type { CogroupedKStream } from './kstream.js'
import type { Program } from './program.js'
import { GroupingStart } from './repartition.js'
import { rowsSpec, windowsSpec } from './store-specs.js'
import { checkedWindows, type Windows, windowAggregate } from './windowed-stream.js'

type Options = Named & StoreOptions<any>
type Part = Pick<Aggregator, 'initial' | 'merge'>
const prefix = 'COGROUPKSTREAM-AGGREGATE-'

/** Several groupings that sum up into one table. Kafka: CogroupedKStreamImpl, CogroupedStreamAggregateBuilder. */
export class CogroupedStream implements CogroupedKStream<any, any> {
  readonly #program: Program
  readonly #groups = new Map<GroupedStream, Aggregator['add']>()
  /** Repartitions of this cogroup, which its tables share. */
  readonly #made = new Map<GroupingStart, GraphNode>()

  constructor(program: Program) {
    this.#program = program
  }

  cogroup(grouped: any, add: Aggregator['add']): any {
    this.#program.checkOpen('cogroup()')
    if (!(grouped?.start instanceof GroupingStart))
      refuse('grouped of cogroup()', grouped, 'a stream grouped by groupBy() or groupByKey()')
    this.#program.checkOwn('cogroup()', grouped.program)
    checkFunction('add of cogroup()', add)
    this.#groups.set(grouped, add)
    return this
  }

  aggregate(initial: () => unknown, options: Options = {}): any {
    this.#check(initial, options)
    const store = options.store ?? this.#program.naming.store(prefix)
    const spec = rowsSpec(store, options)
    return this.#build(options.name, spec, undefined, add => {
      const aggregator: Aggregator = { initial, add }
      return new StreamAggregate(old => new KeyAggregate(store, aggregator, old), spec, storeView(store))
    })
  }

  windowedBy(given: any): any {
    this.#program.checkOpen('windowedBy()')
    const windows = checkedWindows(given)
    return {
      aggregate: (initial: () => unknown, ...rest: any[]) => {
        const [merge, options] = windows.kind === 'session' ? rest : [undefined, rest[0]]
        if (windows.kind === 'session') checkFunction('merge of aggregate()', merge)
        return this.#windowed(windows, { initial, merge }, options)
      },
    }
  }
  #windowed(windows: Windows, part: Part, options: Options = {}): unknown {
    this.#check(part.initial, options)
    retentionOf(windows, options.retentionMs)
    const store = options.store ?? this.#program.naming.store(prefix)
    const spec = windowsSpec(store, options, windows)
    return this.#build(options.name, spec, graceAfterEnd(windows), add =>
      windowAggregate(windows, { ...part, add }, spec, false),
    )
  }

  #check(initial: unknown, options: Options): void {
    this.#program.checkOpen('aggregate()')
    checkFunction('initial of aggregate()', initial)
    checkStoreOptions('options of aggregate()', options)
  }

  #build(
    name: string | undefined,
    store: StoreSpec,
    graceMs: number | undefined,
    supplierOf: (add: Aggregator['add']) => StreamAggregate,
  ): unknown {
    const { graph, naming } = this.#program
    const starts = [...this.#groups.keys()].map(({ start }) => start.forCogroup(store.name, this.#made))
    const sources = new Set(starts.flatMap(start => [...start.sources]))
    graph.copartition(sources)
    const parts = [...this.#groups.values()].map((add, i) => {
      const supplier = supplierOf(add)
      const part = naming.suffixedOr(name, `-cogroup-agg-${i}`, prefix)
      const node = graph.add([starts[i]!.node], {
        name: part,
        ...(graceMs !== undefined && { graceMs }),
        write: (wiring, parents) => wiring.addProcessor(part, () => supplier.make(), parents, supplier.stores()),
      })
      return { supplier, node }
    })
    const merge = naming.suffixedOr(name, '-cogroup-merge', 'COGROUPKSTREAM-MERGE-')
    const supplier = new CogroupMerge(parts.map(part => part.supplier))
    const nodes = parts.map(({ node }) => node)
    const node = graph.add(nodes, {
      name: merge,
      write: (wiring, parents) => wiring.addProcessor(merge, () => supplier.make(), parents),
    })
    return this.#program.table({
      name: merge,
      node,
      sources,
      supplier,
      keys: graceMs === undefined ? 'text' : 'windowed',
      codec: store.codec,
    })
  }
}
