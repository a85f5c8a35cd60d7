import { type Broker, type ConsumerRecord, type MemoryConsumer, MillraceError, type NextOffset } from 'millrace'
import { type TestBroker, testBroker } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { clusterLike } from './cluster-like.js'
import { countPlan } from './fake-application.js'
import { brokerWith, inOneStep, read, started, type Topics, table } from './instances.js'

describe('a turn', () => {
  test('is one synchronous step in memory: from its first write to its commit no promise has its way', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    const { instance } = await started(broker)
    const steps: string[] = []
    const step = (what: string) => {
      steps.push(what)
      void Promise.resolve().then(() => steps.push('.'))
    }
    for (const topic of ['out', 'app-counts-changelog'])
      broker.topic(topic).on('record', ({ key }) => step(`${topic} ${key}`))
    broker.groups.get('app')!.on('commit', ({ offsets }) => step(offsets.map(entry => entry.topic).join()))
    broker.topic('in').publishAll([
      { key: 'a', value: 1 },
      { key: 'b', value: 1 },
    ])
    await broker.settled()
    expect(steps.filter((one, i) => one !== '.' || steps[i - 1] !== '.')).toEqual([
      'in',
      '.',
      'out a',
      'out b',
      'app-counts-changelog a',
      'app-counts-changelog b',
      'app-keys-repartition',
      '.',
    ])
    await instance.close(1_000)
  })

  test('has so many records at most, which are committed together', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    const { instance } = await started(broker, { maxPollRecords: 4 })
    const commits: number[] = []
    broker.groups.get('app')!.on('commit', ({ offsets }) => {
      for (const { topic, nextOffset } of offsets) if (topic === 'in') commits.push(nextOffset)
    })
    broker.topic('in').publishAll(Array.from({ length: 10 }, (_, value) => ({ key: 'a', value })))
    await broker.settled()
    expect(commits).toEqual([4, 8, 10])
    await instance.close(1_000)
  })

  test('writes of several changes of a row the last', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    const { instance } = await started(broker)
    broker.topic('in').publishAll(['a', 'b', 'a', 'a'].map(key => ({ key, value: 1 })))
    await broker.settled()
    const changes = broker.topic('app-counts-changelog').partitions[0]!.read(0)
    expect(changes.map(({ key, value }) => [key, value])).toEqual([
      ['b', 1],
      ['a', 3],
    ])
    await instance.close(1_000)
  })
})

describe('of several partitions of a task', () => {
  const seen = (records: ConsumerRecord[]) => records.map(({ topic, timestamp }) => `${topic}@${timestamp}`)

  test.each([1, 7, 500])(
    'the record with the smallest timestamp goes first, at %i records a turn',
    async maxPollRecords => {
      const broker = brokerWith({ in: 1, other: 1, out: 1 })
      const times = Array.from({ length: 1_200 }, (_, i) => i)
      const inOf = (time: number) => time % 3 === 0 || (time > 300 && time < 600)
      broker.topic('in').publishAll(times.filter(inOf).map(timestamp => ({ key: 'a', value: 1, timestamp })))
      broker
        .topic('other')
        .publishAll(times.filter(time => !inOf(time)).map(timestamp => ({ key: 'a', value: 1, timestamp })))
      const records: ConsumerRecord[] = []
      const { instance } = await started(broker, {
        plan: countPlan(['in', 'other']),
        hooks: { see: record => void records.push(record) },
        maxPollRecords,
      })
      await broker.settled()
      expect(seen(records)).toEqual(times.map(time => `${inOf(time) ? 'in' : 'other'}@${time}`))
      await instance.close(1_000)
    },
  )

  test('of equal timestamps that of the topic named first; what comes later is not waited for', async () => {
    const broker = brokerWith({ in: 1, other: 1, out: 1 })
    for (const topic of ['other', 'in'])
      broker.topic(topic).publishAll([5, 5, 9].map(timestamp => ({ key: 'a', value: 1, timestamp })))
    const records: ConsumerRecord[] = []
    const { instance } = await started(broker, {
      plan: countPlan(['in', 'other']),
      hooks: { see: record => void records.push(record) },
    })
    await broker.settled()
    broker.topic('other').publish({ key: 'a', value: 1, timestamp: 7 })
    await broker.settled()
    expect(seen(records).join(' ')).toBe('in@5 in@5 other@5 other@5 in@9 other@9 other@7')
    await instance.close(1_000)
  })

  test('on a cluster, too, also where one topic is fetched later than the other', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, other: {}, out: {} } })
    const times = Array.from({ length: 40 }, (_, i) => i)
    for (const timestamp of times)
      broker.topic(timestamp % 3 === 0 ? 'in' : 'other').publish({ key: 'a', value: 1, timestamp })
    const records: ConsumerRecord[] = []
    const { instance } = await started(
      clusterLike(broker, () => undefined, 'other'),
      { plan: countPlan(['in', 'other']), hooks: { see: record => void records.push(record) }, maxPollRecords: 10 },
    )
    await broker.clock.advanceUntil(broker.settled())
    expect(seen(records)).toEqual(times.map(time => `${time % 3 === 0 ? 'in' : 'other'}@${time}`))
    await broker.clock.advanceUntil(instance.close(1_000))
  })
})

