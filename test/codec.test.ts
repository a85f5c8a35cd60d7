import { Broker, type Codec, type ConsumerRecord, isMillraceError, jsonCodec, lastHeader } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, caught, expectCode, refused, watch } from './groups/support-c.js'

interface Order {
  id: number
  lines?: string[]
}
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Encodes anything; decodes all but what says "bad". */
const picky: Codec<string> = {
  encode: bytesOf,
  decode(bytes) {
    const text = new TextDecoder().decode(bytes)
    if (text.startsWith('bad')) throw new SyntaxError(`can't read ${text}`)
    return text
  },
}

function setup(options: { commitMode?: 'autoCommit' | 'manualCommit' } = {}) {
  const clock = new ManualClock()
  const broker = new Broker<{ orders: string; failed: string | Uint8Array }>({
    clock,
    topics: { orders: { codec: picky, partitions: 2 }, failed: {} },
  })
  const orders = broker.topic('orders')
  const group = broker.group('g', { topics: 'orders', ...options })
  const publish = (...values: string[]) => {
    for (const value of values) orders.publish({ partition: 0, key: value, value })
  }
  return { clock, broker, orders, group, publish, failed: broker.topic('failed'), drain: () => clock.advance(0) }
}

describe('jsonCodec()', () => {
  test.each([[{ id: 1, lines: ['é€😀'] }], [[1, null, 'x']], ['text'], [0], [false], [null]])(
    'gives %j back as it was',
    value => {
      const codec = jsonCodec<unknown>()
      const bytes = codec.encode(value)
      expect(bytes).toBeInstanceOf(Uint8Array)
      expect(codec.decode(bytes)).toEqual(value)
    },
  )

  test('writes JSON in UTF-8', () => {
    expect(jsonCodec<unknown>().encode({ a: 'é' })).toEqual(bytesOf('{"a":"é"}'))
  })

  test('has no text for what JSON has none for', () => {
    expect(() => jsonCodec<unknown>().encode(() => {})).toThrow(TypeError)
  })
})

describe('a topic with a codec', () => {
  const orderTopic = () =>
    new Broker<{ orders: Order | null }>({
      clock: new ManualClock(),
      topics: { orders: { codec: jsonCodec<Order | null>() } },
    })

  test('keeps a value as it was when it was published, whatever is done to the object', () => {
    const orders = orderTopic().topic('orders')
    const order: Order = { id: 1, lines: ['a'] }
    orders.publish({ value: order })
    order.lines!.push('b')
    order.id = 2
    expect(orders.partitions[0]!.read(0)[0]!.value).toEqual({ id: 1, lines: ['a'] })
  })

  test('gives each reader a value of its own', () => {
    const orders = orderTopic().topic('orders')
    orders.publish({ value: { id: 1 } })
    const [first] = orders.partitions[0]!.read(0)
    first!.value!.id = 99
    expect(orders.partitions[0]!.read(0)[0]!.value).toEqual({ id: 1 })
  })

  test('hands out decoded values everywhere: poll, loop, run, read, events', async () => {
    const broker = orderTopic()
    const orders = broker.topic('orders')
    const seen: unknown[] = []
    orders.on('record', ({ value }) => seen.push(value))
    orders.publish({ value: { id: 1 } })
    const [polled] = await broker.group('a', { topics: 'orders' }).join().poll()
    seen.push(polled?.value)
    for await (const { value } of broker.group('b', { topics: 'orders' }).join()) {
      seen.push(value)
      break
    }
    await broker
      .group('c', { topics: 'orders' })
      .join()
      .run(({ value }, { stop }) => {
        seen.push(value)
        stop()
      })
    for await (const { value } of orders.read({ until: 'latest' })) seen.push(value)
    expect(seen).toEqual(Array.from({ length: 5 }, () => ({ id: 1 })))
  })

  test('keeps a tombstone a tombstone', () => {
    const orders = orderTopic().topic('orders')
    orders.publish({ key: 'k', value: null })
    expect(orders.partitions[0]!.read(0)[0]!.value).toBeNull()
  })

  test('a value that can not be encoded is INVALID_RECORD, with the error as cause; nothing is written', async () => {
    const why = new Error('too strange')
    const codec: Codec<string> = {
      encode: () => {
        throw why
      },
      decode: () => '',
    }
    const broker = new Broker<{ t: string }>({ clock: new ManualClock(), topics: { t: { codec } } })
    const error = await caught(() => broker.topic('t').publish({ value: 'x' }))
    expectCode(error, 'INVALID_RECORD', 't')
    expect((error as Error).cause).toBe(why)
    expect(broker.topic('t').partitions[0]!.endOffset).toBe(0)
  })

  test('a codec that does not give bytes is INVALID_RECORD, and nothing is written', async () => {
    const codec = { encode: () => 'text', decode: () => '' } as unknown as Codec<string>
    const broker = new Broker<{ t: string }>({ clock: new ManualClock(), topics: { t: { codec } } })
    await refused(() => broker.topic('t').publish({ value: 'x' }), 'INVALID_RECORD', 't', 'text')
    expect(broker.topic('t').partitions[0]!.endOffset).toBe(0)
  })
})

