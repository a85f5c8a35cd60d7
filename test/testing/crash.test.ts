import { Broker, type Consumer, type MemoryBroker, type MemoryConsumerGroup, type RecordOf } from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

interface Topics {
  jobs: string
}

let clock: ManualClock
let broker: MemoryBroker<Topics>
let group: MemoryConsumerGroup<RecordOf<Topics>>
let left: string[]

beforeEach(() => {
  clock = new ManualClock()
  broker = new Broker<Topics>({ clock, topics: { jobs: { partitions: 2 } } })
  group = broker.group('workers', { topics: 'jobs' })
  left = []
  group.on('leave', ({ memberId, reason }) => left.push(`${memberId} ${reason}`))
  for (const partition of [0, 1]) broker.topic('jobs').publish({ partition, value: `job ${partition}` })
})
afterEach(() => broker.close())

const notInMemory: readonly [string, unknown, string][] = [
  ['nothing', undefined, 'undefined'],
  ['null', null, 'null'],
  ['a text', 'workers-0001', '"workers-0001"'],
  ['an object that can not', { closed: false }, 'an object of Object'],
  ['a consumer of another engine', new (class RemoteConsumer {})(), 'an object of RemoteConsumer'],
]

describe.each([
  ['crash', crash],
  ['expel', expel],
] as const)('%s', (_, act) => {
  test.each(notInMemory)('refuses %s', (_, value, shown) => {
    const fail = (): void => act(value as Consumer<any>)
    expect(fail).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', details: expect.objectContaining({ value }) }),
    )
    expect(fail).toThrow(shown)
  })

  test('says CLOSED, and who, of a consumer that is closed', async () => {
    const consumer = group.join()
    await consumer.close()
    expect(() => act(consumer)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(() => act(consumer)).toThrow('workers-0001')
    expect(left).toEqual(['workers-0001 closed'])
  })

  test('says CLOSED, and who, of a consumer that is dead', () => {
    const consumer = group.join()
    crash(consumer)
    expect(() => act(consumer)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(() => act(consumer)).toThrow('workers-0001')
    expect(left).toEqual(['workers-0001 crashed'])
  })

  test('commits nothing, and frees the partitions at once', async () => {
    const first = group.join()
    const second = group.join()
    await first.poll()
    await first.poll({ timeoutMs: 0 })
    await first.ready()
    act(first)
    expect(group.committed('jobs', 0)).toBeUndefined()
    expect(second.assignment.map(({ partition }) => partition)).toEqual([0, 1])
    expect((await second.poll()).map(({ value }) => value).sort()).toEqual(['job 0', 'job 1'])
  })

  test('takes a consumer by its portable interface', () => {
    const consumer: Consumer<RecordOf<Topics>> = group.join()
    act(consumer)
    expect(consumer.assignment).toEqual([])
  })
})

describe('crash', () => {
  test('calls no callback', async () => {
    const listener = vi.fn()
    const consumer = group.join({ onRevoked: listener, onLost: listener })
    await consumer.ready()
    crash(consumer)
    await broker.settled()
    expect(listener).not.toHaveBeenCalled()
    expect(left).toEqual(['workers-0001 crashed'])
  })

  test('is for good: the consumer is closed, and what waits in it ends', async () => {
    const consumer = group.join()
    await consumer.poll()
    await consumer.poll({ timeoutMs: 0 })
    const parked = consumer.poll()
    crash(consumer)
    await expect(parked).resolves.toEqual([])
    expect(consumer.closed).toBe(true)
    await expect(consumer.poll()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(consumer.commit()).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
  })

  test('ends run(), tells its handlers, and ignores what they do then', async () => {
    const consumer = group.join({ topics: ['jobs'] })
    const signals: AbortSignal[] = []
    const commits: unknown[] = []
    const finish = new Promise<void>(resolve => clock.setTimeout(resolve, 10))
    const running = consumer.run(
      async (_, { signal, commit }) => {
        signals.push(signal)
        await finish
        await commit().catch(error => commits.push(error.code))
      },
      { concurrency: 2 },
    )
    await clock.advance(0)
    crash(consumer)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
    await clock.advance(10)
    await expect(running).resolves.toBeUndefined()
    expect(commits).toEqual(['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'])
    expect(group.committed('jobs', 0)).toBeUndefined()
  })

  test('leaves no timer of the consumer behind', async () => {
    const consumer = group.join()
    await consumer.poll()
    expect(clock.timers).toBeGreaterThan(0)
    crash(consumer)
    expect(clock.timers).toBe(0)
  })
})

describe('expel', () => {
  test('is what happens after maxPollIntervalMs', async () => {
    const slow = group.join()
    await slow.poll()
    await clock.advance(300_000)
    const told = group.join()
    expel(told)
    expect(left).toEqual(['workers-0001 expelled', 'workers-0002 expelled'])
  })

  test('calls onLost when the consumer comes back, which then rejoins under the same id and reads again', async () => {
    const calls: string[] = []
    const consumer = group.join({
      onAssigned: partitions => calls.push(`assigned ${partitions.length}`),
      onLost: partitions => calls.push(`lost ${partitions.length}`),
    })
    const before = await consumer.poll()
    expel(consumer)
    await expect(consumer.commit(before)).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
    expect(consumer.closed).toBe(false)
    expect(consumer.assignment).toEqual([])
    expect(calls).toEqual(['assigned 2'])

    expect(await consumer.poll()).toEqual(before)
    expect(calls).toEqual(['assigned 2', 'lost 2', 'assigned 2'])
    expect(consumer.memberId).toBe('workers-0001')
    await expect(consumer.commit(before)).resolves.toBeUndefined()
  })

  test('twice in a row is no more than once', () => {
    const consumer = group.join()
    expel(consumer)
    expel(consumer)
    expect(left).toEqual(['workers-0001 expelled'])
  })
})
