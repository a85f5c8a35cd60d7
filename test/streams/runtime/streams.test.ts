import { type Codec, jsonCodec, type MemoryBroker, MillraceError } from 'millrace'
import {
  type KTable,
  keyValueStore,
  type ProcessorContext,
  Streams,
  StreamsBuilder,
  type StreamsOptions,
  sessionWindows,
  type Topology,
  timeWindows,
  untilWindowCloses,
  type Windowed,
} from 'millrace/streams'
import { testBroker } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { clusterLike } from './cluster-like.js'
import { brokerWith, read, type Topics, table } from './instances.js'

async function running(
  topology: Topology<Topics>,
  options: Partial<StreamsOptions<Topics>> & Pick<StreamsOptions<Topics>, 'broker'>,
): Promise<{ streams: Streams<Topics>; done: Promise<void> }> {
  const streams = new Streams(topology, { applicationId: 'app', ...options })
  const done = streams.run()
  done.catch(() => {})
  await streams.ready()
  return { streams, done }
}
const counting = () => {
  const builder = new StreamsBuilder<Topics>()
  const counts: KTable<number> = builder
    .stream('words')
    .groupBy(word => word as string)
    .count({ store: 'counts' })
  counts.toStream().to('counts')
  return { topology: builder.build(), counts }
}
const words = (text: string) => text.split(' ').map((value, i) => ({ key: `${i}`, value }))

