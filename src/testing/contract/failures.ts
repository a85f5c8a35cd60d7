import { lastHeader, type TopicPartition } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import { given, later, numbered, type Promises, type Read, valuesOf, type World } from './world.js'

const manual = { commitMode: 'manualCommit' } as const

/** What run() does with what fails: attempts, dead letters, and the end. */
export const failures: Promises = {
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

  'a back-off may be a number of milliseconds': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(1))
    const times: number[] = []
    const running = w.run(
      await w.join(w.group()),
      () => {
        times.push(w.clock.now())
        throw new Error('not yet')
      },
      { retry: { attempts: 3, backoffMs: w.shortMs * 2 } },
    )
    await w.refused('run() of a handler that fails', 'HANDLER_FAILED', () => running)
    same('the attempts', times.length, 3)
    for (const attempt of [1, 2]) {
      const waited = times[attempt]! - times[attempt - 1]!
      check(waited >= w.shortMs * 2 - 2, () => `the back-off after attempt ${attempt} took ${waited} ms`)
    }
  }),

  'a record that waits for its next attempt does not keep its partition from moving': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(2, 2))
    const group = w.group({ ...manual })
    const a = await w.join(group)
    const failed: number[] = []
    const running = w.run(
      a,
      ({ partition }) => {
        failed.push(partition)
        throw new Error('not yet')
      },
      { concurrency: 2, retry: { attempts: 2, backoffMs: w.longMs } },
    )
    await w.until('a record of each partition to fail', () => failed.length === 2)
    const b = group.join()
    await w.until('a partition to move to the newcomer', () => b.assignment.length === 1)
    const [{ partition }] = b.assignment as readonly [TopicPartition]
    same('what the newcomer reads', valuesOf(await w.take(b, 1)), [partition])
    await w.close(a)
    await w.keep('run() to end with its consumer', running)
  }),

  'close() does not wait for the next attempt of what has failed': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    const attempts: number[] = []
    const running = w.run(
      consumer,
      ({ value }, { attempt }) => {
        if (value === 0) return
        attempts.push(attempt)
        throw new Error('not yet')
      },
      { retry: { attempts: 2, backoffMs: w.longMs } },
    )
    await w.until('a record to fail', () => attempts.length === 1)
    await w.close(consumer)
    await w.keep('run() to end with its consumer', running)
    same('the attempts', attempts, [1])
    same('committed', await w.committed(group, 'orders', 0), 1)
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 1)), [1])
  }),

  'run() that fails waits for the other handlers, and commits what they have done': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(4, 2))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const gate = w.gate()
    const begun: number[] = []
    let over = false
    const running = w.run(
      await w.join(group),
      async ({ value }) => {
        begun.push(value)
        if (value === 0) {
          await gate.opened
          return
        }
        // Not before the other is at work.
        await w.until('both to be at work', () => begun.length === 2)
        throw new Error('poison')
      },
      { concurrency: 2 },
    )
    const refused = later(
      w
        .refused('run() of a handler that fails', 'HANDLER_FAILED', () => running)
        .finally(() => {
          over = true
        }),
    )
    await w.until('both to be at work', () => begun.length === 2)
    await w.pass(w.shortMs)
    check(!over, () => 'run() was over while a handler was at work')
    gate.open()
    const { details } = await refused
    same('which one failed', details.partition, 1)
    same('what was begun', begun.sort(), [0, 1])
    same('committed of what was done', await w.committed(group, 'orders', 0), 1)
    same('committed of what has failed', (await w.committed(group, 'orders', 1)) ?? 0, 0)
  }),

  'what throws after its commit is tried again, but does not go back': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group(manual)
    const consumer = await w.join(group)
    const calls: string[] = []
    const running = w.run(
      consumer,
      async ({ value }, { commit, attempt }) => {
        calls.push(`${value}/${attempt}`)
        await commit()
        if (value === 1) throw new Error('too late')
      },
      { retry: { attempts: 2 } },
    )
    await w.refused('run() of a handler that fails', 'HANDLER_FAILED', () => running)
    same('the calls', calls, ['0/1', '1/1', '1/2'])
    same('committed', await w.committed(group, 'orders', 0), 2)
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 1)), [2])
  }),

  'a record is not done before its dead letter is written': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const group = w.group({ autoCommitIntervalMs: 0 })
    const consumer = await w.join(group)
    const gate = w.gate()
    const letters: unknown[] = []
    const done: number[] = []
    const deadLetter = {
      name: 'elsewhere',
      async publish({ value }: { value: unknown }) {
        letters.push(value)
        await gate.opened
      },
    }
    const running = w.run(
      consumer,
      ({ value }) => {
        if (value === 0) throw new Error('poison')
        done.push(value)
      },
      { deadLetter },
    )
    await w.until('a dead letter to be on its way', () => letters.length === 1)
    await w.pass(w.shortMs)
    same('what is done meanwhile', done, [])
    same('what is committed meanwhile', (await w.committed(group, 'orders', 0)) ?? 0, 0)
    gate.open()
    await w.until('the next record', () => done.length === 1)
    await w.close(consumer)
    await w.keep('run() to end with its consumer', running)
    same('committed', await w.committed(group, 'orders', 0), 2)
  }),

  'a dead letter that is refused is a failure: nothing goes on without it': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group()
    const done: number[] = []
    const deadLetter = { name: 'elsewhere', publish: () => Promise.reject(new Error('disk full')) }
    const running = w.run(
      await w.join(group),
      ({ value }) => {
        if (value === 1) throw new Error('poison')
        done.push(value)
      },
      { deadLetter },
    )
    await w.refused('run() that can not bury', 'HANDLER_FAILED', () => running)
    same('what is done', done, [0])
    same('committed', await w.committed(group, 'orders', 0), 1)
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 2)), [1, 2])
  }),

  'a handler whose partition is lost is told by its signal, and what comes of it counts for nothing': given(
    { orders: 1, letters: 1 },
    async w => {
      await w.publish('orders', numbered(1))
      const group = w.group({ topics: ['orders'], maxPollIntervalMs: w.shortMs * 5 })
      const consumer = await w.join(group)
      const gate = w.gate()
      const reasons: unknown[] = []
      const calls: number[] = []
      const running = w.run(
        consumer,
        async (_, { signal, attempt }) => {
          calls.push(attempt)
          if (calls.length > 1) return
          signal.addEventListener('abort', () => reasons.push(signal.reason))
          await gate.opened
          throw new Error('of a handler that is out')
        },
        { deadLetter: w.topic('letters') },
      )
      await w.until('it to be out', () => reasons.length === 1)
      check(
        typeof (reasons[0] as { code?: unknown }).code === 'string',
        () => `the reason of its signal is ${String(reasons[0])}`,
      )
      gate.open()
      await w.until('the record to come again, to the same run()', () => calls.length === 2)
      same('its attempts', calls, [1, 1])
      await w.close(consumer)
      await w.keep('run() to end with its consumer', running)
      same('the dead letters', await w.all('letters'), [])
    },
  ),

  'run() rejects with what a listener throws, and leaves': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(1))
    const group = w.group()
    const error = new Error('in onAssigned')
    const consumer = group.join({
      onAssigned(partitions) {
        if (partitions.length > 0) throw error
      },
    })
    const done: number[] = []
    const running = later(consumer.run(({ value }) => void done.push(value)))
    check((await w.thrown('run()', () => running)) === error, () => 'run() told another error')
    check(consumer.closed, () => 'its consumer is not closed')
    same('what is done', done, [])
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 1)), [0])
  }),
}

/** The first records of a topic, there already or yet to come. */
async function firstOf(w: World, topic: string, count: number): Promise<Read[]> {
  const found: Read[] = []
  for await (const record of w.topic(topic).read()) if (found.push(record) === count) break
  return found
}
