// What becomes of what is published to a cluster: by way of batches, sequences and retries.
import { createHash } from 'node:crypto'
import zlib from 'node:zlib'
import { jsonCodec, lastHeader, type RecordMetadata } from 'millrace'
import type { KafkaBroker } from 'millrace/kafka'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Node, startNode } from './cluster.js'
import { type AnyTopics, all, failure, fresh, onCluster } from './support.js'
import { cluster, makeTopic, until, within } from './world.js'

const upTo = (count: number): number[] => [...Array(count).keys()]

describe('batches', () => {
  test.each(['none', 'gzip', 'snappy', 'lz4'] as const)('compressed by %s: all there, in order', async compression => {
    await using broker = onCluster({ producer: { compression } })
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publishAll(upTo(5_000).map(value => ({ key: `key ${value % 7}`, value, headers: { n: `${value}` } })))
    const found = await all(orders.read({ until: 'latest' }))
    expect(found.map(({ value }) => value)).toEqual(upTo(5_000))
    expect(found.every(record => lastHeader(record, 'n') === `${record.value}`)).toBe(true)
  })

  test('compressed by zstd, where Node has it; a clear error where not', async () => {
    await using broker = onCluster({ producer: { compression: 'zstd' } })
    const orders = await broker.createTopic(fresh('orders'))
    const published = orders.publishAll(upTo(500).map(value => ({ value })))
    if ('zstdCompressSync' in zlib) {
      await published
      expect((await all(orders.read({ until: 'latest' }))).map(({ value }) => value)).toEqual(upTo(500))
    } else {
      const error = await failure(() => published)
      expect(error).toMatchObject({ code: 'UNSUPPORTED_VERSION', retriable: false })
      expect(error.message).toMatch(/zstd.*Node\.js 22\.15/)
      expect(await all(orders.read({ until: 'latest' }))).toEqual([])
    }
  })

  test('more than a request takes, of several topics at once', async () => {
    await using broker = onCluster()
    const topics = await Promise.all(upTo(3).map(() => broker.createTopic(fresh('orders'), { partitions: 2 })))
    const text = 'x'.repeat(10_000)
    await Promise.all(
      topics.map(topic => topic.publishAll(upTo(400).map(i => ({ partition: i % 2, value: `${i} ${text}` })))),
    )
    for (const topic of topics) {
      const found = await all(topic.read({ until: 'latest' }))
      for (const partition of [0, 1])
        expect(
          found.filter(record => record.partition === partition).map(({ value }) => Number.parseInt(value, 10)),
        ).toEqual(upTo(400).filter(i => i % 2 === partition))
    }
  })

  test('every record is told its own place', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'), { partitions: 3 })
    const told = await Promise.all(upTo(1_000).map(value => orders.publish({ key: `${value % 50}`, value })))
    const found = await all(orders.read({ until: 'latest' }))
    const places = new Map(
      found.map(({ partition, offset, value, timestamp }) => [value, { partition, offset, timestamp }]),
    )
    expect(told.map(({ partition, offset, timestamp }) => ({ partition, offset, timestamp }))).toEqual(
      upTo(1_000).map(value => places.get(value)),
    )
  })

  test('publish() and publishAll() keep the order of the calls, also beyond what there is room for', async () => {
    await using broker = onCluster({ producer: { bufferBytes: 2_000 } })
    const orders = await broker.createTopic(fresh('orders'))
    const calls: unknown[] = []
    for (let i = 0; i < 600; i += 6) {
      calls.push(orders.publish({ value: i }), orders.publish({ value: i + 1 }))
      calls.push(orders.publishAll([2, 3, 4].map(more => ({ value: i + more }))))
      calls.push(orders.publish({ value: i + 5 }))
    }
    await Promise.all(calls)
    expect((await all(orders.read({ until: 'latest' }))).map(({ value }) => value)).toEqual(upTo(600))
  })

  test('what a publisher does afterwards to what it gave changes nothing', async () => {
    await using broker = onCluster({ keys: 'bytes' })
    const bytes = { encode: (value: Uint8Array) => value, decode: (value: Uint8Array) => value }
    const orders = await broker.createTopic<string>(fresh('orders'), { codec: bytes })
    const given = new TextEncoder().encode('first')
    const records = [{ key: given, value: given, headers: { h: given } }]
    const published = orders.publish(records[0] as never)
    const bulk = orders.publishAll(records as never)
    given.fill(0)
    records.length = 0
    await Promise.all([published, bulk])
    const [one, two] = await all(orders.read({ until: 'latest' }))
    const text = (value: unknown): string => new TextDecoder().decode(value as Uint8Array)
    expect([text(one!.key), text(one!.value), lastHeader(one!, 'h')]).toEqual(['first', 'first', 'first'])
    // A bulk takes its records when it comes to them.
    expect(two).toBeDefined()
  })

  test('lingerMs waits for more, and flush() does not', async () => {
    await using broker = onCluster({ producer: { lingerMs: 60_000 } })
    const orders = await broker.createTopic(fresh('orders'))
    let told: RecordMetadata | undefined
    const published = Promise.resolve(orders.publish({ value: 1 })).then(metadata => {
      told = metadata
    })
    expect(await all(orders.read({ until: 'latest' }))).toEqual([])
    expect(told).toBeUndefined()
    await broker.flush()
    await published
    expect((await all(orders.read({ until: 'latest' }))).length).toBe(1)
  })

  test('flush() rejects with the first that is not acknowledged', async () => {
    await using broker = onCluster()
    const orders = await broker.createTopic(fresh('orders'))
    const refused = failure(() => orders.publish({ value: 'x'.repeat(2_000_000) }))
    const error = await failure(() => broker.flush())
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(error).toBe(await refused)
    await broker.flush()
  })

  test('close() waits for what was published', async () => {
    const broker = onCluster({ producer: { lingerMs: 60_000 } })
    const orders = await broker.createTopic(fresh('orders'))
    const published = upTo(100).map(value => orders.publish({ value }))
    await broker.close()
    expect((await Promise.all(published)).map(({ offset }) => offset)).toEqual(upTo(100))
  })

  test('a topic that takes only small batches gets small ones', async () => {
    await using broker = onCluster()
    const name = fresh('orders')
    await makeTopic(name, { 'max.message.bytes': '20000' })
    const orders = broker.topic(name)
    const told = await Promise.all(upTo(500).map(value => orders.publish({ value: `${value} ${'x'.repeat(500)}` })))
    expect(told.map(({ offset }) => offset)).toEqual(upTo(500))
    const found = await all(orders.read({ until: 'latest' }))
    expect(found.map(({ value }) => Number.parseInt(value, 10))).toEqual(upTo(500))
  })

  test('where the cluster gives the time, publish() tells that', async () => {
    await using broker = onCluster()
    const name = fresh('orders')
    await makeTopic(name, { 'message.timestamp.type': 'LogAppendTime' })
    const before = Date.now()
    const { timestamp } = await broker.topic(name).publish({ value: 1, timestamp: 1_000 })
    expect(timestamp).toBeGreaterThanOrEqual(before)
    expect((await all(broker.topic(name).read({ until: 'latest' })))[0]!.timestamp).toBe(timestamp)
  })
})

