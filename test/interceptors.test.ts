// The extension point of a broker: what goes around its operations, in which order, and what becomes of what it throws.
import {
  Broker,
  type Interceptor,
  type MemoryBroker,
  MillraceError,
  type RecordMetadata,
  stickyAssignor,
} from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'

interface Topics {
  jobs: string
  dead: string
}

const open = (...interceptors: Interceptor[]): MemoryBroker<Topics> & { clock: ManualClock } =>
  new Broker<Topics>({
    clock: new ManualClock(),
    topics: { jobs: { partitions: 2 }, dead: {} },
    interceptors,
  }) as never
const group = (broker: MemoryBroker<Topics>) => broker.group('g', { topics: 'jobs', commitMode: 'manualCommit' })
const thrown = async (call: () => unknown): Promise<unknown> => {
  try {
    return await call()
  } catch (error) {
    return error
  }
}

/** Tells of each operation as it begins and ends. */
function telling(name: string, told: string[]): Interceptor {
  const around =
    (operation: string) =>
    (_: unknown, proceed: (argument?: any) => any): any => {
      told.push(`${name}: ${operation}`)
      const result = proceed(operation === 'publish' ? (_ as { record: unknown }).record : undefined)
      told.push(`${name}: ${operation} done`)
      return result
    }
  const names = ['publish', 'poll', 'handle', 'commit', 'assign', 'revoke', 'lose']
  return Object.fromEntries(names.map(operation => [operation, around(operation)]))
}

describe('the order', () => {
  test('is that of the list: the first is the outermost', async () => {
    const told: string[] = []
    const broker = open(telling('outer', told), telling('inner', told))
    broker.topic('jobs').publish({ value: 'wash' })
    expect(told).toEqual(['outer: publish', 'inner: publish', 'inner: publish done', 'outer: publish done'])
  })

  test('of a life: assigned, polled, committed, revoked', async () => {
    const told: string[] = []
    const broker = open(telling('it', told))
    const consumer = group(broker).join()
    broker.topic('jobs').publish({ partition: 0, value: 'wash' })
    await consumer.commit(await consumer.poll())
    await consumer.close()
    expect(told.filter(text => !text.endsWith('done'))).toEqual([
      'it: assign',
      'it: publish',
      'it: poll',
      'it: commit',
      'it: revoke',
    ])
  })

  test('one without an operation is no part of its chain', () => {
    const told: string[] = []
    const broker = open({}, telling('it', told), { handle: (_, proceed) => proceed() })
    broker.topic('jobs').publish({ value: 'wash' })
    expect(told).toEqual(['it: publish', 'it: publish done'])
  })

  test('each is called as a method of its own', () => {
    class Counting implements Interceptor {
      count = 0
      publish(...[{ record }, proceed]: Parameters<NonNullable<Interceptor['publish']>>): RecordMetadata {
        this.count++
        return proceed(record)
      }
    }
    const counting = new Counting()
    open(counting)
      .topic('jobs')
      .publishAll([{ value: 'a' }, { value: 'b' }])
    expect(counting.count).toBe(2)
  })
})