describe('Streams', () => {
  test('answers queries with its part of a table, in the order of keys, and shows its tasks', async () => {
    const { topology, counts } = counting()
    const broker = brokerWith({ words: 2, counts: 1 })
    const one = await running(topology, { broker })
    expect([...one.streams.query(counts).range()]).toEqual([])
    broker.topic('words').publishAll(words('to be or not to be'))
    await broker.settled()
    expect([...one.streams.query(counts).range()]).toEqual([
      ['be', 2],
      ['not', 1],
      ['or', 1],
      ['to', 2],
    ])
    expect(one.streams.query(counts).get('be')).toBe(2)
    expect(one.streams.tasks.map(({ id, state, partitions }) => [id, state, partitions])).toEqual([
      ['0_0', 'running', [{ topic: 'words', partition: 0 }]],
      ['0_1', 'running', [{ topic: 'words', partition: 1 }]],
      ['1_0', 'running', [{ topic: 'app-counts-repartition', partition: 0 }]],
      ['1_1', 'running', [{ topic: 'app-counts-repartition', partition: 1 }]],
    ])
    const two = await running(topology, { broker })
    await one.streams.ready()
    const parts = [one, two].map(({ streams }) => [...streams.query(counts).range()].length)
    expect(parts.reduce((sum, part) => sum + part)).toBe(4)
    expect(parts).not.toContain(0)
    expect(() => one.streams.query(keyValueStore('other'))).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_STORE', details: { store: 'other' } }),
    )
    await Promise.all([one.streams.close(), two.streams.close()])
    expect([...one.streams.query(counts).range()]).toEqual([])
  })

  test('is closed by await using', async () => {
    const broker = brokerWith({ words: 1, counts: 1 })
    let streams: Streams<Topics>
    {
      await using one = new Streams(counting().topology, { applicationId: 'app', broker })
      void one.run()
      await one.ready()
      streams = one
    }
    expect(streams.state).toBe('closed')
  })

  test('what a record has done until a callback threw is undone, and its dead letter is what it was', async () => {
    const builder = new StreamsBuilder<Topics>()
    const seen = keyValueStore<number>('seen')
    let context!: ProcessorContext<string, string | null>
    builder
      .stream('in')
      .process<string>(
        () => ({
          init: given => {
            context = given as typeof context
          },
          process(value: string, key) {
            context.store(seen).put(key!, (context.store(seen).get(key!) ?? 0) + 1)
            context.forward({ key, value })
            if (value === 'bad') throw new RangeError('it is bad')
          },
        }),
        [seen],
      )
      .to('out')
    const broker = brokerWith({ in: 1, out: 1, letters: 1 })
    const errors: unknown[] = []
    const onError = (error: unknown) => {
      errors.push((error as Error).message)
      return 'continue' as const
    }
    const { streams } = await running(builder.build(), { broker, onError, deadLetter: 'letters' })
    broker.topic('in').publishAll(['good', 'bad', 'good'].map(value => ({ key: 'k', value, headers: { a: 'b' } })))
    await broker.settled()
    expect((await read(broker, 'out')).map(({ value }) => value)).toEqual(['good', 'good'])
    expect(streams.query(seen).get('k')).toBe(2)
    expect(await table(broker, 'app-seen-changelog')).toEqual({ k: 2 })
    expect([
      errors,
      (await read(broker, 'letters')).map(({ key, value, headers }) => [key, value, headers[0]]),
    ]).toEqual([['it is bad'], [['k', 'bad', ['a', 'b']]]])
    await streams.close()
  })

  test('with a codec, internal topics hold its bytes as base64 text', async () => {
    const codec = jsonCodec<{ n: number }>()
    const builder = new StreamsBuilder<Topics>()
    const sums = builder
      .stream('in')
      .groupBy(({ to }) => to as string, { codec: jsonCodec<any>() })
      .aggregate(
        () => ({ n: 0 }),
        ({ n }, value) => ({ n: n + (value as { n: number }).n }),
        { store: 'sums', codec: codec as Codec<{ n: number }> },
      )
    const broker = brokerWith({ in: 1 })
    const one = await running(builder.build(), { broker })
    broker.topic('in').publishAll([1, 2].map(n => ({ key: 'k', value: { to: 'x', n } })))
    await broker.settled()
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')
    const changes = (await read(broker, 'app-sums-changelog')).map(({ value }) => value as unknown)
    expect(changes.at(-1)).toBe(encoded({ n: 3 }))
    await one.streams.close()
    const two = await running(builder.build(), { broker })
    broker.topic('in').publish({ key: 'k', value: { to: 'x', n: 4 } })
    await broker.settled()
    expect(two.streams.query(sums).get('x')).toEqual({ n: 7 })
    await two.streams.close()
  })

  test('global tables are read whole before the first record, and ready() waits for what is there by then', async () => {
    const builder = new StreamsBuilder<Topics>()
    const names = builder.globalTable('names', { store: 'names' })
    builder
      .stream('in')
      .leftJoin(
        names,
        (value, name) => `${name ?? 'nobody'}: ${value}`,
        (_value, key) => key,
      )
      .to('out')
    const broker = brokerWith({ in: 2, names: 3, out: 1 })
    broker.topic('names').publishAll(['a', 'b', 'c'].map(key => ({ key, value: key.toUpperCase() })))
    broker.topic('in').publish({ key: 'a', value: 1 })
    const { streams } = await running(builder.build(), { broker })
    broker.topic('names').publishAll([
      { key: 'b', value: 'BB' },
      { key: 'c', value: null },
    ])
    await streams.ready()
    expect([...streams.query(names).range()]).toEqual([
      ['a', 'A'],
      ['b', 'BB'],
    ])
    broker.topic('in').publishAll(['b', 'c'].map(key => ({ key, value: 2 })))
    await broker.settled()
    expect((await read(broker, 'out')).map(({ value }) => value)).toEqual(['A: 1', 'BB: 2', 'nobody: 2'])
    await streams.close()
  })

  test('settled() straight after run() covers what is joined with a global table, which is read first', async () => {
    const builder = new StreamsBuilder<Topics>()
    const names = builder.globalTable('names', { store: 'names' })
    builder
      .stream('words')
      .join(
        names,
        (word, name) => `${name} ${word}`,
        (_word, key) => key,
      )
      .to('counts')
    const broker = brokerWith({ words: 2, names: 3, counts: 1 })
    broker.topic('names').publishAll(Array.from({ length: 3_000 }, (_, i) => ({ key: `${i}`, value: `n${i}` })))
    broker.topic('words').publishAll([
      { key: '7', value: 'seven' },
      { key: '2999', value: 'last' },
    ])
    const streams = new Streams(builder.build(), { applicationId: 'app', broker })
    const done = streams.run()
    await broker.settled()
    expect(await table(broker, 'counts')).toEqual({ 2999: 'n2999 last', 7: 'n7 seven' })
    await streams.close()
    await done
  })

  test('an application of nothing but a global table runs until it is closed', async () => {
    const builder = new StreamsBuilder<Topics>()
    const names = builder.globalTable('names', { store: 'names' })
    const broker = brokerWith({ names: 1 })
    const { streams, done } = await running(builder.build(), { broker })
    broker.topic('names').publish({ key: 'a', value: 1 })
    await streams.ready()
    expect([streams.state, streams.query(names).get('a')]).toEqual(['running', 1])
    await streams.close()
    await done
    expect(streams.state).toBe('closed')
  })

  test('however many partitions and stores there are, no signal has so many listeners that the host warns', async () => {
    const warnings: string[] = []
    const warned = ({ name }: Error) => warnings.push(name)
    process.on('warning', warned)
    const builder = new StreamsBuilder<Topics>()
    builder.globalTable('names')
    const stores = Array.from({ length: 12 }, (_, i) => keyValueStore<number>(`store-${i}`))
    builder.stream('in').process(() => ({ process() {} }), stores)
    const broker = brokerWith({ in: 1, names: 12 })
    for (let i = 0; i < 2; i++) {
      const { streams } = await running(builder.build(), { broker })
      await streams.close()
    }
    // They are told in a turn of their own.
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  test('closed while its global tables are read, it does not wait for their ends', async () => {
    const builder = new StreamsBuilder<Topics>()
    builder.globalTable('names')
    const broker = brokerWith({ names: 1 })
    broker.topic('names').publishAll(Array.from({ length: 5_000 }, (_, i) => ({ key: `${i}`, value: i })))
    const streams = new Streams(builder.build(), { applicationId: 'app', broker })
    const done = streams.run()
    for (let i = 0; i < 50; i++) await Promise.resolve()
    expect(streams.state).toBe('rebalancing')
    await streams.close()
    await done
    expect(streams.state).toBe('closed')
  })

  test('a global table whose topic is deleted is the end of the run', async () => {
    const builder = new StreamsBuilder<Topics>()
    builder.globalTable('names')
    const broker = brokerWith({ names: 1 })
    const { streams, done } = await running(builder.build(), { broker })
    broker.deleteTopic('names')
    await expect(done).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: 'names' } })
    expect(streams.state).toBe('failed')
  })
})

