import { Broker, type MemoryTopic } from 'millrace'
import { expel, ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, fill, gate, refused, uncaught, watch, where, world } from './support-c.js'

describe('rule 59: addPartitions', () => {
  test('is one generation for each group of the topic, and none for others', async () => {
    const { broker, orders, group } = world()
    const second = broker.group('second', { topics: ['orders', 'audit'] })
    const other = broker.group('other', { topics: 'audit' })
    for (const each of [group, second, other]) each.join()
    orders.addPartitions(3)
    expect([group.generation, second.generation, other.generation]).toEqual([2, 2, 1])
  })

  test('gives the new partitions to owners at once, and their records flow', async () => {
    const { orders, group, drain } = world()
    const consumer = group.join()
    const poll = watch(consumer.poll())
    await drain()
    orders.addPartitions(2)
    expect(where(consumer.assignment)).toEqual(['orders-0', 'orders-1'])
    fill(orders, 1, 1)
    await drain()
    expect(poll.value?.map(at)).toEqual(['1:0'])
  })

  test('calls onAssigned with what is new only', async () => {
    const { orders, group, drain } = world()
    const assigned: string[][] = []
    group.join({ onAssigned: list => void assigned.push(where(list)) })
    await drain()
    orders.addPartitions(3)
    await drain()
    expect(assigned).toEqual([['orders-0'], ['orders-1', 'orders-2']])
  })

  test('an expelled consumer that comes back reads new partitions from their start under `latest`', async () => {
    const { orders, group } = world({ autoOffsetReset: 'latest' })
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll({ timeoutMs: 0 })
    expel(consumer)
    orders.addPartitions(2)
    fill(orders, 1, 2)
    expect((await consumer.poll()).map(at)).toEqual(['1:0', '1:1'])
  })

  test('a member that is there reads new partitions from their start under `latest`', async () => {
    const { orders, group } = world({ autoOffsetReset: 'latest' })
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll({ timeoutMs: 0 })
    orders.addPartitions(2)
    fill(orders, 1, 2)
    expect((await consumer.poll()).map(at)).toEqual(['1:0', '1:1'])
  })

  test('keeps the records of the old partitions where they are', async () => {
    const { orders, group } = world()
    fill(orders, 0, 3)
    orders.addPartitions(2)
    expect(orders.partitions.map(({ endOffset }) => endOffset)).toEqual([3, 0])
    expect((await group.join().poll()).map(at)).toEqual(['0:0', '0:1', '0:2'])
  })
})

