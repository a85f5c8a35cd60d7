// Issue by issue what users get wrong on a cluster: told by code, with the value, and nothing half done.
import { type AddressInfo, createServer, type Server } from 'node:net'
import { jsonCodec, roundRobinAssignor } from 'millrace'
import { type KafkaBrokerOptions, kafkaBroker } from 'millrace/kafka'
import { describe, expect, inject, test } from 'vitest'
import { type AnyTopics, all, failure, fresh, onCluster } from './support.js'

describe('options', () => {
  const bootstrapBrokers = ['127.0.0.1:9092']
  const made = (options: unknown) => failure(() => kafkaBroker(options as KafkaBrokerOptions<AnyTopics>))

  test.each([
    ['no options', undefined, 'kafkaBroker() options', undefined],
    ['no brokers at all', {}, 'bootstrapBrokers', undefined],
    ['an empty list of brokers', { bootstrapBrokers: [] }, 'bootstrapBrokers', []],
    ['an address alone', { bootstrapBrokers: '127.0.0.1:9092' }, 'bootstrapBrokers', '127.0.0.1:9092'],
    ['an address without a port', { bootstrapBrokers: ['localhost'] }, 'bootstrapBrokers', 'localhost'],
    ['a port that is none', { bootstrapBrokers: ['localhost:99999'] }, 'bootstrapBrokers', 'localhost:99999'],
    ['a URL', { bootstrapBrokers: ['kafka://localhost:9092'] }, 'bootstrapBrokers', 'kafka://localhost:9092'],
    ['a misspelt option', { bootstrapBrokers, clientID: 'shop' }, 'clientID', 'shop'],
    ['a misspelt option of the producer', { bootstrapBrokers, producer: { linger: 5 } }, 'linger', 5],
    ['a misspelt option of consumers', { bootstrapBrokers, consumer: { isolationLevel: 'x' } }, 'isolationLevel', 'x'],
    [
      'what would be lost on the way from memory',
      { bootstrapBrokers, topics: { orders: { cleanupPolicy: 'compact' } } },
      'cleanupPolicy',
      'compact',
    ],
    ['an empty client id', { bootstrapBrokers, clientId: '' }, 'clientId', ''],
    ['keys of another kind', { bootstrapBrokers, keys: 'json' }, 'keys', 'json'],
    [
      'a compression that there is not',
      { bootstrapBrokers, producer: { compression: 'br' } },
      'producer.compression',
      'br',
    ],
    ['a linger below 0', { bootstrapBrokers, producer: { lingerMs: -1 } }, 'producer.lingerMs', -1],
    ['no room to buffer in', { bootstrapBrokers, producer: { bufferBytes: 0 } }, 'producer.bufferBytes', 0],
    ['half a byte to fetch', { bootstrapBrokers, consumer: { fetchBytes: 0.5 } }, 'consumer.fetchBytes', 0.5],
    [
      'an isolation that there is not',
      { bootstrapBrokers, consumer: { isolation: 'dirty' } },
      'consumer.isolation',
      'dirty',
    ],
    ['no time for a request', { bootstrapBrokers, requestTimeoutMs: 0 }, 'requestTimeoutMs', 0],
    ['no time to deliver', { bootstrapBrokers, deliveryTimeoutMs: Number.NaN }, 'deliveryTimeoutMs', Number.NaN],
    // Kafka's protocol has 32 bits for these, and so has a timer.
    [
      'more than an answer holds',
      { bootstrapBrokers, consumer: { fetchBytes: 2 ** 31 } },
      'consumer.fetchBytes',
      2 ** 31,
    ],
    ['a month for a request', { bootstrapBrokers, requestTimeoutMs: 2 ** 31 }, 'requestTimeoutMs', 2 ** 31],
    ['a month to deliver', { bootstrapBrokers, deliveryTimeoutMs: 2 ** 31 }, 'deliveryTimeoutMs', 2 ** 31],
    ['a month to linger', { bootstrapBrokers, producer: { lingerMs: 2 ** 31 } }, 'producer.lingerMs', 2 ** 31],
    ['a mechanism that there is not', { bootstrapBrokers, sasl: { mechanism: 'GSSAPI' } }, 'sasl.mechanism', 'GSSAPI'],
    [
      'a user without a name',
      { bootstrapBrokers, sasl: { mechanism: 'PLAIN', password: 'p' } },
      'sasl.username',
      undefined,
    ],
    [
      'a misspelt option of sasl',
      { bootstrapBrokers, sasl: { mechanism: 'PLAIN', username: 'u', passwort: 'p' } },
      'sasl.passwort',
      '(hidden)',
    ],
    ['a list of certificates', { bootstrapBrokers, tls: ['ca.pem'] }, 'tls', ['ca.pem']],
    ['a bearer without a token', { bootstrapBrokers, sasl: { mechanism: 'OAUTHBEARER' } }, 'sasl.token', undefined],
    [
      'half a codec',
      { bootstrapBrokers, topics: { orders: { codec: { encode() {} } } } },
      'codec of topic orders',
      undefined,
    ],
    ['no replicas', { bootstrapBrokers, topics: { orders: { replicas: 0 } } }, 'replicas of topic orders', 0],
    // Kafka's protocol has 16 bits for these.
    [
      'more replicas than can be told',
      { bootstrapBrokers, topics: { orders: { replicas: 2 ** 15 } } },
      'replicas of topic orders',
      2 ** 15,
    ],
  ])('%s: INVALID_CONFIG', async (_, options, option, value) => {
    const error = await made(options)
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option } })
    if (option !== 'codec of topic orders') expect(error.details.value).toEqual(value)
  })

  test.each([
    ['sasl.password', { mechanism: 'PLAIN', username: 'u', password: 12_345 }],
    ['sasl.token', { mechanism: 'OAUTHBEARER', token: 12_345 }],
    ['sasl.pass', { mechanism: 'PLAIN', username: 'u', password: 'p', pass: 12_345 }],
  ])('a wrong %s is told without showing it', async (option, sasl) => {
    const error = await made({ bootstrapBrokers, sasl })
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option } })
    expect(error.message).not.toContain('12345')
    expect(JSON.stringify(error.details)).not.toContain('12345')
  })

  test('a topic with no partitions, or more than can be told: INVALID_PARTITIONS', async () => {
    for (const partitions of [0, 2 ** 31, 2 ** 40, 1.5, Number.NaN])
      expect(await made({ bootstrapBrokers, topics: { orders: { partitions } } })).toMatchObject({
        code: 'INVALID_PARTITIONS',
        details: { topic: 'orders', partitions },
      })
  })

  test('a topic with no name: INVALID_TOPIC_EXCEPTION', async () => {
    expect(await made({ bootstrapBrokers, topics: { 'or ders': {} } })).toMatchObject({
      code: 'INVALID_TOPIC_EXCEPTION',
      details: { topic: 'or ders' },
    })
  })
})

