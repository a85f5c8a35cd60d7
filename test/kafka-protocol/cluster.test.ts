import { afterEach, expect, test, vi } from 'vitest'
import { Cluster } from '../../src/kafka/cluster.js'
import { Connections } from '../../src/kafka/connections.js'
import { errorOf } from '../../src/kafka/errors.js'
import { resolveKafkaOptions } from '../../src/kafka/options.js'

afterEach(() => {
  vi.restoreAllMocks()
})

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

test('who gives up waiting for the next try is told the reason, and who comes after the end is told at once', async () => {
  const cluster = new Cluster(resolveKafkaOptions({ bootstrapBrokers: ['127.0.0.1:1'] }))
  const asking = new AbortController()
  const waiting = cluster.pause(60_000, asking.signal)
  asking.abort('enough')
  await expect(waiting).rejects.toBe('enough')
  await expect(cluster.pause(60_000, asking.signal)).rejects.toBe('enough')
  await cluster.pause(1)
  await cluster.close()
  await expect(cluster.pause(60_000)).rejects.toMatchObject({ code: 'CLOSED' })
})

// Kafka: NetworkClient.leastLoadedNode. Else each third question about a cluster of three would wait for requestTimeoutMs.
test('a broker that has not answered last is asked last, until it answers again', async () => {
  const brokers = [1, 2, 3].map(port => ({ nodeId: port, host: 'kafka', port, rack: null }))
  let stalled: number | undefined
  let asked: number[] = []
  vi.spyOn(Connections.prototype, 'send').mockImplementation(async ({ port }) => {
    asked.push(port)
    if (port === stalled) throw errorOf(7, { what: 'Asking', timeoutMs: 30_000 })
    return { brokers, topics: [] } as never
  })
  const askedFor = async (questions: number): Promise<number[]> => {
    asked = []
    for (let i = 0; i < questions; i++) await cluster.refresh([])
    return asked
  }
  const cluster = new Cluster(resolveKafkaOptions({ bootstrapBrokers: ['kafka:1'] }))
  await cluster.refresh([])
  expect((await askedFor(6)).sort()).toEqual([1, 1, 2, 2, 3, 3])
  stalled = 2
  expect((await askedFor(9)).filter(port => port === 2)).toEqual([2])
  stalled = undefined
  await cluster.send(2, () => undefined as never, [], { about: { what: 'Fetching' } })
  expect(await askedFor(6)).toContain(2)
  await cluster.close()
})
