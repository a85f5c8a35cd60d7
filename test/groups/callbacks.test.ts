import type { TopicPartition } from 'millrace'
import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, coded, drain, gate, type Member, next, orders, owned, say, track, world } from './support-a.js'

// groups.md 1.3: callbacks

const listening = (log: string[], name = ''): Record<'onAssigned' | 'onRevoked' | 'onLost', () => void> => {
  const prefix = name === '' ? '' : `${name} `
  return {
    onAssigned: say(log, `${prefix}assigned`) as () => void,
    onRevoked: say(log, `${prefix}revoked`) as () => void,
    onLost: say(log, `${prefix}lost`) as () => void,
  }
}

describe('rule 15: what a callback is given', () => {
  test('partitions and the consumer, so that one listener object serves several members', async () => {
    const { group } = world()
    const log: [string, string, unknown][] = []
    const note =
      (kind: string) => (partitions: readonly TopicPartition[], consumer: { memberId: string | undefined }) =>
        void log.push([kind, consumer.memberId!, partitions])
    const shared = { onAssigned: note('assigned'), onRevoked: note('revoked'), onLost: note('lost') }
    const a = group.join(shared)
    await a.ready()
    const b = group.join(shared)
    await b.ready()
    expel(b)
    await b.poll({ timeoutMs: 0 })
    for (const call of [
      ['assigned', a.memberId, orders(0, 1, 2, 3)],
      ['revoked', a.memberId, orders(2, 3)],
      ['assigned', b.memberId, orders(2, 3)],
    ])
      expect(log).toContainEqual(call)
    expect(log).toContainEqual(['lost', b.memberId, orders(2, 3)])
  })

  test('the consumer is the very one that join() has returned', async () => {
    const { group } = world()
    const seen: unknown[] = []
    const a = group.join({
      onAssigned: (_, consumer) => seen.push(consumer),
      onRevoked: (_, consumer) => seen.push(consumer),
    })
    await a.ready()
    await a.close()
    expect([seen[0] === a, seen[1] === a, seen.length]).toEqual([true, true, 2])
  })

  test('`const c = group.join({ onAssigned: () => c.seek(...) })` is safe', async () => {
    const { group } = world({ records: 3, partitions: 1 })
    const c: Member = group.join({ onAssigned: () => c.seek('orders', 0, 2) })
    expect(at(await c.poll())).toEqual(['0@2'])
  })
})

