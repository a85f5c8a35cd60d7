import { same } from './assert.js'
import { given, later, nameOf, numbered, type Promises, upTo, valuesOf } from './world.js'

const manual = { commitMode: 'manualCommit' } as const

/** Where reading starts, and where it is moved to: reset, seek, pause. */
export const positions: Promises = {
  'a late subscriber reads from the start': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const group = w.group({ id: 'late' })
    same('what a group made later reads', valuesOf(await w.take(await w.join(group), 5)), upTo(5))
  }),

  "with autoOffsetReset 'latest' a new group reads what comes after it, and what is committed wins": given(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(3))
      const group = w.group({ autoOffsetReset: 'latest' })
      same('the lag of a group that starts at the end', await w.keep('a lag', group.lag()), 0)
      const consumer = await w.join(group)
      await w.positioned(consumer)
      await w.publish('orders', numbered(4, 1, 3))
      same('what it reads', valuesOf(await w.take(consumer, 2)), [3, 4])
      await w.close(consumer)
      same('what its next member reads', valuesOf(await w.take(await w.join(group), 2)), [5, 6])
    },
  ),

  "'latest' is where the group began, also for the next owner without a commit": given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group({ ...manual, autoOffsetReset: 'latest' })
    const a = await w.join(group)
    await w.positioned(a)
    const b = await w.join(group)
    await w.publish('orders', numbered(2, 1, 3))
    const [owner, next] = a.assignment.length === 1 ? [a, b] : [b, a]
    same('what the first owner reads', valuesOf(await w.take(owner, 2)), [3, 4])
    await w.close(owner)
    await w.publish('orders', numbered(1, 1, 5))
    same('what the next owner reads', valuesOf(await w.take(next, 3)), [3, 4, 5])
  }),

  "with autoOffsetReset 'none' a start must be given: NO_OFFSET_FOR_PARTITION": given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const group = w.group({ autoOffsetReset: 'none' })
    const consumer = await w.join(group)
    for (const _ of upTo(2)) await w.refused('a poll without a start', 'NO_OFFSET_FOR_PARTITION', () => consumer.poll())
    consumer.seek(w.name('orders'), 0, 1)
    same('what it reads after a seek', valuesOf(await w.take(consumer, 2)), [1, 2])
    consumer.seek(w.name('orders'), 0, 99)
    await w.refused('a poll beyond the end', 'OFFSET_OUT_OF_RANGE', () => consumer.poll())
    consumer.seek(w.name('orders'), 0, 2)
    same('what it reads then', valuesOf(await w.take(consumer, 1)), [2])
  }),

  'a position out of range goes where autoOffsetReset says': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(3))
    const consumer = await w.join(w.group())
    await w.take(consumer, 2)
    consumer.seek(w.name('orders'), 0, 99)
    same('what it reads', valuesOf(await w.take(consumer, 3)), upTo(3))
  }),

  'before the first poll there is no position, and commit() commits nothing': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(2))
    const group = w.group(manual)
    const consumer = await w.join(group)
    same('its position', consumer.position(w.name('orders'), 0), undefined)
    await w.keep('a commit', consumer.commit())
    same('committed', await w.committed(group, 'orders', 0), undefined)
    same('what it reads', valuesOf(await w.take(consumer, 2)), upTo(2))
  }),

  'position() is past what was handed out': given({ orders: 2 }, async w => {
    await w.publish(
      'orders',
      numbered(5).map(record => ({ ...record, partition: 1 })),
    )
    const consumer = await w.join(w.group(manual))
    await w.take(consumer, 3)
    same('after three', consumer.position(w.name('orders'), 1), 3)
    await w.take(consumer, 2)
    same('after five', consumer.position(w.name('orders'), 1), 5)
    same('of a partition that there is not', consumer.position(w.name('orders'), 9), undefined)
  }),

  'seek() moves the position, forth and back, and commits nothing': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(6))
    const group = w.group(manual)
    const consumer = await w.join(group)
    const seek = async (to: number): Promise<number> => {
      consumer.seek(w.name('orders'), 0, to)
      const [record] = await w.take(consumer, 1)
      return record!.offset
    }
    same('the first record after seek(4)', await seek(4), 4)
    same('the record after it', (await w.take(consumer, 1))[0]!.offset, 5)
    same('the first record after seek(1)', await seek(1), 1)
    same('the record after it', (await w.take(consumer, 1))[0]!.offset, 2)
    same('committed', await w.committed(group, 'orders', 0), undefined)
  }),

  "seek() to 'earliest', to 'latest' and to a time": given({ orders: 1 }, async w => {
    const now = w.clock.now()
    await w.publish(
      'orders',
      upTo(4).map(value => ({ value, timestamp: now + value * 1_000 })),
    )
    const consumer = await w.join(w.group(manual))
    const orders = w.name('orders')
    await w.take(consumer, 3)
    consumer.seek(orders, 0, 'earliest')
    same('after earliest', valuesOf(await w.take(consumer, 1)), [0])
    consumer.seek(orders, 0, { timestamp: now + 1_500 })
    same('after a time', valuesOf(await w.take(consumer, 1)), [2])
    consumer.seek(orders, 0, 'latest')
    await w.positioned(consumer)
    same('the position after latest', consumer.position(orders, 0), 4)
    consumer.seek(orders, 0, 'earliest')
    same('after earliest again', valuesOf(await w.take(consumer, 1)), [0])
    consumer.seek(orders, 0, { timestamp: now + 9_000 })
    await w.positioned(consumer)
    same('the position after a time that none has reached', consumer.position(orders, 0), 4)
    await w.publish('orders', [{ value: 4 }])
    same('what comes then', valuesOf(await w.take(consumer, 1)), [4])
  }),

  'with auto-commit a seek is committed at close, also one backwards': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(6))
    const group = w.group({ autoCommitIntervalMs: w.longMs })
    const consumer = await w.join(group)
    await w.take(consumer, 5)
    consumer.seek(w.name('orders'), 0, 2)
    await w.close(consumer)
    same('committed', await w.committed(group, 'orders', 0), 2)
  }),

  'seek() in a loop: the next step is there': given({ orders: 1 }, async w => {
    await w.publish('orders', numbered(5))
    const consumer = await w.join(w.group(manual))
    const read: number[] = []
    const looping = later(
      (async () => {
        for await (const { value } of consumer) {
          read.push(value)
          if (read.length === 2) consumer.seek(w.name('orders'), 0, 0)
          if (read.length === 3) consumer.seek(w.name('orders'), 0, 4)
          if (read.length === 4) break
        }
      })(),
    )
    await w.keep(() => `a loop of four steps; there came ${read.join()}`, looping)
    same('the values', read, [0, 1, 0, 4])
  }),

  'pause() hands out nothing of its partitions, resume() goes on where they were': given({ orders: 2 }, async w => {
    const orders = w.name('orders')
    await w.publish('orders', numbered(4, 2))
    const consumer = await w.join(w.group(manual))
    await w.take(consumer, 4)
    consumer.pause([w.at('orders', 0)])
    same('what is paused', consumer.paused.map(nameOf), [nameOf(w.at('orders', 0))])
    await w.publish('orders', numbered(6, 2, 4))
    same('what comes meanwhile', valuesOf(await w.take(consumer, 3)), [5, 7, 9])
    await w.nothing(consumer, 'all that is left is paused')
    same('the position of what is paused', consumer.position(orders, 0), 2)
    consumer.resume([w.at('orders', 0)])
    same('what is paused then', consumer.paused, [])
    same('what comes then', valuesOf(await w.take(consumer, 3)), [4, 6, 8])
  }),

  'pause() and resume() of everything, also while a poll waits': given({ orders: 2 }, async w => {
    const consumer = await w.join(w.group(manual))
    consumer.pause()
    same('what is paused', consumer.paused.length, 2)
    const parked = later(consumer.poll({ maxRecords: 1 }))
    await w.publish('orders', numbered(4, 2))
    await w.pass(w.shortMs)
    consumer.resume()
    const first = await w.keep('a poll that waited through a pause', parked)
    const rest = await w.take(consumer, 3)
    same('what comes', valuesOf([...first, ...rest]).sort(), upTo(4))
  }),

  'a pause is kept where its partition stays, and gone where it moves': given({ orders: 2 }, async w => {
    await w.publish('orders', numbered(4, 2))
    const group = w.group(manual)
    const a = await w.join(group)
    await w.take(a, 4)
    await w.keep('a commit', a.commit())
    a.pause()
    const parked = later(a.poll({ maxRecords: 1 }))
    const b = group.join()
    await w.until('a partition to move to the newcomer', () => b.assignment.length === 1)
    await w.ready(b)
    const [kept, moved] = [a.assignment[0]!, b.assignment[0]!]
    same('what is paused of what stays', a.paused.map(nameOf), [nameOf(kept)])
    await w.publish('orders', numbered(2, 2, 4))
    same('what the newcomer reads', valuesOf(await w.take(b, 1)), [4 + moved.partition])
    await w.close(b)
    await w.until('the partition to come back', () => a.assignment.length === 2)
    const read = await w.keep('a poll of what came back', parked)
    same('where it goes on', read.map(nameOf), [nameOf(moved)])
    same('its offset, for nothing more was committed', read[0]!.offset, 2)
    same('what is paused then', a.paused.map(nameOf), [nameOf(kept)])
  }),

  'resetOffsets() moves a group without members': given({ orders: 2 }, async w => {
    const now = w.clock.now()
    await w.publish(
      'orders',
      upTo(8).map(i => ({ value: i, partition: i % 2, timestamp: now + i * 1_000 })),
    )
    const group = w.group()
    const consumer = await w.join(group)
    await w.take(consumer, 8)
    await w.refused('resetOffsets() with a member', 'NON_EMPTY_GROUP', () => group.resetOffsets('earliest'))
    await w.close(consumer)
    const committed = async (): Promise<unknown> => [
      await w.committed(group, 'orders', 0),
      await w.committed(group, 'orders', 1),
    ]
    same('committed by the member', await committed(), [4, 4])
    await w.keep('resetOffsets()', group.resetOffsets('earliest'))
    same("after 'earliest'", await committed(), [0, 0])
    await w.keep('resetOffsets()', group.resetOffsets(2, [w.at('orders', 1)]))
    same('after 2, of one partition', await committed(), [0, 2])
    await w.keep('resetOffsets()', group.resetOffsets('latest'))
    same("after 'latest'", await committed(), [4, 4])
    await w.keep('resetOffsets()', group.resetOffsets({ timestamp: now + 4_500 }))
    same('after a time', await committed(), [3, 2])
    same('what the next member reads', valuesOf(await w.take(await w.join(group), 3)).sort(), [5, 6, 7])
  }),

  'resetOffsets() to what can not be is refused, and resets nothing': given({ orders: 1 }, async w => {
    const group = w.group()
    const none = [w.at('orders', 0), w.at('orders', 9)]
    await w.refused('a reset below 0', 'OFFSET_OUT_OF_RANGE', () => group.resetOffsets(-1))
    await w.refused('a reset of no partition', 'UNKNOWN_TOPIC_OR_PARTITION', () => group.resetOffsets(0, none))
    await w.typeError('a reset to half an offset', () => group.resetOffsets(0.5))
    same('committed', await w.committed(group, 'orders', 0), undefined)
  }),

  'seek(), pause() and resume() of what it does not own are NOT_ASSIGNED': given({ orders: 1 }, async w => {
    const consumer = await w.join(w.group())
    const elsewhere = [w.at('orders', 7)]
    await w.refused('a seek', 'NOT_ASSIGNED', () => consumer.seek(w.name('orders'), 7, 0))
    await w.refused('a pause', 'NOT_ASSIGNED', () => consumer.pause(elsewhere))
    await w.refused('a resume', 'NOT_ASSIGNED', () => consumer.resume(elsewhere))
    await w.refused('a seek below 0', 'OFFSET_OUT_OF_RANGE', () => consumer.seek(w.name('orders'), 0, -1))
    await w.typeError('a seek to half an offset', () => consumer.seek(w.name('orders'), 0, 0.5))
  }),
}
