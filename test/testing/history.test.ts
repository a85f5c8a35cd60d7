import { inspect } from 'node:util'
import { type Codec, type ConsumerRecord, type Key, type MemoryConsumer, stickyAssignor, toDeadLetter } from 'millrace'
import { crash, expel, type HistoryEvent, type TestBroker, testBroker } from 'millrace/testing'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { never, story, turn } from './support.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

interface Topics {
  jobs: string
  dead: string
}
const open = (partitions = 1): TestBroker<Topics, Key> =>
  testBroker<Topics, Key>({ topics: { jobs: { partitions }, dead: {} } })
const manual = { topics: 'jobs', commitMode: 'manualCommit' } as const
const put = (broker: TestBroker<Topics, Key>, partition = 0, value = 'x'): void =>
  void broker.topic('jobs').publish({ partition, value })

describe('each event', () => {
  test('of a record polled and committed has its time, its place and who did it', async () => {
    await using broker = open()
    await broker.clock.advance(5)
    broker.topic('jobs').publish({ key: 'ann', value: 'x' })
    const consumer = broker.group('g', manual).join()
    await consumer.poll()
    await broker.clock.advance(5)
    await consumer.commit()
    const who = { group: 'g', memberId: 'g-0001', process: undefined }
    const place = { topic: 'jobs', partition: 0, offset: 0 }
    expect([...broker.history]).toEqual([
      { at: 5, type: 'published', ...place, key: 'ann', process: undefined },
      { at: 5, type: 'joined', ...who },
      { at: 5, type: 'assigned', ...who, partitions: [{ topic: 'jobs', partition: 0 }] },
      { at: 5, type: 'handed out', ...place, ...who, attempt: 1 },
      { at: 10, type: 'committed', ...who, offsets: [{ topic: 'jobs', partition: 0, nextOffset: 1 }] },
    ])
  })

  test('of a step of a loop is as that of a poll', async () => {
    await using broker = open()
    const consumer = broker.group('g', manual).join()
    for (let i = 0; i < 2; i++) put(broker)
    for await (const record of consumer) if (record.offset === 1) break
    expect(broker.history.of('handed out').map(({ offset, attempt }) => [offset, attempt])).toEqual([
      [0, 1],
      [1, 1],
    ])
  })

  test('of a handler that fails until its record is a dead letter', async () => {
    await using broker = open()
    put(broker)
    const boom = new Error('boom')
    void broker
      .group('g', manual)
      .join()
      .run(() => Promise.reject(boom), { retry: { attempts: 2, backoffMs: 7 }, deadLetter: broker.topic('dead') })
    await broker.next('dead')
    await broker.settled()
    const place = { topic: 'jobs', partition: 0, offset: 0, group: 'g', memberId: 'g-0001', process: undefined }
    expect(broker.history.slice(3)).toEqual([
      { at: 0, type: 'handed out', ...place, attempt: 1 },
      { at: 0, type: 'failed', ...place, attempt: 1, error: boom },
      { at: 7, type: 'handed out', ...place, attempt: 2 },
      { at: 7, type: 'failed', ...place, attempt: 2, error: boom },
      { at: 7, type: 'published', topic: 'dead', partition: 0, offset: 0, key: null, process: undefined },
      { at: 7, type: 'dead-lettered', ...place, to: 'dead' },
      { at: 7, ...committed('g-0001', 1) },
    ])
    expect(broker.history.of('failed')[0]?.error).toBe(boom)
  })

  test('of a handler that throws at once is as that of one that rejects', async () => {
    await using broker = open()
    put(broker)
    const handler = (): never => {
      throw new Error('boom')
    }
    const retry = { attempts: 2 }
    void broker
      .group('g', manual)
      .join()
      .run(handler, { retry, deadLetter: broker.topic('dead') })
    await broker.next('dead')
    expect(broker.history.of('failed').map(({ attempt }) => attempt)).toEqual([1, 2])
  })

  test('of a record that nobody can decode says whose it was when it became a dead letter', async () => {
    const poison: Codec<string> = {
      encode: value => new TextEncoder().encode(value),
      decode: () => {
        throw new Error('not to be read')
      },
    }
    await using broker = testBroker<Topics, Key>({ topics: { jobs: { codec: poison }, dead: {} } })
    put(broker)
    void broker
      .group('g', manual)
      .join()
      .run(never, { deadLetter: broker.topic('dead') })
    await broker.next('dead')
    expect(broker.history.of('dead-lettered')).toMatchObject([{ offset: 0, memberId: 'g-0001', to: 'dead' }])
    expect(broker.history.of('handed out')).toEqual([])
  })

  test('of a dead letter that a poll loop writes itself', async () => {
    await using broker = open()
    put(broker)
    const [record] = await broker.group('g', manual).join().poll()
    broker.topic('dead').publish(toDeadLetter(record!, { error: 'no', group: 'g', attempts: 1 }))
    expect(broker.history.of('dead-lettered')).toMatchObject([{ offset: 0, memberId: 'g-0001', to: 'dead' }])
  })

  test('of a dead letter comes once, though it is published again with all its headers', async () => {
    await using broker = open()
    put(broker)
    const deadLetter = broker.topic('dead')
    void broker
      .group('g', { topics: 'jobs' })
      .join()
      .run(record => (record.offset === 0 ? Promise.reject(new Error('no')) : undefined), { deadLetter })
    const { topic: _, partition: __, ...letter }: ConsumerRecord<string, Key> = await broker.next('dead')
    broker.topic('jobs').publish(letter)
    await broker.settled()
    expect(broker.history.of('dead-lettered')).toHaveLength(1)
    expect(broker.published('jobs')).toHaveLength(2)
  })

  test('of a reset names nobody', async () => {
    await using broker = open(2)
    put(broker, 1)
    broker.group('g', manual).resetOffsets('latest')
    expect([...broker.history.of('committed')]).toEqual([
      {
        at: 0,
        type: 'committed',
        group: 'g',
        memberId: undefined,
        process: undefined,
        offsets: [
          { topic: 'jobs', partition: 0, nextOffset: 0 },
          { topic: 'jobs', partition: 1, nextOffset: 1 },
        ],
      },
    ])
  })

  test('of a refused commit there is none', async () => {
    await using broker = open()
    const consumer = broker.group('g', manual).join()
    await expect(consumer.commit([{ topic: 'jobs', partition: 7, nextOffset: 1 }])).rejects.toThrow()
    expect(broker.history.of('committed')).toEqual([])
  })

  test('of a fault says what it was, and comes before what it does', async () => {
    await using broker = open()
    const fault = broker.faults.loseAnswer('publish', { topic: 'jobs' })
    expect(() => put(broker)).toThrow()
    expect(broker.history.map(({ type }) => type)).toEqual(['fault', 'published'])
    expect(broker.history.of('fault')).toEqual([
      { at: 0, type: 'fault', fault: 'lose the answer of publish of topic jobs, met 1 of 1', process: undefined },
    ])
    expect(fault.toString()).toBe(broker.history.of('fault')[0]?.fault)
  })

  test.each([
    ['closed', (consumer: MemoryConsumer<any>): void => void consumer.close()],
    ['crashed', (consumer: MemoryConsumer<any>): void => crash(consumer)],
    ['expelled', (consumer: MemoryConsumer<any>): void => expel(consumer)],
  ] as const)('of one that has left says that it was %s', async (reason, act) => {
    await using broker = open()
    act(broker.group('g', manual).join())
    expect(broker.history.of('left')).toEqual([
      { at: 0, type: 'left', group: 'g', memberId: 'g-0001', reason, process: undefined },
    ])
  })

  test('of one that was fenced comes before the one that has taken its place', async () => {
    await using broker = open()
    const group = broker.group('g', manual)
    group.join({ instanceId: 'i' })
    const second = group.join({ instanceId: 'i' })
    expect(broker.history.of('left')).toMatchObject([{ memberId: 'g-0001', reason: 'fenced' }])
    expect(story(broker.history).slice(2)).toEqual(['lost g-0001', 'left g-0001', 'joined g-0002', 'assigned g-0002'])
    await second.close()
  })
})

