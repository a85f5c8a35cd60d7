import { type Consumer, isMillraceError, MillraceError } from 'millrace'
import { expel, testBroker } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { clusterLike } from './cluster-like.js'
import { failing } from './fake-application.js'
import { brokerWith, capturing, instanceOn, started, type Topics, table, tasksOf } from './instances.js'

const numbers = (n: number, keys = 7) => Array.from({ length: n }, (_, i) => ({ key: `k${i % keys}`, value: i }))
const topics = { in: 3, out: 3 }

describe('the life of an instance', () => {
  test('works through what is there and what comes, and says where it is', async () => {
    const broker = brokerWith(topics)
    broker.topic('in').publishAll(numbers(50))
    const instance = instanceOn(broker)
    expect(instance.state).toBe('created')
    const done = instance.run(undefined)
    expect(instance.state).toBe('rebalancing')
    await instance.ready()
    expect([instance.state, tasksOf(instance)]).toEqual(['running', ['0_0', '0_1', '0_2', '1_0', '1_1', '1_2']])
    broker.topic('in').publishAll(numbers(20))
    await broker.settled()
    expect(await table(broker, 'out')).toEqual({ k0: 11, k1: 10, k2: 10, k3: 10, k4: 10, k5: 10, k6: 9 })
    const closing = instance.close(1_000)
    expect(instance.state).toBe('closing')
    await closing
    expect([instance.state, tasksOf(instance)]).toEqual(['closed', []])
    await done
  })

  test('settled() covers an application: repartition topics are worked through as well', async () => {
    const broker = brokerWith(topics)
    await started(broker)
    await started(broker)
    for (let i = 1; i <= 20; i++) {
      broker.topic('in').publishAll(numbers(70))
      await broker.settled()
      expect((await table(broker, 'out')).k3).toBe(10 * i)
    }
    await broker.close()
  })

  test('settled() covers it straight after run(), which has joined when it returns', async () => {
    const broker = brokerWith(topics)
    broker.topic('in').publishAll(numbers(35))
    const instance = instanceOn(broker)
    const done = instance.run(undefined)
    expect(broker.groups.get('app')!.members).toHaveLength(1)
    broker.topic('in').publishAll(numbers(35))
    await broker.settled()
    expect(await table(broker, 'out')).toEqual({ k0: 10, k1: 10, k2: 10, k3: 10, k4: 10, k5: 10, k6: 10 })
    await instance.close(1_000)
    await done
  })

  test('settled() waits for tasks that are restored first, and for those that move', async () => {
    const broker = brokerWith(topics)
    const { instance } = await started(broker)
    broker.topic('in').publishAll(numbers(5_000))
    await broker.settled()
    await instance.close(1_000)
    broker.topic('in').publishAll(numbers(70))
    const running = [instanceOn(broker), instanceOn(broker), instanceOn(broker)].map(one => one.run(undefined))
    await broker.settled()
    expect((await table(broker, 'out')).k0).toBe(Math.ceil(5_000 / 7) + 10)
    await broker.close()
    await Promise.all(running)
  })

  test('run() ends with its signal, in an orderly way', async () => {
    const broker = brokerWith(topics)
    const abort = new AbortController()
    const instance = instanceOn(broker)
    const done = instance.run(abort.signal)
    await instance.ready()
    abort.abort()
    await done
    expect(instance.state).toBe('closed')
    expect(broker.groups.get('app')!.members).toEqual([])
    await instanceOn(broker).run(AbortSignal.abort())
  })

  test('closed before it has run, it does not run; closed twice, it is closed', async () => {
    const instance = instanceOn(brokerWith(topics))
    await instance.close(1_000)
    await instance.close(1_000)
    expect(instance.state).toBe('closed')
    await expect(instance.run(undefined)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(instance.ready()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('closed while it starts, it makes an end of that', async () => {
    const broker = brokerWith(topics)
    const instance = instanceOn(broker)
    const done = instance.run(undefined)
    const ready = instance.ready()
    ready.catch(() => {})
    await instance.close(1_000)
    await done
    await expect(ready).rejects.toMatchObject({ code: 'CLOSED' })
    expect(broker.groups.get('app')?.members ?? []).toEqual([])
  })

  test('runs once', async () => {
    const broker = brokerWith(topics)
    const { instance } = await started(broker)
    await expect(instance.run(undefined)).rejects.toMatchObject({ code: 'CONCURRENT_POLL' })
    await instance.close(1_000)
    await expect(instance.run(undefined)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('broker.close() closes it as well, its processors included', async () => {
    const broker = brokerWith(topics)
    const closed: string[] = []
    const { instance, done } = await started(broker, { hooks: { close: task => closed.push(task) } })
    await broker.close()
    await done
    expect(instance.state).toBe('closed')
    expect(closed.sort()).toEqual(['0_0', '0_1', '0_2', '1_0', '1_1', '1_2'])
  })

  test('close() waits for a write as long as it is told, then rejects, and its tasks go to others', async () => {
    const memory = testBroker<Topics>({ topics: { in: {}, out: {} } })
    let release!: () => void
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    const broker = clusterLike(memory, topic => (topic === 'out' ? held : undefined))
    const one = await started(broker)
    const two = await started(clusterLike(memory))
    await Promise.all([one.instance.ready(), two.instance.ready()])
    const holder = tasksOf(one.instance).includes('1_0')
    expect(holder).toBe(true)
    memory.topic('in').publish({ key: 'k', value: 1 })
    for (let i = 0; i < 50; i++) await Promise.resolve()
    const closing = one.instance.close(2_000)
    closing.catch(() => {})
    await memory.clock.advance(2_000)
    await expect(closing).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT', details: { timeoutMs: 2_000 } })
    await two.instance.ready()
    expect(tasksOf(two.instance)).toContain('1_0')
    release()
    await one.done.catch(() => {})
    await two.instance.close(1_000)
  })
})

describe('an instance that is killed', () => {
  test('leaves its tasks to others at once, without a call of its processors', async () => {
    const memory = testBroker<Topics>({ topics: { in: { partitions: 3 }, out: { partitions: 3 } } })
    const closed: string[] = []
    const process = memory.process('one')
    const one = await started(process, { hooks: { close: task => closed.push(task) } })
    const two = await started(memory)
    await Promise.all([one.instance.ready(), two.instance.ready()])
    memory.topic('in').publishAll(numbers(70))
    await memory.settled()
    closed.length = 0
    process.crash()
    await two.instance.ready()
    expect(tasksOf(two.instance)).toHaveLength(6)
    memory.topic('in').publishAll(numbers(70))
    await memory.settled()
    expect(Object.values(await table(memory, 'out'))).toEqual([20, 20, 20, 20, 20, 20, 20])
    await one.done
    expect([closed, one.instance.state]).toEqual([[], 'closed'])
    await two.instance.close(1_000)
  })

  test('expelled, it comes back and is given tasks anew', async () => {
    const memory = testBroker<Topics>({ topics: { in: { partitions: 3 }, out: { partitions: 3 } } })
    const consumers: Consumer<any>[] = []
    const { instance } = await started(capturing(memory, consumers))
    memory.topic('in').publishAll(numbers(70))
    await memory.settled()
    const left: string[] = []
    memory.groups.get('app')!.on('leave', ({ reason }) => left.push(reason))
    expel(consumers[0]!)
    expect(tasksOf(instance)).toHaveLength(6)
    await instance.ready()
    memory.topic('in').publishAll(numbers(70))
    await memory.settled()
    expect(left).toEqual(['expelled'])
    expect(Object.values(await table(memory, 'out'))).toEqual([20, 20, 20, 20, 20, 20, 20])
    await instance.close(1_000)
  })
})

describe('a callback that throws', () => {
  const records = ['a', 'bad', 'b'].map((value, i) => ({ key: `k${i}`, value, partition: 0 }))

  test('ends the run with HANDLER_FAILED; what came before is committed, the record is not', async () => {
    const broker = brokerWith(topics)
    const { instance, done } = await started(broker, { hooks: { see: failing } })
    broker.topic('in').publishAll(records)
    await expect(done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      details: { topic: 'in', partition: 0, offset: 1, attempts: 1 },
      cause: { code: 'INVALID_RECORD' },
    })
    expect(instance.state).toBe('failed')
    expect(broker.groups.get('app')!.committed('in', 0)).toBe(1)
    expect(broker.groups.get('app')!.members).toEqual([])
    await expect(instance.ready()).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    await instance.close(1_000)
    // Whoever comes next stands before the same record, with all that came before it worked through.
    const seen: unknown[] = []
    const next = await started(broker, { hooks: { see: ({ value }) => seen.push(value) } })
    await broker.settled()
    expect([seen, await table(broker, 'out')]).toEqual([['bad', 'b'], { k0: 1, k1: 1, k2: 1 }])
    await next.instance.close(1_000)
  })

  test('goes on where onError says so; the dead letter says what became of its record', async () => {
    const broker = brokerWith({ ...topics, letters: 1 })
    const asked: unknown[] = []
    const { instance } = await started(broker, {
      hooks: { see: failing },
      deadLetter: 'letters',
      onError: (error, record) => {
        asked.push([isMillraceError(error, 'INVALID_RECORD'), record?.topic, record?.offset])
        return 'continue'
      },
    })
    broker.topic('in').publishAll(records)
    await broker.settled()
    expect(asked).toEqual([[true, 'in', 1]])
    expect(await table(broker, 'out')).toEqual({ k0: 1, k2: 1 })
    const [letter] = broker.topic('letters').partitions[0]!.read(0)
    expect(letter).toMatchObject({
      key: 'k1',
      value: 'bad',
      headers: [
        ['__dlq.errors.topic', 'in'],
        ['__dlq.errors.partition', '0'],
        ['__dlq.errors.offset', '1'],
        ['__dlq.errors.group', 'app'],
        ['__dlq.errors.delivery.count', '1'],
        ['__dlq.errors.message', expect.stringContaining('it is bad')],
      ],
    })
    await instance.close(1_000)
  })

  test.each([
    ['fail', () => 'fail' as const],
    ['what is no answer', () => 'perhaps' as never],
  ])('fails where onError says %s', async (_, onError) => {
    const broker = brokerWith(topics)
    const { done } = await started(broker, { hooks: { see: failing }, onError })
    broker.topic('in').publishAll(records)
    await expect(done).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause: { code: 'INVALID_RECORD' } })
  })

  test('fails with what onError throws', async () => {
    const broker = brokerWith(topics)
    const thrown = new MillraceError('CLOSED', { what: 'The judge' })
    const onError = (): never => {
      throw thrown
    }
    const { done } = await started(broker, { hooks: { see: failing }, onError })
    broker.topic('in').publishAll(records)
    await expect(done).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause: thrown })
  })

  test.each(['init', 'close'] as const)('in %s it always fails', async at => {
    const broker = brokerWith(topics)
    const hooks = {
      [at]: (task: string) => {
        if (task === '1_1') throw new RangeError(`no ${at}`)
      },
    }
    const instance = instanceOn(broker, { hooks, onError: () => 'continue' })
    const done = instance.run(undefined)
    done.catch(() => {})
    if (at === 'close') {
      await instance.ready()
      await instance.close(1_000)
    }
    await expect(done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      details: { topic: `${at} of task 1_1`, offset: -1 },
      cause: { message: `no ${at}` },
    })
    expect(instance.state).toBe('failed')
    expect(broker.groups.get('app')!.members).toEqual([])
  })

  test('a record that its sink can not take has done nothing: a null key where the topic is compacted', async () => {
    const broker = brokerWith({ in: 1 })
    broker.createTopic('out', { cleanupPolicy: 'compact' })
    const { done } = await started(broker)
    broker.topic('app-keys-repartition').publishAll([
      { key: 'a', value: 1 },
      { key: null, value: 1 },
    ])
    await expect(done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      details: { topic: 'app-keys-repartition', partition: 0, offset: 1 },
      cause: { code: 'INVALID_RECORD', details: { topic: 'out' } },
    })
    expect(broker.topic('out').partitions[0]!.endOffset).toBe(1)
    expect(await table(broker, 'app-counts-changelog')).toEqual({ a: 1 })
  })
})
