import { type Codec, isMillraceError, jsonCodec } from 'millrace'
import {
  type KeyValueStore,
  keyValueStore,
  type ProcessorContext,
  type Store,
  StreamsBuilder,
  sessionStore,
  TopologyTestDriver,
  timeWindows,
  untilWindowCloses,
  windowStore,
} from 'millrace/streams'
import { describe, expect, test } from 'vitest'

type Topics = { in: any; other: any; out: any; more: any }
type Context = ProcessorContext<any, string | null>

/** Runs what `act` does with a processor's context for each record. */
function processing(
  act: (context: Context, value: any, key: string | null) => void,
  stores: readonly Store<any>[] = [],
  init: (context: Context) => void = () => {},
) {
  const builder = new StreamsBuilder<Topics>()
  builder
    .stream('in')
    .process<any, string | null>(() => {
      let own: Context
      return {
        init(context) {
          own = context
          init(context)
        },
        process: (value, key) => act(own, value, key),
      }
    }, stores)
    .to('out')
  return builder.build()
}
const written = (driver: TopologyTestDriver<Topics>, topic: 'out' | 'more' = 'out'): unknown[][] =>
  driver.read(topic).map(({ key, value, timestamp }) => [key, value, timestamp])

describe('records', () => {
  test('go by the wall clock where they have no time of their own', () => {
    const builder = new StreamsBuilder<Topics>()
    builder.stream('in').to('out')
    const driver = new TopologyTestDriver(builder.build(), { startMs: 100 })
    driver.pipe('in', { key: 'a', value: 1 })
    driver.advanceWallClock(20)
    driver.pipe('in', { key: 'a', value: 2 }, { key: 'a', value: 3, timestamp: 7 })
    expect(written(driver)).toEqual([
      ['a', 1, 100],
      ['a', 2, 120],
      ['a', 3, 7],
    ])
  })

  test('say where they come from, and pass on their headers in order', () => {
    const seen: unknown[] = []
    const builder = new StreamsBuilder<Topics>()
    const stream = builder.stream('in')
    stream.peek((_value, _key, context) => seen.push(context))
    stream.mapValues(value => value + 1).to('out')
    const driver = new TopologyTestDriver(builder.build(), { partitions: 3 })
    const headers: [string, string][] = [
      ['one', '1'],
      ['two', '2'],
      ['one', '3'],
    ]
    driver.pipe(
      'in',
      { key: 'a', value: 1, partition: 2, timestamp: 5, headers },
      { key: 'a', value: 2, partition: 2, headers: { h: null } },
    )
    expect(seen).toEqual([
      { topic: 'in', partition: 2, offset: 0, timestamp: 5, headers },
      { topic: 'in', partition: 2, offset: 1, timestamp: 0, headers: [['h', null]] },
    ])
    expect(driver.read('out').map(record => record.headers)).toEqual([headers, [['h', null]]])
  })

  test('of one key go to one partition, those without a key round; a sink may say otherwise', () => {
    const builder = new StreamsBuilder<Topics>()
    builder.stream('in').to('out')
    builder.stream('in').to('more', { partition: value => value % 2 })
    const driver = new TopologyTestDriver(builder.build(), { partitions: { in: 1, out: 3, more: 2 } })
    driver.pipe('in', ...[1, 2, 3, 4].map(value => ({ value })))
    expect(driver.read('out').map(record => record.partition)).toEqual([0, 1, 2, 0])
    expect(driver.read('more').map(record => record.partition)).toEqual([1, 0, 1, 0])
    driver.pipe('in', ...[1, 2, 3].map(value => ({ key: 'same', value })))
    expect(new Set(driver.read('out').map(record => record.partition)).size).toBe(1)
  })

  test('that are written to a topic that is read come round again', () => {
    const builder = new StreamsBuilder<Topics>()
    builder
      .stream('in')
      .filter(value => value > 0)
      .mapValues(value => value - 1)
      .to('in')
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'a', value: 3 })
    expect(driver.read('in').map(({ value, offset }) => [value, offset])).toEqual([
      [2, 1],
      [1, 2],
      [0, 3],
    ])
  })
})

