import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Assignment, GroupMember } from '../../../src/core/assignors/assignor.js'
import { stickyAssignor } from '../../../src/core/assignors/sticky.js'
import type { TopicPartition } from '../../../src/core/record.js'
import { afterwards, member, shown, topics } from './given.js'

const assign = (group: readonly GroupMember[], counts: Record<string, number>): Assignment =>
  stickyAssignor.assign(group, topics(counts))
const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}p${partition}`
const ownersOf = (lists: Iterable<readonly [string, readonly TopicPartition[]]>): Map<string, string> =>
  new Map([...lists].flatMap(([memberId, list]) => list.map(owned => [nameOf(owned), memberId] as const)))
/** How many partitions are still with a member that owned them. */
const kept = (group: readonly GroupMember[], assignment: Assignment): number => {
  const owners = ownersOf(assignment)
  return group.flatMap(({ memberId, owned }) => owned.filter(each => owners.get(nameOf(each)) === memberId)).length
}

// apache/kafka, StickyAssignor.java, class javadoc, example 1
describe('three members of the same four topics', () => {
  const counts = { t0: 2, t1: 2, t2: 2, t3: 2 }
  const group = ['C0', 'C1', 'C2'].map(id => member(id, 't0 t1 t2 t3'))
  const first = assign(group, counts)

  test('begin as with round robin', () => {
    expect(shown(first)).toEqual({ C0: 't0p0 t1p1 t3p0', C1: 't0p1 t2p0 t3p1', C2: 't1p0 t2p1' })
  })

  test('keep all they have when one leaves, and share what it had', () => {
    const left = afterwards(group, first).filter(({ memberId }) => memberId !== 'C1')
    const second = assign(left, counts)
    expect(second.get('C0')!.slice(0, 3).map(nameOf)).toEqual(['t0p0', 't1p1', 't3p0'])
    expect(second.get('C2')!.slice(0, 2).map(nameOf)).toEqual(['t1p0', 't2p1'])
    expect([...second.values()].map(list => list.length)).toEqual([4, 4])
  })
})

// The same javadoc, example 2
describe('three members of differing topics', () => {
  const counts = { t0: 1, t1: 2, t2: 3 }
  const group = [member('C0', 't0'), member('C1', 't0 t1'), member('C2', 't0 t1 t2')]
  const first = assign(group, counts)

  test('end better balanced than with round robin', () => {
    expect(shown(first)).toEqual({ C0: 't0p0', C1: 't1p0 t1p1', C2: 't2p0 t2p1 t2p2' })
  })

  test('keep all five of theirs when one leaves', () => {
    const left = afterwards(group, first).filter(({ memberId }) => memberId !== 'C0')
    expect(shown(assign(left, counts))).toEqual({ C1: 't1p0 t1p1 t0p0', C2: 't2p0 t2p1 t2p2' })
  })
})

// apache/kafka, AbstractStickyAssignorTest, one test each
describe('equal subscriptions', () => {
  test('testTwoConsumersTwoTopicsSixPartitions: partitions are dealt in turn, by topic', () => {
    const group = [member('consumer1', 'topic1 topic2'), member('consumer2', 'topic1 topic2')]
    expect(shown(assign(group, { topic1: 3, topic2: 3 }))).toEqual({
      consumer1: 'topic1p0 topic1p2 topic2p1',
      consumer2: 'topic1p1 topic2p0 topic2p2',
    })
  })

  test('testConsumerOwningMinQuotaExpectedMaxQuota: the first at its quota takes one more', () => {
    const group = [
      member('consumer1', 'topic1 topic2', 'topic1p0 topic2p1'),
      member('consumer2', 'topic1 topic2', 'topic1p1 topic2p2'),
    ]
    expect(shown(assign(group, { topic1: 2, topic2: 3 }))).toEqual({
      consumer1: 'topic1p0 topic2p1 topic2p0',
      consumer2: 'topic1p1 topic2p2',
    })
  })

  test('testAllConsumersAreUnderMinQuota: whoever is below its quota comes first', () => {
    const group = [
      member('consumer1', 'topic1 topic2', 'topic1p0'),
      member('consumer2', 'topic1 topic2', 'topic1p1'),
      member('consumer3', 'topic1 topic2'),
    ]
    expect(shown(assign(group, { topic1: 2, topic2: 3 }))).toEqual({
      consumer1: 'topic1p0 topic2p1',
      consumer2: 'topic1p1 topic2p2',
      consumer3: 'topic2p0',
    })
  })

  test('testAddRemoveTwoConsumersTwoTopics: two join, then the first two leave', () => {
    const counts = { topic1: 3, topic2: 4 }
    const [one, two, three, four] = [1, 2, 3, 4].map(n => member(`consumer${n}`, 'topic1 topic2')) as [
      GroupMember,
      GroupMember,
      GroupMember,
      GroupMember,
    ]
    const first = assign([one, two], counts)
    expect(shown(first)).toEqual({
      consumer1: 'topic1p0 topic1p2 topic2p1 topic2p3',
      consumer2: 'topic1p1 topic2p0 topic2p2',
    })
    const second = assign(afterwards([one, two, three, four], first), counts)
    expect(shown(second)).toEqual({
      consumer1: 'topic1p0 topic2p1',
      consumer2: 'topic1p1 topic2p0',
      consumer3: 'topic1p2 topic2p3',
      consumer4: 'topic2p2',
    })
    expect(shown(assign(afterwards([three, four], second), counts))).toEqual({
      consumer3: 'topic1p2 topic2p3 topic1p0 topic2p1',
      consumer4: 'topic2p2 topic1p1 topic2p0',
    })
  })

  test('testTopicBalanceAfterReassignment: members give up about as many of each topic', () => {
    const counts = { topic1: 12, topic2: 12 }
    const [one, two, three, four] = [1, 2, 3, 4].map(n => member(`consumer${n}`, 'topic1 topic2')) as [
      GroupMember,
      GroupMember,
      GroupMember,
      GroupMember,
    ]
    const perTopic = (assignment: Assignment): number[] =>
      [...assignment.values()].flatMap(list =>
        Object.keys(counts).map(topic => list.filter(owned => owned.topic === topic).length),
      )
    const first = assign([one], counts)
    const second = assign(afterwards([one, two], first), counts)
    expect(perTopic(second)).toEqual(new Array(4).fill(6))
    const third = assign(afterwards([one, two, three, four], second), counts)
    expect(perTopic(third)).toEqual(new Array(8).fill(3))
    expect(perTopic(assign(afterwards([three, four], third), counts))).toEqual(new Array(4).fill(6))
  })

  test('testStickiness: the one without partitions takes over from who leaves', () => {
    const group = [1, 2, 3, 4].map(n => member(`consumer${n}`, 'topic1'))
    const first = assign(group, { topic1: 3 })
    const left = afterwards(group, first).filter(({ memberId }) => memberId !== 'consumer1')
    expect(shown(assign(left, { topic1: 3 }))).toEqual({
      consumer2: 'topic1p1',
      consumer3: 'topic1p2',
      consumer4: 'topic1p0',
    })
  })

  test('testAllConsumersReachExpectedQuotaAndAreConsideredFilled: nobody is filled twice', () => {
    const group = [
      member('consumer1', 'topic', 'topicp0 topicp1'),
      member('consumer2', 'topic', 'topicp2'),
      member('consumer3', 'topic'),
    ]
    expect(shown(assign(group, { topic: 4 }))).toEqual({
      consumer1: 'topicp0 topicp1',
      consumer2: 'topicp2',
      consumer3: 'topicp3',
    })
  })

  // StickyAssignorTest.testAllConsumersHaveOwnedPartitionInvalidatedWhenClaimedByMultipleConsumersInSameGeneration...
  test.each([
    [3, { consumer1: 'topicp1', consumer2: 'topicp2', consumer3: 'topicp0' }],
    [4, { consumer1: 'topicp1 topicp3', consumer2: 'topicp2', consumer3: 'topicp0' }],
  ])('a partition that two claim is taken from both, of %i', (partitions, expected) => {
    const group = [
      member('consumer1', 'topic', 'topicp0 topicp1'),
      member('consumer2', 'topic', 'topicp0 topicp2'),
      member('consumer3', 'topic'),
    ]
    expect(shown(assign(group, { topic: partitions }))).toEqual(expected)
  })

  test('members that ask for nothing do not make subscriptions differ', () => {
    const group = [member('idle', ''), member('lost', 'missing'), member('a', 't'), member('b', 't', 'tp0 tp1 tp2')]
    expect(shown(assign(group, { t: 3 }))).toEqual({ idle: '', lost: '', a: 'tp2', b: 'tp0 tp1' })
  })

  test('as many stay as any balanced assignment can keep', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 60 }), fc.integer({ min: 1, max: 10 }), (owners, size) => {
        const group = Array.from({ length: size }, (_, m) => ({
          ...member(`m${m}`, 't'),
          owned: owners.flatMap((owner, partition) => (owner === m ? [{ topic: 't', partition }] : [])),
        }))
        const assignment = assign(group, { t: owners.length })
        const counts = [...assignment.values()].map(list => list.length)
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)

        // Each keeps up to the quota; as many as there is remainder keep one more, if they have it.
        const quota = Math.floor(owners.length / size)
        const owned = group.map(each => each.owned.length)
        const most =
          owned.reduce((sum, count) => sum + Math.min(count, quota), 0) +
          Math.min(owned.filter(count => count > quota).length, owners.length % size)
        expect(kept(group, assignment)).toBe(most)
      }),
    )
  })
})

describe('differing subscriptions', () => {
  // apache/kafka, AbstractStickyAssignorTest.testMultipleConsumersMixedTopicSubscriptions
  test('partitions with the fewest candidates are given out first', () => {
    const group = [member('consumer1', 'topic1'), member('consumer2', 'topic1 topic2'), member('consumer3', 'topic1')]
    expect(shown(assign(group, { topic1: 3, topic2: 2 }))).toEqual({
      consumer1: 'topic1p0 topic1p2',
      consumer2: 'topic2p0 topic2p1',
      consumer3: 'topic1p1',
    })
  })

  // apache/kafka, AbstractStickyAssignorTest.testPoorRoundRobinAssignmentScenario
  test('everyone has two where round robin leaves one with nothing', () => {
    const group = [
      member('consumer1', 'topic1 topic2 topic3 topic4 topic5'),
      member('consumer2', 'topic1 topic3 topic5'),
      member('consumer3', 'topic1 topic3 topic5'),
      member('consumer4', 'topic1 topic2 topic3 topic4 topic5'),
    ]
    expect(shown(assign(group, { topic1: 2, topic2: 1, topic3: 2, topic4: 1, topic5: 2 }))).toEqual({
      consumer1: 'topic2p0 topic3p0',
      consumer2: 'topic1p0 topic3p1',
      consumer3: 'topic1p1 topic5p0',
      consumer4: 'topic4p0 topic5p1',
    })
  })

  // apache/kafka, AbstractStickyAssignorTest.testMoveExistingAssignments
  test('one that is too loaded gives away what others may take', () => {
    const group = [
      member('consumer1', 'topic1 topic2', 'topic1p0'),
      member('consumer2', 'topic1 topic2 topic3 topic4', 'topic2p0 topic3p0'),
      member('consumer3', 'topic2 topic3 topic4 topic5 topic6', 'topic4p0 topic5p0 topic6p0'),
    ]
    const assignment = assign(group, { topic1: 1, topic2: 1, topic3: 1, topic4: 1, topic5: 1, topic6: 1 })
    expectBalanced(group, assignment)
    expect(kept(group, assignment)).toBe(6)
  })

  test('loads that differ by one are left alone', () => {
    const group = [member('a', 't', 'tp0 tp1 tp2 tp3'), member('b', 't u', 'up0')]
    expect(shown(assign(group, { t: 4, u: 1 }))).toEqual({ a: 'tp0 tp1 tp2', b: 'up0 tp3' })
  })

  test('what is new to a member goes on before what was its own', () => {
    // b is dealt three of t, then four of u, and has too many of t in the end.
    const group = [
      member('a', 't', 'tp0 tp1 tp2 tp3 tp4'),
      member('b', 't u', 'tp8'),
      member('c', 'u', 'up0 up1 up2 up3 up4 up5 up6 up7 up8 up9'),
    ]
    const assignment = assign(group, { t: 9, u: 14 })
    expectBalanced(group, assignment)
    expect([...assignment.values()].map(list => list.length)).toEqual([7, 8, 8])
    // All but the two that c can't keep.
    expect(kept(group, assignment)).toBe(14)
  })

  test('a partition of a topic that its owner has left goes to another', () => {
    const group = [member('a', 't', 'tp0 up0'), member('b', 't u', 'tp1')]
    expect(shown(assign(group, { t: 2, u: 1 }))).toEqual({ a: 'tp0', b: 'tp1 up0' })
  })

  // Kafka: a claim counts against others whether or not its topic is still subscribed to.
  test('a claim of one that has left the topic cancels that of another', () => {
    const group = [member('a', 'u', 'tp0 up0'), member('b', 't', 'tp0'), member('c', 't')]
    expect(shown(assign(group, { t: 2, u: 1 }))).toEqual({ a: 'up0', b: 'tp0', c: 'tp1' })
  })

  test('it ends balanced, whatever was owned before', () => {
    fc.assert(
      fc.property(groups(), ({ group, counts }) => expectBalanced(group, assign(group, counts))),
      { numRuns: 500 },
    )
  })

  test('nothing moves where nothing has changed', () => {
    fc.assert(
      fc.property(groups(), ({ group, counts }) => {
        const before = assign(group, counts)
        const again = assign(afterwards(group, before), counts)
        expect(ownersOf(again)).toEqual(ownersOf(before))
      }),
      { numRuns: 500 },
    )
  })

  // Kafka: AbstractStickyAssignor.isSticky
  test('no member gives up a partition and gets another of the same topic for it', () => {
    fc.assert(
      fc.property(groups(), ({ group, counts }) => {
        const stays = ownersOf(assign(group, counts))
        const before = ownersOf(group.map(({ memberId, owned }) => [memberId, owned]))
        for (const { memberId, topics: subscribed } of group)
          for (const topic of subscribed) {
            const given = [...before].filter(([name, owner]) => owner === memberId && stays.get(name) !== memberId)
            const got = [...stays].filter(([name, owner]) => owner === memberId && before.get(name) !== memberId)
            const both = [given, got].every(list => list.some(([name]) => name.startsWith(`${topic}p`)))
            expect(both && `${memberId} of ${topic}`).toBe(false)
          }
      }),
      { numRuns: 500 },
    )
  })

  test('a partition is levelled through a chain of members that overlap pair by pair', () => {
    // Each member shares one topic with the next; the first topic has as many partitions as all others together.
    const names = Array.from({ length: 100 }, (_, i) => `t${String(i).padStart(3, '0')}`)
    const group = Array.from({ length: 101 }, (_, i) => ({
      ...member(`m${String(i).padStart(3, '0')}`, names.slice(Math.max(0, i - 1), i + 1).join(' ')),
      owned:
        i === 100 ? [] : Array.from({ length: i === 0 ? 1_000 : 10 }, (_, p) => ({ topic: names[i]!, partition: p })),
    }))
    const counts = Object.fromEntries(names.map((name, i) => [name, i === 0 ? 1_000 : 10]))
    expectBalanced(group, assign(group, counts))
  })
})

describe('what a member claims to own', () => {
  // apache/kafka, AbstractStickyAssignorTest.testNoExceptionThrownWhenOnlySubscribedTopicDeleted
  test('is forgotten with its topic', () => {
    expect(shown(assign([member('consumer', 'topic', 'topicp0 topicp1')], {}))).toEqual({ consumer: '' })
  })

  test('is ignored where there is no such partition', () => {
    const owned = [-1, 0.5, 7, Number.NaN].map(partition => ({ topic: 't', partition }))
    const group = [{ ...member('a', 't'), owned }, member('b', 't')]
    expect(shown(assign(group, { t: 2 }))).toEqual({ a: 'tp0', b: 'tp1' })
  })

  test('counts once if claimed twice by the same member', () => {
    expect(shown(assign([member('a', 't', 'tp1 tp1'), member('b', 't')], { t: 2 }))).toEqual({ a: 'tp1', b: 'tp0' })
  })
})

test('its name is the one of Kafka', () => {
  expect(stickyAssignor.name).toBe('sticky')
})

/** Kafka's words: who has two or more fewer than another cannot get any of the other's. */
function expectBalanced(group: readonly GroupMember[], assignment: Assignment): void {
  for (const { memberId, topics: subscribed } of group) {
    const count = assignment.get(memberId)!.length
    for (const [other, list] of assignment)
      if (list.length >= count + 2)
        expect(
          list.filter(({ topic }) => subscribed.includes(topic)),
          `${memberId} has ${count}, ${other} has ${list.length}`,
        ).toEqual([])
  }
}

/** Members of some of four topics, and each partition owned by one of them or by nobody, rightly or not. */
function groups(): fc.Arbitrary<{ group: GroupMember[]; counts: Record<string, number> }> {
  const names = ['t', 'u', 'v', 'w']
  return fc
    .record({
      sizes: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 4, maxLength: 4 }),
      subscriptions: fc.array(fc.subarray(names), { minLength: 1, maxLength: 7 }),
      owners: fc.array(fc.nat(7), { minLength: 48, maxLength: 48 }),
    })
    .map(({ sizes, subscriptions, owners }) => {
      const all = names.flatMap((topic, t) =>
        Array.from({ length: sizes[t]! }, (_, partition) => ({ topic, partition, owner: owners[t * 12 + partition] })),
      )
      return {
        counts: Object.fromEntries(names.map((name, t) => [name, sizes[t]!])),
        group: subscriptions.map((subscribed, m) => ({
          memberId: `m${m}`,
          topics: subscribed,
          owned: all.filter(({ owner }) => owner === m).map(({ topic, partition }) => ({ topic, partition })),
        })),
      }
    })
}
