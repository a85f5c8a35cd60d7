export { TopologyTestDriver } from './driver/driver.js'
export { StreamsBuilder } from './dsl/builder.js'
export type {
  CogroupedKStream,
  Emit,
  KGroupedStream,
  KStream,
  SessionWindowedKStream,
  SinkName,
  SinkOptions,
  StreamJoinOptions,
  WindowedKStream,
} from './dsl/kstream.js'
export type { GlobalKTable, KGroupedTable, KTable } from './dsl/ktable.js'
export { type Suppressed, untilTimeLimit, untilWindowCloses } from './operators/suppressed.js'
export type { FixedKeyProcessor, FixedKeyProcessorContext, Processor, ProcessorContext } from './processor.js'
export type { Queries } from './queries.js'
export type { RecordContext, StreamKey, Windowed } from './record.js'
export {
  type KeyValueStore,
  keyValueStore,
  type ReadOnlyKeyValueStore,
  type ReadOnlyWindowStore,
  type SessionStore,
  type Store,
  sessionStore,
  type WindowStore,
  windowStore,
} from './store-handles.js'
export type { Named, Repartitioned, StoreOptions } from './store-options.js'
export { Streams, type StreamsOptions, type Task } from './streams.js'
export type { Topology } from './topology/topology.js'
export {
  type JoinWindows,
  joinWindows,
  type SessionWindows,
  type SlidingWindows,
  sessionWindows,
  slidingWindows,
  type TimeWindows,
  timeWindows,
} from './windows.js'