describe('wall-clock punctuations', () => {
  test('fire by the clock of the broker, and what they do is written', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const hooks = { everyMs: 10, now: () => broker.clock.now() }
    const { instance } = await started(broker, { hooks })
    const ticks = () => broker.published('out').map(({ value }) => value)
    await broker.clock.advance(9)
    expect(ticks()).toEqual([])
    await broker.clock.advance(1)
    expect(ticks()).toEqual([10])
    await broker.clock.advance(25)
    expect(ticks()).toEqual([10, 20, 30])
    await instance.close(1_000)
    await broker.clock.advance(100)
    expect(ticks()).toEqual([10, 20, 30])
    expect(broker.clock.timers).toBe(0)
  })

  test('one that throws has no record: onError decides, and by default it fails', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const tick = (now: number) => {
      if (now === 20 || now === 40) throw new RangeError(`at ${now}`)
    }
    const asked: unknown[] = []
    const { done } = await started(broker, {
      hooks: { everyMs: 10, now: () => broker.clock.now(), tick },
      onError: (error, record) => {
        asked.push([(error as Error).message, record])
        return asked.length < 2 ? 'continue' : 'fail'
      },
    })
    await broker.clock.advance(100)
    expect(broker.published('out').map(({ value }) => value)).toEqual([10, 30])
    expect(asked).toEqual([
      ['at 20', undefined],
      ['at 40', undefined],
    ])
    await expect(done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      details: { topic: 'punctuation of task 1_0', offset: -1 },
      cause: { message: 'at 40' },
    })
  })
})

describe('writes', () => {
  test('refused for now are tried again, in order, before anything is committed', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const { instance } = await started(broker)
    broker.faults.fail('publish', { topic: 'out', times: 3 })
    broker.topic('in').publishAll(['a', 'b', 'a'].map(key => ({ key, value: 1 })))
    await broker.clock.advanceUntil(broker.settled())
    expect(broker.published('out').map(({ key, value }) => `${key}${value}`)).toEqual(['a1', 'b1', 'a2'])
    await instance.close(1_000)
  })

  test('refused for good are the end, and their records are not committed', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const { done } = await started(broker)
    broker.faults.fail('publish', { topic: 'out', error: 'MESSAGE_TOO_LARGE' as never })
    broker.topic('in').publish({ key: 'a', value: 1 })
    await expect(done).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(broker.groups.get('app')!.committed('app-keys-repartition', 0)).toBeUndefined()
    const next = await started(broker)
    await broker.settled()
    expect(await table(broker, 'out')).toEqual({ a: 1 })
    await next.instance.close(1_000)
  })

  test('on a cluster the commit waits for all of them; an answer that never comes commits nothing', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    let release!: () => void
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    const { instance } = await started(clusterLike(broker, topic => (topic === 'out' ? held : undefined)))
    const group = broker.groups.get('app')!
    broker.topic('in').publish({ key: 'a', value: 1 })
    for (let i = 0; i < 200; i++) await Promise.resolve()
    expect([group.committed('in', 0), group.committed('app-keys-repartition', 0)]).toEqual([1, undefined])
    release()
    await broker.settled()
    expect(group.committed('app-keys-repartition', 0)).toBe(1)
    await instance.close(1_000)
  })

  // At least once: what was written before comes twice, and a change of state that was written counts twice.
  test.each([
    ['an output', 'out', { out: { a: 1 }, outputs: ['a1'] }],
    ['a change of state', 'app-counts-changelog', { out: { a: 1 }, outputs: ['a1', 'a1'] }],
    ['a time', 'app-1-time-changelog', { out: { a: 2 }, outputs: ['a1', 'a2'] }],
  ])('on a cluster %s that is refused ends the run; the next instance does it again', async (_, refused, found) => {
    const broker = brokerWith({ in: 1, out: 1 })
    let failures = 1
    const refuse = (topic: string) => {
      if (topic === refused && failures-- > 0) throw new RangeError('no space left')
    }
    const { done } = await started(clusterLike(broker, refuse))
    broker.topic('in').publish({ key: 'a', value: 1 })
    await expect(done).rejects.toThrow('no space left')
    expect(broker.groups.get('app')!.committed('app-keys-repartition', 0)).toBeUndefined()
    const next = await started(clusterLike(broker, refuse))
    await broker.settled()
    expect(await table(broker, 'out')).toEqual(found.out)
    expect((await read(broker, 'out')).map(({ key, value }) => `${key}${value}`)).toEqual(found.outputs)
    await next.instance.close(1_000)
  })

  test('of a turn whose output is refused in memory the state knows nothing', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const { done } = await started(broker)
    broker.faults.fail('publish', { topic: 'out', error: 'MESSAGE_TOO_LARGE' as never })
    broker.topic('in').publish({ key: 'a', value: 1 })
    await expect(done).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(broker.published('app-counts-changelog')).toEqual([])
    expect(broker.published('app-1-time-changelog')).toEqual([])
  })
})

