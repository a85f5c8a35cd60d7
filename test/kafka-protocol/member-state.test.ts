import { describe, expect, test } from 'vitest'
import { type HeartbeatAnswer, MemberState } from '../../src/kafka/member-state.js'

const orders = 'topic-id-of-orders'
const subscription = { topics: ['orders'], assignor: 'uniform', rebalanceTimeoutMs: 300_000, isStatic: false }
/** No jitter: the factor in the middle. */
const half = (): number => 0.5

function answer(memberEpoch: number, partitions?: readonly number[]): HeartbeatAnswer {
  const assignment = partitions === undefined ? null : [{ topicId: orders, partitions }]
  return { memberEpoch, heartbeatIntervalMs: 5_000, assignment }
}
/** A member of epoch 1 that owns what it was assigned, and has said so. */
function member(partitions: readonly number[], isStatic = false): MemberState {
  const state = new MemberState({ ...subscription, isStatic }, half)
  state.join(0)
  state.request(0)
  state.answered(answer(1, partitions), 0)
  for (const partition of partitions) state.own(orders, partition)
  state.request(5_000)
  state.answered(answer(1), 5_000)
  return state
}

describe('joining', () => {
  // Kafka: ConsumerHeartbeatRequestManagerTest.testFirstHeartbeatIncludesRequiredInfoToJoinGroupAndGetAssignments
  test('the first heartbeat says all that the group must know', () => {
    const state = new MemberState(subscription)
    expect(state.request(0)).toBeUndefined()
    state.join(7)
    expect(state.request(7)).toEqual({
      memberEpoch: 0,
      rebalanceTimeoutMs: 300_000,
      subscribedTopicNames: ['orders'],
      serverAssignor: 'uniform',
      topicPartitions: [],
    })
  })

  // Kafka: ConsumerHeartbeatRequestManagerTest.testHeartbeatState: only what has changed is sent
  test('later ones say only what is new, each after the interval that the group asks for', () => {
    const state = new MemberState(subscription)
    state.join(0)
    state.request(0)
    expect(state.answered(answer(3, []), 10)).toBe('joined')
    expect([state.phase, state.epoch, state.dueAt]).toEqual(['member', 3, 5_010])
    expect(state.request(5_009)).toBeUndefined()
    expect(state.request(5_010)).toEqual({
      memberEpoch: 3,
      rebalanceTimeoutMs: -1,
      subscribedTopicNames: null,
      serverAssignor: null,
      topicPartitions: null,
    })
  })

  test('one heartbeat is on its way at a time', () => {
    const state = new MemberState(subscription)
    state.join(0)
    state.request(0)
    expect(state.dueAt).toBeUndefined()
    expect(state.request(100_000)).toBeUndefined()
  })
})

describe('the assignment', () => {
  test('is missing until it is owned, and then said in full', () => {
    const state = new MemberState(subscription)
    state.join(0)
    state.request(0)
    expect(state.settled).toBe(false)
    state.answered(answer(1, [0, 1]), 0)
    expect(state.missing).toEqual([{ topicId: orders, partitions: [0, 1] }])
    state.own(orders, 0)
    expect(state.settled).toBe(false)
    state.own(orders, 1)
    expect([state.missing, state.settled]).toEqual([[], true])
    expect(state.request(5_000)?.topicPartitions).toEqual([{ topicId: orders, partitions: [0, 1] }])
  })

  test('an answer without one leaves it as it was; an empty one takes all away', () => {
    const state = member([0])
    expect(state.isAssigned(orders, 0)).toBe(true)
    state.request(10_000)
    state.answered(answer(2, []), 10_000)
    expect([state.isAssigned(orders, 0), state.owns(orders, 0), state.settled]).toEqual([false, true, false])
  })

  // Kafka: CurrentAssignmentBuilder, UNREVOKED_PARTITIONS: others wait for the heartbeat without the partition
  test('what is released is said at once', () => {
    const state = member([0, 1])
    state.request(10_000)
    state.answered(answer(1, [0]), 10_000)
    state.release(orders, 1, 10_700)
    expect([state.dueAt, state.settled]).toEqual([10_700, false])
    expect(state.request(10_700)?.topicPartitions).toEqual([{ topicId: orders, partitions: [0] }])
    expect(state.settled).toBe(true)
  })

  test('what is released while a heartbeat is on its way is said right after its answer', () => {
    const state = member([0, 1])
    state.request(10_000)
    state.release(orders, 1, 10_001)
    state.answered(answer(1), 10_002)
    expect(state.dueAt).toBe(10_002)
    expect(state.request(10_002)?.topicPartitions).toEqual([{ topicId: orders, partitions: [0] }])
  })

  test('what it does not own can be released without a word', () => {
    const state = member([0])
    state.release(orders, 5, 10_000)
    expect(state.request(10_000)?.topicPartitions).toBeNull()
  })
})

