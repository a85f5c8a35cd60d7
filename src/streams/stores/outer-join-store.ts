import { ObservedTime } from './observed-time.js'
import { parseRowName, rowName } from './row-name.js'
import { asItIs, type StateStore, type StoreSetup, type ValueFormat } from './store.js'
import { type Entry, TimeTable } from './time-table.js'

export type JoinSide = 'left' | 'right'

/** The values of one side that came with one key and timestamp and have found no partner yet. */
export interface Unmatched {
  readonly side: JoinSide
  readonly key: string
  readonly timestamp: number
  readonly values: readonly unknown[]
}

/** Kafka's order: TimestampedKeyAndJoinSideSerializer writes the timestamp, a byte (1 for left), the key. */
const byte = { right: '0', left: '1' } as const

/**
 * The records of a left or outer join that wait for their window to close, and the times that its two sides share.
 * Kafka: the KSTREAM-OUTERSHARED store (a ListValueStore) and KStreamImplJoin.TimeTracker.
 */
export class OuterJoinStore implements StateStore {
  readonly name: string
  readonly times: StateStore['times']
  /** The largest timestamp that either side has seen. */
  readonly streamTime: ObservedTime
  /** None that waits was earlier when it was last looked through. */
  readonly minTime: ObservedTime
  readonly #changed: StoreSetup['changed']
  readonly #formats: { readonly [S in JoinSide]: ValueFormat }
  readonly #rows: TimeTable<readonly unknown[]>

  constructor({
    name,
    undo,
    changed,
    format = asItIs,
    otherFormat = asItIs,
  }: StoreSetup & { readonly otherFormat?: ValueFormat | undefined }) {
    this.name = name
    this.#changed = changed
    this.#formats = { left: format, right: otherFormat }
    this.#rows = new TimeTable(undo)
    this.streamTime = new ObservedTime('stream time', undo)
    this.minTime = new ObservedTime('min time', undo, Number.MAX_SAFE_INTEGER)
    this.times = [this.streamTime, this.minTime]
  }

  /** Keys and timestamps, not values. */
  get size(): number {
    return this.#rows.size
  }

  add(side: JoinSide, key: string, timestamp: number, value: unknown): void {
    const row = this.#rows.find(byte[side] + key, timestamp)
    const values = row === undefined ? [value] : [...row.value, value]
    if (row === undefined) this.#rows.insert(byte[side] + key, timestamp, 0, values)
    else this.#rows.replace(row, values)
    const logged = values.map(waiting => this.#formats[side].toLog(waiting))
    this.#changed?.(nameOf(side, key, timestamp), logged, timestamp)
  }

  /** They have met a partner, or have been passed on without one. */
  remove(side: JoinSide, key: string, timestamp: number): void {
    const row = this.#rows.find(byte[side] + key, timestamp)
    if (row === undefined) return
    this.#rows.remove(row)
    this.#changed?.(nameOf(side, key, timestamp), null, timestamp)
  }

  /** By timestamp, then right before left, then by key. Nothing may be changed meanwhile. */
  *all(): Generator<Unmatched, undefined> {
    for (const row of this.#rows.range(-Infinity, Infinity)) yield unmatched(row)
  }

  restore(name: string, logged: unknown, _timestamp: number): void {
    const [key, timestamp, left] = parseRowName(name)
    const side = left === 1 ? 'left' : 'right'
    const values = logged === null ? undefined : (logged as unknown[]).map(value => this.#formats[side].fromLog(value))
    this.#rows.restore(byte[side] + key, timestamp, 0, values)
  }
}

const nameOf = (side: JoinSide, key: string, timestamp: number): string => rowName(key, timestamp, Number(byte[side]))

const unmatched = ({ key, time, value }: Entry<readonly unknown[]>): Unmatched => ({
  side: key[0] === byte.left ? 'left' : 'right',
  key: key.slice(1),
  timestamp: time,
  values: value,
})
