import { type GroupEvents, isMillraceError } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, coded, drain, gate, type Member, next, orders, owned, track, type World, world } from './support-a.js'

// groups.md 1.4: positions

const resets = ({ group }: World): GroupEvents['reset'][] => {
  const told: GroupEvents['reset'][] = []
  group.on('reset', event => told.push(event))
  return told
}

describe('rule 23: where a term starts', () => {
  test('a seek in onAssigned goes before what is committed', async () => {
    const { group } = world({ partitions: 1, records: 5 })
    group.resetOffsets(2)
    const a = group.join({ onAssigned: (_, consumer) => consumer.seek('orders', 0, 4) })
    expect(at(await a.poll())).toEqual(['0@4'])
  })

  test('what is committed goes before the reset', async () => {
    for (const autoOffsetReset of ['earliest', 'latest', 'none'] as const) {
      const { group } = world({ partitions: 1, records: 5, autoOffsetReset })
      group.resetOffsets(3)
      expect([autoOffsetReset, at(await group.join().poll())]).toEqual([autoOffsetReset, ['0@3', '0@4']])
    }
  })

  test('the reset comes last: the first record there is, by default', async () => {
    const { group, orders } = world({ partitions: 1, records: 5 })
    orders.partitions[0]!.deleteRecords(3)
    expect(at(await group.join().poll())).toEqual(['0@3', '0@4'])
  })

  test('what is committed is read after onAssigned, so that a commit in it counts', async () => {
    const { group } = world({ partitions: 1, records: 5 })
    const a = group.join({ onAssigned: (_, consumer) => consumer.commit([next(0, 3)]) })
    expect(at(await a.poll())).toEqual(['0@3', '0@4'])
  })

  test('it is read when the position is first needed: a commit before the first poll counts', async () => {
    const { group } = world({ partitions: 1, records: 5, commitMode: 'manualCommit' })
    const a = group.join()
    await a.ready()
    expect(a.position('orders', 0)).toBe(undefined)
    await a.commit([next(0, 3)])
    expect(at(await a.poll())).toEqual(['0@3', '0@4'])
  })

  test('a new owner goes on from what is committed', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 3)
    const a = group.join()
    await a.poll({ maxRecords: 2 })
    const b = group.join()
    expect(await a.poll({ timeoutMs: 0 })).toEqual([])
    expect([owned(b), at(await b.poll())]).toEqual([[1], ['1@2']])
  })

  test('partitions that stay keep position and pause', async () => {
    const { group, put } = world({ partitions: 2, records: 4, commitMode: 'manualCommit' })
    const a = group.join()
    await a.poll()
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 0, 1)
    a.pause(orders(0))
    const b = group.join()
    expect([owned(a), a.position('orders', 0), a.paused]).toEqual([[0], 1, orders(0)])
    put(0)
    await b.close()
    expect([a.position('orders', 0), a.paused]).toEqual([1, orders(0)])
    a.resume()
    a.pause(orders(1))
    expect(at(await a.poll())).toEqual(['0@1', '0@2', '0@3', '0@4'])
  })
})