test.each([
  ['in memory', (broker: MemoryBroker<Topics>) => broker],
  ['on a cluster', (broker: MemoryBroker<Topics>) => clusterLike(broker)],
])('%s: a source whose topic is deleted is the end of the run', async (_, on) => {
  // Kafka: MissingSourceTopicException.
  const broker = brokerWith({ in: 1, other: 1, out: 1 })
  const builder = new StreamsBuilder<Topics>()
  builder.stream('in').to('out')
  builder.stream('other').to('out')
  const { streams, done } = await running(builder.build(), { broker: on(broker) })
  broker.topic('in').publish({ value: 1 })
  await broker.settled()
  broker.deleteTopic('other')
  await expect(done).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: 'other' } })
  expect(streams.state).toBe('failed')
  expect(broker.groups.get('app')!.committed('in', 0)).toBe(1)
})

describe('a record whose output can not be written', () => {
  const choosing = () => {
    const builder = new StreamsBuilder<Topics>()
    const seen = keyValueStore<number>('seen')
    const counted = builder.stream('in').process<any>(() => {
      let context!: ProcessorContext<any, string | null>
      return {
        init: given => {
          context = given as typeof context
        },
        process(value, key) {
          context.store(seen).put('all', (context.store(seen).get('all') ?? 0) + 1)
          context.forward({ key, value })
        },
      }
    }, [seen])
    counted.to('out')
    counted.to((value: any) => value as string, {
      name: 'choosing',
      partition: (_value, key) => (key === null ? undefined : Number(key)) as number,
    })
    return { topology: builder.build(), seen }
  }

  test.each([
    {
      what: 'a topic that does not exist',
      record: { key: '0', value: 'nowhere' },
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      details: { topic: 'nowhere' },
    },
    {
      what: 'a partition that its topic has not',
      record: { key: '2', value: 'other' },
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      details: { topic: 'other', partition: 2 },
    },
    {
      what: 'no key, where its topic is compacted',
      record: { key: null, value: 'table' },
      code: 'INVALID_RECORD',
      details: { topic: 'table' },
    },
  ])('$what: the error says where the record is and names the sink, and it has done nothing', async failing => {
    const { record, code, details } = failing
    const broker = brokerWith({ in: 1, out: 1, other: 2 })
    broker.createTopic('table', { cleanupPolicy: 'compact' })
    const { topology, seen } = choosing()
    const { streams, done } = await running(topology, { broker, onError: () => 'fail' })
    broker.topic('in').publishAll([{ key: '1', value: 'other' }, record])
    await expect(done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: 'choosing failed on in-0 offset 1 (attempts: 1); see cause',
      details: { topic: 'in', partition: 0, offset: 1 },
      cause: { code, details, cause: { message: expect.stringContaining("choosing can't write to topic") } },
    })
    expect((await read(broker, 'out')).map(({ value }) => value as unknown)).toEqual(['other'])
    expect(await table(broker, 'app-seen-changelog')).toEqual({ all: 1 })
    expect([...streams.query(seen).range()]).toEqual([])
  })
})