describe('nobody there', () => {
  /** One that is given to nobody who asks for any. */
  const address = '127.0.0.1:1'
  /** Less than deliveryTimeoutMs by far; more than a busy machine takes. */
  const soonMs = 30_000
  function listening(): Promise<Server> {
    const server = createServer(socket => socket.on('error', () => {}).resume())
    return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
  }

  test('nobody listens: NETWORK_EXCEPTION with the address, within requestTimeoutMs', async () => {
    await using broker = kafkaBroker<AnyTopics>({ bootstrapBrokers: [address], requestTimeoutMs: 1_000 })
    const started = Date.now()
    const calls: (() => unknown)[] = [
      () => broker.ready(),
      () => broker.topic('orders').publish({ value: 1 }),
      () => broker.topic('orders').publishAll([{ value: 1 }]),
      () => broker.topic('orders').partitionCount(),
      () => broker.createTopic('orders'),
      () => broker.group('billing', { topics: 'orders' }).lag(),
      () => broker.group('billing', { topics: 'orders' }).join().ready(),
      () => all(broker.topic('orders').read()),
    ]
    for (const error of await Promise.all(calls.map(failure))) {
      expect(error).toMatchObject({ code: 'NETWORK_EXCEPTION', retriable: true, details: { address } })
      expect(error.message).toContain(address)
    }
    expect(Date.now() - started).toBeLessThan(soonMs)
  })

  test('somebody listens and never answers: told within requestTimeoutMs', async () => {
    const server = await listening()
    const { port } = server.address() as AddressInfo
    const started = Date.now()
    const broker = kafkaBroker<AnyTopics>({ bootstrapBrokers: [`127.0.0.1:${port}`], requestTimeoutMs: 500 })
    const error = await failure(() => broker.ready())
    expect(error).toMatchObject({ code: 'REQUEST_TIMED_OUT', retriable: true })
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(Date.now() - started).toBeLessThan(soonMs)
    await broker.close()
    await new Promise(resolve => server.close(resolve))
  })
})