describe('rule 24: latest', () => {
  test('it is resolved when the group first assigns the partition, not at the first poll', async () => {
    const { group, put } = world({ partitions: 1, records: 3, autoOffsetReset: 'latest' })
    const a = group.join()
    put(0)
    expect(at(await a.poll())).toEqual(['0@3'])
  })

  test('it is kept for later owners: a hand-over before any commit skips nothing', async () => {
    const { group, put } = world({
      partitions: 1,
      records: 3,
      autoOffsetReset: 'latest',
      commitMode: 'manualCommit',
    })
    const a = group.join()
    const b = group.join()
    put(0, 2)
    expect(at(await a.poll())).toEqual(['0@3', '0@4'])
    put(0)
    await a.close()
    expect(at(await b.poll())).toEqual(['0@3', '0@4', '0@5'])
  })

  test('likewise in autoCommit, when the owner crashes before the first', async () => {
    const { group, put } = world({ partitions: 1, records: 3, autoOffsetReset: 'latest' })
    const a = group.join()
    const b = group.join()
    put(0)
    await a.poll()
    crash(a)
    expect(at(await b.poll())).toEqual(['0@3'])
  })

  test('once something is committed, that counts', async () => {
    const { group, put } = world({ partitions: 1, records: 3, autoOffsetReset: 'latest', commitMode: 'manualCommit' })
    const a = group.join()
    const b = group.join()
    put(0, 3)
    const [first] = await a.poll()
    await a.commit(first!)
    crash(a)
    expect(at(await b.poll())).toEqual(['0@4', '0@5'])
  })

  test.each(['closed', 'crashed'] as const)('it is forgotten when the last consumer has %s', async how => {
    const { group, put } = world({ partitions: 1, autoOffsetReset: 'latest', commitMode: 'manualCommit' })
    const a = group.join()
    if (how === 'closed') await a.close()
    else crash(a)
    put(0, 2)
    const b = group.join()
    put(0)
    expect(at(await b.poll())).toEqual(['0@2'])
  })

  test('not while a seat is left', async () => {
    const { clock, group, put } = world({
      partitions: 1,
      autoOffsetReset: 'latest',
      commitMode: 'manualCommit',
      sessionTimeoutMs: 1_000,
    })
    await group.join({ instanceId: 'one' }).close()
    put(0)
    const b = group.join({ instanceId: 'one' })
    expect(at(await b.poll())).toEqual(['0@0'])
    await b.close()
    await clock.advance(1_000)
    const c = group.join()
    expect(await c.poll({ timeoutMs: 0 })).toEqual([])
  })

  test('not when the last one was expelled', async () => {
    const { group, put } = world({ partitions: 1, autoOffsetReset: 'latest', commitMode: 'manualCommit' })
    const a = group.join()
    await a.ready()
    expel(a)
    put(0)
    expect(at(await a.poll())).toEqual(['0@0'])
  })

  test('but when the expelled one has closed', async () => {
    const { group, put } = world({ partitions: 1, autoOffsetReset: 'latest', commitMode: 'manualCommit' })
    const a = group.join()
    await a.ready()
    expel(a)
    put(0)
    await a.close()
    expect(await group.join().poll({ timeoutMs: 0 })).toEqual([])
  })

  test('partitions added while the group has members start at their first record', async () => {
    const { group, orders, put } = world({ partitions: 1, records: 1, autoOffsetReset: 'latest' })
    const a = group.join()
    await a.ready()
    orders.addPartitions(2)
    put(1, 2)
    expect(at(await a.poll())).toEqual(['1@0', '1@1'])
  })

  test('so they do while it has expelled consumers that may come back', async () => {
    const { group, orders, put } = world({ partitions: 1, records: 1, autoOffsetReset: 'latest' })
    const a = group.join()
    await a.ready()
    expel(a)
    orders.addPartitions(2)
    put(1, 2)
    expect(at(await a.poll())).toEqual(['1@0', '1@1'])
  })

  test('those added while nobody is there start at the end', async () => {
    const { group, orders, put } = world({ partitions: 1, records: 1, autoOffsetReset: 'latest' })
    await group.join().close()
    orders.addPartitions(2)
    put(1, 2)
    expect(await group.join().poll({ timeoutMs: 0 })).toEqual([])
  })
})

