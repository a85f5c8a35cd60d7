import { expect, test } from 'vitest'
import { partitionCounts } from '../../../src/streams/topology/partition-counts.js'
import type { TopologyPlan } from '../../../src/streams/topology/plan.js'
import { clusterLike } from './cluster-like.js'
import { countPlan } from './fake-application.js'
import { brokerWith, instanceOn, read, started, table } from './instances.js'

const topology = (reason: RegExp) => ({ code: 'TOPOLOGY', message: expect.stringMatching(reason) })

test('makes the internal topics that are missing, as wide as what is upstream', async () => {
  const broker = brokerWith({ in: 3, out: 1 })
  const { instance, done } = await started(broker)
  expect(Object.fromEntries([...broker.topics].map(([name, topic]) => [name, topic.partitionCount()]))).toEqual({
    in: 3,
    out: 1,
    'app-keys-repartition': 3,
    'app-0-time-changelog': 3,
    'app-counts-changelog': 3,
    'app-1-time-changelog': 3,
  })
  // INVALID_CONFIG for what is not compacted.
  broker.topic('app-counts-changelog').compact()
  broker.topic('app-1-time-changelog').compact()
  await instance.close(1_000)
  await done
})

test('a repartition topic keeps nothing that is worked through', async () => {
  const broker = brokerWith({ in: 1, out: 1 })
  const { instance } = await started(broker)
  broker.topic('in').publishAll(Array.from({ length: 20_000 }, (_, value) => ({ key: 'k', value })))
  await broker.settled()
  const [log] = broker.topic('app-keys-repartition').partitions
  expect(log!.endOffset).toBe(20_000)
  expect(log!.endOffset - log!.startOffset).toBeLessThanOrEqual(4 * 1_024)
  await instance.close(1_000)
})

test('internal topics that are there are used, and TOPOLOGY says which has other partitions', async () => {
  const broker = brokerWith({ in: 3, out: 1, 'app-counts-changelog': 2 })
  await expect(instanceOn(broker).run(undefined)).rejects.toMatchObject(
    topology(/app-counts-changelog has 2 .*needs 3/),
  )
})

test.each(['in', 'out'])('topic %s must exist', async missing => {
  const broker = brokerWith(missing === 'in' ? { out: 1 } : { in: 1 })
  const instance = instanceOn(broker)
  const ready = instance.ready()
  ready.catch(() => {})
  const error = { code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: missing } }
  await expect(instance.run(undefined)).rejects.toMatchObject(error)
  await expect(ready).rejects.toMatchObject(error)
  expect(instance.state).toBe('failed')
})

test('so must the dead letter topic', async () => {
  const broker = brokerWith({ in: 1, out: 1 })
  const run = instanceOn(broker, { deadLetter: 'letters' }).run(undefined)
  await expect(run).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: 'letters' } })
})

test('in memory the topics of a sub-topology that are not joined may differ in width', async () => {
  const broker = brokerWith({ in: 2, other: 3, out: 1 })
  const { instance } = await started(broker, { plan: countPlan(['in', 'other']) })
  for (const [topic, key] of [
    ['in', 'a'],
    ['other', 'a'],
    ['other', 'b'],
  ] as const)
    broker.topic(topic).publish({ key, value: 1 })
  await broker.settled()
  expect(await table(broker, 'out')).toEqual({ a: 2, b: 1 })
  expect(broker.topic('app-0-time-changelog').partitionCount()).toBe(3)
  await instance.close(1_000)
})

test('on a cluster, which takes no assignor of ours, they may not: range would tear the tasks to pieces', async () => {
  const broker = brokerWith({ in: 2, other: 3, out: 1 })
  const run = instanceOn(clusterLike(broker), { plan: countPlan(['in', 'other']) }).run(undefined)
  await expect(run).rejects.toMatchObject(topology(/in has 2, other has 3/))
})

test('on a cluster range shares the tasks', async () => {
  const broker = brokerWith({ in: 3, other: 3, out: 1 })
  const plan = countPlan(['in', 'other'])
  const one = await started(clusterLike(broker), { plan })
  const two = await started(clusterLike(broker), { plan })
  await Promise.all([one.instance.ready(), two.instance.ready()])
  expect([[...one.instance.runs].length, [...two.instance.runs].length]).toEqual([4, 2])
  for (let i = 0; i < 30; i++) broker.topic(i % 2 === 0 ? 'in' : 'other').publish({ key: `k${i % 5}`, value: i })
  await broker.settled()
  expect(await table(broker, 'out')).toEqual({ k0: 6, k1: 6, k2: 6, k3: 6, k4: 6 })
  expect(await read(broker, 'app-keys-repartition')).toHaveLength(30)
  await Promise.all([one.instance.close(1_000), two.instance.close(1_000)])
  await Promise.all([one.done, two.done])
})

