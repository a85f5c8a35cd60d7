import type { HandlerContext } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import {
  given,
  later,
  type Member,
  numbered,
  type Promises,
  placeOf,
  type Read,
  upTo,
  valuesOf,
  type World,
} from './world.js'

/** run(): handlers in order, as many as allowed, and the ways to end. */
export const handlers: Promises = {
  'run() hands out each record once, each partition in order': given({ orders: 3 }, async w => {
    await w.publish('orders', numbered(30, 3))
    const consumer = await w.join(w.group())
    const seen: Read[] = []
    const running = w.run(consumer, record => void seen.push(record))
    await w.until('30 records', () => seen.length >= 30)
    await w.publish('orders', numbered(6, 3, 30))
    await w.until('6 records published later', () => seen.length >= 36)
    await w.close(consumer)
    await w.keep('run() to end with its consumer', running)
    for (const partition of upTo(3)) {
      const values = valuesOf(seen.filter(record => record.partition === partition))
      same(
        `the values of partition ${partition}`,
        values,
        upTo(36).filter(i => i % 3 === partition),
      )
    }
  }),

  'the next record does not come before the earlier is done': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(12, 2))
    const consumer = await w.join(w.group())
    const log: string[] = []
    let done = 0
    w.run(consumer, async record => {
      log.push(`begin ${placeOf(record)}`)
      await w.turns(1 + (record.offset % 3))
      log.push(`end ${placeOf(record)}`)
      done++
    })
    await w.until(
      () => `12 records; the log is ${log.join(', ')}`,
      () => done === 12,
    )
    for (const [i, line] of log.entries())
      if (i % 2 === 1) same('what follows the beginning', line, log[i - 1]!.replace('begin', 'end'))
  }),

  'with concurrency so many are at work, and records of one key never overlap or overtake': given(
    { orders: 2 },
    async w => {
      const records = upTo(48).map(i => ({ key: `k${i % 6}`, value: i }))
      await w.publish('orders', records)
      const consumer = await w.join(w.group())
      const gate = w.gate()
      const atWork: string[] = []
      const done: Read[] = []
      const errors: string[] = []
      let most = 0
      w.run(
        consumer,
        async record => {
          if (atWork.includes(record.key!)) errors.push(`two of ${record.key} at work`)
          atWork.push(record.key!)
          most = Math.max(most, atWork.length)
          await gate.opened
          await w.turns(record.value % 4)
          atWork.splice(atWork.indexOf(record.key!), 1)
          done.push(record)
        },
        { concurrency: 3 },
      )
      await w.until(
        () => `three handlers at work; there are ${atWork.length}`,
        () => atWork.length === 3,
      )
      gate.open()
      await w.until(
        () => `48 records; there came ${done.length}`,
        () => done.length === 48,
      )
      same('what went wrong', errors, [])
      same('the most handlers at work', most, 3)
      for (const key of upTo(6).map(i => `k${i}`)) {
        const expected = records.filter(record => record.key === key).map(({ value }) => value)
        same(`the order of ${key}`, valuesOf(done.filter(record => record.key === key)), expected)
      }
    },
  ),

  'records of a partition without a key are one after the other, whatever the concurrency': given(
    { orders: 2 },
    async w => {
      await w.publish('orders', numbered(16, 2))
      const consumer = await w.join(w.group())
      const atWork: number[] = []
      const done: Read[] = []
      const errors: string[] = []
      w.run(
        consumer,
        async record => {
          if (atWork.includes(record.partition)) errors.push(`${placeOf(record)} beside another of its partition`)
          atWork.push(record.partition)
          await w.turns(1 + (record.value % 3))
          atWork.splice(atWork.indexOf(record.partition), 1)
          done.push(record)
        },
        { concurrency: 5 },
      )
      await w.until(
        () => `16 records; there came ${done.length}`,
        () => done.length === 16,
      )
      same('what went wrong', errors, [])
      for (const partition of [0, 1]) {
        const expected = upTo(16).filter(i => i % 2 === partition)
        same(`the order of ${partition}`, valuesOf(done.filter(record => record.partition === partition)), expected)
      }
    },
  ),

  'a seek in a handler stands when the handler is done': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(6))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    const read: number[] = []
    const running = w.run(consumer, async ({ value }, { stop }) => {
      read.push(value)
      if (read.length === 2) consumer.seek(w.name('orders'), 0, 4)
      if (read.length === 3) consumer.seek(w.name('orders'), 0, 0)
      await w.turns(2)
      if (read.length === 4) stop()
    })
    await w.keep(() => `run() of four records; there came ${read.join()}`, running)
    same('the values', read, [0, 1, 4, 0])
    same('committed', await w.committed(group, 'orders', 0), 1)
  }),

  'context.stop() asks for an orderly close, and run() resolves': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    const done: number[] = []
    const running = w.run(consumer, async ({ value }, { stop }) => {
      if (value === 2) stop()
      await w.turns(2)
      done.push(value)
    })
    await w.keep('run() that was stopped', running)
    same('what is done', done, [0, 1, 2])
    check(consumer.closed, () => 'its consumer is not closed')
    same('committed', await w.committed(group, 'orders', 0), 3)
  }),

  "run()'s signal asks for an orderly close, and run() resolves": given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    const abort = new AbortController()
    const done: number[] = []
    const running = w.run(
      consumer,
      async ({ value }, { signal }) => {
        if (value === 1) abort.abort(new Error('enough'))
        await w.turns(2)
        if (signal.aborted) done.push(Number.NaN)
        done.push(value)
      },
      { signal: abort.signal },
    )
    await w.keep('run() that was aborted', running)
    same('what is done', done, [0, 1])
    same('committed', await w.committed(group, 'orders', 0), 2)
  }),

  'run() with a signal that is aborted already hands out nothing, and resolves': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const group = w.group()
    const consumer = await w.join(group)
    const abort = new AbortController()
    abort.abort(new Error('enough'))
    const done: number[] = []
    await w.keep(
      'run() that was aborted before',
      consumer.run(({ value }) => void done.push(value), { signal: abort.signal }),
    )
    same('what is done', done, [])
    check(consumer.closed, () => 'its consumer is not closed')
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 2)), [0, 1])
  }),

  'close() waits for the handlers at work': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const { consumer, running, gate } = await stuckAt(w, await w.join(group), 0)
    let closed = false
    const closing = later(
      consumer.close().then(() => {
        closed = true
      }),
    )
    await w.pass(w.shortMs)
    check(!closed, () => 'close() did not wait for a handler at work')
    gate.open()
    await w.keep('close()', closing)
    await w.keep('run() to end with its consumer', running)
    same('committed', await w.committed(group, 'orders', 0), 1)
  }),

  'close() with a deadline is REQUEST_TIMED_OUT: signal aborts, what is unfinished stays so': given(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(4))
      const group = w.group({ autoCommitIntervalMs: w.longMs })
      const { consumer, running, gate, context } = await stuckAt(w, await w.join(group), 2)
      check(!context.signal.aborted, () => 'the signal is aborted before the close')
      await w.refused('close() in a short time', 'REQUEST_TIMED_OUT', () => consumer.close({ timeoutMs: w.shortMs }))
      check(context.signal.aborted, () => 'the signal is not aborted')
      gate.open()
      await w.thrown('a commit after the deadline', () => context.commit())
      await w.keep(
        'run() to end with its consumer',
        running.catch(() => {}),
      )
      // Sent at the deadline, but not waited for.
      await w.until('what was done to be committed', async () => (await group.committed(w.name('orders'), 0)) === 2)
      same('what the next member reads', valuesOf(await w.take(await w.join(group), 2)), [2, 3])
    },
  ),
}

/** run() of which the handler of one value waits at a gate. */
async function stuckAt(
  w: World,
  consumer: Member,
  value: number,
): Promise<{ consumer: Member; running: Promise<void>; gate: ReturnType<World['gate']>; context: HandlerContext }> {
  const gate = w.gate()
  let context: HandlerContext | undefined
  const running = w.run(consumer, async (record, given) => {
    if (record.value !== value) return
    context = given
    await gate.opened
  })
  await w.until(`record ${value} to be at work`, () => context !== undefined)
  return { consumer, running, gate, context: context! }
}
