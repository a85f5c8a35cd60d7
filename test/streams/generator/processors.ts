import type { HeaderValue } from 'millrace'
import type {
  FixedKeyProcessor,
  KeyValueStore,
  Processor,
  ProcessorContext,
  RecordContext,
  SessionStore,
  Store,
  StreamKey,
  WindowStore,
} from 'millrace/streams'
import type { Content, StepOf } from './case.js'
import { cut, number, text } from './vocabulary.js'

// The processors that the cases' topologies are made of. Processors.java has the same.

type Step = StepOf<'process' | 'processValues'>
type Headers = ReadonlyArray<readonly [string, HeaderValue]>
interface Forwarded {
  value: Content
  timestamp?: number
  headers?: Headers
}
type Forward = (record: Forwarded) => void
type Context = Pick<ProcessorContext<Content, any>, 'store' | 'streamTime' | 'wallClockTime'>

/** What a processor works with: its context, the store that it names first, and that store's window size. */
export interface Equipment {
  store: Store<any> | undefined
  sizeMs: number
}

type Work = (value: Content, key: StreamKey, record: RecordContext, forward: Forward, context: Context) => void

const rowsOf = ({ store }: Equipment, context: Context): KeyValueStore<Content> => context.store(store!)

const works: Record<string, (equipment: Equipment) => Work> = {
  count: equipment => (_value, key, _record, forward, context) => {
    if (key === null) return forward({ value: 'nobody' })
    const rows = rowsOf(equipment, context)
    const n = number(rows.get(text(key))) + 1
    rows.put(text(key), n)
    forward({ value: n })
  },
  changes: equipment => (value, key, _record, forward, context) => {
    if (key === null) return
    const rows = rowsOf(equipment, context)
    const old = value === null ? rows.delete(text(key)) : rows.get(text(key))
    if (value !== null) rows.put(text(key), value)
    if (text(old) !== text(value)) forward({ value })
  },
  neighbours: equipment => (value, key, _record, forward, context) => {
    const rows = rowsOf(equipment, context)
    rows.put(text(key), value)
    const found = [...rows.range({ from: 'a', to: 'c' })].map(([row]) => row)
    const back = [...rows.range({ reverse: true })].map(([row]) => row)
    forward({ value: cut(`${found.join('')}|${back.join('')}`) })
  },
  prefix: equipment => (value, key, _record, forward, context) => {
    const rows = rowsOf(equipment, context)
    rows.put(text(key) + text(value), value)
    const found = [...rows.range({ prefix: text(key) || 'a' })].map(([row]) => `${row};`)
    forward({ value: cut(found.join('')) })
  },
  where:
    () =>
    (_value, _key, { topic, partition, offset, timestamp, headers }, forward) => {
      const from = topic === undefined ? 'none' : /-(repartition|topic)$/.test(topic) ? 'internal' : topic
      forward({ value: `${from}:${partition}:${offset}:${timestamp}:${headers.length}` })
    },
  times: () => (_value, _key, _record, forward, context) =>
    forward({ value: `${context.streamTime}/${context.wallClockTime}` }),
  later:
    () =>
    (value, _key, { timestamp, headers }, forward) =>
      forward({ value, timestamp: timestamp + 10, headers: [...headers, ['p', '1']] }),
  twice: () => (value, _key, _record, forward) => {
    forward({ value })
    forward({ value: number(value) })
  },
  windowSum: equipment => (value, key, record, forward, context) => {
    const windows: WindowStore<Content> = context.store(equipment.store!)
    const row = text(key)
    const start = Math.trunc(record.timestamp / equipment.sizeMs) * equipment.sizeMs
    windows.put(row, (number(windows.get(row, start)) + number(value)) % 1_000_003, start)
    const near = windows.range({ key: row, from: Math.max(0, record.timestamp - 10), to: record.timestamp })
    const found = [...near].map(([window, sum]) => `${window.start}=${sum} `)
    const all = [...windows.range()].map(([window]) => window.key)
    forward({ value: cut(found.join('') + all.join('')) })
  },
  windowsNear:
    equipment =>
    (value, key, { timestamp }, forward, context) => {
      const windows: WindowStore<Content> = context.store(equipment.store!)
      windows.put(text(key), value, timestamp)
      const near = [...windows.range({ from: Math.max(0, timestamp - 6), to: timestamp + 2 })]
      forward({ value: cut(near.map(([window]) => `${window.key}${window.start};`).join('')) })
    },
  sessions: equipment => (value, key, record, forward, context) => {
    const sessions: SessionStore<Content> = context.store(equipment.store!)
    const row = text(key)
    const start = Math.trunc(record.timestamp / 5) * 5
    sessions.put({ key: row, start, end: start + 3 }, value === null ? null : number(value))
    const near = [...sessions.range({ key: row, from: Math.max(0, record.timestamp - 7), to: record.timestamp })]
    forward({ value: `${near.length}/${near.reduce((sum, [session]) => sum + session.start, 0)}` })
  },
}

/** Keeps the last value of each key and forwards them all at each punctuation; after three it stops, if it is to. */
function collect(step: Step, { store }: Equipment): Processor<Content, StreamKey, Content, any> {
  let rows: KeyValueStore<Content>
  let times = 0
  return {
    init(context) {
      rows = context.store(store!)
      const cancel = context.schedule(step.every!, step.time!, timestamp => {
        const all = [...rows.range()]
        context.forward({ key: 'time', value: timestamp })
        for (const [key, value] of all) {
          context.forward({ key, value })
          rows.delete(key)
        }
        if (++times === 3 && step.stops) cancel()
      })
    },
    process(value, key) {
      rows.put(text(key), value)
    },
  }
}

/** An even value sets the alarm anew, an odd one does nothing to it. */
function alarm(step: Step): Processor<Content, StreamKey, Content, any> {
  let context: ProcessorContext<Content, any>
  let cancel: (() => void) | undefined
  return {
    init(given) {
      context = given
    },
    process(value, key) {
      context.forward({ key: text(key), value })
      if (number(value) % 2 !== 0) return
      cancel?.()
      cancel = context.schedule(step.every!, step.time!, timestamp =>
        context.forward({ key: 'alarm', value: timestamp }),
      )
    },
  }
}

function rekey(): Processor<Content, StreamKey, Content, any> {
  let context: ProcessorContext<Content, any>
  return {
    init(given) {
      context = given
    },
    process(value) {
      context.forward({ key: 'r', value })
      context.forward({ key: null, value })
    },
  }
}

export function processor(step: Step, equipment: Equipment): Processor<Content, StreamKey, Content, any> {
  if (step.by === 'collect') return collect(step, equipment)
  if (step.by === 'rekey') return rekey()
  if (step.by === 'alarm') return alarm(step)
  const work = works[step.by]!(equipment)
  let context: ProcessorContext<Content, any>
  return {
    init(given) {
      context = given
    },
    process(value, key, record) {
      work(value, key, record, forwarded => context.forward({ key, ...forwarded }), context)
    },
  }
}

export function fixedKeyProcessor(step: Step, equipment: Equipment): FixedKeyProcessor<Content, StreamKey, Content> {
  const work = works[step.by]!(equipment)
  let context: Parameters<NonNullable<FixedKeyProcessor<Content, StreamKey, Content>['init']>>[0]
  return {
    init(given) {
      context = given
    },
    process(value, key, record) {
      work(value, key, record, forwarded => context.forward(forwarded), context)
    },
  }
}