describe('rule 16: when a callback starts', () => {
  test('never inside a library call, whoever makes it', async () => {
    const { broker, group, orders, payments } = world({ records: 1, topics: ['orders', 'payments'] })
    let inside = ''
    const found: string[] = []
    const calls: string[] = []
    const note = (kind: string) => (): void => {
      calls.push(kind)
      if (inside !== '') found.push(`${kind} in ${inside}`)
    }
    const listener = { onAssigned: note('assigned'), onRevoked: note('revoked'), onLost: note('lost') }
    const within = <T>(name: string, act: () => T): T => {
      inside = name
      try {
        return act()
      } finally {
        inside = ''
      }
    }
    const a = within('join', () => group.join(listener))
    await drain()
    const b = within('join of another', () => group.join(listener))
    await drain()
    within('addPartitions', () => orders.addPartitions(8))
    await drain()
    within('expel', () => expel(b))
    await drain()
    await within('poll', () => b.poll({ timeoutMs: 0 }))
    within('commit', () => void a.commit())
    within('publish', () => payments.publish({ value: 'x' }))
    within('deleteTopic', () => broker.deleteTopic('payments'))
    void within('poll', () => a.poll())
    await drain()
    const c = within('join of a third', () => group.join(listener))
    await drain()
    within('crash of another', () => crash(c))
    await drain()
    const closing = within('close', () => b.close())
    await closing
    await within('broker.close', () => broker.close())
    expect(found).toEqual([])
    expect(new Set(calls)).toEqual(new Set(['assigned', 'revoked', 'lost']))
  })

  test('those of one consumer never overlap', async () => {
    const { group, orders } = world({ partitions: 4 })
    let running = 0
    let most = 0
    const holds = Array.from({ length: 20 }, gate)
    let started = 0
    const callback = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await holds[started++]!.opened
      running--
    }
    const a = group.join({ onAssigned: callback, onRevoked: callback, onLost: callback })
    await drain()
    const b = group.join()
    await drain()
    expect([started, running]).toEqual([1, 1])
    holds[0]!.open()
    await drain()
    expect([started, running]).toEqual([2, 1])
    crash(b)
    orders.addPartitions(6)
    await drain()
    expect([started, running]).toEqual([2, 1])
    for (const hold of holds) hold.open()
    await a.ready()
    expect([most, started > 2, owned(a)]).toEqual([1, true, [0, 1, 2, 3, 4, 5]])
  })

  test('they never overlap its handlers', async () => {
    const { clock, group, orders, put } = world({ partitions: 2, records: 20 })
    let handlers = 0
    let callbacks = 0
    const overlaps: string[] = []
    let calls = 0
    const pause = (ms: number): Promise<void> => new Promise(resolve => void clock.setTimeout(resolve, ms))
    const callback = async (): Promise<void> => {
      calls++
      callbacks++
      if (handlers > 0) overlaps.push('callback beside handler')
      await pause(5)
      callbacks--
    }
    const a = group.join({ onAssigned: callback, onRevoked: callback })
    const running = a.run(
      async () => {
        handlers++
        if (callbacks > 0) overlaps.push('handler beside callback')
        await pause(3)
        handlers--
      },
      { concurrency: 3 },
    )
    await clock.advance(20)
    const b = group.join()
    await clock.advance(20)
    orders.addPartitions(4)
    put(2, 3)
    await clock.advance(20)
    await b.close()
    await clock.advance(100)
    const closing = a.close()
    await clock.advance(100)
    await Promise.all([closing, running])
    expect(overlaps).toEqual([])
    expect(calls).toBeGreaterThanOrEqual(4)
  })

  test('poll() hands out nothing, of whatever partition, while one runs', async () => {
    const { group, orders, put } = world({ partitions: 1, records: 1 })
    const hold = gate()
    let calls = 0
    const a = group.join({ onAssigned: () => (calls++ === 0 ? undefined : hold.opened) })
    await a.poll()
    orders.addPartitions(2)
    const polling = track(a.poll())
    await drain()
    put(0)
    await drain()
    expect([calls, polling.state]).toEqual([2, 'pending'])
    hold.open()
    await drain()
    expect(at(polling.value ?? [])).toEqual(['0@1'])
  })

  test('neither does a step of a loop, nor run()', async () => {
    for (const how of ['next', 'run'] as const) {
      const { group, orders, put } = world({ partitions: 1 })
      const hold = gate()
      let calls = 0
      const a = group.join({ onAssigned: () => (calls++ === 0 ? undefined : hold.opened) })
      await a.ready()
      const got: string[] = []
      if (how === 'run') void a.run(record => void got.push(...at([record])))
      else
        void a[Symbol.asyncIterator]()
          .next()
          .then(({ value }) => got.push(...at([value!])))
      await drain()
      orders.addPartitions(2)
      await drain()
      put(0)
      await drain()
      expect([how, calls, got]).toEqual([how, 2, []])
      hold.open()
      await drain()
      expect([how, got]).toEqual([how, ['0@0']])
      await a.close()
    }
  })

  test('while one is due, run() starts no handler, and it starts when those in flight are over', async () => {
    const { clock, group, orders, put } = world({ partitions: 2, records: 50 })
    const log: string[] = []
    const pause = (ms: number): Promise<void> => new Promise(resolve => void clock.setTimeout(resolve, ms))
    const a = group.join({ onAssigned: say(log, 'assigned') })
    let turn = 0
    const running = a.run(
      async () => {
        log.push('start')
        await pause(5 + (turn++ % 3))
        log.push('end')
      },
      { concurrency: 2 },
    )
    await clock.advance(12)
    log.length = 0
    orders.addPartitions(3)
    put(2)
    const ready = track(a.ready())
    await clock.advance(10)
    expect([log.slice(0, 3), ready.state]).toEqual([['end', 'end', 'assigned 2'], 'resolved'])
    const closing = a.close()
    await clock.advance(10)
    await Promise.all([closing, running])
  })

  test('those of different consumers may interleave', async () => {
    const { group } = world({ partitions: 2 })
    const hold = gate()
    const log: string[] = []
    group.join({
      onAssigned: async () => {
        log.push('a begins')
        await hold.opened
        log.push('a ends')
      },
    })
    await drain()
    const b = group.join({ onAssigned: say(log, 'b assigned') })
    await b.ready()
    hold.open()
    await drain()
    expect(log).toEqual(['a begins', 'b assigned 1', 'a ends'])
  })
})

