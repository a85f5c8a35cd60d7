import * as kafka from '@platformatic/kafka'
import { describe, expect, test } from 'vitest'
import type { Cluster } from '../../src/kafka/cluster.js'
import type { FetchAnswer } from '../../src/kafka/fetch-api.js'
import { Fetcher } from '../../src/kafka/fetcher.js'
import type { Kafka } from '../../src/kafka/platformatic.js'
import { Serialization } from '../../src/kafka/serialization.js'

/** A feed of orders-0 whose first fetch is refused with that number; what is told of it. */
function refusedWith(errorCode: number) {
  let requests = 0
  let refreshes = 0
  let askedAgain!: () => void
  const again = new Promise<void>(resolve => {
    askedAgain = resolve
  })
  const cluster = {
    requestTimeoutMs: 1_000,
    topic: () => ({ name: 'orders', id: 'id', partitions: [{ leader: 1 }] }),
    leaderOf: () => 1,
    isMissing: () => false,
    endLane() {},
    async refresh() {
      refreshes++
    },
    send(): Promise<FetchAnswer> {
      if (++requests > 1) {
        askedAgain()
        return new Promise(() => {})
      }
      const partitions = [{ partition: 0, errorCode, aborted: [], records: undefined }]
      return Promise.resolve({ kafka: kafka as Kafka, errorCode: 0, topics: [{ topicId: 'id', partitions }] })
    },
  }
  const fetcher = new Fetcher<any>(cluster as unknown as Cluster, new Serialization('text', []), {
    fetchBytes: 1_000,
    isolation: 'read_committed',
  })
  const feed = fetcher.open({ topic: 'orders', partition: 0 }, 'id')
  const told = new Promise<void>(available => feed.whenMore({ available }))
  feed.read(7, 10, [])
  return { feed, fetcher, told, again, refreshes: () => refreshes }
}

// Kafka: Errors, FetchCollector.handleInitializeErrors: what of a refusal poll() throws, and what it tries again by itself.
describe('a partition that is refused', () => {
  test.each([
    [29, 'TOPIC_AUTHORIZATION_FAILED', { topic: 'orders' }],
    [2, 'CORRUPT_MESSAGE', { topic: 'orders', partition: 0, offset: 7 }],
    // "Unexpected error code": INVALID_REQUEST
    [42, 'UNKNOWN_SERVER_ERROR', { error: 'Fetching from orders-0: INVALID_REQUEST (42)' }],
  ])('with %i: %s is thrown, once for each time', async (number, code, details) => {
    const { feed, fetcher, told, again, refreshes } = refusedWith(number)
    await told
    expect(() => feed.read(7, 10, [])).toThrow(expect.objectContaining({ code, details }))
    await again
    expect(feed.read(7, 10, [])).toBe(7)
    expect(refreshes()).toBe(0)
    fetcher.close()
  })

  test.each([
    ['UNKNOWN_TOPIC_OR_PARTITION', 3],
    ['NOT_LEADER_OR_FOLLOWER', 6],
    ['REPLICA_NOT_AVAILABLE', 9],
    ['KAFKA_STORAGE_ERROR', 56],
    ['FENCED_LEADER_EPOCH', 74],
    ['UNKNOWN_LEADER_EPOCH', 75],
    ['OFFSET_NOT_AVAILABLE', 78],
    ['UNKNOWN_TOPIC_ID', 100],
    ['INCONSISTENT_TOPIC_ID', 103],
    ['UNKNOWN_SERVER_ERROR', -1],
  ])('with %s is asked for again, after a look who leads it', async (_, number) => {
    const { feed, fetcher, again, refreshes } = refusedWith(number)
    await again
    expect([feed.read(7, 10, []), refreshes()]).toEqual([7, 1])
    fetcher.close()
  })
})

test('a lane that is opened while its fetcher closes is ended all the same', async () => {
  const lanes = new Set<string>()
  let sent!: () => void
  const asked = new Promise<void>(resolve => {
    sent = resolve
  })
  let answer!: (found: FetchAnswer) => void
  const cluster = {
    requestTimeoutMs: 1_000,
    topic: () => ({ name: 'orders', id: 'id', partitions: [{ leader: 1 }] }),
    leaderOf: () => 1,
    endLane: (lane: string) => void lanes.delete(lane),
    send: (...[, , , { lane }]: [unknown, unknown, unknown, { lane: string }]) => {
      sent()
      return new Promise<FetchAnswer>(resolve => {
        answer = found => {
          lanes.add(lane)
          resolve(found)
        }
      })
    },
  }
  const options = { fetchBytes: 1_000, isolation: 'read_committed' } as const
  const fetcher = new Fetcher<any>(cluster as unknown as Cluster, new Serialization('text', []), options)
  fetcher.open({ topic: 'orders', partition: 0 }, 'id').read(0, 10, [])
  await asked
  fetcher.close()
  answer({ kafka: kafka as Kafka, errorCode: 0, topics: [] })
  expect(lanes.size).toBe(1)
  await new Promise(resolve => setImmediate(resolve))
  expect([...lanes]).toEqual([])
})

// Kafka: fetch.max.wait.ms, which is to be less than request.timeout.ms.
test.each([
  { requestTimeoutMs: 30_000, waitMs: 500 },
  { requestTimeoutMs: 300, waitMs: 150 },
])(
  'within $requestTimeoutMs ms a broker that has nothing is let wait $waitMs ms',
  async ({ requestTimeoutMs, waitMs }) => {
    const asked = await new Promise<unknown>(resolve => {
      const cluster = {
        requestTimeoutMs,
        topic: () => ({ name: 'orders', id: 'id', partitions: [{ leader: 1 }] }),
        leaderOf: () => 1,
        send(...[, , args]: unknown[]): Promise<never> {
          resolve((args as unknown[])[0])
          return new Promise(() => {})
        },
      }
      const fetcher = new Fetcher<any>(cluster as unknown as Cluster, new Serialization('text', []), {
        fetchBytes: 1_000,
        isolation: 'read_committed',
      })
      fetcher.open({ topic: 'orders', partition: 0 }, 'id').read(0, 10, [])
    })
    expect(asked).toBe(waitMs)
  },
)
