// Each kind of store, the simplest thing that does the same, and what can be done to both.
import { InMemoryJoinWindowStore } from '../../../src/streams/stores/join-window-store.js'
import { InMemoryKeyValueStore } from '../../../src/streams/stores/key-value-store.js'
import { OuterJoinStore } from '../../../src/streams/stores/outer-join-store.js'
import { InMemorySessionStore } from '../../../src/streams/stores/session-store.js'
import type { StateStore, StoreSetup } from '../../../src/streams/stores/store.js'
import { SuppressBuffer } from '../../../src/streams/stores/suppress-buffer.js'
import { InMemoryWindowStore } from '../../../src/streams/stores/window-store.js'

/** In the order of UTF-8: the last two are the other way round in UTF-16. */
export const keys = ['', 'a', 'a@1', 'ab', 'b', 'é', '￮', '😀'] as const

/** Some of it means nothing to some stores. */
export interface Act {
  readonly verb: 'put' | 'remove' | 'other'
  readonly key: string
  readonly time: number
  /** How long before its end a session began, and the like. */
  readonly extent: number
  readonly value: number
}

/** A store next to its model. `Model` is plain data, so that it can be copied. */
export interface Kind<S extends StateStore, Model> {
  readonly name: string
  make(setup: StoreSetup): S
  empty(): Model
  act(store: S, act: Act): void
  /** Does the same to the model. */
  model(model: Model, act: Act): void
  /** All that can be asked of a store, as JSON. */
  read(store: S): unknown
  readModel(model: Model): unknown
  rows(model: Model): number
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
const retentionMs = 10
/** From, to: all, some, one, none, what is before all. */
const ranges = [
  [-Infinity, Infinity],
  [8, 20],
  [15, 15],
  [20, 8],
  [-5, 3],
] as const

export const keyValues: Kind<InMemoryKeyValueStore<number>, Record<string, { value: number; timestamp: number }>> = {
  name: 'a key-value store',
  make: setup => new InMemoryKeyValueStore(setup),
  empty: () => ({}),
  act(store, { verb, key, value, time }) {
    if (verb === 'put') store.put(key, value, time)
    else if (verb === 'remove') store.delete(key)
    else store.put(key, null, time)
  },
  model(model, { verb, key, value, time }) {
    delete model[key]
    if (verb === 'put') model[key] = { value, timestamp: time }
  },
  read: store => [
    keys.map(key => store.get(key) ?? null),
    [...store.range()],
    [...store.range(undefined, undefined, true)],
    [...store.range('a', '￮')],
    [...store.range('ab')],
    [...store.range('c', 'b')],
    [...store.prefix('a')],
    [...store.prefix('a@', true)],
  ],
  readModel(model) {
    const all = Object.entries(model).sort(([a], [b]) => byBytes(a, b))
    return [
      keys.map(key => model[key] ?? null),
      all,
      all.toReversed(),
      all.filter(([key]) => byBytes(key, 'a') >= 0 && byBytes(key, '￮') <= 0),
      all.filter(([key]) => byBytes(key, 'ab') >= 0),
      [],
      all.filter(([key]) => key.startsWith('a')),
      all.filter(([key]) => key.startsWith('a@')).toReversed(),
    ]
  },
  rows: model => Object.keys(model).length,
}

interface Timed<Row> {
  observed: number
  rows: Row[]
}
const expire = <Row>(model: Timed<Row>, time: number, timeOf: (row: Row) => number): boolean => {
  model.observed = Math.max(model.observed, time)
  model.rows = model.rows.filter(row => timeOf(row) > model.observed - retentionMs)
  return time > model.observed - retentionMs
}

interface WindowRow {
  key: string
  start: number
  value: number
  timestamp: number
}
const byStartAndKey = (a: WindowRow, b: WindowRow): number => a.start - b.start || byBytes(a.key, b.key)

export const windows: Kind<InMemoryWindowStore<number>, Timed<WindowRow>> = {
  name: 'a window store',
  make: setup => new InMemoryWindowStore({ ...setup, retentionMs }),
  empty: () => ({ observed: -1, rows: [] }),
  act: (store, { verb, key, time, value, extent }) =>
    store.put(key, verb === 'put' ? value : null, time, time + extent),
  model(model, { verb, key, time, value, extent }) {
    if (!expire(model, time, row => row.start)) return
    model.rows = model.rows.filter(row => row.key !== key || row.start !== time)
    if (verb === 'put') model.rows.push({ key, start: time, value, timestamp: time + extent })
  },
  read: store => [
    keys.map(key => [8, 12, 20].map(start => store.get(key, start) ?? null)),
    ranges.map(([from, to]) => store.fetchAll(from, to)),
    keys.map(key => ranges.map(([from, to]) => store.fetch(key, from, to))),
  ],
  readModel({ rows }) {
    const within = ([from, to]: readonly [number, number]): WindowRow[] =>
      rows.filter(({ start }) => start >= from && start <= to).sort(byStartAndKey)
    const get = (key: string, start: number): unknown => {
      const row = rows.find(row => row.key === key && row.start === start)
      return row === undefined ? null : { value: row.value, timestamp: row.timestamp }
    }
    return [
      keys.map(key => [8, 12, 20].map(start => get(key, start))),
      ranges.map(within),
      keys.map(key => ranges.map(range => within(range).filter(row => row.key === key))),
    ]
  },
  rows: model => model.rows.length,
}

export const joinWindows: Kind<InMemoryJoinWindowStore<number>, Timed<WindowRow>> = {
  name: 'a store of a join',
  make: setup => new InMemoryJoinWindowStore({ ...setup, retentionMs }),
  empty: () => ({ observed: -1, rows: [] }),
  act: (store, { verb, key, time, value }) => store.put(key, verb === 'put' ? value : null, time),
  model(model, { verb, key, time, value }) {
    if (expire(model, time, row => row.start) && verb === 'put')
      model.rows.push({ key, start: time, value, timestamp: time })
  },
  read: store => keys.map(key => ranges.map(([from, to]) => store.fetch(key, from, to))),
  readModel: ({ rows }) =>
    keys.map(key =>
      ranges.map(([from, to]) =>
        rows.filter(row => row.key === key && row.start >= from && row.start <= to).sort((a, b) => a.start - b.start),
      ),
    ),
  rows: model => model.rows.length,
}

interface SessionRow {
  key: string
  start: number
  end: number
  value: number
}
const byEndAndKey = (a: SessionRow, b: SessionRow): number =>
  a.end - b.end || byBytes(a.key, b.key) || b.start - a.start

export const sessions: Kind<InMemorySessionStore<number>, Timed<SessionRow>> = {
  name: 'a session store',
  make: setup => new InMemorySessionStore({ ...setup, retentionMs }),
  empty: () => ({ observed: -1, rows: [] }),
  act(store, { verb, key, time, value, extent }) {
    const start = Math.max(0, time - extent)
    if (verb === 'other') store.remove(key, start, time)
    else store.put(key, start, time, verb === 'put' ? value : null)
  },
  model(model, { verb, key, time, value, extent }) {
    const start = Math.max(0, time - extent)
    if (verb !== 'other' && !expire(model, time, row => row.end)) return
    model.rows = model.rows.filter(row => row.key !== key || row.start !== start || row.end !== time)
    if (verb === 'put') model.rows.push({ key, start, end: time, value })
  },
  read: store => [
    ranges.map(([from, to]) => store.findSessionsByEnd(from, to)),
    keys.map(key => ranges.map(([from, to]) => store.findSessions(key, from, to))),
    keys.map(key => store.get(key, 8, 12) ?? null),
  ],
  readModel({ rows }) {
    const sorted = rows.toSorted(byEndAndKey)
    return [
      ranges.map(([from, to]) => sorted.filter(({ end }) => end >= from && end <= to)),
      keys.map(key =>
        ranges.map(([from, to]) => sorted.filter(row => row.key === key && row.end >= from && row.start <= to)),
      ),
      keys.map(key => rows.find(row => row.key === key && row.start === 8 && row.end === 12)?.value ?? null),
    ]
  },
  rows: model => model.rows.length,
}

interface Held {
  key: string
  time: number
  newValue: number | null
  oldValue: number | null
  prior: number | null
  timestamp: number
}
export const suppressed: Kind<SuppressBuffer<number>, Held[]> = {
  name: 'the buffer of suppress',
  make: setup => new SuppressBuffer({ ...setup, windowed: false }),
  empty: () => [],
  act(store, { verb, key, time, value, extent }) {
    if (verb === 'remove') store.remove(key)
    else if (verb === 'other') store.remove(store.first()?.key ?? '')
    else {
      const headers = [
        ['h', Uint8Array.of(value)],
        ['', null],
      ] as const
      const context = { topic: 'input', partition: 0, offset: value, timestamp: time + extent, headers }
      store.put(time, key, { oldValue: extent === 0 ? null : extent, newValue: value }, context)
    }
  },
  model(model, { verb, key, time, value, extent }) {
    const first = model.toSorted((a, b) => a.time - b.time || byBytes(a.key, b.key))[0]
    const gone = verb === 'other' ? (first?.key ?? '') : key
    const at = model.findIndex(held => held.key === gone)
    const oldValue = extent === 0 ? null : extent
    const before = model[at] ?? { time, prior: oldValue }
    if (at >= 0) model.splice(at, 1)
    if (verb !== 'put') return
    model.push({ key, time: before.time, newValue: value, oldValue, prior: before.prior, timestamp: time + extent })
  },
  read: store => [
    store.firstTime === Infinity ? null : store.firstTime,
    store.first()?.key ?? null,
    keys.map(key => {
      const held = store.get(key)
      if (held === undefined) return null
      const { time, change, prior, context } = held
      return { key: held.key, time, ...change, prior, timestamp: context.timestamp, header: context.headers[0] }
    }),
  ],
  readModel(model) {
    const first = model.toSorted((a, b) => a.time - b.time || byBytes(a.key, b.key))[0]
    return [
      first?.time ?? null,
      first?.key ?? null,
      keys.map(key => {
        const held = model.find(held => held.key === key)
        return held === undefined ? null : { ...held, header: ['h', Uint8Array.of(held.newValue!)] }
      }),
    ]
  },
  rows: model => model.length,
}

interface Waiting {
  side: 'left' | 'right'
  key: string
  timestamp: number
  values: number[]
}
export const unmatched: Kind<OuterJoinStore, Waiting[]> = {
  name: 'the store of what is not joined yet',
  make: setup => new OuterJoinStore(setup),
  empty: () => [],
  act(store, { verb, key, time, extent, value }) {
    const side = extent % 2 === 0 ? 'left' : 'right'
    if (verb === 'remove') store.remove(side, key, time)
    else store.add(side, key, time, value)
  },
  model(model, { verb, key, time, extent, value }) {
    const side = extent % 2 === 0 ? 'left' : 'right'
    const at = model.findIndex(row => row.key === key && row.timestamp === time && row.side === side)
    if (verb === 'remove') {
      if (at >= 0) model.splice(at, 1)
    } else if (at >= 0) model[at]!.values.push(value)
    else model.push({ side, key, timestamp: time, values: [value] })
  },
  read: store => [...store.all()],
  // Kafka: TimestampedKeyAndJoinSideSerializer — the timestamp, a byte that is 1 for left, the key
  readModel: model =>
    model.toSorted(
      (a, b) =>
        a.timestamp - b.timestamp || Number(a.side === 'left') - Number(b.side === 'left') || byBytes(a.key, b.key),
    ),
  rows: model => model.length,
}
