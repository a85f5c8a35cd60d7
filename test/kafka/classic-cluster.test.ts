import { isMillraceError } from 'millrace'
import { expect, test } from 'vitest'
import { startNode } from './cluster.js'
import { failure, fresh, onCluster } from './support.js'
import { within } from './world.js'

test('a cluster without groups on KIP-848 is told what it needs; publishing and read() work on it', async () => {
  // Kafka: group.coordinator.rebalance.protocols; before 4.0 it was the default.
  const node = await startNode(['group.coordinator.rebalance.protocols=classic'])
  try {
    const topic = fresh('orders')
    const broker = onCluster({ bootstrapBrokers: [node.address], topics: { [topic]: { partitions: 1 } } })
    await broker.ready()
    await broker.topic(topic).publish({ value: 1 })
    const consumer = broker.group(fresh('group'), { topics: topic }).join()
    const error = await within(
      'a refusal',
      failure(() => consumer.ready()),
    )
    expect(isMillraceError(error, 'UNSUPPORTED_VERSION')).toBe(true)
    expect(error.message).toMatch(/KIP-848.*Apache Kafka 4\.0/)
    const polled = await within(
      'a refusal',
      failure(() => consumer.poll()),
    )
    expect(isMillraceError(polled, 'UNSUPPORTED_VERSION')).toBe(true)
    const values: unknown[] = []
    for await (const { value } of broker.topic(topic).read({ until: 'latest' })) values.push(value)
    expect(values).toEqual([1])
    await broker.close()
  } finally {
    await node.remove()
  }
})
