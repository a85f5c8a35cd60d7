import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Cluster } from '../../src/kafka/cluster.js'
import { elapsedMs } from '../../src/kafka/elapsed.js'
import { Heartbeats } from '../../src/kafka/heartbeats.js'
import { MemberState } from '../../src/kafka/member-state.js'

const heartbeatIntervalMs = 100
const hourMs = 3_600_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test.each([
  { way: 'back', ms: -hourMs },
  { way: 'forward', ms: hourMs },
])('a wall clock that is put $way by an hour changes nothing', async ({ ms }) => {
  const epochs: unknown[] = []
  const cluster = {
    send: async (...[, , args]: unknown[]) => {
      epochs.push((args as unknown[])[2])
      return { memberEpoch: 1, heartbeatIntervalMs, assignment: null }
    },
  } as unknown as Cluster
  const state = new MemberState({ topics: ['orders'], assignor: 'range', rebalanceTimeoutMs: 1_000, isStatic: false })
  const heartbeats = new Heartbeats(cluster, state, {
    group: 'billing',
    memberId: 'one',
    instanceId: undefined,
    answered: answer => void state.answered(answer, elapsedMs()),
    failed: error => expect.fail(String(error)),
  })
  state.join(elapsedMs())
  heartbeats.beat()
  await vi.advanceTimersByTimeAsync(5 * heartbeatIntervalMs)
  expect(epochs).toEqual([0, 1, 1, 1, 1, 1])
  vi.setSystemTime(Date.now() + ms)
  await vi.advanceTimersByTimeAsync(5 * heartbeatIntervalMs)
  expect(epochs.length).toBe(11)
  heartbeats.stop()
})
