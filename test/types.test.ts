// The compiler is the runner here: `npm run check` against the sources, programs.test.ts against the package.
import * as millrace from 'millrace'
import {
  type AnyRecord,
  type Assignment,
  type Assignor,
  Broker,
  type BrokerOptions,
  type Clock,
  type CloseOptions,
  type Codec,
  type Consumer,
  ConsumerGroup,
  type ConsumerRecord,
  type ErrorCode,
  type ErrorDetails,
  type GroupEvents,
  type GroupMember,
  type GroupOptions,
  type Handler,
  type HandlerContext,
  type HeaderValue,
  isMillraceError,
  type JoinOptions,
  jsonCodec,
  type Key,
  keyedPartitioner,
  lastHeader,
  type MaybePromise,
  type MemoryBroker,
  type MemoryConsumer,
  type MemoryConsumerGroup,
  type MemoryTopic,
  MillraceError,
  type NextOffset,
  type Partition,
  type Partitioner,
  type ProducerRecord,
  type RebalanceListener,
  type RecordMetadata,
  type RecordOf,
  type RunOptions,
  rangeAssignor,
  type StartFrom,
  Topic,
  type TopicEvents,
  type TopicName,
  type TopicOptions,
  type TopicPartition,
  toDeadLetter,
} from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, expectTypeOf, test } from 'vitest'

interface Order {
  id: number
}
interface Topics {
  orders: Order
  payments: { orderId: number; ok: boolean }
  customers: { name: string } | null
}

/** Code that is compiled and not run. */
const compiled = (_code: () => unknown): void => {}

const memory = new Broker<Topics>({ topics: { orders: { partitions: 3 }, payments: {}, customers: {} } })
const portable: Broker<Topics> = memory

test('the main entry exports the names of its contract, each type and value', () => {
  expect(Object.keys(millrace).sort()).toEqual([
    'Broker',
    'ConsumerGroup',
    'MillraceError',
    'Topic',
    'isMillraceError',
    'jsonCodec',
    'keyedPartitioner',
    'lastHeader',
    'murmur2',
    'rangeAssignor',
    'roundRobinAssignor',
    'roundRobinPartitioner',
    'stickyAssignor',
    'toDeadLetter',
  ])
  expectTypeOf<Key>().toEqualTypeOf<string | Uint8Array>()
  expectTypeOf<HeaderValue>().toEqualTypeOf<string | Uint8Array | null>()
  expectTypeOf<StartFrom>().toEqualTypeOf<number | 'earliest' | 'latest' | { readonly timestamp: number }>()
  expectTypeOf<MaybePromise<1>>().toEqualTypeOf<1 | Promise<1>>()
  expectTypeOf<TopicName<Topics>>().toEqualTypeOf<'orders' | 'payments' | 'customers'>()
  expectTypeOf<AnyRecord>().toEqualTypeOf<ConsumerRecord<unknown, Key>>()
  expectTypeOf<Codec<Order>['decode']>().returns.toEqualTypeOf<Order>()
  expectTypeOf<keyof ErrorDetails>().toEqualTypeOf<ErrorCode>()
  expectTypeOf<GroupEvents>().toHaveProperty('rebalance')
  expectTypeOf<TopicEvents<Order>['record']>().toEqualTypeOf<ConsumerRecord<Order>>()
  expectTypeOf<CloseOptions>().toEqualTypeOf<{ timeoutMs?: number | undefined }>()
  expectTypeOf<Assignment>().toEqualTypeOf<ReadonlyMap<string, readonly TopicPartition[]>>()
  expectTypeOf<Parameters<Assignor['assign']>[0]>().toEqualTypeOf<readonly GroupMember[]>()
  expectTypeOf<Handler<AnyRecord>>().parameter(1).toEqualTypeOf<HandlerContext>()
  expectTypeOf<JoinOptions>().toHaveProperty('onLost').toEqualTypeOf<RebalanceListener | undefined>()
})

