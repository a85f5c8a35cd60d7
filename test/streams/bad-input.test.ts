import { type ErrorCode, isMillraceError } from 'millrace'
import {
  joinWindows,
  keyValueStore,
  type Processor,
  type ProcessorContext,
  StreamsBuilder,
  sessionStore,
  sessionWindows,
  slidingWindows,
  TopologyTestDriver,
  timeWindows,
  untilTimeLimit,
  untilWindowCloses,
  windowStore,
} from 'millrace/streams'
import { describe, expect, test } from 'vitest'

type Topics = { a: any; b: any; c: any }
const make = (): StreamsBuilder<Topics> => new StreamsBuilder<Topics>()

/** What it throws: its code, and a message with these words. */
function refused(act: () => unknown, code: ErrorCode, ...words: string[]): Error {
  const error = thrownBy(act)
  if (!isMillraceError(error, code)) throw new Error(`Expected ${code}, got ${String(error)}`, { cause: error })
  for (const word of words) expect(error.message).toContain(word)
  return error
}
function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('Nothing was thrown')
}

describe('topologies that can not run', () => {
  test('no source', () => void refused(() => make().build(), 'TOPOLOGY', 'no topic'))

  test('a name twice', () => {
    const builder = make()
    builder
      .stream('a')
      .filter(() => true, { name: 'mine' })
      .mapValues(value => value, { name: 'mine' })
    refused(() => builder.build(), 'INVALID_CONFIG', 'name', '"mine"')
  })

  test('a store twice: by two handles, by two tables, by a handle and a table', () => {
    const twoHandles = make()
    for (const store of [keyValueStore('same'), keyValueStore('same')])
      twoHandles.stream('a').process(() => ({ process() {} }), [store])
    refused(() => twoHandles.build(), 'INVALID_CONFIG', 'store', '"same"')
    const twoTables = make()
    twoTables.stream('a').groupByKey().count({ store: 'same' })
    twoTables.globalTable('b', { store: 'same' })
    refused(() => twoTables.build(), 'INVALID_CONFIG', 'store', '"same"')
    const mixed = make()
    mixed.table('b', { store: 'same' })
    mixed.stream('a').process(() => ({ process() {} }), [keyValueStore('same')])
    refused(() => mixed.build(), 'INVALID_CONFIG', 'store', '"same"')
  })

  test('one handle named by two processors is one store', () => {
    const store = keyValueStore('same')
    const builder = make()
    builder.stream('a').process(() => ({ process() {} }), [store])
    builder.stream('a').process(() => ({ process() {} }), [store, store])
    expect(builder.build().describe()).toContain('stores: [same]')
  })

  test('a topic read by a stream and a table, or by streams of overlapping lists', () => {
    const both = make()
    both.stream('a')
    both.table('a')
    refused(() => both.build(), 'TOPOLOGY', 'topic a')
    const lists = make()
    lists.stream(['a', 'b'])
    lists.stream(['b', 'c'])
    refused(() => lists.build(), 'TOPOLOGY', 'a, b', 'b, c')
    const ends = make()
    ends.stream('a', { from: 'earliest' })
    ends.stream('a', { from: 'latest' })
    refused(() => ends.build(), 'TOPOLOGY', 'KSTREAM-SOURCE-0000000000', 'from')
  })

  test('joined repartition topics with other partitions, at build()', () => {
    const builder = make()
    const [left, right] = [2, 3].map(partitions =>
      builder.stream('a').repartition({ partitions, name: `of-${partitions}` }),
    )
    left!.join(right!, (one, other) => [one, other], joinWindows({ differenceMs: 1 }))
    refused(() => builder.build(), 'TOPOLOGY', 'of-2-repartition has 2', 'of-3-repartition has 3')
  })

  test.each([
    [
      'streams',
      (b: StreamsBuilder<Topics>) => b.stream('a').join(b.stream('b'), () => 1, joinWindows({ differenceMs: 1 })),
    ],
    ['a stream and a table', (b: StreamsBuilder<Topics>) => b.stream('a').leftJoin(b.table('b'), () => 1)],
    ['tables', (b: StreamsBuilder<Topics>) => b.table('a').outerJoin(b.table('b'), () => 1)],
    [
      'a cogroup',
      (b: StreamsBuilder<Topics>) =>
        b
          .stream('a')
          .groupByKey()
          .cogroup((n: number) => n + 1)
          .cogroup(b.stream('b').groupByKey(), n => n)
          .aggregate(() => 0),
    ],
  ])('joined topics with other partitions, as soon as these are known: %s', (_, join) => {
    const builder = make()
    join(builder)
    const topology = builder.build()
    refused(() => new TopologyTestDriver(topology, { partitions: { a: 2, b: 3 } }), 'TOPOLOGY', 'a has 2', 'b has 3')
    expect(() => new TopologyTestDriver(topology, { partitions: 2 })).not.toThrow()
  })

  test('suppress until a window closes, without a window', () => {
    const table = make().table('a')
    refused(() => table.suppress(untilWindowCloses()), 'TOPOLOGY', 'KTABLE-SOURCE-0000000002')
    const windowed = make()
      .stream('a')
      .groupByKey()
      .windowedBy(timeWindows({ sizeMs: 1 }))
      .count()
    const byKey = windowed.groupBy((count, { key }) => [key, count]).count()
    refused(() => byKey.suppress(untilWindowCloses()), 'TOPOLOGY', 'KTABLE-AGGREGATE')
    expect(() => byKey.suppress(untilTimeLimit(5))).not.toThrow()
  })

  test('streams and tables of another builder', () => {
    const [mine, other] = [make(), make()]
    const stream = mine.stream('a')
    const windows = joinWindows({ differenceMs: 1 })
    refused(() => stream.merge(other.stream('a')), 'TOPOLOGY', 'merge()')
    refused(() => stream.join(other.stream('a'), () => 1, windows), 'TOPOLOGY', 'join()')
    refused(() => stream.leftJoin(other.table('b'), () => 1), 'TOPOLOGY', 'leftJoin()')
    refused(
      () =>
        stream.join(
          other.globalTable('c'),
          () => 1,
          () => '',
        ),
      'TOPOLOGY',
      'join()',
    )
    refused(() => mine.table('b').join(other.table('c'), () => 1), 'TOPOLOGY', 'join()')
    const cogrouped = stream.groupByKey().cogroup((n: number) => n)
    refused(() => cogrouped.cogroup(other.stream('b').groupByKey(), n => n), 'TOPOLOGY', 'cogroup()')
  })

  test('a change after build(), which says the same when it is called again', () => {
    const builder = make()
    const stream = builder.stream('a')
    const table = builder.table('b')
    const grouped = stream.groupByKey()
    const groupedTable = table.groupBy(value => ['', value])
    const windowed = grouped.windowedBy(timeWindows({ sizeMs: 1 }))
    const topology = builder.build()
    expect(builder.build()).toBe(topology)
    const before = topology.describe()
    const acts: (() => unknown)[] = [
      () => builder.stream('c'),
      () => builder.table('c'),
      () => builder.globalTable('c'),
      () => stream.filter(() => true),
      () => stream.to('a'),
      () => stream.split({ one: () => true }),
      () => stream.process(() => ({ process() {} })),
      () => stream.toTable(),
      () => stream.groupBy(() => ''),
      () => stream.join(table, () => 1),
      () => table.filter(() => true),
      () => table.toStream(),
      () => table.suppress(untilTimeLimit(1)),
      () => grouped.count(),
      () => grouped.cogroup(() => 1),
      () => groupedTable.count(),
      () => windowed.count(),
    ]
    for (const act of acts) refused(act, 'TOPOLOGY', 'after build()')
    expect(topology.describe()).toBe(before)
  })
})

