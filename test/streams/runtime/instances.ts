// Instances of the counting application, for tests of what is around the tasks.
import { Broker, type Consumer, type ConsumerRecord, type MemoryBroker, type Broker as PortableBroker } from 'millrace'
import { Instance, type InstanceOptions } from '../../../src/streams/runtime/instance.js'
import { countApplication, countPlan, type FakeHooks } from './fake-application.js'

export type Topics = Record<string, any>

export function brokerWith(topics: Record<string, number>): MemoryBroker<Topics> {
  return new Broker<Topics>({
    topics: Object.fromEntries(Object.entries(topics).map(([name, partitions]) => [name, { partitions }])),
  })
}

/** The same broker; what joins a group through it can be got hold of. */
export function capturing(broker: MemoryBroker<any>, consumers: Consumer<any>[]): PortableBroker<any> {
  return {
    clock: broker.clock,
    topic: name => broker.topic(name),
    createTopic: (name, options) => broker.createTopic(name, options),
    group: (id: string, options: any) => {
      const group = broker.group(id, options)
      const join = (listeners: any) => {
        consumers.push(group.join(listeners))
        return consumers.at(-1)
      }
      return { id, join, committed: (topic: any, partition: number) => group.committed(topic, partition) } as never
    },
    close: options => broker.close(options),
    [Symbol.asyncDispose]: () => broker.close(),
  }
}

/** As one process of several has it, but a write is done when it is called, as it is in memory: a turn is one step. */
export function inOneStep(process: PortableBroker<any>, broker: MemoryBroker<any>): PortableBroker<any> {
  return {
    clock: process.clock,
    topic: name => broker.topic(name),
    createTopic: (name, options) => broker.createTopic(name, options),
    group: (id, options) => process.group(id, options),
    close: options => process.close(options),
    [Symbol.asyncDispose]: () => process.close(),
  }
}

export interface Settings extends Partial<InstanceOptions> {
  readonly hooks?: FakeHooks
  readonly plan?: ReturnType<typeof countPlan>
}
export function instanceOn(
  broker: PortableBroker<any>,
  { hooks = {}, plan = countPlan(), ...options }: Settings = {},
): Instance {
  return new Instance(countApplication('app', plan, hooks), {
    broker,
    onError: undefined,
    deadLetter: undefined,
    maxPollRecords: 500,
    ...options,
  })
}
/** At work; what run() comes to is told by `done`. */
export async function started(
  broker: PortableBroker<any>,
  settings: Settings = {},
): Promise<{ instance: Instance; done: Promise<void> }> {
  const instance = instanceOn(broker, settings)
  const done = instance.run(undefined)
  done.catch(() => {})
  await instance.ready()
  return { instance, done }
}

export async function read(broker: PortableBroker<any>, topic: string): Promise<ConsumerRecord<any>[]> {
  const found: ConsumerRecord<any>[] = []
  for await (const record of broker.topic(topic).read({ until: 'latest' })) found.push(record as ConsumerRecord<any>)
  return found
}
/** The last value of each key, as a table. */
export async function table(broker: PortableBroker<any>, topic: string): Promise<Record<string, unknown>> {
  const latest = new Map((await read(broker, topic)).map(({ key, value }) => [key!, value as unknown]))
  return Object.fromEntries([...latest].sort(([one], [other]) => (one < other ? -1 : 1)))
}
export function tasksOf(instance: Instance): string[] {
  return [...instance.runs].map(({ task }) => task.id).sort()
}