const committed = (memberId: string, nextOffset: number) => ({
  type: 'committed' as const,
  group: 'g',
  memberId,
  process: undefined,
  offsets: [{ topic: 'jobs', partition: 0, nextOffset }],
})

describe('the order', () => {
  test('is: joined, then assigned', async () => {
    await using broker = open()
    broker.group('g', manual).join()
    expect(story(broker.history)).toEqual(['joined g-0001', 'assigned g-0001'])
  })

  test('is the same with a listener, which is called later', async () => {
    await using broker = open()
    const seen: string[] = []
    broker.group('g', manual).join({ onAssigned: () => seen.push(story(broker.history).join()) })
    await turn()
    expect(seen).toEqual(['joined g-0001,assigned g-0001'])
  })

  test('has every move as it comes: committed, revoked, then joined and assigned', async () => {
    await using broker = open(2)
    const group = broker.group('g', { topics: 'jobs' })
    const first = group.join()
    put(broker, 1)
    await first.poll()
    await first.poll({ timeoutMs: 0 })
    group.join()
    expect(story(broker.history).slice(2)).toEqual([
      'handed out g-0001',
      'committed g-0001',
      'revoked g-0001',
      'joined g-0002',
      'assigned g-0002',
    ])
    expect(broker.history.of('revoked')[0]?.partitions).toEqual([{ topic: 'jobs', partition: 1 }])
  })

  test('with listeners has the commit, the end of one term and the start of the next around them', async () => {
    await using broker = open(2)
    const group = broker.group('g', { topics: 'jobs' })
    const calls: string[] = []
    const call = (what: string) => (): void => void calls.push(`${what} after ${broker.history.at(-1)?.type}`)
    const join = { onAssigned: call('onAssigned'), onRevoked: call('onRevoked') }
    const first = group.join(join)
    put(broker, 1)
    await first.poll()
    const second = group.join(join)
    await Promise.all([first.poll({ timeoutMs: 0 }), second.ready()])
    expect(story(broker.history)).toEqual([
      'joined g-0001',
      'assigned g-0001',
      'handed out g-0001',
      'joined g-0002',
      'assigned g-0002',
      'committed g-0001',
      'revoked g-0001',
      'assigned g-0002',
    ])
    expect(calls[0]).toBe('onAssigned after assigned')
    expect(calls).toContain('onRevoked after revoked')
  })

  test('has a crash before those who take over', async () => {
    await using broker = open(2)
    const group = broker.group('g', { ...manual, assignor: stickyAssignor })
    const [first, second] = [group.join({ memberId: 'a' }), group.join({ memberId: 'b' })]
    const third = group.join({ memberId: 'c' })
    crash(first!)
    expect(story(broker.history).slice(-2)).toEqual(['left a', 'assigned c'])
    expect(broker.history.of('assigned').at(-1)?.partitions).toHaveLength(1)
    expect(second!.assignment).toHaveLength(1)
    expect(third.assignment).toHaveLength(1)
  })

  test('has an expulsion, and what was lost by it, before those who take over', async () => {
    await using broker = open()
    const group = broker.group('g', manual)
    const [first] = [group.join({ memberId: 'a' }), group.join({ memberId: 'b' })]
    expel(first!)
    expect(story(broker.history).slice(-3)).toEqual(['lost a', 'left a', 'assigned b'])
  })

  test('has lost where a listener is told of it, before it joins again', async () => {
    await using broker = open()
    const group = broker.group('g', manual)
    const consumer = group.join({ onLost: () => {} })
    await consumer.ready()
    expel(consumer)
    await consumer.poll({ timeoutMs: 0 })
    expect(story(broker.history)).toEqual([
      'joined g-0001',
      'assigned g-0001',
      'left g-0001',
      'lost g-0001',
      'joined g-0001',
      'assigned g-0001',
    ])
  })

  test('has what is given up at a close, then the leaving', async () => {
    await using broker = open()
    const consumer = broker.group('g', { topics: 'jobs' }).join()
    const other = broker.group('g', { topics: 'jobs' }).join()
    put(broker)
    await consumer.poll()
    await consumer.close()
    expect(story(broker.history).slice(3)).toEqual([
      'handed out g-0001',
      'committed g-0001',
      'revoked g-0001',
      'assigned g-0002',
      'left g-0001',
    ])
    await other.close()
  })

  test('has a close that ran out of time before those who take over', async () => {
    await using broker = open()
    const group = broker.group('g', manual)
    const [first, second] = [group.join(), group.join()]
    put(broker)
    let end = (): void => {}
    const running = first!.run(() => new Promise<void>(resolve => (end = resolve)))
    await turn()
    await broker.clock.advanceUntil(first!.close({ timeoutMs: 10 }).catch(() => {}))
    expect(story(broker.history).slice(-2)).toEqual(['left g-0001', 'assigned g-0002'])
    end()
    await running
    await second!.close()
  })

  test('has a record before the consumer that is handed it, also one published in a handler', async () => {
    await using broker = testBroker<{ a: number; b: number }>({ topics: { a: {}, b: {} } })
    void broker
      .group('a', { topics: 'a' })
      .join()
      .run(({ value }) => broker.topic('b').publish({ value }))
    void broker
      .group('b', { topics: 'b' })
      .join()
      .run(() => {})
    broker.topic('a').publish({ value: 1 })
    await broker.settled()
    expect(broker.history.slice(-4).map(event => `${event.type} ${(event as { topic?: string }).topic}`)).toEqual([
      'published a',
      'handed out a',
      'published b',
      'handed out b',
    ])
  })

  test('is that of the clock', async () => {
    await using broker = open()
    void broker
      .group('g', { topics: 'jobs' })
      .join()
      .run(() => new Promise<void>(resolve => broker.clock.setTimeout(resolve, 30)))
    for (let i = 0; i < 5; i++) put(broker)
    await broker.clock.advance(10_000)
    const times = broker.history.map(({ at }) => at)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(broker.history.of('handed out').map(({ at }) => at)).toEqual([0, 30, 60, 90, 120])
  })
})

