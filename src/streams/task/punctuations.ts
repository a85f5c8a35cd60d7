import { PriorityQueue } from '../priority-queue.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { Undoable, UndoLog } from '../stores/undo-log.js'

/** One call of schedule(). */
export interface Punctuation {
  readonly node: string
  readonly intervalMs: number
  readonly punctuate: (timestamp: number) => void
  /** When it fires next; kept as state where it is by stream time and was made in init(). */
  next: number
  readonly kept: ObservedTime | undefined
  cancelled: boolean
}

/** A kept time that says: cancelled. */
const never = Number.MAX_SAFE_INTEGER

/** What is to fire, by stream time or by wall-clock time. Kafka: PunctuationQueue, PunctuationSchedule. */
export class Punctuations implements Undoable {
  readonly #undo: UndoLog
  readonly #queue = new PriorityQueue<Punctuation>(({ next }) => next)

  constructor(undo: UndoLog) {
    this.#undo = undo
  }

  /** Gives back what cancels it. */
  add(punctuation: Omit<Punctuation, 'cancelled'>): () => void {
    const added: Punctuation = { ...punctuation, cancelled: punctuation.next === never }
    this.#changing()
    this.#queue.push(added)
    return () => {
      if (added.cancelled) return
      this.#undo.add(this, added)
      added.cancelled = true
      if (added.kept !== undefined) added.kept.value = never
    }
  }

  /** The next one that is due; it is out of the queue until next() puts it back. */
  due(time: number): Punctuation | undefined {
    this.#dropCancelled()
    const first = this.#queue.peek()
    return first !== undefined && first.next <= time ? this.#queue.pop() : undefined
  }

  /** At most once per advance of time, and on its own grid: what was missed is not made up for. */
  reschedule(punctuation: Punctuation, time: number): void {
    if (punctuation.cancelled) return
    const { next, intervalMs } = punctuation
    punctuation.next =
      time >= next + intervalMs ? next + (Math.floor((time - next) / intervalMs) + 1) * intervalMs : next + intervalMs
    if (punctuation.kept !== undefined) punctuation.kept.value = punctuation.next
    this.#queue.push(punctuation)
  }

  get next(): number | undefined {
    this.#dropCancelled()
    return this.#queue.peek()?.next
  }

  undo(before: unknown): void {
    if (Array.isArray(before)) this.#queue.restore(before as Punctuation[])
    else (before as Punctuation).cancelled = false
  }
  #changing(): void {
    this.#undo.add(this, this.#queue.snapshot())
  }
  #dropCancelled(): void {
    while (this.#queue.peek()?.cancelled === true) this.#queue.pop()
  }
}
