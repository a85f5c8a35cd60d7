import { EventEmitter as NodeEmitter } from 'node:events'
import Emittery from 'emittery'
import { EventEmitter as EventEmitter3 } from 'eventemitter3'
import { ConsumerGroup, type ProducerRecord, Topic } from 'millrace'
import mitt from 'mitt'
import { Subject } from 'rxjs'
import { interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { NaiveLog } from '../peers/naive-log.js'
import { fewOrders, type Order, orders, partitions, Till } from '../workload.js'
import { pollAll } from './reading.js'

type OrderRecord = ProducerRecord<Order>

/** In at one end and out at the other: against a log made of objects, and against emitters, which store nothing. */
export const flow: Family = async effort => {
  const count = effort.records
  const input = orders(count)
  const till = new Till(input)
  const begin = () => {
    const topic = new Topic<Order>('orders', { partitions })
    // Every poll commits what the one before it has handed out.
    const group = new ConsumerGroup('billing', topic, { autoCommitIntervalMs: 0 })
    return { topic, group, consumer: group.join() }
  }
  const through = async (publish: (topic: Topic<Order>) => void): Promise<void> => {
    const { topic, group, consumer } = begin()
    publish(topic)
    await pollAll(consumer, till)
    if (group.lag() !== 0) throw new Error(`${group.lag()} records are not committed`)
    till.check()
  }
  const { topic, consumer } = keepAlive(begin())
  topic.publishAll(fewOrders)
  await pollAll(consumer, new Till(fewOrders))
  const naive = (): void => {
    const log = new NaiveLog<Order>('orders', partitions)
    for (const record of input) log.append(record as { key: string; value: Order })
    for (const partition of log.partitions) for (const { value } of partition) till.add(value)
    till.check()
  }
  const add = ({ value }: OrderRecord): void => till.add(value)
  const emit = (emitter: { emit(event: 'order', record: OrderRecord): unknown }) => (): void => {
    for (const record of input) emitter.emit('order', record)
    till.check()
  }
  const eventemitter3 = new EventEmitter3<{ order: [OrderRecord] }>().on('order', add)
  const nodeEmitter = new NodeEmitter().on('order', add)
  const mittEmitter = mitt<{ order: OrderRecord }>()
  mittEmitter.on('order', add)
  const subject = new Subject<OrderRecord>()
  subject.subscribe(add)
  const emittery = new Emittery<{ order: OrderRecord }>()
  emittery.on('order', add)

  const times = await interleave(
    {
      publishAll: () => through(topic => topic.publishAll(input)),
      naive,
      publish: () =>
        through(topic => {
          for (const record of input) topic.publish(record)
        }),
      eventemitter3: emit(eventemitter3),
      node: emit(nodeEmitter),
      mitt: emit(mittEmitter),
      rxjs: () => {
        for (const record of input) subject.next(record)
        till.check()
      },
      emittery: async () => {
        for (const record of input) await emittery.emit('order', record)
        till.check()
      },
    },
    effort,
  )

  const ours = rate('millrace publishAll + poll', count, times.publishAll, true)
  const naiveBar = rate('naive log', count, times.naive)
  return [
    {
      measure: '`publishAll`, then `poll` by a group until empty, commits included / naive log',
      aim: { text: '>= 3x', atLeast: 3 },
      ...ratio(times.naive, times.publishAll),
      unit: 'x',
      bars: [ours, naiveBar],
    },
    {
      measure: '`publish` one by one with its metadata, then `poll` / naive log',
      aim: { text: '>= 2.5x', atLeast: 2.5 },
      ...ratio(times.naive, times.publish),
      unit: 'x',
      bars: [rate('millrace publish + poll', count, times.publish, true), naiveBar],
    },
    {
      measure: '`publishAll` + `poll` / a bare eventemitter3 emit, which stores nothing',
      aim: { text: '>= 0.3x; 0.5x would be record-breaking', atLeast: 0.3 },
      ...ratio(times.eventemitter3, times.publishAll),
      unit: 'x',
      bars: [
        ours,
        rate('eventemitter3', count, times.eventemitter3),
        rate('Node EventEmitter', count, times.node),
        rate('mitt', count, times.mitt),
        rate('rxjs Subject', count, times.rxjs),
        rate('emittery', count, times.emittery),
      ],
    },
  ]
}
