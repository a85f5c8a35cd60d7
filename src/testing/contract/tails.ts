import type { StartFrom } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import { given, later, numbered, type Promises, placeOf, type Read, sortedValues, upTo, valuesOf } from './world.js'

/** topic.read(): the log without a group. */
export const tails: Promises = {
  'read() gives all that is there, and ends at the latest': given({ orders: 3 }, async w => {
    same('an empty topic', await w.all('orders'), [])
    await w.publish('orders', numbered(30, 3))
    const until = w.topic('orders').read({ until: 'latest' })
    same('the first reading', sortedValues(await w.collect(until)), upTo(30))
    await w.publish('orders', numbered(6, 3, 30))
    same('a second reading', sortedValues(await w.all('orders', await w.another())), upTo(36))
  }),

  'read() to the latest goes by the ends as of its first step, not as of its call or its end': given(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(2))
      const reading = w.topic('orders').read({ until: 'latest' })
      await w.publish('orders', numbered(2, 1, 2))
      const steps = reading[Symbol.asyncIterator]()
      const first = await w.keep('a first step', steps.next())
      await w.publish('orders', numbered(2, 1, 4))
      const rest = await w.collect({ [Symbol.asyncIterator]: () => steps })
      same('what is read', [first.value?.value, ...valuesOf(rest)], upTo(4))
    },
  ),

  'read() starts where it is told to': given({ orders: 1 }, async w => {
    const now = w.clock.now()
    await w.publish(
      'orders',
      upTo(6).map(value => ({ value, timestamp: now + value * 1_000 })),
    )
    const from = async (start: StartFrom): Promise<any[]> =>
      valuesOf(await w.collect(w.topic('orders').read({ from: start, until: 'latest' })))
    same('from offset 4', await from(4), [4, 5])
    same('from the end as an offset', await from(6), [])
    same('from the earliest', await from('earliest'), upTo(6))
    same('from the latest', await from('latest'), [])
    same('from a time between two records', await from({ timestamp: now + 2_500 }), [3, 4, 5])
    same('from the time of a record', await from({ timestamp: now + 5_000 }), [5])
    same('from a time after all records', await from({ timestamp: now + 9_000 }), [])
  }),

  'read() gives the partitions it is asked for': given({ orders: 3 }, async w => {
    await w.publish('orders', numbered(12, 3))
    const some = await w.collect(w.topic('orders').read({ partitions: [0, 2], until: 'latest' }))
    same(
      'the values',
      sortedValues(some),
      upTo(12).filter(i => i % 3 !== 1),
    )
  }),

  'read() is a tail: it goes on with what is published later': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(2, 2))
    const found: Read[] = []
    const tail = later(
      (async () => {
        for await (const record of w.topic('orders').read()) if (found.push(record) === 8) break
      })(),
    )
    const came = (count: number): Promise<void> =>
      w.until(
        () => `${count} records of a tail; there came ${found.map(placeOf).join(' ')}`,
        () => found.length >= count,
      )
    await came(2)
    await w.publish('orders', numbered(3, 2, 2))
    await came(5)
    await w.publish('orders', numbered(3, 2, 5))
    await w.keep('a tail that was left to end', tail)
    same('the values', sortedValues(found), upTo(8))
  }),

  'read() from the latest gives only what comes after its first step': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const tail = w.topic('orders').read({ from: 'latest' })[Symbol.asyncIterator]()
    const step = later(tail.next())
    // Resolved at the first step, which may take a while: until one of the records is seen, there is another.
    let seen: IteratorResult<Read, unknown> | undefined
    later(
      step.then(result => {
        seen = result
      }),
    )
    for (let value = 3; seen === undefined && value < 1_000; value++) {
      await w.publish('orders', [{ value }])
      await w.turns(20)
    }
    const first = await w.keep('a record published after a tail had begun', step)
    check(first.done !== true && first.value.value >= 3, () => `the tail began with ${JSON.stringify(first.value)}`)
    await w.keep('a tail to be left', tail.return!())
  }),

  'an abort ends a read() with its reason, also one that waits': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const abort = new AbortController()
    const reason = new Error('enough')
    const found: any[] = []
    const reading = later(
      w.thrown('an aborted read', async () => {
        for await (const { value } of w.topic('orders').read({ signal: abort.signal })) found.push(value)
      }),
    )
    await w.until('a tail to read what is there', () => found.length === 2)
    abort.abort(reason)
    check((await reading) === reason, () => 'the read ended, but not with the reason of the abort')
    const late = w.topic('orders').read({ signal: abort.signal, until: 'latest' })
    check((await w.thrown('a read aborted before it began', () => w.collect(late))) === reason, () => 'another reason')
  }),

  'what a reader does to its record is seen by nobody else': given({ orders: 1 }, async w => {
    await w.publish('orders', [{ key: 'a', value: 1, headers: { trace: '1' } }])
    const [mine] = (await w.all('orders')) as [Read]
    Object.assign(mine, { key: 'b', value: 2, offset: 99, timestamp: 0, headers: [] })
    const [theirs] = (await w.all('orders')) as [Read]
    same(
      'the record',
      { key: theirs.key, value: theirs.value, offset: theirs.offset },
      { key: 'a', value: 1, offset: 0 },
    )
    same('its headers', theirs.headers.length, 1)
    const [polled] = await w.take(await w.join(w.group()), 1)
    same('the record of a poll', { key: polled!.key, value: polled!.value }, { key: 'a', value: 1 })
  }),

  'when the broker closes, a tail ends with what is there': given({ orders: 1 }, async w => {
    const found: any[] = []
    const tail = later(
      (async () => {
        for await (const { value } of w.topic('orders').read()) found.push(value)
      })(),
    )
    await w.publish('orders', numbered(3))
    await w.keep('the broker to close', w.broker.close())
    await w.keep('the tail to end', tail)
    same('what it has read', found, upTo(3))
  }),

  'what is there can be read after the broker has closed': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    await w.keep('the broker to close', w.broker.close())
    same('what is read', valuesOf(await w.all('orders')), upTo(3))
  }),
}
