import { ConsumedRecord } from './consumed-record.js'
import { MillraceError } from './errors.js'
import { type Codec, type ConsumerRecord, checkOffset, type Headers, type HeaderValue, type Key } from './record.js'
import { mergeSegments, noHeaders, Segment, survivorsOf } from './segment.js'

/** One partition of a topic in memory: a log to look into, at any offset that it still has. */
export interface Partition<V = unknown, K extends Key = string> {
  readonly topic: string
  readonly index: number
  /** The first offset that can be read. Kafka: log start offset. */
  readonly startOffset: number
  /** The offset that the next record will get. Kafka: log end offset. */
  readonly endOffset: number
  /**
   * The records from an offset on; [] at the end. Offsets that compaction has emptied are passed over, and a record
   * that its codec can't decode ends the list before it.
   *
   * @default maxRecords: all there are
   * @throws OFFSET_OUT_OF_RANGE outside start..end, INVALID_CONFIG for `maxRecords`, INVALID_RECORD if the codec can't
   * decode the first record (with the codec's error as `cause`), TypeError for an offset that is no whole number
   */
  read(offset: number, maxRecords?: number): ConsumerRecord<V, K>[]
  /**
   * The offset of the first record, by offset, with a timestamp at or after this one, in milliseconds; undefined if
   * there is none. Kafka: offsetsForTimes.
   *
   * @throws TypeError for what is no whole number of at least 0
   */
  offsetForTimestamp(timestamp: number): number | undefined
  /**
   * Drops the records before an offset, for good; never lowers the start. Kafka: DeleteRecords.
   *
   * @throws OFFSET_OUT_OF_RANGE beyond the end, TypeError for an offset that is no whole number
   */
  deleteRecords(beforeOffset: number): void
}

export interface PartitionLogOptions<V> {
  /** Records in a segment, the unit of retention and compaction. Kafka: segment.bytes. */
  readonly segmentRecords: number
  /** Kafka: cleanup.policy=compact. */
  readonly compact: boolean
  /** What was stored is this codec's bytes, decoded anew for each reader. */
  readonly codec?: Codec<V> | undefined
}

/** What may go, and when it is now; what is not given holds back nothing and drops nothing. */
interface RetentionLimits {
  /** Milliseconds. */
  readonly now: number
  /** Milliseconds by record timestamps. Kafka: retention.ms. */
  readonly ms?: number | undefined
  /** Keep at least so many records. Kafka: retention.bytes. */
  readonly records?: number | undefined
  /** Every record below this offset has been consumed. */
  readonly consumedTo?: number | undefined
}

/** Is called once, synchronously, at the next append, when the record is there to be read; it must not throw. */
export interface AppendWaiter {
  appended(): void
}

// Kafka: delete.retention.ms
const tombstoneRetentionMs = 24 * 60 * 60 * 1_000
const noHorizons: ReadonlyMap<number, number> = new Map()

// Room in a segment to begin with: little, as there may be thousands of partitions with a record each; all that it is
// going to need (within reason) in a partition that has filled one.
const initialCapacity = 8
/** From so many on it pays to make room for them in advance. */
const manyRecords = 32
const largestCapacity = 65_536

/**
 * The log of one partition: offsets from 0, dense at append, never reused and never changed. Kafka: UnifiedLog.
 *
 * Pure and synchronous: the time is an argument. Bytes (keys, header values, a codec's output) are copied on the way in
 * and on the way out, so that neither a writer who reuses its buffer nor a reader who scribbles changes the log; other
 * values are shared by reference.
 */
export class PartitionLog<V = unknown, K extends Key = string> implements Partition<V, K> {
  readonly topic: string
  readonly index: number
  /** Told the new start each time it has moved, last of all. */
  onTruncate: ((startOffset: number) => void) | undefined = undefined