describe('an instance on a cluster that stood still for longer than its session', () => {
  /** `out`: its group refuses its commits; its own consumer hears nothing of it. */
  function stalling(broker: TestBroker<Topics>, publishing?: (topic: string) => unknown) {
    const cluster = clusterLike(broker, publishing)
    const state = { out: false, refused: [] as (readonly NextOffset[])[], expel: () => {} }
    const group = (id: string, options: any) => {
      const found = cluster.group(id, options)
      const join = (joined: any) => {
        const consumer = found.join(joined)
        state.expel = () => (consumer as unknown as MemoryConsumer).expel()
        const commit = async (offsets: readonly NextOffset[]) => {
          if (!state.out) return consumer.commit(offsets)
          state.refused.push(offsets)
          throw new MillraceError('UNKNOWN_MEMBER_ID', { group: 'app', memberId: 'm' })
        }
        return new Proxy(consumer, {
          get(target, name) {
            const value: unknown = name === 'commit' ? commit : Reflect.get(target, name, target)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
      }
      return { ...found, join }
    }
    return { cluster: { ...cluster, group } as Broker<Topics>, state }
  }
  const outputs = (broker: TestBroker<Topics>) => broker.published('out').map(({ key, value }) => `${key}${value}`)
  const counted = (broker: TestBroker<Topics>) =>
    broker.published('app-counts-changelog').map(({ key, value }) => `${key}${value}`)

  test('asks its group before it writes, and writes nothing: its tasks begin again where they stood', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const { cluster, state } = stalling(broker)
    const { instance } = await started(cluster)
    broker.topic('in').publish({ key: 'a', value: 1 })
    await broker.clock.advanceUntil(broker.settled())
    await broker.clock.advance(5_000)
    state.out = true
    broker.topic('app-keys-repartition').publish({ key: 'a', value: 1 })
    broker.topic('in').publish({ key: 'b', value: 1 })
    await broker.clock.advance(1_000)
    expect(state.refused[0]).toEqual([
      { topic: 'in', partition: 0, nextOffset: 1 },
      { topic: 'app-keys-repartition', partition: 0, nextOffset: 1 },
    ])
    expect([outputs(broker), counted(broker), broker.published('app-keys-repartition').length]).toEqual([
      ['a1'],
      ['a1'],
      2,
    ])
    state.out = false
    state.expel()
    await broker.clock.advance(500)
    await broker.clock.advanceUntil(broker.settled())
    expect([outputs(broker), counted(broker)]).toEqual([
      ['a1', 'a2', 'b1'],
      ['a1', 'a2', 'b1'],
    ])
    await broker.clock.advanceUntil(instance.close(1_000))
  })

  test('between its outputs and its changes of state: what comes out twice is counted once', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    let release!: () => void
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    const { cluster, state } = stalling(broker, topic => (topic === 'out' ? held : undefined))
    const { instance } = await started(cluster)
    broker.topic('in').publish({ key: 'a', value: 1 })
    await broker.clock.advance(5_000)
    expect([outputs(broker), state.refused]).toEqual([[], []])
    state.out = true
    release()
    await broker.clock.advance(500)
    expect([outputs(broker), counted(broker)]).toEqual([['a1'], []])
    state.out = false
    state.expel()
    await broker.clock.advance(500)
    await broker.clock.advanceUntil(broker.settled())
    expect([outputs(broker), counted(broker)]).toEqual([['a1', 'a1'], ['a1']])
    await broker.clock.advanceUntil(instance.close(1_000))
  })

  test('that hears nothing of its end for a minute ends with what its group says', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const { cluster, state } = stalling(broker)
    const { done } = await started(cluster)
    state.out = true
    broker.topic('in').publish({ key: 'a', value: 1 })
    await Promise.all([
      expect(done).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER_ID' }),
      broker.clock.advanceUntil(done.catch(() => {})),
    ])
    expect(broker.clock.now()).toBeGreaterThan(60_000)
    expect(broker.published('app-keys-repartition')).toEqual([])
  })

  test('is not asked for while it works: a commit that was accepted a moment ago says enough', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const { instance } = await started(clusterLike(broker))
    const commits: unknown[] = []
    broker.groups.get('app')!.on('commit', ({ offsets }) => {
      for (const { topic, nextOffset } of offsets) commits.push(`${topic}:${nextOffset}`)
    })
    for (const key of ['a', 'b']) {
      broker.topic('app-keys-repartition').publish({ key, value: 1 })
      await broker.clock.advanceUntil(broker.settled())
    }
    expect(commits).toEqual(['app-keys-repartition:0', 'app-keys-repartition:1', 'app-keys-repartition:2'])
    await broker.clock.advanceUntil(instance.close(1_000))
  })
})

