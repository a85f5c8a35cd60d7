import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, coded, drain, gate, next, orders, owned, say, track, world } from './support-a.js'

// groups.md 1.2: safe point and give-up

describe('rule 10: the safe point without onRevoked', () => {
  test('a partition goes at once while records of others are in hand', async () => {
    const { group, put } = world({ partitions: 2 })
    put(0)
    const a = group.join()
    await a.poll()
    const b = group.join()
    expect([owned(a), owned(b)]).toEqual([[0], [1]])
  })

  test('one with a record in hand waits until its owner polls again, be it with timeoutMs 0', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    await a.poll()
    const b = group.join()
    await drain()
    expect([owned(a), owned(b)]).toEqual([[0, 1], []])
    await a.poll({ timeoutMs: 0 })
    expect([owned(a), owned(b)]).toEqual([[0], [1]])
  })

  test('a step of a loop gives up the record before it', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    const loop = a[Symbol.asyncIterator]()
    await loop.next()
    const b = group.join()
    await drain()
    expect(owned(b)).toEqual([])
    void loop.next()
    await drain()
    expect(owned(b)).toEqual([1])
  })

  test('close() after a poll counts as coming back: all is free at the call', async () => {
    const { group } = world({ partitions: 2, records: 2 })
    const a = group.join()
    await a.poll()
    const b = group.join()
    const closing = a.close()
    expect(owned(b)).toEqual([0, 1])
    await closing
    expect([0, 1].map(partition => group.committed('orders', partition))).toEqual([2, 2])
  })

  test('leaving a for await is not coming back', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 2)
    const a = group.join()
    for await (const _ of a) break
    const b = group.join()
    await drain()
    expect([owned(a), owned(b)]).toEqual([[0, 1], []])
    await a.poll({ timeoutMs: 0 })
    expect(owned(b)).toEqual([1])
  })

  test('a parked poll holds nothing', async () => {
    const { group } = world({ partitions: 2, records: 1 })
    const a = group.join()
    await a.poll()
    const polling = track(a.poll())
    await drain()
    expect(owned(group.join())).toEqual([1])
    expect(polling.state).toBe('pending')
  })
})

describe('rule 10: what run() holds', () => {
  test('a record is in hand until its handler has succeeded', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    const hold = gate()
    const running = a.run(() => hold.opened)
    await drain()
    const b = group.join()
    await drain()
    expect(owned(b)).toEqual([])
    hold.open()
    await drain()
    expect(owned(b)).toEqual([1])
    await a.close()
    await running
  })

  test('context.commit() finishes it, though its handler goes on', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    const hold = gate()
    const running = a.run(async (_, { commit }) => {
      await commit()
      await hold.opened
    })
    await drain()
    expect(owned(group.join())).toEqual([1])
    hold.open()
    await a.close()
    await running
  })

  test('the dead letter topic finishes it', async () => {
    const { broker, group, put } = world({ partitions: 2 })
    put(1)
    const a = group.join()
    const hold = gate()
    const handler = async (): Promise<void> => {
      await hold.opened
      throw new Error('bad')
    }
    const running = a.run(handler, { deadLetter: broker.topic('dead') })
    await drain()
    const b = group.join()
    hold.open()
    await drain()
    expect([owned(b), broker.topic('dead').partitions[0]?.endOffset]).toEqual([[1], 1])
    await a.close()
    await running
  })
})

describe('rule 10: the safe point with onRevoked', () => {
  test('a partition waits while a record of another is in hand', async () => {
    const { group, put } = world({ partitions: 2 })
    put(0)
    const log: string[] = []
    const a = group.join({ onRevoked: say(log, 'revoked') })
    await a.poll()
    const b = group.join()
    await drain()
    expect([owned(b), log]).toEqual([[], []])
    void a.poll()
    await drain()
    expect([owned(b), log]).toEqual([[1], ['revoked 1']])
  })

  test('who holds nothing gives up without having polled', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    const a = group.join({ onRevoked: say(log, 'revoked') })
    await a.ready()
    const b = group.join()
    await b.ready()
    expect([owned(a), owned(b), log]).toEqual([[0], [1], ['revoked 1']])
  })

  test('a partition waits while another callback of its owner runs', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    const hold = gate()
    group.join({ onAssigned: () => hold.opened, onRevoked: say(log, 'revoked') })
    await drain()
    const b = group.join()
    await drain()
    expect([owned(b), log]).toEqual([[], []])
    hold.open()
    await b.ready()
    expect([owned(b), log]).toEqual([[1], ['revoked 1']])
  })

  test('commit() in it covers no record that a handler of another partition has in hand', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(0, 2)
    const hold = gate()
    let atWork = 0
    const during: number[] = []
    const a = group.join({
      onRevoked: async (_, consumer) => {
        during.push(atWork)
        await consumer.commit()
      },
    })
    const running = a.run(async () => {
      atWork++
      await hold.opened
      atWork--
    })
    await drain()
    const b = group.join()
    await drain()
    expect([atWork, during, group.committed('orders', 0)]).toEqual([1, [], undefined])
    hold.open()
    await b.ready()
    expect(during).toEqual([0])
    await a.close()
    await running
  })

  test('a handler that has called context.commit() holds nothing, and is not overlapped all the same', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1)
    const log: string[] = []
    const hold = gate()
    const a = group.join({ onRevoked: say(log, 'revoked') })
    const running = a.run(async (_, { commit }) => {
      await commit()
      await hold.opened
      log.push('handled')
    })
    await drain()
    const b = group.join()
    await drain()
    expect(log).toEqual([])
    hold.open()
    await b.ready()
    expect(log).toEqual(['handled', 'revoked 1'])
    await a.close()
    await running
  })
})