describe('whose process it was', () => {
  test('is said of all that a process does, also behind an await and when it comes back', async () => {
    await using broker = open()
    const process = broker.process('worker')
    const group = process.group('g', manual)
    const consumer = group.join() as MemoryConsumer<any>
    const running = consumer.run(async (record, { commit, stop }) => {
      if (record.offset === 0) return
      await turn()
      await process.topic('dead').publish({ value: 'y' })
      await commit()
      stop()
    })
    put(broker)
    await turn()
    expel(consumer)
    put(broker)
    await running
    const events = broker.history.filter(event => !(event.type === 'published' && event.topic === 'jobs'))
    expect(events.length).toBeGreaterThan(8)
    expect(new Set(events.map(event => event.process))).toEqual(new Set(['worker']))
    expect(broker.history.of('published').map(({ topic, process }) => [topic, process])).toEqual([
      ['jobs', undefined],
      ['jobs', undefined],
      ['dead', 'worker'],
    ])
  })

  test('is not said of those who only happen to be affected', async () => {
    await using broker = open(2)
    broker.group('g', manual).join({ memberId: 'a' })
    broker.process('worker').group('g', manual).join()
    const processes = broker.history.map(event => [event.type, 'memberId' in event && event.memberId, event.process])
    expect(processes).toEqual([
      ['joined', 'a', undefined],
      ['assigned', 'a', undefined],
      ['revoked', 'a', undefined],
      ['joined', 'g-0002', 'worker'],
      ['assigned', 'g-0002', 'worker'],
    ])
  })

  test('is that of the newer one when a member of the same id comes after a crash', async () => {
    await using broker = open()
    const group = broker.group('g', manual)
    const first = broker.process('first')
    void first.group('g', manual).join()
    first.crash()
    const again = group.join({ memberId: 'g-0001' })
    await again.close()
    expect(broker.history.of('joined', 'left').map(({ process }) => process)).toEqual([
      'first',
      'first',
      undefined,
      undefined,
    ])
  })
})