describe('a callback that throws', () => {
  const seen = keyValueStore<number>('seen')
  /** Writes, forwards, and then throws for what is bad. */
  const topology = () =>
    processing(
      (context, value, key) => {
        const store = context.store(seen)
        store.put('count', (store.get('count') ?? 0) + 1)
        store.put(`${value}`, value)
        store.delete('gone')
        context.forward({ key, value })
        if (value === 'bad') throw new Error('bad')
      },
      [seen],
      context => context.store(seen).put('gone', 0),
    )

  test('has done nothing: no output, no change of state, no time', () => {
    const driver = new TopologyTestDriver<Topics>(topology())
    expect(() => driver.pipe('in', { key: 'a', value: 'bad', timestamp: 50 })).toThrow('in-0 offset 0')
    expect(written(driver)).toEqual([])
    expect([...driver.query(seen).range()]).toEqual([['gone', 0]])
    expect(driver.tasks[0]?.streamTime).toBe(-1)
    driver.pipe('in', { key: 'a', value: 'good', timestamp: 7 })
    expect(written(driver)).toEqual([['a', 'good', 7]])
    expect([...driver.query(seen).range()]).toEqual([
      ['count', 1],
      ['good', 'good'],
    ])
    expect(driver.tasks[0]?.streamTime).toBe(7)
    driver.moveTask('0_0')
    // init() has put it there anew.
    expect([...driver.query(seen).range()]).toEqual([
      ['count', 1],
      ['gone', 0],
      ['good', 'good'],
    ])
  })

  test('is told to onError, which may go on', () => {
    const told: unknown[] = []
    const onError = (error: unknown, record: unknown): 'continue' => {
      told.push([(error as Error).message, record])
      return 'continue'
    }
    const driver = new TopologyTestDriver<Topics>(topology(), { onError })
    driver.pipe('in', { key: 'a', value: 'one' }, { key: 'b', value: 'bad', timestamp: 3 }, { key: 'c', value: 'two' })
    expect(written(driver)).toEqual([
      ['a', 'one', 0],
      ['c', 'two', 0],
    ])
    const record = { topic: 'in', partition: 0, offset: 1, timestamp: 3, key: 'b', value: 'bad', headers: [] }
    expect(told).toEqual([['bad', record]])
  })

  test('and an onError that throws itself fails', () => {
    const driver = new TopologyTestDriver<Topics>(topology(), {
      onError() {
        throw new Error('of onError')
      },
    })
    expect(() => driver.pipe('in', { key: 'a', value: 'bad' })).toThrow('in-0 offset 0')
  })

  test('undoes what operators behind it in the topology had done', () => {
    const builder = new StreamsBuilder<Topics>()
    const stream = builder.stream('in')
    const counts = stream
      .groupByKey()
      .windowedBy(timeWindows({ sizeMs: 10 }))
      .count({ store: 'counts' })
    counts
      .suppress(untilWindowCloses())
      .toStream((_count, { key }) => key)
      .to('out')
    const latest = stream.toTable({ store: 'latest' })
    stream.peek(value => {
      if (value === 'bad') throw new Error('bad')
    })
    const driver = new TopologyTestDriver(builder.build(), { onError: () => 'continue' })
    driver.pipe('in', { key: 'a', value: 'good', timestamp: 1 })
    driver.pipe('in', { key: 'a', value: 'bad', timestamp: 2 }, { key: 'b', value: 'bad', timestamp: 100 })
    expect(written(driver)).toEqual([])
    expect([...driver.query(counts).range()]).toEqual([[{ key: 'a', start: 0, end: 10 }, 1]])
    expect([...driver.query(latest).range()]).toEqual([['a', 'good']])
    // Time has not moved on, so this one is not late.
    driver.pipe('in', { key: 'a', value: 'good', timestamp: 9 }, { key: 'c', value: 'good', timestamp: 10 })
    expect(written(driver)).toEqual([['a', 2, 9]])
  })

  test('in a punctuation is undone alone, has no record, and the schedule goes on', () => {
    const told: unknown[] = []
    const store = keyValueStore<number>('fired')
    let bad = true
    const built = processing(
      () => {},
      [store],
      context => {
        context.schedule(10, 'wall clock time', now => {
          context.store(store).put(`${now}`, now)
          context.forward({ key: 'tick', value: now })
          if (bad) throw new Error('bad')
        })
        context.schedule(10, 'wall clock time', now => context.forward({ key: 'tock', value: now }))
      },
    )
    const driver = new TopologyTestDriver<Topics>(built, {
      onError(error, record) {
        told.push([(error as Error).message, record])
        return 'continue'
      },
    })
    driver.advanceWallClock(10)
    expect(written(driver)).toEqual([['tock', 10, 10]])
    bad = false
    driver.advanceWallClock(10)
    expect(written(driver)).toEqual([
      ['tick', 20, 20],
      ['tock', 20, 20],
    ])
    expect([...driver.query(store).range()]).toEqual([['20', 20]])
    expect(told).toEqual([['bad', undefined]])
  })

  test('in a punctuation fails where nobody says otherwise, and says where', () => {
    const built = processing(
      () => {},
      [],
      context => {
        context.schedule(10, 'stream time', () => {
          throw new Error('bad')
        })
      },
    )
    const driver = new TopologyTestDriver<Topics>(built)
    let thrown: unknown
    try {
      driver.pipe('in', { value: 1 })
    } catch (error) {
      thrown = error
    }
    expect(isMillraceError(thrown, 'HANDLER_FAILED') && thrown.message).toContain('punctuation of task 0_0')
  })

  test('takes back the schedules that it made and cancelled', () => {
    const fired: number[] = []
    let cancel: () => void
    const built = processing(
      (context, value) => {
        if (value === 'bad') {
          cancel()
          context.schedule(1, 'stream time', now => fired.push(1_000 + now))
          throw new Error('bad')
        }
        if (value === 'cancel') cancel()
      },
      [],
      context => {
        cancel = context.schedule(10, 'stream time', now => fired.push(now))
      },
    )
    const driver = new TopologyTestDriver<Topics>(built, { onError: () => 'continue' })
    driver.pipe('in', { value: 'bad', timestamp: 5 }, { value: 'good', timestamp: 6 }, { value: 'good', timestamp: 12 })
    expect(fired).toEqual([6, 12])
    driver.pipe('in', { value: 'cancel', timestamp: 13 }, { value: 'good', timestamp: 40 })
    driver.moveTask('0_0')
    driver.pipe('in', { value: 'good', timestamp: 80 })
    expect(fired).toEqual([6, 12])
  })
})

