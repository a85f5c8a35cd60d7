import { jsonCodec } from 'millrace'
import { joinWindows, StreamsBuilder, slidingWindows, timeWindows } from 'millrace/streams'
import { expect, test } from 'vitest'

// The expected texts are those of Kafka's own TopologyTest. (That random topologies are described as Kafka does it,
// differential.test.ts holds.)

type Build = (builder: StreamsBuilder) => unknown
const describing = (build: Build): string => {
  const builder = new StreamsBuilder()
  build(builder)
  return builder.build().describe()
}

test('a left join of streams with named stores (streamStreamLeftJoinTopologyWithCustomStoresNames)', () => {
  const text = describing(builder =>
    builder
      .stream('input-topic1')
      .leftJoin(builder.stream('input-topic2'), () => '', joinWindows({ differenceMs: 100 }), { store: 'custom-name' }),
  )
  expect(text).toBe(
    'Topologies:\n' +
      '   Sub-topology: 0\n' +
      '    Source: KSTREAM-SOURCE-0000000000 (topics: [input-topic1])\n' +
      '      --> KSTREAM-WINDOWED-0000000002\n' +
      '    Source: KSTREAM-SOURCE-0000000001 (topics: [input-topic2])\n' +
      '      --> KSTREAM-WINDOWED-0000000003\n' +
      '    Processor: KSTREAM-WINDOWED-0000000002 (stores: [custom-name-this-join-store])\n' +
      '      --> KSTREAM-JOINTHIS-0000000004\n' +
      '      <-- KSTREAM-SOURCE-0000000000\n' +
      '    Processor: KSTREAM-WINDOWED-0000000003 (stores: [custom-name-outer-other-join-store])\n' +
      '      --> KSTREAM-OUTEROTHER-0000000005\n' +
      '      <-- KSTREAM-SOURCE-0000000001\n' +
      '    Processor: KSTREAM-JOINTHIS-0000000004 (stores: [custom-name-outer-other-join-store, custom-name-left-shared-join-store])\n' +
      '      --> KSTREAM-MERGE-0000000006\n' +
      '      <-- KSTREAM-WINDOWED-0000000002\n' +
      '    Processor: KSTREAM-OUTEROTHER-0000000005 (stores: [custom-name-this-join-store, custom-name-left-shared-join-store])\n' +
      '      --> KSTREAM-MERGE-0000000006\n' +
      '      <-- KSTREAM-WINDOWED-0000000003\n' +
      '    Processor: KSTREAM-MERGE-0000000006 (stores: [])\n' +
      '      --> none\n' +
      '      <-- KSTREAM-JOINTHIS-0000000004, KSTREAM-OUTEROTHER-0000000005\n\n',
  )
})

test('a table counted by another key (tableZeroArgCountShouldPreserveTopologyStructure)', () => {
  const text = describing(builder =>
    builder
      .table('input-topic')
      .groupBy(() => [null, 1])
      .count(),
  )
  expect(text).toBe(
    'Topologies:\n' +
      '   Sub-topology: 0\n' +
      '    Source: KSTREAM-SOURCE-0000000001 (topics: [input-topic])\n' +
      '      --> KTABLE-SOURCE-0000000002\n' +
      '    Processor: KTABLE-SOURCE-0000000002 (stores: [input-topic-STATE-STORE-0000000000])\n' +
      '      --> KTABLE-SELECT-0000000003\n' +
      '      <-- KSTREAM-SOURCE-0000000001\n' +
      '    Processor: KTABLE-SELECT-0000000003 (stores: [])\n' +
      '      --> KSTREAM-SINK-0000000005\n' +
      '      <-- KTABLE-SOURCE-0000000002\n' +
      '    Sink: KSTREAM-SINK-0000000005 (topic: KTABLE-AGGREGATE-STATE-STORE-0000000004-repartition)\n' +
      '      <-- KTABLE-SELECT-0000000003\n' +
      '\n' +
      '  Sub-topology: 1\n' +
      '    Source: KSTREAM-SOURCE-0000000006 (topics: [KTABLE-AGGREGATE-STATE-STORE-0000000004-repartition])\n' +
      '      --> KTABLE-AGGREGATE-0000000007\n' +
      '    Processor: KTABLE-AGGREGATE-0000000007 (stores: [KTABLE-AGGREGATE-STATE-STORE-0000000004])\n' +
      '      --> none\n' +
      '      <-- KSTREAM-SOURCE-0000000006\n' +
      '\n',
  )
})