describe('failures', () => {
  // Kafka: ConsumerHeartbeatRequestManagerTest.testHeartbeatStateAfterFailure; retry.backoff.ms 100, retry.backoff.max.ms 1000
  test('after a failure everything is said again, after pauses that double up to a second', () => {
    const state = member([0])
    const pauses: number[] = []
    let now = 10_000
    for (let i = 0; i < 6; i++) {
      expect(state.request(now)).toBeDefined()
      state.failed(now)
      pauses.push(state.dueAt! - now)
      now = state.dueAt!
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1_000, 1_000])
    expect(state.request(now)).toEqual({
      memberEpoch: 1,
      rebalanceTimeoutMs: 300_000,
      subscribedTopicNames: ['orders'],
      serverAssignor: 'uniform',
      topicPartitions: [{ topicId: orders, partitions: [0] }],
    })
    state.answered(answer(1, [0]), now)
    expect(state.dueAt).toBe(now + 5_000)
  })

  test('a release does not cut the pause after a failure short', () => {
    const state = member([0])
    state.request(10_000)
    state.failed(10_000)
    state.release(orders, 0, 10_001)
    expect(state.dueAt).toBe(10_100)
  })

  // Kafka: ConsumerMembershipManagerTest.testFencingWhenStateIsStable
  test('who is fenced owns nothing, and joins anew from epoch 0', () => {
    const state = member([0])
    state.request(10_000)
    expect(state.fenced(10_000)).toBeUndefined()
    expect([state.phase, state.owns(orders, 0), state.dueAt]).toEqual(['out', false, undefined])
    state.join(20_000)
    expect(state.request(20_000)).toMatchObject({ memberEpoch: 0, topicPartitions: [] })
  })

  // Kafka: GroupMetadataManager.throwIfConsumerGroupMemberEpochIsInvalid refuses epoch 0 of one that it has at another
  test('who is fenced while joining leaves first, and joins then', () => {
    const state = member([0])
    state.out()
    state.join(10_000)
    state.request(10_000)
    state.fenced(10_001)
    expect(state.phase).toBe('leaving')
    expect(state.request(10_001)?.memberEpoch).toBe(-1)
    state.answered(answer(-1), 10_002)
    expect(state.request(10_002)?.memberEpoch).toBe(0)
  })

  test('who was refused is out, and may try again', () => {
    const state = new MemberState(subscription, half)
    state.join(0)
    state.request(0)
    state.refused()
    expect([state.phase, state.dueAt]).toEqual(['out', undefined])
    state.join(5)
    expect(state.request(5)?.memberEpoch).toBe(0)
  })

  test('only after a lost answer it is uncertain whether the group has it already', () => {
    const state = new MemberState(subscription, half)
    state.join(0)
    state.request(0)
    expect(state.uncertain).toBe(false)
    state.failed(0)
    expect(state.uncertain).toBe(true)
    state.request(100)
    state.answered(answer(1, []), 100)
    expect(state.uncertain).toBe(false)
  })

  test('what is answered to an earlier membership is not heard', () => {
    const state = member([0])
    state.request(10_000)
    state.out()
    state.join(10_001)
    expect(state.dueAt).toBeUndefined()
    expect(state.answered(answer(9, [0]), 10_002)).toBeUndefined()
    expect([state.phase, state.epoch]).toEqual(['joining', 0])
    expect(state.request(10_002)?.memberEpoch).toBe(0)
    state.answered(answer(10, []), 10_003)
    expect([state.phase, state.epoch]).toEqual(['member', 10])
  })
})

describe('leaving', () => {
  // Kafka: ConsumerGroupHeartbeatRequest: -1 leaves, -2 leaves for a while and keeps the seat
  test.each([
    { isStatic: false, memberEpoch: -1 },
    { isStatic: true, memberEpoch: -2 },
  ])('a member that is static: $isStatic says $memberEpoch', ({ isStatic, memberEpoch }) => {
    const state = member([0], isStatic)
    state.leave(10_000)
    expect(state.owns(orders, 0)).toBe(false)
    expect(state.request(10_000)?.memberEpoch).toBe(memberEpoch)
    expect(state.answered(answer(memberEpoch), 10_001)).toBe('left')
    expect([state.phase, state.dueAt]).toEqual(['out', undefined])
  })

  test('it is said after the answer to what was on its way', () => {
    const state = member([0])
    state.request(10_000)
    state.leave(10_001)
    expect(state.dueAt).toBeUndefined()
    expect(state.answered(answer(2, [0, 1]), 10_002)).toBeUndefined()
    expect(state.request(10_002)?.memberEpoch).toBe(-1)
  })

  test('who was never heard of has nothing to say', () => {
    const state = new MemberState(subscription)
    state.join(0)
    state.leave(0)
    expect([state.phase, state.dueAt]).toEqual(['out', undefined])
  })

  test('who joins while leaving joins when it has left', () => {
    const state = member([0])
    state.leave(10_000)
    state.request(10_000)
    state.join(10_001)
    expect(state.phase).toBe('leaving')
    expect(state.answered(answer(-1), 10_002)).toBe('left')
    expect(state.request(10_002)?.memberEpoch).toBe(0)
  })

  test('a group that does not know it any more has let it go', () => {
    const state = member([0])
    state.leave(10_000)
    state.request(10_000)
    expect(state.fenced(10_001)).toBe('left')
    expect(state.phase).toBe('out')
  })
})