describe('arguments and options', () => {
  const wrong: any = 'nothing of the kind'

  test('a callback that is no function is named, and nothing has changed', () => {
    const builder = make()
    const stream = builder.stream('a')
    const table = builder.table('b')
    const grouped = stream.groupByKey()
    const acts: [string, () => unknown][] = [
      ['accept of filter()', () => stream.filter(wrong)],
      ['reject of filterNot()', () => stream.filterNot(wrong)],
      ['map of map()', () => stream.map(wrong)],
      ['map of mapValues()', () => stream.mapValues(wrong)],
      ['map of flatMap()', () => stream.flatMap(wrong)],
      ['map of flatMapValues()', () => stream.flatMapValues(wrong)],
      ['key of selectKey()', () => stream.selectKey(wrong)],
      ['look of peek()', () => stream.peek(wrong)],
      ['act of forEach()', () => stream.forEach(wrong)],
      ['one of split()', () => stream.split({ one: wrong })],
      ['key of groupBy()', () => stream.groupBy(wrong)],
      ['processor of process()', () => stream.process(wrong)],
      ['processor of processValues()', () => stream.processValues(wrong)],
      ['partition of to()', () => stream.to('a', { partition: wrong })],
      ['partition of repartition()', () => stream.repartition({ partition: wrong })],
      ['join of join()', () => stream.join(table, wrong)],
      ['on of leftJoin()', () => stream.leftJoin(builder.globalTable('c'), () => 1, wrong)],
      ['reduce', () => grouped.reduce(wrong)],
      ['initial of aggregate()', () => grouped.aggregate(wrong, () => 1)],
      ['add of aggregate()', () => grouped.aggregate(() => 1, wrong)],
      [
        'merge of aggregate()',
        () =>
          grouped.windowedBy(sessionWindows({ gapMs: 1 })).aggregate(
            () => 1,
            () => 1,
            wrong,
          ),
      ],
      ['add of cogroup()', () => grouped.cogroup(wrong)],
      ['map of groupBy()', () => table.groupBy(wrong)],
      ['subtract of reduce()', () => table.groupBy(() => ['', 1]).reduce(() => 1, wrong)],
      ['accept of filter()', () => table.filter(wrong)],
      ['timestamp of stream()', () => builder.stream('c', { timestamp: wrong })],
    ]
    for (const [what, act] of acts) refused(act, 'INVALID_CONFIG', what, '"nothing of the kind"')
  })

  test('names that no topic could have', () => {
    const stream = make().stream('a')
    for (const name of ['', '.', '..', 'two words', 'é', 'x'.repeat(250)])
      refused(() => stream.filter(() => true, { name }), 'INVALID_CONFIG', 'name', JSON.stringify(name))
    refused(() => keyValueStore('a/b'), 'INVALID_CONFIG', 'store', '"a/b"')
    refused(() => stream.groupByKey().count({ store: '' }), 'INVALID_CONFIG', 'store')
    refused(() => make().stream('' as 'a'), 'INVALID_TOPIC_EXCEPTION')
    refused(() => make().stream([]), 'INVALID_CONFIG', 'at least one')
    refused(() => stream.to(7 as any), 'INVALID_TOPIC_EXCEPTION', '7')
  })

  test('branches that an object would reorder, and one named as what is left', () => {
    const stream = make().stream('a')
    for (const branch of ['rest', '0', '17'])
      refused(() => stream.split({ [branch]: () => true }), 'INVALID_CONFIG', JSON.stringify(branch))
    expect(Object.keys(stream.split({ b: () => true, a: () => true }))).toEqual(['b', 'a', 'rest'])
  })

  test('options out of their range', () => {
    const stream = make().stream('a')
    const grouped = stream.groupByKey()
    refused(
      () => grouped.windowedBy(timeWindows({ sizeMs: 1 }), { emit: 'later' as any }),
      'INVALID_CONFIG',
      'emit',
      '"later"',
    )
    refused(() => grouped.windowedBy({ kind: 'hours' } as any), 'INVALID_CONFIG', 'timeWindows()')
    refused(
      () => grouped.windowedBy({ kind: 'time', sizeMs: 0, advanceMs: 0, graceMs: 0 } as any),
      'INVALID_CONFIG',
      'sizeMs',
    )
    refused(() => stream.join(stream, () => 1, {} as any), 'INVALID_CONFIG', 'joinWindows()')
    refused(() => grouped.count({ codec: {} as any }), 'INVALID_CONFIG', 'codec')
    refused(() => grouped.count({ logging: 'no' as any }), 'INVALID_CONFIG', 'logging', '"no"')
    refused(() => make().stream('a', { from: 'now' as any }), 'INVALID_CONFIG', 'from', '"now"')
    refused(() => stream.repartition({ partitions: 0 }), 'INVALID_PARTITIONS', '0')
    refused(() => stream.process(() => ({ process() {} }), {} as any), 'INVALID_CONFIG', 'stores')
    refused(() => stream.process(() => ({ process() {} }), ['seen'] as any), 'INVALID_CONFIG', 'keyValueStore()')
    refused(() => stream.filter(() => true, 'odd' as any), 'INVALID_CONFIG', 'options of filter()', '"odd"')
    refused(
      () =>
        make()
          .table('a')
          .suppress({} as any),
      'INVALID_CONFIG',
      'untilWindowCloses()',
    )
  })

  test.each([
    ['time', timeWindows({ sizeMs: 60_000, graceMs: 5_000 }), 65_000],
    ['sliding', slidingWindows({ differenceMs: 60_000, graceMs: 5_000 }), 125_000],
  ])('a retention below what the windows need: %s', (_, windows, least) => {
    const windowed = make().stream('a').groupByKey().windowedBy(windows)
    refused(() => windowed.count({ retentionMs: least - 1 }), 'INVALID_CONFIG', 'retentionMs', String(least))
    expect(() => windowed.count({ retentionMs: least })).not.toThrow()
  })

  test('options of windows and stores: none at all, and one that is misspelt', () => {
    for (const make of [timeWindows, slidingWindows, sessionWindows, joinWindows] as ((options?: any) => unknown)[]) {
      for (const none of [undefined, null, 5]) refused(() => make(none), 'INVALID_CONFIG', 'options of', String(none))
      const all = { sizeMs: 5, differenceMs: 5, gapMs: 5 }
      refused(() => make({ ...all, graceMS: 5 }), 'INVALID_CONFIG', 'must be left out', 'graceMs')
    }
    refused(() => windowStore('w', undefined as any), 'INVALID_CONFIG', 'sizeMs', 'undefined')
    refused(() => sessionStore('s', undefined as any), 'INVALID_CONFIG', 'retentionMs', 'undefined')
  })

  test('stores of processors', () => {
    refused(() => windowStore('w', { sizeMs: 10, retentionMs: 9 }), 'INVALID_CONFIG', 'retentionMs', '9')
    refused(() => windowStore('w', { sizeMs: -1, retentionMs: 9 }), 'INVALID_CONFIG', 'sizeMs', '-1')
    refused(() => sessionStore('s', { retentionMs: 0.5 }), 'INVALID_CONFIG', 'retentionMs', '0.5')
  })
})