describe('of()', () => {
  test('gives the events of a type, and knows their fields', async () => {
    await using broker = open()
    put(broker)
    put(broker)
    const published = broker.history.of('published')
    expectTypeOf(published).items.toHaveProperty('offset').toEqualTypeOf<number>()
    expect(published.map(({ offset }) => offset)).toEqual([0, 1])
    expect(broker.history.of('lost')).toEqual([])
  })

  test('gives those of several types in the order that they happened', async () => {
    await using broker = open()
    const consumer = broker.group('g', manual).join()
    put(broker)
    await consumer.close()
    put(broker)
    expect(broker.history.of('left', 'published').map(({ type }) => type)).toEqual(['published', 'left', 'published'])
    expect(broker.history.of()).toEqual([])
  })

  test('gives a list of its own, that does not grow', async () => {
    await using broker = open()
    const published = broker.history.of('published')
    put(broker)
    expect(published).toEqual([])
    expect(broker.history).toHaveLength(1)
  })
})

describe('as an array', () => {
  test('it has all that an array has, and gives plain ones', async () => {
    await using broker = open()
    put(broker)
    const { history } = broker
    expect(Array.isArray(history)).toBe(true)
    expect([...history]).toHaveLength(1)
    expect(history.findLast(({ type }) => type === 'published')?.at).toBe(0)
    for (const derived of [history.slice(), history.filter(() => true), history.map(event => event)])
      expect(Object.getPrototypeOf(derived)).toBe(Array.prototype)
    expectTypeOf(history).toExtend<readonly HistoryEvent[]>()
  })

  test('it is one object from the beginning to the end of the broker', async () => {
    const broker = open()
    const { history } = broker
    put(broker)
    await broker.close()
    expect(history).toBe(broker.history)
    expect(history).toHaveLength(1)
  })
})

