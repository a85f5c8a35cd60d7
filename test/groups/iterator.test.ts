import { crash, expel } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { at, drain, failure, manual, owned, setup, watch } from './support-b.js'

describe('rule 37: close() and crash() end a loop', () => {
  test('a pending step gives done at close(), and so does every later one', async () => {
    const { group } = setup()
    const consumer = group.join()
    const loop = consumer[Symbol.asyncIterator]()
    const pending = loop.next()
    await consumer.close()
    expect(await pending).toEqual({ value: undefined, done: true })
    expect(await loop.next()).toEqual({ value: undefined, done: true })
    expect(await loop.next()).toEqual({ value: undefined, done: true })
  })

  test('a pending step gives done at crash(), and so does every later one', async () => {
    const { group } = setup()
    const consumer = group.join()
    const loop = consumer[Symbol.asyncIterator]()
    const pending = loop.next()
    crash(consumer)
    expect(await pending).toEqual({ value: undefined, done: true })
    expect(await loop.next()).toEqual({ value: undefined, done: true })
  })

  test('a shutdown while the body works ends the loop after it, and throws nothing', async () => {
    const { group, publish } = setup()
    publish(0, 5)
    const consumer = group.join()
    const seen: string[] = []
    for await (const record of consumer) {
      seen.push(...at([record]))
      if (record.offset === 1) await consumer.close()
    }
    expect(seen).toEqual(['0:0', '0:1'])
  })

  test('a crash while the body works ends the loop after it, and throws nothing', async () => {
    const { group, publish } = setup()
    publish(0, 5)
    const consumer = group.join()
    const seen: string[] = []
    for await (const record of consumer) {
      seen.push(...at([record]))
      if (record.offset === 1) crash(consumer)
    }
    expect(seen).toEqual(['0:0', '0:1'])
  })

  test('a loop begun afterwards is CLOSED', async () => {
    const { group } = setup()
    const closed = group.join()
    await closed.close()
    const crashed = group.join()
    crash(crashed)
    const loop = async (consumer: typeof closed): Promise<void> => {
      for await (const _record of consumer) return
    }
    expect(await failure(() => loop(closed))).toBe('CLOSED')
    expect(await failure(() => loop(crashed))).toBe('CLOSED')
  })

  test('a second loop of a consumer that is closed is CLOSED, also when the first ended by close()', async () => {
    const { group, publish } = setup()
    publish(0, 1)
    const consumer = group.join()
    for await (const _record of consumer) await consumer.close()
    expect(await failure(() => consumer[Symbol.asyncIterator]().next())).toBe('CLOSED')
  })
})