describe('under faults', () => {
  let node: Node
  beforeAll(async () => {
    node = await startNode()
  })
  afterAll(() => node.remove())

  /** Publishes without a pause, awaited or not, until it is told to stop; gives what was acknowledged, by value. */
  function publisher(broker: KafkaBroker<AnyTopics>, name: string) {
    const told = new Map<number, RecordMetadata>()
    const failed: unknown[] = []
    let going = true
    const work = (async () => {
      const orders = broker.topic(name)
      let value = 0
      while (going) {
        const turn = upTo(50).map(async () => {
          const own = value++
          await Promise.resolve(orders.publish({ key: `${own % 10}`, value: own })).then(
            metadata => told.set(own, metadata),
            error => failed.push(error),
          )
        })
        await Promise.all(turn)
        await new Promise(resolve => setImmediate(resolve))
      }
    })()
    return {
      told,
      failed,
      async stop() {
        going = false
        await work
      },
    }
  }
  test.each([
    ['is stopped and started again', (n: Node) => n.stop(), (n: Node) => n.again()],
    ['is killed and started again', (n: Node) => n.kill(), (n: Node) => n.again()],
    ['stands still for longer than a request may take', (n: Node) => n.stall(), (n: Node) => n.resume()],
  ])(
    'the broker %s under load: nothing is lost, doubled or out of order',
    async (_, hit, mend) => {
      await using patient = onCluster({ bootstrapBrokers: [node.address] })
      await using broker = onCluster({ bootstrapBrokers: [node.address], requestTimeoutMs: 1_500 })
      const name = fresh('orders')
      const orders = await patient.createTopic(name, { partitions: 3 })
      const load = publisher(broker, name)
      await until('a start', () => load.told.size > 500)
      await hit(node)
      await new Promise(resolve => setTimeout(resolve, 2_500))
      const before = load.told.size
      await mend(node)
      await until('publishing to go on', () => load.told.size > before + 1_000)
      await load.stop()
      expect(load.failed).toEqual([])
      const found = await all(orders.read({ until: 'latest' }))
      const values = found.map(({ value }) => value as number)
      expect(values.length).toBe(new Set(values).size)
      expect(values.length).toBe(load.told.size)
      for (const { value, partition, offset } of found)
        expect(load.told.get(value)).toMatchObject({ partition, offset })
      for (const key of upTo(10).map(String)) {
        const own = found.filter(record => record.key === key).map(({ value }) => value as number)
        expect(own).toEqual([...own].sort((a, b) => a - b))
      }
    },
    150_000,
  )

  test('publishAll() takes no more from its records than there is room for', async () => {
    await using broker = onCluster({ bootstrapBrokers: [node.address], producer: { bufferBytes: 100_000 } })
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publish({ value: 'before' })
    let taken = 0
    const text = 'x'.repeat(1_000)
    function* records(): Generator<{ value: string }> {
      for (; taken < 2_000; taken++) yield { value: text }
    }
    // Nothing is acknowledged meanwhile.
    await node.stall()
    let bulk: Promise<void>
    try {
      bulk = Promise.resolve(orders.publishAll(records()))
      await until('the room to be full', () => taken >= 95)
      for (let turn = 0; turn < 1_000; turn++) await new Promise(resolve => setImmediate(resolve))
      expect(taken).toBeLessThan(105)
    } finally {
      await node.resume()
    }
    await bulk
    expect(taken).toBe(2_000)
  })

  test('what can not be delivered in deliveryTimeoutMs is told, and not written twice by the next', async () => {
    await using patient = onCluster({ bootstrapBrokers: [node.address] })
    await using broker = onCluster({
      bootstrapBrokers: [node.address],
      requestTimeoutMs: 1_000,
      deliveryTimeoutMs: 3_000,
    })
    const name = fresh('orders')
    await patient.createTopic(name)
    const orders = broker.topic(name)
    // A busy machine may take longer than that.
    const delivered = (value: string): Promise<void> =>
      until(`${value} to be written`, async () => {
        const [outcome] = await Promise.allSettled([orders.publish({ value })])
        return outcome.status === 'fulfilled'
      })
    await delivered('before')
    await node.stall()
    const error = await failure(() => orders.publish({ value: 'in vain' }))
    await node.resume()
    expect(error).toMatchObject({ retriable: true })
    expect(['REQUEST_TIMED_OUT', 'NETWORK_EXCEPTION']).toContain(error.code)
    await delivered('after')
    const values = (await all(patient.topic(name).read({ until: 'latest' }))).map(({ value }) => value)
    // Whether one that was given up is there nobody can know; but only once, and before what came later.
    expect([...new Set(values.filter(value => value !== 'in vain'))]).toEqual(['before', 'after'])
    expect(values.filter(value => value === 'in vain').length).toBeLessThanOrEqual(1)
  })

  test('createTopic() waits for a broker that the cluster has not heard for a while', async () => {
    await using broker = onCluster({ bootstrapBrokers: [node.address] })
    await broker.createTopic(fresh('orders'))
    for (let i = 0; i < 2; i++) {
      await node.stall()
      // Longer than broker.session.timeout.ms of cluster/start.
      await new Promise(resolve => setTimeout(resolve, 3_200))
      await node.resume()
      const orders = await broker.createTopic(fresh('orders'))
      expect(await orders.partitionCount()).toBe(1)
    }
  })

  test('close() that runs out of time: what was not acknowledged is told, and nothing else', async () => {
    const broker = onCluster({ bootstrapBrokers: [node.address] })
    const orders = await broker.createTopic(fresh('orders'))
    await orders.publish({ value: 'before' })
    const unheard: unknown[] = []
    const hear = (error: unknown): void => void unheard.push(error)
    process.on('unhandledRejection', hear)
    await node.stall()
    try {
      const published = failure(() => orders.publish({ value: 'in vain' }))
      // It is on its way when the time is over.
      await new Promise(resolve => setImmediate(resolve))
      expect(await failure(() => broker.close({ timeoutMs: 200 }))).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
      expect(await published).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
      await new Promise(resolve => setImmediate(resolve))
    } finally {
      process.off('unhandledRejection', hear)
      await node.resume()
    }
    expect(unheard).toEqual([])
  })
})

