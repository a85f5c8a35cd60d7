import {
  type Assignment,
  Broker,
  ConsumerGroup,
  type ConsumerRecord,
  isMillraceError,
  lastHeader,
  type MemoryConsumer,
  MillraceError,
  type Partitioner,
  Topic,
  toDeadLetter,
} from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, caught, fill, gate, refused, watch, where, world, wrongKind } from './groups/support-c.js'

/** What the types would not let through. */
const bad = <T>(value: unknown): T => value as T
const brokerOf = (options: object = {}) => new Broker<Record<string, string>>({ clock: new ManualClock(), ...options })

describe('topics: names and partition counts', () => {
  test.each([[''], ['.'], ['..'], ['a b'], ['x'.repeat(250)]])('a name of %j is refused everywhere', async name => {
    const broker = brokerOf({ autoCreateTopics: true })
    const shown = JSON.stringify(name)
    await refused(() => broker.createTopic(name), 'INVALID_TOPIC_EXCEPTION', shown)
    await refused(() => broker.topic(name), 'INVALID_TOPIC_EXCEPTION', shown)
    await refused(() => broker.group('g', { topics: name }), 'INVALID_TOPIC_EXCEPTION', shown)
    await refused(() => brokerOf({ topics: { [name]: {} } }), 'INVALID_TOPIC_EXCEPTION', shown)
    expect([broker.topics.size, broker.groups.size]).toEqual([0, 0])
  })

  test.each([[undefined], [7], [null]])('a name that is %j is refused, and makes none', async name => {
    const broker = brokerOf()
    await refused(() => broker.createTopic(bad<string>(name)), 'INVALID_TOPIC_EXCEPTION', String(name))
    expect(broker.topics.size).toBe(0)
  })

  test.each([[0], [-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['3'], [null]])(
    'a partition count of %j is INVALID_PARTITIONS',
    async partitions => {
      const broker = brokerOf()
      const shown = String(partitions)
      await refused(() => broker.createTopic('t', { partitions: bad(partitions) }), 'INVALID_PARTITIONS', 't', shown)
      await refused(() => new Topic('t', { partitions: bad(partitions) }), 'INVALID_PARTITIONS', 't', shown)
      expect(broker.topics.size).toBe(0)
      broker.createTopic('t')
    },
  )

  test.each([[1], [0], [-3], [2.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['4']])(
    'addPartitions(%j) of a topic of two is INVALID_PARTITIONS, and no generation',
    async total => {
      const { orders, group } = world({ partitions: 2 })
      const consumer = group.join()
      await refused(() => orders.addPartitions(bad(total)), 'INVALID_PARTITIONS', 'orders', String(total))
      expect([orders.partitionCount(), group.generation, consumer.assignment.length]).toEqual([2, 1, 2])
    },
  )

  // An empty partition takes 0.8 KB: far more of them end the process, not the call.
  test.each([[1_000_001], [1e7], [2 ** 40]])(
    'more partitions than a million, %j, are INVALID_PARTITIONS before one is made',
    async partitions => {
      const most = `at most 1000000`
      const broker = brokerOf({ topics: { few: {} } })
      const shown = String(partitions)
      await refused(() => new Topic('t', { partitions }), 'INVALID_PARTITIONS', 't', shown, most)
      await refused(() => broker.createTopic('t', { partitions }), 'INVALID_PARTITIONS', 't', shown, most)
      await refused(() => broker.topic('few').addPartitions(partitions), 'INVALID_PARTITIONS', 'few', shown, most)
      await refused(() => brokerOf({ topics: { t: { partitions } } }), 'INVALID_PARTITIONS', 't', shown, most)
      await refused(
        () => brokerOf({ defaultPartitions: partitions }),
        'INVALID_CONFIG',
        'defaultPartitions',
        shown,
        most,
      )
      expect([...broker.topics.values()].map(topic => topic.partitionCount())).toEqual([1])
    },
  )

  test.each([
    ['partitioner', { partitioner: 'random' }, 'random'],
    ['cleanupPolicy', { cleanupPolicy: 'archive' }, 'archive'],
    ['segmentRecords', { segmentRecords: 0 }, '0'],
    ['segmentRecords', { segmentRecords: 1.5 }, '1.5'],
    ['retention.ms', { retention: { ms: -1 } }, '-1'],
    ['retention.ms', { retention: { ms: Number.NaN } }, 'NaN'],
    ['retention.records', { retention: { records: 2.5 } }, '2.5'],
    ['retention.consumed', { retention: { consumed: 'yes' } }, 'yes'],
    ['retention', { retention: 100 }, '100'],
    ['codec', { codec: 'json' }, 'json'],
    ['codec', { codec: { encode: () => {} } }, 'Object'],
    ['options', 5, '5'],
  ] as const)('the option %s of createTopic(): %j', async (option, options, shown) => {
    const broker = brokerOf()
    await refused(() => broker.createTopic('t', bad(options)), 'INVALID_CONFIG', option, shown)
    expect(broker.topics.size).toBe(0)
  })

  test.each([
    ['autoCreateTopics', { autoCreateTopics: 'yes' }, 'yes'],
    ['defaultPartitions', { defaultPartitions: 0 }, '0'],
    ['defaultPartitions', { defaultPartitions: 2.5 }, '2.5'],
    ['clock', { clock: {} }, 'Object'],
    ['topics', { topics: 'orders' }, 'orders'],
  ] as const)('the option %s of a broker: %j', async (option, options, shown) => {
    await refused(() => new Broker(bad<object>(options)), 'INVALID_CONFIG', option, shown)
  })

  test.each([[{}], [5], [null]])('the clock %j of a topic or a group that stands alone', async clock => {
    const shown = clock === null ? 'null' : typeof clock === 'object' ? 'Object' : '5'
    await refused(() => new Topic('t', bad<object>({ clock })), 'INVALID_CONFIG', 'clock', shown)
    await refused(
      () => new ConsumerGroup('g', new Topic('t'), bad<object>({ clock })),
      'INVALID_CONFIG',
      'clock',
      shown,
    )
  })
})

describe('publish()', () => {
  const both = (record: unknown) =>
    [
      ['publish', (topic: Topic<string>) => topic.publish(bad(record))],
      ['publishAll', (topic: Topic<string>) => topic.publishAll(bad([record]))],
    ] as const
  const unchanged = (topic: { partitions: readonly { endOffset: number }[] }) =>
    expect(topic.partitions.map(({ endOffset }) => endOffset)).toEqual([1, 0])

  test.each([
    [{ value: undefined }, 'undefined'],
    [{}, 'undefined'],
    [{ value: 'x', key: 7 }, '7'],
    [{ value: 'x', key: {} }, 'Object'],
    [{ value: 'x', key: false }, 'false'],
    [{ value: 'x', key: 0 }, '0'],
    [{ value: 'x', headers: 'text' }, 'text'],
    [{ value: 'x', headers: 7 }, '7'],
    [{ value: 'x', headers: { a: 7 } }, '7'],
    [{ value: 'x', headers: { a: undefined } }, 'undefined'],
    [{ value: 'x', headers: [['a']] }, 'undefined'],
    [{ value: 'x', headers: [[7, 'a']] }, '7'],
    [{ value: 'x', headers: ['ab'] }, 'ab'],
    [{ value: 'x', partition: '1' }, '1'],
    [null, 'null'],
    ['text', 'text'],
    [undefined, 'undefined'],
  ])('%j is a TypeError, and writes nothing', async (record, shown) => {
    const { orders } = world({ partitions: 2 })
    fill(orders, 0, 1)
    for (const [, act] of both(record)) await wrongKind(() => act(orders), shown)
    unchanged(orders)
  })

  test.each([[2], [-1], [0.5], [Number.NaN], [Number.POSITIVE_INFINITY]])(
    'partition %j of two is UNKNOWN_TOPIC_OR_PARTITION, and writes nothing',
    async partition => {
      const { orders } = world({ partitions: 2 })
      fill(orders, 0, 1)
      for (const [, act] of both({ value: 'x', partition }))
        await refused(() => act(orders), 'UNKNOWN_TOPIC_OR_PARTITION', 'orders', String(partition))
      unchanged(orders)
    },
  )

  test.each([[-1], [0.5], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 53]])(
    'a timestamp of %j is refused, and writes nothing',
    async timestamp => {
      const { orders } = world({ partitions: 2 })
      fill(orders, 0, 1)
      for (const [, act] of both({ value: 'x', timestamp }))
        await refused(() => act(orders), 'INVALID_RECORD', 'orders', String(timestamp))
      unchanged(orders)
    },
  )

  test('publishAll() of no iterable is a TypeError', async () => {
    const { orders } = world({ partitions: 2 })
    fill(orders, 0, 1)
    for (const records of [undefined, null, 5, { value: 'x' }]) await wrongKind(() => orders.publishAll(bad(records)))
    unchanged(orders)
  })

  test.each([[-1], [2], [0.5], [Number.NaN], ['0'], [undefined]])(
    'a partitioner that says %j is refused, and writes nothing',
    async chosen => {
      const topic = new Topic<string>('t', { partitions: 2, partitioner: () => bad<number>(chosen) })
      await refused(() => topic.publish({ value: 'x' }), 'INVALID_CONFIG', 'partitioner', String(chosen))
      expect(topic.partitions.map(({ endOffset }) => endOffset)).toEqual([0, 0])
      expect(topic.publish({ value: 'x', partition: 1 }).offset).toBe(0)
    },
  )

  test('a partitioner that throws is told to the publisher, and writes nothing', async () => {
    let broken = true
    const partitioner: Partitioner = () => {
      if (broken) throw new Error('no idea')
      return 0
    }
    const topic = new Topic<string>('t', { partitioner })
    const error = await caught(() => topic.publish({ value: 'x' }))
    expect(`${error} ${(error as Error).cause}`).toContain('no idea')
    expect(topic.partitions[0]!.endOffset).toBe(0)
    broken = false
    expect(topic.publish({ value: 'x' }).offset).toBe(0)
  })
})

test.each([
  ['NO_SUCH_CODE', {}, '"NO_SUCH_CODE"'],
  ['toString', {}, '"toString"'],
  ['CLOSED', undefined, 'undefined'],
])('a MillraceError of code %j and details %j is a TypeError', async (code, details, shown) => {
  await wrongKind(() => new MillraceError(bad<'CLOSED'>(code), bad(details)), shown)
})

describe('partitions: offsets and times', () => {
  test.each([
    [-1, '0 to 2^53 - 1'],
    [4, '0 to 3'],
    [2 ** 53, '0 to 2^53 - 1'],
  ])('read(%j) of three records is OFFSET_OUT_OF_RANGE, and the range is %s', async (offset, range) => {
    const { orders } = world()
    fill(orders, 0, 3)
    await refused(() => orders.partitions[0]!.read(offset), 'OFFSET_OUT_OF_RANGE', String(offset), range)
  })

  test.each([[0.5], [Number.NaN], ['1'], [undefined]])('read(%j) is a TypeError', async offset => {
    const { orders } = world()
    fill(orders, 0, 3)
    await wrongKind(() => orders.partitions[0]!.read(bad(offset)), String(offset))
  })

  test('read() before the start is OFFSET_OUT_OF_RANGE', async () => {
    const { orders } = world()
    fill(orders, 0, 3)
    orders.partitions[0]!.deleteRecords(2)
    await refused(() => orders.partitions[0]!.read(1), 'OFFSET_OUT_OF_RANGE', 'orders-0', '1', '2 to 3')
    expect(orders.partitions[0]!.read(3)).toEqual([])
  })

  test('deleteRecords() beyond the end is OFFSET_OUT_OF_RANGE, and drops nothing', async () => {
    const { orders } = world()
    fill(orders, 0, 3)
    await refused(() => orders.partitions[0]!.deleteRecords(4), 'OFFSET_OUT_OF_RANGE', 'orders-0', '4', '0 to 3')
    expect(orders.partitions[0]!.startOffset).toBe(0)
  })

  test.each([[0.5], [Number.NaN], ['1']])('deleteRecords(%j) is a TypeError, and drops nothing', async offset => {
    const { orders } = world()
    fill(orders, 0, 3)
    await wrongKind(() => orders.partitions[0]!.deleteRecords(bad(offset)), String(offset))
    expect(orders.partitions[0]!.startOffset).toBe(0)
  })

  test.each([[-1], [0.5], [Number.NaN]])('offsetForTimestamp(%j) is refused', async timestamp => {
    const { orders } = world()
    fill(orders, 0, 1)
    const error = await caught(() => orders.partitions[0]!.offsetForTimestamp(timestamp))
    expect((error as Error).message).toContain(String(timestamp))
  })
})

describe('groups: options', () => {
  const cases = [
    ['commitMode', { commitMode: 'sometimes' }, 'sometimes'],
    ['autoCommitIntervalMs', { autoCommitIntervalMs: -1 }, '-1'],
    ['autoCommitIntervalMs', { autoCommitIntervalMs: 0.5 }, '0.5'],
    ['autoCommitIntervalMs', { autoCommitIntervalMs: Number.NaN }, 'NaN'],
    ['autoOffsetReset', { autoOffsetReset: 'middle' }, 'middle'],
    ['assignor', { assignor: 'range' }, 'range'],
    ['maxPollRecords', { maxPollRecords: 0 }, '0'],
    ['maxPollRecords', { maxPollRecords: 1.5 }, '1.5'],
    ['maxPollRecords', { maxPollRecords: '5' }, '5'],
    ['maxPollIntervalMs', { maxPollIntervalMs: 0 }, '0'],
    ['maxPollIntervalMs', { maxPollIntervalMs: Number.NaN }, 'NaN'],
    ['sessionTimeoutMs', { sessionTimeoutMs: -5 }, '-5'],
  ] as const

  test.each(cases)('%s: %j', async (option, options, shown) => {
    const broker = brokerOf({ topics: { t: {} } })
    await refused(() => broker.group('g', bad({ topics: 't', ...options })), 'INVALID_CONFIG', option, shown)
    await refused(() => new ConsumerGroup('g', new Topic('t'), bad(options)), 'INVALID_CONFIG', option, shown)
    expect(broker.groups.size).toBe(0)
  })

  test.each([[[]], [7], [undefined], [[7]], [null]])('topics: %j', async topics => {
    const broker = brokerOf({ topics: { t: {} } })
    await refused(() => broker.group('g', bad({ topics })), 'INVALID_CONFIG', 'topics')
    expect(broker.groups.size).toBe(0)
  })

  test.each([[''], [7], [undefined]])('an id of %j', async id => {
    const broker = brokerOf({ topics: { t: {} } })
    await refused(() => broker.group(bad(id), { topics: 't' }), 'INVALID_CONFIG', 'id')
    expect(broker.groups.size).toBe(0)
  })

  test('an unknown topic among known ones is UNKNOWN_TOPIC_OR_PARTITION', async () => {
    const broker = brokerOf({ topics: { t: {} } })
    await refused(() => broker.group('g', { topics: ['t', 'missing'] }), 'UNKNOWN_TOPIC_OR_PARTITION', 'missing')
    expect(broker.groups.size).toBe(0)
  })

  test.each([
    ['instanceId', { instanceId: '' }, '""'],
    ['instanceId', { instanceId: 5 }, '5'],
    ['memberId', { memberId: '' }, '""'],
    ['topics', { topics: ['audit'] }, 'audit'],
    ['topics', { topics: [] }, ''],
    ['onAssigned', { onAssigned: 'now' }, 'now'],
    ['onRevoked', { onRevoked: {} }, 'Object'],
    ['onLost', { onLost: 1 }, '1'],
  ] as const)('join({ %s }): %j changes nothing', async (option, options, shown) => {
    const { group } = world()
    await refused(() => group.join(bad(options)), 'INVALID_CONFIG', option, shown)
    expect([group.generation, group.members]).toEqual([0, []])
  })

  test.each([
    [{ topic: 'orders', partition: 0 }, undefined, 'Object'],
    ['orders', undefined, 'undefined'],
    ['orders', '0', '"0"'],
  ])(
    'committed(), position() and seek() of %j, %j are TypeErrors, not places that nobody has been to',
    async (...args) => {
      const [topic, partition, shown] = args
      const { group } = world()
      const consumer = group.join()
      await wrongKind(() => group.committed(bad(topic), bad(partition)), 'committed()', shown)
      await wrongKind(() => consumer.position(bad(topic), bad(partition)), 'position()', shown)
      await wrongKind(() => consumer.seek(bad(topic), bad(partition), 0), 'seek()', shown)
    },
  )

  test('a list of topics says what it is to be: names in join(), topics for a group that stands alone', async () => {
    const { group } = world()
    await refused(() => group.join({ topics: bad('orders') }), 'INVALID_CONFIG', 'an array of names', '"orders"')
    await refused(() => group.join({ topics: [] }), 'INVALID_CONFIG', 'one at least')
    const two = [new Topic('orders'), new Topic('orders')]
    await refused(() => new ConsumerGroup('g', two), 'INVALID_CONFIG', 'topics of different names', 'orders,orders')
    await refused(() => new ConsumerGroup('g', bad<never>([])), 'INVALID_CONFIG', 'a Topic in memory', 'one at least')
    await refused(
      () => new ConsumerGroup('g', bad<never>(['orders'])),
      'INVALID_CONFIG',
      'a Topic in memory',
      '"orders"',
    )
  })

  test('join() with the id of a live member is INVALID_CONFIG, and changes nothing', async () => {
    const { group } = world()
    const first = group.join({ memberId: 'm' })
    await refused(() => group.join({ memberId: 'm' }), 'INVALID_CONFIG', 'm')
    expect([group.generation, where(first.assignment)]).toEqual([1, ['orders-0']])
  })

  test.each([
    [
      'throws',
      (): never => {
        throw new Error('no idea')
      },
      'no idea',
    ],
    ['gives nothing', (): unknown => undefined, 'undefined'],
    ['gives a partition that there is not', () => new Map([['g-0001', [{ topic: 'orders', partition: 9 }]]]), '9'],
    ['gives to somebody unknown', () => new Map([['nobody', [{ topic: 'orders', partition: 0 }]]]), 'nobody'],
  ] as const)('an assignor that %s fails the join, which changes nothing', async (_, assign, shown) => {
    let broken = true
    const { group } = world({
      assignor: {
        name: 'mine',
        assign: (members): Assignment => {
          if (broken) return bad<Assignment>(assign())
          return new Map(
            members.map(({ memberId }, i) => [memberId, i === 0 ? [{ topic: 'orders', partition: 0 }] : []]),
          )
        },
      },
    })
    const error = await caught(() => group.join())
    expect(`${error} ${(error as Error).cause}`).toContain(shown)
    expect([group.generation, group.members]).toEqual([0, []])
    broken = false
    expect(where(group.join().assignment)).toEqual(['orders-0'])
  })

  test('resetOffsets() with anything bad commits nothing', async () => {
    const { orders, group } = world({ partitions: 2 })
    fill(orders, 0, 3)
    await refused(() => group.resetOffsets(-1), 'OFFSET_OUT_OF_RANGE', '-1')
    for (const to of [1.5, Number.NaN, 'soonest', null, { timestamp: -1 }, { timestamp: 0.5 }])
      await wrongKind(() => group.resetOffsets(bad(to)))
    await refused(
      () =>
        group.resetOffsets('latest', [
          { topic: 'orders', partition: 0 },
          { topic: 'orders', partition: 2 },
        ]),
      'UNKNOWN_TOPIC_OR_PARTITION',
      'orders',
      '2',
    )
    expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([undefined, undefined])
  })

  test('resetOffsets() of a topic that the group does not read is UNKNOWN_TOPIC_OR_PARTITION', async () => {
    const { group } = world()
    await refused(
      () => group.resetOffsets('latest', bad([{ topic: 'missing', partition: 0 }])),
      'UNKNOWN_TOPIC_OR_PARTITION',
      'missing',
    )
  })

  test('on() of an unknown event, or without a function, is INVALID_CONFIG', async () => {
    const { group } = world()
    await refused(() => group.on(bad<'join'>('nonsense'), () => {}), 'INVALID_CONFIG', 'nonsense')
    await refused(() => group.on('join', bad('text')), 'INVALID_CONFIG', 'text')
  })
})

describe('consumers: offsets', () => {
  type Orders = MemoryConsumer<ConsumerRecord<string, string, 'orders'>>
  const started = async () => {
    const all = world({ partitions: 2 })
    fill(all.orders, 0, 3)
    const consumer: Orders = all.group.join()
    await consumer.poll({ maxRecords: 1 })
    return { ...all, consumer }
  }

  test.each([[-1], [2 ** 53]])('seek to %j is OFFSET_OUT_OF_RANGE, and moves nothing', async to => {
    const { consumer } = await started()
    await refused(() => consumer.seek('orders', 0, to), 'OFFSET_OUT_OF_RANGE', 'orders-0', String(to))
    expect(consumer.position('orders', 0)).toBe(1)
  })

  test.each([[1.5], [Number.NaN], ['2'], [undefined], [null], [{ timestamp: -1 }], [{ timestamp: 1.5 }], [{}]])(
    'seek to %j is a TypeError, and moves nothing',
    async to => {
      const { consumer } = await started()
      await wrongKind(() => consumer.seek('orders', 0, bad(to)))
      expect(consumer.position('orders', 0)).toBe(1)
    },
  )

  test('seek, pause and resume of what it does not own are NOT_ASSIGNED, and change nothing', async () => {
    const { consumer } = await started()
    const owned = { topic: 'orders', partition: 0 } as const
    const foreign = { topic: 'orders', partition: 7 } as const
    await refused(() => consumer.seek('orders', 7, 0), 'NOT_ASSIGNED', 'orders-7')
    await refused(() => consumer.seek(bad('missing'), 0, 0), 'NOT_ASSIGNED', 'missing-0')
    await refused(() => consumer.pause([owned, foreign]), 'NOT_ASSIGNED', 'orders-7')
    expect(consumer.paused).toEqual([])
    consumer.pause([owned])
    await refused(() => consumer.resume([owned, foreign]), 'NOT_ASSIGNED', 'orders-7')
    expect(where(consumer.paused)).toEqual(['orders-0'])
  })

  test.each([[7], ['orders'], [[null]], [[{ topic: 'orders' }]]])(
    'pause(%j) is refused, and changes nothing',
    async what => {
      const { consumer } = await started()
      const error = await caught(() => consumer.pause(bad(what)))
      expect(error instanceof TypeError || isMillraceError(error)).toBe(true)
      expect(consumer.paused).toEqual([])
    },
  )

  test.each([[-1], [-0.5], [1.5], [Number.NaN], [2 ** 53], ['2'], [undefined], [null]])(
    'commit of nextOffset %j is refused, with all beside it',
    async nextOffset => {
      const { consumer, group } = await started()
      const error = await caught(() =>
        consumer.commit([
          { topic: 'orders', partition: 1, nextOffset: 0 },
          { topic: 'orders', partition: 0, nextOffset: bad(nextOffset) },
        ]),
      )
      if (typeof nextOffset === 'number' && Number.isInteger(nextOffset))
        expect(error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
      else expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toContain(String(nextOffset))
      expect([group.committed('orders', 0), group.committed('orders', 1)]).toEqual([undefined, undefined])
    },
  )

  test('commit beyond ownership is ILLEGAL_GENERATION, with all beside it', async () => {
    const { consumer, group } = await started()
    const other = group.join()
    await consumer.poll({ timeoutMs: 0 })
    expect(where(other.assignment)).toEqual(['orders-1'])
    const before = group.committed('orders', 0)
    const offsets = [0, 1].map(partition => ({ topic: 'orders', partition, nextOffset: 3 }) as const)
    await refused(() => consumer.commit(offsets), 'ILLEGAL_GENERATION', 'g')
    expect(group.committed('orders', 0)).toBe(before)
  })

  test.each([[7], ['orders'], [null], [{}], [[null]], [[{ topic: 'orders', partition: 0 }]]])(
    'commit(%j) is refused, and commits nothing',
    async what => {
      const { consumer, group } = await started()
      const error = await caught(() => consumer.commit(bad(what)))
      expect(error instanceof TypeError || isMillraceError(error)).toBe(true)
      expect(group.committed('orders', 0)).toBeUndefined()
    },
  )

  // As a record it would mean offset + 1, as kafkajs means it offset: one record more, or one less.
  test('commit of an offset that is no record says what to write, and commits nothing', async () => {
    const { consumer, group } = await started()
    const error = await caught(() => consumer.commit(bad([{ topic: 'orders', partition: 0, offset: 3 }])))
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toMatch(/nextOffset; offset 3 of orders-0 .* no record/)
    expect(group.committed('orders', 0)).toBeUndefined()
  })
})

describe('consumers: options', () => {
  test.each([
    ['maxRecords', { maxRecords: 0 }, '0'],
    ['maxRecords', { maxRecords: 1.5 }, '1.5'],
    ['timeoutMs', { timeoutMs: -1 }, '-1'],
    ['timeoutMs', { timeoutMs: Number.NaN }, 'NaN'],
    ['timeoutMs', { timeoutMs: '5' }, '5'],
    ['signal', { signal: 'stop' }, 'stop'],
    ['options', 5_000, '5000'],
  ] as const)('poll({ %s }): %j rejects, and hands out nothing', async (option, options, shown) => {
    const { orders, group } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    await refused(() => consumer.poll(bad(options)), 'INVALID_CONFIG', option, shown)
    expect((await consumer.poll()).map(at)).toEqual(['0:0', '0:1'])
  })

  test.each([
    ['concurrency', { concurrency: 0 }, '0'],
    ['concurrency', { concurrency: 2.5 }, '2.5'],
    ['concurrency', { concurrency: Number.POSITIVE_INFINITY }, 'Infinity'],
    ['retry', { retry: 3 }, '3'],
    ['attempts', { retry: { attempts: 0 } }, '0'],
    ['attempts', { retry: {} }, 'undefined'],
    ['backoffMs', { retry: { attempts: 2, backoffMs: -1 } }, '-1'],
    ['backoffMs', { retry: { attempts: 2, backoffMs: 'soon' } }, 'soon'],
    ['deadLetter', { deadLetter: 'failed' }, 'failed'],
    ['deadLetter', { deadLetter: { name: 'failed' } }, 'undefined'],
    ['signal', { signal: {} }, 'Object'],
  ] as const)('run({ %s }): %j rejects, and calls no handler', async (option, options, shown) => {
    const { orders, group, drain } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    let called = 0
    await refused(() => consumer.run(() => void called++, bad(options)), 'INVALID_CONFIG', option, shown)
    await drain()
    expect([called, consumer.closed]).toEqual([0, false])
    expect((await consumer.poll()).map(at)).toEqual(['0:0'])
  })

  test.each([[undefined], ['handler'], [{}]])('run(%j) rejects, and the consumer stays usable', async handler => {
    const { orders, group } = world()
    fill(orders, 0, 1)
    const consumer = group.join()
    const error = await caught(() => consumer.run(bad(handler)))
    expect(error instanceof TypeError || (error as { code?: string }).code === 'INVALID_CONFIG').toBe(true)
    expect((await consumer.poll()).map(at)).toEqual(['0:0'])
  })

  test.each([[-1], [0.5], [Number.NaN], ['5']])(
    'close({ timeoutMs: %j }) rejects, and closes nothing',
    async timeoutMs => {
      const { broker, group } = world()
      const consumer = group.join()
      const shown = String(timeoutMs)
      await refused(() => consumer.close({ timeoutMs: bad(timeoutMs) }), 'INVALID_CONFIG', 'timeoutMs', shown)
      await refused(() => broker.close({ timeoutMs: bad(timeoutMs) }), 'INVALID_CONFIG', 'timeoutMs', shown)
      expect([consumer.closed, where(consumer.assignment)]).toEqual([false, ['orders-0']])
      broker.createTopic('audit2' as 'audit')
    },
  )

  test.each([[-5], ['soon'], [Number.NaN]])(
    'a backoffMs function that gives %j fails the run, and is told',
    async wait => {
      const { orders, group } = world()
      fill(orders, 0, 1)
      const run = group.join().run(
        () => {
          throw new Error('handler')
        },
        { retry: { attempts: 3, backoffMs: () => bad<number>(wait) } },
      )
      const error = await caught(() => run)
      expect(`${error} ${(error as Error).cause}`).toContain(String(wait))
      expect(group.committed('orders', 0) ?? 0).toBe(0)
    },
  )

  test('a backoffMs function that throws fails the run, and is told', async () => {
    const { orders, group } = world()
    fill(orders, 0, 1)
    const run = group.join().run(
      () => {
        throw new Error('handler')
      },
      {
        retry: {
          attempts: 3,
          backoffMs: () => {
            throw new Error('backoff broke')
          },
        },
      },
    )
    const error = await caught(() => run)
    expect(`${error} ${(error as Error).cause}`).toContain('backoff broke')
  })
})

describe('overlap and use after close', () => {
  test('overlapping polls are CONCURRENT_POLL, and the first is not disturbed', async () => {
    const { orders, group, drain } = world()
    const consumer = group.join()
    const first = watch(consumer.poll())
    await refused(() => consumer.poll(), 'CONCURRENT_POLL', 'g', consumer.memberId)
    await refused(() => consumer.run(() => {}), 'CONCURRENT_POLL', 'g', consumer.memberId)
    await refused(() => consumer[Symbol.asyncIterator]().next(), 'CONCURRENT_POLL', 'g', consumer.memberId)
    fill(orders, 0, 1)
    await drain()
    expect(first.value?.map(at)).toEqual(['0:0'])
  })

  test('poll() in a handler is CONCURRENT_POLL', async () => {
    const { orders, group, drain } = world()
    fill(orders, 0, 2)
    const consumer = group.join()
    const errors: unknown[] = []
    const seen: string[] = []
    void consumer.run(async record => {
      seen.push(at(record))
      errors.push(await caught(() => consumer.poll()))
    })
    await drain()
    expect(errors).toMatchObject([{ code: 'CONCURRENT_POLL' }, { code: 'CONCURRENT_POLL' }])
    expect(seen).toEqual(['0:0', '0:1'])
  })

  test('crash() and expel() of one that is closed or dead are CLOSED', async () => {
    const { group } = world()
    const [a, b] = [group.join(), group.join()]
    await a.close()
    crash(b)
    for (const consumer of [a, b]) {
      await refused(() => crash(consumer), 'CLOSED', consumer.memberId)
      await refused(() => expel(consumer), 'CLOSED', consumer.memberId)
    }
  })

  test('crash() and expel() of what is not in memory are INVALID_CONFIG', async () => {
    for (const consumer of [undefined, null, {}, 'g-0001']) {
      await refused(() => crash(bad(consumer)), 'INVALID_CONFIG', 'consumer')
      await refused(() => expel(bad(consumer)), 'INVALID_CONFIG', 'consumer')
    }
  })
})

describe("a user's code that throws", () => {
  test('a handler that throws undefined is a failure as any other', async () => {
    const { orders, group } = world()
    fill(orders, 0, 1)
    const run = group.join().run(() => {
      throw undefined
    })
    await refused(() => run, 'HANDLER_FAILED', 'orders-0')
    expect(group.committed('orders', 0) ?? 0).toBe(0)
  })

  test('a handler corrupts neither the log nor another group, nor another member', async () => {
    const { broker, orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 2)
    fill(orders, 1, 2)
    const other = broker.group('other', { topics: 'orders' })
    const seen: string[] = []
    const runs = [group, group, other].map((each, i) =>
      watch(
        each.join().run(record => {
          if (i === 0) {
            Object.assign(record, { offset: 99, partition: 77, topic: 'nonsense', value: 'scribble' })
            throw new Error('no')
          }
          seen.push(`${i} ${at(record)} ${record.value}`)
        }),
      ),
    )
    await drain()
    expect(runs.map(({ state }) => state)).toEqual(['rejected', 'pending', 'pending'])
    const all = ['0:0', '0:1', '1:0', '1:1']
    expect(seen.sort()).toEqual([1, 2].flatMap(i => all.map(each => `${i} ${each} ${each}`)))
    expect(orders.partitions.map(({ endOffset }) => endOffset)).toEqual([2, 2])
  })

  test('a handler that scribbles on its record is committed and retried by where the record was', async () => {
    const { orders, group, clock } = world()
    fill(orders, 0, 2)
    const seen: string[] = []
    void group.join().run(
      (record, { attempt }) => {
        seen.push(`${at(record)}#${attempt}`)
        Object.assign(record, { offset: record.offset + 1_000, partition: 5 })
        if (seen.length === 1) throw new Error('no')
      },
      { retry: { attempts: 2 } },
    )
    await clock.advance(5_000)
    expect([seen.length, group.committed('orders', 0)]).toEqual([3, 2])
    expect(seen[2]).toBe('0:1#1')
  })

  test('a callback that throws on join does not fail the joiner, nor another consumer', async () => {
    const { orders, group } = world({ partitions: 2 })
    const why = new Error('callback')
    const a = group.join({
      onRevoked: () => {
        throw why
      },
    })
    await a.ready()
    const b = group.join()
    await b.ready()
    fill(orders, 0, 1)
    fill(orders, 1, 1)
    expect((await b.poll()).map(at)).toEqual(['1:0'])
    expect(await caught(() => a.poll())).toBe(why)
    expect((await a.poll()).map(at)).toEqual(['0:0'])
  })

  test('a handler that never ends keeps nobody else from anything', async () => {
    const { broker, orders, group, drain } = world({ partitions: 2 })
    fill(orders, 0, 1)
    fill(orders, 1, 2)
    void group.join().run(() => gate().promise)
    const seen: string[] = []
    void group.join().run(record => void seen.push(at(record)))
    await drain()
    expect(seen).toEqual(['1:0', '1:1'])
    const close = watch(broker.close({ timeoutMs: 0 }))
    await drain()
    expect(close.state).toBe('rejected')
  })
})

describe('what takes a record or a place is told by name what it was given instead', () => {
  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['orders', '"orders"'],
    [{ value: 1 }, 'an object'],
  ])('lastHeader() and toDeadLetter() of %j', async (given, shown) => {
    await wrongKind(() => lastHeader(bad<ConsumerRecord>(given), 'a'), 'lastHeader()', shown)
    await wrongKind(
      () => toDeadLetter(bad<ConsumerRecord>(given), { error: 1, group: 'g', attempts: 1 }),
      'toDeadLetter()',
      shown,
    )
  })

  test('toDeadLetter() without a failure', async () => {
    const { orders } = world()
    orders.publish({ value: 'tea' })
    const [record] = orders.partitions[0]!.read(0)
    await wrongKind(() => toDeadLetter(record!, bad(undefined)), 'toDeadLetter()', 'undefined')
  })

  test('seek() with a record, and a start that is none', async () => {
    const { group } = world()
    const consumer = group.join()
    await wrongKind(() => consumer.seek(bad({ topic: 'orders', partition: 0 }), bad(undefined), 0), 'seek()', 'object')
    await wrongKind(() => consumer.seek('orders', 0, bad('begin')), '"begin"')
    await wrongKind(() => consumer.seek('orders', 0, bad({})), 'an object')
  })
})
