import { describe, expect, test } from 'vitest'
import { Broker } from '../../src/index.js'
import { bytesOf, held, type Sale, sales, shop } from './support.js'

// Sampled, on code that V8 has seen little of: the limits are about half as much again as what was measured on Node 20
// to 24, so that they hold anywhere and an object more for each record is still seen.

const many = sales(20_000)
const perRecord = async (act: () => unknown): Promise<number> => (await bytesOf(act)) / many.length

describe('allocated for each record', () => {
  test('that publishAll takes in: its place in the columns, and nothing else', async () => {
    const { topic } = shop()
    expect(await perRecord(() => topic.publishAll(many))).toBeLessThan(140)
  })

  test('that poll hands out: the record, and its place in the list', async () => {
    const { topic, consumer } = shop()
    topic.publishAll(many)
    const bytes = await perRecord(async () => {
      while ((await consumer.poll({ timeoutMs: 0 })).length > 0);
    })
    expect(bytes).toBeLessThan(180)
  })

  test('that a loop takes: the record, the step, and what the runtime needs to await it', async () => {
    const { topic, consumer } = shop()
    topic.publishAll(many)
    let left = many.length
    const bytes = await perRecord(async () => {
      for await (const _ of consumer) if (--left === 0) return
    })
    expect(bytes).toBeLessThan(800)
  })

  test.each([
    ['no promise', () => {}, 600],
    ['a promise', async () => {}, 1_200],
  ])('that run() gives to a handler that returns %s', async (_, handler, limit) => {
    const { topic, consumer } = shop()
    topic.publishAll(many)
    let left = many.length
    const bytes = await perRecord(async () => {
      await new Promise<void>(resolve => {
        void consumer.run(() => {
          if (--left === 0) resolve()
          return handler()
        })
      })
    })
    consumer.crash()
    expect(bytes).toBeLessThan(limit)
  })
})

describe('held', () => {
  test('for a stored record, beside its key and value: three words and what is not yet filled', () => {
    const records = sales(200_000)
    const before = held()
    const { topic } = shop()
    topic.publishAll(records)
    const bytes = (held() - before) / records.length
    expect(topic.partitions.reduce((sum, { endOffset }) => sum + endOffset, 0)).toBe(records.length)
    expect(bytes).toBeGreaterThan(20)
    expect(bytes).toBeLessThan(30)
  })

  test('by members that never ask for anything: nothing of the partitions that came and went', () => {
    const broker = new Broker<{ sales: Sale }>({ topics: { sales: { partitions: 100 } } })
    const group = broker.group('billing', { topics: 'sales' })
    for (let i = 0; i < 10; i++) group.join()
    const comeAndGo = (times: number): void => {
      for (let i = 0; i < times; i++) group.join().crash()
    }
    comeAndGo(100)
    const before = held()
    const times = 2_000
    comeAndGo(times)
    // A term is some hundred bytes, and ten and more come and go each time: kept, they would be thousands.
    expect((held() - before) / times).toBeLessThan(1_000)
    expect(group.members).toHaveLength(10)
  })
})