describe('topics', () => {
  test('a topic that is not there: UNKNOWN_TOPIC_OR_PARTITION with its name', async () => {
    const missing = fresh('missing')
    await using broker = onCluster({ topics: { [missing]: {} } })
    const group = broker.group(fresh('billing'), { topics: missing })
    const calls: (() => unknown)[] = [
      () => broker.ready(),
      () => broker.topic(missing).publish({ value: 1 }),
      () => broker.topic(missing).publishAll([{ value: 1 }]),
      () => broker.topic(missing).partitionCount(),
      () => all(broker.topic(missing).read({ until: 'latest' })),
      () => group.lag(),
      () => group.committed(missing, 0),
      () => group.resetOffsets('earliest'),
      () => group.join().ready(),
      () => group.join().poll(),
      () => group.join()[Symbol.asyncIterator]().next(),
      () => group.join().run(() => {}),
    ]
    for (const error of await Promise.all(calls.map(failure)))
      expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: missing } })
  })

  test('many records for a topic that is not there fail together, not one after the other', async () => {
    await using broker = onCluster()
    const topic = broker.topic(fresh('missing'))
    const started = Date.now()
    const errors = await Promise.all(Array.from({ length: 50 }, (_, value) => failure(() => topic.publish({ value }))))
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['UNKNOWN_TOPIC_OR_PARTITION']))
    // One by one they would take more than a second each.
    expect(Date.now() - started).toBeLessThan(30_000)
  })

  test.each([
    ['records to keep', { retention: { records: 5 } }, 'retention.records'],
    ['what is consumed to go', { retention: { consumed: true } }, 'retention.consumed'],
    ['records in a segment', { segmentRecords: 10 }, 'segmentRecords'],
    ['more replicas than there are brokers', { replicas: 3 }, 'replicas'],
    ['more replicas than can be told', { replicas: 2 ** 40 }, 'replicas'],
  ])('createTopic() told of %s: INVALID_CONFIG, and no topic is made', async (_, options, option) => {
    await using broker = onCluster()
    const name = fresh('orders')
    const error = await failure(() => broker.createTopic(name, options))
    expect(error.code).toBe('INVALID_CONFIG')
    expect([option, `${option} of topic ${name}`]).toContain(error.details.option)
    expect(await failure(() => broker.topic(name).partitionCount())).toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
  })

  test('a topic that is there already: TOPIC_ALREADY_EXISTS', async () => {
    await using broker = onCluster()
    const name = fresh('orders')
    await broker.createTopic(name)
    expect(await failure(() => broker.createTopic(name))).toMatchObject({
      code: 'TOPIC_ALREADY_EXISTS',
      details: { topic: name },
    })
  })
})

describe('records', () => {
  test('a codec that throws: INVALID_RECORD with its error as the cause, and nothing is sent', async () => {
    const name = fresh('orders')
    const thrown = new Error('no id')
    const codec = {
      ...jsonCodec<any>(),
      encode(value: { id?: number }) {
        if (value.id === undefined) throw thrown
        return jsonCodec<any>().encode(value)
      },
    }
    await using broker = onCluster({ topics: { [name]: { codec, partitions: 1 } } })
    await broker.ready()
    const orders = broker.topic(name)
    const error = await failure(() => orders.publish({ value: {} }))
    expect(error).toMatchObject({ code: 'INVALID_RECORD', details: { topic: name }, cause: thrown })
    expect(await failure(() => orders.check({ value: {} }))).toEqual(error)
    await orders.publish({ value: { id: 1 } })
    expect((await all(orders.read({ until: 'latest' }))).map(({ offset, value }) => [offset, value])).toEqual([
      [0, { id: 1 }],
    ])
  })

  test.each([
    ['undefined', undefined],
    ['a function', () => 1],
  ])('%s, for which JSON has no text, is refused', async (_, value) => {
    await using broker = onCluster()
    const error = await failure(() => broker.topic(fresh('orders')).publish({ value }))
    expect(value === undefined ? error instanceof TypeError : error.code === 'INVALID_RECORD').toBe(true)
  })

  test('a value too large: MESSAGE_TOO_LARGE with its bytes, and what goes along with it is written', async () => {
    await using broker = onCluster()
    const name = fresh('orders')
    const orders = await broker.createTopic(name)
    const large = 'x'.repeat(1_200_000)
    const outcomes = await Promise.allSettled(['a', large, 'b', 'c'].map(value => orders.publish({ value })))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    const { reason } = outcomes[1] as PromiseRejectedResult
    expect(reason).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retriable: false, details: { topic: name } })
    expect(reason.details.bytes).toBeGreaterThan(1_200_000)
    expect((await all(orders.read({ until: 'latest' }))).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
  })

  // Kafka: socket.request.max.bytes: a broker hangs up on more, and would each time.
  test('a value beyond what a broker reads: MESSAGE_TOO_LARGE too, and what goes along with it is written', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    const large = 'x'.repeat(101 * 1_048_576)
    const outcomes = await Promise.allSettled(['a', large, 'b', 'c'].map(value => orders.publish({ value })))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    const { reason } = outcomes[1] as PromiseRejectedResult
    expect(reason).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retriable: false, details: { topic: orders.name } })
    expect(reason.details.bytes).toBeGreaterThan(101 * 1_048_576)
    expect((await all(orders.read({ until: 'latest' }))).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
  })

  test('a keyless record on a compacted topic: INVALID_RECORD, and what goes along with it is written', async () => {
    await using broker = onCluster()
    const name = fresh('state')
    const state = await broker.createTopic(name, { cleanupPolicy: 'compact' })
    const outcomes = await Promise.allSettled([
      state.publish({ key: 'a', value: 1 }),
      state.publish({ value: 2 }),
      state.publish({ key: 'b', value: 3 }),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'INVALID_RECORD' })
    expect((await all(state.read({ until: 'latest' }))).map(({ value }) => value)).toEqual([1, 3])
  })

  test('a time in a far future: INVALID_RECORD', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    const timestamp = Date.now() + 7 * 24 * 3_600_000
    expect(await failure(() => orders.publish({ value: 1, timestamp }))).toMatchObject({ code: 'INVALID_RECORD' })
  })

  test('a partition that there is not: UNKNOWN_TOPIC_OR_PARTITION with its number', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'), { partitions: 2 })
    for (const partition of [2, -1, 0.5])
      expect(await failure(() => orders.publish({ value: 1, partition }))).toMatchObject({
        code: 'UNKNOWN_TOPIC_OR_PARTITION',
        details: { partition },
      })
    expect(await all(orders.read({ until: 'latest' }))).toEqual([])
  })
})