describe('keys and values', () => {
  test('keys as bytes, text headers as UTF-8, a tombstone as null bytes', async () => {
    await using text = onCluster()
    await using bytes = onCluster({ keys: 'bytes' })
    const name = fresh('orders')
    await text.createTopic(name)
    await text.topic(name).publish({ key: 'Zoë', value: null, headers: { trace: 'é' } })
    await bytes.topic(name).publish({ key: new Uint8Array([0xff, 0]) as never, value: 2 })
    const [first, second] = await all(bytes.topic(name).read({ until: 'latest' }))
    expect(first).toMatchObject({ key: new TextEncoder().encode('Zoë'), value: null })
    expect(first!.headers).toEqual([['trace', new TextEncoder().encode('é')]])
    expect(second!.key).toEqual(new Uint8Array([0xff, 0]))
    expect((await all(text.topic(name).read({ until: 'latest' })))[0]!.key).toBe('Zoë')
  })

  test('what can not be decoded goes to the dead letter topic with its bytes as they are', async () => {
    const name = fresh('orders')
    const dead = fresh('dead')
    const digest = (value: unknown): string => createHash('sha1').update(JSON.stringify(value)).digest('hex')
    const signed = {
      encode: (value: unknown) => jsonCodec<unknown>().encode({ value, digest: digest(value) }),
      decode(encoded: Uint8Array) {
        const { value, digest: expected } = jsonCodec<any>().decode(encoded)
        if (digest(value) !== expected) throw new Error('forged')
        return value
      },
    }
    await using broker = onCluster({
      topics: { [name]: { partitions: 1, codec: signed }, [dead]: { partitions: 1, codec: signed } },
    })
    await using raw = onCluster()
    await broker.ready()
    await broker.topic(name).publish({ value: 'good' })
    await raw.topic(name).publish({ key: 'k', value: { value: 'bad', digest: 'none' } })
    await broker.topic(name).publish({ value: 'good again' })
    const consumer = broker.group(fresh('billing'), { topics: name }).join()
    const handled: unknown[] = []
    await consumer.run(
      ({ value }, { stop }) => {
        handled.push(value)
        if (handled.length === 2) stop()
      },
      { deadLetter: broker.topic(dead) },
    )
    expect(handled).toEqual(['good', 'good again'])
    const [buried] = await all(raw.topic(dead).read({ until: 'latest' }))
    expect(buried).toMatchObject({ key: 'k', value: { value: 'bad', digest: 'none' } })
    expect(lastHeader(buried!, '__dlq.errors.offset')).toBe('1')
  })
})