describe('publish', () => {
  test('may write another record; what is further in sees that one', () => {
    const seen: unknown[] = []
    const broker = open(
      { publish: ({ record }, proceed) => proceed({ ...record, headers: { tenant: 'a' } }) },
      {
        publish: ({ topic, record }, proceed) => {
          seen.push(topic, record)
          return proceed(record)
        },
      },
    )
    const metadata = broker.topic('jobs').publish({ key: 'k', value: 'wash' })
    expect(seen).toEqual(['jobs', { key: 'k', value: 'wash', headers: { tenant: 'a' } }])
    const { partition, offset } = metadata
    expect(broker.topic('jobs').partitions[partition]!.read(offset)[0]!.headers).toEqual([['tenant', 'a']])
  })

  test('stays synchronous, and gives what it was given', () => {
    const broker = open({ publish: ({ record }, proceed) => proceed(record) })
    expect(broker.topic('jobs').publish({ partition: 1, value: 'wash' })).toEqual({
      topic: 'jobs',
      partition: 1,
      offset: 0,
      timestamp: 0,
    })
  })

  test('may refuse: the publisher gets what it throws, and nothing is written', () => {
    const refusal = new Error('too late')
    const broker = open({
      publish() {
        throw refusal
      },
    })
    expect(() => broker.topic('jobs').publish({ value: 'wash' })).toThrow(refusal)
    expect(broker.topic('jobs').partitions.map(({ endOffset }) => endOffset)).toEqual([0, 0])
  })

  test('goes around a dead letter as well', async () => {
    const topics: string[] = []
    const broker = open({
      publish: ({ topic, record }, proceed) => {
        topics.push(topic)
        return proceed(record)
      },
    })
    void group(broker)
      .join()
      .run(
        () => {
          throw new Error('no')
        },
        { deadLetter: broker.topic('dead') },
      )
    broker.topic('jobs').publish({ value: 'wash' })
    await broker.settled()
    expect(topics).toEqual(['jobs', 'dead'])
  })

  test('what is no record is refused further in, by the same error', () => {
    const plain = new Broker<Topics>({ topics: { jobs: {}, dead: {} } })
    const broker = open({ publish: ({ record }, proceed) => proceed(record) })
    for (const record of [undefined, {}, 7, { value: undefined }])
      expect(() => broker.topic('jobs').publish(record as never)).toThrow(
        (() => {
          try {
            plain.topic('jobs').publish(record as never)
          } catch (error) {
            return (error as Error).message
          }
          throw new Error('it was taken')
        })(),
      )
  })
})

describe('poll', () => {
  test('goes around each, its waiting included, and sees what is handed out', async () => {
    const seen: unknown[] = []
    const broker = open({
      async poll({ group, memberId }, proceed) {
        const records = await proceed()
        seen.push(group, memberId, records.length)
        return records
      },
    })
    const consumer = group(broker).join()
    const polled = consumer.poll()
    await broker.clock.advance(10)
    expect(seen).toEqual([])
    broker.topic('jobs').publish({ value: 'wash' })
    expect(await polled).toHaveLength(1)
    broker.topic('jobs').publish({ value: 'dry' })
    for await (const _ of consumer) break
    expect(seen).toEqual(['g', 'g-0001', 1, 'g', 'g-0001', 1])
  })

  test.each(['poll', 'step', 'run'] as const)(
    'one that neither proceeds nor throws fails the %s, which would never end',
    async how => {
      const broker = open({ poll: async () => [] })
      const consumer = group(broker).join()
      const calls = {
        poll: () => consumer.poll(),
        step: () => consumer[Symbol.asyncIterator]().next(),
        run: () => consumer.run(() => {}),
      }
      const error = await thrown(calls[how])
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toContain('proceed')
    },
  )

  test('what it throws, the poll rejects with; nothing is consumed', async () => {
    let fails = true
    const broker = open({
      poll(_, proceed) {
        if (fails) throw new Error('not now')
        return proceed()
      },
    })
    const consumer = group(broker).join()
    broker.topic('jobs').publish({ value: 'wash' })
    expect(await thrown(() => consumer.poll())).toEqual(new Error('not now'))
    fails = false
    expect(await consumer.poll()).toHaveLength(1)
  })
})

