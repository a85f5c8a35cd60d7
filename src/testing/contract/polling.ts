import { check } from '../runner.js'
import { same } from './assert.js'
import { given, later, numbered, type Promises, upTo, valuesOf } from './world.js'

/** poll() and `for await`: waiting, its limits and its end. */
export const polling: Promises = {
  'poll() waits for a first record': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    let came = false
    const polled = later(
      consumer.poll().finally(() => {
        came = true
      }),
    )
    await w.pass(w.shortMs)
    check(!came, () => 'a poll of an empty topic did not wait')
    await w.publish('orders', numbered(1))
    same('what came', valuesOf(await w.keep('a poll that waits', polled)), [0])
  }),

  'poll() gives [] when its time is over': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    const begun = w.clock.now()
    same('what came', await w.keep('a poll with a time limit', consumer.poll({ timeoutMs: w.shortMs })), [])
    const took = w.clock.now() - begun
    // A host's timer may be early by a part of a millisecond.
    check(took >= w.shortMs - 2, () => `a poll of ${w.shortMs} ms was over after ${took}`)
    same('a poll without time', await w.keep('a poll without time', consumer.poll({ timeoutMs: 0 })), [])
  }),

  'poll() gives as many records as it may at most': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(12))
    const consumer = await w.join(w.group({ maxPollRecords: 3 }))
    const read: any[] = []
    for (const [maxRecords, most] of [
      [undefined, 3],
      [2, 2],
      [4, 4],
      [undefined, 3],
    ] as const) {
      const records = await w.keep('a poll', consumer.poll({ maxRecords }))
      check(records.length <= most, () => `a poll of ${most} at most gave ${records.length}`)
      read.push(...valuesOf(records))
    }
    same('what came', read, upTo(read.length))
  }),

  'no partition starves while another is busy': given({ orders: 2 }, async w => {
    const group = w.group({ maxPollRecords: 5 })
    await w.publish('orders', numbered(40))
    const consumer = await w.join(group)
    await w.take(consumer, 5)
    await w.publish('orders', [{ value: 'other', partition: 1 }])
    let others = 0
    for (let busy = 0; others === 0; busy += 5) {
      check(busy < 400, () => 'after 400 records of one partition none of the other had come')
      await w.publish('orders', numbered(5))
      others = (await w.take(consumer, 5)).filter(({ partition }) => partition === 1).length
    }
  }),

  'an aborted poll() rejects with its reason and consumes nothing': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    const abort = new AbortController()
    const reason = new Error('enough')
    const polled = later(w.thrown('an aborted poll', () => consumer.poll({ signal: abort.signal })))
    await w.turns(3)
    abort.abort(reason)
    check((await polled) === reason, () => 'the poll was rejected, but not with the reason of the abort')
    await w.publish('orders', numbered(3))
    const late = await w.thrown('a poll aborted before', () => consumer.poll({ signal: abort.signal }))
    check(late === reason, () => 'the poll was rejected, but not with the reason of the abort')
    same('what the next poll gives', valuesOf(await w.take(consumer, 3)), upTo(3))
  }),

  'a second poll, loop or run beside one is CONCURRENT_POLL': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    const parked = later(consumer.poll())
    const busy = 'CONCURRENT_POLL'
    await w.refused('a second poll', busy, () => consumer.poll({ timeoutMs: 0 }))
    await w.refused('a loop', busy, () => consumer[Symbol.asyncIterator]().next())
    await w.refused('run()', busy, () => consumer.run(() => {}))
    await w.publish('orders', numbered(1))
    same('what the first poll gives', valuesOf(await w.keep('the first poll', parked)), [0])
  }),

  'a second poll, loop or run beside run() is CONCURRENT_POLL': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    const done: number[] = []
    const running = w.run(consumer, ({ value }) => void done.push(value))
    const busy = 'CONCURRENT_POLL'
    await w.refused('a poll', busy, () => consumer.poll({ timeoutMs: 0 }))
    await w.refused('a loop', busy, () => consumer[Symbol.asyncIterator]().next())
    await w.refused('a second run()', busy, () => consumer.run(() => {}))
    await w.publish('orders', numbered(1))
    await w.until('run() to go on', () => done.length === 1)
    await w.close(consumer)
    await w.keep('run() to end with its consumer', running)
  }),

  'a loop goes step by step, and when it is left the consumer goes on': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(6))
    const consumer = await w.join(w.group())
    const read: number[] = []
    const loop = async (): Promise<void> => {
      for await (const record of consumer) {
        read.push(record.value)
        same('the position in the loop', consumer.position(w.name('orders'), 0), record.offset + 1)
        if (read.length % 2 === 0) break
      }
    }
    await w.keep('a loop to be left', loop())
    await w.keep('another loop to be left', loop())
    same('what the loops read', read, upTo(4))
    check(!consumer.closed, () => 'the consumer is closed')
    same('what a poll reads then', valuesOf(await w.take(consumer, 2)), [4, 5])
  }),

  'close() ends a poll with [] and a loop without an error': given({ orders: 1 }, async w => {
    const group = w.group()
    const [polls, loops] = [await w.join(group), await w.join(group)]
    const polled = later(polls.poll())
    const looped = later(
      (async () => {
        for await (const _ of loops);
      })(),
    )
    await w.turns(3)
    await w.close(polls, loops)
    same('the poll', await w.keep('a poll to end with its consumer', polled), [])
    await w.keep('a loop to end with its consumer', looped)
  }),

  'after close() a consumer is CLOSED': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    check(!consumer.closed, () => 'closed is true before close()')
    const closing = later(consumer.close())
    check(consumer.closed, () => 'closed is false when close() has been called')
    await w.keep('close()', closing)
    await w.keep('a second close()', consumer.close())
    same('its assignment', consumer.assignment, [])
    await w.refused('poll()', 'CLOSED', () => consumer.poll())
    await w.refused('a loop', 'CLOSED', () => consumer[Symbol.asyncIterator]().next())
    await w.refused('run()', 'CLOSED', () => consumer.run(() => {}))
    await w.refused('ready()', 'CLOSED', () => consumer.ready())
    await w.refused('seek()', 'CLOSED', () => consumer.seek(w.name('orders'), 0, 0))
    await w.refused('pause()', 'CLOSED', () => consumer.pause())
  }),

  'leaving the scope that disposes of it closes a consumer, and a broker; a second close() is none': given(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(2))
      const dispose: typeof Symbol.asyncDispose = (Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')) as never
      const other = await w.another()
      const group = w.group({ autoCommitIntervalMs: w.longMs }, other)
      const consumer = await w.join(group)
      await w.take(consumer, 1)
      await w.keep('a consumer to be disposed of', consumer[dispose]())
      check(consumer.closed, () => 'the consumer is not closed')
      same('committed', await w.committed(w.group({ autoCommitIntervalMs: w.longMs }), 'orders', 0), 1)
      const another = await w.join(group)
      await w.keep('a broker to be disposed of', other[dispose]())
      check(another.closed, () => 'the consumer of the broker is not closed')
      await w.keep('a second close()', other.close())
    },
  ),

  'nothing is lost when a consumer closes in mid-stream': given({ orders: 2 }, async w => {
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const published = later(
      (async () => {
        for (const i of upTo(12)) {
          await w.publish('orders', numbered(5, 2, i * 5))
          await w.turns(2)
        }
      })(),
    )
    const read: number[] = []
    for (const count of [7, 13, 20]) {
      const consumer = await w.join(group)
      read.push(...valuesOf(await w.take(consumer, count)))
      const parked = later(consumer.poll({ maxRecords: 1 }))
      await w.close(consumer)
      read.push(...valuesOf(await w.keep('a poll to end with its consumer', parked)))
    }
    await published
    const rest = await w.take(await w.join(group), 60 - read.length)
    same(
      'what was read, by four consumers',
      [...read, ...valuesOf(rest)].sort((a, b) => a - b),
      upTo(60),
    )
  }),

  "closing a broker closes its consumers in order, and others' go on": given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(6, 2))
    const other = await w.another()
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const a = await w.join(w.group({ autoCommitIntervalMs: w.longMs }, other))
    await w.take(a, 4)
    const parked = later((async () => [...valuesOf(await a.poll({ maxRecords: 2 })), ...valuesOf(await a.poll())])())
    const elsewhere = await w.join(w.group({ id: 'elsewhere' }))
    await w.until('the last records to be in hand', () => {
      const positions = a.assignment.map(({ topic, partition }) => a.position(topic, partition) ?? 0)
      return positions.length === 2 && positions.every(position => position === 3)
    })
    await w.keep('the broker to close', other.close())
    check(a.closed, () => 'its consumer is not closed')
    await w.keep('its poll to end', parked)
    same('the lag that its consumer left', await w.keep('a lag', group.lag()), 0)
    await w.refused('joining through it', 'CLOSED', () =>
      w.group({ autoCommitIntervalMs: w.longMs }, other).join().ready(),
    )
    same("what another broker's consumer reads", (await w.take(elsewhere, 6)).length, 6)
  }),

  'options that can not be are INVALID_CONFIG, and change nothing': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const consumer = await w.join(w.group())
    const wrong = 'INVALID_CONFIG'
    await w.refused('poll() of no records', wrong, () => consumer.poll({ maxRecords: 0 }))
    await w.refused('poll() of a negative time', wrong, () => consumer.poll({ timeoutMs: -1 }))
    await w.refused('run() of no handlers', wrong, () => consumer.run(() => {}, { concurrency: 0 }))
    await w.refused('run() of no attempts', wrong, () => consumer.run(() => {}, { retry: { attempts: 0 } }))
    await w.refused('run() with a dead letter topic that it reads', wrong, () =>
      consumer.run(() => {}, { deadLetter: w.topic('orders') }),
    )
    await w.refused('run() without a handler', wrong, () => consumer.run(undefined as never))
    await w.refused('close() in a negative time', wrong, () => consumer.close({ timeoutMs: -1 }))
    await w.refused('an unknown commitMode', wrong, () => w.group({ id: 'other', commitMode: 'never' as never }))
    same('what is there to read', valuesOf(await w.take(consumer, 2)), [0, 1])
  }),
}
