import type { Operator } from '../operators/operator.js'
import { ProcessOperator } from '../operators/process.js'
import {
  Branch,
  Filter,
  FlatMap,
  FlatMapValues,
  MapRecord,
  MapValues,
  PassThrough,
  Peek,
  SelectKey,
} from '../operators/stateless.js'
import { TableSource } from '../operators/table-source.js'
import { type Store, specOf } from '../store-handles.js'
import {
  checkCodec,
  checkFunction,
  checkOptions,
  checkStoreOptions,
  type Named,
  type Repartitioned,
  refuse,
  type StoreOptions,
} from '../store-options.js'
import type { GraphNode } from '../topology/graph.js'
import { checkName, checkTopic } from '../topology/naming.js'
import type { StoreSpec } from '../topology/store-spec.js'
import { GlobalTable } from './global-table.js'
import { GroupedStream } from './grouped-stream.js'
import type { KStream, SinkOptions, StreamJoinOptions } from './kstream.js'
import { isTablePlace, placeOf } from './places.js'
import type { Place, Program, StreamPlace } from './program.js'
import { checkPartitions, GroupingStart, type RepartitionOptions, repartitionNode } from './repartition.js'
import { rowsSpec } from './store-specs.js'
import { joinStreams } from './stream-stream-join.js'
import { joinGlobalTable, joinTable } from './stream-table-join.js'

type Kind = 'inner' | 'left' | 'outer'

/** Kafka: KStreamImpl. */
export class StreamOf implements KStream<any, any, any>, StreamPlace {
  readonly program: Program
  readonly name: string
  readonly node: GraphNode
  readonly sources: ReadonlySet<string>
  readonly repartitionRequired: boolean
  /** For joins: one is enough for all of them that give it no name. */
  #repartitioned: GraphNode | undefined

  constructor(program: Program, { name, node, sources, repartitionRequired }: StreamPlace) {
    this.program = program
    this.name = name
    this.node = node
    this.sources = sources
    this.repartitionRequired = repartitionRequired
  }

  // ── one record at a time ──

  filter(accept: any, options?: Named): any {
    this.#check('filter()', options, { accept })
    return this.#then(options, 'KSTREAM-FILTER-', () => new Filter(accept, false))
  }
  filterNot(reject: any, options?: Named): any {
    this.#check('filterNot()', options, { reject })
    return this.#then(options, 'KSTREAM-FILTER-', () => new Filter(reject, true))
  }
  mapValues(map: any, options?: Named): any {
    this.#check('mapValues()', options, { map })
    return this.#then(options, 'KSTREAM-MAPVALUES-', () => new MapValues(map))
  }
  flatMapValues(map: any, options?: Named): any {
    this.#check('flatMapValues()', options, { map })
    return this.#then(options, 'KSTREAM-FLATMAPVALUES-', () => new FlatMapValues(map))
  }
  map(map: any, options?: Named): any {
    this.#check('map()', options, { map })
    return this.#then(options, 'KSTREAM-MAP-', () => new MapRecord(map), true)
  }
  flatMap(map: any, options?: Named): any {
    this.#check('flatMap()', options, { map })
    return this.#then(options, 'KSTREAM-FLATMAP-', () => new FlatMap(map), true)
  }
  selectKey(key: any, options?: Named): any {
    this.#check('selectKey()', options, { key })
    return this.#then(options, 'KSTREAM-KEY-SELECT-', () => new SelectKey(key), true)
  }
  peek(look: any, options?: Named): any {
    this.#check('peek()', options, { look })
    return this.#then(options, 'KSTREAM-PEEK-', () => new Peek(look))
  }
  forEach(act: any, options?: Named): void {
    this.#check('forEach()', options, { act })
    this.#then(options, 'KSTREAM-FOREACH-', () => new Peek(act))
  }

  merge(other: any, options?: Named): any {
    this.#check('merge()', options)
    if (!(other instanceof StreamOf)) refuse('other of merge()', other, 'a stream')
    this.program.checkOwn('merge()', other.program)
    const name = this.program.naming.nodeOr(options?.name, 'KSTREAM-MERGE-')
    const node = this.#add([this.node, other.node], name, () => new PassThrough())
    const sources = new Set([...this.sources, ...other.sources])
    const repartitionRequired = this.repartitionRequired || other.repartitionRequired
    return this.program.stream({ name, node, sources, repartitionRequired })
  }

