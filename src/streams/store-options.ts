import { type Codec, MillraceError } from '../index.js'
import { checkName } from './topology/naming.js'

/** Of an operation. */
export interface Named {
  /** @default as Kafka names them: KSTREAM-FILTER-0000000002 */
  name?: string | undefined
}
/**
 * Of an operation that may need a repartition topic: `<applicationId>-<name>-repartition` (joins:
 * `<name>-left-repartition`, `-right-`; without a name an aggregate's store, as in Kafka).
 */
export interface Repartitioned<V> extends Named {
  /** Of its values in that topic. @default as a topic without codec */
  codec?: Codec<V> | undefined
}
/** Kafka: Materialized. */
export interface StoreOptions<V> {
  /**
   * Of the state store; its changelog topic is `<applicationId>-<store>-changelog`. On filter, mapValues and joins of
   * tables: makes the result a store, to be queried.
   *
   * @default made from its place in the topology
   */
  store?: string | undefined
  /** Of its values in the changelog. @default as a topic without codec */
  codec?: Codec<V> | undefined
  /** Without a changelog the state of a partition is lost with its owner. @default true */
  logging?: boolean | undefined
  /**
   * Of a window or session store, by stream time; INVALID_CONFIG below size + grace (sliding: 2 x difference + grace;
   * session: gap + grace). Unlike Kafka's, its default is a day.
   *
   * @default 86_400_000, or the least allowed where that is more
   */
  retentionMs?: number | undefined
}

const namedOptions = ['name']
const storeOptions = ['name', 'store', 'codec', 'logging', 'retentionMs']

/** All that an operation's options have in common, checked before anything has changed. `known`: its own, by name. */
export function checkStoreOptions(option: string, options: unknown, known: readonly string[] = storeOptions): void {
  checkOptions(option, options, known)
  const { name, store, codec, logging, retentionMs } = (options ?? {}) as Named & StoreOptions<unknown>
  if (name !== undefined) checkName('name', name)
  if (store !== undefined) checkName('store', store)
  checkCodec('codec', codec)
  if (logging !== undefined && typeof logging !== 'boolean') refuse('logging', logging, 'true or false')
  if (retentionMs !== undefined && (!Number.isSafeInteger(retentionMs) || retentionMs < 0))
    refuse('retentionMs', retentionMs, 'whole milliseconds of at least 0')
}

/** Whether a store is spoken of without a name. Kafka: Materialized.with, which uses up a number of its own in places. */
export function isUnnamedStore({ store, codec, logging, retentionMs }: StoreOptions<any>): boolean {
  return store === undefined && (codec !== undefined || logging !== undefined || retentionMs !== undefined)
}

/** A name that is misspelt would be an option that is left out. */
export function checkOptions(option: string, options: unknown, known: readonly string[] = namedOptions): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    refuse(option, options, 'an object of options')
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && !known.includes(name)) refuse(name, value, `left out (${option}: ${known.join(', ')})`)
}

export function checkCodec(option: string, codec: unknown): void {
  const { encode, decode } = (codec ?? {}) as { encode?: unknown; decode?: unknown }
  if (codec !== undefined && (typeof encode !== 'function' || typeof decode !== 'function'))
    refuse(option, codec, 'an object with encode() and decode()')
}

/** Each option and argument of the DSL that is a callback. */
export function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') refuse(option, value, 'a function')
  // Most that return a promise can be told only when they do.
  if (Object.prototype.toString.call(value) === '[object AsyncFunction]')
    refuse(option, value, 'a function that is not async: callbacks are synchronous')
}

export function refuse(option: string, value: unknown, expected: string): never {
  throw new MillraceError('INVALID_CONFIG', { option, value, expected })
}
