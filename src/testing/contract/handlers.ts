import { type HandlerContext, lastHeader } from '../../index.js'
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

const manual = { commitMode: 'manualCommit' } as const

/** run(): handlers in order, as many as allowed, failures, and the ways to end. */
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

  'a record that fails is tried again in its place, after its back-off': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const consumer = await w.join(w.group())
    const calls: string[] = []
    const times: number[] = []
    const asked: number[] = []
    w.run(
      consumer,
      async ({ value }, { attempt }) => {
        calls.push(`${value}/${attempt}`)
        if (value !== 1) return
        times.push(w.clock.now())
        await w.turns(1)
        if (attempt < 3) throw new Error('not yet')
      },
      {
        retry: {
          attempts: 4,
          backoffMs(attempt) {
            asked.push(attempt)
            return attempt * w.shortMs
          },
        },
      },
    )
    await w.until(
      () => `the last record; the calls are ${calls.join(' ')}`,
      () => calls.includes('2/1'),
    )
    same('the calls', calls, ['0/1', '1/1', '1/2', '1/3', '2/1'])
    same('the attempts that a back-off was asked for', asked, [1, 2])
    for (const attempt of [1, 2]) {
      const waited = times[attempt]! - times[attempt - 1]!
      check(waited >= attempt * w.shortMs - 2, () => `the back-off after attempt ${attempt} took ${waited} ms`)
    }
  }),

  'when all attempts fail run() is HANDLER_FAILED, and the record is delivered again': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(4))
    const group = w.group()
    const consumer = await w.join(group)
    const cause = new Error('poison')
    const done: number[] = []
    const running = w.run(
      consumer,
      async ({ value }) => {
        await w.turns(1)
        if (value === 2) throw cause
        done.push(value)
      },
      { retry: { attempts: 2 } },
    )
    const error = await w.refused('run() of a handler that fails', 'HANDLER_FAILED', () => running)
    check(error.cause === cause, () => `the cause is not the handler's own error, but ${String(error.cause)}`)
    same('what it tells', { ...error.details }, { ...w.at('orders', 0), offset: 2, attempts: 2 })
    check(consumer.closed, () => 'its consumer is not closed')
    same('what is done', done, [0, 1])
    same('committed', await w.committed(group, 'orders', 0), 2)
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 2)), [2, 3])
  }),

  'a record that fails for good goes to the dead letter topic, as it was and with why': given(
    { orders: 2, letters: 1 },
    async w => {
      const headers = [
        ['trace', '1'],
        ['none', null],
        ['trace', '2'],
      ] as const
      const timestamp = w.clock.now() + 1_000
      await w.publish(
        'orders',
        numbered(3).map(record => ({ ...record, partition: 1 })),
      )
      await w.publish('orders', [{ key: 'Zoë', value: { id: 7 }, headers, timestamp, partition: 1 }])
      const group = w.group({ topics: ['orders'] })
      const consumer = await w.join(group)
      const fail = (record: Read): void => {
        if (record.key === 'Zoë') throw new Error('poison')
      }
      w.run(consumer, fail, { retry: { attempts: 2 }, deadLetter: w.topic('letters') })
      const [letter] = await w.keep('a dead letter', firstOf(w, 'letters', 1))
      const { key, value, timestamp: written } = letter!
      same('the letter', { key, value, timestamp: written }, { key: 'Zoë', value: { id: 7 }, timestamp })
      const own = letter!.headers.filter(([name]) => !name.startsWith('__dlq.'))
      const text = own.map(header => [header[0], lastHeader({ ...letter!, headers: [header] }, header[0])])
      same('its own headers', text, headers)
      const about = ['topic', 'partition', 'offset', 'group', 'delivery.count', 'message'].map(name =>
        lastHeader(letter!, `__dlq.errors.${name}`),
      )
      same('the headers about the failure', about, [w.name('orders'), '1', '3', group.id, '2', 'poison'])
    },
  ),

  'a poison record does not stop its partition, and is committed when it is buried': given(
    { orders: 1, letters: 1 },
    async w => {
      await w.publish('orders', numbered(6))
      const group = w.group({ ...manual, topics: ['orders'] })
      const consumer = await w.join(group)
      const done: number[] = []
      const running = w.run(
        consumer,
        async ({ value }, { commit }) => {
          if (value === 2 || value === 5) throw new Error(`poison ${value}`)
          await commit()
          done.push(value)
        },
        { deadLetter: w.topic('letters') },
      )
      same('the letters', valuesOf(await w.keep('two dead letters', firstOf(w, 'letters', 2))), [2, 5])
      same('what is done', done, [0, 1, 3, 4])
      await w.until('the last letter to be committed', async () => (await group.committed(w.name('orders'), 0)) === 6)
      await w.close(consumer)
      await w.keep('run() to end with its consumer', running)
    },
  ),

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

/** The first records of a topic, there already or yet to come. */
async function firstOf(w: World, topic: string, count: number): Promise<Read[]> {
  const found: Read[] = []
  for await (const record of w.topic(topic).read()) if (found.push(record) === count) break
  return found
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
