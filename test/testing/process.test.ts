// A killed process: whatever it was at, nothing of it goes on, and what it had is free for others at once.
import type { Consumer } from 'millrace'
import { type TestBroker, type TestProcess, testBroker } from 'millrace/testing'
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { deferred, rejection, thrown, turn } from './support.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

interface Topics {
  jobs: number
  results: number
}

let broker: TestBroker<Topics>
let first: TestProcess<Topics>
let second: TestProcess<Topics>
beforeEach(() => {
  broker = testBroker<Topics>({ topics: { jobs: { partitions: 2 }, results: {} } })
  first = broker.process('first')
  second = broker.process('second')
})
afterEach(() => broker.clock.advanceUntil(broker.close({ timeoutMs: 0 })).catch(() => {}))

const manual = (process: Pick<TestProcess<Topics>, 'group'>) =>
  process.group('g', { topics: 'jobs', commitMode: 'manualCommit' })
const publish = (value: number, partition = 0) => broker.topic('jobs').publish({ partition, value })
const values = (records: readonly { value: number }[]): number[] => records.map(({ value }) => value)

describe('a process', () => {
  test('has a name, by default a number', () => {
    expect(first.name).toBe('first')
    expect([broker.process().name, broker.process().name]).toEqual(['process-1', 'process-2'])
    expect(first.crashed).toBe(false)
  })

  test('is a portable broker: it can do no more than one on a cluster', () => {
    expectTypeOf<keyof TestProcess<Topics>>().toEqualTypeOf<
      'name' | 'crashed' | 'crash' | 'clock' | 'topic' | 'createTopic' | 'group' | 'close' | typeof Symbol.asyncDispose
    >()
    expect(Object.keys(first.topic('jobs'))).toEqual([])
    for (const name of ['settled', 'published', 'topics', 'deleteTopic']) expect(first).not.toHaveProperty(name)
  })

  test('sees the same topics, groups and clock as the others', async () => {
    expect(first.clock).toBe(broker.clock)
    const made = await first.createTopic('more' as 'jobs', { partitions: 3 })
    expect(await made.partitionCount()).toBe(3)
    expect(await second.topic('more' as 'jobs').partitionCount()).toBe(3)
    await first.topic('jobs').publish({ partition: 0, value: 1 })
    await first.topic('jobs').publishAll([{ partition: 0, value: 2 }])
    const read: number[] = []
    for await (const { value } of second.topic('jobs').read({ until: 'latest' })) read.push(value)
    expect(read).toEqual([1, 2])

    const [one, two] = [manual(first).join(), manual(second).join()]
    expect([one, two].map(({ assignment }) => assignment.length)).toEqual([1, 1])
    await one.commit(await one.poll())
    await one.poll({ timeoutMs: 0 })
    expect(await manual(second).committed('jobs', 0)).toBe(2)
    expect(await manual(second).lag()).toBe(0)
    await manual(second).caughtUp()
  })

  test('closes what was made through it, in order; the broker and the others go on', async () => {
    const mine = first.group('auto', { topics: 'jobs' }).join()
    const other = second.group('auto', { topics: 'jobs' }).join()
    publish(1, 0)
    await mine.poll()
    await first.close()
    expect([mine.closed, other.closed, first.crashed]).toEqual([true, false, false])
    expect(broker.group('auto', { topics: 'jobs' }).committed('jobs', 0)).toBe(1)
    expect(other.assignment).toHaveLength(2)
    expect(thrown(() => first.topic('results').publish({ value: 1 }))).toMatchObject({ code: 'CLOSED' })
    expect(thrown(() => first.group('g', { topics: 'jobs' }).join())).toMatchObject({ code: 'CLOSED' })
    await first.close()
  })

  test('lets handlers publish while it closes', async () => {
    const go = deferred()
    void manual(first)
      .join()
      .run(async ({ value }, { commit }) => {
        await go.promise
        await first.topic('results').publish({ value })
        await commit()
      })
    publish(7)
    await turn()
    const closed = first.close()
    go.resolve()
    await closed
    expect(values(broker.published('results'))).toEqual([7])
  })

  test('tells what its consumers failed with as they closed', async () => {
    const onRevoked = (): never => {
      throw new Error('no')
    }
    const [a, b] = ['a', 'b'].map(id => first.group(id, { topics: 'jobs' }).join({ onRevoked }))
    await Promise.all([a!.ready(), b!.ready()])
    const error = await rejection(first.close())
    expect(error).toBeInstanceOf(AggregateError)
    expect(error.message).toBe('2 consumers of first failed to close')
  })
})

