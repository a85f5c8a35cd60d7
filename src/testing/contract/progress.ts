import { check } from '../runner.js'
import { same } from './assert.js'
import { given, later, numbered, type Promises } from './world.js'

/** How far a group has come: caughtUp() and lag(). */
export const progress: Promises = {
  'caughtUp() waits for all that was published before': given({ orders: 2 }, async w => {
    const group = w.group({ autoCommitIntervalMs: 0 })
    await w.publish('orders', numbered(10, 2))
    const consumer = await w.join(group)
    const gate = w.gate()
    let done = 0
    w.run(consumer, async () => {
      await gate.opened
      done++
    })
    let caughtUp = false
    const waiting = later(
      group.caughtUp().then(() => {
        caughtUp = true
        return done
      }),
    )
    await w.pass(w.shortMs)
    check(!caughtUp, () => 'caughtUp() while the first record was at work')
    gate.open()
    check((await w.keep('caughtUp()', waiting)) >= 10, () => `caughtUp() when ${done} of 10 were done`)
    await w.keep('caughtUp() with nothing new', group.caughtUp())
  }),

  'caughtUp() is CLOSED when nobody is left to do it': given({ orders: 1 }, async w => {
    const group = w.group()
    await w.keep('caughtUp() of an empty topic', group.caughtUp())
    await w.publish('orders', numbered(3))
    await w.refused('caughtUp() without members', 'CLOSED', () => group.caughtUp())
    const consumer = await w.join(group)
    const waiting = later(group.caughtUp())
    const refused = later(w.refused('caughtUp() when the last member leaves', 'CLOSED', () => waiting))
    await w.close(consumer)
    await refused
  }),

  'lag() counts from what is committed to the end': given({ orders: 2 }, async w => {
    const group = w.group({ commitMode: 'manualCommit' })
    const lag = (): Promise<number> => w.keep('a lag', group.lag())
    same('of an empty topic', await lag(), 0)
    await w.publish('orders', numbered(10, 2))
    same('with nothing committed', await lag(), 10)
    const consumer = await w.join(group)
    const records = await w.take(consumer, 10)
    same('with nothing committed, all read', await lag(), 10)
    const second = records.filter(({ partition }) => partition === 1)[1]!
    await w.keep('a commit', consumer.commit(second))
    same('two of ten committed', await lag(), 8)
    await w.publish('orders', numbered(1, 1))
    same('and one more published', await lag(), 9)
  }),

  'caughtUp() waits for what must be committed by hand': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const group = w.group({ commitMode: 'manualCommit' })
    const consumer = await w.join(group)
    const records = await w.take(consumer, 2)
    let caughtUp = false
    const waiting = later(
      group.caughtUp().then(() => {
        caughtUp = true
      }),
    )
    await w.keep('a commit of the first', consumer.commit(records[0]!))
    await w.pass(w.shortMs)
    check(!caughtUp, () => 'caughtUp() with one of two records committed')
    await w.keep('a commit of the second', consumer.commit(records[1]!))
    const parked = later(consumer.poll())
    await w.keep('caughtUp()', waiting)
    await w.close(consumer)
    await w.keep('a poll to end with its consumer', parked)
  }),

  'caughtUp() does not wait for what is published after it': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group({ autoCommitIntervalMs: 0 })
    const consumer = await w.join(group)
    let published = 3
    let over = false
    // One is always at work, until the next is there.
    w.run(consumer, ({ value }) => w.until(`record ${value + 1}`, () => over || published > value + 1))
    const waiting = later(
      group.caughtUp().finally(() => {
        over = true
      }),
    )
    for (const began = w.clock.now(); !over; published++) {
      check(
        w.clock.now() < began + w.patience.ms,
        () => `caughtUp() still waits when ${published - 3} records have been published after it`,
      )
      await w.publish('orders', [{ value: published }])
      await w.pass(1)
    }
    await w.keep('caughtUp()', waiting)
    await w.close(consumer)
  }),
}