describe('rule 17: what onAssigned, onRevoked and onLost are called with', () => {
  test('after a join onAssigned is called once with all, also with nothing', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    group.join(listening(log, 'a'))
    group.join(listening(log, 'b'))
    await drain()
    expect(log).toEqual(['a assigned 0', 'b assigned'])
  })

  test('after a rejoin likewise', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    const a = group.join(listening(log))
    await a.ready()
    expel(a)
    await a.poll({ timeoutMs: 0 })
    expect(log).toEqual(['assigned 0,1', 'lost 0,1', 'assigned 0,1'])
  })

  test('also after a rejoin that gives nothing', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join({ onAssigned: say(log, 'assigned'), onLost: say(log, 'lost') })
    await a.ready()
    const b = group.join({ memberId: 'g-0000' })
    await b.ready()
    expel(a)
    await a.poll({ timeoutMs: 0 })
    expect(log).toEqual(['assigned 0', 'assigned'])
  })

  test('afterwards it names only what is new', async () => {
    const { group, orders } = world({ partitions: 2 })
    const log: string[] = []
    const a = group.join(listening(log))
    await a.ready()
    orders.addPartitions(4)
    await a.ready()
    expect(log).toEqual(['assigned 0,1', 'assigned 2,3'])
  })

  test('a rebalance that brings nothing new calls nothing', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join(listening(log))
    await a.ready()
    const b = group.join()
    await a.poll({ timeoutMs: 0 })
    await b.close()
    await a.poll({ timeoutMs: 0 })
    expect([group.generation, log]).toEqual([3, ['assigned 0']])
  })

  test('onRevoked and onLost are never called with nothing', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    await group.join().ready()
    const surplus = group.join(listening(log))
    await surplus.ready()
    expel(surplus)
    await surplus.poll({ timeoutMs: 0 })
    await surplus.close()
    expect(log).toEqual(['assigned', 'assigned'])
  })

  // K: AwaitingCallback
  test('partitions are in `assignment` at once, and not handed out until onAssigned has settled', async () => {
    const { group } = world({ partitions: 1, records: 1 })
    const hold = gate()
    const a = group.join({ onAssigned: () => hold.opened })
    expect(owned(a)).toEqual([0])
    const polling = track(a.poll())
    await drain()
    expect(polling.state).toBe('pending')
    hold.open()
    await drain()
    expect(at(polling.value ?? [])).toEqual(['0@0'])
  })

  test('ready() waits for the first onAssigned', async () => {
    const { group } = world({ partitions: 1 })
    const hold = gate()
    const ready = track(group.join({ onAssigned: () => hold.opened }).ready())
    await drain()
    expect(ready.state).toBe('pending')
    hold.open()
    await drain()
    expect(ready.state).toBe('resolved')
  })

  test('it waits until a consumer that has records of other partitions in hand comes back', async () => {
    const { group, orders } = world({ partitions: 1, records: 1 })
    const log: string[] = []
    const a = group.join(listening(log))
    await a.poll()
    orders.addPartitions(2)
    await drain()
    expect([owned(a), log]).toEqual([[0, 1], ['assigned 0']])
    void a.poll()
    await drain()
    expect(log).toEqual(['assigned 0', 'assigned 1'])
  })
})

describe('rule 18: onRevoked', () => {
  test('the partition is still owned: position, seek and commit work', async () => {
    const { group, put } = world({ partitions: 2, commitMode: 'manualCommit' })
    put(1, 3)
    const log: unknown[] = []
    const a = group.join({
      onRevoked: async (partitions, consumer) => {
        log.push(partitions, owned(consumer), consumer.position('orders', 1))
        consumer.seek('orders', 1, 1)
        log.push(consumer.position('orders', 1))
        await consumer.commit([next(1, 2)])
      },
    })
    await a.poll()
    void a.poll()
    await drain()
    const b = group.join()
    await b.ready()
    expect(log).toEqual([orders(1), [0, 1], 3, 1])
    expect(group.committed('orders', 1)).toBe(2)
  })

  test('a commit begun after it has settled is ILLEGAL_GENERATION', async () => {
    const { group } = world({ partitions: 2 })
    const a = group.join({ onRevoked: () => {} })
    await a.ready()
    await group.join().ready()
    await expect(a.commit([next(1, 1)])).rejects.toEqual(coded('ILLEGAL_GENERATION'))
    expect(group.committed('orders', 1)).not.toBe(1)
  })
})