describe('rule 25: out of range', () => {
  test('below the start after retention: the first record there is, silently but for a reset event', async () => {
    const given = world({ partitions: 1, records: 5 })
    const { group, orders } = given
    const told = resets(given)
    const a = group.join()
    await a.poll({ maxRecords: 1 })
    orders.partitions[0]!.deleteRecords(3)
    expect(told).toEqual([])
    expect(at(await a.poll())).toEqual(['0@3', '0@4'])
    await drain()
    expect(told).toEqual([{ group: 'g', topic: 'orders', partition: 0, from: 1, to: 3 }])
  })

  test('what is committed below the start likewise', async () => {
    const given = world({ partitions: 1, records: 5 })
    const { group, orders } = given
    const told = resets(given)
    group.resetOffsets(1)
    orders.partitions[0]!.deleteRecords(4)
    expect(at(await group.join().poll())).toEqual(['0@4'])
    await drain()
    expect(told).toMatchObject([{ from: 1, to: 4 }])
  })

  test('above the end after a seek: back to the start; the seek itself is accepted', async () => {
    const given = world({ partitions: 1, records: 2 })
    const { group } = given
    const told = resets(given)
    const a = group.join()
    await a.ready()
    a.seek('orders', 0, 3)
    expect(a.position('orders', 0)).toBe(3)
    expect(at(await a.poll())).toEqual(['0@0', '0@1'])
    await drain()
    expect(told).toMatchObject([{ from: 3, to: 0 }])
  })

  test('above the end after a commit: it is seen by who starts there', async () => {
    const { group } = world({ partitions: 1, records: 2, commitMode: 'manualCommit' })
    const a = group.join()
    await a.poll()
    await a.commit([next(0, 9)])
    expect([group.committed('orders', 0), a.position('orders', 0)]).toEqual([9, 2])
    await a.close()
    expect(at(await group.join().poll())).toEqual(['0@0', '0@1'])
  })

  // K: OffsetFetcher; semantics.md B5.3
  test('the end itself is in range', async () => {
    const given = world({ partitions: 1, records: 2 })
    const { group, put } = given
    const told = resets(given)
    const a = group.join()
    await a.ready()
    a.seek('orders', 0, 2)
    expect(await a.poll({ timeoutMs: 0 })).toEqual([])
    put(0)
    expect(at(await a.poll())).toEqual(['0@2'])
    expect(told).toEqual([])
  })

  test('a step of a loop and run() are reset likewise', async () => {
    for (const how of ['next', 'run'] as const) {
      const { group, orders } = world({ partitions: 1, records: 5 })
      const a = group.join({ onAssigned: (_, consumer) => consumer.seek('orders', 0, 1) })
      await a.ready()
      orders.partitions[0]!.deleteRecords(4)
      const got: string[] = []
      if (how === 'run') void a.run(record => void got.push(...at([record])))
      else got.push(...at([(await a[Symbol.asyncIterator]().next()).value!]))
      await drain()
      expect([how, got]).toEqual([how, ['0@4']])
    }
  })

  test('the event of run() names what was dropped unread, not what its handlers have in hand or will', async () => {
    const given = world({ partitions: 1 })
    const { group, orders } = given
    const told = resets(given)
    const put = (count: number): void => {
      for (let i = 0; i < count; i++) orders.publish({ key: 'one', value: 'v' })
    }
    put(4)
    const held = gate()
    const got: string[] = []
    const a = group.join()
    void a.run(
      record => {
        got.push(...at([record]))
        return held.opened
      },
      { concurrency: 2 },
    )
    await drain()
    put(6)
    orders.partitions[0]!.deleteRecords(8)
    await drain()
    expect(told).toEqual([{ group: 'g', topic: 'orders', partition: 0, from: 4, to: 8 }])
    held.open()
    await drain()
    expect(got).toEqual(['0@0', '0@1', '0@2', '0@3', '0@8', '0@9'])
  })

  test('with none, poll rejects with OFFSET_OUT_OF_RANGE, the position stays, and a seek helps', async () => {
    const given = world({ partitions: 1, records: 5, autoOffsetReset: 'none' })
    const { group, orders } = given
    const told = resets(given)
    group.resetOffsets(1)
    orders.partitions[0]!.deleteRecords(3)
    const a = group.join()
    for (let i = 0; i < 2; i++) {
      await expect(a.poll()).rejects.toThrow('Offset 1 is out of the range of orders-0, which is 3 to 5')
      await expect(a.poll()).rejects.toEqual(coded('OFFSET_OUT_OF_RANGE'))
      expect([a.position('orders', 0), a.closed, group.members.length]).toEqual([1, false, 1])
    }
    a.seek('orders', 0, 4)
    expect(at(await a.poll())).toEqual(['0@4'])
    expect(told).toEqual([])
  })

  test('none without a commit: NO_OFFSET_FOR_PARTITION from every poll until a seek; the member stays', async () => {
    const { group } = world({ partitions: 1, records: 2, autoOffsetReset: 'none' })
    const a = group.join()
    for (let i = 0; i < 3; i++) await expect(a.poll()).rejects.toEqual(coded('NO_OFFSET_FOR_PARTITION'))
    expect([group.members.length, owned(a), a.closed]).toEqual([1, [0], false])
    a.seek('orders', 0, 'earliest')
    expect(at(await a.poll())).toEqual(['0@0', '0@1'])
  })

  test('or until a commit', async () => {
    const { group } = world({ partitions: 1, records: 2, autoOffsetReset: 'none', commitMode: 'manualCommit' })
    const a = group.join()
    await expect(a.poll()).rejects.toEqual(coded('NO_OFFSET_FOR_PARTITION'))
    await a.commit([next(0, 1)])
    expect(at(await a.poll())).toEqual(['0@1'])
  })

  test('also from a step of a loop, and from a poll with timeoutMs 0', async () => {
    const { group } = world({ partitions: 1, autoOffsetReset: 'none' })
    const a = group.join()
    await expect(a.poll({ timeoutMs: 0 })).rejects.toEqual(coded('NO_OFFSET_FOR_PARTITION'))
    await expect(a[Symbol.asyncIterator]().next()).rejects.toEqual(coded('NO_OFFSET_FOR_PARTITION'))
    expect(a.closed).toBe(false)
  })

  test('also from a poll that is parked when the partition arrives', async () => {
    const { group } = world({ partitions: 1, autoOffsetReset: 'none' })
    const a = group.join({ onAssigned: (_, consumer) => consumer.seek('orders', 0, 0) })
    await a.ready()
    const b = group.join()
    const polling = track(b.poll())
    await drain()
    expect(polling.state).toBe('pending')
    crash(a)
    await drain()
    expect([polling.state, isMillraceError(polling.error, 'NO_OFFSET_FOR_PARTITION')]).toEqual(['rejected', true])
    expect(group.members.map(({ memberId }) => memberId)).toEqual([b.memberId])
  })
})