describe('what the driver hands out is frozen, deeply', () => {
  const tampering = (build: (builder: StreamsBuilder<Topics>) => void): void => {
    const builder = new StreamsBuilder<Topics>()
    build(builder)
    const driver = new TopologyTestDriver(builder.build())
    let cause: unknown
    try {
      driver.pipe('in', { key: 'a', value: { list: [{ n: 1 }] } })
    } catch (error) {
      cause = (error as Error).cause
    }
    expect(cause).toBeInstanceOf(TypeError)
    expect((cause as Error).message).toMatch(/read only|not extensible|Cannot (add|delete)/)
  }

  test.each([
    ['a value piped in', b => b.stream('in').peek(value => value.list.push(1))],
    ['what is within it', b => b.stream('in').peek(value => void Object.assign(value.list[0], { n: 2 }))],
    [
      'what a callback made',
      b =>
        b
          .stream('in')
          .mapValues(() => ({ n: 1 }))
          .peek(value => void Object.assign(value, { n: 2 })),
    ],
    [
      'an aggregate',
      b =>
        b
          .stream('in')
          .groupByKey()
          .aggregate(
            () => [] as any[],
            (all, value) => {
              all.push(value)
              return all
            },
          ),
    ],
    ['the context', b => b.stream('in').peek((_v, _k, context) => void Object.assign(context, { timestamp: 9 }))],
    [
      'a window',
      b =>
        b
          .stream('in')
          .groupByKey()
          .windowedBy(timeWindows({ sizeMs: 5 }))
          .count()
          .toStream()
          .peek((_count, window) => void Object.assign(window, { end: 9 })),
    ],
    [
      'a row of a table',
      b => {
        const table = b.stream('in').toTable({ store: 'rows' })
        table.filter(value => Boolean(Object.assign(value.list[0], { n: 5 })))
      },
    ],
  ] satisfies [string, (b: StreamsBuilder<Topics>) => void][])('%s', (_, build) => tampering(build))

  test('what was read, too; and what has a class of its own is left alone', () => {
    const builder = new StreamsBuilder<Topics>()
    builder.stream('in').to('out')
    const driver = new TopologyTestDriver(builder.build())
    const map = new Map([['a', { n: 1 }]])
    const loop: any = { map }
    loop.self = loop
    driver.pipe('in', { value: loop })
    const [record] = driver.read('out')
    expect(record?.value).toBe(loop)
    expect(Object.isFrozen(loop)).toBe(true)
    expect(Object.isFrozen(map.get('a'))).toBe(false)
    map.set('b', { n: 2 })
  })
})

