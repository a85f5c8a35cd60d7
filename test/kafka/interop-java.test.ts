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
    ...['--max-messages', `${expected.length}`, '--timeout-ms', '15000'],
    ...['timestamp', 'partition', 'offset', 'headers', 'key'].flatMap(what => property(`print.${what}`, 'true')),
  ])
  await within('the console consumer', consumer.ended)
  expect(consumer.printed.toSorted()).toEqual(expected.toSorted())
})
