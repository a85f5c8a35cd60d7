import {
  type Assignor,
  Broker,
  type ConsumerRecord,
  type GroupOptions,
  type MemoryBroker,
  type MemoryConsumer,
  type MemoryConsumerGroup,
  type MemoryTopic,
  type RecordOf,
  type TopicPartition,
} from 'millrace'
import { ManualClock } from 'millrace/testing'
import { expect } from 'vitest'

export type Topics = { orders: string; payments: string; dead: string }
export type Rec = RecordOf<Topics, string, 'orders' | 'payments'>
export type Member = MemoryConsumer<Rec>

export interface World {
  clock: ManualClock
  broker: MemoryBroker<Topics>
  orders: MemoryTopic<string>
  payments: MemoryTopic<string>
  group: MemoryConsumerGroup<Rec>
  /** So many more records into a partition of `orders`, each with a key of its own. */
  put(partition: number, count?: number): void
}

/** Group `g` on topic `orders` (4 partitions, and `records` in each of them). */
export function world(
  options: GroupOptions & {
    partitions?: number
    records?: number
    topics?: readonly ('orders' | 'payments')[]
  } = {},
): World {
  const { partitions = 4, records = 0, topics = ['orders'], ...groupOptions } = options
  const clock = new ManualClock()
  const broker = new Broker<Topics>({ clock, topics: { orders: { partitions }, payments: { partitions }, dead: {} } })
  const orders = broker.topic('orders')
  const put = (partition: number, count = 1): void => {
    for (let i = 0; i < count; i++) {
      const name = `${partition}@${orders.partitions[partition]!.endOffset}`
      orders.publish({ key: name, value: name, partition })
    }
  }
  if (records > 0) for (let partition = 0; partition < partitions; partition++) put(partition, records)
  const group = broker.group('g', { topics, ...groupOptions })
  return { clock, broker, orders, payments: broker.topic('payments'), group, put }
}

/** `partition@offset` of each, in the order of partitions. */
export const at = (records: readonly ConsumerRecord<unknown>[]): string[] =>
  records.map(record => `${record.partition}@${record.offset}`).sort()

/** The partitions of `orders` that it owns. */
export const owned = (consumer: { readonly assignment: readonly TopicPartition[] }): number[] =>
  consumer.assignment
    .filter(({ topic }) => topic === 'orders')
    .map(({ partition }) => partition)
    .sort((a, b) => a - b)

/** Partitions of `orders`. */
export const orders = (...partitions: number[]): { topic: 'orders'; partition: number }[] =>
  partitions.map(partition => ({ topic: 'orders' as const, partition }))

export const next = (partition: number, nextOffset: number): TopicPartition & { nextOffset: number } => ({
  topic: 'orders',
  partition,
  nextOffset,
})

/** Lets all microtasks run; no time passes. */
export async function drain(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve()
}

export interface Gate {
  readonly opened: Promise<void>
  open(): void
  fail(error: unknown): void
}
/** A promise to be kept by hand. */
export function gate(): Gate {
  let open!: () => void
  let fail!: (error: unknown) => void
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { opened, open, fail }
}

export interface Tracked<T> {
  state: 'pending' | 'resolved' | 'rejected'
  value?: T
  error?: unknown
}
/** What has become of a promise, so far. */
export function track<T>(promise: Promise<T>): Tracked<T> {
  const tracked: Tracked<T> = { state: 'pending' }
  promise.then(
    value => Object.assign(tracked, { state: 'resolved', value }),
    error => Object.assign(tracked, { state: 'rejected', error }),
  )
  return tracked
}

/** A listener that writes down what it is told: `a revoked 0,1`. */
export const say =
  (log: string[], what: string) =>
  (partitions: readonly TopicPartition[]): void => {
    log.push(`${what} ${partitions.map(({ partition }) => partition)}`.trim())
  }

/** An assignor that does as the plan says: partitions of `orders` by member. */
export function planned(plan: Record<string, number[]>): Assignor {
  return {
    name: 'planned',
    assign: members => new Map(members.map(({ memberId }) => [memberId, orders(...(plan[memberId] ?? []))])),
  }
}

export const coded = (code: string): unknown => expect.objectContaining({ code })
