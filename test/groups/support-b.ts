import {
  Broker,
  type Clock,
  type ConsumerRecord,
  type GroupOptions,
  isMillraceError,
  type MemoryBroker,
  type MemoryConsumerGroup,
  type MemoryTopic,
  type TopicPartition,
} from 'millrace'
import { ManualClock } from 'millrace/testing'

export interface Topics {
  orders: number
  payments: number
}
export type Order = ConsumerRecord<number, string, 'orders'>

export interface Setup<C extends Clock = ManualClock> {
  readonly clock: C
  readonly broker: MemoryBroker<Topics>
  readonly orders: MemoryTopic<number>
  readonly payments: MemoryTopic<number>
  /** Of orders alone. */
  readonly group: MemoryConsumerGroup<Order>
  /** Appends so many to a partition of orders, each with a key of its own. */
  readonly publish: (partition: number, count: number) => void
  readonly committed: (partition?: number) => number | undefined
  /** What the group has committed, one entry a commit: partition=offset. */
  readonly commits: string[]
}

export const manual: GroupOptions = { commitMode: 'manualCommit' }

/** A broker on a clock that stands still, with a group of `orders` and its log of commits. */
export function setup(options: GroupOptions = {}, partitions: number = 1): Setup {
  return setupOn(new ManualClock(), options, partitions)
}

export function setupOn<C extends Clock>(clock: C, options: GroupOptions = {}, partitions: number = 1): Setup<C> {
  const broker = new Broker<Topics>({ clock, topics: { orders: { partitions }, payments: {} } })
  const orders = broker.topic('orders')
  const group = broker.group('billing', { topics: 'orders', ...options })
  const commits: string[] = []
  group.on('commit', ({ offsets }) => {
    commits.push(offsets.map(({ partition, nextOffset }) => `${partition}=${nextOffset}`).join(' '))
  })
  return {
    clock,
    broker,
    orders,
    payments: broker.topic('payments'),
    group,
    publish: (partition, count) => {
      for (let i = 0; i < count; i++) {
        const value = orders.partitions[partition]!.endOffset
        orders.publish({ key: `key-${value}`, value, partition })
      }
    },
    committed: (partition = 0) => group.committed('orders', partition),
    commits,
  }
}

/** Records as partition:offset. */
export function at(records: Iterable<TopicPartition & { offset: number }>): string[] {
  return Array.from(records, ({ partition, offset }) => `${partition}:${offset}`)
}

export function owned(consumer: { readonly assignment: readonly TopicPartition[] }): number[] {
  return consumer.assignment.map(({ partition }) => partition).sort()
}

/** All promises that can go on without time passing have gone on. */
export async function drain(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve()
}

/** The code it fails with, or the error itself where it has none. */
export async function failure(act: () => unknown): Promise<unknown> {
  try {
    await act()
  } catch (error) {
    return isMillraceError(error) ? error.code : error
  }
  return 'it did not fail'
}

export interface Watched<T> {
  state: 'pending' | 'resolved' | 'rejected'
  value: T | undefined
  error: unknown
}

/** What has become of a promise so far. */
export function watch<T>(promise: PromiseLike<T>): Watched<T> {
  const watched: Watched<T> = { state: 'pending', value: undefined, error: undefined }
  promise.then(
    value => Object.assign(watched, { state: 'resolved', value }),
    error => Object.assign(watched, { state: 'rejected', error }),
  )
  return watched
}

export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

interface BusyTimer {
  readonly due: number
  readonly fn: () => void
  unref(): void
}

/** A clock whose time can pass while its timers get no chance, as under a busy event loop. */
export class BusyClock implements Clock {
  readonly timers: Set<BusyTimer> = new Set()
  readonly unrefs: Set<unknown> = new Set()
  time = 0

  now(): number {
    return this.time
  }
  setTimeout(fn: () => void, ms: number): unknown {
    const timer: BusyTimer = { due: this.time + ms, fn, unref: () => this.unrefs.add(timer) }
    this.timers.add(timer)
    return timer
  }
  clearTimeout(handle: unknown): void {
    this.timers.delete(handle as BusyTimer)
  }
  /** Fires all that is due, without a promise going on in between. */
  fire(): void {
    for (const timer of [...this.timers].filter(({ due }) => due <= this.time)) {
      if (this.timers.delete(timer)) timer.fn()
    }
  }
}
