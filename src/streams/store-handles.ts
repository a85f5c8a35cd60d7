import { type Codec, MillraceError } from '../index.js'
import type { Windowed } from './record.js'
import { checkStoreOptions, type StoreOptions } from './store-options.js'
import { InMemoryKeyValueStore } from './stores/key-value-store.js'
import { InMemorySessionStore } from './stores/session-store.js'
import { InMemoryWindowStore } from './stores/window-store.js'
import { checkName } from './topology/naming.js'
import type { StoreSpec } from './topology/store-spec.js'

/** A store's name and kind; the handle by which processors and queries find it, typed. */
export interface Store<S> {
  readonly name: string
  readonly kind: 'key-value' | 'window' | 'session'
  /** Phantom. */
  readonly store?: S
}

export interface ReadOnlyKeyValueStore<V> {
  get(key: string): V | undefined
  /** By key, in the order of their UTF-8 bytes, both ends included. @default everything */
  range(options?: {
    from?: string | undefined
    to?: string | undefined
    prefix?: string | undefined
    reverse?: boolean | undefined
  }): IterableIterator<readonly [key: string, value: V]>
  readonly size: number
}
export interface KeyValueStore<V> extends ReadOnlyKeyValueStore<V> {
  /** null: gone. */
  put(key: string, value: V | null): void
  /** What was there. */
  delete(key: string): V | undefined
}
export interface ReadOnlyWindowStore<V> {
  get(key: string, start: number): V | undefined
  /** Windows that start (sessions: that overlap) within from..to, by start, then by key. @default all keys, all time */
  range(options?: {
    key?: string | undefined
    from?: number | undefined
    to?: number | undefined
  }): IterableIterator<readonly [window: Windowed, value: V]>
}
export interface WindowStore<V> extends ReadOnlyWindowStore<V> {
  put(key: string, value: V | null, start: number): void
}
export interface SessionStore<V> extends ReadOnlyWindowStore<V> {
  put(session: Windowed, value: V | null): void
}

/** What a handle stands for in a topology. */
class StoreHandle implements Store<any> {
  readonly name: string
  readonly kind: 'key-value' | 'window' | 'session'
  readonly #spec: StoreSpec

  constructor(spec: StoreSpec & { readonly kind: 'key-value' | 'window' | 'session' }) {
    this.name = spec.name
    this.kind = spec.kind
    this.#spec = spec
    Object.freeze(this)
  }
  static specOf(handle: unknown): StoreSpec | undefined {
    return typeof handle === 'object' && handle !== null && #spec in handle ? handle.#spec : undefined
  }
}
/** Undefined for what none of the functions below has made. */
export const specOf: (handle: unknown) => StoreSpec | undefined = StoreHandle.specOf

type Options<V> = Omit<StoreOptions<V>, 'store' | 'retentionMs'>

/** A store of rows by key, for processors: put its handle into the list of each that uses it. Kafka: Stores.keyValueStoreBuilder. */
export function keyValueStore<V>(name: string, options?: Options<V>): Store<KeyValueStore<V>> {
  return new StoreHandle({
    ...named(name, options, ['codec', 'logging']),
    kind: 'key-value',
    make: setup => new InMemoryKeyValueStore(setup),
  })
}
/** A store of rows by key and start of a window. Rows older than retentionMs, by the latest start put, are gone. Kafka: Stores.windowStoreBuilder. */
export function windowStore<V>(
  name: string,
  options: { sizeMs: number; retentionMs: number } & Options<V>,
): Store<WindowStore<V>> {
  const base = named(name, options, ['sizeMs', 'retentionMs', 'codec', 'logging'])
  const { sizeMs, retentionMs } = options ?? {}
  checkMs(`sizeMs of store ${name}`, sizeMs, 0)
  checkMs(`retentionMs of store ${name}`, retentionMs, sizeMs)
  return new StoreHandle({
    ...base,
    kind: 'window',
    windowSizeMs: sizeMs,
    make: setup => new InMemoryWindowStore({ ...setup, retentionMs }),
  })
}
/** A store of rows by key and session. Sessions that ended longer than retentionMs ago, by the latest end put, are gone. Kafka: Stores.sessionStoreBuilder. */
export function sessionStore<V>(name: string, options: { retentionMs: number } & Options<V>): Store<SessionStore<V>> {
  const base = named(name, options, ['retentionMs', 'codec', 'logging'])
  const { retentionMs } = options ?? {}
  checkMs(`retentionMs of store ${name}`, retentionMs, 0)
  return new StoreHandle({
    ...base,
    kind: 'session',
    make: setup => new InMemorySessionStore({ ...setup, retentionMs }),
  })
}

function named(
  name: string,
  options: Options<any> | undefined,
  known: readonly string[],
): Pick<StoreSpec, 'name' | 'logging' | 'codec'> {
  checkName('store', name)
  checkStoreOptions(`options of store ${name}`, options, known)
  const codec: Codec<any> | undefined = options?.codec
  return { name, codec, logging: options?.logging ?? true }
}

function checkMs(option: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    throw new MillraceError('INVALID_CONFIG', { option, value, expected: `whole milliseconds of at least ${least}` })
}