describe('poll, when what was handed out does not reach its caller', () => {
  /** Fails once, when it has been given something. */
  const failingAfter = (first: (records: readonly unknown[]) => unknown) => {
    let fails = true
    return open({
      async poll(_, proceed) {
        const records = await proceed()
        if (!fails || records.length === 0) return records
        fails = false
        await first(records)
        throw new Error('after')
      },
    })
  }
  const wash = (broker: MemoryBroker<Topics>, count: number): void => {
    for (let i = 0; i < count; i++) broker.topic('jobs').publish({ partition: 0, value: `${i}` })
  }

  test.each(['poll', 'step'] as const)(
    'a %s that fails afterwards is made good by the next: nothing is lost',
    async how => {
      const broker = failingAfter(() => {})
      const auto = broker.group('auto', { topics: 'jobs', autoCommitIntervalMs: 0 })
      const consumer = auto.join()
      wash(broker, 3)
      const call = how === 'poll' ? consumer.poll() : consumer[Symbol.asyncIterator]().next()
      expect(await thrown(() => call)).toEqual(new Error('after'))
      expect(consumer.position('jobs', 0)).toBe(0)
      expect((await consumer.poll()).map(({ value }) => value)).toEqual(['0', '1', '2'])
      expect(auto.committed('jobs', 0)).toBe(0)
      await consumer.close()
      expect(auto.committed('jobs', 0)).toBe(3)
    },
  )

  test('a seek meanwhile stands', async () => {
    const broker = failingAfter(() => consumer.seek('jobs', 0, 2))
    const consumer = group(broker).join()
    wash(broker, 3)
    expect(await thrown(() => consumer.poll())).toEqual(new Error('after'))
    expect((await consumer.poll()).map(({ value }) => value)).toEqual(['2'])
  })

  test('until it is answered another is CONCURRENT_POLL, and does not count what it hands out as finished', async () => {
    const broker = failingAfter(() => new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50)))
    const consumer = group(broker).join()
    wash(broker, 1)
    const first = thrown(() => consumer.poll())
    await broker.clock.advance(10)
    for (const call of [
      () => consumer.poll(),
      () => consumer[Symbol.asyncIterator]().next(),
      () => consumer.run(() => {}),
    ])
      expect(await thrown(call)).toMatchObject({ code: 'CONCURRENT_POLL' })
    await broker.clock.advance(40)
    expect(await first).toEqual(new Error('after'))
    expect(await consumer.poll()).toHaveLength(1)
  })

  test('a member that has lost its partition meanwhile has nothing to give back', async () => {
    const broker = failingAfter(() => expel(consumer))
    const consumer = group(broker).join()
    wash(broker, 2)
    expect(await thrown(() => consumer.poll({ maxRecords: 1 }))).toEqual(new Error('after'))
    expect((await consumer.poll()).map(({ value }) => value)).toEqual(['0', '1'])
  })
})

describe('poll, before run() looks for more', () => {
  // Kafka: retry.backoff.ms, 100.
  test('a retriable failure is asked again after 100 ms; any other ends run()', async () => {
    const failures = [
      new MillraceError('UNKNOWN_SERVER_ERROR', { error: 'no' }, { retriable: true }),
      undefined,
      new Error('no more'),
    ]
    let asked = 0
    const broker = open({
      poll(_, proceed) {
        const failure = failures[asked++]
        if (failure !== undefined) throw failure
        return proceed()
      },
    })
    broker.topic('jobs').publish({ value: 'wash' })
    const handled: unknown[] = []
    const running = thrown(() =>
      group(broker)
        .join()
        .run(({ value }) => void handled.push(value)),
    )
    await broker.clock.advance(99)
    expect([asked, handled]).toEqual([1, []])
    await broker.clock.advance(1)
    expect(await running).toEqual(new Error('no more'))
    expect([asked, handled]).toEqual([3, ['wash']])
  })

  test('what it answers when run() is over means nothing, and leaves no timer', async () => {
    let refuse!: (error: unknown) => void
    const broker = open({
      poll: () =>
        new Promise((_, reject) => {
          refuse = reject
        }),
    })
    const consumer = group(broker).join()
    const running = consumer.run(() => {})
    await broker.clock.advance(10)
    await consumer.close()
    await running
    refuse(new MillraceError('UNKNOWN_SERVER_ERROR', { error: 'no' }, { retriable: true }))
    await broker.clock.advance(0)
    expect(broker.clock.timers).toBe(0)
  })
})