describe('a value that can not be decoded, in poll()', () => {
  test('is INVALID_RECORD from each poll, until it is sought past', async () => {
    const { group, publish } = setup()
    publish('bad', 'good')
    const consumer = group.join()
    for (let i = 0; i < 3; i++) await refused(() => consumer.poll(), 'INVALID_RECORD', 'orders')
    expect(consumer.position('orders', 0)).toBe(0)
    consumer.seek('orders', 0, 1)
    expect((await consumer.poll()).map(({ value }) => value)).toEqual(['good'])
  })

  test('the records before it are handed out first', async () => {
    const { group, publish } = setup()
    publish('one', 'two', 'bad', 'three')
    const consumer = group.join()
    expect((await consumer.poll()).map(({ value }) => value)).toEqual(['one', 'two'])
    await refused(() => consumer.poll(), 'INVALID_RECORD', 'orders')
    consumer.seek('orders', 0, 3)
    expect((await consumer.poll()).map(({ value }) => value)).toEqual(['three'])
  })

  test('says which record it is, and why', async () => {
    const { group, publish } = setup()
    publish('one', 'bad one')
    const consumer = group.join()
    await consumer.poll()
    const error = await caught(() => consumer.poll())
    expectCode(error, 'INVALID_RECORD', 'orders', '1')
    expect((error as Error).cause).toBeInstanceOf(SyntaxError)
  })

  test('is never committed over', async () => {
    const { group, publish, clock } = setup()
    publish('one', 'bad')
    const consumer = group.join()
    await consumer.poll()
    await refused(() => consumer.poll(), 'INVALID_RECORD')
    await clock.advance(10_000)
    await consumer.close()
    expect(group.committed('orders', 0)).toBe(1)
  })

  test('is INVALID_RECORD also from a poll that is parked when it is published', async () => {
    const { group, publish, drain } = setup()
    const poll = watch(group.join().poll())
    await drain()
    publish('bad')
    await drain()
    expectCode(poll.error, 'INVALID_RECORD', 'orders')
  })

  test('does not keep another group or the log from anything', async () => {
    const { broker, orders, publish } = setup()
    publish('bad', 'good')
    const other = broker.group('other', { topics: 'orders' }).join()
    other.seek('orders', 0, 1)
    expect((await other.poll()).map(at)).toEqual(['0:1'])
    expect(orders.partitions[0]!.endOffset).toBe(2)
  })

  test('is INVALID_RECORD in a loop, which can be begun again behind it', async () => {
    const { group, publish } = setup()
    publish('one', 'bad', 'two')
    const consumer = group.join()
    const seen: string[] = []
    const error = await caught(async () => {
      for await (const { value } of consumer) seen.push(value)
    })
    expectCode(error, 'INVALID_RECORD', 'orders')
    consumer.seek('orders', 0, 2)
    for await (const { value } of consumer) {
      seen.push(value)
      break
    }
    expect(seen).toEqual(['one', 'two'])
  })
})

