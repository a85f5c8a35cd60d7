import {
  type Assignor,
  Broker,
  type Codec,
  isMillraceError,
  jsonCodec,
  type MemoryBroker,
  type RecordOf,
  rangeAssignor,
} from 'millrace'
import { ManualClock, type TestBroker, testBroker } from 'millrace/testing'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { never, rejection, thrown, turn } from './support.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

interface Topics {
  orders: { id: number }
  invoices: { orderId: number }
}
const open = (): TestBroker<Topics> => testBroker<Topics>({ topics: { orders: { partitions: 3 }, invoices: {} } })
const ids = (records: readonly { value: { id: number } }[]): number[] => records.map(({ value }) => value.id)

describe('the broker', () => {
  test('is one in memory on a clock of its own that starts at 0', async () => {
    await using broker = open()
    expect(broker.clock).toBeInstanceOf(ManualClock)
    expect(broker.clock.now()).toBe(0)
    const asMemory: MemoryBroker<Topics> = broker
    expect([...asMemory.topics.keys()]).toEqual(['orders', 'invoices'])
    expect(asMemory.groups.size).toBe(0)
  })

  test('takes a clock that the test has made', async () => {
    const clock = new ManualClock(1_000)
    await using broker = testBroker<Topics>({ clock, topics: { orders: {} } })
    expect(broker.clock).toBe(clock)
    expect(broker.topic('orders').publish({ value: { id: 1 } }).timestamp).toBe(1_000)
  })

  test('works without any options', async () => {
    await using broker = testBroker()
    broker.createTopic('t')
    broker.topic('t').publish({ value: 1 })
    expect(broker.published('t').map(record => record.value)).toEqual([1])
  })

  test('has the options of any broker', async () => {
    await using broker = testBroker<Topics>({ autoCreateTopics: true, defaultPartitions: 4 })
    expect(broker.topic('orders').partitionCount()).toBe(4)
    expect(broker.group('g', { topics: 'invoices' }).id).toBe('g')
    expect([...broker.topics.keys()]).toEqual(['orders', 'invoices'])
  })

  test('keeps the interceptors that it is given, outside of its own', async () => {
    const seen: unknown[] = []
    await using broker = testBroker<Topics>({
      topics: { orders: {} },
      interceptors: [
        {
          publish: ({ record }, proceed) => {
            const metadata = proceed({ ...record, value: { id: 2 } })
            seen.push(metadata.offset, broker.published('orders').length)
            return metadata
          },
        },
      ],
    })
    broker.topic('orders').publish({ value: { id: 1 } })
    expect(seen).toEqual([0, 1])
    expect(ids(broker.published('orders'))).toEqual([2])
  })

  test('knows the types of its topics', async () => {
    await using broker = open()
    expectTypeOf(broker.published('orders')).items.toHaveProperty('value').toEqualTypeOf<{ id: number }>()
    expectTypeOf(broker.next<'invoices'>)
      .returns.resolves.toHaveProperty('value')
      .toEqualTypeOf<{ orderId: number }>()
    expectTypeOf<Parameters<typeof broker.published>[0]>().toEqualTypeOf<'orders' | 'invoices'>()
  })

  test('lets topics and groups go, and makes them anew', async () => {
    await using broker = open()
    broker.deleteTopic('invoices')
    expect(
      isMillraceError(
        thrown(() => broker.topic('invoices')),
        'UNKNOWN_TOPIC_OR_PARTITION',
      ),
    ).toBe(true)
    const first = broker.group('g', { topics: 'orders' })
    const one = first.join()
    await one.close()
    first.delete()
    const consumer = broker.group('g', { topics: 'orders', commitMode: 'manualCommit' }).join()
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    await consumer.poll()
    await consumer.commit()
    expect(broker.history.of('joined').map(({ memberId }) => memberId)).toEqual(['g-0001', 'g-0001'])
    expect(broker.history.of('committed')).toHaveLength(1)
  })

  test('settles as any broker in memory does', async () => {
    await using broker = open()
    const seen: number[] = []
    void broker
      .group('g', { topics: 'orders' })
      .join()
      .run(record => seen.push(record.value.id))
    broker.topic('orders').publishAll([1, 2, 3].map(id => ({ value: { id } })))
    await broker.settled()
    expect(seen.sort()).toEqual([1, 2, 3])
  })

  test('refuses a record as a plain broker does, before anything is written', async () => {
    await using broker = open()
    const plain = new Broker<Topics>({ topics: { orders: { partitions: 3 } } })
    const bad: readonly unknown[] = [undefined, null, 'x', {}, { value: { id: 1 }, partition: 7 }, { value: 1, key: 2 }]
    for (const record of bad) {
      const [error, expected] = [broker, plain].map(one => thrown(() => one.topic('orders').publish(record as never)))
      expect(error?.message).toBe(expected?.message)
    }
    expect(broker.published('orders')).toEqual([])
    expect(broker.history).toHaveLength(0)
  })
})

