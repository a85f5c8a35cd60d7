import { type Headers, type Key, keyId } from './record.js'

/** What a record without headers has: one frozen list for all of them. */
export const noHeaders: Headers = Object.freeze([])

/**
 * A run of consecutive records as columns, the unit of retention and compaction. Kafka: LogSegment.
 *
 * Offsets are implicit (`base` + slot) while no record between is missing; only compaction writes a column of them.
 * Columns are filled up to `count`, and may have room beyond it.
 */
export class Segment {
  /** No record in here is below it, and the records of the segment before all are. */
  readonly base: number
  /** Records in here. */
  count = 0
  keys: (Key | null)[]
  values: unknown[]
  timestamps: number[]
  /** Undefined until a record with headers comes. */
  headers: Headers[] | undefined = undefined
  /** Undefined while dense. */
  offsets: Float64Array | undefined = undefined
  /** Milliseconds; -Infinity while empty. Kafka: LogSegment.largestTimestamp. */
  largestTimestamp: number = Number.NEGATIVE_INFINITY
  readonly #capacity: number

  /** `capacity`, at least 1, is the room to begin with: columns grow with use. */
  constructor(base: number, capacity: number) {
    this.base = base
    this.#capacity = capacity
    this.keys = references(capacity)
    this.values = references(capacity)
    this.timestamps = doubles(capacity)
  }

  append(key: Key | null, value: unknown, headers: Headers, timestamp: number): void {
    if (headers.length > 0 || this.headers !== undefined) this.#setHeaders(headers)
    const slot = this.count
    this.keys[slot] = key
    this.values[slot] = value
    this.timestamps[slot] = timestamp
    this.count = slot + 1
    if (timestamp > this.largestTimestamp) this.largestTimestamp = timestamp
  }

  #setHeaders(headers: Headers): void {
    this.headers ??= Array.from({ length: this.count }, () => noHeaders)
    this.headers.push(headers)
  }

  /** Gives back the room that columns keep ahead as they grow. Nothing is appended afterwards. */
  trim(): void {
    this.headers = this.headers?.slice()
    if (this.count === this.#capacity) return
    this.keys = this.keys.slice(0, this.count)
    this.values = this.values.slice(0, this.count)
    this.timestamps = this.timestamps.slice(0, this.count)
  }

  headersAt(slot: number): Headers {
    return this.headers === undefined ? noHeaders : this.headers[slot]!
  }

  offsetAt(slot: number): number {
    return this.offsets === undefined ? this.base + slot : this.offsets[slot]!
  }

  /** The slot of the first record at or after an offset; `count` if there is none. */
  slotOf(offset: number): number {
    if (this.offsets === undefined) return Math.min(Math.max(offset - this.base, 0), this.count)
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.offsets[middle]! < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The records of a segment that compaction keeps: their slots, ascending. */
interface Survivors {
  readonly segment: Segment
  readonly slots: readonly number[]
}

/**
 * What a compaction keeps of a log's sealed segments: the last record of each key, and no key that a later segment has.
 * Kafka: Cleaner.shouldRetainRecord.
 *
 * `retains` is asked about those only, so about each tombstone that nothing has superseded.
 */
export function survivorsOf(
  sealed: readonly Segment[],
  active: Segment,
  startOffset: number,
  retains: (segment: Segment, slot: number) => boolean,
): Survivors[] {
  const seen = new Set<string>()
  for (let slot = 0; slot < active.count; slot++) {
    const key = active.keys[slot]!
    if (key !== null) seen.add(keyId(key))
  }
  // Backwards, so that the first of a key to be met is the last of it in the log.
  const kept = sealed.toReversed().map(segment => {
    const slots: number[] = []
    const first = segment.slotOf(startOffset)
    for (let slot = segment.count - 1; slot >= first; slot--) {
      const key = segment.keys[slot]!
      if (key === null) continue
      const before = seen.size
      seen.add(keyId(key))
      if (seen.size > before && retains(segment, slot)) slots.push(slot)
    }
    return { segment, slots: slots.reverse() }
  })
  return kept.reverse()
}

/**
 * Neighbours together, in segments of up to `segmentRecords`; one that lost nothing and has no small neighbour stays as
 * it is. Kafka: Cleaner.groupSegmentsBySize.
 */
export function mergeSegments(kept: readonly Survivors[], segmentRecords: number): Segment[] {
  const merged: Segment[] = []
  let group: Survivors[] = []
  let size = 0
  for (const survivors of kept) {
    if (survivors.slots.length === 0) continue
    if (size + survivors.slots.length > segmentRecords) {
      merged.push(mergeGroup(group, size))
      group = []
      size = 0
    }
    group.push(survivors)
    size += survivors.slots.length
  }
  if (size > 0) merged.push(mergeGroup(group, size))
  return merged
}

function mergeGroup(group: readonly Survivors[], size: number): Segment {
  const first = group[0]!.segment
  if (group.length === 1 && size === first.count) return first
  const merged = new Segment(first.base, size)
  const offsets = new Float64Array(size)
  for (const { segment, slots } of group) {
    for (const slot of slots) {
      offsets[merged.count] = segment.offsetAt(slot)
      merged.append(segment.keys[slot]!, segment.values[slot], segment.headersAt(slot), segment.timestamps[slot]!)
    }
  }
  merged.trim()
  merged.offsets = offsets
  return merged
}

// Made with room, columns of a busy partition never move while they fill up: half of the cost of an append. Their first
// slot settles what V8 takes them for; else small timestamps, or values that are numbers, would give arrays of other
// kinds, and each access to a column would have to tell them apart.
function references<T>(capacity: number): T[] {
  const column: unknown[] = new Array(capacity)
  column[0] = null
  return column as T[]
}

function doubles(capacity: number): number[] {
  const column: number[] = new Array(capacity)
  column[0] = 0.5
  return column
}
