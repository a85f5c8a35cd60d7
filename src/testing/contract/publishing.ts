import { lastHeader, murmur2, type ProducerRecord, type RecordMetadata } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import { given, later, numbered, type Promises, type Read, upTo, valuesOf } from './world.js'

const keys = ['', ' ', 'Zoë', '価格', '😀', 'a\u0000b', ...Array.from({ length: 94 }, (_, i) => `order-${i}`)]

/** What becomes of what is published: where it goes, in which order, and that it comes back as it was. */
export const publishing: Promises = {
  'a partition keeps the order of publishing, awaited or not': given({ orders: 2 }, async w => {
    const orders = w.topic('orders')
    const published = numbered(60, 2).map(record => orders.publish(record))
    await w.keep('60 records to be published', Promise.all(published))
    await w.publish('orders', numbered(20, 2, 60))
    const records = await w.all('orders')
    for (const partition of [0, 1]) {
      const own = records.filter(record => record.partition === partition)
      const expected = upTo(80).filter(i => i % 2 === partition)
      same(`the values of partition ${partition}`, valuesOf(own), expected)
      const offsets = own.map(({ offset }) => offset)
      check(
        offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]!),
        () => `the offsets of partition ${partition} do not rise: ${offsets.join()}`,
      )
    }
  }),

  'publish() tells where its record is': given({ orders: 3 }, async w => {
    const told: RecordMetadata[] = []
    for (const key of ['a', 'b', 'c', 'd', 'a'])
      told.push(await w.keep('a record to be published', w.topic('orders').publish({ key, value: told.length })))
    const records = await w.all('orders')
    for (const [value, { topic, partition, offset, timestamp }] of told.entries()) {
      const { topic: t, partition: p, offset: o, timestamp: at } = records.find(record => record.value === value)!
      same(
        `record ${value}`,
        { topic, partition, offset, timestamp },
        { topic: t, partition: p, offset: o, timestamp: at },
      )
    }
  }),

  'records of one key stay in order, one by one or in bulk': given({ orders: 4 }, async w => {
    const orders = w.topic('orders')
    const records = upTo(60).map((i): ProducerRecord<any> => ({ key: `order-${i % 4}`, value: i }))
    const published: unknown[] = []
    for (let i = 0; i < 60; i += 12) {
      for (const record of records.slice(i, i + 6)) published.push(orders.publish(record))
      published.push(orders.publishAll(records.slice(i + 6, i + 12)))
    }
    await w.keep('60 records to be published', Promise.all(published))
    const read = await w.all('orders')
    for (const key of upTo(4).map(i => `order-${i}`)) {
      const expected = records.filter(record => record.key === key).map(({ value }) => value)
      same(`the values of ${key}`, valuesOf(read.filter(record => record.key === key)), expected)
    }
  }),

  'several publishers lose nothing, and each keeps its own order': given({ orders: 2 }, async w => {
    const brokers = [w.broker, await w.another(), await w.another()]
    const published: unknown[] = []
    for (const i of upTo(40))
      for (const [who, broker] of brokers.entries())
        published.push(w.topic('orders', broker).publish({ key: `k${i % 5}`, value: { who, i } }))
    await w.keep('120 records of three publishers', Promise.all(published))
    const records = await w.all('orders')
    same('the count of records', records.length, 120)
    for (const who of brokers.keys()) {
      for (const partition of [0, 1]) {
        const order = records
          .filter(r => r.partition === partition && r.value.who === who)
          .map(r => r.value.i as number)
        check(
          order.every((i, at) => at === 0 || i > order[at - 1]!),
          () => `publisher ${who} is out of order in partition ${partition}: ${order.join()}`,
        )
      }
    }
  }),

  'a key has one partition, whoever publishes it': given({ orders: 5 }, async w => {
    const brokers = [w.broker, await w.another()]
    const placed = new Map<string, number>()
    for (const round of upTo(2)) {
      for (const broker of brokers) {
        const told = await w.keep(
          '100 keyed records to be published',
          Promise.all(keys.map(key => w.topic('orders', broker).publish({ key, value: round }))),
        )
        for (const [i, { partition }] of told.entries()) {
          const key = keys[i]!
          const before = placed.get(key) ?? partition
          check(before === partition, () => `${JSON.stringify(key)} went to ${before}, then to ${partition}`)
          placed.set(key, partition)
        }
      }
    }
    same('the partitions that have keys', [...new Set(placed.values())].sort(), upTo(5))
    for (const { key, partition } of await w.all('orders'))
      check(placed.get(key!) === partition, () => `${JSON.stringify(key)} is read from ${partition}`)
  }),

  'keys go where Kafka puts them': given({ orders: 7 }, async w => {
    for (const key of keys) {
      const { partition } = await w.keep('a keyed record', w.topic('orders').publish({ key, value: 0 }))
      const expected = (murmur2(key) & 0x7fffffff) % 7
      check(partition === expected, () => `${JSON.stringify(key)} went to ${partition}, not to ${expected}`)
    }
  }),

  'a partition that is named wins over the key': given({ orders: 3 }, async w => {
    for (const partition of [2, 0, 1, 2]) {
      const told = await w.keep('a record', w.topic('orders').publish({ key: 'same', value: partition, partition }))
      same('the partition told', told.partition, partition)
    }
    for (const { value, partition } of await w.all('orders')) same('the partition read', partition, value)
  }),

  'records without a key are all kept, and have none when read': given({ orders: 3 }, async w => {
    await w.publish(
      'orders',
      upTo(50).map(value => ({ value })),
    )
    const told = w.topic('orders').publish({ key: null, value: 50 })
    await w.keep('a record with the key null', told)
    const records = await w.all('orders')
    same(
      'the values',
      valuesOf(records).sort((a, b) => a - b),
      upTo(51),
    )
    check(
      records.every(({ key }) => key === null),
      () => 'a record without a key was read with one',
    )
  }),

  'the empty key is a key': given({ orders: 4 }, async w => {
    await w.publish(
      'orders',
      upTo(20).map(value => ({ key: '', value })),
    )
    const records = await w.all('orders')
    same('the values, in the order of publishing', valuesOf(records), upTo(20))
    same('the keys', [...new Set(records.map(({ key }) => key))], [''])
  }),

  'a bulk may be any iterable, and so may headers': given({ orders: 1 }, async w => {
    function* bulk(): Iterable<ProducerRecord<any>> {
      for (const value of upTo(3)) yield { value, headers: new Map([['n', String(value)]]) }
    }
    await w.publish('orders', bulk())
    await w.publish('orders', new Set(numbered(2, 1, 3)))
    const records = await w.all('orders')
    same('the values', valuesOf(records), upTo(5))
    same(
      'the headers',
      records.map(record => lastHeader(record, 'n')),
      ['0', '1', '2', undefined, undefined],
    )
  }),

  'headers keep their order and their duplicates': given({ orders: 1 }, async w => {
    const bytes = new TextEncoder().encode('Zoë')
    const headers = [
      ['trace', '1'],
      ['empty', ''],
      ['trace', '2'],
      ['none', null],
      ['bytes', bytes],
      ['trace', '3'],
    ] as const
    await w.publish('orders', [{ value: 0, headers }, { value: 1, headers: { b: '2', a: '1' } }, { value: 2 }])
    const [listed, named, bare] = (await w.all('orders')) as [Read, Read, Read]
    same(
      'the names',
      listed.headers.map(([name]) => name),
      headers.map(([name]) => name),
    )
    const each = listed.headers.map(header => lastHeader({ ...listed, headers: [header] }, header[0]))
    same('the values, as text', each, ['1', '', '2', null, 'Zoë', '3'])
    same('the last of a name', lastHeader(listed, 'trace'), '3')
    same('a name that there is not', lastHeader(listed, 'span'), undefined)
    same(
      'the names of an object',
      named.headers.map(([name]) => name),
      ['b', 'a'],
    )
    same('a value of an object', lastHeader(named, 'a'), '1')
    same('the headers of a record without', bare.headers, [])
  }),

  'values come back as they were, a tombstone as null': given({ orders: 1 }, async w => {
    const values = [null, 0, '', false, [], {}, { text: 'Zoë 価格 😀', list: [1, [2, null]], deep: { n: -1.5 } }]
    await w.publish(
      'orders',
      values.map(value => ({ key: 'k', value })),
    )
    same('the values', valuesOf(await w.all('orders')), values)
  }),

  'a timestamp is kept, also one out of order; without one it is the time of publishing': given(
    { orders: 1 },
    async w => {
      const now = w.clock.now()
      const given = [now + 2_000, now + 1_000, now + 3_000]
      await w.publish(
        'orders',
        given.map(timestamp => ({ value: 0, timestamp })),
      )
      const before = w.clock.now()
      const told = await w.keep('a record without a timestamp', w.topic('orders').publish({ value: 1 }))
      const after = w.clock.now()
      const timestamps = (await w.all('orders')).map(({ timestamp }) => timestamp)
      same('the timestamps given', timestamps.slice(0, 3), given)
      check(
        before <= timestamps[3]! && timestamps[3]! <= after,
        () => `published between ${before} and ${after}, but the timestamp is ${timestamps[3]}`,
      )
      same('the timestamp told', told.timestamp, timestamps[3])
    },
  ),

  'a record without a value is a TypeError, and is not written': given({ orders: 1 }, async w => {
    const orders = w.topic('orders')
    await w.typeError('publish({ key })', () => orders.publish({ key: 'a' } as never))
    await w.typeError('publish({ value: undefined })', () => orders.publish({ key: 'a', value: undefined }))
    same('what was written', await w.all('orders'), [])
  }),

  'check() throws what is wrong with a record, and writes nothing': given({ orders: 1 }, async w => {
    const orders = w.topic('orders')
    orders.check({ key: 'a', value: 1 })
    orders.check({ key: 'a', value: null, timestamp: w.clock.now(), headers: { trace: '1' }, partition: 0 })
    await w.typeError('check() of a record without a value', () => orders.check({ key: 'a' } as never))
    await w.typeError('check() of a key that is a number', () => orders.check({ key: 1, value: 1 } as never))
    await w.refused('check() of a negative timestamp', 'INVALID_RECORD', () =>
      orders.check({ value: 1, timestamp: -1 }),
    )
    await w.publish('orders', [{ value: 2 }])
    same('what was written', valuesOf(await w.all('orders')), [2])
  }),

  'a bulk with a bad record keeps what came before it': given({ orders: 1 }, async w => {
    const records = [...numbered(3), { value: undefined }, { value: 4 }]
    await w.typeError('publishAll() with a bad record', () => w.topic('orders').publishAll(records))
    same('what was written', valuesOf(await w.all('orders')), upTo(3))
  }),

  'a partition that there is not is UNKNOWN_TOPIC_OR_PARTITION': given({ orders: 2 }, async w => {
    const orders = w.topic('orders')
    const unknown = 'UNKNOWN_TOPIC_OR_PARTITION'
    await w.refused('publish() to partition 2 of 2', unknown, () => orders.publish({ value: 0, partition: 2 }))
    await w.refused('read() of partition 2 of 2', unknown, () =>
      w.collect(orders.read({ partitions: [2], until: 'latest' })),
    )
    const group = w.group()
    await w.refused('committed() of partition 2 of 2', unknown, () => group.committed(w.name('orders'), 2))
    same('what was written', await w.all('orders'), [])
  }),

  "nothing that was acknowledged is lost when a publisher's broker closes under load": given({ orders: 2 }, async w => {
    const publisher = await w.another()
    const acknowledged: number[] = []
    const refused: unknown[] = []
    const publish = async (i: number): Promise<void> => {
      try {
        await w.topic('orders', publisher).publish({ value: i, partition: i % 2 })
        acknowledged.push(i)
      } catch (error) {
        refused.push(error)
      }
    }
    const published = upTo(50).map(publish)
    const closing = later(publisher.close())
    published.push(...upTo(50).map(i => publish(50 + i)))
    await w.keep('a broker to close under load', closing)
    await w.keep('every publish to be answered', Promise.all(published))
    const values: number[] = valuesOf(await w.all('orders'))
    same('records written twice', values.length, new Set(values).size)
    same(
      'acknowledged, but not there',
      acknowledged.filter(i => !values.includes(i)),
      [],
    )
    check(acknowledged.length >= 50, () => `of the 50 before the close, only ${acknowledged.length} were written`)
    for (const error of refused)
      await w.refused('publishing to a broker that closes', 'CLOSED', () => Promise.reject(error))
    await w.refused('publishing to a closed broker', 'CLOSED', () =>
      w.topic('orders', publisher).publish({ value: 100 }),
    )
  }),
}
