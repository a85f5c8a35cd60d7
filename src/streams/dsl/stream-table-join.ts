import { StreamTableJoin, type StreamTableJoiner } from '../operators/stream-table-join.js'
import { storeView } from '../operators/table-supplier.js'
import type { Callback } from '../record.js'
import { checkFunction, checkOptions, type Named, refuse } from '../store-options.js'
import { checkName } from '../topology/naming.js'
import type { GlobalTable } from './global-table.js'
import type { Place, Program, StreamPlace, TablePlace } from './program.js'

interface Join {
  readonly kind: 'inner' | 'left' | 'outer'
  readonly operation: string
  readonly join: StreamTableJoiner
  readonly options: Named | undefined
}
export interface JoiningStream extends StreamPlace {
  readonly program: Program
  forJoin(name: string | undefined, suffix: string, codec: undefined): Place
}

/** Kafka: KStreamImpl.doStreamTableJoin. */
export function joinTable(
  stream: JoiningStream,
  table: TablePlace & { readonly program: Program },
  { kind, operation, join, options }: Join,
): unknown {
  const { program } = stream
  program.checkOwn(operation, table.program)
  if (typeof options === 'function')
    refuse(`options of ${operation}`, options, 'an object of options: a table by its key needs no callback for it')
  checkNamed(operation, options)
  if (table.keys === 'windowed') refuse(`other of ${operation}`, table, 'a table whose keys are text')
  const left = kind === 'left'
  const from = stream.forJoin(options?.name, '', undefined)
  const sources = new Set([...from.sources, ...table.sources])
  program.graph.copartition(sources)
  const name = program.naming.nodeOr(options?.name, left ? 'KSTREAM-LEFTJOIN-' : 'KSTREAM-JOIN-')
  const view = table.supplier.view()
  const node = program.graph.add([from.node], {
    name,
    takesNullKeys: left,
    write(wiring, parents) {
      wiring.addProcessor(name, () => new StreamTableJoin(view.make(), join, { left }), parents)
      wiring.connect(name, view.stores)
    },
  })
  return program.stream({ name, node, sources, repartitionRequired: false })
}

/** Kafka: KStreamImpl.doGlobalTableJoin, which names both kinds as left joins. */
export function joinGlobalTable(
  stream: JoiningStream,
  table: GlobalTable,
  { kind, operation, join, on, options }: Join & { readonly on: Callback<any, any, string | null> },
): unknown {
  const { program } = stream
  program.checkOwn(operation, table.program)
  checkFunction(`on of ${operation}`, on)
  checkNamed(operation, options)
  const left = kind === 'left'
  const name = program.naming.nodeOr(options?.name, 'KSTREAM-LEFTJOIN-')
  const view = storeView(table.store.name)
  const node = program.graph.add([stream.node], {
    name,
    takesNullKeys: left,
    write: (wiring, parents) =>
      wiring.addProcessor(name, () => new StreamTableJoin(view.make(), join, { left, on }), parents),
  })
  const { sources, repartitionRequired } = stream
  return program.stream({ name, node, sources, repartitionRequired })
}

function checkNamed(operation: string, options: Named | undefined): void {
  checkOptions(`options of ${operation}`, options)
  if (options?.name !== undefined) checkName(`name of ${operation}`, options.name)
}