describe('crash(), at any moment', () => {
  test('with records in hand: nothing is committed, no callback, all is free at once', async () => {
    const calls: string[] = []
    const group = first.group('auto', { topics: 'jobs', autoCommitIntervalMs: 0 })
    const listener = (name: string) => () => void calls.push(name)
    const consumer = group.join({ onRevoked: listener('revoked'), onLost: listener('lost') })
    publish(1)
    await consumer.poll()
    first.crash()
    expect(first.crashed).toBe(true)
    const heir = second.group('auto', { topics: 'jobs', autoCommitIntervalMs: 0 }).join()
    expect(heir.assignment).toHaveLength(2)
    expect(values(await heir.poll())).toEqual([1])
    await broker.clock.advance(60_000)
    expect(calls).toEqual([])
    expect(broker.history.of('left').map(({ reason }) => reason)).toEqual(['crashed'])
  })

  test('at one instant: none of its consumers takes over from another', async () => {
    for (let i = 0; i < 3; i++) manual(first).join({ onAssigned: () => {} })
    const heir = manual(second).join()
    await broker.clock.advance(0)
    const before = broker.history.length
    first.crash()
    await broker.clock.advance(0)
    const after = broker.history.slice(before)
    expect(after.filter(({ type }) => type === 'left')).toHaveLength(3)
    expect(after.filter(({ type, process }) => type !== 'left' && process === 'first')).toEqual([])
    expect(heir.assignment).toHaveLength(2)
  })

  test.each([
    ['before its work', 0],
    ['between its work and its commit', 1],
    ['while its commit is on its way', 2],
  ])('of a handler, %s: another does it all', async (_, moment) => {
    const go = [deferred(), deferred()]
    const did: string[] = []
    const work = (process: TestProcess<Topics>) =>
      manual(process)
        .join()
        .run(async ({ value }, { commit }) => {
          if (process === first) await go[0]!.promise
          did.push(`${value} by ${process.name}`)
          if (process === first) await go[1]!.promise
          await commit()
        })
    const hold = broker.faults.hold('commit', { process: 'first', times: Number.POSITIVE_INFINITY })
    const running = work(first)
    publish(1)
    await turn()
    for (let i = 0; i < moment; i++) go[i]!.resolve()
    if (moment === 2) await hold.reached
    await turn()
    first.crash()
    for (const { resolve } of go) resolve()
    await running
    void work(second)
    await broker.settled()
    // What a killed process would not have done, the code of the test still does; the broker hears nothing of it.
    expect(did).toContain('1 by second')
    expect(broker.history.of('committed').map(({ process }) => process)).toEqual(['second'])
    expect(broker.history.of('handed out').map(({ process }) => process)).toEqual(['first', 'second'])
  })

  test('inside of a handler, by itself', async () => {
    const codes: (string | undefined)[] = []
    const running = manual(first)
      .join()
      .run(async ({ value }, { commit, signal }) => {
        first.crash()
        expect(signal.aborted).toBe(true)
        const attempts = [() => first.topic('results').publish({ value }), () => commit()]
        for (const attempt of attempts) codes.push((await rejection((async () => attempt())())).code)
      })
    publish(1)
    await running
    await turn()
    expect(codes).toEqual(['CLOSED', 'UNKNOWN_MEMBER_ID'])
    expect(broker.published('results')).toEqual([])
    expect(broker.history.of('failed')).toEqual([])
  })

  test.each(['onAssigned', 'onRevoked'] as const)(
    'while its %s runs: the partitions are free all the same',
    async name => {
      const begun = deferred()
      const end = deferred()
      const listener = async (): Promise<void> => {
        begun.resolve()
        await end.promise
      }
      const consumer = manual(first).join({ [name]: listener })
      if (name === 'onRevoked') await consumer.ready()
      const heir = manual(second).join()
      await begun.promise
      first.crash()
      expect(heir.assignment).toHaveLength(2)
      publish(1)
      expect(values(await heir.poll())).toEqual([1])
      end.resolve()
      await broker.clock.advance(0)
      expect(broker.history.of('revoked', 'lost').filter(({ process }) => process === 'first')).toHaveLength(
        name === 'onRevoked' ? 1 : 0,
      )
    },
  )

  test('inside of its onAssigned, by itself', async () => {
    const consumer = manual(first).join({ onAssigned: () => first.crash() })
    await broker.clock.advance(0)
    expect(consumer.closed).toBe(true)
    expect(await rejection(consumer.ready())).toMatchObject({ code: 'CLOSED' })
    expect(manual(second).join().assignment).toHaveLength(2)
  })

  test('with a delayed commit on its way: it is refused when it comes', async () => {
    const consumer = manual(first).join()
    publish(1)
    await consumer.poll()
    broker.faults.delay('commit', { ms: 50 })
    const late = rejection(consumer.commit())
    await turn()
    first.crash()
    await broker.clock.advance(50)
    expect(await late).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
    expect(manual(broker).committed('jobs', 0)).toBeUndefined()
  })

  test('with a delayed callback: it is not called', async () => {
    const calls: string[] = []
    broker.faults.delay('assign', { ms: 50 })
    manual(first).join({ onAssigned: () => calls.push('assigned') })
    await turn()
    first.crash()
    await broker.clock.advance(50)
    expect(calls).toEqual([])
    expect(broker.history.of('assigned')).toEqual([])
  })

  test('while it closes: it is dead, not closed', async () => {
    const consumer = manual(first).join()
    void consumer.run(() => new Promise(() => {}))
    publish(1)
    await turn()
    const closing = first.close()
    await turn()
    first.crash()
    await closing.catch(() => {})
    expect(first.crashed).toBe(true)
    expect(broker.history.of('left').map(({ reason }) => reason)).toEqual(['crashed'])
  })

  test('with a retry to come: it does not come', async () => {
    const attempts: number[] = []
    const running = manual(first)
      .join()
      .run(
        (_, { attempt }) => {
          attempts.push(attempt)
          throw new Error('no')
        },
        { retry: { attempts: 3, backoffMs: 1_000 } },
      )
    publish(1)
    await broker.clock.advance(500)
    first.crash()
    await broker.clock.advance(10_000)
    await running
    expect(attempts).toEqual([1])
    expect(broker.clock.timers).toBe(0)
  })

  test('ends its readers, which those of others outlive', async () => {
    const read = async (process: TestProcess<Topics>): Promise<number[]> => {
      const seen: number[] = []
      for await (const { value } of process.topic('jobs').read()) {
        seen.push(value)
        if (value === 2) break
      }
      return seen
    }
    const [mine, other] = [read(first), read(second)]
    publish(1)
    await turn()
    first.crash()
    publish(2)
    expect([await mine, await other]).toEqual([[1], [1, 2]])
  })

  test('wakes what waits: a parked poll gives nothing, ready() and caughtUp() reject', async () => {
    manual(second).join({ onRevoked: () => new Promise(() => {}) })
    await broker.clock.advance(0)
    const [waiting, polling] = [manual(first).join(), first.group('other', { topics: 'jobs' }).join()]
    const ready = rejection(waiting.ready())
    const polled = polling.poll()
    await turn()
    first.crash()
    expect(await ready).toMatchObject({ code: 'CLOSED' })
    expect(await polled).toEqual([])
  })

  test('is forgotten by the end of the test: a handler of a dead process is at work no more', async () => {
    void manual(first)
      .join()
      .run(() => new Promise(() => {}))
    publish(1)
    await turn()
    first.crash()
    await expect(broker[Symbol.asyncDispose]()).resolves.toBeUndefined()
  })
})