describe('a broker typed by its topics', () => {
  test('knows their names and values', () => {
    expectTypeOf(memory.topic('orders')).toEqualTypeOf<MemoryTopic<Order>>()
    expectTypeOf(memory.topic('orders').partitions).toEqualTypeOf<readonly Partition<Order, string>[]>()
    expectTypeOf(memory.createTopic<'orders'>).returns.toEqualTypeOf<MemoryTopic<Order>>()
    compiled(() => {
      // @ts-expect-error no such topic
      memory.topic('order')
      // @ts-expect-error no such topic
      memory.createTopic('order')
      // @ts-expect-error no such topic
      memory.deleteTopic('order')
      // @ts-expect-error no such topic
      memory.group('g', { topics: 'order' })
      // @ts-expect-error no such topic
      memory.group('g', { topics: ['orders', 'order'] })
      // @ts-expect-error no such topic
      new Broker<Topics>({ topics: { order: {} } })
    })
  })

  test('takes only their values', () => {
    const orders = memory.topic('orders')
    compiled(() => {
      orders.publish({ value: { id: 1 }, key: null, headers: { trace: 'x' }, timestamp: undefined })
      // @ts-expect-error a value of another topic
      orders.publish({ value: { orderId: 1, ok: true } })
      // @ts-expect-error no value
      orders.publish({ key: 'ann' })
      // @ts-expect-error not compacted: its values are never null
      orders.publish({ key: 'ann', value: null })
      // @ts-expect-error keys are text here
      orders.publish({ key: 7, value: { id: 1 } })
      // @ts-expect-error keys are text here
      orders.publish({ key: new Uint8Array(1), value: { id: 1 } })
      // @ts-expect-error one value is wrong
      orders.publishAll([{ value: { id: 1 } }, { value: { id: '2' } }])
      memory.topic('customers').publish({ key: 'ann', value: null })
    })
  })

  test('hands on the types to groups, consumers, records and handlers', () => {
    const group = memory.group('typed', { topics: 'orders' })
    const consumer = group.join()
    expectTypeOf(group).toEqualTypeOf<MemoryConsumerGroup<ConsumerRecord<Order, string, 'orders'>>>()
    expectTypeOf(consumer).toEqualTypeOf<MemoryConsumer<ConsumerRecord<Order, string, 'orders'>>>()
    expectTypeOf(consumer.poll).returns.resolves.items.toEqualTypeOf<ConsumerRecord<Order, string, 'orders'>>()
    expectTypeOf(consumer.memberId).toEqualTypeOf<string>()
    compiled(() => {
      // @ts-expect-error not a topic of this group
      consumer.seek('payments', 0, 'earliest')
      // @ts-expect-error not a start
      consumer.seek('orders', 0, 'middle')
      // @ts-expect-error not a topic of this group
      group.join({ topics: ['payments'] })
      // @ts-expect-error not a topic of this group
      group.committed('payments', 0)
      // @ts-expect-error a handler of other values
      consumer.run((record: ConsumerRecord<string>) => record)
    })
  })

  test('tells the records of several topics apart by their topic', () => {
    type Either = RecordOf<Topics, string, 'orders' | 'payments'>
    expectTypeOf<Either>().toEqualTypeOf<
      ConsumerRecord<Order, string, 'orders'> | ConsumerRecord<Topics['payments'], string, 'payments'>
    >()
    const group = memory.group('both', { topics: ['orders', 'payments'] })
    compiled(() =>
      group.join().run(record => {
        if (record.topic === 'orders') expectTypeOf(record.value).toEqualTypeOf<Order>()
        else expectTypeOf(record.value).toEqualTypeOf<Topics['payments']>()
      }),
    )
  })

  test('is typed by its codecs when no type is given', () => {
    const options: BrokerOptions<{ orders: Order }> = { topics: { orders: { codec: jsonCodec<Order>() } } }
    const inferred = new Broker(options)
    expectTypeOf(inferred).toEqualTypeOf<MemoryBroker<{ orders: Order }>>()
    expectTypeOf(new Broker({ topics: { orders: { codec: jsonCodec<Order>() } } }).topic('orders')).toEqualTypeOf<
      MemoryTopic<Order>
    >()
  })

  test('has unknown values, not any, when nothing is said', () => {
    const untyped = new Broker()
    expectTypeOf(untyped).toEqualTypeOf<MemoryBroker>()
    expectTypeOf(untyped.createTopic('clicks')).toEqualTypeOf<MemoryTopic<unknown>>()
    compiled(() => {
      // @ts-expect-error unknown
      for (const partition of untyped.topic('clicks').partitions) partition.read(0)[0]!.value.x
    })
  })

  test('may have keys of bytes', () => {
    const bytes = new Broker<Topics, Uint8Array>({ topics: { orders: {} } })
    expectTypeOf(bytes.topic('orders')).toEqualTypeOf<MemoryTopic<Order, Uint8Array>>()
    compiled(() => {
      bytes.topic('orders').publish({ key: new Uint8Array(1), value: { id: 1 } })
      // @ts-expect-error keys are bytes here
      bytes.topic('orders').publish({ key: 'ann', value: { id: 1 } })
    })
  })
})