describe('rule 59: deleteTopic', () => {
  test('ends terms at once, removes what is committed, and is one generation', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    const { generation } = group
    broker.deleteTopic('orders')
    expect([consumer.assignment, group.committed('orders', 0), group.generation]).toEqual([
      [],
      undefined,
      generation + 1,
    ])
    expect([broker.topics.has('orders'), group.lag()]).toEqual([false, 0])
  })

  test('calls onLost, not onRevoked, at the next poll', async () => {
    const { broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    const log: string[] = []
    const consumer = group.join({
      onRevoked: list => void log.push(`revoked ${where(list)}`),
      onLost: list => void log.push(`lost ${where(list)}`),
    })
    await drain()
    broker.deleteTopic('orders')
    await drain()
    expect(log).toEqual([])
    await consumer.poll({ timeoutMs: 0 })
    expect(log).toEqual(['lost orders-0'])
  })

  test('refuses a commit for it with UNKNOWN_TOPIC_OR_PARTITION', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const [record] = await consumer.poll()
    broker.deleteTopic('orders')
    await refused(() => consumer.commit(record!), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
    expect(group.committed('orders', 0)).toBeUndefined()
  })

  test('leaves a poll parked that has other topics', async () => {
    const { broker, drain } = world()
    const group = broker.group('both', { topics: ['orders', 'audit'] })
    const poll = watch(group.join().poll())
    await drain()
    broker.deleteTopic('orders')
    await drain()
    expect(poll.state).toBe('pending')
    broker.topic('audit').publish({ value: 'x' })
    await drain()
    expect(poll.value?.map(record => record.topic)).toEqual(['audit'])
  })

  test('refuses what still has it in hand', async () => {
    const { broker, orders } = world()
    fill(orders, 0, 1)
    broker.deleteTopic('orders')
    await refused(() => orders.publish({ value: 'x' }), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
    await refused(() => broker.topic('orders'), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
    await refused(() => broker.deleteTopic('orders'), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
  })

  test('a topic made again under the name belongs to the group again, in one generation, from its start', async () => {
    const { broker, orders, group } = world({ partitions: 2 })
    fill(orders, 0, 5)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    broker.deleteTopic('orders')
    const { generation } = group
    const again = broker.createTopic('orders', { partitions: 3 })
    expect([group.generation, where(consumer.assignment)]).toEqual([
      generation + 1,
      ['orders-0', 'orders-1', 'orders-2'],
    ])
    fill(again, 0, 2)
    expect((await consumer.poll()).map(at)).toEqual(['0:0', '0:1'])
  })

  test('a topic made again shares nothing with the old one: no position, no pause, no late commit', async () => {
    const { broker, orders, group } = world({ commitMode: 'manualCommit' })
    fill(orders, 0, 5)
    const consumer = group.join()
    const old = await consumer.poll()
    consumer.pause()
    broker.deleteTopic('orders')
    fill(broker.createTopic('orders'), 0, 1)
    expect(consumer.paused).toEqual([])
    expect((await consumer.poll()).map(at)).toEqual(['0:0'])
    expect([old.length, group.committed('orders', 0)]).toEqual([5, undefined])
  })

  test('a handler of the old topic does not commit for the new one', async () => {
    const { broker, orders, group, clock } = world()
    fill(orders, 0, 5)
    const end = gate()
    const seen: string[] = []
    const commits: (() => Promise<void>)[] = []
    void group.join().run(async (record, { commit }) => {
      seen.push(record.value)
      commits.push(commit)
      if (record.value === '0:0') await end.promise
    })
    await clock.advance(0)
    broker.deleteTopic('orders')
    broker.createTopic('orders').publish({ value: 'new' })
    await refused(() => commits[0]!(), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders')
    end.open()
    await clock.advance(5_000)
    expect([seen, group.committed('orders', 0)]).toEqual([['0:0', 'new'], 1])
  })

  test('a topic that was deleted stays a subscription of a group without members', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 1)
    broker.deleteTopic('orders')
    broker.createTopic('orders').publish({ value: 'new' })
    expect((await group.join().poll()).map(({ value }) => value)).toEqual(['new'])
  })

  test('join() while the topic is gone gets nothing, and then what is made again', async () => {
    const { broker, group, drain } = world()
    broker.deleteTopic('orders')
    const consumer = group.join()
    await consumer.ready()
    expect(consumer.assignment).toEqual([])
    const poll = watch(consumer.poll())
    broker.createTopic('orders').publish({ value: 'new' })
    await drain()
    expect(poll.value?.map(({ value }) => value)).toEqual(['new'])
  })
})

describe('rule 60: resetOffsets', () => {
  const timed = () => {
    const all = world({ partitions: 2 })
    for (const timestamp of [10, 20, 30, 40]) all.orders.publish({ partition: 0, value: 'x', timestamp })
    fill(all.orders, 1, 2)
    return all
  }

  test.each([
    ['earliest', 'earliest', 1, 0],
    ['latest', 'latest', 4, 2],
    ['an offset', 2, 2, 2],
    ['a time', { timestamp: 25 }, 2, 2],
    ['a time after all records', { timestamp: 999 }, 4, 2],
  ] as const)('to %s commits for all partitions', async (_, to, first, second) => {
    const { orders, group } = timed()
    orders.partitions[0]!.deleteRecords(1)
    group.resetOffsets(to)
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([first, second])
  })

  test('where says for which partitions', async () => {
    const { group } = timed()
    group.resetOffsets('latest', [{ topic: 'orders', partition: 1 }])
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([undefined, 2])
  })

  test('the next member starts there', async () => {
    const { group } = timed()
    group.resetOffsets({ timestamp: 30 }, [{ topic: 'orders', partition: 0 }])
    group.resetOffsets('latest', [{ topic: 'orders', partition: 1 }])
    expect((await group.join().poll()).map(at)).toEqual(['0:2', '0:3'])
  })

  test('is a commit event of nobody', async () => {
    const { group } = timed()
    const events: unknown[] = []
    group.on('commit', event => events.push(event))
    group.resetOffsets(1, [{ topic: 'orders', partition: 0 }])
    expect(events).toEqual([
      { group: 'g', memberId: undefined, offsets: [{ topic: 'orders', partition: 0, nextOffset: 1 }] },
    ])
  })

  test('is NON_EMPTY_GROUP while there is a member, and changes nothing', async () => {
    const { group } = timed()
    const consumer = group.join()
    await refused(() => group.resetOffsets('latest'), 'NON_EMPTY_GROUP', 'g', '1')
    expect(group.committed('orders', 0)).toBeUndefined()
    await consumer.close()
    group.resetOffsets('latest')
    expect(group.committed('orders', 0)).toBe(4)
  })

  test('is NON_EMPTY_GROUP while a member is leaving', async () => {
    const { group, drain } = timed()
    const end = gate()
    const consumer = group.join()
    void consumer.run(() => end.promise)
    await drain()
    const close = consumer.close()
    await refused(() => group.resetOffsets('latest'), 'NON_EMPTY_GROUP', 'g')
    end.open()
    await close
    group.resetOffsets('latest')
    expect(group.lag()).toBe(0)
  })

  test('an expelled consumer that comes back goes by it', async () => {
    const { group } = timed()
    const consumer = group.join()
    await consumer.poll()
    expel(consumer)
    group.resetOffsets('latest')
    expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
    expect([consumer.position('orders', 0), consumer.position('orders', 1)]).toEqual([4, 2])
  })

  test('lag() goes by it', async () => {
    const { group } = timed()
    expect(group.lag()).toBe(6)
    group.resetOffsets(1)
    expect(group.lag()).toBe(4)
  })
})

describe('rule 60: delete()', () => {
  test('leaves nothing: no offsets, no place in broker.groups', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.close()
    expect([group.committed('orders', 0), broker.groups.has('g')]).toEqual([2, true])
    group.delete()
    expect([group.committed('orders', 0), broker.groups.has('g')]).toEqual([undefined, false])
  })

  test('is NON_EMPTY_GROUP while there is a member, and changes nothing', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    await refused(() => group.delete(), 'NON_EMPTY_GROUP', 'g', '1')
    expect([group.committed('orders', 0), broker.groups.has('g'), consumer.closed]).toEqual([2, true, false])
  })

  test('holds back the retention of its topics no longer', async () => {
    const { broker, orders, group } = world({ topic: { segmentRecords: 2, retention: { consumed: true } } })
    const other = broker.group('visitor', { topics: 'orders' })
    fill(orders, 0, 6)
    const consumer = group.join()
    await consumer.poll()
    await consumer.commit()
    orders.enforceRetention()
    expect(orders.partitions[0]!.startOffset).toBe(0)
    other.delete()
    orders.enforceRetention()
    expect(orders.partitions[0]!.startOffset).toBeGreaterThanOrEqual(4)
  })

  test('an expelled consumer that is still open does not hinder it: its next poll is CLOSED', async () => {
    const { broker, group, drain } = world()
    const consumer = group.join()
    await drain()
    expel(consumer)
    group.delete()
    await refused(() => consumer.poll(), 'CLOSED')
    broker.group('g', { topics: 'orders' })
    await refused(() => consumer.poll(), 'CLOSED')
    await consumer.close()
    expect(broker.groups.get('g')?.members).toEqual([])
  })

  test('a second delete() does nothing; join and resetOffsets are CLOSED, committed is undefined', async () => {
    const { group } = world()
    group.delete()
    group.delete()
    await refused(() => group.join(), 'CLOSED', 'g')
    await refused(() => group.resetOffsets('earliest'), 'CLOSED', 'g')
    expect(group.committed('orders', 0)).toBeUndefined()
  })

  test('caughtUp() of a deleted group is CLOSED, also where there is nothing to read', async () => {
    const { group } = world()
    await group.caughtUp()
    group.delete()
    await refused(() => group.caughtUp(), 'CLOSED', 'Group g')
  })

  test('a second delete() does nothing to a new group of the name', async () => {
    const { broker, group } = world()
    group.delete()
    const again = broker.group('g', { topics: 'orders' })
    group.delete()
    expect(broker.groups.get('g')).toBe(again)
    again.join()
    expect(again.generation).toBe(1)
  })

  test('broker.group() makes a new one, with options of its own, at generation 0 and without offsets', async () => {
    const { broker, orders, group } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await consumer.poll()
    await consumer.close()
    group.delete()
    const again = broker.group('g', { topics: ['orders', 'audit'], commitMode: 'manualCommit' })
    expect([again.generation, again.committed('orders', 0), again.lag()]).toEqual([0, undefined, 2])
    expect((await again.join().poll()).map(at)).toEqual(['0:0', '0:1'])
  })

  test('forgets where `latest` was', async () => {
    const { broker, orders, group } = world({ autoOffsetReset: 'latest', commitMode: 'manualCommit' })
    const consumer = group.join()
    await consumer.poll({ timeoutMs: 0 })
    expel(consumer)
    fill(orders, 0, 2)
    group.delete()
    const again = broker.group('g', { topics: 'orders', autoOffsetReset: 'latest' })
    const next = again.join()
    await next.ready()
    fill(orders, 0, 1)
    expect((await next.poll()).map(at)).toEqual(['0:2'])
  })

  test('once the seat of a static member is gone the group can be deleted', async () => {
    const { broker, group, clock } = world()
    await group.join({ instanceId: 'one' }).close()
    await refused(() => group.delete(), 'NON_EMPTY_GROUP')
    await clock.advance(45_000)
    group.delete()
    expect(broker.groups.size).toBe(0)
  })
})

