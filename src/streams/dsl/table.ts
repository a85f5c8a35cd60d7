import { MillraceError } from '../../index.js'
import type { OperatorContext } from '../operators/operator.js'
import { SelectKey, ToStream } from '../operators/stateless.js'
import { suppressionOf, TableSuppress } from '../operators/suppress.js'
import type { Suppressed } from '../operators/suppressed.js'
import { TableGroupBy } from '../operators/table-group-by.js'
import { type TableJoiner, TableJoinMerge, TableJoinSide } from '../operators/table-join.js'
import { type RowChange, TableRowChange } from '../operators/table-row-change.js'
import type { TableSupplier } from '../operators/table-supplier.js'
import {
  checkFunction,
  checkStoreOptions,
  isUnnamedStore,
  type Named,
  refuse,
  type StoreOptions,
} from '../store-options.js'
import { SuppressBuffer } from '../stores/suppress-buffer.js'
import type { GraphNode } from '../topology/graph.js'
import { checkName } from '../topology/naming.js'
import type { StoreSpec } from '../topology/store-spec.js'
import { joinByForeignKey } from './foreign-key-join.js'
import { GroupedTable } from './grouped-table.js'
import type { KTable } from './ktable.js'
import type { Program, TablePlace } from './program.js'
import { rowsSpec, type TableKeys } from './store-specs.js'

type Options = Named & StoreOptions<any>
type JoinKind = 'inner' | 'left' | 'outer'

/** Kafka: KTableImpl. */
export class TableOf implements KTable<any, any, any>, TablePlace {
  readonly program: Program
  readonly name: string
  readonly node: GraphNode
  readonly sources: ReadonlySet<string>
  readonly supplier: TableSupplier
  readonly keys: TableKeys
  readonly codec: TablePlace['codec']

  constructor(program: Program, { name, node, sources, supplier, keys, codec }: TablePlace) {
    this.program = program
    this.name = name
    this.node = node
    this.sources = sources
    this.supplier = supplier
    this.keys = keys
    this.codec = codec
  }

  // ── row by row ──

  filter(accept: any, options?: Options): any {
    return this.#rows('filter()', 'KTABLE-FILTER-', { accept }, keeps(accept, false), options)
  }
  filterNot(reject: any, options?: Options): any {
    return this.#rows('filterNot()', 'KTABLE-FILTER-', { reject }, keeps(reject, true), options)
  }
  mapValues(map: any, options?: Options): any {
    const change: RowChange = (value, key, context) => context.result(map(value, key))
    return this.#rows('mapValues()', 'KTABLE-MAPVALUES-', { map }, change, options)
  }
  #rows(operation: string, prefix: string, callback: object, change: RowChange, options: Options = {}): unknown {
    this.#check(operation, options, callback)
    if (isUnnamedStore(options)) this.program.naming.store(prefix)
    const name = this.program.naming.nodeOr(options.name, prefix)
    const filters = prefix === 'KTABLE-FILTER-'
    const supplier = new TableRowChange(this.supplier, change, this.#storeOf(options), filters)
    return this.#then(name, supplier, filters ? (options.codec ?? this.codec) : options.codec)
  }