describe('rule 11: a moving partition is handed out no more', () => {
  test('poll() gives it up before it collects, though it has records waiting', async () => {
    const { group } = world({ partitions: 2, records: 3 })
    const a = group.join()
    await a.poll({ maxRecords: 6 })
    a.seek('orders', 0, 0)
    a.seek('orders', 1, 0)
    const b = group.join()
    expect(group.moves).toHaveLength(1)
    expect(at(await a.poll())).toEqual(['0@0', '0@1', '0@2'])
    expect(owned(b)).toEqual([1])
  })

  test('with onRevoked likewise: the poll waits for the callback, then hands out the rest', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 2)
    const log: string[] = []
    const a = group.join({ onRevoked: say(log, 'revoked') })
    await a.poll({ maxRecords: 1 })
    group.join()
    put(0)
    expect([at(await a.poll()), log]).toEqual([['0@0'], ['revoked 1']])
  })

  test('next() hands out nothing that was read ahead of it', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 3)
    const a = group.join()
    const loop = a[Symbol.asyncIterator]()
    expect((await loop.next()).value).toMatchObject({ partition: 1, offset: 0 })
    const b = group.join()
    const step = track(loop.next())
    await drain()
    expect([step.state, owned(b)]).toEqual(['pending', [1]])
    put(0)
    await drain()
    expect(step.value?.value).toMatchObject({ partition: 0, offset: 0 })
    expect(at(await b.poll())).toEqual(['1@1', '1@2'])
  })

  test('run() starts no other record of it, and goes on with other partitions if there is no onRevoked', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 1)
    const started: string[] = []
    const hold = gate()
    const a = group.join()
    const running = a.run(
      record => {
        started.push(...at([record]))
        return record.partition === 1 ? hold.opened : undefined
      },
      { concurrency: 4 },
    )
    await drain()
    const b = group.join()
    put(1, 2)
    put(0, 2)
    await drain()
    expect(started).toEqual(['1@0', '0@0', '0@1'])
    hold.open()
    await drain()
    expect([started.length, at(await b.poll())]).toEqual([3, ['1@1', '1@2']])
    await a.close()
    await running
  })

  test('run() with onRevoked starts no handler of any partition until the move is done', async () => {
    const { group, put } = world({ partitions: 4, records: 1 })
    const log: string[] = []
    const holds = Array.from({ length: 8 }, gate)
    const revoking = gate()
    const a = group.join({
      onRevoked: partitions => {
        say(log, 'revoked')(partitions)
        return revoking.opened
      },
    })
    let count = 0
    const running = a.run(
      record => {
        log.push(...at([record]))
        return holds[count++]!.opened
      },
      { concurrency: 4 },
    )
    await drain()
    const started = log.splice(0)
    const b = group.join()
    for (const partition of [0, 1, 2, 3]) put(partition, 5)
    for (const hold of holds.slice(0, 3)) hold.open()
    await drain()
    expect([started.length, log]).toEqual([4, []])
    holds[3]!.open()
    await drain()
    expect([log, owned(b)]).toEqual([['revoked 2,3'], []])
    revoking.open()
    await drain()
    expect([owned(b), log.length > 1, log.slice(1).every(name => /^[01]@/.test(name))]).toEqual([[2, 3], true, true])
    for (const hold of holds) hold.open()
    await a.close()
    await running
  })

  test('a move comes about though all partitions are always busy', async () => {
    const { clock, group, put } = world({ partitions: 4, records: 2 })
    const a = group.join({ onRevoked: () => {} })
    let handled = 0
    const running = a.run(
      async ({ partition }) => {
        handled++
        put(partition)
        // Never all at rest together.
        await new Promise<void>(resolve => clock.setTimeout(resolve, 7 + 4 * partition))
      },
      { concurrency: 4 },
    )
    await clock.advance(100)
    const b = group.join()
    const before = handled
    const ready = track(b.ready())
    await clock.advance(20)
    expect([ready.state, owned(b)]).toEqual(['resolved', [2, 3]])
    expect(handled - before).toBeLessThan(8)
    const closing = a.close()
    await clock.advance(100)
    await Promise.all([closing, running])
  })
})