describe('the driver', () => {
  const counting = () => {
    const builder = make()
    const counts = builder.stream('a').groupByKey().count({ store: 'counts' })
    counts.toStream().to('b')
    return { counts, topology: builder.build() }
  }

  test('options', () => {
    const { topology } = counting()
    expect(() => new TopologyTestDriver({} as any)).toThrow(TypeError)
    refused(() => new TopologyTestDriver(topology, { partitions: 0 }), 'INVALID_PARTITIONS', '0')
    refused(() => new TopologyTestDriver(topology, { partitions: { a: 1.5 } }), 'INVALID_PARTITIONS', '1.5')
    refused(() => new TopologyTestDriver(topology, { startMs: -1 }), 'INVALID_CONFIG', 'startMs', '-1')
    refused(() => new TopologyTestDriver(topology, { onError: 'continue' as any }), 'INVALID_CONFIG', 'onError')
  })

  test('records: none of a call is taken in where one is bad', () => {
    const driver = new TopologyTestDriver(counting().topology, { partitions: 2 })
    const good = { key: 'k', value: 1 }
    expect(() => driver.pipe('a', good, { key: 'k' } as any)).toThrow('no value')
    expect(() => driver.pipe('a', good, { key: 7, value: 1 } as any)).toThrow('Keys of streams are text')
    expect(() => driver.pipe('a', good, 'text' as any)).toThrow(TypeError)
    expect(() => driver.pipe('a', good, { value: 1, headers: [['h', 7]] } as any)).toThrow('header')
    refused(() => driver.pipe('a', good, { value: 1, timestamp: -1 }), 'INVALID_RECORD', '-1')
    refused(() => driver.pipe('a', good, { value: 1, timestamp: 0.5 }), 'INVALID_RECORD', '0.5')
    refused(() => driver.pipe('a', good, { value: 1, partition: 2 }), 'UNKNOWN_TOPIC_OR_PARTITION', '2')
    expect(driver.read('b')).toEqual([])
    for (const topic of ['b', 'c', 'nowhere'] as any[])
      refused(() => driver.pipe(topic, good), 'UNKNOWN_TOPIC_OR_PARTITION', topic)
  })

  test('queries of what is no store, or one of another topology', () => {
    const builder = make()
    const plain = builder.table('a')
    const filtered = plain.filter(() => true)
    const driver = new TopologyTestDriver(builder.build())
    refused(() => driver.query(plain), 'UNKNOWN_STORE', 'KTABLE-SOURCE')
    const thrown = refused(() => driver.query(filtered), 'UNKNOWN_STORE', 'KTABLE-FILTER')
    expect(String(thrown.cause)).toContain('the option `store`')
    refused(() => driver.query(counting().counts), 'UNKNOWN_STORE', 'counts')
    refused(() => driver.query(keyValueStore('mine')), 'UNKNOWN_STORE', 'mine')
    refused(() => driver.query('counts' as any), 'UNKNOWN_STORE', 'There is no store "counts"')
  })

  test('tasks and times that there are not, and a driver that is closed', () => {
    const driver = new TopologyTestDriver(counting().topology)
    refused(() => driver.moveTask('9_9'), 'INVALID_CONFIG', '"9_9"', '0_0')
    refused(() => driver.advanceWallClock(-1), 'INVALID_CONFIG', '-1')
    driver.close()
    driver.close()
    refused(() => driver.pipe('a', { value: 1 }), 'CLOSED')
    refused(() => driver.moveTask('0_0'), 'CLOSED')
    refused(() => driver.advanceWallClock(1), 'CLOSED')
  })
})