describe('rule 42: a step hands out one record; what is read ahead is only a cache', () => {
  test('the position moves by one a step', async () => {
    const { group, publish } = setup()
    publish(0, 5)
    const consumer = group.join()
    const seen: string[] = []
    for await (const record of consumer) {
      seen.push(`${record.offset} ${consumer.position('orders', 0)}`)
      if (record.offset === 4) break
    }
    expect(seen).toEqual(['0 1', '1 2', '2 3', '3 4', '4 5'])
  })

  test('a revoked partition hands out nothing more that was read ahead; the next owner gets it', async () => {
    const { group, publish } = setup()
    publish(0, 6)
    const consumer = group.join({ memberId: 'm2' })
    const loop = consumer[Symbol.asyncIterator]()
    await loop.next()
    await loop.next()
    const heir = group.join({ memberId: 'm1' })
    expect([owned(consumer), owned(heir)]).toEqual([[0], []])
    const parked = watch(loop.next())
    await drain()
    expect([owned(consumer), owned(heir), parked.state]).toEqual([[], [0], 'pending'])
    expect(at(await heir.poll())).toEqual(['0:2', '0:3', '0:4', '0:5'])
  })

  test('a lost partition hands out nothing more that was read ahead: it is read from what is committed', async () => {
    const { group, publish } = setup(manual)
    publish(0, 6)
    const consumer = group.join()
    const loop = consumer[Symbol.asyncIterator]()
    const first = (await loop.next()).value!
    await loop.next()
    await consumer.commit(first)
    expel(consumer)
    expect((await loop.next()).value?.offset).toBe(1)
  })

  test('a partition that was lost and belongs to another hands out nothing more', async () => {
    const { group, publish } = setup(manual)
    publish(0, 3)
    const consumer = group.join({ memberId: 'm2' })
    const loop = consumer[Symbol.asyncIterator]()
    await loop.next()
    group.join({ memberId: 'm1' })
    expel(consumer)
    const parked = watch(loop.next())
    await drain()
    expect([parked.state, owned(consumer)]).toEqual(['pending', []])
  })

  test('a seek drops what was read ahead, backwards and forwards', async () => {
    const { group, publish } = setup()
    publish(0, 10)
    const consumer = group.join()
    const seen: number[] = []
    for await (const record of consumer) {
      seen.push(record.offset)
      if (seen.length === 2) consumer.seek('orders', 0, 0)
      if (seen.length === 4) consumer.seek('orders', 0, 8)
      if (record.offset === 9) break
    }
    expect(seen).toEqual([0, 1, 0, 1, 8, 9])
  })

  test('a deleted topic hands out nothing more that was read ahead', async () => {
    const { broker, payments, publish } = setup()
    publish(0, 5)
    const consumer = broker.group('both', { topics: ['orders', 'payments'] }).join()
    const loop = consumer[Symbol.asyncIterator]()
    expect((await loop.next()).value?.topic).toBe('orders')
    broker.deleteTopic('orders')
    const step = watch(loop.next())
    await drain()
    expect(step.state).toBe('pending')
    payments.publish({ value: 1 })
    await drain()
    expect(step.value?.value?.topic).toBe('payments')
  })

  test('a paused partition hands out nothing that was read ahead, and goes on from there at resume()', async () => {
    const { group, publish } = setup({}, 2)
    publish(0, 3)
    const consumer = group.join()
    const loop = consumer[Symbol.asyncIterator]()
    expect(at([(await loop.next()).value!])).toEqual(['0:0'])
    consumer.pause([{ topic: 'orders', partition: 0 }])
    const step = loop.next()
    publish(1, 1)
    expect(at([(await step).value!])).toEqual(['1:0'])
    const parked = watch(loop.next())
    await drain()
    expect(parked.state).toBe('pending')
    consumer.resume()
    await drain()
    expect(parked.value?.value?.offset).toBe(1)
    expect((await loop.next()).value?.offset).toBe(2)
  })

  test('a partition paused while a seek came in hands out from the seek at resume()', async () => {
    const { group, publish } = setup()
    publish(0, 6)
    const consumer = group.join()
    const loop = consumer[Symbol.asyncIterator]()
    await loop.next()
    consumer.pause()
    consumer.seek('orders', 0, 4)
    consumer.resume()
    expect((await loop.next()).value?.offset).toBe(4)
  })
})