describe('stores of processors', () => {
  test('rows by key: ranges in the order of UTF-8 bytes, both ends included', () => {
    const store = keyValueStore<number>('rows')
    const found: unknown[] = []
    const driver = new TopologyTestDriver<Topics>(
      processing(
        context => {
          const rows: KeyValueStore<number> = context.store(store)
          // By UTF-16 units the emoji would come before the letter of full width.
          for (const [i, key] of ['ｚ', '😀', 'b', 'a', 'ab', ''].entries()) rows.put(key, i)
          const keys = (range: Parameters<typeof rows.range>[0]): string[] =>
            Array.from(rows.range(range), ([key]) => key)
          found.push(keys({}), keys({ from: 'a', to: 'b' }), keys({ prefix: 'a' }), keys({ reverse: true }), rows.size)
          found.push(rows.delete('a'), rows.delete('a'), rows.get('a'), rows.size)
          rows.put('b', null)
          found.push(rows.get('b'))
        },
        [store],
      ),
    )
    driver.pipe('in', { value: 1 })
    const sorted = ['', 'a', 'ab', 'b', 'ｚ', '😀']
    expect(found).toEqual([
      sorted,
      ['a', 'ab', 'b'],
      ['a', 'ab'],
      [...sorted].reverse(),
      6,
      3,
      undefined,
      undefined,
      5,
      undefined,
    ])
  })

  test('windows and sessions, queried from outside', () => {
    const windows = windowStore<string>('windows', { sizeMs: 10, retentionMs: 100 })
    const sessions = sessionStore<string>('sessions', { retentionMs: 100 })
    const driver = new TopologyTestDriver<Topics>(
      processing(
        (context, value, key) => {
          context.store(windows).put(key!, value, 10)
          context.store(sessions).put({ key: key!, start: 3, end: 8 }, value)
        },
        [windows, sessions],
      ),
      { partitions: 2 },
    )
    driver.pipe('in', { key: 'b', value: 'one', partition: 0 }, { key: 'a', value: 'two', partition: 1 })
    const window = { start: 10, end: 20 }
    expect([...driver.query(windows).range()]).toEqual([
      [{ key: 'a', ...window }, 'two'],
      [{ key: 'b', ...window }, 'one'],
    ])
    expect(driver.query(windows).get('a', 10)).toBe('two')
    expect([...driver.query(sessions).range({ from: 8 })]).toEqual([
      [{ key: 'a', start: 3, end: 8 }, 'two'],
      [{ key: 'b', start: 3, end: 8 }, 'one'],
    ])
    expect([...driver.query(sessions).range({ from: 9 })]).toEqual([])
  })

  test('a processor is made for each task, and closed with the driver', () => {
    const log: string[] = []
    const builder = new StreamsBuilder<Topics>()
    builder.stream('in').process(() => {
      let id: string
      return {
        init(context) {
          id = context.taskId
          log.push(`init ${id} ${context.streamTime} ${context.wallClockTime}`)
        },
        process: (value: any) => void log.push(`${id} ${value}`),
        close: () => void log.push(`close ${id}`),
      }
    })
    const driver = new TopologyTestDriver(builder.build(), { partitions: 2, startMs: 9 })
    driver.pipe('in', { value: 'one', partition: 1 })
    driver.moveTask('0_1')
    driver.close()
    expect(log).toEqual(['init 0_0 -1 9', 'init 0_1 -1 9', '0_1 one', 'init 0_1 9 9', 'close 0_0', 'close 0_1'])
  })

  test('a fixed key: forwards belong to a record', () => {
    const builder = new StreamsBuilder<Topics>()
    let punctuated: unknown
    builder
      .stream('in')
      .processValues<string>(() => {
        let forward: (record: { value: string; timestamp?: number }) => void
        return {
          init(context) {
            forward = context.forward
            context.schedule(1, 'wall clock time', () => {
              try {
                forward({ value: 'late' })
              } catch (error) {
                punctuated = error
              }
            })
          },
          process(value) {
            forward({ value: `${value}!` })
            forward({ value: `${value}?`, timestamp: 3 })
          },
        }
      })
      .to('out')
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'k', value: 'hey', timestamp: 9 })
    driver.advanceWallClock(1)
    expect(written(driver)).toEqual([
      ['k', 'hey!', 9],
      ['k', 'hey?', 3],
    ])
    expect(punctuated).toBeInstanceOf(TypeError)
  })
})

