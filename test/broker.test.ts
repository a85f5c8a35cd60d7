import { Broker, ConsumerGroup, rangeAssignor, roundRobinAssignor, stickyAssignor, Topic } from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, fill, refused, watch, where, world } from './groups/support-c.js'

const brokerOf = (options: object = {}) => new Broker<Record<string, string>>({ clock: new ManualClock(), ...options })

describe('topics', () => {
  test('those of the options are made at once, with what is said about each', () => {
    const broker = brokerOf({ topics: { a: { partitions: 3 }, b: {} }, defaultPartitions: 2 })
    expect([...broker.topics.keys()]).toEqual(['a', 'b'])
    expect([broker.topic('a').partitionCount(), broker.topic('b').partitionCount()]).toEqual([3, 2])
  })

  test('topic() gives the same one each time', () => {
    const broker = brokerOf({ topics: { a: {} } })
    expect(broker.topic('a')).toBe(broker.topic('a'))
    expect(broker.topics.get('a')).toBe(broker.topic('a'))
  })

  test('topic() of an unknown name is UNKNOWN_TOPIC_OR_PARTITION, and makes none', async () => {
    const broker = brokerOf()
    await refused(() => broker.topic('missing'), 'UNKNOWN_TOPIC_OR_PARTITION', 'missing')
    expect(broker.topics.size).toBe(0)
  })

  test('createTopic() makes one, and a second time is TOPIC_ALREADY_EXISTS, which changes nothing', async () => {
    const broker = brokerOf()
    const topic = broker.createTopic('a', { partitions: 2 })
    topic.publish({ value: 'x', partition: 1 })
    await refused(() => broker.createTopic('a', { partitions: 5 }), 'TOPIC_ALREADY_EXISTS', 'a')
    expect(broker.topic('a')).toBe(topic)
    expect([topic.partitionCount(), topic.partitions[1]!.endOffset]).toEqual([2, 1])
  })

  test('a topic is of one partition by default', () => {
    expect(brokerOf().createTopic('a').partitionCount()).toBe(1)
  })

  test('all go by the clock of the broker', () => {
    const clock = new ManualClock(77)
    const broker = brokerOf({ clock, topics: { a: {} } })
    expect([broker.clock, broker.topic('a').publish({ value: 'x' }).timestamp]).toEqual([clock, 77])
  })

  test('names that are members of every object are names as any other', () => {
    const broker = brokerOf()
    for (const name of ['constructor', 'toString', '__proto__']) broker.createTopic(name).publish({ value: name })
    expect([...broker.topics.keys()]).toEqual(['constructor', 'toString', '__proto__'])
  })
})

