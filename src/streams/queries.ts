import { MillraceError } from '../index.js'
import { GlobalTable } from './dsl/global-table.js'
import type { GlobalKTable, KTable } from './dsl/ktable.js'
import { isTablePlace, placeOf } from './dsl/places.js'
import type { Windowed } from './record.js'
import { shown } from './shown.js'
import {
  type KeyValueStore,
  type ReadOnlyKeyValueStore,
  type ReadOnlyWindowStore,
  type SessionStore,
  type Store,
  specOf,
  type WindowStore,
} from './store-handles.js'
import { compareKeys } from './stores/key-order.js'
import { readableKeyValues, readableSessions, readableWindowedKeyValues, readableWindows } from './stores/views.js'
import type { TopologyPlan } from './topology/plan.js'
import type { StoreSpec } from './topology/store-spec.js'

/**
 * What a query of a table or a store reads: this instance's part of it. UNKNOWN_STORE for a table that is no store, or a
 * store of another topology.
 */
export interface Queries {
  query<V>(table: KTable<V, string, any> | GlobalKTable<V>): ReadOnlyKeyValueStore<V>
  query<V>(table: KTable<V, Windowed, any>): ReadOnlyWindowStore<V>
  query<V>(store: Store<KeyValueStore<V>>): ReadOnlyKeyValueStore<V>
  query<V>(store: Store<WindowStore<V>> | Store<SessionStore<V>>): ReadOnlyWindowStore<V>
}

/** The store of a table or handle that query() was given; UNKNOWN_STORE where this topology has none. */
export function specOfQueried({ subtopologies, globalStores }: TopologyPlan, subject: unknown): StoreSpec {
  const table = placeOf(subject)
  const found =
    specOf(subject) ??
    (subject instanceof GlobalTable ? subject.store : undefined) ??
    (table !== undefined && isTablePlace(table) ? table.supplier.queryableStore : undefined)
  const known = [...subtopologies.flatMap(({ stores }) => stores), ...globalStores.map(({ spec }) => spec)]
  if (found !== undefined && found.kind !== undefined && known.includes(found)) return found
  const name = found?.name ?? table?.name
  const why =
    found !== undefined
      ? `This topology has no store ${found.name}`
      : name !== undefined
        ? `${name} is kept in no store: a table's operation makes one that has the option \`store\``
        : `query() takes a table, or the handle of a store; got ${shown(subject)}`
  const store = name ?? (typeof subject === 'string' ? subject : shown(subject))
  throw new MillraceError('UNKNOWN_STORE', { store }, { cause: new TypeError(why) })
}

/** A store as those who may only read see it; of the kind that its spec says. */
function readableOf(spec: StoreSpec, store: any): ReadOnlyKeyValueStore<any> | ReadOnlyWindowStore<any> {
  if (spec.kind === 'key-value') return readableKeyValues(store)
  if (spec.kind === 'window') return readableWindows(store, spec.windowSizeMs ?? 0)
  if (spec.kind === 'session') return readableSessions(store)
  if (spec.kind === 'windowed key-value') return readableWindowedKeyValues(store)
  throw new MillraceError('UNKNOWN_STORE', { store: spec.name })
}

/** The stores of one spec, one for each task that has it, as one. `stores` is asked at each call, since tasks come and go. */
export function queryOf(
  spec: StoreSpec,
  stores: () => readonly unknown[],
): ReadOnlyKeyValueStore<any> | ReadOnlyWindowStore<any> {
  const views = (): any[] => stores().map(store => readableOf(spec, store))
  return spec.kind === 'key-value' ? keyValuesOf(views) : windowsOf(views)
}

function keyValuesOf(views: () => readonly ReadOnlyKeyValueStore<any>[]): ReadOnlyKeyValueStore<any> {
  return {
    get: key => firstOf(views(), view => view.get(key)),
    range(options) {
      const order = options?.reverse === true ? -1 : 1
      const sides = views().map(view => view.range(options))
      return merged(sides, ([one], [other]) => order * compareKeys(one, other))
    },
    get size() {
      return views().reduce((sum, { size }) => sum + size, 0)
    },
  }
}

function windowsOf(views: () => readonly ReadOnlyWindowStore<any>[]): ReadOnlyWindowStore<any> {
  return {
    get: (key, start) => firstOf(views(), view => view.get(key, start)),
    range(options) {
      const sides = views().map(view => view.range(options))
      return merged(sides, ([one], [other]) => one.start - other.start || compareKeys(one.key, other.key))
    },
  }
}

function firstOf<S>(views: readonly S[], get: (view: S) => unknown): any {
  for (const view of views) {
    const found = get(view)
    if (found !== undefined) return found
  }
  return undefined
}

/** Sorted iterators as one; of equals the first side's comes first. */
function* merged<T>(sides: readonly IterableIterator<T>[], compare: (one: T, other: T) => number): IterableIterator<T> {
  const heads = sides.map(rows => ({ rows, head: rows.next() })).filter(({ head }) => head.done !== true)
  while (heads.length > 0) {
    let least = 0
    for (let i = 1; i < heads.length; i++) if (compare(heads[i]!.head.value, heads[least]!.head.value) < 0) least = i
    const side = heads[least]!
    yield side.head.value
    side.head = side.rows.next()
    if (side.head.done === true) heads.splice(least, 1)
  }
}