describe('rule 42: break and throw', () => {
  test('after break the position is past the record in hand, and a poll goes on behind it', async () => {
    const { group, publish } = setup()
    publish(0, 5)
    const consumer = group.join()
    for await (const record of consumer) if (record.offset === 1) break
    expect(consumer.position('orders', 0)).toBe(2)
    expect(at(await consumer.poll())).toEqual(['0:2', '0:3', '0:4'])
  })

  test('after break the consumer stays open, and another loop goes on behind it', async () => {
    const { group, publish } = setup()
    publish(0, 4)
    const consumer = group.join()
    for await (const record of consumer) if (record.offset === 1) break
    expect([consumer.closed, owned(consumer)]).toEqual([false, [0]])
    const seen: number[] = []
    for await (const record of consumer) {
      seen.push(record.offset)
      if (record.offset === 3) break
    }
    expect(seen).toEqual([2, 3])
  })

  test('after break run() goes on behind it', async () => {
    const { group, publish } = setup()
    publish(0, 4)
    const consumer = group.join()
    for await (const record of consumer) if (record.offset === 1) break
    const seen: number[] = []
    void consumer.run(record => void seen.push(record.offset))
    await drain()
    expect(seen).toEqual([2, 3])
  })

  for (const end of ['break', 'throw'] as const) {
    test(`after ${end} the record in hand is held until the next poll`, async () => {
      const { group, publish } = setup({}, 2)
      publish(1, 3)
      const consumer = group.join()
      const leave = async (): Promise<void> => {
        for await (const _record of consumer) {
          if (end === 'break') break
          throw new Error('of the body')
        }
      }
      await leave().catch(() => {})
      const other = group.join()
      await drain()
      expect([owned(consumer), owned(other)]).toEqual([[0, 1], []])
      expect(group.moves).toMatchObject([{ topic: 'orders', partition: 1, waitingFor: 'records' }])
      await consumer.poll({ timeoutMs: 0 })
      expect([owned(consumer), owned(other)]).toEqual([[0], [1]])
      expect(at(await other.poll())).toEqual(['1:1', '1:2'])
    })
  }

  test('after break the record in hand is held until the next loop takes a step', async () => {
    const { group, publish } = setup({}, 2)
    publish(1, 3)
    const consumer = group.join()
    for await (const _record of consumer) break
    const other = group.join()
    await drain()
    expect(owned(other)).toEqual([])
    void consumer[Symbol.asyncIterator]().next()
    await drain()
    expect(owned(other)).toEqual([1])
  })

  test('after break the record in hand is held until close(), and then read again by the next owner', async () => {
    const { group, publish } = setup()
    publish(0, 3)
    const consumer = group.join()
    for await (const record of consumer) if (record.offset === 1) break
    const other = group.join()
    await drain()
    expect(owned(other)).toEqual([])
    await consumer.close()
    expect(at(await other.poll())).toEqual(['0:1', '0:2'])
  })

  test('a throw of the body leaves the consumer open, and nothing is skipped', async () => {
    const { group, publish } = setup()
    publish(0, 3)
    const consumer = group.join()
    const failed = new Error('of the body')
    const body = async (): Promise<void> => {
      for await (const _record of consumer) throw failed
    }
    expect(await failure(body)).toBe(failed)
    expect([consumer.closed, at(await consumer.poll())]).toEqual([false, ['0:1', '0:2']])
  })
})

describe('rule 42: a step that rejects', () => {
  test('ends its loop, and the consumer can be polled', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const failed = new Error('of onAssigned')
    const consumer = group.join({ onAssigned: () => Promise.reject(failed) })
    const loop = async (): Promise<void> => {
      for await (const _record of consumer) return
    }
    expect(await failure(loop)).toBe(failed)
    expect(at(await consumer.poll())).toEqual(['0:0', '0:1'])
  })
})

describe('rule 42: one reader at a time', () => {
  test('a second step while one is pending is CONCURRENT_POLL, and the first goes on', async () => {
    const { group, publish } = setup()
    const loop = group.join()[Symbol.asyncIterator]()
    const first = loop.next()
    expect(await failure(() => loop.next())).toBe('CONCURRENT_POLL')
    publish(0, 1)
    expect((await first).value?.offset).toBe(0)
  })

  test('a poll and a run() beside a loop are CONCURRENT_POLL, also between its steps', async () => {
    const { group, publish } = setup()
    publish(0, 2)
    const consumer = group.join()
    const codes: unknown[] = []
    const seen: number[] = []
    for await (const record of consumer) {
      seen.push(record.offset)
      codes.push(await failure(() => consumer.poll({ timeoutMs: 0 })))
      codes.push(await failure(() => consumer.run(() => {})))
      if (record.offset === 1) break
    }
    expect([codes, seen]).toEqual([Array(4).fill('CONCURRENT_POLL'), [0, 1]])
  })

  test('a poll beside a step that waits is CONCURRENT_POLL', async () => {
    const { group } = setup()
    const consumer = group.join()
    void consumer[Symbol.asyncIterator]().next()
    expect(await failure(() => consumer.poll({ timeoutMs: 0 }))).toBe('CONCURRENT_POLL')
  })

  test('a step beside a parked poll is CONCURRENT_POLL, and the poll goes on', async () => {
    const { group, publish } = setup()
    const consumer = group.join()
    const poll = consumer.poll()
    expect(await failure(() => consumer[Symbol.asyncIterator]().next())).toBe('CONCURRENT_POLL')
    publish(0, 1)
    expect(at(await poll)).toEqual(['0:0'])
  })
})
