import type { Codec, TopicName } from '../../index.js'
import type { FixedKeyProcessor, Processor } from '../processor.js'
import type { Callback, RecordContext, StreamKey, Windowed } from '../record.js'
import type { Store } from '../store-handles.js'
import type { Named, Repartitioned, StoreOptions } from '../store-options.js'
import type { JoinWindows, SessionWindows, SlidingWindows, TimeWindows } from '../windows.js'
import type { GlobalKTable, KTable } from './ktable.js'

/** The topics that such a value may be written to. */
export type SinkName<Topics, V> = {
  [N in TopicName<Topics>]: [V] extends [Topics[N]] ? N : never
}[TopicName<Topics>]

/** A topic's records, and what operations make of them, record by record. Kafka: KStream. */
export interface KStream<V, K extends StreamKey = string | null, Topics extends object = any> {
  filter<S extends V>(
    accept: (value: V, key: K, context: RecordContext) => value is S,
    options?: Named,
  ): KStream<S, K, Topics>
  filter(accept: Callback<V, K, boolean>, options?: Named): KStream<V, K, Topics>
  filterNot(reject: Callback<V, K, boolean>, options?: Named): KStream<V, K, Topics>
  mapValues<W>(map: Callback<V, K, W>, options?: Named): KStream<W, K, Topics>
  flatMapValues<W>(map: Callback<V, K, Iterable<W>>, options?: Named): KStream<W, K, Topics>
  // What may change the key marks the stream for repartitioning before its next grouping, join or table.
  map<W, J extends StreamKey>(map: Callback<V, K, readonly [key: J, value: W]>, options?: Named): KStream<W, J, Topics>
  flatMap<W, J extends StreamKey>(
    map: Callback<V, K, Iterable<readonly [key: J, value: W]>>,
    options?: Named,
  ): KStream<W, J, Topics>
  selectKey<J extends StreamKey>(key: Callback<V, K, J>, options?: Named): KStream<V, J, Topics>
  peek(look: Callback<V, K, void>, options?: Named): KStream<V, K, Topics>
  forEach(act: Callback<V, K, void>, options?: Named): void
  merge<W, J extends StreamKey>(other: KStream<W, J, Topics>, options?: Named): KStream<V | W, K | J, Topics>
  /**
   * Kafka: split(Named.as(name)).branch(..., Branched.as(key)).defaultBranch(Branched.as('rest')). Each record goes to
   * the first branch that accepts it, in the order written, else to `rest`. INVALID_CONFIG for a branch named rest or
   * like an integer (objects reorder those).
   */
  split<B extends Record<string, Callback<V, K, boolean>>>(
    branches: B,
    options?: Named,
  ): { readonly [N in keyof B | 'rest']: KStream<V, K, Topics> }
  /**
   * Through a topic of the application's own, always. Records without a key are left out.
   *
   * @default partitions as many as upstream
   */
  repartition(
    this: KStream<V, string | null, Topics>,
    options?: Repartitioned<V> & {
      partitions?: number | undefined
      partition?: Callback<V, string | null, number> | undefined
    },
  ): KStream<V, string, Topics>
  groupByKey(this: KStream<V, string | null, Topics>, options?: Repartitioned<V>): KGroupedStream<V, Topics>
  groupBy(key: Callback<V, K, string | null>, options?: Repartitioned<V>): KGroupedStream<V, Topics>
  /**
   * The third argument says how the two meet: streams within a window, a table by the key, a global table by a key taken
   * from the record. Records without a key take part in left and outer joins, and in joins with a global table if `on`
   * gives a key (KIP-962); records without a value in none.
   */
  join<W, R>(
    other: KStream<W, string | null, Topics>,
    join: (left: NonNullable<V>, right: NonNullable<W>, key: string) => R,
    windows: JoinWindows,
    options?: StreamJoinOptions<V, W>,
  ): KStream<R, string, Topics>
  join<W, R>(
    table: KTable<W, string, Topics>,
    join: (value: NonNullable<V>, row: W, key: string) => R,
    options?: Named,
  ): KStream<R, string, Topics>
  join<W, R>(
    table: GlobalKTable<W>,
    join: (value: NonNullable<V>, row: W, key: K) => R,
    on: Callback<V, K, string | null>,
    options?: Named,
  ): KStream<R, K, Topics>
  leftJoin<W, R>(
    other: KStream<W, string | null, Topics>,
    join: (left: NonNullable<V>, right: NonNullable<W> | undefined, key: string | null) => R,
    windows: JoinWindows,
    options?: StreamJoinOptions<V, W>,
  ): KStream<R, string | null, Topics>
  leftJoin<W, R>(
    table: KTable<W, string, Topics>,
    join: (value: NonNullable<V>, row: W | undefined, key: string | null) => R,
    options?: Named,
  ): KStream<R, string | null, Topics>
  leftJoin<W, R>(
    table: GlobalKTable<W>,
    join: (value: NonNullable<V>, row: W | undefined, key: K) => R,
    on: Callback<V, K, string | null>,
    options?: Named,
  ): KStream<R, K, Topics>
  outerJoin<W, R>(
    other: KStream<W, string | null, Topics>,
    join: (left: NonNullable<V> | undefined, right: NonNullable<W> | undefined, key: string | null) => R,
    windows: JoinWindows,
    options?: StreamJoinOptions<V, W>,
  ): KStream<R, string | null, Topics>
  toTable(
    this: KStream<V, string | null, Topics>,
    options?: Named & StoreOptions<NonNullable<V>>,
  ): KTable<NonNullable<V>, string, Topics>
  /** Anything else, with state. One processor for each task; a store in the list is shared by all processors that name it. */
  process<W = never, J extends StreamKey = K>(
    processor: () => Processor<V, K, W, J>,
    stores?: readonly Store<any>[],
    options?: Named,
  ): KStream<W, J, Topics>
  /** The same with the key kept, so that nothing needs repartitioning: forward() takes no key. */
  processValues<W = never>(
    processor: () => FixedKeyProcessor<V, K, W>,
    stores?: readonly Store<any>[],
    options?: Named,
  ): KStream<W, K, Topics>
  /** Same key, same partition; a record without one goes where the topic's partitioner says; `partition` says otherwise. */
  to(this: KStream<V, string | null, Topics>, topic: SinkName<Topics, V>, options?: SinkOptions<V>): void
  /** The topic is chosen record by record, and must exist. */
  to(
    this: KStream<V, string | null, Topics>,
    topic: (value: V, key: string | null, context: RecordContext) => SinkName<Topics, V>,
    options?: SinkOptions<V>,
  ): void
}
export interface SinkOptions<V> extends Named {
  partition?: Callback<V, string | null, number> | undefined
}
export interface StreamJoinOptions<V, W> extends Named {
  /**
   * Kafka: StreamJoined.withStoreName; its stores are `<store>-this-join-store`, `<store>-other-join-store` and so on, as
   * Kafka names them.
   */
  store?: string | undefined
  /** Of the two sides' values, in repartition topics and changelogs. @default as a topic without codec */
  codec?: Codec<V> | undefined
  otherCodec?: Codec<W> | undefined
}
/** Kafka: KGroupedStream. */
export interface KGroupedStream<V, Topics extends object = any> {
  count(options?: Named & StoreOptions<number>): KTable<number, string, Topics>
  reduce(
    reduce: (aggregate: NonNullable<V>, value: NonNullable<V>) => V | null,
    options?: Named & StoreOptions<NonNullable<V>>,
  ): KTable<NonNullable<V>, string, Topics>
  /** An aggregate that is null is a row that is gone. */
  aggregate<A>(
    initial: () => A,
    add: (aggregate: A, value: NonNullable<V>, key: string) => A | null,
    options?: Named & StoreOptions<A>,
  ): KTable<A, string, Topics>
  windowedBy(windows: TimeWindows | SlidingWindows, options?: Emit): WindowedKStream<V, Topics>
  windowedBy(windows: SessionWindows, options?: Emit): SessionWindowedKStream<V, Topics>
  cogroup<A>(add: (aggregate: A, value: NonNullable<V>, key: string) => A | null): CogroupedKStream<A, Topics>
}
/** Kafka: EmitStrategy. */
export interface Emit {
  /** @default 'on update' */
  emit?: 'on update' | 'on close' | undefined
}
/** Kafka: TimeWindowedKStream. */
export interface WindowedKStream<V, Topics extends object = any> {
  count(options?: Named & StoreOptions<number>): KTable<number, Windowed, Topics>
  reduce(reduce: (aggregate: V, value: V) => V | null, options?: Named & StoreOptions<V>): KTable<V, Windowed, Topics>
  aggregate<A>(
    initial: () => A,
    add: (aggregate: A, value: V, key: string) => A | null,
    options?: Named & StoreOptions<A>,
  ): KTable<A, Windowed, Topics>
}
/** Kafka: SessionWindowedKStream. */
export interface SessionWindowedKStream<V, Topics extends object = any> {
  count(options?: Named & StoreOptions<number>): KTable<number, Windowed, Topics>
  reduce(reduce: (aggregate: V, value: V) => V | null, options?: Named & StoreOptions<V>): KTable<V, Windowed, Topics>
  aggregate<A>(
    initial: () => A,
    add: (aggregate: A, value: V, key: string) => A | null,
    merge: (one: A, other: A, key: string) => A,
    options?: Named & StoreOptions<A>,
  ): KTable<A, Windowed, Topics>
}
/** Kafka: CogroupedKStream. */
export interface CogroupedKStream<A, Topics extends object = any> {
  cogroup<W>(
    grouped: KGroupedStream<W, Topics>,
    add: (aggregate: A, value: NonNullable<W>, key: string) => A | null,
  ): CogroupedKStream<A, Topics>
  aggregate(initial: () => A, options?: Named & StoreOptions<A>): KTable<A, string, Topics>
  windowedBy(windows: TimeWindows | SlidingWindows): {
    aggregate(initial: () => A, options?: Named & StoreOptions<A>): KTable<A, Windowed, Topics>
  }
  windowedBy(windows: SessionWindows): {
    aggregate(
      initial: () => A,
      merge: (one: A, other: A, key: string) => A,
      options?: Named & StoreOptions<A>,
    ): KTable<A, Windowed, Topics>
  }
}
