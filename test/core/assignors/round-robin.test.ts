import { expect, test } from 'vitest'
import { roundRobinAssignor } from '../../../src/core/assignors/round-robin.js'
import { member, shown, topics } from './given.js'

// apache/kafka, RoundRobinAssignor.java, class javadoc: C0, C1, t0 and t1
test('the turn goes on from one topic to the next', () => {
  const group = [member('C0', 't0 t1'), member('C1', 't0 t1')]
  expect(shown(roundRobinAssignor.assign(group, topics({ t0: 3, t1: 3 })))).toEqual({
    C0: 't0p0 t0p2 t1p1',
    C1: 't0p1 t1p0 t1p2',
  })
})

// The same javadoc: differing subscriptions end unbalanced.
test('a member that does not subscribe is passed over', () => {
  const group = [member('C0', 't0'), member('C1', 't0 t1'), member('C2', 't0 t1 t2')]
  expect(shown(roundRobinAssignor.assign(group, topics({ t0: 1, t1: 2, t2: 3 })))).toEqual({
    C0: 't0p0',
    C1: 't1p0',
    C2: 't1p1 t2p0 t2p1 t2p2',
  })
})

// The same javadoc: a bounce shuffles dynamic members, C0 -> C5, C1 -> C3, C2 -> C4.
test('member ids decide over dynamic members', () => {
  const group = [member('C5', 't0 t1'), member('C3', 't0 t1'), member('C4', 't0 t1')]
  expect(shown(roundRobinAssignor.assign(group, topics({ t0: 3, t1: 3 })))).toEqual({
    C3: 't0p0 t1p0',
    C4: 't0p1 t1p1',
    C5: 't0p2 t1p2',
  })
})

// apache/kafka, RoundRobinAssignorTest.testMultipleConsumersMixedTopics
test('the turn stays with the subscribers of a topic', () => {
  const group = [member('consumer1', 'topic1'), member('consumer2', 'topic1 topic2'), member('consumer3', 'topic1')]
  expect(shown(roundRobinAssignor.assign(group, topics({ topic1: 3, topic2: 2 })))).toEqual({
    consumer1: 'topic1p0',
    consumer2: 'topic1p1 topic2p0 topic2p1',
    consumer3: 'topic1p2',
  })
})

// apache/kafka, RoundRobinAssignorTest.testTwoStaticConsumersTwoTopicsSixPartitions and
// testOneStaticConsumerAndOneDynamicConsumerTwoTopicsSixPartitions
test.each([
  ['by instance id', 'instance2'],
  ['before dynamic ones', undefined],
])('static members come %s', (_, second) => {
  const group = [
    member('consumer-b', 'topic1 topic2', '', 'instance1'),
    member('consumer-a', 'topic1 topic2', '', second),
  ]
  expect(shown(roundRobinAssignor.assign(group, topics({ topic1: 3, topic2: 3 })))).toEqual({
    'consumer-b': 'topic1p0 topic1p2 topic2p1',
    'consumer-a': 'topic1p1 topic2p0 topic2p2',
  })
})

// apache/kafka, RoundRobinAssignorTest.testStaticMemberRoundRobinAssignmentPersistent
test('a dynamic member in the place of another leaves static members alone', () => {
  const fixed = [1, 2, 3].map(n => member(`consumer${n}`, 'topic1 topic2', '', `instance${n}`))
  for (const dynamic of ['consumer4', 'consumer5'])
    expect(
      shown(roundRobinAssignor.assign([...fixed, member(dynamic, 'topic1 topic2')], topics({ topic1: 3, topic2: 3 }))),
    ).toEqual({
      consumer1: 'topic1p0 topic2p1',
      consumer2: 'topic1p1 topic2p2',
      consumer3: 'topic1p2',
      [dynamic]: 'topic2p0',
    })
})

// Kafka: RoundRobinAssignor.allPartitionsSorted; kafkajs keeps the caller's order.
test('topics are taken by name in code units', () => {
  const group = [member('a', 'b B a10 a2'), member('b', 'b B a10 a2')]
  expect(shown(roundRobinAssignor.assign(group, topics({ b: 1, a2: 1, B: 1, a10: 1 })))).toEqual({
    a: 'Bp0 a2p0',
    b: 'a10p0 bp0',
  })
})

test('its name is the one of Kafka', () => {
  expect(roundRobinAssignor.name).toBe('roundrobin')
})
