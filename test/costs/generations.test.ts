import { expect, test } from 'vitest'
import { ConsumerGroup } from '../../src/index.js'
import { oldGeneration, sales, shop } from './support.js'

// V8 makes in the old generation what a literal gives, once enough of what that literal gave has lived long.
test('no record that is read is made in the old generation, not even after many have been collected', async () => {
  const { topic } = shop()
  const count = 300_000
  topic.publishAll(sales(count))
  const collected: unknown[] = []
  for await (const record of topic.read({ until: 'latest' })) collected.push(record)
  const bytes: number[] = []
  for (let i = 0; i < 8; i++) {
    const consumer = new ConsumerGroup(`reader-${i}`, topic).join()
    let more = 0
    let before = oldGeneration()
    while ((await consumer.poll({ timeoutMs: 0 })).length > 0) {
      const now = oldGeneration()
      more += Math.max(0, now - before)
      before = now
    }
    await consumer.close()
    bytes.push(more / count)
  }
  expect(collected.length).toBe(count)
  // A record is 80 bytes, with its timestamp 96.
  expect(Math.min(...bytes)).toBeLessThan(10)
})