describe('groups', () => {
  test('the same id gives the same group', () => {
    const broker = brokerOf({ topics: { a: {}, b: {} } })
    const group = broker.group('g', { topics: ['a', 'b'], maxPollRecords: 3 })
    expect(broker.group('g', { topics: ['b', 'a'], maxPollRecords: 3 })).toBe(group)
    expect(broker.groups.get('g')).toBe(group)
    expect([group.id, group.generation, group.members]).toEqual(['g', 0, []])
  })

  test('a name given twice is one topic', () => {
    const broker = brokerOf({ topics: { a: {} } })
    const consumer = broker.group('g', { topics: ['a', 'a'] }).join()
    expect(where(consumer.assignment)).toEqual(['a-0'])
  })

  test.each([
    ['topics', { topics: ['a', 'b'] }, 'b'],
    ['commitMode', { topics: 'a', commitMode: 'manualCommit' }, 'manualCommit'],
    ['autoCommitIntervalMs', { topics: 'a', autoCommitIntervalMs: 7 }, '7'],
    ['autoOffsetReset', { topics: 'a', autoOffsetReset: 'latest' }, 'latest'],
    ['assignor', { topics: 'a', assignor: stickyAssignor }, stickyAssignor.name],
    ['maxPollRecords', { topics: 'a', maxPollRecords: 7 }, '7'],
    ['maxPollIntervalMs', { topics: 'a', maxPollIntervalMs: 7 }, '7'],
    ['sessionTimeoutMs', { topics: 'a', sessionTimeoutMs: 7 }, '7'],
  ] as const)('another %s than at first is INVALID_CONFIG', async (option, options, shown) => {
    const broker = brokerOf({ topics: { a: {}, b: {} } })
    const group = broker.group('g', { topics: 'a' })
    await refused(() => broker.group('g', options as { topics: 'a' }), 'INVALID_CONFIG', option, shown)
    expect(broker.group('g', { topics: 'a' })).toBe(group)
  })

  test('a default that is written down is no other option', () => {
    const broker = brokerOf({ topics: { a: {} } })
    const group = broker.group('g', { topics: 'a' })
    const again = broker.group('g', {
      topics: ['a'],
      commitMode: 'autoCommit',
      autoCommitIntervalMs: 5_000,
      autoOffsetReset: 'earliest',
      assignor: rangeAssignor,
      maxPollRecords: 500,
      maxPollIntervalMs: 300_000,
      sessionTimeoutMs: 45_000,
    })
    expect(again).toBe(group)
  })

  test('assignors are compared by name', () => {
    const broker = brokerOf({ topics: { a: {} } })
    const group = broker.group('g', { topics: 'a', assignor: roundRobinAssignor })
    const twin = { name: roundRobinAssignor.name, assign: roundRobinAssignor.assign }
    expect(broker.group('g', { topics: 'a', assignor: twin })).toBe(group)
  })

  test('do not notice each other: own pace, own offsets', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 3)
    const other = broker.group('other', { topics: 'orders' })
    const [a, b] = [group.join(), other.join()]
    expect((await a.poll({ maxRecords: 2 })).map(at)).toEqual(['0:0', '0:1'])
    await a.commit()
    expect((await b.poll()).map(at)).toEqual(['0:0', '0:1', '0:2'])
    expect([group.committed('orders', 0), other.committed('orders', 0)]).toEqual([2, undefined])
    crash(b)
    expect((await a.poll()).map(at)).toEqual(['0:2'])
  })

  test('lag() is end minus committed, and counts from where autoOffsetReset would start without a commit', async () => {
    const { broker, orders, group } = world({ partitions: 2 })
    fill(orders, 0, 5)
    fill(orders, 1, 3)
    orders.partitions[0]!.deleteRecords(1)
    const latest = broker.group('latest', { topics: 'orders', autoOffsetReset: 'latest' })
    expect([group.lag(), latest.lag()]).toEqual([7, 0])
    group.resetOffsets(2, [{ topic: 'orders', partition: 1 }])
    expect(group.lag()).toBe(5)
  })

  test('a group that has members of the broker closed can still be asked', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 3)
    await group.join().poll()
    await broker.close()
    expect([group.committed('orders', 0), group.lag(), group.members]).toEqual([3, 0, []])
  })
})

describe('no timer outlives it', () => {
  test('an idle consumer, one that polls, one that was expelled, a seat', async () => {
    const { broker, orders, group, clock, drain } = world({ partitions: 3 })
    group.join()
    const parked = watch(group.join().poll({ timeoutMs: 99 }))
    const expelled = group.join()
    const seated = group.join({ instanceId: 'one' })
    fill(orders, 0, 5)
    await drain()
    expel(expelled)
    await seated.close()
    expect(clock.timers).toBeGreaterThan(0)
    await broker.close()
    await drain()
    expect([clock.timers, parked.state]).toEqual([0, 'resolved'])
  })

  test('a clock that moves on afterwards finds nothing to do', async () => {
    const { broker, orders, group, clock } = world()
    fill(orders, 0, 3)
    const events: unknown[] = []
    void group.join().run(() => {})
    await clock.advance(1)
    await broker.close()
    for (const event of ['commit', 'leave', 'join', 'rebalance', 'error'] as const)
      group.on(event, heard => events.push(heard))
    await clock.advance(10_000_000)
    expect(events).toEqual([])
  })
})

describe('a broker of its own is not needed', () => {
  test('a topic without one takes a clock too', async () => {
    const clock = new ManualClock(9)
    const topic = new Topic<string>('t', { clock })
    const group = new ConsumerGroup('g', topic, { clock, autoCommitIntervalMs: 100 })
    expect(topic.publish({ value: 'x' }).timestamp).toBe(9)
    void group.join().run(() => {})
    await clock.advance(100)
    expect(group.committed('t', 0)).toBe(1)
  })
})