describe("a record whose output its topic's codec refuses", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  /** Texts, but for some. */
  const codec: Codec<any> = {
    encode(value: string) {
      if (value.startsWith('bad')) throw new RangeError(`no ${value}`)
      return value.startsWith('odd') ? (value as never) : bytes(value)
    },
    decode: encoded => new TextDecoder().decode(encoded),
  }
  const kinds = [
    ['in memory', (broker: MemoryBroker<Topics>) => broker],
    ['on a cluster', (broker: MemoryBroker<Topics>) => clusterLike(broker)],
  ] as const
  /** Counts what comes, sends it to one topic, then to another, which has the codec. */
  const sending = () => {
    const builder = new StreamsBuilder<Topics>()
    const counts = builder
      .stream('in')
      .groupByKey()
      .reduce((_, value) => value as string, { store: 'latest' })
    const changes = counts.toStream()
    changes.to('before')
    changes.to('out', { name: 'writer' })
    return { topology: builder.build(), counts }
  }
  const prepared = () => {
    const broker = brokerWith({ in: 1, before: 1, letters: 1 })
    broker.createTopic('out', { codec })
    return broker
  }
  const values = async (broker: MemoryBroker<Topics>, topic: string) =>
    (await read(broker, topic)).map(({ value }) => value as unknown)
  const publish = (broker: MemoryBroker<Topics>, ...given: readonly string[]) =>
    broker.topic('in').publishAll(given.map(value => ({ key: 'k', value })))

  test.each(kinds.flatMap(([where, on]) => (['bad', 'odd'] as const).map(value => [where, value, on] as const)))(
    '%s: %s fails as any callback would, and has done nothing',
    async (_, value, on) => {
      const broker = prepared()
      const { topology } = sending()
      const asked: unknown[] = []
      const onError = (error: unknown, record: unknown) => {
        asked.push(error, record)
        return 'fail' as const
      }
      const { done } = await running(topology, { broker: on(broker), onError })
      publish(broker, 'good', value, 'later')
      await expect(done).rejects.toMatchObject({
        code: 'HANDLER_FAILED',
        message: 'writer failed on in-0 offset 1 (attempts: 1); see cause',
        details: { topic: 'in', partition: 0, offset: 1 },
        cause: {
          code: 'INVALID_RECORD',
          details: { topic: 'out' },
          cause: {
            message: expect.stringContaining("writer can't write to topic out for the record at in-0 offset 1"),
          },
        },
      })
      expect(asked).toMatchObject([{ code: 'INVALID_RECORD' }, { topic: 'in', offset: 1 }])
      expect(await values(broker, 'before')).toEqual(['good'])
      expect(await values(broker, 'out')).toEqual(['good'])
      expect(await table(broker, 'app-latest-changelog')).toEqual({ k: 'good' })
      expect(broker.groups.get('app')!.committed('in', 0)).toBe(1)
    },
  )

  test.each(kinds)('%s: onError may let it go, to a topic for dead letters', async (_, on) => {
    const broker = prepared()
    const { topology, counts } = sending()
    const setting = { onError: () => 'continue' as const, deadLetter: 'letters' }
    const { streams } = await running(topology, { broker: on(broker), ...setting })
    publish(broker, 'good', 'bad', 'better')
    await broker.settled()
    expect(await values(broker, 'before')).toEqual(['good', 'better'])
    expect(await values(broker, 'out')).toEqual(['good', 'better'])
    expect((await read(broker, 'letters')).map(({ key, value }) => [key, value])).toEqual([['k', 'bad']])
    expect(streams.query(counts).get('k')).toBe('better')
    await streams.close()
  })

  test.each(kinds)('%s: a dead letter that its own topic refuses fails its record', async (_, on) => {
    const broker = prepared()
    broker.createTopic('picky', { codec })
    const setting = { onError: () => 'continue' as const, deadLetter: 'picky' }
    const { done } = await running(sending().topology, { broker: on(broker), ...setting })
    publish(broker, 'good', 'bad', 'later')
    await expect(done).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      details: { topic: 'in', partition: 0, offset: 1 },
      cause: { code: 'INVALID_RECORD', details: { topic: 'picky' } },
    })
    expect(await values(broker, 'out')).toEqual(['good'])
    expect(await table(broker, 'app-latest-changelog')).toEqual({ k: 'good' })
    expect(broker.groups.get('app')!.committed('in', 0)).toBe(1)
  })
})

