import type { StreamAggregate } from '../operators/stream-aggregate.js'
import type { Program } from './program.js'
import type { GroupingStart } from './repartition.js'
import type { TableKeys } from './store-specs.js'

export const aggregatePrefix = 'KSTREAM-AGGREGATE-'
export const reducePrefix = 'KSTREAM-REDUCE-'

/** Kafka: GroupedStreamAggregateBuilder.build. */
export function addAggregate(
  program: Program,
  start: GroupingStart,
  aggregate: { name: string; supplier: StreamAggregate; keys: TableKeys; graceMs?: number },
): unknown {
  const { name, supplier, keys, graceMs } = aggregate
  const { node: parent, sources } = start.for(supplier.queryableStore.name)
  const node = program.graph.add([parent], {
    name,
    ...(graceMs !== undefined && { graceMs }),
    write: (wiring, parents) => wiring.addProcessor(name, () => supplier.make(), parents, supplier.stores()),
  })
  return program.table({ name, node, sources, supplier, keys, codec: supplier.queryableStore.codec })
}
