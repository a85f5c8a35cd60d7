import type { AnyRecord, StartFrom, TopicPartition } from './core/record.js'
import type { Window } from './core/window.js'
import { OUT_OF_RANGE, type Source, type Waiter } from './engine.js'

/** One unbroken ownership of one partition by one consumer object: where it stands and what has been read ahead. */
export class Term<R extends AnyRecord = AnyRecord> implements TopicPartition, Waiter {
  readonly topic: string
  readonly partition: number
  readonly source: Source<R>
  /** The next offset to hand out; undefined until it is resolved. */
  position: number | undefined
  /** Past all that is finished, as of the last coming back: all that auto-commit ever writes. */
  returned: number | undefined
  /** What was committed explicitly in this term since its last seek. */
  explicit: number | undefined
  /** Where the first position, or a seek, wants to go. */
  target: StartFrom | 'committed' | undefined = 'committed'
  /** Where this term started, if it has. */
  startedAt: number | undefined
  paused = false
  /** onAssigned has named it; onRevoked and onLost may. */
  announced = false
  /** The onAssigned that names it has not settled. */
  assigning = false
  /** It is to be given up at the next safe point. */
  wanted = false
  /** Its onRevoked has been called, or its last commit is on its way: the move will be finished. */
  leaving = false
  ended = false
  /** How many of its records are in the hands of the user's code. */
  held = 0
  /** How many of run()'s handlers are at work on it, also on records from before a seek. */
  atWork = 0
  /** What run() has taken of it and not finished. */
  window: Window<R, Term<R>> | undefined

