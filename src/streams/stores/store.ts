import type { Stamped } from '../record.js'
import type { ChangedRows } from './changed-rows.js'
import type { ObservedTime } from './observed-time.js'
import type { UndoLog } from './undo-log.js'

// Rows that stores hand out are never changed in place, so they can be kept.

/** Kafka: KeyValue<Windowed<K>, ValueAndTimestamp<V>>; where the window ends, its operator knows. */
export interface WindowRow<V> extends Stamped<V> {
  readonly key: string
  readonly start: number
}
/** A session's own end is its timestamp. */
export interface SessionRow<V> {
  readonly key: string
  readonly start: number
  readonly end: number
  readonly value: V
}

/**
 * Told of every change of a store that its changelog has to hold: a text that names the row, and what the row holds now,
 * in the changelog's own form, or null where it is gone. Without a timestamp, that of the record at work counts.
 */
type ChangeListener = (key: string, value: unknown, timestamp: number | undefined) => void

/** How a changelog holds a store's values: as they are, or as text where there is a codec. */
export interface ValueFormat {
  toLog(value: unknown): unknown
  fromLog(logged: unknown): unknown
}
export const asItIs: ValueFormat = { toLog: value => value, fromLog: logged => logged }

/** What every store is made with. */
export interface StoreSetup {
  readonly name: string
  /** Its task's. */
  readonly undo: UndoLog
  /** Left out where the store has no changelog. */
  readonly changed?: ChangeListener | undefined
  /** Where the changelog holds rows as they are, those that are put may wait in here until their turn is over. */
  readonly changedRows?: ChangedRows<any> | undefined
  /** @default asItIs */
  readonly format?: ValueFormat | undefined
}

/** What a task asks of any store. */
export interface StateStore {
  readonly name: string
  /** What it has seen of time, which is restored with its task. None in a key-value store. */
  readonly times: readonly ObservedTime[]
  /** Rows that it holds. */
  readonly size: number
  /** What the changelog calls a row that waits in `changedRows`. @default the name is a text */
  rowName?(waiting: any): string
  /** Takes a record of its changelog. Tells no listener and can't be undone; comes before the first record of the task. */
  restore(key: string, logged: unknown, timestamp: number): void
}

/** Keys are text, in the order of their UTF-8 bytes. Kafka: TimestampedKeyValueStore. */
export interface TimestampedKeyValueStore<V = unknown> extends StateStore {
  get(key: string): Stamped<V> | undefined
  /** A value of null or undefined: the row is gone. */
  put(key: string, value: V | null | undefined, timestamp: number): void
  /** The row that was there. */
  delete(key: string): Stamped<V> | undefined
  /** The keys as of the call, both ends included; a row that is gone when its turn comes is left out. */
  range(from?: string, to?: string, reverse?: boolean): IterableIterator<readonly [key: string, row: Stamped<V>]>
  /** Those that begin with a text. */
  prefix(prefix: string, reverse?: boolean): IterableIterator<readonly [key: string, row: Stamped<V>]>
}

/** One row for a key and a start; starts at or before (the latest start it was given) - retentionMs are out. Kafka: TimestampedWindowStore. */
export interface TimestampedWindowStore<V = unknown> extends StateStore {
  readonly retentionMs: number
  get(key: string, start: number): Stamped<V> | undefined
  /** A value of null or undefined: the row is gone. What is out of retention is left out. */
  put(key: string, value: V | null | undefined, start: number, timestamp: number): void
  /** One key's windows that start within from..to, by start. As of the call. */
  fetch(key: string, from: number, to: number): readonly WindowRow<V>[]
  /** The windows of all keys that start within from..to, by start, then by key. As of the call. */
  fetchAll(from: number, to: number): readonly WindowRow<V>[]
}

/** A stream's records that wait to be joined: any number for a key and a timestamp, in the order they came. Kafka: WindowStore that retains duplicates. */
export interface JoinWindowStore<V = unknown> extends StateStore {
  readonly retentionMs: number
  /** A value of null only moves its time on, as in Kafka. */
  put(key: string, value: V | null, timestamp: number): void
  /** One key's records within from..to, by timestamp, then as they came. As of the call. */
  fetch(key: string, from: number, to: number): readonly WindowRow<V>[]
}

/** Sessions that end at or before (the latest end it was given) - retentionMs are out. Kafka: SessionStore. */
export interface SessionWindowStore<V = unknown> extends StateStore {
  readonly retentionMs: number
  get(key: string, start: number, end: number): V | undefined
  /** A value of null or undefined: the session is gone. What is out of retention is left out. */
  put(key: string, start: number, end: number, value: V | null | undefined): void
  /** Unlike a put of null it does not move the store's time on. */
  remove(key: string, start: number, end: number): void
  /** One key's sessions that end at earliestEnd or later and start at latestStart or before: by end, the later start first. As of the call. */
  findSessions(key: string, earliestEnd: number, latestStart: number): readonly SessionRow<V>[]
  /** The sessions of all keys that end within from..to: by end, then by key, the later start first. As of the call. */
  findSessionsByEnd(from: number, to: number): readonly SessionRow<V>[]
}