describe('handle', () => {
  test('goes around each attempt', async () => {
    const seen: unknown[] = []
    const broker = open({
      async handle({ group, memberId, record, attempt }, proceed) {
        try {
          return await proceed()
        } catch (error) {
          seen.push([group, memberId, record.value, attempt, (error as Error).message])
          throw error
        }
      },
    })
    void group(broker)
      .join()
      .run(
        (_, { attempt }) => {
          if (attempt < 3) throw new Error(`no ${attempt}`)
        },
        { retry: { attempts: 3 } },
      )
    broker.topic('jobs').publish({ value: 'wash' })
    await broker.clock.advance(10_000)
    expect(seen).toEqual([
      ['g', 'g-0001', 'wash', 1, 'no 1'],
      ['g', 'g-0001', 'wash', 2, 'no 2'],
    ])
  })

  test('a handler that is held up is not called when its partition has been lost meanwhile', async () => {
    const broker = open({
      handle: (_, proceed) => new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50)).then(proceed),
    })
    broker.topic('jobs').publish({ value: 'wash' })
    const calls: string[] = []
    const consumer = group(broker).join()
    void consumer.run(({ value }) => void calls.push(value))
    await broker.clock.advance(10)
    crash(consumer)
    await broker.clock.advance(50)
    expect(calls).toEqual([])
  })

  test('what it throws, the handler has failed with', async () => {
    const broker = open({
      handle() {
        throw new Error('not allowed')
      },
    })
    const calls: string[] = []
    const running = group(broker)
      .join()
      .run(({ value }) => void calls.push(value))
    broker.topic('jobs').publish({ value: 'wash' })
    expect(await thrown(() => running)).toMatchObject({ code: 'HANDLER_FAILED', cause: new Error('not allowed') })
    expect(calls).toEqual([])
  })
})

describe('commit', () => {
  test('goes around each, with what is committed', async () => {
    const seen: unknown[] = []
    const broker = open({
      commit({ group, memberId, offsets }, proceed) {
        seen.push([group, memberId, offsets])
        return proceed()
      },
    })
    const consumer = group(broker).join()
    broker.topic('jobs').publish({ partition: 1, value: 'wash' })
    await consumer.commit(await consumer.poll())
    expect(seen).toEqual([['g', 'g-0001', [{ topic: 'jobs', partition: 1, nextOffset: 1 }]]])
  })

  test('also around an auto-commit, whose failure nobody is told', async () => {
    let commits = 0
    const broker = open({
      commit() {
        commits++
        throw new Error('no')
      },
    })
    const auto = broker.group('auto', { topics: 'jobs' })
    const consumer = auto.join()
    broker.topic('jobs').publish({ value: 'wash' })
    await consumer.poll()
    await consumer.close()
    expect(commits).toBe(1)
    expect([0, 1].map(partition => auto.committed('jobs', partition))).toEqual([undefined, undefined])
  })

  test('what it throws, commit() rejects with, and nothing is committed', async () => {
    const broker = open({
      commit() {
        throw new Error('no')
      },
    })
    const consumer = group(broker).join()
    broker.topic('jobs').publish({ partition: 0, value: 'wash' })
    const records = await consumer.poll()
    expect(await thrown(() => consumer.commit(records))).toEqual(new Error('no'))
    expect(group(broker).committed('jobs', 0)).toBeUndefined()
  })

  test('may be late: the commit is over when it is', async () => {
    const broker = open({
      async commit(_, proceed) {
        await new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50))
        return proceed()
      },
    })
    const consumer = group(broker).join()
    broker.topic('jobs').publish({ partition: 0, value: 'wash' })
    const records = await consumer.poll()
    const committed = consumer.commit(records)
    await broker.clock.advance(49)
    expect(group(broker).committed('jobs', 0)).toBeUndefined()
    await broker.clock.advance(1)
    await committed
    expect(group(broker).committed('jobs', 0)).toBe(1)
  })
})

