import type { Change, Headers, RecordContext, Windowed } from '../record.js'
import { asItIs, type StateStore, type StoreSetup, type ValueFormat } from './store.js'
import { TimeTable } from './time-table.js'
import { keyText, parseWindowedKey } from './windowed-key.js'

/** A change that is held back. Kafka: BufferValue. */
interface Buffered<V> {
  readonly key: string | Windowed
  /** When it was first buffered, or its window ends: what makes it due. */
  readonly time: number
  readonly change: Change<V>
  /** What the table held before the first of the changes that were merged here: downstream still sees that. */
  readonly prior: V | null
  /** Of the last of them. */
  readonly context: RecordContext
}

/** Kafka: InMemoryTimeOrderedKeyValueChangeBuffer. */
export class SuppressBuffer<V = unknown> implements StateStore {
  readonly name: string
  readonly times: StateStore['times'] = []
  readonly #changed: StoreSetup['changed']
  readonly #format: ValueFormat
  readonly #windowed: boolean
  readonly #rows: TimeTable<Buffered<V>>

  constructor({ name, undo, changed, format = asItIs, windowed }: StoreSetup & { readonly windowed: boolean }) {
    this.name = name
    this.#changed = changed
    this.#format = format
    this.#windowed = windowed
    this.#rows = new TimeTable(undo)
  }

  get size(): number {
    return this.#rows.size
  }

  /** The time of the first, Infinity where there is none. */
  get firstTime(): number {
    return this.#rows.firstTime
  }

  /** The first by time, then by key. */
  first(): Buffered<V> | undefined {
    return this.#rows.first()?.value
  }

  get(key: string | Windowed): Buffered<V> | undefined {
    return this.#rows.only(keyText(key))?.value
  }

  /** Replaces the change of the same key, whose place it takes: it is due when that was. */
  put(time: number, key: string | Windowed, change: Change<V>, context: RecordContext): void {
    const text = keyText(key)
    const row = this.#rows.only(text)
    const { time: due, prior } = row === undefined ? { time, prior: change.oldValue } : row.value
    const buffered = { key, time: due, change, prior, context }
    if (row === undefined) this.#rows.insert(text, time, 0, buffered)
    else this.#rows.replace(row, buffered)
    this.#changed?.(text, this.#toLog(buffered), undefined)
  }

  remove(key: string | Windowed): void {
    const text = keyText(key)
    const row = this.#rows.only(text)
    if (row === undefined) return
    this.#rows.remove(row)
    this.#changed?.(text, null, undefined)
  }

  restore(text: string, logged: unknown, _timestamp: number): void {
    const before = this.#rows.only(text)
    if (before !== undefined) this.#rows.restore(text, before.time, 0, undefined)
    if (logged !== null) this.#rows.restore(text, (logged as Logged).time, 0, this.#fromLog(text, logged as Logged))
  }

  #toLog({ time, change: { oldValue, newValue }, prior, context }: Buffered<V>): Logged {
    const { topic, partition, offset, timestamp } = context
    const log = (value: V | null): unknown => (value === null ? null : this.#format.toLog(value))
    const headers = context.headers.map(
      ([name, value]) => [name, value instanceof Uint8Array ? Array.from(value) : value] as const,
    )
    return {
      time,
      oldValue: log(oldValue),
      newValue: log(newValue),
      prior: log(prior),
      context: { topic: topic ?? null, partition, offset, timestamp, headers },
    }
  }

  #fromLog(text: string, { time, oldValue, newValue, prior, context }: Logged): Buffered<V> {
    const read = (logged: unknown): V | null => (logged === null ? null : (this.#format.fromLog(logged) as V))
    const headers: Headers = context.headers.map(([name, value]) => [
      name,
      Array.isArray(value) ? Uint8Array.from(value) : (value as string | null),
    ])
    return {
      key: this.#windowed ? parseWindowedKey(text) : text,
      time,
      change: { oldValue: read(oldValue), newValue: read(newValue) },
      prior: read(prior),
      context: { ...context, topic: context.topic ?? undefined, headers },
    }
  }
}

/** As its changelog holds it: what JSON can say. */
interface Logged {
  readonly time: number
  readonly oldValue: unknown
  readonly newValue: unknown
  readonly prior: unknown
  readonly context: {
    readonly topic: string | null
    readonly partition: number
    readonly offset: number
    readonly timestamp: number
    readonly headers: readonly (readonly [name: string, value: string | null | readonly number[]])[]
  }
}