test('on a cluster, state that its changelog has no text for fails its record, and has done nothing', async () => {
  const broker = brokerWith({ in: 1, out: 1, letters: 1 })
  const cluster = clusterLike(broker)
  // As JSON does, which a cluster's topics have where they are given no codec.
  const topic = ((name: string) => ({
    ...cluster.topic(name),
    check({ value }: { value: unknown }) {
      if (typeof value === 'bigint') throw new MillraceError('INVALID_RECORD', { topic: name, reason: 'no text' })
    },
  })) as typeof cluster.topic
  const builder = new StreamsBuilder<Topics>()
  const sums = builder
    .stream('in')
    .groupByKey()
    .aggregate<any>(
      () => 0,
      (sum, value) => (value === 'big' ? 1n : Number(sum) + 1),
      { store: 'sums' },
    )
  sums.toStream().mapValues(String).to('out')
  const asked: unknown[] = []
  const { streams } = await running(builder.build(), {
    broker: { ...cluster, topic },
    deadLetter: 'letters',
    onError(error, record) {
      asked.push([(error as MillraceError).details, record?.offset])
      return 'continue'
    },
  })
  broker.topic('in').publishAll([1, 'big', 2].map(value => ({ key: 'k', value })))
  await broker.settled()
  expect(asked).toEqual([[{ topic: 'app-sums-changelog', reason: 'no text' }, 1]])
  expect((await read(broker, 'out')).map(({ value }) => value as unknown)).toEqual(['1', '2'])
  expect(await table(broker, 'app-sums-changelog')).toEqual({ k: 2 })
  expect((await read(broker, 'letters')).map(({ value }) => value as unknown)).toEqual(['big'])
  expect(streams.query(sums).get('k')).toBe(2)
  await streams.close()
})

test('partitions that a source gains while it runs are TOPOLOGY: the changelogs have fewer', async () => {
  const broker = brokerWith({ words: 2, counts: 1 })
  const { done } = await running(counting().topology, { broker })
  broker.topic('words').addPartitions(3)
  await expect(done).rejects.toMatchObject({ code: 'TOPOLOGY', message: expect.stringContaining('topic words') })
  const again = new Streams(counting().topology, { applicationId: 'app', broker }).run()
  await expect(again).rejects.toMatchObject({
    code: 'TOPOLOGY',
    message: expect.stringContaining('has 2 partition(s)'),
  })
})

