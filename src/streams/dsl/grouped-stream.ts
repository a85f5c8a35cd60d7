import { type Aggregator, counting } from '../operators/aggregator.js'
import { KeyAggregate } from '../operators/key-aggregate.js'
import { StreamAggregate } from '../operators/stream-aggregate.js'
import { storeView } from '../operators/table-supplier.js'
import {
  checkFunction,
  checkOptions,
  checkStoreOptions,
  isUnnamedStore,
  type Named,
  refuse,
  type StoreOptions,
} from '../store-options.js'
import { addAggregate, aggregatePrefix, reducePrefix } from './add-aggregate.js'
import { CogroupedStream } from './cogrouped-stream.js'
import type { Emit, KGroupedStream } from './kstream.js'
import type { Program } from './program.js'
import type { GroupingStart } from './repartition.js'
import { rowsSpec } from './store-specs.js'
import { checkedWindows, WindowedStream } from './windowed-stream.js'

type Options = Named & StoreOptions<any>

/** Kafka: KGroupedStreamImpl. */
export class GroupedStream implements KGroupedStream<any, any> {
  readonly program: Program
  readonly start: GroupingStart

  constructor(program: Program, start: GroupingStart) {
    this.program = program
    this.start = start
  }

  count(options?: Options): any {
    return this.#aggregate('count()', aggregatePrefix, counting, options)
  }
  reduce(reduce: Aggregator['add'], options?: Options): any {
    checkFunction('reduce', reduce)
    return this.#aggregate('reduce()', reducePrefix, { add: reduce }, options)
  }
  aggregate(initial: () => unknown, add: Aggregator['add'], options?: Options): any {
    checkFunction('initial of aggregate()', initial)
    checkFunction('add of aggregate()', add)
    return this.#aggregate('aggregate()', aggregatePrefix, { initial, add }, options)
  }
  #aggregate(operation: string, prefix: string, aggregator: Aggregator, options: Options = {}): unknown {
    const { program, start } = this
    program.checkOpen(operation)
    checkStoreOptions(`options of ${operation}`, options)
    // A number that nothing is named by: Kafka's count(Materialized) used one once, and keeps the others as they were.
    if (aggregator === counting && isUnnamedStore(options)) program.naming.store(prefix)
    const store = options.store ?? program.naming.store(prefix)
    const name = program.naming.nodeOr(options.name, prefix)
    const make = (sendOldValues: boolean) => new KeyAggregate(store, aggregator, sendOldValues)
    const supplier = new StreamAggregate(make, rowsSpec(store, options), storeView(store))
    return addAggregate(program, start, { name, supplier, keys: 'text' })
  }

  windowedBy(windows: any, options?: Emit): any {
    this.program.checkOpen('windowedBy()')
    checkOptions('options of windowedBy()', options, ['emit'])
    const { emit = 'on update' } = options ?? {}
    if (emit !== 'on update' && emit !== 'on close') refuse('emit of windowedBy()', emit, "'on update' or 'on close'")
    return new WindowedStream(this.program, this.start, checkedWindows(windows), emit === 'on close')
  }
  cogroup(add: Aggregator['add']): any {
    this.program.checkOpen('cogroup()')
    return new CogroupedStream(this.program).cogroup(this, add)
  }
}
