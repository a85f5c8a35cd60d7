// The seam between a consumer and its world. The consumer and run() are the same code over any engine: in memory every
// answer comes at once, inside the call that asked; on a cluster it comes later, by a call of the MemberPort.
import type { Clock } from './clock.js'
import type { AnyRecord, NextOffset, StartFrom, TopicPartition } from './core/record.js'
import type { Interceptor } from './interceptor.js'
import type { GroupOptions } from './portable.js'

/** What `Source.read` answers for an offset before the start or beyond the end of the log. */
export const OUT_OF_RANGE = -1

/** A partition as the engine gives it to its owner, for one term of ownership: a new term is a new object. */
export interface Source<R extends AnyRecord> extends TopicPartition {
  /**
   * Pushes what is there from `offset` on, without waiting, at most `maxRecords`; returns the next offset to read:
   * `offset` itself if nothing is there (yet), further than the last record where only a gap follows, or OUT_OF_RANGE.
   * Throws INVALID_RECORD if the very first record can't be decoded, and stops before one that comes later.
   */
  read(offset: number, maxRecords: number, into: R[]): number
  /** The record at `offset` as it is stored, its value undecoded. */
  raw(offset: number): R
  /** Up to where read() finds something now. */
  readonly endOffset: number
  /** Calls `waiter.available()` once when there is more to read, or an answer to resolve(); then forgets it. */
  whenMore(waiter: Waiter): void
  forget(waiter: Waiter): void
  /** Nothing of it will be read for a while, or it will again: what is not there yet need not be fetched. */
  pause?(paused: boolean): void
  /**
   * The offset that is meant; 'committed': where a new owner starts (committed, else by autoOffsetReset).
   * Undefined: not known yet, `whenMore` tells. Throws NO_OFFSET_FOR_PARTITION.
   */
  resolve(to: StartFrom | 'committed'): number | undefined
  /** What the group has committed, as far as is known here. */
  readonly committed: number | undefined
}
export interface Waiter {
  available(): void
}

/** What a consumer needs of the world: the engine of one member. */
export interface Engine<R extends AnyRecord> {
  readonly group: string
  readonly memberId: string | undefined
  readonly instanceId: string | undefined
  /** What the member subscribes to. */
  readonly topics: readonly string[]
  readonly clock: Clock
  readonly options: Readonly<ResolvedGroupOptions>
  readonly interceptor: Interceptor
  readonly generation: number
  /** Whether the member owns all of its target. */
  readonly complete: boolean
  /** Takes part, also again after an expulsion. Throws, or later refuses, without having changed anything. */
  join(): void
  /** It is about to leave, and is to be given nothing more. */
  closing(): void
  /** These have been given up: the terms are over, others may have them. */
  release(sources: readonly Source<R>[]): void
  /** It is out: what it still owned is free. `done` is called when the group has heard it, at once in memory. */
  leave(reason: 'closed' | 'expelled' | 'crashed', done?: () => void): void
  /** All or nothing, in the order of the calls; `done` is called once, at once in memory. */
  commit(offsets: readonly NextOffset[], done: (error?: unknown) => void): void
  /** What can be read of it, both ends included, where that is known without asking: for a message. */
  rangeOf?(source: Source<R>): { readonly startOffset: number; readonly endOffset: number }
  /** Whether there is such a partition, as far as is known here. */
  exists(topic: string, partition: number): boolean
  /** Something that caughtUp() or settled() may wait for has changed. */
  changed(): void
  /** A position was out of range and has been moved by autoOffsetReset. */
  reset(topic: string, partition: number, from: number, to: number): void
  /** An error that no call could report. */
  report(error: unknown): void
}

/** What an engine tells its member, and asks of it. Nothing here runs user code before it returns. */
export interface MemberPort<R extends AnyRecord> {
  /** It takes part now; its memberId is known. */
  joined(): void
  /** It can't take part (an engine that answers later; others throw in join()). */
  refused(error: unknown): void
  /** New terms. */
  granted(sources: readonly Source<R>[]): void
  /** The target: of what it owns exactly these are to be given up, as soon as it is safe. */
  wanted(sources: ReadonlySet<Source<R>>): void
  /** These terms are over already (a deleted topic). */
  lost(sources: readonly Source<R>[], error: unknown): void
  /** Its next call is to reject with this; it stays a member. */
  failed(error: unknown): void
  /** It is out: expelled (it may rejoin) or fenced (for good). */
  out(phase: 'expelled' | 'fenced', error: unknown): void
  /** Nothing runs and nothing is held that could still change something by itself. */
  readonly idle: boolean
  /** Past all that is finished of this term; undefined before its position is known. */
  returned(source: Source<R>): number | undefined
  /** A record of this term waits for its retry. */
  retrying(source: Source<R>): boolean
  waitingFor(source: Source<R>): 'records' | 'callback'
}

export type ResolvedGroupOptions = { [Option in keyof GroupOptions]-?: NonNullable<GroupOptions[Option]> }