describe('rule 60: events', () => {
  test('are emitted when the state is consistent', async () => {
    const { group } = world({ partitions: 2 })
    const states: string[] = []
    const owned = () => group.members.map(({ assignment }) => where(assignment).join()).join(' | ')
    group.on('join', () => states.push(`join ${owned()}`))
    group.on('leave', () => states.push(`leave ${owned()}`))
    const a = group.join()
    group.join()
    await a.close()
    expect(states).toEqual(['join orders-0,orders-1', 'join orders-0 | orders-1', 'leave orders-0,orders-1'])
  })

  test('come one after the other, also when a listener changes the group', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    group.on('join', ({ memberId }) => {
      log.push(`first hears ${memberId}`)
      if (group.members.length === 1) group.join({ memberId: 'late' })
    })
    group.on('join', ({ memberId }) => log.push(`second hears ${memberId}`))
    group.join({ memberId: 'early' })
    expect(log).toEqual(['first hears early', 'second hears early', 'first hears late', 'second hears late'])
    expect(group.members.map(({ assignment }) => where(assignment))).toEqual([['orders-0'], ['orders-1']])
  })

  test('a listener that throws breaks nothing, and is told as an error event', async () => {
    const { orders, group, drain } = world({ partitions: 2 })
    const why = new Error('listener')
    const told: unknown[] = []
    group.on('error', ({ group: id, error }) => told.push([id, error]))
    for (const event of ['join', 'leave', 'commit', 'rebalance'] as const)
      group.on(event, () => {
        throw why
      })
    const a = group.join()
    const b = group.join()
    await b.ready()
    fill(orders, 1, 1)
    expect((await b.poll()).map(at)).toEqual(['1:0'])
    await b.commit()
    await b.close()
    await drain()
    expect([where(a.assignment), group.committed('orders', 1)]).toEqual([['orders-0', 'orders-1'], 1])
    expect(told.length).toBeGreaterThanOrEqual(4)
    expect(told.every(each => (each as unknown[])[0] === 'g' && (each as unknown[])[1] === why)).toBe(true)
  })

  test('a listener that throws is thrown in a task of its own where nobody hears error events', async () => {
    const { group, drain } = world()
    const why = new Error('listener')
    group.on('join', () => {
      throw why
    })
    let owned: string[] = []
    const errors = await uncaught(async () => {
      owned = where(group.join().assignment)
      await drain()
    })
    expect([errors, owned]).toEqual([[why], ['orders-0']])
  })

  test('an error listener that throws breaks nothing either', async () => {
    const { group, drain } = world()
    const why = new Error('listener')
    let told = 0
    group.on('join', () => {
      throw new Error('first')
    })
    group.on('error', () => {
      // Bounded, so that a library that tells it of its own errors for ever fails here instead of hanging.
      if (++told < 50) throw why
    })
    const errors = await uncaught(async () => {
      expect(where(group.join().assignment)).toEqual(['orders-0'])
      await drain()
    })
    expect(errors).toContain(why)
    expect(told).toBeLessThan(50)
  })

  test('what on() gives takes the listener off', async () => {
    const { group } = world()
    const heard: string[] = []
    const off = group.on('join', ({ memberId }) => heard.push(memberId))
    group.join({ memberId: 'a' })
    off()
    group.join({ memberId: 'b' })
    expect(heard).toEqual(['a'])
  })
})

