import type { Suppressed } from '../operators/suppressed.js'
import type { StreamKey, Windowed } from '../record.js'
import type { Named, StoreOptions } from '../store-options.js'
import type { KStream } from './kstream.js'

/** A row for each key, and its changes. Kafka: KTable. */
export interface KTable<V, K extends string | Windowed = string, Topics extends object = any> {
  filter<S extends V>(accept: (value: V, key: K) => value is S, options?: Named & StoreOptions<S>): KTable<S, K, Topics>
  filter(accept: (value: V, key: K) => boolean, options?: Named & StoreOptions<V>): KTable<V, K, Topics>
  filterNot(reject: (value: V, key: K) => boolean, options?: Named & StoreOptions<V>): KTable<V, K, Topics>
  mapValues<W>(
    map: (value: V, key: K) => W,
    options?: Named & StoreOptions<NonNullable<W>>,
  ): KTable<NonNullable<W>, K, Topics>
  groupBy<W>(
    map: (value: V, key: K) => readonly [key: string | null, value: W],
    options?: Named,
  ): KGroupedTable<NonNullable<W>, Topics>
  join<W, R>(
    other: KTable<W, K, Topics>,
    join: (left: V, right: W) => R,
    options?: Named & StoreOptions<NonNullable<R>>,
  ): KTable<NonNullable<R>, K, Topics>
  /** By a foreign key (KIP-213): the other table's key, taken from this one's row. */
  join<W, R>(
    this: KTable<V, string, Topics>,
    other: KTable<W, string, Topics>,
    join: (left: V, right: W) => R,
    on: (value: V, key: string) => string | null,
    options?: Named & StoreOptions<NonNullable<R>>,
  ): KTable<NonNullable<R>, string, Topics>
  leftJoin<W, R>(
    other: KTable<W, K, Topics>,
    join: (left: V, right: W | undefined) => R,
    options?: Named & StoreOptions<NonNullable<R>>,
  ): KTable<NonNullable<R>, K, Topics>
  leftJoin<W, R>(
    this: KTable<V, string, Topics>,
    other: KTable<W, string, Topics>,
    join: (left: V, right: W | undefined) => R,
    on: (value: V, key: string) => string | null,
    options?: Named & StoreOptions<NonNullable<R>>,
  ): KTable<NonNullable<R>, string, Topics>
  outerJoin<W, R>(
    other: KTable<W, K, Topics>,
    join: (left: V | undefined, right: W | undefined) => R,
    options?: Named & StoreOptions<NonNullable<R>>,
  ): KTable<NonNullable<R>, K, Topics>
  suppress(until: Suppressed, options?: Named): KTable<V, K, Topics>
  /** Its changes, by another key; a row that is gone is null. */
  toStream<J extends StreamKey>(key: (value: V | null, key: K) => J, options?: Named): KStream<V | null, J, Topics>
  // Second, since a function, which has a name, is an object of options to the compiler.
  /** Its changes; a row that is gone is null. */
  toStream(options?: Named): KStream<V | null, K, Topics>
}
/** Kafka: KGroupedTable. */
export interface KGroupedTable<V, Topics extends object = any> {
  count(options?: Named & StoreOptions<number>): KTable<number, string, Topics>
  reduce(
    add: (aggregate: V, value: V) => V | null,
    subtract: (aggregate: V, value: V) => V | null,
    options?: Named & StoreOptions<V>,
  ): KTable<V, string, Topics>
  aggregate<A>(
    initial: () => A,
    add: (aggregate: A, value: V, key: string) => A | null,
    subtract: (aggregate: A, value: V, key: string) => A | null,
    options?: Named & StoreOptions<A>,
  ): KTable<A, string, Topics>
}
/** A table that every instance has whole. Kafka: GlobalKTable. */
export interface GlobalKTable<V> {
  /** Phantom. */
  readonly row?: V
}
