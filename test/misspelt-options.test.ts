import { Broker, ConsumerGroup, Topic } from 'millrace'
import { Streams, StreamsBuilder } from 'millrace/streams'
import { simulate, testBroker } from 'millrace/testing'
import { expect, test } from 'vitest'
import { refused } from './groups/support-c.js'

// TypeScript tells most of them; who writes JavaScript, or hands on an object, would never hear of `{ autoComit: false }`.
const bad = <T>(value: unknown): T => value as T
const broker = new Broker<{ orders: number }>({ topics: { orders: {} } })
const group = broker.group('g', { topics: 'orders' })
const builder = new StreamsBuilder<{ orders: number }>()
builder.stream('orders').forEach(() => {})
const topology = builder.build()
const streams = () => new Streams(topology, { applicationId: 'app', broker })

test.each<[string, (misspelt: object) => unknown, string, string]>([
  ['new Broker()', o => new Broker(bad<object>(o)), 'broker options', 'autoCreateTopics'],
  ['testBroker()', o => testBroker(bad<object>(o)), 'options of testBroker()', 'seed'],
  ['simulate()', o => simulate(bad<object>(o), () => {}), 'options of simulate()', 'crashRate'],
  ['a fault', o => testBroker().faults.fail('commit', bad<object>(o)), 'options of faults', 'group'],
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