describe('rule 61: group() on a name', () => {
  test('that was never there is UNKNOWN_TOPIC_OR_PARTITION, and makes no group', async () => {
    const broker = new Broker<Record<string, string>>({ clock: new ManualClock() })
    await refused(() => broker.group('g', { topics: 'missing' }), 'UNKNOWN_TOPIC_OR_PARTITION', 'missing')
    expect([broker.groups.size, broker.topics.size]).toEqual([0, 0])
  })

  test('is made with autoCreateTopics, by group() and by topic()', async () => {
    const broker = new Broker<Record<string, string>>({
      clock: new ManualClock(),
      autoCreateTopics: true,
      defaultPartitions: 3,
    })
    const consumer = broker.group('g', { topics: ['one', 'two'] }).join()
    expect([...broker.topics.keys()]).toEqual(['one', 'two'])
    expect(broker.topic('three').partitionCount()).toBe(3)
    expect(where(consumer.assignment)).toEqual(['one-0', 'one-1', 'one-2', 'two-0', 'two-1', 'two-2'])
  })

  test('is not half made with autoCreateTopics if one name is bad', async () => {
    const broker = new Broker<Record<string, string>>({ clock: new ManualClock(), autoCreateTopics: true })
    await refused(() => broker.group('g', { topics: ['good', 'b/d'] }), 'INVALID_TOPIC_EXCEPTION', 'b/d')
    expect(broker.groups.size).toBe(0)
  })
})