// Kafka: metadata.max.age.ms
test('a topic that has grown: keys go where other clients send them, as soon as what is known of it is old', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'), { partitions: 1 })
  await orders.publish({ key: 'a', value: 0 })
  const own = cluster()
  await own.request(
    'any',
    kafka => kafka.createPartitionsV3.api,
    [[{ name: orders.name, count: 3, assignments: null as never }], 10_000, false],
    { about: { what: 'Growing a topic' } },
  )
  await own.close()
  const now = performance.now.bind(performance)
  const later = vi.spyOn(performance, 'now').mockImplementation(() => now() + 300_000)
  try {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    await until('more partitions than one', async () => {
      const metadata = await Promise.all(keys.map(key => orders.publish({ key, value: 1 })))
      return new Set(metadata.map(({ partition }) => partition)).size > 1
    })
  } finally {
    later.mockRestore()
  }
})

test('a wall clock that is put back by an hour holds nothing up', async () => {
  await using broker = onCluster()
  const orders = await broker.createTopic(fresh('orders'))
  const published = [orders.publish({ value: 1 })]
  // The first is on its way; the second waits for it in a batch of its own.
  await new Promise(resolve => setImmediate(resolve))
  published.push(orders.publish({ value: 2 }))
  const now = Date.now.bind(Date)
  const earlier = vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
  try {
    const told = await within('both', Promise.all(published))
    expect(told.map(({ offset }) => offset)).toEqual([0, 1])
  } finally {
    earlier.mockRestore()
  }
})