describe('the seed', () => {
  const placed = (seed?: number): string => {
    const broker = testBroker<{ a: number; b: number }>({
      seed,
      topics: { a: { partitions: 5 }, b: { partitions: 5 } },
    })
    for (let value = 0; value < 200; value++) {
      broker.topic('a').publish({ value })
      broker.topic('b').publish({ value })
    }
    const list = (topic: 'a' | 'b'): string =>
      broker
        .published(topic)
        .map(({ partition }) => partition)
        .join('')
    return `${list('a')} ${list('b')}`
  }

  test('says where keyless records go, and is 1 unless told otherwise', () => {
    expect(placed(7)).toBe(placed(7))
    expect(placed()).toBe(placed(1))
    expect(placed(7)).not.toBe(placed(8))
  })

  test('sends them another way in each topic', () => {
    const [a, b] = placed(7).split(' ')
    expect(a).not.toBe(b)
  })

  test('leaves a partitioner of the test alone', async () => {
    await using broker = testBroker<{ t: number }>({ topics: { t: { partitions: 3, partitioner: () => 2 } } })
    broker.topic('t').publish({ value: 1 })
    expect(broker.published('t')[0]?.partition).toBe(2)
  })

  test('holds for topics that make themselves', () => {
    const made = (): number[] => {
      const broker = testBroker<{ t: number }>({ seed: 3, autoCreateTopics: true, defaultPartitions: 50 })
      for (let value = 0; value < 200; value++) broker.topic('t').publish({ value })
      return broker.published('t').map(({ partition }) => partition)
    }
    expect(made()).toEqual(made())
  })
})