  /** In the hand-out queue; its neighbours there. */
  queued = false
  next: Term<R> | undefined
  previous: Term<R> | undefined
  /** Rule 38: a turn ends at the end offset seen when it began, or after so many records. */
  turnEnd = 0
  turnLeft = 0
  /** How many records it may still read in this turn; one at least, to see whether it is out of range. */
  get turnRecords(): number {
    return Math.max(1, Math.min(this.turnLeft, this.turnEnd - this.#cursor))
  }

  readonly #more: (term: Term<R>) => void
  #buffer: R[] = []
  #at = 0
  /** The next offset to read; in run() behind what it has taken. */
  get cursor(): number {
    return this.#cursor
  }
  #cursor = 0
  /** No record exists from here up to the next one handed out. */
  #reach = 0
  #abort: AbortController | undefined
  #why: (() => unknown) | undefined

  constructor(source: Source<R>, more: (term: Term<R>) => void) {
    this.topic = source.topic
    this.partition = source.partition
    this.source = source
    this.#more = more
  }

  /** To be told when there is more to read, or an answer. */
  listen(): void {
    if (this.#listening) return
    this.#listening = true
    this.source.whenMore(this)
  }
  #listening = false

  /** There is more to read, or the answer to a question. */
  available(): void {
    this.#listening = false
    if (!this.ended) this.#more(this)
  }

  /** Whether its records may be handed out, as far as the term itself goes. */
  get open(): boolean {
    return !this.paused && !this.wanted && this.settled && this.target === undefined
  }
  /** Its onAssigned has returned, and it is not on its way out. */
  get settled(): boolean {
    return this.announced && !this.assigning && !this.leaving && !this.ended
  }
  /** A seek that is not resolved yet. */
  get sought(): boolean {
    return this.target !== undefined && this.target !== 'committed'
  }

  /** A seek counts as finished before anything is read from there (groups.md 26); where it can't be resolved, the next poll says so. */
  resolveSeek(): void {
    if (!this.sought || this.held > 0) return
    try {
      this.resolve()
    } catch {}
  }

  /** Finds where the next read is to start; false: not known yet. Throws NO_OFFSET_FOR_PARTITION. */
  resolve(): boolean {
    if (this.target === undefined) return true
    const found = typeof this.target === 'number' ? this.target : this.source.resolve(this.target)
    if (found === undefined) {
      this.listen()
      return false
    }
    this.#moveTo(found)
    return true
  }

  /** Its position is out of range: to go where autoOffsetReset says. What retention has dropped is no record any more. */
  beginReset(to: 'earliest' | 'latest'): void {
    this.resetFrom = this.#cursor
    this.target = to
  }
  /** Where nothing could be read, until the reset has been told: in run() behind what it has taken already. */
  resetFrom: number | undefined

  seek(to: StartFrom): void {
    this.target = to
    this.resetFrom = undefined
    this.explicit = undefined
    this.position = undefined
    this.window?.detach()
    this.window = undefined
    if (typeof to === 'number') this.#moveTo(to)
    else if (this.held === 0) this.returned = undefined
  }

  /** Records from here on are handed out again. */
  goBackTo(offset: number): void {
    this.#reach = offset
    this.position = offset
    this.dropBuffer()
  }

  #moveTo(offset: number): void {
    const skipsWhatIsGone = this.resetFrom !== undefined && this.target === 'earliest' && this.resetFrom < offset
    if (!skipsWhatIsGone) this.#reach = offset
    this.target = undefined
    this.position = offset
    this.startedAt ??= offset
    this.dropBuffer()
    if (this.held === 0 || this.window !== undefined) this.comeBack()
  }

  /** Reads straight into a batch, which is handed out at once; OUT_OF_RANGE, or whether something came. */
  readInto(batch: R[], maxRecords: number): boolean | typeof OUT_OF_RANGE {
    const before = batch.length
    const next = this.source.read(this.#cursor, maxRecords, batch)
    if (next === OUT_OF_RANGE) return OUT_OF_RANGE
    const got = batch.length - before
    if (got === 0) {
      this.#pass(next)
      return false
    }
    this.#cursor = next
    this.#reach = next
    this.position = next
    this.turnLeft -= got
    return true
  }

  /** Whether a record has been read ahead; reads if not. */
  fill(maxRecords: number): boolean | typeof OUT_OF_RANGE {
    if (this.#at < this.#buffer.length) return true
    this.#buffer.length = 0
    this.#at = 0
    const next = this.source.read(this.#cursor, maxRecords, this.#buffer)
    if (next === OUT_OF_RANGE) return OUT_OF_RANGE
    if (this.#buffer.length === 0) {
      this.#pass(next)
      return false
    }
    this.#cursor = next
    return true
  }

  /** The record that fill() has found, and the offset from which on it is known to be the first. */
  take(): R {
    const record = this.#buffer[this.#at++]!
    this.turnLeft--
    this.#reach = record.offset + 1
    return record
  }
  get reach(): number {
    return this.#reach
  }

  /** The undecodable record at the cursor as it is stored; the next read goes on behind it. */
  takeRaw(): R {
    const record = this.source.raw(this.#cursor)
    this.#cursor = record.offset + 1
    this.#reach = this.#cursor
    this.turnLeft--
    return record
  }

  /** Nothing is there, or a gap only: nobody has anything to finish. */
  #pass(next: number): void {
    this.#cursor = next
    if (this.window === undefined) this.position = next
    if (this.held === 0 || this.window !== undefined) this.comeBack()
  }

  /** All that was handed out is finished, or, in run(), all before the first unfinished record. */
  comeBack(): void {
    if (this.position === undefined) {
      // What was come back from lies before the seek.
      if (this.sought) this.returned = undefined
      return
    }
    // Past the gap behind the last record, once nothing taken is left to be handed out.
    if (this.window?.size === 0 && this.#at === this.#buffer.length && this.#cursor > this.position)
      this.position = this.#cursor
    this.returned = this.window?.firstUnfinished ?? this.position
  }

  dropBuffer(): void {
    this.#buffer.length = 0
    this.#at = 0
    this.#cursor = this.position ?? 0
  }

  /** What an auto-commit writes: what has come back, or further what the user has committed and is past (groups.md 1.0). */
  get finished(): number | undefined {
    const { returned, explicit, position } = this
    if (returned === undefined || explicit === undefined || position === undefined) return returned
    return explicit > returned && explicit <= position ? explicit : returned
  }

  /** Aborts when the term has ended and no commit will be accepted any more. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.ended) this.#abort.abort(this.reason)
    }
    return this.#abort.signal
  }

  /** Why it has ended: what a commit of its records is refused with. */
  get reason(): unknown {
    return this.#why?.()
  }

  /** Over; `why`, for the signal of its handlers, is asked when somebody wants to know: an error is dear to make. */
  end(why: () => unknown): void {
    if (this.ended) return
    this.ended = true
    if (this.#listening) this.source.forget(this)
    this.dropBuffer()
    this.window?.detach()
    this.#why = why
    this.#abort?.abort(this.reason)
  }
}