test('an option of a name that is not known, which would be left out', () => {
  const typo = (option: string, known = 'name'): readonly string[] => [`${option} must be left out (`, `: ${known}`]
  const of = (name: string, value: unknown = 1): any => ({ [name]: value })
  const stores = 'name, store, codec, logging, retentionMs'
  const stream = () => make().stream('a')
  const hour = timeWindows({ sizeMs: 3_600_000 })
  const acts: [() => unknown, readonly string[]][] = [
    [() => timeWindows({ sizeMs: 1, ...of('grace') }), typo('grace', 'sizeMs, advanceMs, graceMs, kind')],
    [() => slidingWindows({ differenceMs: 1, ...of('grace') }), typo('grace', 'differenceMs, graceMs')],
    [() => sessionWindows({ gapMs: 1, ...of('gap') }), typo('gap', 'gapMs, graceMs')],
    [() => joinWindows({ beforeMs: 1, afterMs: 1, ...of('after') }), typo('after', 'differenceMs, beforeMs')],
    [() => untilTimeLimit(1, of('maxRows')), typo('maxRows', 'maxRecords')],
    [() => keyValueStore('s', of('retentionMs')), typo('retentionMs', 'codec, logging')],
    [() => make().stream('a', of('codec')), typo('codec', 'name, from, timestamp')],
    [() => make().table('a', of('storeName')), typo('storeName', stores)],
    [() => make().globalTable('a', of('name', 'x')), typo('name', 'store, codec')],
    [() => stream().mapValues(String, of('names')), typo('names')],
    [() => stream().to('b', of('partitions')), typo('partitions', 'name, partition')],
    [() => stream().repartition(of('partitionCount')), typo('partitionCount', 'name, codec, partitions, partition')],
    [() => stream().toTable(of('storeName')), typo('storeName', stores)],
    [() => stream().groupByKey(of('store')), typo('store', 'name, codec')],
    [() => stream().groupByKey().count(of('storeName')), typo('storeName', stores)],
    [() => stream().groupByKey().windowedBy(hour, of('emitOn')), typo('emitOn', 'emit')],
    [() => stream().groupByKey().windowedBy(hour).count(of('retention')), typo('retention', stores)],
    [
      () => {
        const builder = make()
        const windows = joinWindows({ differenceMs: 1 })
        builder.stream('a').join(builder.stream('b'), String, windows, of('storeName'))
      },
      typo('storeName', 'name, store, codec, otherCodec'),
    ],
    [() => make().table('a').filter(Boolean, of('storeName')), typo('storeName', stores)],
    [() => make().table('a').toStream(of('key')), typo('key')],
    [() => new TopologyTestDriver(builtOf(), of('partition')), typo('partition', 'partitions, startMs, onError')],
  ]
  for (const [act, words] of acts) refused(act, 'INVALID_CONFIG', ...words)
  // Undefined is as good as left out, and windows can be made of windows.
  expect(timeWindows({ ...hour, graceMs: 5, ...{ grace: undefined } })).toEqual({ ...hour, graceMs: 5 })
  expect(() => stream().mapValues(String, { name: undefined })).not.toThrow()
})
function builtOf() {
  const builder = make()
  builder.stream('a').to('b')
  return builder.build()
}