describe('a topic and a group without a broker', () => {
  test('are typed by themselves', () => {
    const orders = new Topic<Order>('orders', { partitions: 3 })
    expectTypeOf(orders).toEqualTypeOf<MemoryTopic<Order>>()
    expectTypeOf(new ConsumerGroup('billing', orders)).toEqualTypeOf<MemoryConsumerGroup<ConsumerRecord<Order>>>()
    expectTypeOf(new Topic('untyped')).toEqualTypeOf<MemoryTopic<unknown>>()
  })

  test('of different values give the union of their records', () => {
    const topics = [new Topic<Order>('orders'), new Topic<string>('audit')]
    expectTypeOf(new ConsumerGroup('all', topics)).toEqualTypeOf<
      MemoryConsumerGroup<ConsumerRecord<Order> | ConsumerRecord<string>>
    >()
  })
})

describe('portable code', () => {
  test('takes the broker in memory, and cannot reach what only that has', () => {
    expectTypeOf(memory).toExtend<Broker<Topics>>()
    expectTypeOf(portable).not.toExtend<MemoryBroker<Topics>>()
    expectTypeOf(memory.topic('orders')).toExtend<Topic<Order>>()
    expectTypeOf(memory).toExtend<AsyncDisposable>()
    expectTypeOf(portable.group('typed', { topics: 'orders' }).join()).toExtend<AsyncDisposable>()
    compiled(() => {
      // @ts-expect-error in memory only
      portable.settled()
      // @ts-expect-error in memory only
      portable.topic('orders').partitions
      // @ts-expect-error in memory only
      portable.group('g', { topics: 'orders' }).members
      // @ts-expect-error in memory only
      portable.group('g', { topics: 'orders' }).join().crash()
    })
  })

  test('must await what is a promise on a cluster', () => {
    const group = portable.group('typed', { topics: 'orders' })
    expectTypeOf(portable.topic('orders').publish).returns.toEqualTypeOf<MaybePromise<RecordMetadata>>()
    expectTypeOf(memory.topic('orders').publish).returns.toEqualTypeOf<RecordMetadata>()
    expectTypeOf(group.lag).returns.toEqualTypeOf<MaybePromise<number>>()
    expectTypeOf(memory.group('typed', { topics: 'orders' }).lag).returns.toEqualTypeOf<number>()
    expectTypeOf(group.committed).returns.toEqualTypeOf<MaybePromise<number | undefined>>()
    expectTypeOf(group.join().memberId).toEqualTypeOf<string | undefined>()
  })

  test('that takes a broker of some topics takes one of more', () => {
    const billing = (broker: Broker<Topics>): Consumer<ConsumerRecord<Order, string, 'orders'>> =>
      broker.group('billing', { topics: 'orders' }).join()
    compiled(() => billing(new Broker<Topics>()))
    compiled(() => {
      // @ts-expect-error its orders are others
      billing(new Broker<{ orders: string; payments: string; customers: string }>())
    })
  })
})

