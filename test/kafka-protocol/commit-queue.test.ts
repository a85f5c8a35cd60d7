import { isMillraceError, MillraceError } from 'millrace'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/kafka/cluster.js'
import { CommitQueue } from '../../src/kafka/commit-queue.js'

/** Kafka: Errors. */
const unknownTopic = 3
const notCoordinator = 16
const topicAuthorizationFailed = 29
const staleMemberEpoch = 113

type Sent = { epoch: number; offsets: Record<string, number> }

/** A coordinator that answers when it is told to, with an error code for each partition. */
class World {
  readonly sent: Sent[] = []
  #answer: ((codes: Record<number, number>) => void) | undefined
  epoch = 1
  readonly queue: CommitQueue

  constructor() {
    const send = (_to: unknown, _api: unknown, args: [string, number, string, null, any[]]): Promise<unknown> => {
      const [, epoch, , , topics] = args
      const partitions = topics[0].partitions as { partitionIndex: number; committedOffset: bigint }[]
      const offsets = partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, Number(committedOffset)])
      this.sent.push({ epoch, offsets: Object.fromEntries(offsets) })
      return new Promise(resolve => {
        this.#answer = codes =>
          resolve({
            topics: [
              {
                name: 'orders',
                partitions: partitions.map(({ partitionIndex }) => ({
                  partitionIndex,
                  errorCode: codes[partitionIndex] ?? 0,
                })),
              },
            ],
          })
      })
    }
    const cluster = { send, heard() {}, deliveryTimeoutMs: 10_000 } as unknown as Cluster
    this.queue = new CommitQueue(cluster, 'billing', undefined, () => ({ memberId: 'one', epoch: this.epoch }))
  }

  /** Offsets by partition; what became of it. */
  commit(offsets: Record<number, number>): { outcome: unknown } {
    const result: { outcome: unknown } = { outcome: 'pending' }
    const list = Object.entries(offsets).map(([partition, nextOffset]) => ({
      topic: 'orders',
      partition: Number(partition),
      nextOffset,
    }))
    this.queue.add(list, error => {
      result.outcome = error === undefined ? 'done' : isMillraceError(error) ? error.code : error
    })
    return result
  }
  async answer(codes: Record<number, number> = {}): Promise<void> {
    this.#answer!(codes)
    await vi.advanceTimersByTimeAsync(0)
  }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('commits', () => {
  test('go one after the other; those that wait go together, the last of a partition counting', async () => {
    const world = new World()
    const first = world.commit({ 0: 1 })
    const second = world.commit({ 0: 2, 1: 5 })
    const third = world.commit({ 0: 1 })
    expect(world.sent).toEqual([{ epoch: 1, offsets: { 0: 1 } }])
    await world.answer()
    expect([first.outcome, second.outcome]).toEqual(['done', 'pending'])
    expect(world.sent[1]).toEqual({ epoch: 1, offsets: { 0: 1, 1: 5 } })
    await world.answer()
    expect([second.outcome, third.outcome, world.queue.empty]).toEqual(['done', 'done', true])
  })

  test('that are refused for one partition are told to those that name it', async () => {
    const world = new World()
    world.commit({ 9: 0 })
    const one = world.commit({ 0: 1 })
    const both = world.commit({ 0: 2, 1: 2 })
    await world.answer()
    await world.answer({ 1: topicAuthorizationFailed })
    expect([one.outcome, both.outcome]).toEqual(['done', 'TOPIC_AUTHORIZATION_FAILED'])
  })

  test('are tried again after a pause for what passes', async () => {
    const world = new World()
    const commit = world.commit({ 0: 1 })
    await world.answer({ 0: notCoordinator })
    expect(world.sent.length).toBe(1)
    await vi.advanceTimersByTimeAsync(120)
    expect([world.sent.length, commit.outcome]).toEqual([2, 'pending'])
    await world.answer()
    expect(commit.outcome).toBe('done')
  })

  // Kafka: CommitRequestManager retries STALE_MEMBER_EPOCH with the latest epoch while the member is in the group
  test('with an old epoch go again as soon as the group has spoken, with the new one', async () => {
    const world = new World()
    const commit = world.commit({ 0: 1 })
    await world.answer({ 0: staleMemberEpoch })
    world.epoch = 2
    world.queue.heard()
    await vi.advanceTimersByTimeAsync(0)
    expect(world.sent[1]).toEqual({ epoch: 2, offsets: { 0: 1 } })
    await world.answer()
    expect(commit.outcome).toBe('done')
  })

  test('of a topic that stays unknown hold up the others for no more than some tries', async () => {
    const world = new World()
    const commit = world.commit({ 0: 1 })
    let tries = 0
    while (commit.outcome === 'pending') {
      tries++
      await world.answer({ 0: unknownTopic })
      await vi.advanceTimersByTimeAsync(1_200)
    }
    expect([tries, commit.outcome]).toEqual([5, 'UNKNOWN_TOPIC_OR_PARTITION'])
  })

  test('are given up when the time is over', async () => {
    const world = new World()
    const commit = world.commit({ 0: 1 })
    for (let i = 0; i < 30 && commit.outcome === 'pending'; i++) {
      await world.answer({ 0: notCoordinator })
      await vi.advanceTimersByTimeAsync(1_200)
    }
    expect(commit.outcome).toBe('UNKNOWN_SERVER_ERROR')
    expect(world.queue.empty).toBe(true)
  })

  test('of a membership that is over are refused at once, and what is answered then is not heard', async () => {
    const world = new World()
    const sent = world.commit({ 0: 1 })
    const waiting = world.commit({ 0: 2 })
    let told = 0
    world.queue.whenAnswered(() => told++)
    world.queue.refuse(new MillraceError('UNKNOWN_MEMBER_ID', { group: 'billing', memberId: 'one' }))
    expect([sent.outcome, waiting.outcome, told]).toEqual(['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 1])
    const next = world.commit({ 0: 3 })
    expect(world.sent.map(({ offsets }) => offsets)).toEqual([{ 0: 1 }, { 0: 3 }])
    await world.answer()
    expect(next.outcome).toBe('done')
  })

  test('that are not answered yet are known by their partitions', async () => {
    const world = new World()
    const orders = (partition: number): { topic: string; partition: number } => ({ topic: 'orders', partition })
    world.commit({ 0: 1 })
    world.commit({ 1: 1 })
    expect([0, 1, 2].map(partition => world.queue.pending(orders(partition)))).toEqual([true, true, false])
    await world.answer()
    expect([0, 1].map(partition => world.queue.pending(orders(partition)))).toEqual([false, true])
  })
})
