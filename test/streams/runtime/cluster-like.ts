import {
  type Broker,
  type Consumer,
  type ConsumerGroup,
  type GroupOptions,
  type MemoryBroker,
  MillraceError,
  type ProducerRecord,
  rangeAssignor,
  type Topic,
  type TopicOptions,
} from 'millrace'

/**
 * A broker in memory that answers as a cluster does: later, with no assignor of ours, and without what only memory has.
 * `publishing` may keep a write waiting, or refuse it; the records of `fetchedLate` come only with the fourth poll.
 */
export function clusterLike<Topics extends object>(
  broker: MemoryBroker<Topics>,
  publishing: (topic: string, record: ProducerRecord<any>) => unknown = () => undefined,
  fetchedLate?: string,
): Broker<Topics> {
  const refuse = (option: string, value: unknown): never => {
    throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'nothing that only memory has' })
  }
  const topic = (name: any): Topic<any> => ({
    name,
    partitionCount: async () => broker.topic(name).partitionCount(),
    // Of what a topic refuses it knows at once what its codec does.
    check: ({ value }) => broker.topics.get(name)?.check({ key: '', value }),
    publish: async record => {
      await publishing(name, record)
      return broker.topic(name).publish(record)
    },
    publishAll: async records => {
      for (const record of records) {
        await publishing(name, record)
        broker.topic(name).publish(record)
      }
    },
    read: options => broker.topic(name).read(options),
  })
  return {
    clock: broker.clock,
    topic,
    createTopic: async (name: any, options: TopicOptions<any> = {}) => {
      if (options.retention?.consumed !== undefined) refuse('retention.consumed', options.retention.consumed)
      await Promise.resolve()
      broker.createTopic(name, options)
      return topic(name)
    },
    group: (id: string, options: GroupOptions & { topics: any }): ConsumerGroup<any> => {
      if (options.assignor !== rangeAssignor) refuse('assignor', options.assignor?.name)
      const group = broker.group(id, options)
      return {
        id,
        join: join => late(group.join(join as any), fetchedLate),
        committed: async (name, partition) => group.committed(name as any, partition),
        lag: async () => group.lag(),
        resetOffsets: async (to, where) => group.resetOffsets(to, where),
        caughtUp: () => group.caughtUp(),
      }
    },
    close: options => broker.close(options),
    [Symbol.asyncDispose]: () => broker.close(),
  } as Broker<Topics>
}

function late(consumer: Consumer<any>, topic: string | undefined): Consumer<any> {
  let polls = 0
  const poll = async (options: Parameters<Consumer<any>['poll']>[0]) => {
    const there = consumer.assignment.filter(entry => entry.topic === topic)
    const free = there.filter(
      ({ partition }) => !consumer.paused.some(one => one.topic === topic && one.partition === partition),
    )
    if (++polls >= 4 || free.length === 0) return consumer.poll(options)
    consumer.pause(free)
    const records = await consumer.poll({ ...options, timeoutMs: 0 })
    consumer.resume(free)
    return records
  }
  const known = new Map<PropertyKey, unknown>([['poll', poll]])
  return new Proxy(consumer, {
    get: (target, name) => {
      const value: unknown = known.get(name) ?? Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