describe('as a string', () => {
  /** A little of everything, of two processes. */
  async function scenario(): Promise<TestBroker<Topics, Key>> {
    const broker = open(2)
    const [first, second] = [broker.process('first'), broker.process('second')]
    const group = { topics: 'jobs', commitMode: 'manualCommit' } as const
    broker.topic('jobs').publish({ key: 'ann', partition: 0, value: 'x' })
    broker.topic('jobs').publish({ key: new Uint8Array(3), partition: 1, value: 'y' })
    void first
      .group('billing', group)
      .join()
      .run(
        async ({ partition }, { commit }) => {
          if (partition === 1) throw new RangeError('no such account')
          await commit()
        },
        { retry: { attempts: 2, backoffMs: 1_000 }, deadLetter: first.topic('dead') },
      )
    await broker.next('dead')
    void second.group('billing', group).join()
    broker.faults.delay('commit', { process: 'first', ms: 30 })
    broker.topic('jobs').publish({ partition: 0, value: 'z' })
    await broker.clock.advance(10)
    first.crash()
    return broker
  }

  test('it is a table, an event a line: when, in which process, who, what', async () => {
    await using broker = await scenario()
    expect(`\n${String(broker.history)}\n`).toBe(`
   0 ms                        published      jobs-0@0 key "ann"
   0 ms                        published      jobs-1@0 key <3 bytes>
   0 ms  first   billing-0001  joined
   0 ms  first   billing-0001  assigned       jobs-0, jobs-1
   0 ms  first   billing-0001  handed out     jobs-0@0
   0 ms  first   billing-0001  committed      jobs-0 to 1
   0 ms  first   billing-0001  handed out     jobs-1@0
   0 ms  first   billing-0001  failed         jobs-1@0 attempt 1: RangeError: no such account
1000 ms  first   billing-0001  handed out     jobs-1@0 attempt 2
1000 ms  first   billing-0001  failed         jobs-1@0 attempt 2: RangeError: no such account
1000 ms  first                 published      dead-0@0 key <3 bytes>
1000 ms  first   billing-0001  dead-lettered  jobs-1@0 to dead
1000 ms  first   billing-0001  committed      jobs-1 to 1
1000 ms  first   billing-0001  revoked        jobs-1
1000 ms  second  billing-0002  joined
1000 ms  second  billing-0002  assigned       jobs-1
1000 ms                        published      jobs-0@1
1000 ms  first   billing-0001  handed out     jobs-0@1
1000 ms  first                 fault          delay by 30 ms commit of process first, met 1 of 1
1010 ms  first   billing-0001  left           crashed
1010 ms  second  billing-0002  assigned       jobs-0
`)
  })

  test('it is the same for the same run', async () => {
    await using one = await scenario()
    await using other = await scenario()
    expect(String(one.history)).toBe(String(other.history))
    expect(one.history.toString()).toBe(`${one.history}`)
  })

  test('it has no column that is empty in every line', async () => {
    await using broker = open()
    put(broker)
    expect(String(broker.history)).toBe('0 ms  published  jobs-0@0')
  })

  test("it is what Node's console.log() prints", async () => {
    await using broker = testBroker<{ t: number }>({ topics: { t: {} } })
    broker.topic('t').publish({ key: 'a', value: 1 })
    expect(inspect(broker.history)).toBe('0 ms  published  t-0@0 key "a"')
    expect(inspect({ history: broker.history })).toContain('published  t-0@0')
  })

  test('it is empty when nothing has happened', async () => {
    await using broker = open()
    expect(String(broker.history)).toBe('')
  })

  test('it says the group of a member whose id does not', async () => {
    await using broker = open()
    broker.group('billing', manual).join({ memberId: 'a' })
    broker.group('audit', manual).resetOffsets('earliest')
    expect(String(broker.history)).toBe(
      ['0 ms  billing/a  joined', '0 ms  billing/a  assigned   jobs-0', '0 ms  audit      committed  jobs-0 to 0'].join(
        '\n',
      ),
    )
  })

  test('it keeps an event to its line, whatever an error or a key has in it', async () => {
    await using broker = open()
    broker.topic('jobs').publish({ key: 'a\nb', value: 'x' })
    const failing = Promise.reject(new Error('expected:\n  1\n\nreceived:\n  2'))
    void broker
      .group('g', manual)
      .join()
      .run(() => failing, { deadLetter: broker.topic('dead') })
    await broker.next('dead')
    const lines = String(broker.history).split('\n')
    expect(lines).toHaveLength(broker.history.length)
    expect(lines[0]).toContain('key "a\\nb"')
    expect(lines.find(line => line.includes('failed'))).toContain('Error: expected: 1 received: 2')
  })

  test.each([
    ['text', 'text'],
    [undefined, 'undefined'],
    [{ code: 7 }, '[object Object]'],
    [Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED: refused'],
    [Object.create(null), 'an error that can not be shown'],
  ])('it shows what was thrown, an error or not', async (error, shown) => {
    await using broker = open()
    put(broker)
    void broker
      .group('g', manual)
      .join()
      .run(() => Promise.reject(error), { deadLetter: broker.topic('dead') })
    await broker.next('dead')
    expect(String(broker.history)).toContain(`attempt 1: ${shown}\n`)
  })

  test('lines up its columns', async () => {
    await using broker = open()
    await broker.clock.advance(99_999)
    put(broker)
    const consumer = broker.group('g', { topics: 'jobs' }).join()
    await consumer.poll()
    await consumer.close()
    expect(String(broker.history).split('\n')).toEqual([
      '99999 ms          published   jobs-0@0',
      '99999 ms  g-0001  joined',
      '99999 ms  g-0001  assigned    jobs-0',
      '99999 ms  g-0001  handed out  jobs-0@0',
      '99999 ms  g-0001  committed   jobs-0 to 1',
      '99999 ms  g-0001  revoked     jobs-0',
      '99999 ms  g-0001  left        closed',
    ])
  })
})