describe('rule 12: order of a give-up', () => {
  test('commit, onRevoked, the end of the term, the new owner, its onAssigned', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 2)
    const log: string[] = []
    const owners = (): string => `a:${owned(a)} b:${b === undefined ? '' : owned(b)}`
    group.on('commit', ({ memberId, offsets }) =>
      log.push(`${memberId} commit ${offsets.map(({ partition, nextOffset }) => `${partition}:${nextOffset}`)}`),
    )
    const a = group.join({ onRevoked: ps => log.push(`revoked ${ps.map(p => p.partition)} ${owners()}`) })
    let b: typeof a | undefined
    await a.poll()
    b = group.join({
      onAssigned: ps => {
        if (ps.length > 0) log.push(`assigned ${ps.map(p => p.partition)} ${owners()}`)
      },
    })
    void a.poll()
    await b.ready()
    expect(log.map(line => line.replace(/commit .*1:2.*/, 'commit 1:2'))).toEqual([
      'g-0001 commit 1:2',
      'revoked 1 a:0,1 b:',
      'assigned 1 a:0 b:1',
    ])
  })

  // K: onJoinPrepare, maybeAutoCommitSyncBeforeRevocation: allConsumed
  test('(a) what has come back of all its partitions is committed, not only of those that move', async () => {
    const { group } = world({ partitions: 2, records: 2 })
    const a = group.join()
    await a.poll()
    void a.poll()
    group.join()
    expect([0, 1].map(partition => group.committed('orders', partition))).toEqual([2, 2])
  })

  test('(a) a record in hand of a partition that stays is not covered', async () => {
    const { group } = world({ partitions: 2, records: 2 })
    const a = group.join()
    await a.poll({ maxRecords: 4 })
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 0, 1)
    expect(at(await a.poll())).toEqual(['0@1'])
    await a.poll({ timeoutMs: 0 })
    a.seek('orders', 0, 0)
    await a.poll({ maxRecords: 1 })
    const b = group.join()
    expect(owned(b)).toEqual([1])
    expect([0, 1].map(partition => group.committed('orders', partition))).toEqual([0, 2])
  })

  test('(a) in manualCommit nothing is committed', async () => {
    const { group } = world({ partitions: 2, records: 2, commitMode: 'manualCommit' })
    const a = group.join({ onRevoked: () => {} })
    await a.poll()
    void a.poll()
    await group.join().ready()
    expect([0, 1].map(partition => group.committed('orders', partition))).toEqual([undefined, undefined])
  })

  test('(b) onRevoked names the partitions that move, and no others', async () => {
    const { group } = world({ partitions: 6 })
    const log: string[] = []
    await group.join({ onRevoked: say(log, 'revoked') }).ready()
    await group.join().ready()
    await group.join().ready()
    expect(log).toEqual(['revoked 3,4,5', 'revoked 2'])
  })

  test('(b) a promise of onRevoked is awaited before anything changes hands', async () => {
    const { clock, group } = world({ partitions: 2 })
    const hold = gate()
    const a = group.join({ onRevoked: () => hold.opened })
    await a.ready()
    const b = group.join()
    await clock.advance(60_000)
    expect([owned(a), owned(b)]).toEqual([[0, 1], []])
    hold.open()
    await b.ready()
    expect([owned(a), owned(b)]).toEqual([[0], [1]])
  })

  test('(c) position, pause and what was read ahead are gone when the partition comes back', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(1, 4)
    const a = group.join()
    const loop = a[Symbol.asyncIterator]()
    await loop.next()
    await loop.next()
    a.pause(orders(1))
    const b = group.join()
    const step = track(loop.next())
    await drain()
    expect([owned(b), a.position('orders', 1), a.paused]).toEqual([[1], undefined, []])
    await b.close()
    await drain()
    expect(step.value?.value).toMatchObject({ partition: 1, offset: 0 })
    expect(a.paused).toEqual([])
  })

  // K: "Execute commit -> onPartitionsRevoked -> onPartitionsAssigned"
  test('the commit comes before onRevoked, so that an explicit commit in it stands', async () => {
    const { group, put } = world({ partitions: 2 })
    put(1, 5)
    const before: unknown[] = []
    const a = group.join({
      onRevoked: async (_, consumer) => {
        before.push(group.committed('orders', 1))
        await consumer.commit([next(1, 2)])
      },
    })
    await a.poll()
    const polling = track(a.poll())
    await drain()
    const b = group.join()
    expect([at(await b.poll()), before, polling.state]).toEqual([['1@2', '1@3', '1@4'], [5], 'pending'])
    expect(group.committed('orders', 1)).toBe(2)
  })
})