  suppress(until: Suppressed, options: Named = {}): any {
    this.#check('suppress()', options, {}, ['name'])
    if (until?.kind !== 'window closes' && until?.kind !== 'time limit')
      refuse('until of suppress()', until, 'untilWindowCloses() or untilTimeLimit()')
    const graceMs = until.kind === 'window closes' ? this.#graceMs() : 0
    const { naming } = this.program
    const name = options.name ?? naming.node('KTABLE-SUPPRESS-')
    const store = options.name === undefined ? naming.store('KTABLE-SUPPRESS-') : `${name}-store`
    const supplier = new TableSuppress(this.supplier, suppressionOf(until, graceMs), this.#buffer(store))
    return this.#then(name, supplier, this.codec)
  }
  #graceMs(): number {
    // Kafka looks for a window upstream alone, and fails with the first record whose key is none.
    if (this.keys === 'windowed') return graceOf(this.node)
    throw new MillraceError('TOPOLOGY', {
      reason: `suppress(untilWindowCloses()) needs a table of windows, and the keys of ${this.name} are none`,
    })
  }
  #buffer(name: string): StoreSpec {
    const windowed = this.keys === 'windowed'
    const make: StoreSpec['make'] = setup => new SuppressBuffer({ ...setup, windowed })
    return { name, kind: undefined, logging: true, codec: this.codec, make }
  }

  // ── to streams and groups ──

  toStream(given?: any, options?: Named): any {
    const key: unknown = typeof given === 'function' ? given : undefined
    const named: Named = (key === undefined ? given : options) ?? {}
    this.#check('toStream()', named, key === undefined ? {} : { key }, ['name'])
    const { naming, graph } = this.program
    const name = naming.nodeOr(named.name, 'KTABLE-TOSTREAM-')
    const node = graph.add([this.node], {
      name,
      write: (wiring, parents) => wiring.addProcessor(name, () => new ToStream(), parents),
    })
    if (key === undefined) return this.program.stream({ name, node, sources: this.sources, repartitionRequired: false })
    const select = naming.node('KSTREAM-KEY-SELECT-')
    const selected = graph.add([node], {
      name: select,
      write: (wiring, parents) => wiring.addProcessor(select, () => new SelectKey(key as any), parents),
    })
    return this.program.stream({ name: select, node: selected, sources: this.sources, repartitionRequired: true })
  }

  groupBy(map: any, options: Named = {}): any {
    this.#check('groupBy()', options, { map }, ['name'])
    const name = this.program.naming.nodeOr(options.name, 'KTABLE-SELECT-')
    this.supplier.enableSendingOldValues(true)
    const node = this.program.graph.add([this.node], {
      name,
      write: (wiring, parents) => wiring.addProcessor(name, () => new TableGroupBy(map), parents),
    })
    return new GroupedTable(this.program, node, options.name)
  }

  // ── joins ──

  join(other: any, join: any, ...rest: any[]): any {
    return this.#join('inner', 'join()', other, join, rest)
  }
  leftJoin(other: any, join: any, ...rest: any[]): any {
    return this.#join('left', 'leftJoin()', other, join, rest)
  }
  outerJoin(other: any, join: any, options?: Options): any {
    return this.#join('outer', 'outerJoin()', other, join, [options])
  }
  #join(kind: JoinKind, operation: string, other: any, join: TableJoiner, [by, options]: any[]): unknown {
    this.program.checkOpen(operation)
    if (!(other instanceof TableOf)) return refuse(`other of ${operation}`, other, 'a table')
    this.program.checkOwn(operation, other.program)
    if (typeof by === 'function') {
      if (kind === 'outer') refuse(`options of ${operation}`, by, 'an object of options')
      this.#check(operation, options, { join, on: by })
      return joinByForeignKey(this, other, { left: kind === 'left', on: by, join, options: options ?? {} })
    }
    this.#check(operation, by, { join })
    if (this.keys !== other.keys) refuse(`other of ${operation}`, other.name, 'a table with keys of the same kind')
    return this.#joinRows(kind, other, join, by ?? {})
  }

  /** Kafka: KTableImpl.doJoin. */
  #joinRows(kind: JoinKind, other: TableOf, join: TableJoiner, options: Options): unknown {
    const { naming, graph } = this.program
    const { name } = options
    const store = isUnnamedStore(options) ? naming.store('KTABLE-MERGE-') : options.store
    const merge = naming.nodeOr(name, 'KTABLE-MERGE-')
    const sources = new Set([...this.sources, ...other.sources])
    graph.copartition(sources)
    if (kind !== 'inner') this.supplier.enableSendingOldValues(true)
    if (kind === 'outer') other.supplier.enableSendingOldValues(true)
    const left = new TableJoinSide(kind, this.supplier, other.supplier, join)
    const reversed: TableJoiner = (own, theirs) => join(theirs, own)
    const right = new TableJoinSide(kind === 'left' ? 'right' : kind, other.supplier, this.supplier, reversed)
    const joinThis = naming.suffixedOr(name, '-join-this', 'KTABLE-JOINTHIS-')
    const joinOther = naming.suffixedOr(name, '-join-other', 'KTABLE-JOINOTHER-')
    const supplier = new TableJoinMerge(left, right, this.#storeOf({ ...options, store }))
    const node = graph.add(this.node === other.node ? [this.node] : [this.node, other.node], {
      name: merge,
      write: wiring => {
        wiring.addProcessor(joinThis, () => left.make(), [this.name])
        wiring.addProcessor(joinOther, () => right.make(), [other.name])
        wiring.addProcessor(merge, () => supplier.make(), [joinThis, joinOther], supplier.stores())
        wiring.connect(joinThis, left.otherStores)
        wiring.connect(joinOther, right.otherStores)
      },
    })
    return this.program.table({ name: merge, node, sources, supplier, keys: this.keys, codec: options.codec })
  }

  // ── what they have in common ──

  #check(operation: string, options: unknown, callbacks: object = {}, known?: readonly string[]): void {
    this.program.checkOpen(operation)
    for (const [what, callback] of Object.entries(callbacks)) checkFunction(`${what} of ${operation}`, callback)
    checkStoreOptions(`options of ${operation}`, options, known)
    const name = (options as Named | undefined)?.name
    if (name !== undefined) checkName(`name of ${operation}`, name)
  }
  #storeOf(options: Options): StoreSpec | undefined {
    return options.store === undefined ? undefined : rowsSpec(options.store, options, this.keys)
  }
  #then(name: string, supplier: TableSupplier, codec: TablePlace['codec']): unknown {
    const node = this.program.graph.add([this.node], {
      name,
      write: (wiring, parents) => wiring.addProcessor(name, () => supplier.make(), parents, supplier.stores()),
    })
    return this.program.table({ name, node, sources: this.sources, supplier, keys: this.keys, codec })
  }
}

function keeps(accept: (value: any, key: any) => unknown, not: boolean): RowChange {
  return (value: unknown, key: unknown, context: OperatorContext) =>
    Boolean(context.result(accept(value, key))) === not ? null : value
}

/** How long after its end a window of this table can change. Kafka: GraphGraceSearchUtil. */
function graceOf(node: GraphNode, path: readonly string[] = []): number {
  const { graceMs } = node.options
  if (graceMs !== undefined) return graceMs
  const longer = [node.name, ...path]
  if (node.parents.size === 0)
    throw new MillraceError('TOPOLOGY', {
      reason: `suppress(untilWindowCloses()) needs a window upstream, and there is none: ${longer.join(' -> ')}`,
    })
  return Math.max(...[...node.parents].map(parent => graceOf(parent, longer)))
}