  readonly #segmentRecords: number
  readonly #compact: boolean
  readonly #codec: Codec<V> | undefined
  #startOffset = 0
  #endOffset = 0
  /** Sorted by base, the active one last; what is before `#head` has been dropped. */
  #segments: (Segment | undefined)[]
  #head = 0
  #active: Segment
  #sealedCount = 0
  /** In all segments, with those in the head segment that are below the start already. */
  #stored = 0
  /** Segments based below this one hold at most one record for each key. Kafka: firstDirtyOffset. */
  #cleanedTo = 0
  #cleaned = 0
  /** When a tombstone may go, by offset, for those that a compaction has seen. Kafka: deleteHorizonMs. */
  #deleteHorizons = noHorizons
  /** Who waits for the next append. Mostly there is one, who needs no set: a third of the way to a parked consumer. */
  #waiter: AppendWaiter | undefined
  #moreWaiters: Set<AppendWaiter> | undefined
  /** Those that a wake-up has still to call. */
  #waking: Set<AppendWaiter> | undefined

  constructor(topic: string, index: number, { segmentRecords, compact, codec }: PartitionLogOptions<V>) {
    this.topic = topic
    this.index = index
    this.#segmentRecords = segmentRecords
    this.#compact = compact
    this.#codec = codec
    this.#active = new Segment(0, initialCapacity)
    this.#segments = [this.#active]
  }

  get startOffset(): number {
    return this.#startOffset
  }

  get endOffset(): number {
    return this.#endOffset
  }

  /** How many segments have been filled so far: it grows by one when an append fills one, and never shrinks. */
  get sealedCount(): number {
    return this.#sealedCount
  }

