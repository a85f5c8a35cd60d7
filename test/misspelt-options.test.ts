import { Broker, ConsumerGroup, keyedPartitioner, Topic } from 'millrace'
import { Streams, StreamsBuilder } from 'millrace/streams'
import { ManualClock, simulate, testBroker, type World } from 'millrace/testing'
import { expect, test } from 'vitest'
import { refused } from './groups/support-c.js'
import { never } from './testing/support.js'

// TypeScript tells most of them; who writes JavaScript, or hands on an object, would never hear of `{ autoComit: false }`.
const bad = <T>(value: unknown): T => value as T
const broker = new Broker<{ orders: number }>({ topics: { orders: {} } })
const group = broker.group('g', { topics: 'orders' })
const inWorld = (act: (world: World<object, string>) => void): Promise<unknown> =>
  simulate<object>({ topics: { orders: {} } }, act)
const builder = new StreamsBuilder<{ orders: number }>()
builder.stream('orders').forEach(() => {})
const topology = builder.build()
const streams = () => new Streams(topology, { applicationId: 'app', broker })

test.each<[string, (misspelt: object) => unknown, string, string]>([
  ['new Broker()', o => new Broker(bad<object>(o)), 'broker options', 'autoCreateTopics'],
  ['testBroker()', o => testBroker(bad<object>(o)), 'options of testBroker()', 'seed'],
  ['simulate()', o => simulate(bad<object>(o), () => {}), 'options of simulate()', 'crashRate'],
  ['fail()', o => testBroker().faults.fail('commit', bad<object>(o)), 'options of fail()', 'group, memberId'],
  ['loseAnswer()', o => testBroker().faults.loseAnswer('commit', bad<object>(o)), 'options of loseAnswer()', 'times'],
  ['delay()', o => testBroker().faults.delay('commit', { ms: 1, ...o }), 'options of delay()', 'times, ms'],
  ['hold()', o => testBroker().faults.hold('commit', bad<object>(o)), 'options of hold()', 'process'],
  ['watch()', o => testBroker().faults.watch('commit', bad<object>(o)), 'options of watch()', 'when'],
  [
    'next()',
    o => testBroker({ topics: { t: {} } }).next('t', undefined, bad<object>(o)),
    'options of next()',
    'timeoutMs',
  ],
  [
    'advanceUntil()',
    o => new ManualClock().advanceUntil(never(), bad<object>(o)),
    'options of advanceUntil()',
    'limitMs',
  ],
  ['service()', o => inWorld(world => world.service('s', () => {}, bad<object>(o))), 'options of service()', 'copies'],
  ['step()', o => inWorld(world => world.step(() => {}, bad<object>(o))), 'options of step()', 'times'],
  [
    'a topic of a broker',
    o => new Broker({ topics: { other: bad<object>(o) } }),
    'options of topic other',
    'partitions',
  ],
  [
    'createTopic()',
    o => broker.createTopic(bad<'orders'>('other'), bad<object>(o)),
    'options of topic other',
    'segmentRecords',
  ],
  ['new Topic()', o => new Topic('other', bad<object>(o)), 'options of topic other', 'codec'],
  ['retention', retention => new Topic('other', { retention: bad(retention) }), 'retention', 'records'],
  ['group()', o => broker.group('other', { topics: 'orders', ...o }), 'group options', 'autoCommitIntervalMs'],
  [
    'new ConsumerGroup()',
    o => new ConsumerGroup('other', new Topic('t'), bad<object>(o)),
    'group options',
    'commitMode',
  ],
  ['keyedPartitioner()', o => keyedPartitioner(bad<object>(o)), 'options of keyedPartitioner()', 'seed'],
  ['join()', o => group.join(bad<object>(o)), 'join options', 'onAssigned'],
  ['poll()', o => group.join().poll(bad<object>(o)), 'poll options', 'timeoutMs'],
  ['run()', o => group.join().run(() => {}, bad<object>(o)), 'run options', 'concurrency'],
  ['retry', o => group.join().run(() => {}, { retry: { attempts: 2, ...o } }), 'retry', 'backoffMs'],
  ['close()', o => group.join().close(bad<object>(o)), 'close options', 'timeoutMs'],
  ['run() of streams', o => streams().run(bad<object>(o)), 'run options', 'signal'],
  ['close() of streams', o => streams().close(bad<object>(o)), 'close options', 'timeoutMs'],
  ['read()', o => broker.topic('orders').read(bad<object>(o)), 'read options', 'until'],
])('%s refuses an option that it does not know, and names those that it does', async (_, call, where, known) => {
  await refused(() => call({ tiemoutMs: 5 }), 'INVALID_CONFIG', 'tiemoutMs must be left out', where, known, '5')
  expect([broker.topics.size, broker.groups.size]).toEqual([1, 1])
})

// Each would have been ignored: a broker has one clock for all, and a group without a broker is given its topics.
test.each<[string, () => unknown, string]>([
  ['createTopic()', () => broker.createTopic(bad<'orders'>('other'), bad<object>({ clock: Date })), 'clock'],
  ['group()', () => broker.group('other', bad<{ topics: 'orders' }>({ topics: 'orders', clock: Date })), 'clock'],
  ['new ConsumerGroup()', () => new ConsumerGroup('g', new Topic('t'), bad<object>({ topics: ['u'] })), 'topics'],
])('%s refuses what is an option elsewhere', async (_, call, option) => {
  await refused(call, 'INVALID_CONFIG', `${option} must be left out`)
  expect([broker.topics.size, broker.groups.size]).toEqual([1, 1])
})

test.each<[string, () => unknown, string]>([
  ['fail()', () => testBroker().faults.fail('commit', bad({ ms: 5 })), 'ms'],
  ['delay()', () => testBroker().faults.delay('commit', bad({ ms: 5, error: 'CLOSED' })), 'error'],
  ['hold()', () => testBroker().faults.hold('commit', bad({ error: 'CLOSED' })), 'error'],
  ['watch()', () => testBroker().faults.watch('commit', bad({ times: 2 })), 'times'],
])('%s refuses the option of another kind of fault', async (_, call, option) => {
  await refused(call, 'INVALID_CONFIG', `${option} must be left out`)
})

test('what is undefined is left out, and topics may say how many replicas they have on a cluster', async () => {
  const orders = { partitions: 2, replicas: 3, else: undefined }
  const other = new Broker<{ orders: number }>({ topics: { orders }, ...{ producer: undefined } })
  expect(other.topic('orders').partitionCount()).toBe(2)
  await other.close()
})

test('a type of event that never happens is no event to count', async () => {
  await refused(
    () => testBroker().history.of(bad<'committed'>('comitted')),
    'INVALID_CONFIG',
    'type must be one of',
    '"comitted"',
  )
})
