import { expect, test } from 'vitest'
import { rangeAssignor } from '../../../src/core/assignors/range.js'
import { member, shown, topics } from './given.js'

// apache/kafka, RangeAssignor.java, class javadoc: C0, C1, t0 and t1
test('the first members take the remainder of each topic', () => {
  const group = [member('C0', 't0 t1'), member('C1', 't0 t1')]
  expect(shown(rangeAssignor.assign(group, topics({ t0: 3, t1: 3 })))).toEqual({
    C0: 't0p0 t0p1 t1p0 t1p1',
    C1: 't0p2 t1p2',
  })
})

// The same javadoc: after a bounce C0 is C3 and C1 is C2; with instance ids I1 and I2 nothing moves.
test('member ids decide over dynamic members, instance ids over static ones', () => {
  const bounced = [member('C3', 't0 t1'), member('C2', 't0 t1')]
  expect(shown(rangeAssignor.assign(bounced, topics({ t0: 3, t1: 3 })))).toEqual({
    C3: 't0p2 t1p2',
    C2: 't0p0 t0p1 t1p0 t1p1',
  })
  const withIds = [member('C3', 't0 t1', '', 'I1'), member('C2', 't0 t1', '', 'I2')]
  expect(shown(rangeAssignor.assign(withIds, topics({ t0: 3, t1: 3 })))).toEqual({
    C3: 't0p0 t0p1 t1p0 t1p1',
    C2: 't0p2 t1p2',
  })
})

// apache/kafka, RangeAssignorTest.testMultipleConsumersMixedTopics
test('a topic is divided among its own subscribers only', () => {
  const group = [member('consumer1', 'topic1'), member('consumer2', 'topic1 topic2'), member('consumer3', 'topic1')]
  expect(shown(rangeAssignor.assign(group, topics({ topic1: 3, topic2: 2 })))).toEqual({
    consumer1: 'topic1p0',
    consumer2: 'topic1p1 topic2p0 topic2p1',
    consumer3: 'topic1p2',
  })
})

test('topics of equal size and subscribers are divided alike', () => {
  const group = ['a', 'b', 'c'].map(id => member(id, 'orders payments'))
  for (const list of rangeAssignor.assign(group, topics({ orders: 10, payments: 10 })).values()) {
    const numbers = (topic: string): number[] => list.filter(tp => tp.topic === topic).map(tp => tp.partition)
    expect(numbers('orders')).toEqual(numbers('payments'))
  }
})

test('the last members go without when there are too few partitions', () => {
  const group = ['a', 'b', 'c', 'd'].map(id => member(id, 'orders'))
  expect(shown(rangeAssignor.assign(group, topics({ orders: 2 })))).toEqual({
    a: 'ordersp0',
    b: 'ordersp1',
    c: '',
    d: '',
  })
})

test('what was owned before does not matter', () => {
  const group = [member('a', 'orders', 'ordersp2 ordersp3'), member('b', 'orders', 'ordersp0 ordersp1')]
  expect(shown(rangeAssignor.assign(group, topics({ orders: 4 })))).toEqual({
    a: 'ordersp0 ordersp1',
    b: 'ordersp2 ordersp3',
  })
})

test('its name is the one of Kafka', () => {
  expect(rangeAssignor.name).toBe('range')
})
