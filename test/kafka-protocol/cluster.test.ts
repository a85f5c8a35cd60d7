import { expect, test } from 'vitest'
import { Cluster } from '../../src/kafka/cluster.js'
import { resolveKafkaOptions } from '../../src/kafka/options.js'

test('many that wait for their next try at once are no leak to be warned of', async () => {
  const warnings: Error[] = []
  const hear = (warning: Error): void => void warnings.push(warning)
  process.on('warning', hear)
  const cluster = new Cluster(resolveKafkaOptions({ bootstrapBrokers: ['127.0.0.1:1'] }))
  const waiting = Array.from({ length: 50 }, () => cluster.pause(60_000))
  await cluster.close()
  for (const outcome of await Promise.allSettled(waiting))
    expect((outcome as PromiseRejectedResult).reason).toMatchObject({ code: 'CLOSED' })
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', hear)
  expect(warnings).toEqual([])
})