describe('published()', () => {
  test('gives all records of a topic in the order they were published, over all partitions', async () => {
    await using broker = open()
    for (const [id, partition] of [2, 0, 1, 0, 2].entries())
      broker.topic('orders').publish({ partition, value: { id } })
    broker.topic('invoices').publish({ value: { orderId: 9 } })
    expect(broker.published('orders').map(({ partition, offset, value }) => [partition, offset, value.id])).toEqual([
      [2, 0, 0],
      [0, 0, 1],
      [1, 0, 2],
      [0, 1, 3],
      [2, 1, 4],
    ])
    expect(broker.published('invoices').map(({ value }) => value)).toEqual([{ orderId: 9 }])
  })

  test('gives them as a consumer reads them', async () => {
    await using broker = open()
    await broker.clock.advance(5)
    broker.topic('orders').publish({ key: 'ann', value: { id: 1 }, headers: { trace: 'abc' } })
    const read = await broker.group('g', { topics: 'orders' }).join().poll()
    expect(broker.published('orders')).toEqual(read)
    expect(read[0]).toMatchObject({ key: 'ann', timestamp: 5, headers: [['trace', 'abc']] })
  })

  test('has those of publishAll(), of processes, and tombstones', async () => {
    await using broker = open()
    broker.topic('orders').publishAll([{ value: { id: 1 } }, { value: { id: 2 } }])
    await broker
      .process('p')
      .topic('orders')
      .publish({ value: { id: 3 } })
    broker.topic('orders').publish({ key: 'gone', value: null as never })
    expect(broker.published('orders').map(({ value }) => value?.id ?? null)).toEqual([1, 2, 3, null])
  })

  test('has those that retention has dropped', async () => {
    await using broker = testBroker<{ t: number }>({
      topics: { t: { segmentRecords: 1, retention: { records: 1 } } },
    })
    for (let value = 0; value < 10; value++) broker.topic('t').publish({ value })
    expect(broker.topic('t').partitions[0]?.startOffset).toBeGreaterThan(0)
    expect(broker.published('t').map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('has one that retention drops at once', async () => {
    await using broker = testBroker<{ t: number }>({
      topics: { t: { segmentRecords: 1, retention: { records: 0 } } },
    })
    for (let value = 0; value < 3; value++)
      broker.topic('t').publish({ key: `k${value}`, value, headers: [['n', String(value)]] })
    expect(broker.published('t').map(({ offset, key, value, headers }) => [offset, key, value, headers])).toEqual([
      [0, 'k0', 0, [['n', '0']]],
      [1, 'k1', 1, [['n', '1']]],
      [2, 'k2', 2, [['n', '2']]],
    ])
  })

  test('has values as the codec gives them back', async () => {
    await using broker = testBroker<{ t: { at: Date } }>({ topics: { t: { codec: jsonCodec() } } })
    broker.topic('t').publish({ value: { at: new Date(0) } })
    expect(broker.published('t')[0]?.value).toEqual({ at: '1970-01-01T00:00:00.000Z' })
  })

  test('has what a codec can write and not read, as it was published', async () => {
    const poison: Codec<string> = {
      encode: value => new TextEncoder().encode(value),
      decode: () => {
        throw new Error('not to be read')
      },
    }
    await using broker = testBroker<{ t: string }>({ topics: { t: { codec: poison } } })
    expect(broker.topic('t').publish({ value: 'x', headers: { a: 'b' } })).toMatchObject({ offset: 0 })
    expect(broker.published('t')).toMatchObject([{ offset: 0, key: null, value: 'x', headers: [['a', 'b']] }])
    expect(broker.history.of('published')).toHaveLength(1)
  })

  test('is what was published until then, however much comes after', async () => {
    await using broker = open()
    const before = broker.published('orders')
    broker.topic('orders').publish({ value: { id: 1 } })
    expect(before).toEqual([])
    expect(broker.published('orders')).toHaveLength(1)
  })

  test('refuses the name of no topic', async () => {
    await using broker = open()
    const error = thrown(() => broker.published('nothing' as 'orders'))
    expect(isMillraceError(error, 'UNKNOWN_TOPIC_OR_PARTITION')).toBe(true)
    expect(error.message).toContain('nothing')
  })
})

describe('next()', () => {
  test('gives the first record that was published already', async () => {
    await using broker = open()
    for (const id of [1, 2]) broker.topic('orders').publish({ partition: 0, value: { id } })
    expect((await broker.next('orders')).value.id).toBe(1)
    expect((await broker.next('orders')).value.id).toBe(1)
    expect(broker.clock.now()).toBe(0)
  })

  test('gives the first that is accepted', async () => {
    await using broker = open()
    for (const id of [1, 2, 3]) broker.topic('orders').publish({ partition: 0, value: { id } })
    expect((await broker.next('orders', record => record.value.id > 1)).value.id).toBe(2)
  })

  test('waits for one that is yet to come, while the clock moves to it and no further', async () => {
    await using broker = open()
    for (const id of [1, 2])
      broker.clock.setTimeout(() => void broker.topic('orders').publish({ value: { id } }), id * 1_000)
    expect((await broker.next('orders', record => record.value.id === 2)).value.id).toBe(2)
    expect(broker.clock.now()).toBe(2_000)
    expect(broker.clock.timers).toBe(0)
  })

  test('waits for as many at once as one likes', async () => {
    await using broker = open()
    const [order, invoice, second] = [
      broker.next('orders'),
      broker.next('invoices'),
      broker.next('orders', record => record.value.id === 2),
    ]
    broker.topic('invoices').publish({ value: { orderId: 9 } })
    for (const id of [1, 2]) broker.topic('orders').publish({ value: { id } })
    expect([(await order).value.id, (await invoice).value.orderId, (await second).value.id]).toEqual([1, 9, 2])
  })

  test('does not wait for what is yet to come when nothing can come any more', async () => {
    await using broker = open()
    const error = await rejection(broker.next('orders'))
    expect(isMillraceError(error, 'REQUEST_TIMED_OUT')).toBe(true)
    expect(error.message).toContain('Nothing was published to orders')
    expect(error.message).not.toContain('The last that happened')
    expect(broker.clock.now()).toBe(0)
  })

  test.each([
    [undefined, 60_000],
    [100, 100],
    [0, 0],
  ])('with a timeout of %s ms gives up within %s ms of the clock', async (timeoutMs, limit) => {
    await using broker = open()
    const tick = (): void => void broker.clock.setTimeout(tick, 50)
    tick()
    const error = await rejection(broker.next('orders', undefined, { timeoutMs }))
    expect(isMillraceError(error, 'REQUEST_TIMED_OUT')).toBe(true)
    expect(error.message).toContain(`within ${limit} ms`)
    expect(broker.clock.now()).toBe(limit)
  })

  test('says what others wait for when it gives up', async () => {
    await using broker = testBroker<Topics>({ topics: { orders: {}, invoices: {} } })
    const group = broker.group('g', { topics: 'orders', commitMode: 'manualCommit' })
    const hold = broker.faults.hold('handle')
    const owner = group.join()
    void owner.run(() => {})
    broker.topic('orders').publish({ value: { id: 1 } })
    await hold.reached
    void group.join({ memberId: 'a' })
    const { message } = await rejection(broker.next('invoices', undefined, { timeoutMs: 0 }))
    hold.release()
    expect(message.split('\n').slice(0, 7)).toEqual([
      "next('invoices'): no record that it accepts came: 2 timers wait beyond it.",
      'Nothing was published to invoices.',
      'Still open:',
      '- a handler is at work: orders-0@0 in g-0001 (attempt 1)',
      '- held: hold handle, met 1 of 1',
      '- orders-0 is to move from g-0001 to a, and waits for records',
      '- group g has 1 record that it has not committed (manualCommit)',
    ])
  })

  test('lists what came instead, and what happened last, when it gives up', async () => {
    await using broker = open()
    for (const id of [1, 2]) broker.topic('orders').publish({ key: `k${id}`, partition: id, value: { id } })
    broker.topic('invoices').publish({ value: { orderId: 5 } })
    const { message } = await rejection(broker.next('orders', record => record.value.id === 3))
    const [instead, last] = message.split('The last that happened:')
    expect(instead).toContain("next('orders'): no record that it accepts came: ")
    expect(instead).toContain('orders-1@0 key "k1"')
    expect(instead).toContain('orders-2@0 key "k2"')
    expect(instead).not.toContain('invoices')
    expect(last).toContain('invoices-0@0')
  })

  test('shows the last 25 of many', async () => {
    await using broker = open()
    for (let id = 0; id < 100; id++) broker.topic('orders').publish({ partition: 0, value: { id } })
    const { message } = await rejection(broker.next('orders', () => false))
    expect(message).toContain('orders-0@75')
    expect(message).not.toContain('orders-0@74')
  })

  test('asks no more once it has its record, or has given up', async () => {
    await using broker = open()
    const found = vi.fn(() => true)
    const refused = vi.fn(() => false)
    const first = broker.next('orders', found)
    const second = rejection(broker.next('orders', refused))
    broker.topic('orders').publish({ value: { id: 1 } })
    await Promise.all([first, second])
    broker.topic('orders').publish({ value: { id: 2 } })
    expect(found).toHaveBeenCalledTimes(1)
    expect(refused).toHaveBeenCalledTimes(1)
  })

  test('rejects with what its predicate throws, and at which record', async () => {
    await using broker = open()
    broker.topic('orders').publish({ partition: 1, value: { id: 1 } })
    const cause = new Error('no such field')
    const error = await rejection(
      broker.next('orders', () => {
        throw cause
      }),
    )
    expect(isMillraceError(error, 'INVALID_CONFIG')).toBe(true)
    expect(error.message).toMatch(/accept .*orders-1@0.*no such field/)
    expect(error.cause).toBe(cause)
    expect(broker.clock.now()).toBe(0)
  })

  test('spares a publisher what its predicate throws at a record that is yet to come', async () => {
    await using broker = open()
    const error = rejection(
      broker.next('orders', record => {
        throw new Error(`boom at ${record.value.id}`)
      }),
    )
    expect(broker.topic('orders').publish({ partition: 0, value: { id: 7 } }).offset).toBe(0)
    expect((await error).message).toContain('boom at 7')
  })

  test.each([['x'], [null], [{}]])('refuses %j as a predicate', async accept => {
    await using broker = open()
    broker.topic('orders').publish({ value: { id: 1 } })
    const error = await rejection(broker.next('orders', accept as never))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'accept', value: accept } })
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a timeout of %s ms', async timeoutMs => {
    await using broker = open()
    const error = await rejection(broker.next('orders', undefined, { timeoutMs }))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'timeoutMs', value: timeoutMs } })
    expect(broker.clock.now()).toBe(0)
  })

  test('refuses the name of no topic', async () => {
    await using broker = open()
    expect(await rejection(broker.next('nothing' as 'orders'))).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })
})