test('on a cluster a repartition topic keeps what it has, whatever the default of the cluster is', async () => {
  const broker = brokerWith({ in: 1, out: 1 })
  const made = new Map<string, unknown>()
  const cluster = clusterLike(broker)
  const createTopic = ((name: string, options: any) => {
    made.set(name, options)
    return cluster.createTopic(name, options)
  }) as typeof cluster.createTopic
  const { instance } = await started({ ...cluster, createTopic })
  expect(made.get('app-keys-repartition')).toEqual({ partitions: 1, retention: { ms: Number.MAX_SAFE_INTEGER } })
  await instance.close(1_000)
})

test.each([
  ['with a repartition topic', countPlan(['in', 'other'])],
  [
    'with none',
    {
      ...countPlan(['in', 'other']),
      repartitionTopics: [],
      subtopologies: countPlan(['in', 'other']).subtopologies.slice(0, 1),
    },
  ],
])('on a cluster a sub-topology of unequal topics is TOPOLOGY, before anything is made for it: %s', async (_, plan) => {
  const broker = brokerWith({ in: 1, other: 2, out: 1, 'app-keys-repartition': 2 })
  if (plan.repartitionTopics.length > 0) broker.deleteTopic('app-keys-repartition')
  const before = [...broker.topics.keys()]
  const done = instanceOn(clusterLike(broker), { plan }).run(undefined)
  await expect(done).rejects.toMatchObject({
    code: 'TOPOLOGY',
    message: expect.stringContaining(
      'of one sub-topology need as many partitions as one another: in has 1, other has 2',
    ),
  })
  expect([...broker.topics.keys()]).toEqual(before)
})

// Kafka: RepartitionTopicsTest, CopartitionedTopicsEnforcerTest.
const own = (name: string) => ({ name, internal: true })
const users = (name: string) => ({ name, internal: false })
type Edge = [sources: ReturnType<typeof own>[], sinks: ReturnType<typeof own>[], joined?: ReturnType<typeof own>[]]
const planOf = (edges: readonly Edge[], repartition: Record<string, number | undefined>): TopologyPlan => ({
  subtopologies: edges.map(([sources, sinks, joined], id) => ({
    id,
    sources: sources.map(topic => ({ topic, from: undefined })),
    sinks,
    dynamicSink: false,
    changelogs: [],
    copartitioned: joined === undefined ? [] : [joined],
    nodes: [],
    stores: [],
  })),
  globalStores: [],
  repartitionTopics: Object.entries(repartition).map(([name, partitions]) => ({ topic: own(name), partitions })),
})
const counted = (plan: TopologyPlan, given: Record<string, number>) =>
  Object.fromEntries(partitionCounts(plan, 'app', new Map(Object.entries(given))))

test('a repartition topic behind a repartition topic is as wide as the widest source before both', () => {
  const plan = planOf(
    [
      [[own('second')], []],
      [[own('first')], [own('second')]],
      [[users('a'), users('b')], [own('first')]],
    ],
    { second: undefined, first: undefined },
  )
  expect(counted(plan, { a: 2, b: 5 })).toEqual({ a: 2, b: 5, 'app-first': 5, 'app-second': 5 })
})

test('joined with a topic of the user, a repartition topic is as wide as that', () => {
  const plan = planOf(
    [
      [[users('a')], [own('r')]],
      [[users('b'), own('r')], [], [users('b'), own('r')]],
    ],
    { r: undefined },
  )
  expect(counted(plan, { a: 7, b: 3 })).toMatchObject({ 'app-r': 3 })
})

test('repartition topics that are joined are all as wide as the widest of them', () => {
  const plan = planOf(
    [
      [[users('a')], [own('r')]],
      [[users('b')], [own('s')]],
      [[own('r'), own('s')], [], [own('r'), own('s')]],
    ],
    { r: undefined, s: undefined },
  )
  expect(counted(plan, { a: 7, b: 3 })).toMatchObject({ 'app-r': 7, 'app-s': 7 })
})

test('a width that the program has set holds for what it is joined with', () => {
  const edges: Edge[] = [
    [[users('a')], [own('r')]],
    [[users('b')], [own('s')]],
    [[own('r'), own('s')], [], [own('r'), own('s')]],
  ]
  expect(counted(planOf(edges, { r: 4, s: undefined }), { a: 7, b: 3 })).toMatchObject({ 'app-r': 4, 'app-s': 4 })
  expect(() => counted(planOf(edges, { r: 4, s: 5 }), { a: 7, b: 3 })).toThrow(/app-r has 4, app-s has 5/)
})

test('topics of the user that are joined need as many partitions as one another', () => {
  const plan = planOf([[[users('a'), users('b')], [], [users('a'), users('b')]]], {})
  expect(() => counted(plan, { a: 2, b: 3 })).toThrow(
    /that are joined need as many partitions as one another: a has 2, b has 3/,
  )
})