describe('whatever a dead process still tries', () => {
  let consumer: Consumer<any>
  beforeEach(() => {
    consumer = manual(first).join()
    first.crash()
  })

  test.each<[string, (process: TestProcess<Topics>) => unknown]>([
    ['topic()', process => process.topic('jobs')],
    ['createTopic()', process => process.createTopic('more' as 'jobs')],
    ['group()', process => manual(process)],
  ])('%s is CLOSED, and says who it was', (_, attempt) => {
    const error = thrown(() => attempt(first))
    expect(error).toMatchObject({ code: 'CLOSED' })
    expect(error.message).toContain('Process first')
    expect(broker.topics.has('more')).toBe(false)
  })

  test('with what it had from before is CLOSED as well', async () => {
    const alive = { topic: second.topic('jobs'), group: manual(second) }
    second.crash()
    const attempts: readonly (() => unknown)[] = [
      () => alive.topic.publish({ value: 1 }),
      () => alive.topic.publishAll([{ value: 1 }]),
      () => alive.topic.partitionCount(),
      () => alive.topic.read(),
      () => alive.group.join(),
      () => alive.group.committed('jobs', 0),
      () => alive.group.lag(),
      () => alive.group.resetOffsets('earliest'),
      () => alive.group.caughtUp(),
      () => consumer.poll(),
      () => consumer.run(() => {}),
      () => consumer[Symbol.asyncIterator]().next(),
      () => consumer.seek('jobs', 0, 0),
    ]
    for (const attempt of attempts)
      expect(await rejection((async () => attempt())()), String(attempt)).toMatchObject({ code: 'CLOSED' })
    expect(broker.published('jobs')).toEqual([])
    expect([alive.topic.name, alive.group.id]).toEqual(['jobs', 'g'])
  })

  test('a commit is UNKNOWN_MEMBER_ID', async () => {
    for (const commit of [() => consumer.commit(), () => consumer.commit([])])
      expect(await rejection(commit())).toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
  })

  test('close() is nothing new', async () => {
    await expect(first.close()).resolves.toBeUndefined()
    await expect(consumer.close()).resolves.toBeUndefined()
    expect(first.crashed).toBe(true)
  })

  test('to crash again is CLOSED', () => {
    const error = thrown(() => first.crash())
    expect(error).toMatchObject({ code: 'CLOSED' })
    expect(error.message).toContain('Process first')
  })
})

test('a process that is closed can not crash any more', async () => {
  const consumer = manual(first).join()
  await first.close()
  expect(thrown(() => first.crash())).toMatchObject({ code: 'CLOSED' })
  expect([first.crashed, consumer.closed]).toEqual([false, true])
  expect(broker.history.of('left').map(({ reason }) => reason)).toEqual(['closed'])
})

test('two processes of one name are two', () => {
  const again = broker.process('first')
  manual(again).join()
  first.crash()
  expect(again.crashed).toBe(false)
  expect(broker.history.of('left')).toEqual([])
})