describe('a value that can not be decoded, in run()', () => {
  test("fails in its handler's place: HANDLER_FAILED, and the group stays before it", async () => {
    const { group, publish } = setup()
    publish('one', 'bad', 'two')
    const seen: string[] = []
    const error = await caught(() => group.join().run(({ value }) => void seen.push(value)))
    expectCode(error, 'HANDLER_FAILED', 'orders-0', '1')
    const { cause } = error as Error
    expect(isMillraceError(cause, 'INVALID_RECORD') || cause instanceof SyntaxError).toBe(true)
    expect([seen, group.committed('orders', 0)]).toEqual([['one'], 1])
  })

  test('goes to the dead letter topic with its bytes as they are, and the run goes on', async () => {
    const { group, publish, failed, clock, drain } = setup()
    publish('one', 'bad', 'two')
    const seen: string[] = []
    const letters: ConsumerRecord<string | Uint8Array>[] = []
    failed.on('record', record => letters.push(record))
    const run = watch(group.join().run(({ value }) => void seen.push(value), { deadLetter: failed }))
    await drain()
    expect([run.state, seen]).toEqual(['pending', ['one', 'two']])
    expect(letters.map(({ key, value }) => [key, value])).toEqual([['bad', bytesOf('bad')]])
    expect(lastHeader(letters[0]!, '__dlq.errors.offset')).toBe('1')
    expect(lastHeader(letters[0]!, '__dlq.errors.topic')).toBe('orders')
    await clock.advance(5_000)
    expect(group.committed('orders', 0)).toBe(3)
  })

  test('is retried first: retry applies, on the clock, and the delivery count says so', async () => {
    const { group, publish, failed, clock } = setup()
    publish('bad')
    void group.join().run(() => {}, { deadLetter: failed, retry: { attempts: 3, backoffMs: 100 } })
    await clock.advance(199)
    expect(failed.partitions[0]!.endOffset).toBe(0)
    await clock.advance(1)
    const [letter] = failed.partitions[0]!.read(0)
    expect(lastHeader(letter!, '__dlq.errors.delivery.count')).toBe('3')
  })

  test('never reaches the handler', async () => {
    const { group, publish, failed, drain } = setup()
    publish('bad', 'bad again')
    let called = 0
    void group.join().run(() => void called++, { deadLetter: failed, retry: { attempts: 2 }, concurrency: 3 })
    await drain()
    expect([called, failed.partitions[0]!.endOffset]).toEqual([0, 2])
  })

  test('in manualCommit mode its dead letter is committed if all before it are', async () => {
    const { group, publish, failed, drain } = setup({ commitMode: 'manualCommit' })
    publish('bad', 'one', 'bad')
    void group.join().run(() => {}, { deadLetter: failed })
    await drain()
    expect([group.committed('orders', 0), failed.partitions[0]!.endOffset]).toEqual([1, 2])
  })

  test('keeps the order of its key and lets the others go on', async () => {
    const { orders, group, failed, clock, drain } = setup()
    for (const [key, value] of [
      ['a', 'bad'],
      ['b', 'b1'],
      ['a', 'a2'],
    ] as const)
      orders.publish({ partition: 0, key, value })
    const seen: string[] = []
    void group.join().run(({ value }) => void seen.push(value), {
      deadLetter: failed,
      retry: { attempts: 2, backoffMs: 100 },
      concurrency: 3,
    })
    await drain()
    expect(seen).toEqual(['b1'])
    await clock.advance(100)
    expect(seen).toEqual(['b1', 'a2'])
  })
})
