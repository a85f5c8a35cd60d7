import type { NextOffset } from '../../index.js'
import { check } from '../runner.js'
import { same } from './assert.js'
import { given, later, numbered, type Promises, upTo, valuesOf } from './world.js'

const manual = { commitMode: 'manualCommit' } as const

/** What is committed, by whom, and when: by hand in all its forms, and by the library. */
export const commits: Promises = {
  'commit() commits what was handed out, and what was not, it does not': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(5))
    await w.publish(
      'orders',
      numbered(5).map(record => ({ ...record, partition: 1 })),
    )
    const group = w.group(manual)
    const consumer = await w.join(group)
    same('committed before', await w.committed(group, 'orders', 0), undefined)
    const records = await w.take(consumer, 7)
    await w.keep('a commit', consumer.commit())
    const elsewhere = w.group(manual, await w.another())
    for (const partition of [0, 1]) {
      const count = records.filter(record => record.partition === partition).length
      same(`committed of partition ${partition}`, (await w.committed(group, 'orders', partition)) ?? 0, count)
      same('seen by another process', (await w.committed(elsewhere, 'orders', partition)) ?? 0, count)
    }
  }),

  'commit(record) commits the offset after it': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group(manual)
    const consumer = await w.join(group)
    const records = await w.take(consumer, 5)
    await w.keep('a commit', consumer.commit(records[2]!))
    same('committed', await w.committed(group, 'orders', 0), 3)
    await w.keep('a commit of an earlier one', consumer.commit(records[0]!))
    same('committed then', await w.committed(group, 'orders', 0), 1)
  }),

  'commit(records) commits the furthest of each partition': given({ orders: 3 }, async w => {
    await w.publish('orders', numbered(9, 3))
    const group = w.group(manual)
    const consumer = await w.join(group)
    const records = await w.take(consumer, 9)
    const some = records.filter(({ partition, offset }) => partition === 0 || (partition === 1 && offset < 2))
    await w.keep('a commit', consumer.commit(some.reverse()))
    same('committed of partition 0', await w.committed(group, 'orders', 0), 3)
    same('committed of partition 1', await w.committed(group, 'orders', 1), 2)
    same('committed of partition 2', await w.committed(group, 'orders', 2), undefined)
    await w.keep('a commit of no records', consumer.commit([]))
  }),

  'commit(offsets) takes them as given, backwards and beyond the end, and moves no position': given(
    { orders: 2 },
    async w => {
      await w.publish('orders', numbered(8, 2))
      const group = w.group(manual)
      const consumer = await w.join(group)
      await w.take(consumer, 8)
      const commit = (...offsets: number[]): Promise<void> =>
        w.keep('a commit', consumer.commit(offsets.map((nextOffset, i) => ({ ...w.at('orders', i), nextOffset }))))
      for (const [first, second] of [
        [3, 2],
        [1, 4],
        [0, 99],
      ] as const) {
        await commit(first, second)
        same('committed of partition 0', await w.committed(group, 'orders', 0), first)
        same('committed of partition 1', await w.committed(group, 'orders', 1), second)
      }
      same('its position', consumer.position(w.name('orders'), 0), 4)
    },
  ),

  'context.commit() commits up to the first unfinished record': given({ orders: 1 }, async w => {
    await w.publish(
      'orders',
      ['a', 'b', 'b', 'b'].map((key, value) => ({ key, value, partition: 0 })),
    )
    const group = w.group(manual)
    const consumer = await w.join(group)
    const gate = w.gate()
    const committed: number[] = []
    const running = w.run(
      consumer,
      async ({ value }, { commit }) => {
        if (value === 0) await gate.opened
        await commit()
        committed.push(value)
      },
      { concurrency: 2 },
    )
    await w.until('three records to be done while the first is at work', () => committed.length === 3)
    same('committed while the first record is at work', (await w.committed(group, 'orders', 0)) ?? 0, 0)
    gate.open()
    await w.until('the first record to be done', () => committed.length === 4)
    same('committed when it is done', await w.committed(group, 'orders', 0), 4)
    await w.close(consumer)
    await w.keep('run()', running)
  }),

  'a commit of a negative offset is OFFSET_OUT_OF_RANGE, and commits nothing': given({ orders: 2 }, async w => {
    const group = w.group(manual)
    const consumer = await w.join(group)
    const offsets = (...list: number[]): NextOffset[] => list.map((n, i) => ({ ...w.at('orders', i), nextOffset: n }))
    await w.refused('commit() of -1', 'OFFSET_OUT_OF_RANGE', () => consumer.commit(offsets(1, -1)))
    same('committed of the good one', await w.committed(group, 'orders', 0), undefined)
  }),

  'a commit of what is no offset is a TypeError, and commits nothing': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(2, 2))
    const group = w.group(manual)
    const consumer = await w.join(group)
    await w.take(consumer, 2)
    const commit = (what: unknown) => () => consumer.commit(what as never)
    await w.typeError('commit(undefined)', commit(undefined))
    await w.typeError('commit(null)', commit(null))
    await w.typeError('commit() of half an offset', commit([{ ...w.at('orders', 0), nextOffset: 0.5 }]))
    await w.typeError(
      'commit() without an offset',
      commit([{ ...w.at('orders', 0), nextOffset: 1 }, w.at('orders', 1)]),
    )
    same('committed', await w.committed(group, 'orders', 0), undefined)
  }),

  'a commit of what it does not own is ILLEGAL_GENERATION, and commits nothing': given({ orders: 2 }, async w => {
    const group = w.group(manual)
    const members = [group.join(), group.join()] as const
    await w.ready(...members)
    await w.until('a partition each', () => members.every(({ assignment }) => assignment.length === 1))
    const [a, b] = members
    const offsets = [...a.assignment, ...b.assignment].map(where => ({ ...where, nextOffset: 1 }))
    await w.refused('a commit for another', 'ILLEGAL_GENERATION', () => a.commit(offsets))
    for (const partition of [0, 1])
      same(`committed of partition ${partition}`, await w.committed(group, 'orders', partition), undefined)
    await w.refused('a commit of no partition', 'UNKNOWN_TOPIC_OR_PARTITION', () =>
      a.commit([{ ...w.at('orders', 9), nextOffset: 1 }]),
    )
  }),

  'a commit after close() is UNKNOWN_MEMBER_ID': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group(manual)
    const consumer = await w.join(group)
    const [record] = await w.take(consumer, 1)
    await w.close(consumer)
    await w.refused('a commit of a record', 'UNKNOWN_MEMBER_ID', () => consumer.commit(record!))
    await w.refused('a commit of nothing', 'UNKNOWN_MEMBER_ID', () => consumer.commit())
    same('committed', await w.committed(group, 'orders', 0), undefined)
  }),

  'auto-commit writes on the interval what the consumer has come back from': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ autoCommitIntervalMs: w.shortMs })
    const consumer = await w.join(group)
    await w.take(consumer, 3)
    await w.pass(w.shortMs * 2)
    same('committed while the records are in hand', await w.committed(group, 'orders', 0), undefined)
    await w.take(consumer, 2)
    await w.until('what was in hand to be committed', async () => (await group.committed(w.name('orders'), 0)) === 3)
    const parked = later(consumer.poll())
    await w.until('all to be committed while it waits', async () => (await group.committed(w.name('orders'), 0)) === 5)
    await w.close(consumer)
    same('the poll that waited', await w.keep('a poll to end with its consumer', parked), [])
  }),

  'auto-commit with an interval of 0 writes at each coming back': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group({ autoCommitIntervalMs: 0 })
    const consumer = await w.join(group)
    for (const count of upTo(3)) {
      await w.take(consumer, 1)
      const what = `${count} of three to be committed`
      await w.until(what, async () => ((await group.committed(w.name('orders'), 0)) ?? 0) === count)
    }
  }),

  'auto-commit writes what was handed out when its consumer closes': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    await w.take(consumer, 3)
    same('committed before', await w.committed(group, 'orders', 0), undefined)
    await w.close(consumer)
    same('committed after', await w.committed(group, 'orders', 0), 3)
  }),

  'auto-commit does not write the record in hand of a loop': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    const loop = consumer[Symbol.asyncIterator]()
    for (const _ of upTo(3)) await w.keep('a step of a loop', loop.next())
    await w.keep('a loop to be left', loop.return!())
    await w.close(consumer)
    same('committed', await w.committed(group, 'orders', 0), 2)
    same('what comes next', valuesOf(await w.take(await w.join(group), 1)), [2])
  }),

  'commit() in onRevoked does not cover the record in hand of a loop': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group(manual)
    const consumer = await w.join(group, { onRevoked: (_, me) => me.commit() })
    const loop = consumer[Symbol.asyncIterator]()
    for (const _ of upTo(3)) await w.keep('a step of a loop', loop.next())
    await w.keep('a loop to be left', loop.return!())
    await w.close(consumer)
    same('committed', await w.committed(group, 'orders', 0), 2)
  }),

  'commit() goes on when a partition has moved: it commits what is left': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(4, 2))
    const group = w.group(manual)
    const a = await w.join(group)
    await w.take(a, 4)
    const parked = later(a.poll())
    const b = group.join()
    await w.until('a partition to move to the newcomer', () => b.assignment.length === 1)
    const [kept, moved] = [a.assignment[0]!.partition, b.assignment[0]!.partition]
    await w.keep('a commit', a.commit())
    same('committed of what it has kept', await w.committed(group, 'orders', kept), 2)
    same('committed of what has moved', await w.committed(group, 'orders', moved), undefined)
    await w.close(a)
    await w.keep('a poll to end with its consumer', parked)
  }),

  'auto-commit during run() writes what is finished, not what is at work': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ autoCommitIntervalMs: 0 })
    const consumer = await w.join(group)
    const gate = w.gate()
    const begun: number[] = []
    const running = w.run(consumer, async ({ value }) => {
      begun.push(value)
      if (value === 3) await gate.opened
    })
    await w.until('the fourth record to be at work', () => begun.includes(3))
    await w.until('three to be committed', async () => (await group.committed(w.name('orders'), 0)) === 3)
    await w.keep('a commit() beside run()', consumer.commit())
    same('committed by commit() beside run()', await w.committed(group, 'orders', 0), 3)
    gate.open()
    await w.until('five to be committed', async () => (await group.committed(w.name('orders'), 0)) === 5)
    await w.close(consumer)
    await w.keep('run()', running)
  }),

  'with manualCommit nothing is committed by itself': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ ...manual, autoCommitIntervalMs: 0 })
    const consumer = await w.join(group)
    await w.take(consumer, 5)
    await w.nothing(consumer, 'all was read')
    same('committed by polling on', await w.committed(group, 'orders', 0), undefined)
    await w.close(consumer)
    same('committed at close', await w.committed(group, 'orders', 0), undefined)
    const runner = await w.join(group)
    const done: number[] = []
    const running = w.run(runner, ({ value }) => void done.push(value))
    await w.until('five records to be done', () => done.length === 5)
    await w.close(runner)
    await w.keep('run()', running)
    same('committed by run()', await w.committed(group, 'orders', 0), undefined)
    check(done.length === 5, () => `${done.length} of five records were handed to run()`)
  }),
}
