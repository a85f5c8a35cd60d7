import { kafkaBroker } from 'millrace/kafka'
import { expect, inject, test } from 'vitest'

const bootstrapBrokers = [inject('kafka')]

test('a record comes back as it was published', async () => {
  await using broker = kafkaBroker<Record<string, any>>({ bootstrapBrokers })
  const orders = await broker.createTopic(`orders-${Date.now()}`, { partitions: 2 })
  const told = await orders.publish({ key: 'a', value: { id: 1 } })
  const found = []
  for await (const record of orders.read({ until: 'latest' })) found.push(record)
  expect(found).toEqual([{ ...told, key: 'a', value: { id: 1 }, headers: [] }])
})