describe('retention by consumption', () => {
  const start = (topic: MemoryTopic<string>) => topic.partitions[0]!.startOffset
  const consumed = { segmentRecords: 2, retention: { consumed: true } }

  test('drops nothing while the topic has no group', async () => {
    const broker = new Broker<{ orders: string }>({ clock: new ManualClock(), topics: { orders: consumed } })
    const orders = broker.topic('orders')
    fill(orders, 0, 9)
    orders.enforceRetention()
    expect(start(orders)).toBe(0)
  })

  test('drops whole segments that every group has committed past', async () => {
    const { broker, orders, group } = world({ topic: consumed })
    const slow = broker.group('slow', { topics: 'orders' })
    fill(orders, 0, 9)
    group.resetOffsets(8)
    slow.resetOffsets(5)
    orders.enforceRetention()
    expect(start(orders)).toBe(4)
    slow.resetOffsets(8)
    orders.enforceRetention()
    expect(start(orders)).toBe(8)
  })

  test('waits for a group that has no members and has committed nothing', async () => {
    const { broker, orders, group } = world({ topic: consumed })
    broker.group('never', { topics: 'orders' })
    fill(orders, 0, 9)
    group.resetOffsets('latest')
    orders.enforceRetention()
    expect(start(orders)).toBe(0)
  })

  test('goes by what is committed, not by what is handed out', async () => {
    const { orders, group } = world({ topic: consumed })
    fill(orders, 0, 9)
    const consumer = group.join()
    await consumer.poll()
    orders.enforceRetention()
    expect(start(orders)).toBe(0)
    await consumer.commit()
    orders.enforceRetention()
    expect(start(orders)).toBeGreaterThanOrEqual(8)
  })

  test('is also done as segments fill up, and then loses nothing', async () => {
    const { orders, group, drain } = world({ topic: consumed, autoCommitIntervalMs: 0 })
    const seen: number[] = []
    void group.join().run(record => void seen.push(record.offset))
    for (let i = 0; i < 100; i++) {
      fill(orders, 0, 1)
      await drain()
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(start(orders)).toBeGreaterThan(90)
  })
})
