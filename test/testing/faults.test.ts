import { type ErrorCode, isMillraceError } from 'millrace'
import { crash, expel, type Fault, type Operation, type Point, type TestBroker, testBroker } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { rejection, thrown, turn } from './support.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

interface Topics {
  jobs: number
  others: number
}

let broker: TestBroker<Topics>
beforeEach(() => {
  broker = testBroker<Topics>({ topics: { jobs: { partitions: 2 }, others: {} } })
})
afterEach(async () => {
  broker.faults.clear()
  await broker.clock.advanceUntil(broker.close({ timeoutMs: 0 })).catch(() => {})
})

const manual = (id = 'g') => broker.group(id, { topics: 'jobs', commitMode: 'manualCommit' })
const auto = () => broker.group('g', { topics: 'jobs' })
const publish = (value = 0, partition = 0) => broker.topic('jobs').publish({ partition, value })
const values = (records: readonly { value: number }[]): number[] => records.map(({ value }) => value)
/** What happened, without what was published. */
const types = (): string[] => broker.history.map(({ type }) => type).filter(type => type !== 'published')

describe('fail: the operation fails and has no effect', () => {
  test('publish() throws, and nothing is written', () => {
    broker.faults.fail('publish')
    expect(thrown(() => publish())).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR', retriable: true })
    expect(broker.published('jobs')).toEqual([])
    expect(publish(1).offset).toBe(0)
  })

  test('publishAll() throws where it has come to, and keeps what came before', () => {
    broker.faults.fail('publish', { partition: 1 })
    const records = [0, 0, 1, 0].map((partition, value) => ({ partition, value }))
    expect(thrown(() => broker.topic('jobs').publishAll(records))).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' })
    expect(values(broker.published('jobs'))).toEqual([0, 1])
  })

  test('poll() rejects and consumes nothing', async () => {
    const consumer = manual().join()
    publish(7)
    broker.faults.fail('poll')
    expect(await rejection(consumer.poll())).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR', retriable: true })
    expect(values(await consumer.poll())).toEqual([7])
  })

  test('a step of a loop rejects, and the loop can be begun anew', async () => {
    const consumer = manual().join()
    publish(7)
    broker.faults.fail('poll')
    const loop = async (): Promise<number> => {
      for await (const { value } of consumer) return value
      return -1
    }
    expect(await rejection(loop())).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' })
    expect(await loop()).toBe(7)
  })

  test('a handler is not called, and has failed with it', async () => {
    const calls: number[] = []
    broker.faults.fail('handle', { error: new Error('busy') })
    void auto()
      .join()
      .run((_, { attempt }) => void calls.push(attempt), { retry: { attempts: 2 } })
    publish()
    await broker.settled()
    expect(calls).toEqual([2])
    expect(broker.history.of('failed').map(({ attempt, error }) => [attempt, String(error)])).toEqual([
      [1, 'Error: busy'],
    ])
  })

  test('a commit rejects, and nothing is committed', async () => {
    const group = manual()
    const consumer = group.join()
    publish()
    const records = await consumer.poll()
    broker.faults.fail('commit')
    expect(await rejection(consumer.commit(records))).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' })
    expect(group.committed('jobs', 0)).toBeUndefined()
    expect(broker.history.of('committed')).toEqual([])
    await consumer.commit(records)
    expect(group.committed('jobs', 0)).toBe(1)
  })

  test("run()'s context.commit() rejects in its handler", async () => {
    const group = manual()
    broker.faults.fail('commit')
    const codes: string[] = []
    void group.join().run(async (_, { commit }) => {
      await commit().catch(error => codes.push(error.code))
    })
    publish()
    await broker.clock.advance(0)
    expect(codes).toEqual(['UNKNOWN_SERVER_ERROR'])
    expect(group.committed('jobs', 0)).toBeUndefined()
  })

  test('an auto-commit that fails is told to nobody, and made up for by the next', async () => {
    const group = broker.group('auto', { topics: 'jobs' })
    void group.join().run(() => {})
    broker.faults.fail('commit')
    publish()
    await group.caughtUp()
    await broker.clock.advance(5_000)
    expect(group.committed('jobs', 0)).toBeUndefined()
    publish()
    await group.caughtUp()
    await broker.clock.advance(10_000)
    expect(group.committed('jobs', 0)).toBe(2)
  })

  // Like a listener that throws: it vetoes nothing, and is told once (groups.md).
  test('onAssigned is not called, and the next poll tells', async () => {
    const calls: string[] = []
    broker.faults.fail('assign')
    const consumer = manual().join({ onAssigned: () => calls.push('assigned') })
    expect(await rejection(consumer.poll({ timeoutMs: 0 }))).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' })
    expect(calls).toEqual([])
    expect(consumer.assignment).toHaveLength(2)
    publish(3)
    expect(values(await consumer.poll())).toEqual([3])
  })

  test('onRevoked is not called, and the partitions move all the same', async () => {
    const calls: string[] = []
    const group = manual()
    const consumer = group.join({ onRevoked: () => calls.push('revoked') })
    await consumer.ready()
    broker.faults.fail('revoke')
    const second = group.join()
    await second.ready()
    expect(second.assignment).toHaveLength(1)
    expect(calls).toEqual([])
    expect(await rejection(consumer.poll({ timeoutMs: 0 }))).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR' })
  })

  test('with an error of the test, that very one is thrown', () => {
    const error = new RangeError('mine')
    broker.faults.fail('publish', { error })
    expect(thrown(() => publish())).toBe(error)
  })

  const codes: readonly ErrorCode[] = [
    'INVALID_CONFIG',
    'INVALID_TOPIC_EXCEPTION',
    'NO_OFFSET_FOR_PARTITION',
    'REQUEST_TIMED_OUT',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'ILLEGAL_GENERATION',
    'OFFSET_OUT_OF_RANGE',
    'UNKNOWN_MEMBER_ID',
    'FENCED_INSTANCE_ID',
    'HANDLER_FAILED',
    'NETWORK_EXCEPTION',
    'TOPIC_AUTHORIZATION_FAILED',
    'MESSAGE_TOO_LARGE',
    'NOT_ENOUGH_REPLICAS',
    'CORRUPT_MESSAGE',
  ]
  test.each(codes)('with the code %s it is such an error, its message whole', async code => {
    const consumer = manual().join()
    publish()
    const records = await consumer.poll()
    broker.faults.fail('commit', { error: code })
    const error = await rejection(consumer.commit(records))
    expect(isMillraceError(error, code)).toBe(true)
    expect(error.message).not.toMatch(/undefined|\[object|NaN/)
  })

  // Kafka: RetriableException, of which these are.
  test.each([
    ['REQUEST_TIMED_OUT', true],
    ['NETWORK_EXCEPTION', true],
    ['NOT_ENOUGH_REPLICAS', true],
    ['MESSAGE_TOO_LARGE', false],
    ['UNKNOWN_MEMBER_ID', false],
    ['TOPIC_AUTHORIZATION_FAILED', false],
  ] as const)('one of the code %s is retriable: %s', (code, retriable) => {
    broker.faults.fail('publish', { error: code })
    expect(thrown(() => publish())).toMatchObject({ code, retriable })
  })
})

describe('loseAnswer: it takes effect, and its caller is told that it timed out', () => {
  test('of a publish', () => {
    broker.faults.loseAnswer('publish')
    expect(thrown(() => publish(7))).toMatchObject({ code: 'REQUEST_TIMED_OUT', retriable: true })
    expect(values(broker.published('jobs'))).toEqual([7])
  })

  test('of a commit', async () => {
    const group = manual()
    const consumer = group.join()
    publish()
    await consumer.poll()
    broker.faults.loseAnswer('commit')
    expect(await rejection(consumer.commit())).toMatchObject({ code: 'REQUEST_TIMED_OUT', retriable: true })
    expect(group.committed('jobs', 0)).toBe(1)
    expect(broker.history.of('committed')).toHaveLength(1)
  })

  test('of a commit that is refused: the refusal wins', async () => {
    const consumer = manual().join()
    publish()
    const records = await consumer.poll()
    const hold = broker.faults.hold('commit')
    broker.faults.loseAnswer('commit')
    const first = rejection(consumer.commit(records))
    expel(consumer)
    hold.release()
    expect(await first).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
    broker.faults.clear()
  })
})

describe('delay: it starts so much later on the clock', () => {
  test('a poll', async () => {
    const consumer = manual().join()
    publish(1)
    broker.faults.delay('poll', { ms: 30 })
    const polled = consumer.poll()
    await broker.clock.advance(29)
    publish(2)
    await broker.clock.advance(1)
    expect(values(await polled)).toEqual([1, 2])
  })

  test('a handler', async () => {
    const at: number[] = []
    broker.faults.delay('handle', { ms: 30, times: 2 })
    void manual()
      .join()
      .run(() => void at.push(broker.clock.now()))
    for (const value of [0, 1, 2]) publish(value)
    await broker.clock.advance(100)
    expect(at).toEqual([30, 60, 60])
  })

  test('a commit, which is of what it was asked for', async () => {
    const group = manual()
    const consumer = group.join()
    publish()
    const records = await consumer.poll()
    broker.faults.delay('commit', { ms: 30 })
    const committed = consumer.commit(records)
    await broker.clock.advance(29)
    expect(group.committed('jobs', 0)).toBeUndefined()
    await broker.clock.advance(1)
    await committed
    expect(group.committed('jobs', 0)).toBe(1)
  })

  test('onAssigned, before which nothing is handed out', async () => {
    publish(1)
    broker.faults.delay('assign', { ms: 30 })
    const at: number[] = []
    const consumer = manual().join({ onAssigned: () => at.push(broker.clock.now()) })
    const polled = consumer.poll().then(records => at.push(broker.clock.now(), ...values(records)))
    await broker.clock.advance(29)
    expect(at).toEqual([])
    await broker.clock.advance(1)
    await polled
    expect(at).toEqual([30, 30, 1])
  })

  test('onRevoked, before which nothing moves', async () => {
    const group = manual()
    const first = group.join({ onRevoked: () => {} })
    await first.ready()
    broker.faults.delay('revoke', { ms: 30 })
    const second = group.join()
    await broker.clock.advance(29)
    expect(second.assignment).toEqual([])
    await broker.clock.advance(1)
    expect(second.assignment).toHaveLength(1)
  })

  test('by 0 ms is a turn of the clock', async () => {
    const consumer = manual().join()
    publish(1)
    broker.faults.delay('poll', { ms: 0 })
    const polled = consumer.poll()
    await broker.clock.advance(0)
    expect(values(await polled)).toEqual([1])
  })

  test('of work whose consumer closes meanwhile is waited for', async () => {
    const calls: number[] = []
    const consumer = manual().join()
    broker.faults.delay('handle', { ms: 30 })
    const running = consumer.run(({ value }) => void calls.push(value))
    publish(5)
    await turn()
    const closed = consumer.close()
    await broker.clock.advance(30)
    await Promise.all([closed, running])
    expect(calls).toEqual([5])
  })
})

describe('hold: it waits until it is released', () => {
  test('reached tells what is held; release() lets it go, and what comes after it', async () => {
    const calls: number[] = []
    const hold = broker.faults.hold('handle')
    void auto()
      .join()
      .run(({ value }) => void calls.push(value))
    publish(1)
    expect(await hold.reached).toEqual({
      operation: 'handle',
      topic: 'jobs',
      partition: 0,
      offset: 0,
      group: 'g',
      memberId: 'g-0001',
    })
    await broker.clock.advance(60_000)
    expect(calls).toEqual([])
    hold.release()
    publish(2)
    await broker.settled()
    expect(calls).toEqual([1, 2])
  })

  test('as many as asked for, all released together', async () => {
    const calls: number[] = []
    const hold = broker.faults.hold('handle', { times: 2 })
    void auto()
      .join()
      .run(({ value }) => void calls.push(value), { concurrency: 3 })
    for (const [value, key] of ['first', 'second', 'third'].entries())
      broker.topic('jobs').publish({ key, partition: 0, value })
    await hold.reached
    await turn()
    expect(hold.met).toHaveLength(2)
    expect(calls).toEqual([2])
    hold.release()
    await broker.settled()
    expect(calls).toEqual([2, 0, 1])
  })

  test('released before it is met, it holds nothing and is not missed', async () => {
    const hold = broker.faults.hold('poll', { times: Number.POSITIVE_INFINITY })
    hold.release()
    publish(1)
    expect(values(await manual().join().poll())).toEqual([1])
    expect(hold.met).toEqual([])
    expect(broker.faults.pending).toEqual([])
  })

  test('twice released is no more than once', async () => {
    const hold = broker.faults.hold('poll')
    publish(1)
    const polled = manual().join().poll()
    await hold.reached
    hold.release()
    hold.release()
    expect(values(await polled)).toEqual([1])
  })

  test.each(['assign', 'revoke'] as const)('of %s: the partitions wait with it', async operation => {
    const group = manual()
    const first = group.join({ onRevoked: () => {} })
    await first.ready()
    const hold = broker.faults.hold(operation)
    const second = group.join({ onAssigned: () => {} })
    await hold.reached
    let ready = false
    void second.ready().then(() => {
      ready = true
    })
    await broker.clock.advance(1_000)
    expect(ready).toBe(false)
    hold.release()
    await second.ready()
  })

  test.each([
    ['consumer', (consumer: Parameters<typeof crash>[0], _: { crash(): void }) => crash(consumer)],
    ['process', (_: unknown, process: { crash(): void }) => process.crash()],
  ] as const)('lets go of what crashes with its %s, and the rest goes on', async (_, kill) => {
    const process = broker.process('first')
    const group = process.group('g', { topics: 'jobs', commitMode: 'manualCommit' })
    const consumer = group.join()
    publish()
    await consumer.poll()
    const hold = broker.faults.hold('commit', { times: 2 })
    const late = rejection(consumer.commit())
    await hold.reached
    kill(consumer, process)
    expect(await late).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
    expect(manual().committed('jobs', 0)).toBeUndefined()

    const heir = manual().join()
    await heir.poll()
    const committed = heir.commit()
    await turn()
    expect(hold.met.map(({ process }) => process)).toEqual(['first', undefined])
    hold.release()
    await committed
    expect(manual().committed('jobs', 0)).toBe(1)
  })

  test.each(['poll', 'handle', 'assign', 'revoke'] as const)(
    'a crash lets go of what it holds: %s',
    async operation => {
      const process = broker.process('first')
      const group = process.group('g', { topics: 'jobs', commitMode: 'manualCommit' })
      const calls: string[] = []
      const hold = broker.faults.hold(operation, { process: 'first' })
      const call = (name: string) => () => void calls.push(name)
      const consumer = group.join({ onAssigned: call('assigned'), onRevoked: call('revoked') })
      publish()
      if (operation === 'handle') void consumer.run(call('handled'))
      if (operation === 'poll') void consumer.poll()
      if (operation === 'revoke') await consumer.ready().then(() => void manual().join())
      await hold.reached
      calls.length = 0
      process.crash()
      await broker.clock.advance(0)
      expect(calls).toEqual([])
      await expect(broker[Symbol.asyncDispose]()).resolves.toBeUndefined()
    },
  )

  test('a crash lets go of it also when the consumer was expelled before', async () => {
    const consumer = manual().join()
    publish()
    await consumer.poll()
    const hold = broker.faults.hold('commit')
    const late = rejection(consumer.commit())
    await hold.reached
    expel(consumer)
    crash(consumer)
    expect(await late).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
    await expect(broker[Symbol.asyncDispose]()).resolves.toBeUndefined()
  })

  test('a crash is that of the member that has died, not of a later one of its id', async () => {
    const group = manual()
    const zombie = group.join({ memberId: 'a', onRevoked: () => {} })
    await zombie.ready()
    crash(zombie)
    const calls: string[] = []
    const hold = broker.faults.hold('assign')
    const heir = group.join({ memberId: 'a', onAssigned: () => calls.push('assigned') })
    await hold.reached
    hold.release()
    await heir.ready()
    expect(calls).toEqual(['assigned'])
  })

  test('does not let go of who is expelled: a zombie knows nothing of it', async () => {
    const group = manual()
    const consumer = group.join()
    publish()
    await consumer.poll()
    const hold = broker.faults.hold('commit')
    let settled = false
    const late = rejection(consumer.commit()).finally(() => {
      settled = true
    })
    await hold.reached
    expel(consumer)
    await turn()
    expect(settled).toBe(false)
    hold.release()
    expect(await late).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
  })
})

describe('watch: the next that fits, untouched', () => {
  test('resolves with the point, once', async () => {
    const points: Point[] = []
    void broker.faults.watch('commit').then(point => points.push(point))
    const consumer = manual().join()
    publish()
    const records = await consumer.poll()
    await consumer.commit(records)
    await consumer.commit(records)
    expect(points).toEqual([
      { operation: 'commit', topic: 'jobs', partition: 0, offset: 1, group: 'g', memberId: 'g-0001' },
    ])
    expect(broker.history.of('fault')).toEqual([])
  })

  test('releases a hold at the right moment', async () => {
    const group = manual()
    const slow = group.join({ onRevoked: () => {} })
    publish(1)
    const hold = broker.faults.hold('poll')
    const polled = slow.poll()
    void broker.faults.watch('revoke').then(() => hold.release())
    await hold.reached
    void group.join()
    expect(values(await polled)).toEqual([1])
  })

  test('sees what a fault acts upon, and several watch the same', async () => {
    broker.faults.fail('publish')
    const seen = Promise.all([broker.faults.watch('publish'), broker.faults.watch('publish', { topic: 'jobs' })])
    expect(() => publish()).toThrow()
    expect(await seen).toEqual([
      { operation: 'publish', topic: 'jobs', partition: 0 },
      { operation: 'publish', topic: 'jobs', partition: 0 },
    ])
  })

  test('is no fault: never met, it is not missed', async () => {
    void broker.faults.watch('revoke')
    expect(broker.faults.pending).toEqual([])
    await expect(broker[Symbol.asyncDispose]()).resolves.toBeUndefined()
  })
})

describe('which operations a fault meets', () => {
  test('the next that fits, of the topic, partition, group, member and process asked for', async () => {
    const first = broker.process('first')
    const a = first.group('a', { topics: 'jobs', commitMode: 'manualCommit' }).join()
    const b = manual('b').join()
    publish(0, 1)
    await a.poll()
    await b.poll()
    const at = (options: Parameters<typeof broker.faults.fail>[1]): Fault => broker.faults.fail('commit', options)
    const none = [
      at({ topic: 'others' }),
      at({ partition: 0 }),
      at({ group: 'c' }),
      at({ memberId: 'a-0002' }),
      at({ process: 'second' }),
      at({ when: point => point.offset === 2 }),
    ]
    const all = at({ topic: 'jobs', partition: 1, group: 'a', memberId: 'a-0001', process: 'first', when: () => true })
    await b.commit([{ topic: 'jobs', partition: 1, nextOffset: 1 }])
    await rejection(a.commit([{ topic: 'jobs', partition: 1, nextOffset: 1 }]))
    expect(all.met).toHaveLength(1)
    expect(none.map(({ met }) => met)).toEqual(none.map(() => []))
    broker.faults.clear()
  })

  test('a commit of several partitions is one of each of them', async () => {
    const consumer = manual().join()
    for (const partition of [0, 1]) publish(0, partition)
    await consumer.poll()
    const fault = broker.faults.fail('commit', { partition: 1 })
    await rejection(consumer.commit())
    // With more than one there is no telling which the point is of.
    expect(fault.met).toEqual([{ operation: 'commit', topic: 'jobs', group: 'g', memberId: 'g-0001' }])
  })

  test('a poll is of all topics of its group', async () => {
    const consumer = broker.group('both', { topics: ['jobs', 'others'] }).join()
    const fault = broker.faults.fail('poll', { topic: 'others' })
    await rejection(consumer.poll({ timeoutMs: 0 }))
    expect(fault.met).toEqual([{ operation: 'poll', group: 'both', memberId: 'both-0001' }])
  })

  test('so many times as asked for', () => {
    const fault = broker.faults.fail('publish', { times: 2 })
    const outcomes = [1, 2, 3].map(value => {
      try {
        return publish(value).offset
      } catch {
        return 'failed'
      }
    })
    expect(outcomes).toEqual(['failed', 'failed', 0])
    expect(fault.met).toHaveLength(2)
  })

  test('every time with Infinity, until it is removed', () => {
    const fault = broker.faults.fail('publish', { times: Number.POSITIVE_INFINITY })
    for (const value of [1, 2, 3]) expect(() => publish(value)).toThrow()
    fault.remove()
    expect(publish(4).offset).toBe(0)
    expect(fault.met).toHaveLength(3)
  })

  test('one fault at most acts on an operation: that which was asked for first', () => {
    const [first, second] = ['first', 'second'].map(text => broker.faults.fail('publish', { error: new Error(text) }))
    expect(() => publish()).toThrow('first')
    expect([first!.met.length, second!.met.length]).toEqual([1, 0])
    expect(() => publish()).toThrow('second')
  })

  test('each record of publishAll() is a publish', () => {
    const fault = broker.faults.fail('publish', { when: ({ partition }) => partition === 1, times: 1 })
    broker.topic('jobs').publishAll([{ partition: 0, value: 0 }])
    expect(() => broker.topic('jobs').publishAll([{ partition: 1, value: 0 }])).toThrow()
    expect(fault.met).toEqual([{ operation: 'publish', topic: 'jobs', partition: 1 }])
  })
})

describe('what is still to come', () => {
  test('is pending: what has not been met as often as asked for', () => {
    const once = broker.faults.fail('publish')
    const twice = broker.faults.fail('publish', { times: 2 })
    const always = broker.faults.fail('publish', { times: Number.POSITIVE_INFINITY })
    expect(broker.faults.pending).toEqual([once, twice])
    for (let i = 0; i < 2; i++) expect(() => publish()).toThrow()
    expect(broker.faults.pending).toEqual([twice])
    expect(() => publish()).toThrow()
    expect(broker.faults.pending).toEqual([])
    expect(() => publish()).toThrow()
    expect(always.met).toHaveLength(1)
  })

  test('says what it is', () => {
    const { faults } = broker
    const texts = [
      faults.fail('publish'),
      faults.fail('handle', { topic: 'jobs', partition: 1, error: 'REQUEST_TIMED_OUT', times: 3 }),
      faults.loseAnswer('commit', { group: 'g', memberId: 'g-0001' }),
      faults.delay('poll', { ms: 50, process: 'first', times: Number.POSITIVE_INFINITY }),
      faults.hold('revoke', { when: () => true }),
    ].map(String)
    expect(texts).toEqual([
      'fail publish, met 0 of 1',
      'fail handle of topic jobs, partition 1, met 0 of 3',
      'lose the answer of commit of group g, memberId g-0001, met 0 of 1',
      'delay by 50 ms poll of process first, met 0 of Infinity',
      'hold revoke where when() holds, met 0 of 1',
    ])
  })

  test('is removed one by one, or cleared all at once, holds and watches too', async () => {
    const { faults } = broker
    faults.fail('publish').remove()
    expect(publish(1).offset).toBe(0)
    const hold = faults.hold('poll')
    const polled = manual().join().poll()
    await hold.reached
    faults.fail('publish', { times: Number.POSITIVE_INFINITY })
    let seen = false
    void faults.watch('publish').then(() => {
      seen = true
    })
    faults.clear()
    expect(values(await polled)).toEqual([1])
    expect(publish(2).offset).toBe(1)
    await turn()
    expect([faults.pending, seen]).toEqual([[], false])
  })

  test('is told in the history as it is met, with its process', () => {
    broker.faults.fail('publish')
    expect(() => broker.process('p').topic('jobs').publish({ partition: 0, value: 1 })).toThrow()
    expect(broker.history.of('fault')).toEqual([
      { at: 0, type: 'fault', fault: 'fail publish, met 1 of 1', process: 'p' },
    ])
  })
})

describe('a fault that can not be is refused, and changes nothing', () => {
  const { faults } = testBroker()
  const make: Record<string, (operation: Operation, options?: object) => unknown> = {
    fail: (operation, options) => faults.fail(operation, options),
    delay: (operation, options) => faults.delay(operation as 'poll', { ms: 1, ...options }),
    hold: (operation, options) => faults.hold(operation as 'poll', options),
    watch: (operation, options) => faults.watch(operation, options),
  }
  afterEach(() => expect(faults.pending).toEqual([]))

  test.each(
    Object.keys(make).flatMap(name => ['read', 'Publish', '', undefined, null, 7].map(value => [name, value] as const)),
  )('%s of an operation %j', (name, operation) => {
    expect(thrown(() => make[name]!(operation as never))).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'operation', value: operation },
    })
  })

  test('a publish can be neither held nor delayed', () => {
    expect(thrown(() => faults.hold('publish' as 'poll'))).toBeInstanceOf(TypeError)
    expect(thrown(() => faults.hold('publish' as 'poll')).message).toBe("A publish answers at once: it can't be held")
    expect(thrown(() => faults.delay('publish' as 'poll', { ms: 1 })).message).toBe(
      "A publish answers at once: it can't be delayed",
    )
  })

  test.each(['poll', 'handle', 'assign', 'revoke', 'nothing', undefined])(
    'nor can the answer of %s get lost',
    operation => {
      const error = thrown(() => faults.loseAnswer(operation as 'publish'))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain(`got '${operation}'`)
    },
  )

  test.each([
    ['publish', { group: 'g' }, 'group'],
    ['publish', { memberId: 'm' }, 'memberId'],
    ['poll', { partition: 0 }, 'partition'],
  ] as const)('%s of %j, which there is not', (operation, options, option) => {
    const error = thrown(() => faults.fail(operation, options))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option } })
    expect(error.message).toContain(`${option} must be none: `)
  })

  test.each([0, -1, 0.5, Number.NaN, '2', null])('%s times', times => {
    const error = thrown(() => faults.fail('poll', { times: times as number }))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'times', value: times } })
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5', undefined])('a delay of %s ms', ms => {
    const error = thrown(() => faults.delay('poll', { ms: ms as number }))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'ms', value: ms } })
  })

  test.each([
    ['topic', 7],
    ['group', null],
    ['memberId', {}],
    ['process', ['p']],
    ['partition', '0'],
    ['partition', -1],
    ['partition', 1.5],
    ['when', 'always'],
    ['when', null],
  ])('%s %j', (option, value) => {
    for (const name of Object.keys(make))
      expect(thrown(() => make[name]!('handle', { [option]: value }))).toMatchObject({
        code: 'INVALID_CONFIG',
        details: { option, value },
      })
  })

  test.each(['NO_SUCH_CODE', 7, null, {}])('the error %j', error => {
    expect(thrown(() => faults.fail('poll', { error: error as ErrorCode }))).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'error', value: error },
    })
  })

  test.each([null, 'x', 7])('options that are none: %j', options => {
    for (const name of ['fail', 'hold', 'watch'])
      expect(thrown(() => make[name]!('poll', options as never))).toMatchObject({
        code: 'INVALID_CONFIG',
        details: { option: 'options', value: options },
      })
    expect(thrown(() => faults.delay('poll', options as never))).toMatchObject({ code: 'INVALID_CONFIG' })
  })
})

describe('a predicate that throws', () => {
  const slip = (): never => {
    throw new Error('a slip')
  }

  test('fails the operation that it was asked about, says so, and nothing is written', () => {
    broker.faults.fail('publish', { when: slip })
    const error = thrown(() => publish())
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'when', value: slip } })
    expect(error.message).toMatch(/at publish it threw Error: a slip/)
    expect(error.cause).toEqual(new Error('a slip'))
    expect(broker.published('jobs')).toEqual([])
    expect(types()).toEqual([])
  })

  test('of a watch does the same', async () => {
    void broker.faults.watch('poll', { when: slip })
    const error = await rejection(manual().join().poll({ timeoutMs: 0 }))
    expect(error.message).toMatch(/at poll it threw Error: a slip/)
  })

  test('is told at the end, also where the operation told nobody', async () => {
    broker.faults.fail('commit', { when: slip })
    publish()
    await broker.group('auto', { topics: 'jobs' }).join().poll()
    expect((await rejection(broker[Symbol.asyncDispose]())).message).toMatch(/could not be told: .*a slip/)
  })
})