describe('time is state', () => {
  // Kafka's TimeWindows with grace: end + grace <= stream time is late. b@19 comes after a@25 in another instance.
  test('a window that was closed before a move is closed after it', async () => {
    const builder = new StreamsBuilder<Topics>()
    builder
      .stream('in')
      .groupByKey()
      .windowedBy(timeWindows({ sizeMs: 10, graceMs: 0 }))
      .count({ store: 'windows' })
      .suppress(untilWindowCloses())
      .toStream()
      .map((n, { key, start }: Windowed) => [key, `${start}: ${n}`])
      .to('out')
    const broker = brokerWith({ in: 1, out: 1 })
    const publish = (key: string, timestamp: number) => broker.topic('in').publish({ key, value: 1, timestamp })
    const one = await running(builder.build(), { broker })
    publish('a', 12)
    publish('a', 25)
    await broker.settled()
    expect(one.streams.tasks[0]!.streamTime).toBe(25)
    await one.streams.close()
    const two = await running(builder.build(), { broker })
    expect(two.streams.tasks[0]!.streamTime).toBe(25)
    publish('b', 19)
    publish('c', 40)
    await broker.settled()
    expect((await read(broker, 'out')).map(({ key, value }) => `${key} ${value}`)).toEqual(['a 10: 1', 'a 20: 1'])
    await two.streams.close()
  })

  test('a session goes on where it was', async () => {
    const builder = new StreamsBuilder<Topics>()
    const sessions = builder
      .stream('in')
      .groupByKey()
      .windowedBy(sessionWindows({ gapMs: 5, graceMs: 20 }))
      .count({ store: 'sessions' })
    const broker = brokerWith({ in: 1 })
    const publish = (timestamp: number) => broker.topic('in').publish({ key: 'ann', value: '/', timestamp })
    const one = await running(builder.build(), { broker })
    publish(0)
    publish(8)
    await broker.settled()
    await one.streams.close()
    const two = await running(builder.build(), { broker })
    publish(4)
    await broker.settled()
    expect([...two.streams.query(sessions).range({ key: 'ann' })]).toEqual([[{ key: 'ann', start: 0, end: 8 }, 3]])
    await two.streams.close()
  })

  test('punctuations by stream time go on with their task; those by the wall clock begin anew', async () => {
    const builder = new StreamsBuilder<Topics>()
    builder
      .stream('in')
      .process<string>(() => ({
        init(context) {
          context.schedule(10, 'stream time', now => context.forward({ key: 's', value: `stream ${now}` }))
          context.schedule(10, 'wall clock time', now => context.forward({ key: 'w', value: `wall ${now}` }))
        },
        process() {},
      }))
      .to('out')
    const broker = testBroker<Topics>({ topics: { in: {}, out: {} } })
    const out = () => broker.published('out').map(({ value }) => value as unknown)
    const publish = (timestamp: number) => broker.topic('in').publish({ key: 'k', value: 1, timestamp })
    const one = await running(builder.build(), { broker })
    publish(12)
    await broker.settled()
    await broker.clock.advance(15)
    expect(out()).toEqual(['stream 12', 'wall 10'])
    await one.streams.close()
    const two = await running(builder.build(), { broker })
    publish(19)
    publish(21)
    await broker.settled()
    await broker.clock.advance(9)
    expect(out()).toEqual(['stream 12', 'wall 10', 'stream 21'])
    await broker.clock.advance(1)
    expect(out()).toEqual(['stream 12', 'wall 10', 'stream 21', 'wall 25'])
    await two.streams.close()
  })
})

describe('bad input', () => {
  const invalid = (option: string) =>
    expect.objectContaining({ code: 'INVALID_CONFIG', details: expect.objectContaining({ option }) })
  const { topology } = counting()
  const broker = brokerWith({ words: 1, counts: 1 })
  const make = (options: object) => () => new Streams(topology, { applicationId: 'app', broker, ...options } as never)

  test.each([
    ['applicationId', { applicationId: '' }],
    ['applicationId', { applicationId: 'a b' }],
    ['applicationId', { applicationId: undefined }],
    ['broker', { broker: {} }],
    ['onError', { onError: 'continue' }],
    ['deadLetter', { deadLetter: '' }],
    ['deadLetter', { deadLetter: 'words' }],
    ['maxPollRecords', { maxPollRecords: 0 }],
    ['maxPollRecords', { maxPollRecords: 1.5 }],
  ])('%s is refused with its value: %o', (option, options) => {
    expect(make(options)).toThrow(invalid(option))
  })

  test('what is no topology, no options, no signal, no timeout', async () => {
    expect(() => new Streams({} as never, { applicationId: 'app', broker })).toThrow(TypeError)
    expect(() => new Streams(topology, undefined as never)).toThrow(invalid('options'))
    const streams = make({})()
    await expect(streams.run({ signal: {} as never })).rejects.toThrow(TypeError)
    await expect(streams.run(null as never)).rejects.toThrow(invalid('run options'))
    await expect(streams.close({ timeoutMs: -1 })).rejects.toThrow(invalid('timeoutMs'))
    expect(streams.state).toBe('created')
    await streams.close()
  })

  test('two topologies of one applicationId that read other topics', async () => {
    const builder = new StreamsBuilder<Topics>()
    builder.stream('counts').forEach(() => {})
    const one = await running(topology, { broker })
    const other = new Streams(builder.build(), { applicationId: 'app', broker })
    await expect(other.run()).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    await one.streams.close()
  })
})

test('on what answers as a cluster does, the same comes of it', async () => {
  const broker: MemoryBroker<Topics> = brokerWith({ words: 3, counts: 1 })
  const cluster = clusterLike(broker)
  const { topology } = counting()
  const [one, two] = [await running(topology, { broker: cluster }), await running(topology, { broker: cluster })]
  broker.topic('words').publishAll(words('that is the question that is'))
  await broker.settled()
  expect(await table(broker, 'counts')).toEqual({ is: 2, question: 1, that: 2, the: 1 })
  await Promise.all([one.streams.close(), two.streams.close()])
})