describe('a promise awaited in vain by the clock', () => {
  test('shows what others wait for, and what happened', async () => {
    await using broker = open()
    const group = broker.group('g', { topics: 'orders', commitMode: 'manualCommit' })
    void group.join().run(() => {}) // and never commits
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    const { message } = await rejection(broker.clock.advanceUntil(broker.settled()))
    expect(message).toMatch(/^advanceUntil\(\) has waited in vain: no timer is left, and nothing moves\.\n/)
    expect(message).toContain('\n- group g has 1 record that it has not committed (manualCommit)\n')
    expect(message).toContain('handed out  orders-0@0')
    expect(message).toMatch(/\nIts promise did not finish within 86400000 ms$/)
  })

  test('shows who is to give up what to whom', async () => {
    await using broker = open()
    const group = broker.group('g', { topics: 'orders' })
    const owner = group.join()
    broker.topic('orders').publish({ partition: 2, value: { id: 1 } })
    await owner.poll()
    const taker = group.join()
    const { message } = await rejection(broker.clock.advanceUntil(taker.ready(), { limitMs: 10 }))
    expect(message).toContain('\n- orders-2 is to move from g-0001 to g-0002, and waits for records\n')
  })
})

describe('at its end', () => {
  const dispose = (broker: AsyncDisposable): Promise<void> => broker[Symbol.asyncDispose]() as Promise<void>

  test('nothing is said when nothing is left over', async () => {
    const broker = open()
    void broker
      .group('g', { topics: 'orders' })
      .join()
      .run(() => {})
    broker.topic('orders').publish({ value: { id: 1 } })
    await broker.settled()
    await expect(dispose(broker)).resolves.toBeUndefined()
  })

  test('the broker is closed, its consumers in order, with their last auto-commit', async () => {
    const broker = open()
    const group = broker.group('g', { topics: 'orders' })
    const consumer = group.join()
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    await consumer.poll()
    await dispose(broker)
    expect(consumer.closed).toBe(true)
    expect(group.committed('orders', 0)).toBe(1)
    expect(thrown(() => broker.topic('orders').publish({ value: { id: 2 } }))).toMatchObject({ code: 'CLOSED' })
  })

  test('the clock moves until the work in hand is done', async () => {
    const broker = open()
    void broker
      .group('g', { topics: 'orders' })
      .join()
      .run(() => new Promise<void>(resolve => broker.clock.setTimeout(resolve, 500)))
    broker.topic('orders').publish({ value: { id: 1 } })
    await turn()
    await dispose(broker)
    expect(broker.clock.now()).toBe(500)
  })

  test('it may be closed already, and end twice', async () => {
    const broker = open()
    await broker.close()
    await dispose(broker)
    await dispose(broker)
    expect(broker.history).toHaveLength(0)
  })

  test('a handler still at work is named', async () => {
    const broker = open()
    const running = broker.group('g', { topics: 'orders' }).join().run(never)
    broker.topic('orders').publish({ partition: 2, value: { id: 1 } })
    await turn()
    const { message } = await rejection(dispose(broker))
    expect(message).toContain('a handler is still at work: orders-2@0 in g-0001 (attempt 1)')
    expect(message).toMatch(/close: REQUEST_TIMED_OUT: .*30000 ms/)
    expect(broker.clock.now()).toBe(30_000)
    await running
  })

  test('a failure that nobody was told is named', async () => {
    const broker = open()
    let broken = false
    const assign: Assignor['assign'] = (...args) => {
      if (broken) throw new Error('no way')
      return rangeAssignor.assign(...args)
    }
    const group = broker.group('g', { topics: 'orders', assignor: { name: 'fragile', assign } })
    const consumers = [group.join(), group.join()]
    broken = true
    await consumers[0]!.close()
    const { message } = await rejection(dispose(broker))
    expect(message).toContain('nobody was told of a failure: group g: Error: no way')
  })

  test('what a listener of the group throws is told to nobody, and named', async () => {
    const broker = open()
    const group = broker.group('g', { topics: 'orders' })
    group.on('join', () => {
      throw new Error('a listener of the test')
    })
    group.join()
    const { message } = await rejection(dispose(broker))
    expect(message).toContain('nobody was told of a failure: group g: Error: a listener of the test')
  })

  test('a failure that a listener of the test was told is not named', async () => {
    const broker = open()
    const group = broker.group('g', { topics: 'orders' })
    const told: unknown[] = []
    const off = group.on('error', ({ error }) => told.push(error))
    group.on('join', ({ memberId }) => {
      throw new Error(`of ${memberId}`)
    })
    group.join()
    off()
    expect(told).toEqual([new Error('of g-0001')])
    await dispose(broker)
    expect(broker.published('orders')).toEqual([])
  })

  test('after the listener is gone failures are named again', async () => {
    const broker = open()
    const group = broker.group('g', { topics: 'orders' })
    group.on('error', () => {})()
    group.on('join', () => {
      throw new Error('late')
    })
    group.join()
    expect((await rejection(dispose(broker))).message).toContain('Error: late')
  })

  test('a fault never met is named', async () => {
    const broker = open()
    broker.faults.fail('commit', { group: 'g', partition: 2 })
    broker.faults.hold('revoke', { times: 2 })
    const { message } = await rejection(dispose(broker))
    expect(message).toContain('a fault was never met: fail commit of group g, partition 2, met 0 of 1')
    expect(message).toContain('a fault was never met: hold revoke, met 0 of 2')
  })

  test('a fault that was met less often than asked for is named with how often', async () => {
    const broker = open()
    broker.faults.fail('publish', { topic: 'orders', times: 3 })
    expect(() => broker.topic('orders').publish({ value: { id: 1 } })).toThrow()
    expect((await rejection(dispose(broker))).message).toContain('fail publish of topic orders, met 1 of 3')
  })

  test('a fault met by what the end itself does is met', async () => {
    const broker = open()
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    const group = broker.group('g', { topics: 'orders' })
    await group.join().poll()
    broker.faults.fail('commit')
    await dispose(broker)
    expect(group.committed('orders', 0)).toBeUndefined()
  })

  test('a hold that was never released is named, and lets go', async () => {
    const broker = open()
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    const group = broker.group('g', { topics: 'orders', commitMode: 'manualCommit' })
    const consumer = group.join()
    await consumer.poll()
    const hold = broker.faults.hold('commit')
    const late = rejection(consumer.commit())
    await hold.reached
    const { message } = await rejection(dispose(broker))
    expect(message).toContain('a hold was never released: hold commit, met 1 of 1')
    expect(await late).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
  })

  test('what a predicate threw is named, also where no operation could tell it', async () => {
    const broker = open()
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    const consumer = broker.group('g', { topics: 'orders' }).join()
    await consumer.poll()
    broker.faults.fail('commit', {
      times: Number.POSITIVE_INFINITY,
      when: () => {
        throw new Error('a slip')
      },
    })
    const { message } = await rejection(dispose(broker))
    expect(message).toMatch(/a fault could not be told: INVALID_CONFIG: when .*a slip/)
  })

  test('what close() rejects with is named, each error on a line', async () => {
    const broker = open()
    const onRevoked = (_: unknown, consumer: { memberId: string | undefined }): never => {
      throw new Error(`no, said ${consumer.memberId}`)
    }
    const group = broker.group('g', { topics: 'orders' })
    const consumers = [1, 2].map(() => group.join({ onRevoked }))
    await Promise.all(consumers.map(consumer => consumer.poll({ timeoutMs: 0 })))
    const { message } = await rejection(dispose(broker))
    expect(message.split('\n').slice(1, 3)).toEqual([
      '- close: Error: no, said g-0001',
      '- close: Error: no, said g-0002',
    ])
  })

  test('all is one list, with the end of the history below', async () => {
    const broker = open()
    void broker.group('g', { topics: 'orders' }).join().run(never)
    broker.faults.fail('assign', { group: 'other' })
    broker.topic('orders').publish({ partition: 0, value: { id: 1 } })
    await turn()
    const { message } = await rejection(dispose(broker))
    const [list, history] = message.split('\nThe last that happened:\n')
    expect(list!.split('\n').map(line => line.replace(/:.*/, ''))).toEqual([
      'The test has left something over',
      '- close',
      '- a handler is still at work',
      '- a fault was never met',
    ])
    expect(history).toMatch(/handed out +orders-0@0\n/)
  })

  test('a failure of the test itself is not hidden by what it has left over', async () => {
    const fails = async (): Promise<void> => {
      await using broker = open()
      broker.faults.fail('publish')
      throw new Error('the assertion')
    }
    const error = (await rejection(fails())) as Error & { error?: Error; suppressed?: Error }
    expect(error.name).toBe('SuppressedError')
    expect(error.suppressed?.message).toBe('the assertion')
    expect(error.error?.message).toContain('a fault was never met: fail publish')
  })

  test('a broker of the portable type ends the same way', async () => {
    const broker: Broker<Topics> & AsyncDisposable = open()
    const group = broker.group('g', { topics: 'orders' })
    const consumer = group.join()
    expectTypeOf(consumer.poll()).resolves.items.toEqualTypeOf<RecordOf<Topics, string, 'orders'>>()
    await turn()
    await dispose(broker)
    expect(consumer.closed).toBe(true)
  })
})