  /**
   * Appends a valid record and gives its offset.
   *
   * `value` is what is to be stored: with a codec its bytes, or null. `headers` are frozen, each pair too.
   */
  append(key: K | null, value: unknown, headers: Headers, timestamp: number): number {
    const offset = this.#endOffset
    const active = this.#active
    active.append(
      isBytes(key) ? copyOf(key) : key,
      this.#copyOfValue(value),
      headers.length === 0 ? headers : ownHeaders(headers),
      timestamp,
    )
    this.#endOffset = offset + 1
    this.#stored++
    if (active.count === this.#segmentRecords) this.#seal()
    if (this.#waiter !== undefined) this.#wake(this.#waiter)
    return offset
  }

  /** Calls the waiter at the next append, once, in the order of registration. */
  whenAppended(waiter: AppendWaiter): void {
    if (this.#waiter === undefined) this.#waiter = waiter
    else if (this.#waiter !== waiter) {
      this.#moreWaiters ??= new Set()
      this.#moreWaiters.add(waiter)
    }
  }

  /** Takes a waiter back, if it waits. */
  forget(waiter: AppendWaiter): void {
    this.#waking?.delete(waiter)
    if (this.#waiter !== waiter) return void this.#moreWaiters?.delete(waiter)
    this.#waiter = undefined
    // Not the set as it is: it may have become empty.
    for (const next of this.#moreWaiters ?? []) {
      this.#moreWaiters!.delete(next)
      this.#waiter = next
      return
    }
  }

  read(offset: number, maxRecords: number = Number.POSITIVE_INFINITY): ConsumerRecord<V, K>[] {
    if (!(maxRecords >= 1) || (!Number.isInteger(maxRecords) && maxRecords !== Number.POSITIVE_INFINITY))
      throw new MillraceError('INVALID_CONFIG', {
        option: 'maxRecords',
        value: maxRecords,
        expected: 'a whole number of at least 1',
      })
    this.#checkRange(offset)
    const records: ConsumerRecord<V, K>[] = []
    this.readInto(offset, maxRecords, records)
    return records
  }

  /**
   * Pushes up to `maxRecords` records from an offset in start..end, and gives the next offset to read: `endOffset`
   * exactly when no record is left, so it can be past the last record's by a gap of compaction, also if none was pushed.
   *
   * It stops before a record that the codec can't decode.
   *
   * @throws INVALID_RECORD, with the codec's error as `cause`, if that is the first one; `raw()` has it then
   */
  readInto(offset: number, maxRecords: number, into: ConsumerRecord<V, K>[]): number {
    const before = into.length
    const limit = before + maxRecords
    const endOffset = this.#endOffset
    let next = offset
    try {
      while (next < endOffset && into.length < limit) {
        // Found anew for each segment, and measured beforehand: a codec may write to the log that it is read from.
        const at = this.#indexOf(next)
        const segment = this.#segments[at]!
        const end = this.#endOf(at)
        const { count } = segment
        const first = segment.slotOf(next)
        const stop = Math.min(count, first + limit - into.length)
        if (first < stop) {
          const read = this.#readSlots(segment, first, stop, into)
          next = segment.offsetAt(read - 1) + 1
          if (read < stop) return next
        }
        if (stop === count) next = end
      }
    } catch (error) {
      if (into.length === before) throw error
    }
    return next
  }

  /** Pushes the records of some slots, at least one, and gives the slot before which it stopped; throws as readInto(). */
  #readSlots(segment: Segment, first: number, stop: number, into: ConsumerRecord<V, K>[]): number {
    const { topic, index: partition } = this
    const codec = this.#codec
    const { base, offsets, timestamps, keys, values, headers } = segment
    const shift = into.length - first
    // Room for many at once: growing while they come costs as much as making them.
    if (stop - first >= manyRecords) into.length = shift + stop
    let slot = first
    try {
      for (; slot < stop; slot++) {
        const key = keys[slot] as K | null
        const stored = values[slot]
        into[shift + slot] = new ConsumedRecord<V, K>(
          topic,
          partition,
          offsets === undefined ? base + slot : offsets[slot]!,
          timestamps[slot]!,
          isBytes(key) ? copyOf(key) : key,
          codec === undefined || stored === null ? (stored as V) : this.#decode(segment, slot, codec),
          headers === undefined ? noHeaders : ownHeaders(headers[slot]!),
        )
      }
    } catch (error) {
      into.length = shift + slot
      if (slot === first) throw error
    }
    return slot
  }

  /**
   * The first record at or after an offset as it is stored, with its codec's bytes as value: for a dead letter.
   *
   * @throws OFFSET_OUT_OF_RANGE if there is none
   */
  raw(offset: number): ConsumerRecord<unknown, K> {
    this.#checkRange(offset)
    for (let at = this.#indexOf(offset); at < this.#segments.length; at++) {
      const segment = this.#segments[at]!
      const slot = segment.slotOf(offset)
      if (slot < segment.count) {
        const key = segment.keys[slot] as K | null
        return new ConsumedRecord(
          this.topic,
          this.index,
          segment.offsetAt(slot),
          segment.timestamps[slot]!,
          isBytes(key) ? copyOf(key) : key,
          this.#copyOfValue(segment.values[slot]),
          ownHeaders(segment.headersAt(slot)),
        )
      }
    }
    throw this.#outOfRange(offset)
  }

  /** Whether a record is left from an offset on and before another: compaction leaves gaps, also at the end. */
  hasRecords(from: number, before: number): boolean {
    for (let at = this.#indexOf(from); at < this.#segments.length; at++) {
      const segment = this.#segments[at]!
      const slot = segment.slotOf(Math.max(from, this.#startOffset))
      if (slot < segment.count) return segment.offsetAt(slot) < before
    }
    return false
  }

  offsetForTimestamp(timestamp: number): number | undefined {
    if (!Number.isInteger(timestamp) || timestamp < 0)
      throw new TypeError(
        `A timestamp to look up in ${this.topic}-${this.index} must be a whole number of at least 0; got ${String(timestamp)}`,
      )
    for (let at = this.#head; at < this.#segments.length; at++) {
      const segment = this.#segments[at]!
      if (segment.largestTimestamp < timestamp) continue
      for (let slot = segment.slotOf(this.#startOffset); slot < segment.count; slot++) {
        if (segment.timestamps[slot]! >= timestamp) return segment.offsetAt(slot)
      }
    }
    return undefined
  }

  deleteRecords(beforeOffset: number): void {
    checkOffset(beforeOffset, { topic: this.topic, partition: this.index })
    if (beforeOffset > this.#endOffset) throw this.#outOfRange(beforeOffset)
    if (beforeOffset <= this.#startOffset) return
    let first = this.#head
    while (first < this.#segments.length && this.#endOf(first) <= beforeOffset) first++
    this.#truncate(first, beforeOffset)
  }

  /**
   * Drops whole segments from the head while a limit allows it, and tells whether the start has moved.
   *
   * A segment goes when all of its records are older than `ms`, when at least `records` others stay, or when all of it
   * is below `consumedTo`. The active one goes too, though not for `records`; offsets go on where they were.
   */
  enforce({
    now,
    ms = Number.POSITIVE_INFINITY,
    records = Number.POSITIVE_INFINITY,
    consumedTo = 0,
  }: RetentionLimits): boolean {
    let first = this.#head
    let kept = this.#stored - this.#segments[first]!.slotOf(this.#startOffset)
    for (; first < this.#segments.length; first++) {
      const segment = this.#segments[first]!
      if (segment.count === 0) break
      const rest = kept - (segment.count - segment.slotOf(this.#startOffset))
      // Kafka: UnifiedLog.deleteRetentionMsBreachedSegments, by record timestamps
      const expired = now - segment.largestTimestamp > ms
      // Kafka: UnifiedLog.deleteRetentionSizeBreachedSegments
      const surplus = rest >= records && segment !== this.#active
      // Not by the last record: the start must not pass what was consumed, not even over a gap of compaction.
      const consumed = this.#endOf(first) <= consumedTo
      if (!expired && !surplus && !consumed) break
      kept = rest
    }
    if (first === this.#head) return false
    this.#truncate(first, first === this.#segments.length ? this.#endOffset : this.#segments[first]!.base)
    return true
  }

  /**
   * Keeps the last value of each key in all segments but the active one, whose records supersede too. Order and
   * offsets stay, so does the start; a tombstone goes 24 hours after the first compaction that has kept it, and a
   * record without a key at once. Kafka: Cleaner.shouldRetainRecord.
   *
   * @throws INVALID_CONFIG unless the log was made with `compact`
   */
  compact(now: number): void {
    if (!this.#compact)
      throw new MillraceError('INVALID_CONFIG', {
        option: 'cleanupPolicy',
        value: 'delete',
        expected: "'compact' for a topic to be compacted",
      })
    const deleteHorizons = new Map<number, number>()
    const retains = (segment: Segment, slot: number): boolean => {
      if (segment.values[slot] !== null) return true
      const offset = segment.offsetAt(slot)
      const horizon = this.#deleteHorizons.get(offset) ?? now + tombstoneRetentionMs
      if (now >= horizon) return false
      deleteHorizons.set(offset, horizon)
      return true
    }
    const sealed = this.#segments.slice(this.#head, -1) as Segment[]
    const merged = mergeSegments(survivorsOf(sealed, this.#active, this.#startOffset, retains), this.#segmentRecords)
    this.#deleteHorizons = deleteHorizons
    this.#segments = [...merged, this.#active]
    this.#head = 0
    this.#cleaned = merged.reduce((sum, segment) => sum + segment.count, 0)
    this.#cleanedTo = this.#active.base
    this.#stored = this.#cleaned + this.#active.count
  }

  /**
   * Compacts once the sealed records that no compaction has seen are as many as those that one has kept, so that an
   * append costs the same however long the log grows. Kafka: min.cleanable.dirty.ratio, above 0.5; here from it on.
   */
  compactIfDirty(now: number): void {
    const dirty = this.#stored - this.#active.count - this.#cleaned
    if (this.#compact && dirty > 0 && dirty >= this.#cleaned) this.compact(now)
  }

  #decode(segment: Segment, slot: number, codec: Codec<V>): V {
    try {
      return codec.decode(copyOf(segment.values[slot] as Uint8Array))
    } catch (cause) {
      const reason = `the codec can't decode the value of ${this.topic}-${this.index} offset ${segment.offsetAt(slot)}; see cause`
      throw new MillraceError('INVALID_RECORD', { topic: this.topic, reason }, { cause })
    }
  }

  /** As it goes in and out: a codec's bytes never shared, any other value by reference. */
  #copyOfValue(value: unknown): unknown {
    return this.#codec === undefined || value === null ? value : copyOf(value as Uint8Array)
  }

  #seal(): void {
    this.#active.trim()
    this.#sealedCount++
    this.#openSegment(Math.min(this.#segmentRecords, largestCapacity))
  }

  #openSegment(capacity: number): void {
    this.#active = new Segment(this.#endOffset, capacity)
    this.#segments.push(this.#active)
  }

  /** Who registers meanwhile waits for the append after. */
  #wake(first: AppendWaiter): void {
    const more = this.#moreWaiters
    this.#waiter = undefined
    if (more === undefined || more.size === 0) return first.appended()
    const before = this.#waking
    this.#moreWaiters = undefined
    this.#waking = more
    first.appended()
    for (const waiter of more) {
      more.delete(waiter)
      waiter.appended()
    }
    this.#waking = before
  }

  /** Of the last segment based at or below an offset; of the head, if there is none. */
  #indexOf(offset: number): number {
    let low = this.#head
    let high = this.#segments.length - 1
    if (offset >= this.#active.base) return high
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#segments[middle]!.base <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Where the next segment begins. */
  #endOf(at: number): number {
    return at + 1 < this.#segments.length ? this.#segments[at + 1]!.base : this.#endOffset
  }

  /** Moves the start up, past the segments before `first`. */
  #truncate(first: number, startOffset: number): void {
    for (; this.#head < first; this.#head++) {
      const { base, count } = this.#segments[this.#head]!
      this.#segments[this.#head] = undefined
      this.#stored -= count
      if (base < this.#cleanedTo) this.#cleaned -= count
    }
    if (first === this.#segments.length) this.#openSegment(initialCapacity)
    // Half of them at a time, so that dropping one costs the same however many there are.
    if (this.#head * 2 > this.#segments.length) {
      this.#segments = this.#segments.slice(this.#head)
      this.#head = 0
    }
    this.#startOffset = startOffset
    this.onTruncate?.(startOffset)
  }

  #checkRange(offset: number): void {
    checkOffset(offset, { topic: this.topic, partition: this.index })
    if (offset < this.#startOffset || offset > this.#endOffset) throw this.#outOfRange(offset)
  }

  #outOfRange(offset: number): MillraceError {
    const { topic, index: partition, startOffset, endOffset } = this
    return new MillraceError('OFFSET_OUT_OF_RANGE', { topic, partition, offset, startOffset, endOffset })
  }
}

function isBytes(value: unknown): value is Uint8Array {
  return typeof value === 'object' && value !== null
}

/** Of the same class (a Buffer stays one), in memory of its own. */
function copyOf<B extends Uint8Array>(bytes: B): B {
  return Uint8Array.prototype.slice.call(bytes) as B
}

/** Frozen and shared, unless there are bytes among the values: those are copied. */
function ownHeaders(headers: Headers): Headers {
  if (!headers.some(([, value]) => isBytes(value))) return headers
  return Object.freeze(
    headers.map(([name, value]): readonly [string, HeaderValue] =>
      Object.freeze([name, isBytes(value) ? copyOf(value) : value] as const),
    ),
  )
}