describe('a commit that never comes, of a turn that was one step', () => {
  const dead = async (broker: TestBroker<Topics>) => {
    const process = broker.process('one')
    await started(inOneStep(process, broker))
    const hold = broker.faults.hold('commit', { group: 'app', topic: 'app-keys-repartition' })
    broker.topic('in').publishAll(['a', 'b', 'a'].map(key => ({ key, value: 1 })))
    await hold.reached
    process.crash()
    broker.faults.clear()
  }

  test('does nothing twice: whoever restores the task knows how far it has come, and tells the group', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    await dead(broker)
    const group = broker.groups.get('app')!
    expect(group.committed('app-keys-repartition', 0)).toBeUndefined()
    const { instance } = await started(broker)
    expect(group.committed('app-keys-repartition', 0)).toBe(3)
    broker.topic('in').publish({ key: 'a', value: 1 })
    await broker.settled()
    expect(broker.published('out').map(({ key, value }) => `${key}${value}`)).toEqual(['a1', 'b1', 'a2', 'a3'])
    await instance.close(1_000)
  })

  test('counts for nothing where the group has been sent elsewhere since', async () => {
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    await dead(broker)
    broker.groups.get('app')!.resetOffsets(1, [{ topic: 'app-keys-repartition', partition: 0 }])
    const { instance } = await started(broker)
    await broker.settled()
    expect(broker.published('out').map(({ key, value }) => `${key}${value}`)).toEqual(['a1', 'b1', 'a2', 'b2', 'a3'])
    await instance.close(1_000)
  })
})

describe("a source from 'latest'", () => {
  test('begins at its end, and whoever takes over begins there too', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    const plan = countPlan(['in'], 'latest')
    broker.topic('in').publish({ key: 'before', value: 1 })
    const one = await started(broker, { plan })
    await one.instance.close(1_000)
    broker.topic('in').publish({ key: 'between', value: 1 })
    const two = await started(broker, { plan })
    broker.topic('in').publish({ key: 'after', value: 1 })
    await broker.settled()
    expect(await table(broker, 'out')).toEqual({ after: 1, between: 1 })
    await two.instance.close(1_000)
  })
})
