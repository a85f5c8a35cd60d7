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
  /** Why it can't be handed to a handler: it could not be decoded. */
  readonly failure: unknown
}

/**
 * The records of one partition from the first unfinished one on, in order: which may start, and how far all is finished.
 * Records of equal keys start one after the other, in order; the keyless count as one key. Without keys, all do.
 */
export class Window<R extends AnyRecord, Owner> {
  /** Whose partition it is. */
  readonly owner: Owner
  readonly #keyed: boolean
  /** In the order of their offsets; those before `#head` are over. */
  #entries: Entry<R, Owner>[] = []
  #head = 0
  #end = 0
  /** The entries of a key that is at work, the one at work first. */
  readonly #lanes = new Map<string | undefined, Entry<R, Owner>[]>()
  #startable: Entry<R, Owner>[] = []
  /** A seek, or the end of the term, has taken the partition elsewhere: what is still at work counts for nothing. */
  detached = false

  constructor(keyed: boolean, owner: Owner) {
    this.#keyed = keyed
    this.owner = owner
  }

  get size(): number {
    return this.#entries.length - this.#head
  }

  /** `failure`: why it can't be handed to a handler. */
  add(record: R, reach: number, failure?: unknown): void {
    const { offset, key } = record
    const lane = this.#keyed && key !== null ? keyId(key) : undefined
    const entry: Entry<R, Owner> = {
      record,
      offset,
      lane,
      reach,
      window: this,
      attempts: 0,
      state: 'queued',
      finished: false,
      asked: false,
      held: false,
      failure,
    }
    this.#end = offset + 1
    this.#entries.push(entry)
    const before = this.#lanes.get(lane)
    if (before === undefined) {
      this.#lanes.set(lane, [entry])
      this.#startable.push(entry)
    } else before.push(entry)
  }

  /** The next that may start, in order. */
  next(): Entry<R, Owner> | undefined {
    return this.#startable.shift()
  }
  /** Whether next() would find one. */
  get ready(): boolean {
    return this.#startable.length > 0
  }

  /** An entry that waited, or was at work, may start again, before those behind it. */
  again(entry: Entry<R, Owner>): void {
    entry.state = 'queued'
    this.#mayStart(entry)
  }

  #mayStart(entry: Entry<R, Owner>): void {
    const later = this.#startable.findIndex(other => other.offset > entry.offset)
    this.#startable.splice(later < 0 ? this.#startable.length : later, 0, entry)
  }

  /** The entry is over: its key goes on. */
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

  /** The next offset to commit: past all that is finished before the first unfinished record. */
  get nextOffset(): number {
    return this.firstUnfinished ?? this.#end
  }

  /** Past an entry, and past those right behind it whose handlers have asked for a commit and waited for it alone. */
  nextAskedAfter(entry: Entry<R, Owner>): number {
    let next = entry.offset + 1
    for (let i = this.#entries.indexOf(entry, this.#head) + 1; this.#entries[i]?.asked; i++)
      next = this.#entries[i]!.offset + 1
    return next
  }

  /** The offset of the first unfinished record; undefined if all that was taken is finished. */
  get firstUnfinished(): number | undefined {
    for (let i = this.#head; i < this.#entries.length; i++) {
      if (!this.#entries[i]!.finished) return this.#entries[i]!.offset
    }
    return undefined
  }

  /** Whether a record waits for its next attempt. */
  get waiting(): boolean {
    return this.#entries.some(entry => entry.state === 'waiting')
  }

  detach(): void {
    this.detached = true
  }
}
