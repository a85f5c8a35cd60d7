// What Java's console tools write we read, and the other way round.
import { lastHeader } from 'millrace'
import { beforeAll, expect, inject, test } from 'vitest'
import { compileJava, startJava } from './java/java.js'
import { all, fresh, onCluster } from './support.js'
import { within } from './world.js'

const address = inject('kafka')
const partitions = 5
/** The cluster drops what is older than a week. */
const time = Date.now() - 60_000
const keys = ['a', 'ab', 'abc', 'abcd', 'ada@example.org', 'Zoë', '漢字', '🦉 owl', ...numbered(60)]

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `visitor ${i * 7919}`)
}
function property(name: string, value: string): readonly string[] {
  return ['--property', `${name}=${value}`]
}

// For the first time Maven fetches what Java needs.
beforeAll(() => compileJava(), 300_000)

test('what the console producer writes we read, each key from the partition that we choose', async () => {
  await using broker = onCluster()
  const topic = await broker.createTopic(fresh('orders'), { partitions })
  const producer = startJava('org.apache.kafka.tools.ConsoleProducer', [
    ...['--bootstrap-server', address, '--topic', topic.name],
    ...property('parse.key', 'true'),
    ...property('parse.headers', 'true'),
    ...property('null.marker', 'NULL'),
  ])
  const lines = keys.map((key, i) => `trace:é${i}\t${key}\t${JSON.stringify({ i })}`)
  await within('the console producer', producer.end([...lines, 'NULL\tgone\tNULL', ''].join('\n')))

  const records = await all(topic.read({ until: 'latest' }))
  const byKey = new Map(records.map(record => [record.key, record]))
  expect(records).toHaveLength(keys.length + 1)
  for (const [i, key] of keys.entries()) {
    const record = byKey.get(key)!
    expect(record).toMatchObject({ key, value: { i } })
    expect(lastHeader(record, 'trace')).toBe(`é${i}`)
    expect([key, (await topic.publish({ key, value: { i } })).partition]).toEqual([key, record.partition])
  }
  expect(byKey.get('gone')).toMatchObject({ value: null, headers: [] })
})

test('what we publish the console consumer reads: keys, values, headers and times', async () => {
  await using broker = onCluster({ producer: { compression: 'lz4' } })
  const topic = await broker.createTopic(fresh('orders'), { partitions })
  const expected: string[] = []
  for (const [i, key] of keys.entries()) {
    const timestamp = time + i
    const { partition, offset } = await topic.publish({ key, value: { i }, headers: { trace: `é${i}` }, timestamp })
    expected.push(
      [`CreateTime:${timestamp}`, `Partition:${partition}`, `Offset:${offset}`, `trace:é${i}`, key, `{"i":${i}}`].join(
        '\t',
      ),
    )
  }
  const gone = await topic.publish({ value: null, partition: 3, timestamp: time })
  expected.push(`CreateTime:${time}\tPartition:3\tOffset:${gone.offset}\tNO_HEADERS\tnull\tnull`)
  const consumer = startJava('org.apache.kafka.tools.consumer.ConsoleConsumer', [
    ...['--bootstrap-server', address, '--topic', topic.name, '--from-beginning'],
    ...['--max-messages', `${expected.length}`, '--timeout-ms', '40000'],
    ...['timestamp', 'partition', 'offset', 'headers', 'key'].flatMap(what => property(`print.${what}`, 'true')),
  ])
  await within('the console consumer', consumer.ended)
  expect(consumer.printed.toSorted()).toEqual(expected.toSorted())
})

test("Java's tool for groups shows a group of ours: its member, its commits and its lag", async () => {
  const id = fresh('group')
  await using broker = onCluster({ clientId: 'shop' })
  const topic = await broker.createTopic(fresh('orders'), { partitions: 2 })
  await topic.publishAll(Array.from({ length: 10 }, (_, i) => ({ value: i, partition: i < 7 ? 0 : 1 })))
  const consumer = broker.group(id, { topics: topic.name, commitMode: 'manualCommit' }).join()
  await consumer.ready()
  await consumer.commit([
    { topic: topic.name, partition: 0, nextOffset: 5 },
    { topic: topic.name, partition: 1, nextOffset: 3 },
  ])
  const tool = startJava('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
    ...['--bootstrap-server', address, '--describe', '--group', id],
  ])
  await within('the tool', tool.ended)
  const [head = [], ...rows] = tool.printed.filter(line => line.trim() !== '').map(line => line.trim().split(/\s+/))
  const columns = ['TOPIC', 'PARTITION', 'CURRENT-OFFSET', 'LOG-END-OFFSET', 'LAG', 'CONSUMER-ID', 'CLIENT-ID']
  const shown = rows.map(row => columns.map(column => row[head.indexOf(column)]))
  expect(shown.toSorted()).toEqual([
    [topic.name, '0', '5', '7', '2', consumer.memberId, 'shop'],
    [topic.name, '1', '3', '3', '0', consumer.memberId, 'shop'],
  ])
})