describe('a commit that is held up', () => {
  const heldUp = () => {
    const broker = open({
      async commit(_, proceed) {
        await new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50))
        return proceed()
      },
    })
    return broker
  }

  // Kafka: an OffsetCommit request carries the generation, and a later one of the same member does not make it valid.
  test.each([
    ['expelled and back again', 'UNKNOWN_MEMBER_ID'],
    ['revoked and assigned again', 'ILLEGAL_GENERATION'],
  ])('is refused when its partition has meanwhile been %s', async (how, code) => {
    const broker = heldUp()
    const jobs = broker.topic('jobs')
    const members = group(broker)
    const old = members.join({ memberId: 'm' })
    for (let i = 0; i < 5; i++) jobs.publish({ partition: 0, value: 'wash' })
    await old.poll({ maxRecords: 2 })
    const late = thrown(() => old.commit())
    if (how.startsWith('expelled')) expel(old)
    const other = members.join({ memberId: 'a' })
    await old.poll({ timeoutMs: 0 })
    const others = other.assignment.length === 2 ? [0, 1] : [0]
    expect(other.assignment.map(({ partition }) => partition)).toEqual(others)
    await other.poll()
    void thrown(() => other.commit())
    crash(other)
    expect(old.assignment).toHaveLength(2)
    await broker.clock.advance(50)
    expect(await late).toMatchObject({ code })
    expect(members.committed('jobs', 0)).toBeUndefined()
  })

  test('and one of auto-commit is dropped', async () => {
    const broker = heldUp()
    const auto = broker.group('auto', { topics: 'jobs', autoCommitIntervalMs: 0 })
    const old = auto.join()
    broker.topic('jobs').publish({ partition: 0, value: 'wash' })
    await old.poll()
    await old.poll({ timeoutMs: 0 })
    expel(old)
    await old.poll({ timeoutMs: 0 })
    expect(old.assignment).toHaveLength(2)
    await broker.clock.advance(50)
    expect(auto.committed('jobs', 0)).toBeUndefined()
  })
})