describe('refuses', () => {
  test.each([[null], [{ now: () => 0, setTimeout: () => 0, clearTimeout: () => {} }], [new Date(0)], ['now']])(
    'a clock that does not stand still: %s',
    clock => {
      const error = thrown(() => testBroker({ clock: clock as never }))
      expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'clock', value: clock } })
    },
  )

  test.each([[null], ['7'], [0.5], [Number.NaN], [Number.POSITIVE_INFINITY]])('a seed of %s', seed => {
    const error = thrown(() => testBroker({ seed: seed as never }))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'seed', value: seed } })
    expect(error.message).toContain('seed must be a whole number')
  })

  test.each([[null], [''], [7]])('a process named %j', async name => {
    await using broker = open()
    const error = thrown(() => broker.process(name as never))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'name', value: name } })
  })

  test.each([[null], ['x'], [7]])('options that are none: %j', options => {
    expect(thrown(() => testBroker(options as never))).toMatchObject({ code: 'INVALID_CONFIG' })
  })

  test('what any broker refuses', () => {
    expect(thrown(() => testBroker({ defaultPartitions: 0 }))).toMatchObject({ code: 'INVALID_CONFIG' })
    expect(thrown(() => testBroker<{ t: number }>({ topics: { t: { partitions: 0 } } }))).toMatchObject({
      code: 'INVALID_PARTITIONS',
    })
    expect(thrown(() => testBroker({ interceptors: {} as never }))).toMatchObject({ code: 'INVALID_CONFIG' })
    expect(thrown(() => testBroker({ interceptors: [{ publish: 1 as never }] }))).toMatchObject({
      code: 'INVALID_CONFIG',
    })
  })
})
