import { createHook } from 'node:async_hooks'
import { Session } from 'node:inspector'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  ConsumerGroup,
  type ConsumerRecord,
  type GroupOptions,
  type MemoryConsumer,
  type MemoryConsumerGroup,
  type MemoryTopic,
  type ProducerRecord,
  Topic,
} from '../../src/index.js'

export interface Sale {
  readonly amount: number
}
export interface Shop {
  readonly topic: MemoryTopic<Sale>
  readonly group: MemoryConsumerGroup<ConsumerRecord<Sale>>
  readonly consumer: MemoryConsumer<ConsumerRecord<Sale>>
}

export const sales = (count: number): ProducerRecord<Sale>[] =>
  Array.from({ length: count }, (_, i) => ({ key: `shop-${i % 100}`, value: { amount: i } }))

export function shop(options: GroupOptions = {}): Shop {
  const topic = new Topic<Sale>('sales', { partitions: 6 })
  const group = new ConsumerGroup('billing', topic, options)
  return { topic, group, consumer: group.join() }
}

/** How many promises come into being while something is done, the runtime's own for each `await` among them. */
export async function promisesOf(act: () => unknown): Promise<number> {
  let count = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') count++
    },
  })
  hook.enable()
  const done = act()
  // Without a promise there is nothing to wait for, and nothing to count.
  if (done !== undefined) await done
  hook.disable()
  return count
}

/** Bytes that are allocated while something is done, garbage among them: sampled, so good to a few percent. */
export async function bytesOf(act: () => unknown): Promise<number> {
  const session = new Session()
  session.connect()
  const post = (method: string, params: object = {}): Promise<any> =>
    new Promise((resolve, reject) =>
      session.post(method, params, (error, result) => (error ? reject(error) : resolve(result))),
    )
  await post('HeapProfiler.startSampling', {
    samplingInterval: 1_024,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  await act()
  const { profile } = await post('HeapProfiler.stopSampling')
  session.disconnect()
  return profile.samples.reduce((sum: number, { size }: { size: number }) => sum + size, 0)
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that are still there when the garbage has been collected. */
export function held(): number {
  collect()
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Bytes where V8 keeps what has lived long. */
export function oldGeneration(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size
}
