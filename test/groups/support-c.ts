import {
  Broker,
  type ConsumerRecord,
  type ErrorCode,
  type GroupOptions,
  isMillraceError,
  type MemoryBroker,
  type MemoryConsumerGroup,
  type MemoryTopic,
  type TopicOptions,
  type TopicPartition,
} from 'millrace'
import { ManualClock } from 'millrace/testing'
import { expect } from 'vitest'

export interface Topics {
  orders: string
  audit: string
  failed: string
}

export interface World {
  readonly clock: ManualClock
  readonly broker: MemoryBroker<Topics>
  readonly orders: MemoryTopic<string>
  readonly group: MemoryConsumerGroup<ConsumerRecord<string, string, 'orders'>>
  /** All that can happen without time passing has happened. */
  readonly drain: () => Promise<void>
}

/** A broker on a clock of its own, with `orders`, an empty `audit` and `failed`, and a group that reads `orders`. */
export function world(options: GroupOptions & { partitions?: number; topic?: TopicOptions<string> } = {}): World {
  const { partitions = 1, topic = {}, ...groupOptions } = options
  const clock = new ManualClock()
  const topics = { orders: { partitions, ...topic }, audit: {}, failed: {} }
  const broker = new Broker<Topics>({ clock, topics })
  const orders = broker.topic('orders')
  const group = broker.group('g', { topics: 'orders', ...groupOptions })
  return { clock, broker, orders, group, drain: () => clock.advance(0) }
}

/** Publishes so many to one partition, each of a key of its own. */
export function fill(topic: MemoryTopic<string>, partition: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const offset = topic.partitions[partition]!.endOffset
    topic.publish({ partition, key: `k${offset}`, value: `${partition}:${offset}` })
  }
}

export const at = (record: { partition: number; offset: number }): string => `${record.partition}:${record.offset}`
export const where = (list: readonly TopicPartition[]): string[] =>
  list.map(({ topic, partition }) => `${topic}-${partition}`).sort()

export interface Gate {
  readonly promise: Promise<void>
  open(): void
  fail(error: unknown): void
}

/** What something waits for until the test lets it go on. */
export function gate(): Gate {
  let open!: () => void
  let fail!: (error: unknown) => void
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  promise.catch(() => {})
  return { promise, open, fail }
}

export interface Watched<T> {
  state: 'pending' | 'resolved' | 'rejected'
  value?: T
  error?: unknown
}

/** How a promise stands, to look at without waiting for it. */
export function watch<T>(promise: PromiseLike<T>): Watched<T> {
  const watched: Watched<T> = { state: 'pending' }
  promise.then(
    value => Object.assign(watched, { state: 'resolved', value }),
    (error: unknown) => Object.assign(watched, { state: 'rejected', error }),
  )
  return watched
}

/** What a call throws or its promise rejects with; a call that succeeds fails the test. */
export async function caught(act: () => unknown): Promise<unknown> {
  let result: unknown
  try {
    result = await act()
  } catch (error) {
    return error
  }
  throw new Error(`expected an error, got ${String(result)}`)
}

/** A MillraceError of this code, with these in its message. */
export function expectCode(error: unknown, code: ErrorCode, ...texts: readonly string[]): void {
  expect({ code: (error as { code?: unknown })?.code, error: String(error) }).toMatchObject({ code })
  expect(isMillraceError(error, code)).toBe(true)
  for (const text of texts) expect((error as Error).message).toContain(text)
}

export async function refused(act: () => unknown, code: ErrorCode, ...texts: readonly string[]): Promise<void> {
  expectCode(await caught(act), code, ...texts)
}

export async function wrongKind(act: () => unknown, ...texts: readonly string[]): Promise<void> {
  const error = await caught(act)
  expect(error).toBeInstanceOf(TypeError)
  for (const text of texts) expect((error as Error).message).toContain(text)
}

/** What reaches the host as uncaught while a part of a test runs; the test runner hears nothing of it. */
export async function uncaught(act: () => Promise<void>): Promise<unknown[]> {
  const listeners = process.listeners('uncaughtException')
  const errors: unknown[] = []
  const hear = (error: unknown): void => void errors.push(error)
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', hear)
  try {
    await act()
  } finally {
    process.off('uncaughtException', hear)
    for (const listener of listeners) process.on('uncaughtException', listener)
  }
  return errors
}
