import { type Aggregator, counting } from '../operators/aggregator.js'
import type { Operator } from '../operators/operator.js'
import { SessionWindowAggregate } from '../operators/session-window-aggregate.js'
import { SlidingWindowAggregate } from '../operators/sliding-window-aggregate.js'
import { StreamAggregate } from '../operators/stream-aggregate.js'
import { TimeWindowAggregate } from '../operators/time-window-aggregate.js'
import type { WindowAggregateOptions } from '../operators/window-aggregate.js'
import { sessionView, windowView } from '../operators/windowed-view.js'
import {
  checkFunction,
  checkStoreOptions,
  isUnnamedStore,
  type Named,
  refuse,
  type StoreOptions,
} from '../store-options.js'
import type { StoreSpec } from '../topology/store-spec.js'
import {
  graceAfterEnd,
  retentionOf,
  type SessionWindows,
  type SlidingWindows,
  sessionWindows,
  slidingWindows,
  type TimeWindows,
  timeWindows,
} from '../windows.js'
import { addAggregate, aggregatePrefix, reducePrefix } from './add-aggregate.js'
import type { SessionWindowedKStream, WindowedKStream } from './kstream.js'
import type { Program } from './program.js'
import type { GroupingStart } from './repartition.js'
import { windowsSpec } from './store-specs.js'

type Options = Named & StoreOptions<any>
export type Windows = TimeWindows | SlidingWindows | SessionWindows

/** As the constructors of windows would have made it. */
export function checkedWindows(windows: any): Windows {
  const kind: unknown = windows?.kind
  if (kind === 'time') return timeWindows(windows)
  if (kind === 'sliding') return slidingWindows(windows)
  if (kind === 'session') return sessionWindows(windows)
  return refuse('windows of windowedBy()', windows, 'timeWindows(), slidingWindows() or sessionWindows()')
}

/** Kafka: TimeWindowedKStreamImpl, SlidingWindowedKStreamImpl, SessionWindowedKStreamImpl. */
export class WindowedStream implements WindowedKStream<any, any>, SessionWindowedKStream<any, any> {
  readonly #program: Program
  readonly #start: GroupingStart
  readonly #windows: Windows
  readonly #onClose: boolean

  constructor(program: Program, start: GroupingStart, windows: Windows, onClose: boolean) {
    this.#program = program
    this.#start = start
    this.#windows = windows
    this.#onClose = onClose
  }

  count(options?: Options): any {
    return this.#aggregate('count()', aggregatePrefix, counting, options)
  }
  reduce(reduce: Aggregator['add'], options?: Options): any {
    checkFunction('reduce', reduce)
    return this.#aggregate('reduce()', reducePrefix, { add: reduce, merge: reduce }, options)
  }
  aggregate(initial: () => unknown, add: Aggregator['add'], ...rest: any[]): any {
    checkFunction('initial of aggregate()', initial)
    checkFunction('add of aggregate()', add)
    if (this.#windows.kind !== 'session')
      return this.#aggregate('aggregate()', aggregatePrefix, { initial, add }, rest[0])
    const [merge, options] = rest
    checkFunction('merge of aggregate()', merge)
    return this.#aggregate('aggregate()', aggregatePrefix, { initial, add, merge }, options)
  }
  #aggregate(operation: string, prefix: string, aggregator: Aggregator, options: Options = {}): unknown {
    const program = this.#program
    const windows = this.#windows
    program.checkOpen(operation)
    checkStoreOptions(`options of ${operation}`, options)
    retentionOf(windows, options.retentionMs)
    // As in GroupedStream; sliding windows came to Kafka after that.
    if (aggregator === counting && windows.kind !== 'sliding' && isUnnamedStore(options)) program.naming.store(prefix)
    const store = options.store ?? program.naming.store(prefix)
    const name = program.naming.nodeOr(options.name, prefix)
    const supplier = windowAggregate(windows, aggregator, windowsSpec(store, options, windows), this.#onClose)
    return addAggregate(program, this.#start, { name, supplier, keys: 'windowed', graceMs: graceAfterEnd(windows) })
  }
}

export function windowAggregate(
  windows: Windows,
  aggregator: Aggregator,
  store: StoreSpec,
  onClose: boolean,
): StreamAggregate {
  const make = (options: WindowAggregateOptions): Operator => {
    if (windows.kind === 'time') return new TimeWindowAggregate(store.name, windows, aggregator, options)
    if (windows.kind === 'sliding') return new SlidingWindowAggregate(store.name, windows, aggregator, options)
    return new SessionWindowAggregate(store.name, windows, aggregator, options)
  }
  const view = windows.kind === 'session' ? sessionView(store.name) : windowView(store.name)
  return new StreamAggregate(sendOldValues => make({ sendOldValues, onClose }), store, view)
}