describe('rule 19: onLost', () => {
  test('it is called when the consumer next polls, before it rejoins; by then it has nothing and others may', async () => {
    const { group } = world({ partitions: 2 })
    const log: string[] = []
    const b = group.join({ memberId: 'z' })
    const a = group.join({
      onAssigned: say(log, 'assigned'),
      onLost: (partitions, consumer) => {
        say(log, `has ${owned(consumer)}, z has ${owned(b)}, lost`)(partitions)
      },
    })
    await a.ready()
    group.on('join', ({ memberId }) => log.push(`join ${memberId}`))
    expel(a)
    await drain()
    expect(log.slice(1)).toEqual([])
    await a.poll({ timeoutMs: 0 })
    expect(log.slice(1)).toEqual(['has , z has 0,1, lost 0', `join ${a.memberId}`, 'assigned 0'])
  })

  test('a step of a loop, a run() between handlers and close() come back likewise', async () => {
    for (const how of ['next', 'run', 'close'] as const) {
      const { group } = world({ partitions: 1 })
      const log: string[] = []
      const a = group.join(listening(log))
      await a.ready()
      expel(a)
      await drain()
      expect([how, log]).toEqual([how, ['assigned 0']])
      if (how === 'next') void a[Symbol.asyncIterator]().next()
      if (how === 'run') void a.run(() => {})
      if (how === 'close') void a.close()
      await drain()
      expect([how, log]).toEqual([how, ['assigned 0', 'lost 0', ...(how === 'close' ? [] : ['assigned 0'])]])
      await a.close()
    }
  })

  test('in run() it waits for the handlers at work', async () => {
    const { group } = world({ partitions: 1, records: 1 })
    const log: string[] = []
    const hold = gate()
    const a = group.join(listening(log))
    let count = 0
    const running = a.run(() => (count++ === 0 ? hold.opened : undefined))
    await drain()
    expel(a)
    await drain()
    expect(log).toEqual(['assigned 0'])
    hold.open()
    await drain()
    expect([log, count]).toEqual([['assigned 0', 'lost 0', 'assigned 0'], 2])
    await a.close()
    await running
  })

  test('what onRevoked has begun to hear of is not named again', async () => {
    const { group } = world({ partitions: 3 })
    const log: string[] = []
    const hold = gate()
    const a = group.join({
      ...listening(log),
      onRevoked: partitions => {
        say(log, 'revoked')(partitions)
        return hold.opened
      },
    })
    await a.ready()
    const b = group.join()
    await drain()
    expel(a)
    expect(owned(b)).toEqual([0, 1, 2])
    hold.open()
    await a.poll({ timeoutMs: 0 })
    expect(log.slice(0, 3)).toEqual(['assigned 0,1,2', 'revoked 2', 'lost 0,1'])
    expect(log.filter(line => line.startsWith('lost'))).toHaveLength(1)
  })

  // K: ConsumerRebalanceListener.onPartitionsLost
  test('without one, onRevoked is called instead', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join({ onRevoked: say(log, 'revoked') })
    await a.ready()
    expel(a)
    await a.poll({ timeoutMs: 0 })
    expect(log).toEqual(['revoked 0'])
  })

  test('with one, onRevoked is not called', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join({ onRevoked: say(log, 'revoked'), onLost: say(log, 'lost') })
    await a.ready()
    expel(a)
    await a.poll({ timeoutMs: 0 })
    expect(log).toEqual(['lost 0'])
  })

  test('a crash calls nothing', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join(listening(log))
    const polling = a.poll()
    await drain()
    crash(a)
    await polling
    await a.close()
    await drain()
    expect(log).toEqual(['assigned 0'])
  })

  // Trap: "Claimed by two".
  test('poll() and close() do not both call it', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join(listening(log))
    const polling = a.poll()
    await drain()
    expel(a)
    const closing = a.close()
    await Promise.all([polling, closing])
    expect(log.filter(line => line.startsWith('lost'))).toEqual(['lost 0'])
    expect(log).not.toContain('revoked 0')
  })
})

