// A broker of which some methods are others: portable interfaces in, portable interfaces out.
import type { Broker, Consumer, ConsumerGroup, JoinOptions, Topic } from '../../src/index.js'

type AnyBroker = Broker<Record<string, any>>
type AnyMethods = Record<PropertyKey, (...args: any[]) => any>

/** For each kind of object, given the real one, the methods that differ. */
export interface Changes {
  broker?: (broker: AnyBroker) => AnyMethods
  topic?: (topic: Topic<any>, broker: AnyBroker) => AnyMethods
  group?: (group: ConsumerGroup<any>) => AnyMethods
  consumer?: (consumer: Consumer<any>, group: ConsumerGroup<any>) => AnyMethods
  /** What a member joins with. */
  join?: (options: JoinOptions<any>) => JoinOptions<any>
}

export function altered(inner: AnyBroker, changes: Changes): AnyBroker {
  const views = new WeakMap<object, object>()
  /** One view for each object, as there is one object for each name. */
  const view = <T extends object>(target: T, make: () => AnyMethods): T => {
    if (!views.has(target)) views.set(target, over(target, make()))
    return views.get(target) as T
  }

  const consumerView = (consumer: Consumer<any>, group: ConsumerGroup<any>): Consumer<any> =>
    view(consumer, () => changes.consumer?.(consumer, group) ?? {})

  const groupView = (group: ConsumerGroup<any>): ConsumerGroup<any> =>
    view(group, () => ({
      join(options: JoinOptions<any> = {}) {
        const { onAssigned, onRevoked, onLost, ...others } = changes.join?.(options) ?? options
        const seen = (listener: typeof onAssigned): typeof onAssigned =>
          listener && ((partitions, consumer) => listener(partitions, consumerView(consumer, group)))
        return consumerView(
          group.join({
            ...others,
            onAssigned: seen(onAssigned),
            onRevoked: seen(onRevoked),
            onLost: seen(onLost),
          }),
          group,
        )
      },
      ...changes.group?.(group),
    }))

  const topicView = (topic: Topic<any>): Topic<any> => view(topic, () => changes.topic?.(topic, inner) ?? {})

  const methods = changes.broker?.(inner) ?? {}
  const {
    group = inner.group.bind(inner),
    topic = inner.topic.bind(inner),
    createTopic = inner.createTopic.bind(inner),
  } = methods
  return over(inner, {
    ...methods,
    topic: name => topicView(topic(name)),
    createTopic: async (name, options) => topicView(await createTopic(name, options)),
    group: (id, options) => groupView(group(id, options)),
  })
}

function over<T extends object>(target: T, methods: AnyMethods): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(methods, name)) return methods[name]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