describe('options', () => {
  test('take undefined for what is left out', () => {
    expectTypeOf<{ partitions: undefined; codec: undefined; retention: undefined }>().toExtend<TopicOptions>()
    expectTypeOf<{ commitMode: undefined; assignor: undefined; maxPollRecords: undefined }>().toExtend<GroupOptions>()
    expectTypeOf<{ instanceId: undefined; onLost: undefined; topics: undefined }>().toExtend<JoinOptions>()
    expectTypeOf<{ concurrency: undefined; retry: undefined; deadLetter: undefined }>().toExtend<RunOptions>()
  })

  test('are closed sets of words', () => {
    compiled(() => {
      // @ts-expect-error manualCommit
      memory.group('g', { topics: 'orders', commitMode: 'manual' })
      // @ts-expect-error earliest, latest or none
      memory.group('g', { topics: 'orders', autoOffsetReset: 'first' })
      // @ts-expect-error delete or compact
      memory.createTopic('orders', { cleanupPolicy: 'keep' })
      // @ts-expect-error no such option
      memory.createTopic('orders', { partitons: 3 })
    })
  })

  test('a dead letter topic takes the values of the records that may fail', () => {
    compiled(() => {
      const consumer = memory.group('typed', { topics: 'orders' }).join()
      consumer.run(() => {}, { deadLetter: memory.topic('orders') })
      consumer.run(() => {}, { deadLetter: new Topic<unknown>('dead') })
      // @ts-expect-error its values are others
      consumer.run(() => {}, { deadLetter: memory.topic('payments') })
    })
    const letter = toDeadLetter<Order, string>
    expectTypeOf(letter).returns.toEqualTypeOf<ProducerRecord<Order, string>>()
  })

  test('a clock, a partitioner and an assignor can be anybody’s', () => {
    expectTypeOf<{ now(): number; setTimeout(): number; clearTimeout(): void }>().toExtend<Clock>()
    expectTypeOf(new ManualClock()).toExtend<Clock>()
    expectTypeOf(() => 0).toExtend<Partitioner>()
    expectTypeOf(keyedPartitioner({ seed: undefined })).toEqualTypeOf<Partitioner>()
    expectTypeOf(rangeAssignor).toEqualTypeOf<Assignor>()
  })
})

describe('a commit', () => {
  test('takes records or next offsets, never a plain offset or undefined', () => {
    compiled(() => {
      const consumer = portable.group('typed', { topics: 'orders' }).join()
      const next: NextOffset = { topic: 'orders', partition: 0, nextOffset: 1 }
      consumer.commit([next])
      // @ts-expect-error an offset is not a committed offset
      consumer.commit([{ topic: 'orders', partition: 0, offset: 1 }])
      // @ts-expect-error undefined is not everything
      consumer.commit(undefined)
    })
  })
})

describe('an error', () => {
  test('is narrowed to the details of its code', () => {
    const error: unknown = new MillraceError('OFFSET_OUT_OF_RANGE', { topic: 'orders', partition: 0, offset: 7 })
    if (isMillraceError(error, 'OFFSET_OUT_OF_RANGE')) expectTypeOf(error.details.offset).toEqualTypeOf<number>()
    if (isMillraceError(error) && error.code === 'CLOSED') expectTypeOf(error.details).toEqualTypeOf<{ what: string }>()
    compiled(() => {
      // @ts-expect-error no such code
      isMillraceError(error, 'NOPE')
      // @ts-expect-error details of another code
      new MillraceError('CLOSED', { topic: 'orders' })
    })
  })
})

describe('what is handed out', () => {
  test('cannot be changed', () => {
    compiled(() => {
      const group = memory.group('typed', { topics: 'orders' })
      const consumer = group.join()
      // @ts-expect-error a snapshot
      consumer.assignment.push({ topic: 'orders', partition: 0 })
      // @ts-expect-error a snapshot
      consumer.assignment[0]!.partition = 1
      // @ts-expect-error a snapshot
      group.members.pop()
      // @ts-expect-error a view
      memory.topics.clear()
      // @ts-expect-error a view
      memory.topic('orders').partitions[0]!.endOffset = 0
    })
  })

  test('has headers that read as text or null', () => {
    expectTypeOf(lastHeader).returns.toEqualTypeOf<string | null | undefined>()
  })

  test('events carry the types of what they are about', () => {
    compiled(() => {
      memory.topic('orders').on('record', record => expectTypeOf(record).toEqualTypeOf<ConsumerRecord<Order>>())
      const remove = memory.group('typed', { topics: 'orders' }).on('reset', event => {
        expectTypeOf(event.from).toEqualTypeOf<number>()
      })
      expectTypeOf(remove).toEqualTypeOf<() => void>()
      // @ts-expect-error no such event
      memory.topic('orders').on('records', () => {})
    })
  })
})