describe('rule 20: a callback that throws', () => {
  const error = new Error("the user's own")

  test.each(['throws', 'rejects'])(
    "onRevoked %s: the move stands, and the owner's next poll tells it once",
    async how => {
      const { group, put } = world({ partitions: 2 })
      const a = group.join({
        onRevoked: () => {
          if (how === 'rejects') return Promise.reject(error)
          throw error
        },
      })
      await a.ready()
      const b = group.join()
      await b.ready()
      expect([owned(a), owned(b)]).toEqual([[0], [1]])
      put(1)
      expect(at(await b.poll())).toEqual(['1@0'])
      put(0)
      await expect(a.poll()).rejects.toBe(error)
      expect(at(await a.poll())).toEqual(['0@0'])
    },
  )

  test('onAssigned throws: the assignment stands, join() and others hear nothing', async () => {
    const { group } = world({ partitions: 2, records: 1 })
    const a = group.join({
      onAssigned: () => {
        throw error
      },
    })
    const b = group.join()
    await expect(a.poll()).rejects.toBe(error)
    expect([owned(a), at(await a.poll()), at(await b.poll())]).toEqual([[0], ['0@0'], ['1@0']])
  })

  test('onLost throws: the poll that rejoins tells it, and the next one works', async () => {
    const { group } = world({ partitions: 1, records: 1 })
    const a = group.join({ onLost: () => Promise.reject(error) })
    await a.ready()
    expel(a)
    await expect(a.poll()).rejects.toBe(error)
    expect(at(await a.poll())).toEqual(['0@0'])
  })

  test('a poll that is parked when it happens rejects with it', async () => {
    const { group } = world({ partitions: 2 })
    const a = group.join({ onRevoked: () => Promise.reject(error) })
    const polling = track(a.poll())
    await drain()
    const b = group.join()
    await b.ready()
    await drain()
    expect([polling.state, polling.error]).toEqual(['rejected', error])
  })

  test('a step of a loop rejects with it', async () => {
    const { group } = world({ partitions: 1 })
    const a = group.join({ onAssigned: () => Promise.reject(error) })
    await expect(a[Symbol.asyncIterator]().next()).rejects.toBe(error)
    expect(a.closed).toBe(false)
  })

  test('run() finishes what is in flight, commits it, leaves, and rejects with the error itself', async () => {
    const { group, put } = world({ partitions: 2 })
    put(0, 2)
    const log: string[] = []
    const hold = gate()
    let calls = 0
    const a = group.join({
      onAssigned: () => {
        if (calls++ > 0) throw error
      },
      onRevoked: say(log, 'revoked'),
    })
    const b = group.join({ memberId: 'z' })
    await Promise.all([a.ready(), b.ready()])
    group.on('leave', ({ memberId, reason }) => log.push(`${memberId} ${reason}`))
    const running = a.run(() => {
      log.push('handler')
      return hold.opened
    })
    const result = track(running)
    await drain()
    crash(b)
    await drain()
    expect(log).toEqual(['handler', 'z crashed'])
    hold.open()
    await drain()
    expect([result.state, result.error === error, a.closed, group.members]).toEqual(['rejected', true, true, []])
    expect(log.slice(2)).toEqual(['revoked 0,1', 'g-0001 closed'])
    expect(group.committed('orders', 0)).toBe(1)
  })

  test('run() rejects with NO_OFFSET_FOR_PARTITION itself', async () => {
    const { group } = world({ partitions: 1, autoOffsetReset: 'none' })
    const a = group.join()
    await expect(a.run(() => {})).rejects.toEqual(coded('NO_OFFSET_FOR_PARTITION'))
    expect([a.closed, group.members]).toEqual([true, []])
  })

  test('run() rejects with OFFSET_OUT_OF_RANGE itself where the reset is none', async () => {
    const { group } = world({ partitions: 1, autoOffsetReset: 'none' })
    const a = group.join({ onAssigned: (_, consumer) => consumer.seek('orders', 0, 9) })
    await expect(a.run(() => {})).rejects.toEqual(coded('OFFSET_OUT_OF_RANGE'))
    expect(a.closed).toBe(true)
  })

  test('run() rejects with FENCED_INSTANCE_ID itself', async () => {
    const { group } = world({ partitions: 1 })
    const a = group.join({ instanceId: 'one' })
    const running = track(a.run(() => {}))
    await drain()
    const b = group.join({ instanceId: 'one' })
    await drain()
    expect([running.state, running.error, owned(b)]).toEqual(['rejected', coded('FENCED_INSTANCE_ID'), [0]])
  })

  test('in close() the leave completes, then close() rejects with it', async () => {
    const { group } = world({ partitions: 1, records: 1 })
    const a = group.join({ onRevoked: () => Promise.reject(error) })
    await a.poll()
    const b = group.join()
    await expect(a.close()).rejects.toBe(error)
    expect([group.members.length, owned(b), group.committed('orders', 0)]).toEqual([1, [0], 1])
  })
})