const codec = jsonCodec<number>()
const minute = timeWindows({ sizeMs: 60_000 })
const grouped = (builder: StreamsBuilder) => builder.stream('input-topic').groupByKey()

// As the names of the tests say: ...ShouldPreserveTopologyStructure.
test.each<[string, Build, string, string]>([
  [
    'kGroupedStreamZeroMaterializedCount',
    b => grouped(b).count(),
    'KSTREAM-AGGREGATE-0000000002',
    'KSTREAM-AGGREGATE-STATE-STORE-0000000001',
  ],
  [
    'kGroupedStreamNamedMaterializedCount',
    b => grouped(b).count({ store: 'count-store' }),
    'KSTREAM-AGGREGATE-0000000001',
    'count-store',
  ],
  [
    'kGroupedStreamAnonymousMaterializedCount',
    b => grouped(b).count({ codec }),
    'KSTREAM-AGGREGATE-0000000003',
    'KSTREAM-AGGREGATE-STATE-STORE-0000000002',
  ],
  [
    'timeWindowZeroArgCount',
    b => grouped(b).windowedBy(minute).count(),
    'KSTREAM-AGGREGATE-0000000002',
    'KSTREAM-AGGREGATE-STATE-STORE-0000000001',
  ],
  [
    'timeWindowAnonymousMaterializedCount',
    b => grouped(b).windowedBy(minute).count({ codec }),
    'KSTREAM-AGGREGATE-0000000003',
    'KSTREAM-AGGREGATE-STATE-STORE-0000000002',
  ],
  [
    'slidingWindowZeroArgCount',
    b =>
      grouped(b)
        .windowedBy(slidingWindows({ differenceMs: 1 }))
        .count(),
    'KSTREAM-AGGREGATE-0000000002',
    'KSTREAM-AGGREGATE-STATE-STORE-0000000001',
  ],
  [
    'timeWindowedCogroupedZeroArgCount',
    b =>
      grouped(b)
        .cogroup(() => '')
        .windowedBy(minute)
        .aggregate(() => ''),
    'COGROUPKSTREAM-AGGREGATE-0000000002',
    'COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000001',
  ],
  [
    'kTableNonMaterializedMapValues',
    b => b.table('input-topic').mapValues(() => null),
    'KTABLE-MAPVALUES-0000000003',
    '',
  ],
  [
    'kTableAnonymousMaterializedMapValues',
    b => b.table('input-topic').mapValues(() => 1, { codec }),
    'KTABLE-MAPVALUES-0000000004',
    '',
  ],
  [
    'kTableNamedMaterializedFilter',
    b => b.table('input-topic').filter(() => false, { store: 'store-name' }),
    'KTABLE-FILTER-0000000003',
    'store-name',
  ],
])('numbers: %s', (_, build, node, store) => {
  expect(describing(build)).toContain(`    Processor: ${node} (stores: [${store}])\n`)
})

test('a picture: a box per sub-topology, topics between them, stores beside who uses them', () => {
  const builder = new StreamsBuilder()
  builder
    .stream('words')
    .selectKey(word => word, { name: 'by-word' })
    .groupByKey()
    .count({ name: 'count', store: 'counts' })
    .toStream({ name: 'changes' })
    .to('counts-so-far', { name: 'out' })
  builder.globalTable('names', { store: 'names-store' })
  expect(builder.build().toMermaid()).toBe(`flowchart TB
  t0(["words"])
  t1(["counts-repartition"])
  t2(["counts-so-far"])
  t3(["names"])
  subgraph sub0["Sub-topology: 0"]
    n0["KSTREAM-SOURCE-0000000000"]
    n1["by-word"]
    n2["counts-repartition-filter"]
    n3["counts-repartition-sink"]
    n0 --> n1
    n1 --> n2
    n2 --> n3
  end
  subgraph sub1["Sub-topology: 1"]
    n4["counts-repartition-source"]
    n5["count"]
    n6["changes"]
    n7["out"]
    s0[("counts")]
    n4 --> n5
    n5 --> n6
    n6 --> n7
    n5 -.- s0
  end
  subgraph sub2["Sub-topology: 2 (global store)"]
    n8["KSTREAM-SOURCE-0000000008"]
    n9["KTABLE-SOURCE-0000000009"]
    s1[("names-store")]
    n8 --> n9
    n9 -.- s1
  end
  t0 --> n0
  n3 --> t1
  t1 --> n4
  n7 --> t2
  t3 --> n8`)
})
