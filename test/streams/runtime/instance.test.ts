import { Broker } from 'millrace'
import { expect, test } from 'vitest'
import { Instance, type InstanceOptions } from '../../../src/streams/runtime/instance.js'
import { countApplication, countPlan, type FakeHooks } from './fake-application.js'

type Topics = Record<string, any>
const make = (broker: Broker<Topics>, hooks: FakeHooks = {}, options: Partial<InstanceOptions> = {}, inputs = ['in']) =>
  new Instance(countApplication('app', countPlan(inputs), hooks), {
    broker,
    onError: undefined,
    deadLetter: undefined,
    maxPollRecords: 500,
    ...options,
  })
const brokerWith = (topics: Record<string, number>) =>
  new Broker<Topics>({
    topics: Object.fromEntries(Object.entries(topics).map(([name, partitions]) => [name, { partitions }])),
  })
const read = async (broker: Broker<Topics>, topic: string) => {
  const found = []
  for await (const record of broker.topic(topic).read({ until: 'latest' })) found.push(record)
  return found
}

test('works through what is there and what comes, through the repartition topic', async () => {
  const broker = brokerWith({ in: 3, out: 3 })
  const one = make(broker)
  const running = one.run(undefined)
  await one.ready()
  expect(one.state).toBe('running')
  broker.topic('in').publishAll(Array.from({ length: 100 }, (_, i) => ({ key: `k${i % 7}`, value: i })))
  await (broker as any).settled()
  const out = await read(broker, 'out')
  expect(out.length).toBe(100)
  await one.close(1000)
  await running
  expect(one.state).toBe('closed')
})

test('two share the tasks, and state moves along', async () => {
  const broker = brokerWith({ in: 3, out: 3 })
  const one = make(broker)
  const two = make(broker)
  const running = [one.run(undefined)]
  await one.ready()
  const publish = (n: number) =>
    broker.topic('in').publishAll(Array.from({ length: n }, (_, i) => ({ key: `k${i % 7}`, value: i })))
  publish(70)
  await (broker as any).settled()
  running.push(two.run(undefined))
  await Promise.all([one.ready(), two.ready()])
  expect([[...one.runs].length, [...two.runs].length]).toEqual([3, 3])
  publish(70)
  await (broker as any).settled()
  await one.close(1000)
  publish(70)
  await (broker as any).settled()
  await two.close(1000)
  await Promise.all(running)
  const last = new Map((await read(broker, 'out')).map(record => [record.key, record.value]))
  expect([...last.values()]).toEqual([30, 30, 30, 30, 30, 30, 30])
})
