// Stores as users see them: as queries read them, and as processors use them. What is handed in is checked here.
import type { Windowed } from '../record.js'
import type {
  KeyValueStore,
  ReadOnlyKeyValueStore,
  ReadOnlyWindowStore,
  SessionStore,
  WindowStore,
} from '../store-handles.js'
import { checkOptions } from '../store-options.js'
import { compareKeys } from './key-order.js'
import type { SessionWindowStore, TimestampedKeyValueStore, TimestampedWindowStore } from './store.js'
import type { WindowedKeyValueStore } from './windowed-key-value-store.js'

/** What a processor's writes need of its task. */
export interface Writer {
  /** Of the record at work; throws where none is. */
  readonly timestamp: number
  /** A value on its way into a store: undefined counts as null, a promise is refused, as is all where no record is at work. */
  result(value: unknown): unknown
}

export function readableKeyValues<V>(store: TimestampedKeyValueStore<V>): ReadOnlyKeyValueStore<V> {
  return {
    get: key => store.get(checkedKey(key))?.value,
    range: options => readRange(store, options),
    get size() {
      return store.size
    },
  }
}

export function writableKeyValues<V>(store: TimestampedKeyValueStore<V>, writer: Writer): KeyValueStore<V> {
  return {
    get: key => store.get(checkedKey(key))?.value,
    range: options => readRange(store, options),
    get size() {
      return store.size
    },
    put(key, value) {
      store.put(checkedKey(key), writer.result(value) as V | null, writer.timestamp)
    },
    delete(key) {
      const row = store.get(checkedKey(key))
      store.put(key, null, writer.timestamp)
      return row?.value
    },
  }
}

type RangeOptions = Parameters<ReadOnlyKeyValueStore<unknown>['range']>[0]

/** Its keys are those as of the call. */
function readRange<V>(store: TimestampedKeyValueStore<V>, options: RangeOptions = {}): IterableIterator<[string, V]> {
  checkOptions('range options', options, ['from', 'to', 'prefix', 'reverse'])
  const { from, to, prefix, reverse } = options
  for (const bound of [from, to, prefix]) if (bound !== undefined) checkedKey(bound)
  if (prefix === undefined) return values(store.range(from, to, reverse))
  const within = (key: string): boolean =>
    (from === undefined || compareKeys(key, from) >= 0) && (to === undefined || compareKeys(key, to) <= 0)
  return values(store.prefix(prefix, reverse), within)
}

function* values<V>(
  rows: ReturnType<TimestampedKeyValueStore<V>['range']>,
  wanted: (key: string) => boolean = () => true,
): IterableIterator<[string, V]> {
  for (const [key, { value }] of rows) if (wanted(key)) yield [key, value]
}

/** `sizeMs`: from a window's start to its end. */
export function readableWindows<V>(store: TimestampedWindowStore<V>, sizeMs: number): ReadOnlyWindowStore<V> {
  return {
    get: (key, start) => store.get(checkedKey(key), start)?.value,
    range(options) {
      const { key, from, to } = checkedSpan(options)
      const rows = key === undefined ? store.fetchAll(from, to) : store.fetch(key, from, to)
      return rows.map(({ key, start, value }) => [{ key, start, end: start + sizeMs }, value] as const).values()
    },
  }
}

export function writableWindows<V>(store: TimestampedWindowStore<V>, sizeMs: number, writer: Writer): WindowStore<V> {
  return {
    ...readableWindows(store, sizeMs),
    put(key, value, start) {
      store.put(checkedKey(key), writer.result(value) as V | null, checkedTime('start', start), writer.timestamp)
    },
  }
}

export function readableSessions<V>(store: SessionWindowStore<V>): ReadOnlyWindowStore<V> {
  return {
    get: (key, start) => store.findSessions(checkedKey(key), start, start).find(row => row.start === start)?.value,
    range(options) {
      const { key, from, to } = checkedSpan(options)
      const rows =
        key === undefined
          ? store.findSessionsByEnd(from, Infinity).filter(row => row.start <= to)
          : store.findSessions(key, from, to)
      return byStart(rows.map(({ key, start, end, value }) => [{ key, start, end }, value] as const)).values()
    },
  }
}

export function writableSessions<V>(store: SessionWindowStore<V>, writer: Writer): SessionStore<V> {
  return {
    ...readableSessions(store),
    put({ key, start, end }, value) {
      checkedTime('start', start)
      if (checkedTime('end', end) < start)
        throw new TypeError(`A session can't end (${end}) before it starts (${start})`)
      store.put(checkedKey(key), start, end, writer.result(value) as V | null)
    },
  }
}

/** A table made of a windowed one. */
export function readableWindowedKeyValues<V>(store: WindowedKeyValueStore<V>): ReadOnlyWindowStore<V> {
  const read = (key?: string): (readonly [Windowed, V])[] =>
    Array.from(store.range(key), ([window, { value }]) => [window, value] as const)
  return {
    get: (key, start) => read(checkedKey(key)).find(([window]) => window.start === start)?.[1],
    range(options) {
      const { key, from, to } = checkedSpan(options)
      const rows = read(key)
      return byStart(rows.filter(([{ start }]) => start >= from && start <= to)).values()
    },
  }
}

/** Then by key, then by end. */
const byStart = <V>(rows: (readonly [Windowed, V])[]): (readonly [Windowed, V])[] =>
  rows.sort(([a], [b]) => a.start - b.start || compareKeys(a.key, b.key) || a.end - b.end)

type Span = NonNullable<Parameters<ReadOnlyWindowStore<unknown>['range']>[0]>

/** All keys and all time, where nothing else was asked for. */
function checkedSpan(options: Span = {}): {
  readonly key: string | undefined
  readonly from: number
  readonly to: number
} {
  checkOptions('range options', options, ['key', 'from', 'to'])
  const { key, from = 0, to = Infinity } = options
  for (const time of [from, to])
    if (typeof time !== 'number' || Number.isNaN(time))
      throw new TypeError(`A range of windows is from a time to a time; got ${String(time)}`)
  return { key: key === undefined ? undefined : checkedKey(key), from, to }
}

function checkedKey(key: unknown): string {
  if (typeof key !== 'string') throw new TypeError(`A store's key must be a text; got ${String(key)}`)
  return key
}

function checkedTime(what: string, time: unknown): number {
  if (!Number.isSafeInteger(time) || (time as number) < 0)
    throw new TypeError(`A window's ${what} must be a whole number of milliseconds, 0 or more; got ${String(time)}`)
  return time as number
}
