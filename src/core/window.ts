import { type AnyRecord, keyId } from './record.js'

/** A record of a partition on its way through run(). */
export interface Entry<R extends AnyRecord, Owner> {
  readonly record: R
  /** Of the record, whatever its handler does to it. */
  readonly offset: number
  /** Records of one lane come one after the other. */
  readonly lane: string | undefined
  /** From here on it was the first record of the log when it was taken. */
  readonly reach: number
  readonly window: Window<R, Owner>
  /** Calls of the handler so far. */
  attempts: number
  /** 'queued': not begun, or back for another attempt; 'waiting': for the time of its next attempt. */
  state: 'queued' | 'working' | 'waiting' | 'over'
  /** Nothing before or at it holds a commit back on its account: succeeded, dead-lettered, or committed by its handler. */
  finished: boolean
  /** Its handler has asked for it to be committed. */
  asked: boolean
  /** It keeps its partition where it is. */
  held: boolean
  /** When the attempt at work began, if it returned a promise. */
  begun: number | undefined
  /** Why it can't be handed to a handler: it could not be decoded. */
  readonly failure: unknown
}

/** The records of one partition that run() has taken, from the first unfinished one on. */
export interface Window<R extends AnyRecord, Owner> {
  /** Whose partition it is. */
  readonly owner: Owner
  /** A seek, or the end of the term, has taken the partition elsewhere: what is still at work counts for nothing. */
  readonly detached: boolean
  readonly size: number
  /** `failure`: why it can't be handed to a handler. */
  add(record: R, reach: number, failure?: unknown): void
  /** The next that may start, in order. */
  next(): Entry<R, Owner> | undefined
  /** An entry that waited, or was at work, may start again, before those behind it. */
  again(entry: Entry<R, Owner>): void
  /** The entry is over: its key goes on. */
  over(entry: Entry<R, Owner>): void
  /** The next offset to commit: past all that is finished before the first unfinished record. */
  readonly nextOffset: number
  /** Past an entry, and past those right behind it whose handlers have asked for a commit and waited for it alone. */
  nextAskedAfter(entry: Entry<R, Owner>): number
  /** The offset of the first unfinished record; undefined if all that was taken is finished. */
  readonly firstUnfinished: number | undefined
  /** Whether a record waits for its next attempt. */
  readonly waiting: boolean
  detach(): void
}

function entryOf<R extends AnyRecord, Owner>(
  window: Window<R, Owner>,
  record: R,
  reach: number,
  failure: unknown,
  lane?: string,
): Entry<R, Owner> {
  const { offset } = record
  return {
    record,
    offset,
    lane,
    reach,
    window,
    attempts: 0,
    state: 'queued',
    finished: false,
    asked: false,
    held: false,
    begun: undefined,
    failure,
  }
}

/** One record at a time: what there is to keep in order without concurrency. */
export class SingleWindow<R extends AnyRecord, Owner> implements Window<R, Owner> {
  readonly owner: Owner
  detached = false
  #entry: Entry<R, Owner> | undefined
  #startable = false
  #end = 0

  constructor(owner: Owner) {
    this.owner = owner
  }

  get size(): number {
    return this.#entry === undefined ? 0 : 1
  }
  add(record: R, reach: number, failure?: unknown): void {
    this.#entry = entryOf(this, record, reach, failure)
    this.#startable = true
    this.#end = record.offset + 1
  }
  next(): Entry<R, Owner> | undefined {
    if (!this.#startable) return undefined
    this.#startable = false
    return this.#entry
  }
  again(entry: Entry<R, Owner>): void {
    entry.state = 'queued'
    this.#startable = true
  }
  over(entry: Entry<R, Owner>): void {
    entry.state = 'over'
    this.#entry = undefined
  }
  get nextOffset(): number {
    return this.firstUnfinished ?? this.#end
  }
  nextAskedAfter(entry: Entry<R, Owner>): number {
    return entry.offset + 1
  }
  get firstUnfinished(): number | undefined {
    return this.#entry === undefined || this.#entry.finished ? undefined : this.#entry.offset
  }
  get waiting(): boolean {
    return this.#entry?.state === 'waiting'
  }
  detach(): void {
    this.detached = true
  }
}

/**
 * The records of one partition from the first unfinished one on, in order: which may start, and how far all is finished.
 * Records of equal keys start one after the other, in order; the keyless count as one key.
 */
export class KeyedWindow<R extends AnyRecord, Owner> implements Window<R, Owner> {
  readonly owner: Owner
  /** In the order of their offsets; those before `#head` are over. */
  #entries: Entry<R, Owner>[] = []
  #head = 0
  #end = 0
  /** The entries of a key that is at work, the one at work first. */
  readonly #lanes = new Map<string | undefined, Entry<R, Owner>[]>()
  #startable: Entry<R, Owner>[] = []
  detached = false

  constructor(owner: Owner) {
    this.owner = owner
  }

  get size(): number {
    return this.#entries.length - this.#head
  }

  add(record: R, reach: number, failure?: unknown): void {
    const { key, offset } = record
    const lane = key === null ? undefined : keyId(key)
    const entry = entryOf(this, record, reach, failure, lane)
    this.#end = offset + 1
    this.#entries.push(entry)
    const before = this.#lanes.get(lane)
    if (before === undefined) {
      this.#lanes.set(lane, [entry])
      this.#startable.push(entry)
    } else before.push(entry)
  }

  next(): Entry<R, Owner> | undefined {
    return this.#startable.shift()
  }

  again(entry: Entry<R, Owner>): void {
    entry.state = 'queued'
    this.#mayStart(entry)
  }

  #mayStart(entry: Entry<R, Owner>): void {
    const later = this.#startable.findIndex(other => other.offset > entry.offset)
    this.#startable.splice(later < 0 ? this.#startable.length : later, 0, entry)
  }

  over(entry: Entry<R, Owner>): void {
    entry.state = 'over'
    const lane = this.#lanes.get(entry.lane)!
    lane.shift()
    if (lane.length === 0) this.#lanes.delete(entry.lane)
    else this.#mayStart(lane[0]!)
    while (this.#head < this.#entries.length && this.#entries[this.#head]!.state === 'over') this.#head++
    // Amortized: what is over is let go of when it is half of the list.
    if (this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  get nextOffset(): number {
    return this.firstUnfinished ?? this.#end
  }

  nextAskedAfter(entry: Entry<R, Owner>): number {
    let next = entry.offset + 1
    for (let i = this.#entries.indexOf(entry, this.#head) + 1; this.#entries[i]?.asked; i++)
      next = this.#entries[i]!.offset + 1
    return next
  }

  get firstUnfinished(): number | undefined {
    for (let i = this.#head; i < this.#entries.length; i++) {
      if (!this.#entries[i]!.finished) return this.#entries[i]!.offset
    }
    return undefined
  }

  get waiting(): boolean {
    return this.#entries.some(entry => entry.state === 'waiting')
  }

  detach(): void {
    this.detached = true
  }
}