  split(branches: any, options?: Named): any {
    this.#check('split()', options)
    if (typeof branches !== 'object' || branches === null)
      refuse('branches of split()', branches, 'an object of callbacks')
    const named = Object.entries<any>(branches)
    for (const [branch, accept] of named) {
      checkFunction(`${branch} of split()`, accept)
      checkName('branch of split()', branch)
      if (branch === 'rest' || /^\d+$/.test(branch))
        refuse('branch of split()', branch, 'a name that is not rest and not a number')
    }
    const { naming, graph } = this.program
    const splitter = naming.nodeOr(options?.name, 'KSTREAM-BRANCH-')
    const children = named.map(([branch, accept]) => [splitter + branch, accept] as const)
    const parent = this.#add([this.node], splitter, () => new Branch(children, `${splitter}rest`))
    const split: Record<string, unknown> = {}
    for (const branch of [...named.map(([name]) => name), 'rest']) {
      const name = splitter + branch
      naming.node(name)
      const node = graph.add(
        [parent],
        nodeOf(name, () => new PassThrough()),
      )
      split[branch] = this.program.stream({ ...this.#place, name, node })
    }
    return split
  }

  // ── through topics ──

  repartition(options: Repartitioned<any> & RepartitionOptions = {}): any {
    this.#check('repartition()', options, {}, ['name', 'codec', 'partitions', 'partition'])
    checkCodec('codec of repartition()', options.codec)
    if (options.partition !== undefined) checkFunction('partition of repartition()', options.partition)
    checkPartitions(`${options.name ?? 'KSTREAM-REPARTITION'}-repartition`, options.partitions)
    const name = options.name ?? this.program.naming.node('KSTREAM-REPARTITION-')
    const node = this.program.graph.add([this.node], repartitionNode(this.program, name, options))
    return this.program.stream({ name: node.name, node, sources: new Set([node.name]), repartitionRequired: false })
  }

  /** Kafka: KStreamImpl.repartitionForJoin. */
  forJoin(name: string | undefined, suffix: string, codec: RepartitionOptions['codec']): Place {
    if (!this.repartitionRequired) return this
    const prefix = name === undefined ? this.name : name + suffix
    const options = repartitionNode(this.program, prefix, { codec })
    if (this.#repartitioned === undefined || prefix !== this.name)
      this.#repartitioned = this.program.graph.add([this.node], options)
    const node = this.#repartitioned
    return { name: options.name, node, sources: new Set([node.name]) }
  }

  to(topic: any, options: SinkOptions<any> = {}): void {
    this.#check('to()', options, {}, ['name', 'partition'])
    if (typeof topic === 'function') checkFunction('topic of to()', topic)
    else checkTopic(topic)
    if (options.partition !== undefined) checkFunction('partition of to()', options.partition)
    const { partition } = options
    const name = this.program.naming.nodeOr(options.name, 'KSTREAM-SINK-')
    this.program.graph.add([this.node], {
      name,
      write: (wiring, parents) => wiring.addSink(name, topic, parents, { partition }),
    })
  }

  // ── to tables ──

  toTable(options: Named & StoreOptions<any> = {}): any {
    this.program.checkOpen('toTable()')
    checkStoreOptions('options of toTable()', options)
    const { naming, graph } = this.program
    const name = naming.nodeOr(options.name, 'KSTREAM-TOTABLE-')
    const store = options.store ?? naming.store('KSTREAM-TOTABLE-')
    let parent: GraphNode = this.node
    let { sources } = this
    if (this.repartitionRequired) {
      parent = graph.add([parent], repartitionNode(this.program, name, { codec: options.codec }))
      sources = new Set([parent.name])
    }
    const supplier = new TableSource(rowsSpec(store, options), options.store !== undefined)
    const node = graph.add([parent], {
      name,
      write: (wiring, parents) => wiring.addProcessor(name, () => supplier.make(), parents, supplier.stores()),
    })
    return this.program.table({ name, node, sources, supplier, keys: 'text', codec: options.codec })
  }

  groupByKey(options: Repartitioned<any> = {}): any {
    this.#check('groupByKey()', options, {}, ['name', 'codec'])
    checkCodec('codec of groupByKey()', options.codec)
    return new GroupedStream(this.program, new GroupingStart(this.program, this, options))
  }
  groupBy(key: any, options: Repartitioned<any> = {}): any {
    this.#check('groupBy()', options, { key }, ['name', 'codec'])
    checkCodec('codec of groupBy()', options.codec)
    const keyed: StreamOf = this.#then(options, 'KSTREAM-KEY-SELECT-', () => new SelectKey(key), true)
    return new GroupedStream(this.program, new GroupingStart(this.program, keyed, options))
  }

  // ── joins ──

  join(other: any, join: any, by?: any, options?: any): any {
    return this.#join('inner', 'join()', other, join, by, options)
  }
  leftJoin(other: any, join: any, by?: any, options?: any): any {
    return this.#join('left', 'leftJoin()', other, join, by, options)
  }
  outerJoin(other: any, join: any, windows: any, options?: StreamJoinOptions<any, any>): any {
    if (!(other instanceof StreamOf)) refuse('other of outerJoin()', other, 'a stream')
    return this.#join('outer', 'outerJoin()', other, join, windows, options)
  }
  #join(kind: Kind, operation: string, other: any, join: any, by: any, options: any): unknown {
    this.program.checkOpen(operation)
    checkFunction(`join of ${operation}`, join)
    if (other instanceof GlobalTable) return joinGlobalTable(this, other, { kind, operation, join, on: by, options })
    if (other instanceof StreamOf) return joinStreams(this, other, { kind, operation, join, windows: by, options })
    const table = placeOf(other)
    if (table === undefined || !isTablePlace(table))
      return refuse(`other of ${operation}`, other, 'a stream or a table')
    return joinTable(this, table, { kind, operation, join, options: by })
  }

  // ── anything else ──

  process(processor: any, stores: readonly Store<any>[] = [], options?: Named): any {
    return this.#process('process()', 'KSTREAM-PROCESSOR-', processor, stores, options, false)
  }
  processValues(processor: any, stores: readonly Store<any>[] = [], options?: Named): any {
    return this.#process('processValues()', 'KSTREAM-PROCESSVALUES-', processor, stores, options, true)
  }
  #process(
    operation: string,
    prefix: string,
    processor: () => any,
    stores: readonly Store<any>[],
    options: Named | undefined,
    fixedKey: boolean,
  ): unknown {
    this.#check(operation, options, { processor })
    const specs = specsOf(operation, stores)
    for (const spec of specs) this.program.addStore(spec)
    const name = options?.name ?? this.program.naming.node(prefix)
    const node = this.program.graph.add([this.node], {
      name,
      write(wiring, parents) {
        wiring.addProcessor(name, () => new ProcessOperator(processor, specs, fixedKey), parents, specs)
      },
    })
    return this.program.stream({
      ...this.#place,
      name,
      node,
      repartitionRequired: !fixedKey || this.repartitionRequired,
    })
  }

  // ── what they have in common ──

  get #place(): StreamPlace {
    const { name, node, sources, repartitionRequired } = this
    return { name, node, sources, repartitionRequired }
  }
  #check(operation: string, options: unknown, callbacks: object = {}, known?: readonly string[]): void {
    this.program.checkOpen(operation)
    for (const [what, callback] of Object.entries(callbacks)) checkFunction(`${what} of ${operation}`, callback)
    checkOptions(`options of ${operation}`, options, known)
    const name = (options as Named | undefined)?.name
    if (name !== undefined) checkName(`name of ${operation}`, name)
  }
  #then(options: Named | undefined, prefix: string, make: () => Operator, changesKey = false): any {
    const name = this.program.naming.nodeOr(options?.name, prefix)
    const node = this.#add([this.node], name, make)
    const repartitionRequired = changesKey || this.repartitionRequired
    return this.program.stream({ ...this.#place, name, node, repartitionRequired })
  }
  #add(parents: readonly GraphNode[], name: string, make: () => Operator): GraphNode {
    return this.program.graph.add(parents, nodeOf(name, make))
  }
}

function nodeOf(name: string, make: () => Operator): Parameters<Program['graph']['add']>[1] {
  return { name, write: (wiring, parents) => wiring.addProcessor(name, make, parents) }
}

function specsOf(operation: string, stores: unknown): StoreSpec[] {
  if (!Array.isArray(stores)) refuse(`stores of ${operation}`, stores, 'an array of stores')
  return [
    ...new Set(
      (stores as unknown[]).map(
        store => specOf(store) ?? refuse(`stores of ${operation}`, store, 'handles of keyValueStore() and the like'),
      ),
    ),
  ]
}
