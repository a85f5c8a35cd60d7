import type { ConsumerRecord } from 'millrace'
import {
  type KStream,
  type KTable,
  keyValueStore,
  type ReadOnlyKeyValueStore,
  type ReadOnlyWindowStore,
  StreamsBuilder,
  TopologyTestDriver,
  timeWindows,
  type Windowed,
} from 'millrace/streams'
import { expectTypeOf, test } from 'vitest'

interface Topics {
  orders: { customer: string; amount: number }
  customers: { name: string } | null
  sums: number | null
}

test('values and keys are known along a topology', () => {
  const builder = new StreamsBuilder<Topics>()
  const orders = builder.stream('orders')
  expectTypeOf(orders).toEqualTypeOf<KStream<Topics['orders'], string | null, Topics>>()
  const customers = builder.table('customers')
  expectTypeOf(customers).toEqualTypeOf<KTable<{ name: string }, string, Topics>>()
  const sums = orders.groupBy(order => order.customer).reduce(one => one)
  expectTypeOf(sums).toEqualTypeOf<KTable<Topics['orders'], string, Topics>>()
  const counts = orders
    .groupByKey()
    .windowedBy(timeWindows({ sizeMs: 1 }))
    .count()
  expectTypeOf(counts).toEqualTypeOf<KTable<number, Windowed, Topics>>()
  expectTypeOf(counts.toStream()).toEqualTypeOf<KStream<number | null, Windowed, Topics>>()
  expectTypeOf(counts.toStream({ name: 'changes' })).toEqualTypeOf<KStream<number | null, Windowed, Topics>>()
  const byText = counts.toStream((count, { key }) => `${key} ${count}`)
  const typed: KStream<number | null, string, Topics> = byText
  typed.to('sums')
  // A function is not taken for options, which it could be: it has a name.
  expectTypeOf(counts.toStream((_, { key }) => key)).toEqualTypeOf<KStream<number | null, string, Topics>>()
  expectTypeOf(counts.toStream((_, { start }) => `${start}`, { name: 'starts' }).to).toBeCallableWith('sums')
  // @ts-expect-error a window is no key of a topic
  counts.toStream().to('sums')
  // @ts-expect-error its changes have tombstones, which `orders` does not allow for
  sums.toStream().to('orders')

  const driver = new TopologyTestDriver(builder.build())
  expectTypeOf(driver.read('sums')).toEqualTypeOf<ConsumerRecord<number | null, string, 'sums'>[]>()
  expectTypeOf<typeof driver.query<number>>().not.toBeAny()
  expectTypeOf(driver.query(sums)).toEqualTypeOf<ReadOnlyKeyValueStore<Topics['orders']>>()
  expectTypeOf(driver.query(counts)).toEqualTypeOf<ReadOnlyWindowStore<number>>()
  // @ts-expect-error another topic's value
  const wrong = (): void => driver.pipe('orders', { value: null })
  const store = keyValueStore<Date>('dates')
  const read = (): ReadOnlyKeyValueStore<Date> => driver.query(store)
  expectTypeOf(wrong).toBeFunction()
  expectTypeOf(read).toBeFunction()
})
