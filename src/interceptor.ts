import { checkFunction, checkOptions, refuse } from './core/check.js'
import type { AnyRecord, Key, NextOffset, ProducerRecord, RecordMetadata, TopicPartition } from './core/record.js'
import type { MaybePromise } from './portable.js'

/** Who does it: a member of a group. */
export interface MemberOperation {
  readonly group: string
  /** Undefined until the group has answered; never in memory. */
  readonly memberId: string | undefined
}
export interface PublishOperation {
  readonly topic: string
  readonly record: ProducerRecord<any, Key>
}
export interface HandleOperation extends MemberOperation {
  readonly record: AnyRecord
  /** From 1. */
  readonly attempt: number
}
export interface CommitOperation extends MemberOperation {
  readonly offsets: readonly NextOffset[]
}
export interface PartitionsOperation extends MemberOperation {
  readonly partitions: readonly TopicPartition[]
}

/**
 * Goes around what producers and consumers of a broker do. Kafka: ProducerInterceptor and ConsumerInterceptor, which look
 * at records and offsets on their way; here an interceptor calls `proceed` itself, once at most, so that it can also time,
 * delay or refuse, and gives back what `proceed` gave.
 *
 * The first in the list is the outermost. What an interceptor throws, the caller gets: a publish() or a poll() throws it,
 * a handler has failed with it, a commit() rejects with it, a callback has thrown it. Without interceptors none of this
 * costs anything.
 */
export interface Interceptor {
  /** Around each record of publish() and publishAll(); synchronous. `proceed` takes the record to write, which may be another. */
  publish?(operation: PublishOperation, proceed: (record: ProducerRecord<any, Key>) => RecordMetadata): RecordMetadata
  /**
   * Around each poll() and each step of an iterator, its waiting included: `proceed` gives what is handed out. In run()
   * before it looks for more, which gives nothing: `handle` sees the records. A retriable error is tried again there.
   * It proceeds or throws; what had been handed out when it threw is handed out again.
   */
  poll?(
    operation: MemberOperation,
    proceed: () => MaybePromise<readonly AnyRecord[]>,
  ): MaybePromise<readonly AnyRecord[]>
  /** Around each call of run()'s handler. */
  handle?(operation: HandleOperation, proceed: () => unknown): unknown
  /** Around each commit, also those of auto-commit, whose failures nobody is told (Kafka: logged). */
  commit?(operation: CommitOperation, proceed: () => MaybePromise<void>): MaybePromise<void>
  /** Around onAssigned; without one, when partitions are assigned. They are handed out when it is over. */
  assign?(operation: PartitionsOperation, proceed: () => unknown): unknown
  /** Around onRevoked; without one, when partitions are given up. They move when it is over. */
  revoke?(operation: PartitionsOperation, proceed: () => unknown): unknown
  /** Around onLost; without one, when partitions are lost. */
  lose?(operation: PartitionsOperation, proceed: () => unknown): unknown
}

type Around = (operation: unknown, proceed: (argument?: unknown) => unknown) => unknown
const operations = ['publish', 'poll', 'handle', 'commit', 'assign', 'revoke', 'lose'] as const

export function checkInterceptors(interceptors: unknown): void {
  if (!Array.isArray(interceptors)) refuse('interceptors', interceptors, 'an array of interceptors')
  for (const interceptor of interceptors as readonly unknown[]) {
    checkOptions('interceptor', interceptor ?? null)
    checkNames(interceptor as object)
    for (const name of operations) {
      const around = (interceptor as Record<string, unknown>)[name]
      if (around !== undefined) checkFunction(`${name} of an interceptor`, around)
    }
  }
}

/** A misspelt operation would never be called. What a class has besides is its own affair, but one of them it must have. */
function checkNames(interceptor: object): void {
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(interceptor))
  const named = isPlain ? Object.entries(interceptor).filter(([, value]) => typeof value === 'function') : []
  for (const [name, value] of named) checkOptions('interceptor', { [name]: value }, operations)
  if (!isPlain && !operations.some(name => name in interceptor))
    refuse('interceptor', interceptor, `one with some of ${operations.join(', ')}`)
}

/** Many as one: each operation a single function, or none at all. */
export function compose(interceptors: readonly Interceptor[]): Interceptor {
  const composed: Partial<Record<keyof Interceptor, Around>> = {}
  for (const name of operations) {
    const around = interceptors
      .filter(interceptor => interceptor[name] !== undefined)
      .map(interceptor => (interceptor[name] as Around).bind(interceptor))
    if (around.length > 0) composed[name] = around.reduceRight((inner, outer) => chain(name, outer, inner))
  }
  return composed as Interceptor
}

function chain(name: keyof Interceptor, outer: Around, inner: Around): Around {
  // A publish may go on with another record; what comes after it sees that one.
  if (name === 'publish')
    return (operation, proceed) =>
      outer(operation, record => inner({ ...(operation as PublishOperation), record: record as never }, proceed))
  return (operation, proceed) => outer(operation, () => inner(operation, proceed))
}

/** A poll that neither goes on nor fails would never end. */
export function notProceeded(): TypeError {
  return new TypeError('The poll() of an interceptor must call proceed, or throw: it did neither')
}

/** Goes on at once, or when the promise has settled, whichever way. */
export function thenAtOnce(result: unknown, done: () => void, failed: (error: unknown) => void): void {
  if (isThenable(result)) Promise.resolve(result).then(done, failed)
  else done()
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