describe('rule 21: a callback that does not settle', () => {
  test('maxPollIntervalMs runs during callbacks, also under a parked poll; then everything moves', async () => {
    const { clock, group } = world({ partitions: 2, maxPollIntervalMs: 1_000 })
    const hold = gate()
    const a = group.join({ onRevoked: () => hold.opened })
    void a.poll()
    await clock.advance(5_000)
    const b = group.join()
    void b.poll()
    await clock.advance(999)
    expect([owned(a), owned(b)]).toEqual([[0, 1], []])
    await clock.advance(1)
    expect([owned(a), owned(b), group.members.length]).toEqual([[], [0, 1], 1])
  })

  test('the late settling frees nothing that others own by then', async () => {
    const { clock, group, put } = world({ partitions: 2, maxPollIntervalMs: 1_000 })
    const hold = gate()
    const a = group.join({ onRevoked: () => hold.opened })
    await a.ready()
    const b = group.join()
    void b.poll()
    await clock.advance(1_000)
    expect(owned(b)).toEqual([0, 1])
    hold.open()
    await drain()
    expect([owned(a), owned(b), group.moves]).toEqual([[], [0, 1], []])
    put(1)
    await drain()
    expect(b.position('orders', 1)).toBe(1)
  })

  test('a poll that waits for it goes on waiting, and rejoins when it has settled', async () => {
    const { clock, group } = world({ partitions: 1, records: 1, maxPollIntervalMs: 1_000 })
    const hold = gate()
    let calls = 0
    const a = group.join({ onAssigned: () => (calls++ === 0 ? hold.opened : undefined) })
    const polling = track(a.poll())
    await clock.advance(3_000)
    expect([polling.state, group.members, calls]).toEqual(['pending', [], 1])
    hold.open()
    await drain()
    expect([polling.state, at(polling.value ?? []), calls, owned(a)]).toEqual(['resolved', ['0@0'], 2, [0]])
  })

  test('so does a step of a loop', async () => {
    const { clock, group } = world({ partitions: 1, records: 1, maxPollIntervalMs: 1_000 })
    const hold = gate()
    let calls = 0
    const a = group.join({ onAssigned: () => (calls++ === 0 ? hold.opened : undefined) })
    const step = track(a[Symbol.asyncIterator]().next())
    await clock.advance(3_000)
    expect([step.state, group.members]).toEqual(['pending', []])
    hold.open()
    await drain()
    expect(step.value?.value).toMatchObject({ partition: 0, offset: 0 })
  })

  test('a hanging onAssigned lets the partitions go, though nobody polls', async () => {
    const { clock, group } = world({ partitions: 1, maxPollIntervalMs: 1_000 })
    group.join({ onAssigned: () => gate().opened })
    const b = group.join()
    void b.poll()
    await clock.advance(1_000)
    expect(owned(b)).toEqual([0])
  })
})

