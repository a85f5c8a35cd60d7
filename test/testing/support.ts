import type { TopicPartition } from 'millrace'
import type { History, HistoryEvent } from 'millrace/testing'

/** A turn of the event loop: all that can happen without time passing has happened when it is over. */
export const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A promise that never settles: work that is never done. */
export const never = (): Promise<never> => new Promise(() => {})

/** A promise, and the means to settle it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((...settle) => {
    ;[resolve, reject] = settle
  })
  return { promise, resolve, reject }
}

/** What a promise rejects with; fails if it doesn't. */
export async function rejection(promise: PromiseLike<unknown>): Promise<Error & { code?: string; cause?: unknown }> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error as Error
  }
  throw new Error(`It should have been rejected, but gave ${String(value)}`)
}

/** What a call throws; fails if it doesn't. */
export function thrown(call: () => unknown): Error & { code?: string; details?: unknown; cause?: unknown } {
  let value: unknown
  try {
    value = call()
  } catch (error) {
    return error as Error
  }
  throw new Error(`It should have thrown, but gave ${String(value)}`)
}

/** `type of who` for each event that a member has a part in: enough for an order. */
export const story = (history: History): string[] =>
  history.filter(event => event.type !== 'published').map(event => `${event.type}${whoOf(event)}`)
const whoOf = (event: HistoryEvent): string =>
  'memberId' in event && event.memberId !== undefined ? ` ${event.memberId}` : ''

export const names = (partitions: readonly TopicPartition[]): string[] =>
  partitions.map(({ topic, partition }) => `${topic}-${partition}`)