describe('rule 26: seek', () => {
  test('the position is the target at once, and the next poll starts there', async () => {
    const { group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    await a.poll({ maxRecords: 2 })
    a.seek('orders', 0, 7)
    expect(a.position('orders', 0)).toBe(7)
    expect(at(await a.poll())).toEqual(['0@7', '0@8'])
  })

  test('it takes the first, the end, and the first record at or after a time', async () => {
    const { clock, group, put } = world({ partitions: 1, records: 2 })
    await clock.advance(100)
    put(0, 2)
    const a = group.join()
    await a.poll()
    a.seek('orders', 0, { timestamp: 50 })
    expect(at(await a.poll())).toEqual(['0@2', '0@3'])
    a.seek('orders', 0, 'earliest')
    expect(await a.poll()).toHaveLength(4)
    a.seek('orders', 0, 'latest')
    expect(await a.poll({ timeoutMs: 0 })).toEqual([])
    a.seek('orders', 0, { timestamp: 101 })
    expect(await a.poll({ timeoutMs: 0 })).toEqual([])
  })

  // Trap: "Iterator on top of poll() moves positions by the batch".
  test('without one, a step of a loop moves the position by one record, whatever was read ahead', async () => {
    const { group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    const loop = a[Symbol.asyncIterator]()
    await loop.next()
    expect(a.position('orders', 0)).toBe(1)
    await loop.next()
    expect(a.position('orders', 0)).toBe(2)
  })

  test('what a loop has read ahead is dropped', async () => {
    const { group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    const seen: string[] = []
    for await (const record of a) {
      seen.push(...at([record]))
      if (seen.length === 2) a.seek('orders', 0, 6)
      if (seen.length === 4) break
    }
    expect(seen).toEqual(['0@0', '0@1', '0@6', '0@7'])
  })

  test('of a partition that is not held, it is what the next auto-commit writes', async () => {
    const { clock, group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    await a.poll({ maxRecords: 5 })
    await a.poll({ maxRecords: 1 })
    await a.poll({ maxRecords: 9 })
    expect(await a.poll({ timeoutMs: 0 })).toEqual([])
    a.seek('orders', 0, 3)
    await clock.advance(5_000)
    await a.poll({ timeoutMs: 0 })
    expect(group.committed('orders', 0)).toBe(3)
  })

  test('of a partition that is held, only from the next coming back on', async () => {
    const { clock, group, put } = world({ partitions: 2 })
    put(0, 9)
    const a = group.join()
    const loop = a[Symbol.asyncIterator]()
    await loop.next()
    await loop.next()
    a.seek('orders', 0, 7)
    const b = group.join()
    expect([owned(b), group.committed('orders', 0)]).toEqual([[1], 1])
    await loop.return?.()
    await clock.advance(5_000)
    await a.poll({ maxRecords: 1 })
    expect(group.committed('orders', 0)).toBe(7)
  })

  test('a handler that finishes later does not overwrite it', async () => {
    const { group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    const hold = gate()
    const seen: string[] = []
    const running = a.run(record => {
      seen.push(...at([record]))
      return seen.length === 1 ? hold.opened : undefined
    })
    await drain()
    a.seek('orders', 0, 7)
    hold.open()
    await drain()
    expect([seen, a.position('orders', 0)]).toEqual([['0@0', '0@7', '0@8'], 9])
    await a.close()
    await running
    expect(group.committed('orders', 0)).toBe(9)
  })

  test('a handler that itself seeks back reads again from there', async () => {
    const { group } = world({ partitions: 1, records: 3 })
    const a = group.join()
    const seen: string[] = []
    const running = a.run(record => {
      seen.push(...at([record]))
      if (seen.length === 3) a.seek('orders', 0, 1)
    })
    await drain()
    expect(seen).toEqual(['0@0', '0@1', '0@2', '0@1', '0@2'])
    await a.close()
    await running
  })

  test('one that fails later is not retried, but dead-lettered', async () => {
    const { clock, broker, group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    const hold = gate()
    const seen: string[] = []
    const running = a.run(
      record => {
        seen.push(...at([record]))
        return seen.length === 1 ? hold.opened : undefined
      },
      { retry: { attempts: 5, backoffMs: 10 }, deadLetter: broker.topic('dead') },
    )
    await drain()
    a.seek('orders', 0, 7)
    hold.fail(new Error('bad'))
    await clock.advance(1_000)
    expect(seen).toEqual(['0@0', '0@7', '0@8'])
    expect(broker.topic('dead').partitions[0]!.read(0)).toMatchObject([{ value: '0@0' }])
    await a.close()
    await running
  })

  test('or, without a dead letter topic, ends run(), with the position where the seek put it', async () => {
    const { group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    const hold = gate()
    const seen: string[] = []
    const error = new Error('bad')
    const running = track(
      a.run(
        record => {
          seen.push(...at([record]))
          return hold.opened
        },
        { retry: { attempts: 5 } },
      ),
    )
    await drain()
    a.seek('orders', 0, 7)
    hold.fail(error)
    await drain()
    expect(running).toMatchObject({ state: 'rejected', error: { code: 'HANDLER_FAILED', cause: error } })
    expect([seen, group.committed('orders', 0)]).toEqual([['0@0'], 7])
  })

  test('what waits for its retry is dropped', async () => {
    const { clock, broker, group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    const seen: string[] = []
    const running = a.run(
      record => {
        seen.push(...at([record]))
        if (record.offset === 0) throw new Error('bad')
      },
      { retry: { attempts: 3, backoffMs: 1_000 }, deadLetter: broker.topic('dead') },
    )
    await drain()
    expect(seen).toEqual(['0@0'])
    a.seek('orders', 0, 7)
    await clock.advance(10_000)
    expect([seen, broker.topic('dead').partitions[0]!.endOffset]).toEqual([['0@0', '0@7', '0@8'], 0])
    await a.close()
    await running
  })

  // K: PlaintextConsumerCommitTest.testAutoCommitOnClose, with 300 and 500
  test('in autoCommit it is committed at close, forwards', async () => {
    const { group } = world({ partitions: 2, records: 600 })
    const a = group.join()
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 0, 300)
    a.seek('orders', 1, 500)
    await a.close()
    expect([0, 1].map(partition => group.committed('orders', partition))).toEqual([300, 500])
  })

  test('and backwards, also when the partition is about to move', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 9)
    const a = group.join()
    await a.poll()
    await a.commit()
    a.seek('orders', 1, 4)
    const b = group.join()
    expect(group.committed('orders', 1)).toBe(9)
    await a.poll({ timeoutMs: 0 })
    expect([group.committed('orders', 1), at(await b.poll({ maxRecords: 1 }))]).toEqual([4, ['1@4']])
  })

  test('an explicit commit before it does not keep the next auto-commit from going back', async () => {
    const { group } = world({ partitions: 1, records: 9 })
    const a = group.join()
    await a.poll()
    await a.commit([next(0, 8)])
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 0, 2)
    await a.close()
    expect(group.committed('orders', 0)).toBe(2)
  })

  test('nor does it count for records that are handed out anew after the seek', async () => {
    const { group, put } = world({ partitions: 2 })
    put(0, 9)
    const a = group.join()
    await a.poll()
    await a.commit([next(0, 8)])
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 0, 2)
    expect(await a.poll()).toHaveLength(7)
    const b = group.join()
    expect([owned(b), group.committed('orders', 0)]).toEqual([[1], 2])
  })

  test('in manualCommit it is lost with the partition', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(1, 9)
    const a = group.join()
    await a.poll()
    await a.commit()
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 1, 4)
    const b = group.join()
    put(1)
    expect([group.committed('orders', 1), at(await b.poll())]).toEqual([9, ['1@9']])
  })

  test('a parked poll goes on from where a seek has put it', async () => {
    const { group } = world({ partitions: 1, records: 3 })
    const a = group.join()
    await a.poll()
    const polling = a.poll()
    await drain()
    a.seek('orders', 0, 2)
    expect(at(await polling)).toEqual(['0@2'])
  })

  test('it changes nothing that is committed, and a commit no position', async () => {
    const { group } = world({ partitions: 1, records: 9, commitMode: 'manualCommit' })
    const a = group.join()
    await a.poll()
    await a.commit([next(0, 3)])
    expect([group.committed('orders', 0), a.position('orders', 0)]).toEqual([3, 9])
    a.seek('orders', 0, 5)
    expect([group.committed('orders', 0), a.position('orders', 0)]).toEqual([3, 5])
  })
})

describe('rule 27: pause and resume', () => {
  test('a paused partition is not handed out, and resume() wakes the poll that waits', async () => {
    const { group } = world({ partitions: 2, records: 1 })
    const a = group.join()
    await a.ready()
    a.pause(orders(0))
    expect(at(await a.poll())).toEqual(['1@0'])
    const polling = track(a.poll())
    await drain()
    expect([polling.state, a.paused]).toEqual(['pending', orders(0)])
    a.resume(orders(0))
    await drain()
    expect([at(polling.value ?? []), a.paused]).toEqual([['0@0'], []])
  })

  test('a pause of a partition that is about to move is gone with it', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 2)
    const a = group.join()
    await a.poll({ maxRecords: 1 })
    const b = group.join()
    a.pause(orders(1))
    expect(a.paused).toEqual(orders(1))
    await a.poll({ timeoutMs: 0 })
    expect([a.paused, b.paused, at(await b.poll())]).toEqual([[], [], ['1@1']])
    await b.close()
    expect([owned(a), a.paused]).toEqual([[0, 1], []])
  })

  test('pause() alone is about what is owned now, not about what comes later', async () => {
    const { group, orders: topic, put } = world({ partitions: 2, records: 1 })
    const a = group.join()
    await a.ready()
    a.pause()
    expect(a.paused).toEqual(orders(0, 1))
    topic.addPartitions(3)
    put(2)
    expect([at(await a.poll()), a.paused]).toEqual([['2@0'], orders(0, 1)])
  })

  test('resume() alone is about all that is owned', async () => {
    const { group } = world({ partitions: 2, records: 1 })
    const a = group.join()
    await a.ready()
    a.pause()
    a.resume()
    expect([a.paused, at(await a.poll())]).toEqual([[], ['0@0', '1@0']])
  })

  test('of what it does not own, seek, pause and resume are NOT_ASSIGNED', () => {
    const { group } = world({ partitions: 2 })
    const a = group.join()
    const b = group.join()
    for (const act of [
      () => a.seek('orders', 1, 0),
      () => a.pause(orders(1)),
      () => a.resume(orders(1)),
      () => a.seek('orders', 9, 0),
      () => b.pause(orders(0)),
    ])
      expect(act).toThrow(coded('NOT_ASSIGNED') as Error)
  })

  test('so they are of an expelled consumer', async () => {
    const { group } = world({ partitions: 2 })
    const a: Member = group.join()
    await a.ready()
    expel(a)
    expect(() => a.seek('orders', 0, 0)).toThrow(coded('NOT_ASSIGNED') as Error)
    expect(() => a.pause(orders(0))).toThrow(coded('NOT_ASSIGNED') as Error)
    a.pause()
    expect(a.paused).toEqual([])
  })

  test('a list with one that it does not own pauses none of them', () => {
    const { group } = world({ partitions: 2 })
    const a = group.join()
    group.join()
    expect(() => a.pause(orders(0, 1))).toThrow(coded('NOT_ASSIGNED') as Error)
    expect(a.paused).toEqual([])
  })

  test('a negative seek is OFFSET_OUT_OF_RANGE, at once, and moves nothing', async () => {
    const { group } = world({ partitions: 1, records: 3 })
    const a = group.join()
    await a.poll({ maxRecords: 2 })
    expect(() => a.seek('orders', 0, -1)).toThrow(coded('OFFSET_OUT_OF_RANGE') as Error)
    expect([a.position('orders', 0), at(await a.poll())]).toEqual([2, ['0@2']])
  })
})