test('a callback that is async is told where it is handed over; it would return a promise', () => {
  const later = async (): Promise<any> => 1
  const words = ['not async', 'synchronous']
  const grouped = () => make().stream('a').groupByKey()
  const acts: (() => unknown)[] = [
    () => make().stream('a').mapValues(later),
    () =>
      make()
        .stream('a')
        .filter(later as any),
    () =>
      make()
        .stream('a')
        .to(later as any),
    () => make().stream('a', { timestamp: later as any }),
    () =>
      make()
        .stream('a')
        .split({ one: later as any }),
    () => make().table('a').mapValues(later),
    () =>
      make()
        .table('a')
        .toStream(later as any),
    () => {
      const builder = make()
      builder.table('a').join(builder.table('b'), String, later as any)
    },
    () => grouped().reduce(later),
    () => grouped().aggregate(() => 0, later as any),
    () =>
      grouped()
        .windowedBy(timeWindows({ sizeMs: 1 }))
        .reduce(later),
  ]
  for (const act of acts) refused(act, 'INVALID_CONFIG', ...words)
})

describe('callbacks at work', () => {
  /** What the driver throws when this record comes, and what is under it. */
  const failure = (build: (builder: StreamsBuilder<Topics>) => void, value: unknown = 1) => {
    const builder = make()
    build(builder)
    const driver = new TopologyTestDriver(builder.build(), { startMs: 5 })
    driver.pipe('a', { key: 'x', value: null })
    const error = thrownBy(() => driver.pipe('a', { key: 'k', value }))
    if (!isMillraceError(error, 'HANDLER_FAILED')) throw error
    expect(error.details).toEqual({ topic: 'a', partition: 0, offset: 1, attempts: 1 })
    expect([...driver.read('b')].filter(record => record.key === 'k')).toEqual([])
    return error.cause as Error
  }
  test('what a callback throws is the cause, and the message names its node and its record', () => {
    const thrown = new Error('no')
    const fail = () => {
      throw thrown
    }
    const from = (build: (builder: StreamsBuilder<Topics>) => void, pipe: (driver: TopologyTestDriver) => void) => {
      const builder = make()
      build(builder)
      const topology = builder.build()
      const error = refused(() => pipe(new TopologyTestDriver(topology)), 'HANDLER_FAILED', '')
      expect(error.cause).toBe(thrown)
      return error.message
    }
    const record = (driver: TopologyTestDriver) => driver.pipe('a', { key: 'k', value: 1 })
    const names: [string, (builder: StreamsBuilder<Topics>) => void, string][] = [
      ['first', b => b.stream('a').peek(fail, { name: 'first' }).mapValues(String).to('b'), 'a-0 offset 0'],
      ['KSTREAM-MAPVALUES-0000000002', b => b.stream('a').peek(String).mapValues(fail).to('b'), 'a-0 offset 0'],
      [
        'KSTREAM-AGGREGATE-0000000002',
        b =>
          b
            .stream('a')
            .groupByKey()
            .aggregate(() => 0, fail),
        'a-0 offset 0',
      ],
      ['KSTREAM-SINK-0000000001', b => b.stream('a').to(fail), 'a-0 offset 0'],
      ['KSTREAM-SOURCE-0000000000', b => b.stream('a', { timestamp: fail }).to('b'), 'a-0 offset 0'],
      [
        'yes',
        b =>
          b
            .stream('a')
            .split({ even: () => true }, { name: 'c' })
            .even.filter(fail, { name: 'yes' }),
        'a-0 offset 0',
      ],
      ['maker', b => b.stream('a').process(() => fail(), [], { name: 'maker' }), 'init of task 0_0'],
      [
        'timer',
        b =>
          b
            .stream('a')
            .process(() => ({ init: context => void context.schedule(1, 'stream time', fail), process() {} }), [], {
              name: 'timer',
            }),
        'punctuation of task 0_0',
      ],
    ]
    for (const [node, build, where] of names)
      expect(from(build, record)).toMatch(
        new RegExp(`^${node} failed (at|on) ${where}( \\(attempts: 1\\))?; see cause$`),
      )
    const closing = (b: StreamsBuilder<Topics>) =>
      void b.stream('a').process(() => ({ process() {}, close: fail }), [], { name: 'closer' })
    expect(from(closing, driver => driver.close())).toBe('closer failed at close of task 0_0; see cause')
  })

  test('a processor that catches what comes after it, and then throws itself, is named itself', () => {
    const builder = make()
    const own = new Error('own')
    builder
      .stream('a')
      .process<number, string | null>(
        () => {
          let forward: ProcessorContext<number, string | null>['forward']
          return {
            init: context => {
              forward = context.forward
            },
            process(_value, key) {
              expect(() => forward({ key, value: 1 })).toThrow('theirs')
              throw own
            },
          }
        },
        [],
        { name: 'catcher' },
      )
      .forEach(() => {
        throw new Error('theirs')
      })
    const driver = new TopologyTestDriver(builder.build())
    const error = refused(() => driver.pipe('a', { value: 1 }), 'HANDLER_FAILED', 'catcher failed on a-0 offset 0')
    expect(error.cause).toBe(own)
  })

  const onlyFor = (value: unknown, result: any, otherwise: any): any => (value === null ? otherwise : result)

  test('a promise is a TypeError that names the node', () => {
    const acts: [string, (builder: StreamsBuilder<Topics>) => void][] = [
      [
        'KSTREAM-FILTER-0000000001',
        b =>
          b
            .stream('a')
            .filter(v => onlyFor(v, Promise.resolve(true), true))
            .to('b'),
      ],
      [
        'KSTREAM-MAPVALUES-0000000001',
        b =>
          b
            .stream('a')
            .mapValues(v => onlyFor(v, Promise.resolve(1), 1))
            .to('b'),
      ],
      [
        'KSTREAM-PEEK-0000000001',
        b =>
          b
            .stream('a')
            .peek(v => (v === null ? undefined : (Promise.reject(new Error('late')) as any)))
            .to('b'),
      ],
      [
        'KSTREAM-KEY-SELECT-0000000001',
        b =>
          b
            .stream('a')
            .selectKey(v => onlyFor(v, Promise.resolve('x'), 'x'))
            .to('b'),
      ],
      [
        'mine',
        b =>
          b
            .stream('a')
            .groupByKey()
            .aggregate(
              () => Promise.resolve(0),
              n => n,
              { name: 'mine' },
            )
            .toStream()
            .to('b'),
      ],
      [
        'mine',
        b =>
          b.stream('a').process(() => ({ process: (v: unknown) => onlyFor(v, Promise.resolve(), undefined) }), [], {
            name: 'mine',
          }),
      ],
    ]
    for (const [node, build] of acts) {
      const cause = failure(build)
      expect(cause).toBeInstanceOf(TypeError)
      expect(cause.message).toContain(`${node}: callbacks are synchronous`)
    }
  })

  test('results of another kind', () => {
    const wrongKey = failure(b =>
      b
        .stream('a')
        .selectKey(v => onlyFor(v, 7, 'x'))
        .to('b'),
    )
    expect(wrongKey).toBeInstanceOf(TypeError)
    expect(wrongKey.message).toContain('KSTREAM-KEY-SELECT-0000000001: A key is a text')
    expect(
      failure(b =>
        b
          .stream('a')
          .map<any, string | null>(v => onlyFor(v, 'pair', ['x', 1]))
          .to('b'),
      ).message,
    ).toContain('[key, value]; got "pair"')
    expect(
      failure(b =>
        b
          .stream('a')
          .flatMapValues(v => onlyFor(v, 7, []) as any)
          .to('b'),
      ).message,
    ).toContain('iterable; got 7')
    const windowed = failure(b =>
      b
        .stream('a')
        .map(v => [onlyFor(v, { key: 'k', start: 0, end: 1 }, 'x'), 1])
        .to('b' as never),
    )
    expect(windowed.message).toContain('the key of a topic is a text or null')
  })

  test.each([-1, 0.5, Number.NaN, undefined, '5'])('a timestamp that is none: %s', given => {
    const cause = failure(b => b.stream('a', { timestamp: v => onlyFor(v, given, 1) as number }).to('b'))
    expect(isMillraceError(cause, 'INVALID_RECORD')).toBe(true)
    expect(cause.message).toContain('KSTREAM-SOURCE-0000000000')
    expect(cause.message).toContain('a-0 offset 1')
  })

  test('partitions and topics that a sink does not have', () => {
    const partition = failure(b => b.stream('a').to('b', { partition: v => onlyFor(v, 1, 0) }))
    expect(isMillraceError(partition, 'UNKNOWN_TOPIC_OR_PARTITION')).toBe(true)
    expect(partition.cause).toMatchObject({
      message:
        "KSTREAM-SINK-0000000001 can't write to topic b for the record at a-0 offset 1: There is no partition 1 of topic b",
    })
    const topic = failure(b => b.stream('a').to(v => onlyFor(v, 'no topic', 'b'), { name: 'mine' }))
    expect(isMillraceError(topic, 'INVALID_TOPIC_EXCEPTION')).toBe(true)
    expect(topic.cause).toMatchObject({ message: expect.stringContaining("mine can't write to topic no topic") })
    const half = failure(b => b.stream('a').to('b', { partition: v => onlyFor(v, 0.5, 0) }))
    expect(half.message).toMatch(/^KSTREAM-SINK-0000000001: .*0\.5/)
    const number = failure(b => b.stream('a').to(v => onlyFor(v, 7, 'b')))
    expect(number.message).toMatch(/^KSTREAM-SINK-0000000001: .*gives a topic; got 7/)
  })

  test('a store that a processor has not named', () => {
    const named = keyValueStore('named')
    const other = keyValueStore('other')
    class Asks implements Processor<any, string | null> {
      #context!: ProcessorContext<never, string | null>
      init(context: ProcessorContext<never, string | null>): void {
        this.#context = context
        context.store(named)
      }
      process(value: unknown): void {
        if (value !== null) this.#context.store(other)
      }
    }
    const cause = failure(b => b.stream('a').process(() => new Asks(), [named]))
    expect(isMillraceError(cause, 'UNKNOWN_STORE')).toBe(true)
    expect(cause.message).toContain('other')
    expect((cause.cause as Error).message).toContain('KSTREAM-PROCESSOR-0000000001')
  })

  test('what an async processor does after its first await is refused, too', async () => {
    const store = keyValueStore<number>('rows')
    const refusals: unknown[] = []
    const builder = make()
    builder
      .stream('a')
      .process<any, string | null>(() => {
        let own: ProcessorContext<any, string | null>
        return {
          init(context) {
            own = context
          },
          async process() {
            const rows = own.store(store)
            await undefined
            const acts = [
              () => rows.put('k', 1),
              () => rows.delete('k'),
              () => own.forward({ key: 'k', value: 1 }),
              () => own.schedule(1, 'stream time', () => {}),
            ]
            for (const act of acts) refusals.push(thrownBy(act))
          },
        }
      }, [store])
      .to('b')
    const driver = new TopologyTestDriver(builder.build(), { onError: () => 'continue' })
    driver.pipe('a', { key: 'k', value: 1 })
    await Promise.resolve()
    await Promise.resolve()
    expect(refusals).toHaveLength(4)
    for (const refusal of refusals) expect(refusal).toBeInstanceOf(TypeError)
    driver.advanceWallClock(1)
    expect(driver.read('b')).toEqual([])
    expect(driver.query(store).size).toBe(0)
  })

  test('a throw in init always fails, whatever onError says', () => {
    const builder = make()
    builder.stream('a').process(() => {
      return {
        init() {
          throw new Error('no')
        },
        process() {},
      }
    })
    const topology = builder.build()
    refused(() => new TopologyTestDriver(topology, { onError: () => 'continue' }), 'HANDLER_FAILED', 'init of task 0_0')
  })

  // Kafka: ApiUtils.checkSupplier, "must return a new object each time it is called".
  test('one processor for two tasks', () => {
    const builder = make()
    const processor = { process() {} }
    builder.stream('a').process(() => processor)
    const topology = builder.build()
    const thrown = refused(() => new TopologyTestDriver(topology, { partitions: 2 }), 'HANDLER_FAILED', 'task 0_1')
    expect(String(thrown.cause)).toContain('KSTREAM-PROCESSOR-0000000001: each task needs a processor of its own')
  })

  test('what processors hand to their context', () => {
    const fails = (act: (context: ProcessorContext<any, any>) => void): Error =>
      failure(b =>
        b
          .stream('a')
          .process<any, string | null>(() => {
            let own: ProcessorContext<any, any>
            return {
              init: context => {
                own = context
              },
              process: (value: unknown) => {
                if (value !== null) act(own)
              },
            }
          })
          .to('b'),
      )
    expect(fails(context => context.forward({ key: 7, value: 1 })).message).toContain('A key is a text')
    expect(fails(context => context.forward({ key: 'k', value: 1, timestamp: -5 })).message).toContain('-5')
    expect(fails(context => context.forward({ key: 'k', value: 1, headers: [['h', 1]] as any })).message).toContain(
      'headers',
    )
    expect(fails(context => void context.schedule(0, 'stream time', () => {})).message).toContain('intervalMs')
    expect(fails(context => void context.schedule(1, 'moon time' as any, () => {})).message).toContain('"moon time"')
    expect(fails(context => void context.schedule(1, 'stream time', 7 as any)).message).toContain('punctuate')
    expect(fails(context => void context.store({ name: 'x', kind: 'key-value' })).message).toContain('keyValueStore()')
  })
})
