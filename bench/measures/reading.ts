import type { Consumer, ConsumerRecord } from 'millrace'
import type { Order, Till } from '../workload.js'

type Orders = Consumer<ConsumerRecord<Order>>

/** Polls until nothing is left. */
export async function pollAll(consumer: Orders, till: Till): Promise<void> {
  for (;;) {
    const batch = await consumer.poll({ timeoutMs: 0 })
    if (batch.length === 0) return
    for (const record of batch) till.add(record.value)
  }
}

/** Takes so many by a loop. */
export async function iterate(consumer: Orders, till: Till, count: number): Promise<void> {
  let left = count
  for await (const record of consumer) {
    till.add(record.value)
    if (--left === 0) return
  }
}