describe('rule 22: what a callback may do', () => {
  test('join others', async () => {
    const { group } = world({ partitions: 2 })
    let other: Member | undefined
    const a = group.join({
      onAssigned: () => {
        other ??= group.join()
      },
    })
    await a.ready()
    expect([owned(a), owned(other!)]).toEqual([[0], [1]])
  })

  test('close others, and await it', async () => {
    const { group } = world({ partitions: 2 })
    const b = group.join({ memberId: 'z', onRevoked: () => {} })
    await b.ready()
    const a = group.join({ onAssigned: () => b.close() })
    await a.ready()
    expect([owned(a), b.closed, group.members.length]).toEqual([[0, 1], true, 1])
  })

  // Trap: "Memoised close() promise awaited from its own onRevoked".
  test.each(['onAssigned', 'onRevoked', 'onLost'] as const)(
    'close its own consumer in %s, and await it',
    async kind => {
      const { group } = world({ partitions: 2 })
      const log: string[] = []
      group.on('leave', ({ memberId, reason }) => log.push(`${memberId} ${reason}`))
      const a = group.join({ [kind]: (_: unknown, consumer: Member) => consumer.close() })
      await drain()
      if (kind === 'onRevoked') group.join()
      if (kind === 'onLost') expel(a)
      if (kind !== 'onAssigned') expect(await a.poll()).toEqual([])
      await drain()
      expect([a.closed, owned(a), group.members.some(({ memberId }) => memberId === a.memberId)]).toEqual([
        true,
        [],
        false,
      ])
      expect(log).toEqual([kind === 'onLost' ? 'g-0001 expelled' : 'g-0001 closed'])
    },
  )

  // Trap: "close() re-entered".
  test('a close() inside the onRevoked of a close() does not leave twice, and neither waits for ever', async () => {
    const { group } = world({ partitions: 1 })
    const log: string[] = []
    const a = group.join({
      onRevoked: async (partitions, consumer) => {
        say(log, 'revoked')(partitions)
        await consumer.close()
        log.push('closed inside')
      },
    })
    await a.ready()
    group.on('leave', ({ reason }) => log.push(reason))
    const closing = track(a.close())
    await drain()
    expect([closing.state, log]).toEqual(['resolved', ['revoked 0', 'closed inside', 'closed']])
  })

  test('commit, seek and pause', async () => {
    const { group } = world({ partitions: 3, records: 4 })
    const a = group.join({
      onAssigned: async (_, consumer) => {
        consumer.seek('orders', 0, 3)
        consumer.pause(orders(1))
        await consumer.commit([next(2, 2)])
      },
    })
    expect(at(await a.poll())).toEqual(['0@3', '2@2', '2@3'])
    expect(a.paused).toEqual(orders(1))
  })

  test('poll() is CONCURRENT_POLL while poll, next or run of the consumer is in progress', async () => {
    for (const how of ['poll', 'next', 'run'] as const) {
      const { group, orders } = world({ partitions: 1 })
      const errors: unknown[] = []
      let calls = 0
      const a = group.join({
        onAssigned: async (_, consumer) => {
          if (calls++ > 0) await consumer.poll().catch(error => errors.push(error))
        },
      })
      await a.ready()
      const under = { poll: () => a.poll(), next: () => a[Symbol.asyncIterator]().next(), run: () => a.run(() => {}) }
      void under[how]()
      await drain()
      orders.addPartitions(2)
      await drain()
      expect([how, errors]).toEqual([how, [coded('CONCURRENT_POLL')]])
      await a.close()
    }
  })

  test.each(['ready', 'caughtUp', 'settled'] as const)(
    'awaiting %s() is a deadlock that maxPollIntervalMs ends',
    async what => {
      const { clock, broker, group } = world({ partitions: 1, records: 1, maxPollIntervalMs: 1_000 })
      let calls = 0
      const a = group.join({
        onAssigned: async (_, consumer) => {
          if (calls++ > 0) return
          if (what === 'ready') await consumer.ready()
          else await (what === 'caughtUp' ? group.caughtUp() : broker.settled())
        },
      })
      void a.poll().catch(() => {})
      await clock.advance(999)
      expect([owned(a), calls]).toEqual([[0], 1])
      const b = group.join()
      void b.poll()
      await clock.advance(1)
      expect(owned(b)).toEqual([0])
    },
  )

  // Trap: "Gap after a callback".
  test('onAssigned is called once for each partition, whatever changes in the microtasks after a callback', async () => {
    for (let wait = 0; wait < 12; wait++) {
      const { group, orders } = world({ partitions: 1 })
      const log: string[] = []
      const hold = gate()
      const a = group.join({
        onAssigned: partitions => {
          say(log, 'assigned')(partitions)
          return hold.opened
        },
      })
      await drain()
      hold.open()
      for (let i = 0; i < wait; i++) await Promise.resolve()
      orders.addPartitions(2)
      await a.ready()
      expect([wait, log]).toEqual([wait, ['assigned 0', 'assigned 1']])
    }
  })
})