describe('assign, revoke and lose', () => {
  test('go around the callbacks, or stand for them where there are none', async () => {
    for (const withCallbacks of [true, false]) {
      const told: string[] = []
      const seen = (name: string) => () => void told.push(name)
      const broker = open(telling('it', told))
      const consumer = group(broker).join(
        withCallbacks
          ? { onAssigned: seen('onAssigned'), onRevoked: seen('onRevoked'), onLost: seen('onLost') }
          : undefined,
      )
      await consumer.ready()
      consumer.expel()
      await consumer.poll({ timeoutMs: 0 })
      await consumer.close()
      const order = told.filter(text => !/poll|done/.test(text))
      const expected = ['assign', 'lose', 'assign', 'revoke'].flatMap((operation, at) => [
        `it: ${operation}`,
        ...(withCallbacks ? [['onAssigned', 'onLost', 'onAssigned', 'onRevoked'][at]!] : []),
      ])
      expect(order).toEqual(expected)
    }
  })

  test('may be late: where there is no callback, too, ready() waits, and is then kept', async () => {
    for (const onAssigned of [undefined, () => {}]) {
      const broker = open({
        async assign(_, proceed) {
          await new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50))
          return proceed()
        },
      })
      let readyAt: number | undefined
      void group(broker)
        .join({ onAssigned })
        .ready()
        .then(() => {
          readyAt = broker.clock.now()
        })
      await broker.clock.advance(100)
      expect(readyAt).toBe(50)
    }
  })

  test('what one join takes from several is assigned in one', async () => {
    const assigned: string[][] = []
    const broker = open({
      assign({ memberId, partitions }, proceed) {
        assigned.push([memberId!, ...partitions.map(({ partition }) => String(partition))])
        return proceed()
      },
    })
    broker.topic('jobs').addPartitions(6)
    const sticky = broker.group('sticky', { topics: 'jobs', assignor: stickyAssignor })
    for (const memberId of ['a', 'b', 'c']) sticky.join({ memberId })
    expect(assigned.map(([memberId, ...partitions]) => [memberId, partitions.length])).toEqual([
      ['a', 6],
      ['b', 3],
      ['c', 2],
    ])
  })

  test('a revoke that is held up is one, whatever changes meanwhile', async () => {
    const revoked: number[] = []
    const broker = open({
      async revoke({ partitions }, proceed) {
        revoked.push(...partitions.map(({ partition }) => partition))
        await new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50))
        return proceed()
      },
    })
    const members = group(broker)
    const first = members.join({ memberId: 'b' })
    await broker.clock.advance(0)
    const second = members.join({ memberId: 'a' })
    crash(members.join({ memberId: 'c' }))
    await broker.clock.advance(49)
    expect([revoked, first.assignment.length]).toEqual([[0], 2])
    await broker.clock.advance(1)
    expect([revoked, first.assignment.length, second.assignment.length]).toEqual([[0], 1, 1])
  })

  test('a callback that is held up is not called when its consumer has crashed or left meanwhile', async () => {
    for (const leave of ['crash', 'close'] as const) {
      const broker = open({
        assign: (_, proceed) => new Promise<void>(resolve => broker.clock.setTimeout(resolve, 50)).then(proceed),
      })
      const calls: unknown[] = []
      const consumer = group(broker).join({ onAssigned: partitions => void calls.push(partitions) })
      await broker.clock.advance(10)
      if (leave === 'crash') crash(consumer)
      else
        expect(
          await thrown(() => Promise.all([consumer.close({ timeoutMs: 10 }), broker.clock.advance(10)])),
        ).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
      await broker.clock.advance(50)
      expect([leave, calls]).toEqual([leave, []])
    }
  })

  test('what one throws, its callback has thrown: nothing is vetoed, the next poll tells', async () => {
    const broker = open({
      assign() {
        throw new Error('no')
      },
    })
    const consumer = group(broker).join()
    expect(consumer.assignment).toHaveLength(2)
    expect(await thrown(() => consumer.poll({ timeoutMs: 0 }))).toEqual(new Error('no'))
    expect(await consumer.poll({ timeoutMs: 0 })).toEqual([])
  })
})

test('a misspelt operation is named, with those that there are; what else a class or an object has is its own affair', () => {
  expect(() => new Broker({ interceptors: [{ publsh() {} } as never] })).toThrow(
    'publsh must be left out (interceptor: publish, poll, handle, commit, assign, revoke, lose); got function publsh',
  )
  class Tracing implements Interceptor {
    readonly spans = new Map<string, number>()
    end(): void {}
    handle(_: unknown, proceed: () => unknown): unknown {
      return proceed()
    }
  }
  const named = { name: 'counting', handle: (_: unknown, proceed: () => unknown) => proceed() }
  expect(() => new Broker({ interceptors: [new Tracing(), named, {}] })).not.toThrow()
})

describe('refused, before there is a broker', () => {
  test.each([
    ['no list', {}],
    ['a text', 'tracing'],
    ['a list of something else', [7]],
    ['a list with a hole', [undefined]],
    ['a list with null', [null]],
    ['an operation that is no function', [{ publish: 'yes' }]],
    ['the factory instead of what it makes', [{ handle: null }]],
    ['a misspelt operation', [{ publish: () => {}, onPoll() {} }]],
    [
      'a class of none',
      [
        new (class {
          onPublish() {}
        })(),
      ],
    ],
  ])('%s', (_, interceptors) => {
    expect(() => new Broker({ interceptors: interceptors as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
  })
})