describe('codecs', () => {
  /** Of things that are no JSON. */
  const dates: Codec<Date> = {
    encode: date => new TextEncoder().encode(date.toISOString()),
    decode: bytes => new Date(new TextDecoder().decode(bytes)),
  }

  test('go through repartition topics and changelogs; what comes back is equal, and not the same', () => {
    const builder = new StreamsBuilder<Topics>()
    const latest = builder
      .stream('in')
      .groupBy((_date: Date) => 'all', { codec: dates })
      .reduce((one, other) => (one > other ? one : other), { store: 'latest', codec: dates })
    latest.toStream().to('out')
    const driver = new TopologyTestDriver(builder.build(), { partitions: 3 })
    const [first, second] = [new Date(5), new Date(3)]
    driver.pipe('in', { value: first })
    expect(written(driver)).toEqual([['all', first, 0]])
    for (const { id } of driver.tasks) driver.moveTask(id)
    driver.pipe('in', { value: second })
    expect(written(driver)).toEqual([['all', first, 0]])
    expect(driver.query(latest).get('all')).not.toBe(first)
  })

  test('one that fails leaves nothing behind', () => {
    const codec: Codec<any> = {
      ...jsonCodec(),
      encode(value) {
        if (value > 1) throw new Error('too much')
        return jsonCodec().encode(value)
      },
    }
    const builder = new StreamsBuilder<Topics>()
    const counts = builder.stream('in').groupByKey().count({ store: 'counts', codec })
    counts.toStream().to('out')
    const driver = new TopologyTestDriver(builder.build(), { onError: () => 'continue' })
    driver.pipe('in', { key: 'a', value: 1 }, { key: 'a', value: 1 }, { key: 'b', value: 1 })
    expect(written(driver)).toEqual([
      ['a', 1, 0],
      ['b', 1, 0],
    ])
    expect([...driver.query(counts).range()]).toEqual([
      ['a', 1],
      ['b', 1],
    ])
  })
})

describe('moved tasks', () => {
  test('lose what is not logged, and no more', () => {
    const logged = keyValueStore<number>('logged')
    const unlogged = keyValueStore<number>('unlogged', { logging: false })
    const driver = new TopologyTestDriver<Topics>(
      processing(
        (context, value, key) => {
          context.store(logged).put(key!, value)
          context.store(unlogged).put(key!, value)
        },
        [logged, unlogged],
      ),
      { partitions: 2 },
    )
    driver.pipe('in', { key: 'a', value: 1, partition: 0, timestamp: 8 }, { key: 'b', value: 2, partition: 1 })
    driver.moveTask('0_0')
    expect([...driver.query(logged).range()]).toEqual([
      ['a', 1],
      ['b', 2],
    ])
    expect([...driver.query(unlogged).range()]).toEqual([['b', 2]])
    expect(driver.tasks).toEqual([
      { id: '0_0', partitions: [{ topic: 'in', partition: 0 }], state: 'running', streamTime: 8 },
      { id: '0_1', partitions: [{ topic: 'in', partition: 1 }], state: 'running', streamTime: 0 },
    ])
  })

  test('fire by stream time when they would have, and by the wall clock anew', () => {
    const driver = new TopologyTestDriver<Topics>(
      processing(
        () => {},
        [],
        context => {
          context.schedule(10, 'stream time', now => context.forward({ key: 'stream', value: now }))
          context.schedule(10, 'wall clock time', now => context.forward({ key: 'wall', value: now }))
        },
      ),
    )
    driver.pipe('in', { value: 1, timestamp: 12 })
    driver.advanceWallClock(6)
    driver.moveTask('0_0')
    driver.pipe('in', { value: 1, timestamp: 19 }, { value: 1, timestamp: 20 })
    driver.advanceWallClock(6)
    expect(written(driver)).toEqual([
      ['stream', 12, 12],
      ['stream', 20, 20],
    ])
    driver.advanceWallClock(4)
    expect(written(driver)).toEqual([['wall', 16, 16]])
  })
})