describe('groups', () => {
  test('an assignor that a cluster does not have: INVALID_CONFIG with its name', async () => {
    await using broker = onCluster()
    const group = () => broker.group('billing', { topics: 'orders', assignor: roundRobinAssignor })
    expect(await failure(group)).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'assignor', value: 'roundrobin' },
    })
  })

  test.each(['', ' ', '\n', '\u0000'])('an id that is blank, %j: INVALID_CONFIG with its value', async id => {
    await using broker = onCluster()
    expect(await failure(() => broker.group(id, { topics: 'orders' }))).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'group id', value: id },
    })
    const group = broker.group('billing', { topics: 'orders' })
    expect(await failure(() => group.join({ instanceId: id }))).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'instanceId', value: id },
    })
  })

  test('ids of any other characters are taken as they are', async () => {
    const id = fresh('größe 🦉 "a/b":c\n')
    await using broker = onCluster({ clientId: 'çlient 🦉' })
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publish({ value: 1 })
    const group = broker.group(id, { topics: orders.name })
    await using consumer = group.join({ instanceId: `${id} seat` })
    expect((await consumer.poll()).length).toBe(1)
    expect(consumer.memberId).toContain('çlient 🦉')
    await consumer.commit()
    expect(await group.committed(orders.name, 0)).toBe(1)
  })

  test('a session that a cluster does not know: INVALID_CONFIG with its value', async () => {
    await using broker = onCluster()
    const group = () => broker.group('billing', { topics: 'orders', sessionTimeoutMs: 10_000 })
    expect(await failure(group)).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'sessionTimeoutMs', value: 10_000 },
    })
  })

  test('a poll interval beyond 32 bits, which the protocol has for it: INVALID_CONFIG with its value', async () => {
    await using broker = onCluster()
    const group = () => broker.group('billing', { topics: 'orders', maxPollIntervalMs: 2 ** 31 })
    expect(await failure(group)).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'maxPollIntervalMs', value: 2 ** 31 },
    })
  })

  test('a group with members can not be reset: NON_EMPTY_GROUP with their number', async () => {
    await using broker = onCluster()
    const name = fresh('orders')
    await broker.createTopic(name)
    const group = broker.group(fresh('billing'), { topics: name })
    await using consumer = group.join()
    await consumer.ready()
    expect(await failure(() => group.resetOffsets('latest'))).toMatchObject({
      code: 'NON_EMPTY_GROUP',
      details: { group: group.id, members: 1 },
    })
  })
})

test('a closed broker says so', async () => {
  const broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  const group = broker.group(fresh('billing'), { topics: orders.name })
  await broker.close()
  const calls: (() => unknown)[] = [
    () => broker.ready(),
    () => broker.createTopic(fresh('orders')),
    () => broker.group('another', { topics: 'orders' }),
    () => orders.publish({ value: 1 }),
    () => orders.publishAll([{ value: 1 }]),
    () => orders.partitionCount(),
    () => group.join(),
  ]
  for (const error of await Promise.all(calls.map(failure))) expect(error).toMatchObject({ code: 'CLOSED' })
  expect(inject('kafka')).toMatch(/^127/)
})
