import type { Broker, ConsumerRecord } from 'millrace'
import { describe, expect, test } from 'vitest'
import { clusterLike } from './cluster-like.js'
import { countPlan } from './fake-application.js'
import { brokerWith, instanceOn, started, table, tasksOf } from './instances.js'

const numbers = (n: number) => Array.from({ length: n }, (_, i) => ({ key: `k${i % 7}`, value: i }))

/** The same broker, whose changelog of counts is read only when it is let. */
function heldBack(broker: Broker<any>, until: Promise<void>): Broker<any> {
  const read = (name: string, options: any): AsyncIterable<any> => ({
    async *[Symbol.asyncIterator]() {
      if (name === 'app-counts-changelog') await until
      yield* broker.topic(name).read(options)
    },
  })
  return {
    clock: broker.clock,
    topic: name => ({
      name,
      partitionCount: () => broker.topic(name).partitionCount(),
      check: record => broker.topic(name).check(record),
      publish: record => broker.topic(name).publish(record),
      publishAll: records => broker.topic(name).publishAll(records),
      read: options => read(name, options),
    }),
    createTopic: (name, options) => broker.createTopic(name, options),
    group: (id: string, options: any) => broker.group(id, options),
    close: options => broker.close(options),
    [Symbol.asyncDispose]: () => broker.close(),
  }
}

describe('a move', () => {
  test('takes tasks whole, with what they have counted, and those that stay go on where they are', async () => {
    const broker = brokerWith({ in: 3, other: 3, out: 3 })
    const plan = countPlan(['in', 'other'])
    const one = await started(broker, { plan })
    broker.topic('in').publishAll(numbers(70))
    await broker.settled()
    const two = await started(broker, { plan })
    await one.instance.ready()
    const [first, second] = [tasksOf(one.instance), tasksOf(two.instance)]
    expect([first.length, second.length, [...first, ...second].sort()]).toEqual([
      3,
      3,
      ['0_0', '0_1', '0_2', '1_0', '1_1', '1_2'],
    ])
    broker.topic('other').publishAll(numbers(70))
    await broker.settled()
    await one.instance.close(1_000)
    await two.instance.ready()
    broker.topic('in').publishAll(numbers(70))
    await broker.settled()
    expect(Object.values(await table(broker, 'out'))).toEqual([30, 30, 30, 30, 30, 30, 30])
    await two.instance.close(1_000)
  })

  test('while a task is restored, the instance goes on with its others', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    const one = await started(broker)
    broker.topic('in').publish({ key: 'a', value: 1 })
    await broker.settled()
    await one.instance.close(1_000)
    let letRead!: () => void
    const held = new Promise<void>(resolve => {
      letRead = resolve
    })
    const seen: ConsumerRecord[] = []
    const instance = instanceOn(heldBack(broker, held), { hooks: { see: record => void seen.push(record) } })
    void instance.run(undefined)
    broker.topic('in').publish({ key: 'a', value: 2 })
    for (let i = 0; i < 200; i++) await Promise.resolve()
    expect([...instance.runs].map(({ task, state }) => [task.id, state]).sort()).toEqual([
      ['0_0', 'running'],
      ['1_0', 'restoring'],
    ])
    expect([seen.length, instance.state]).toEqual([1, 'rebalancing'])
    expect(await table(broker, 'out')).toEqual({ a: 1 })
    letRead()
    await instance.ready()
    await broker.settled()
    expect(await table(broker, 'out')).toEqual({ a: 2 })
    await instance.close(1_000)
  })

  test('a task that is taken away while it is restored is restored elsewhere', async () => {
    const broker = brokerWith({ in: 1, out: 1 })
    const one = await started(broker)
    broker.topic('in').publishAll(numbers(14))
    await broker.settled()
    await one.instance.close(1_000)
    const never = instanceOn(heldBack(broker, new Promise(() => {})))
    const ending = never.run(undefined)
    for (let i = 0; i < 100; i++) await Promise.resolve()
    broker.topic('in').publishAll(numbers(14))
    const two = instanceOn(broker)
    void two.run(undefined)
    for (let i = 0; i < 100; i++) await Promise.resolve()
    await never.close(1_000)
    await ending
    await two.ready()
    await broker.settled()
    expect(Object.values(await table(broker, 'out'))).toEqual([4, 4, 4, 4, 4, 4, 4])
    await two.close(1_000)
  })

  test('on a cluster, too, nothing is lost when instances come and go', async () => {
    const broker = brokerWith({ in: 3, out: 3 })
    const one = await started(clusterLike(broker))
    broker.topic('in').publishAll(numbers(70))
    const two = await started(clusterLike(broker))
    broker.topic('in').publishAll(numbers(70))
    await broker.settled()
    await one.instance.close(1_000)
    broker.topic('in').publishAll(numbers(70))
    await broker.settled()
    expect(Object.values(await table(broker, 'out'))).toEqual([30, 30, 30, 30, 30, 30, 30])
    await two.instance.close(1_000)
  })
})