describe('rule 13: what join() has when it returns', () => {
  test("all of its target that nobody holds, and what is held by nobody's onRevoked", async () => {
    const { group, put } = world({ partitions: 4 })
    put(2)
    const a = group.join()
    await a.poll()
    const b = group.join()
    expect([owned(a), owned(b)]).toEqual([[0, 1, 2], [3]])
  })

  test('the commit of the old owner is made inside the call', async () => {
    const { group } = world({ partitions: 2, records: 1 })
    const a = group.join()
    await a.poll()
    void a.poll()
    expect(group.committed('orders', 1)).toBe(undefined)
    group.join()
    expect(group.committed('orders', 1)).toBe(1)
  })

  test('ready() waits for the rest', async () => {
    const { group, put } = world({ partitions: 4 })
    put(2)
    const a = group.join()
    await a.poll()
    const b = group.join()
    const ready = track(b.ready())
    await drain()
    expect(ready.state).toBe('pending')
    await a.poll({ timeoutMs: 0 })
    await drain()
    expect([ready.state, owned(b)]).toEqual(['resolved', [2, 3]])
  })

  test('partitions of an owner with onRevoked come after the call', async () => {
    const { group } = world({ partitions: 2 })
    const a = group.join({ onRevoked: () => {} })
    await a.ready()
    const b = group.join()
    expect(owned(b)).toEqual([])
    await b.ready()
    expect(owned(b)).toEqual([1])
  })

  test('so it is in every call that causes a change: close(), crash(), expel(), addPartitions()', () => {
    const { group, orders } = world({ partitions: 4 })
    const [a, b, c, d] = [group.join(), group.join(), group.join(), group.join()]
    void d.close()
    expect([a, b, c].map(owned)).toEqual([[0, 1], [2], [3]])
    crash(c)
    expect([a, b].map(owned)).toEqual([
      [0, 1],
      [2, 3],
    ])
    orders.addPartitions(6)
    expect([a, b].map(owned)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ])
    expel(b)
    expect(owned(a)).toEqual([0, 1, 2, 3, 4, 5])
  })
})

describe('rule 14: given and taken away before onAssigned has started', () => {
  test('it moves on silently: onAssigned names what is left, onRevoked nothing', async () => {
    const { group } = world({ partitions: 4 })
    const log: string[] = []
    const [b, c] = ['b', 'c'].map(name =>
      group.join({ onAssigned: say(log, `${name} assigned`), onRevoked: say(log, `${name} revoked`) }),
    )
    expect([owned(b!), owned(c!)]).toEqual([
      [0, 1],
      [2, 3],
    ])
    await drain()
    expect(log).toEqual(['b assigned 0,1', 'c assigned 2,3'])
  })

  test('onLost does not name it', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    const a = group.join({ onAssigned: say(log, 'assigned'), onLost: say(log, 'lost'), onRevoked: say(log, 'revoked') })
    expel(a)
    await a.poll({ timeoutMs: 0 })
    expect(log).toEqual(['assigned 0,1'])
  })

  test('close() before onAssigned calls no callback at all', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    const a = group.join({ onAssigned: say(log, 'assigned'), onLost: say(log, 'lost'), onRevoked: say(log, 'revoked') })
    await a.close()
    expect(log).toEqual([])
  })

  test('a given partition that waits for onAssigned, its owner busy with another, is lost or moved unnamed', async () => {
    const { group, orders, put } = world({ partitions: 2 })
    put(0)
    const log: string[] = []
    const a = group.join({ onAssigned: say(log, 'assigned'), onRevoked: say(log, 'revoked'), onLost: say(log, 'lost') })
    await a.poll()
    orders.addPartitions(3)
    expect(owned(a)).toEqual([0, 1, 2])
    const b = group.join()
    expect([owned(a), owned(b)]).toEqual([[0, 1], [2]])
    expel(a)
    await a.poll({ timeoutMs: 0 })
    expect(log.slice(0, 2)).toEqual(['assigned 0,1', 'lost 0,1'])
  })

  test('nobody is asked to commit for a partition that was never announced', async () => {
    const { group } = world({ partitions: 2, records: 1 })
    const a = group.join({ onAssigned: () => {}, onRevoked: (_, consumer) => consumer.commit([next(1, 1)]) })
    const b = group.join()
    await Promise.all([a.ready(), b.ready()])
    expect([group.committed('orders', 1), at(await b.poll())]).toEqual([undefined, ['1@0']])
    await expect(a.commit([next(1, 1)])).rejects.toEqual(coded('ILLEGAL_GENERATION'))
  })
})
