// What tests of members on a real cluster share: conditions awaited with a deadline, and requests past the library.
import { inject } from 'vitest'
import { Cluster } from '../../src/kafka/cluster.js'
import { resolveKafkaOptions } from '../../src/kafka/options.js'

/** Less than a test may take; long, since it is waited out by what fails alone, and a machine may be busy. */
export const deadlineMs = 45_000

/** Resolves when it holds; fails with what was waited for. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms: number = deadlineMs,
): Promise<void> {
  const end = Date.now() + ms
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`)
    await soon()
  }
}
/** What it gives, or a failure with what was waited for. */
export function within<T>(what: string, promise: Promise<T>, ms: number = deadlineMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
const soon = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

/** So long: for what must go on, or must not happen, over a time that the cluster measures. */
export const pass = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export interface Gate {
  readonly opened: Promise<void>
  open(): void
}
export function gate(): Gate {
  let open!: () => void
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open }
}

/** Requests that a broker of the library does not make. */
export function cluster(): Cluster {
  return new Cluster(resolveKafkaOptions({ bootstrapBrokers: [inject('kafka')] }))
}

/** Makes a topic with settings that createTopic() does not have; resolves when it is there for all. Kafka: CreateTopics. */
export async function makeTopic(
  name: string,
  settings: Readonly<Record<string, string>>,
  partitions = 1,
): Promise<void> {
  const own = cluster()
  const configs = Object.entries(settings).map(([setting, value]) => ({ name: setting, value }))
  const made = { name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs }
  const about = { what: 'Making a topic' }
  try {
    await own.request('any', kafka => kafka.createTopicsV7.api, [[made], 30_000, false], { about })
    // The controller has it before the brokers do.
    await until(`topic ${name} to be there`, async () => {
      await own.refresh([name])
      return own.topic(name)?.partitions.every(({ leader }) => leader >= 0) ?? false
    })
  } finally {
    await own.close()
  }
}

/** Settings of one group. Kafka: consumer.session.timeout.ms, consumer.heartbeat.interval.ms */
export async function configureGroup(group: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const own = cluster()
  const configs = Object.entries(settings).map(([name, value]) => ({ name, configOperation: 0 as const, value }))
  const groupResource = 32
  await own.request(
    'any',
    kafka => kafka.incrementalAlterConfigsV1.api,
    [[{ resourceType: groupResource as never, resourceName: group, configs }], false],
    { about: { what: 'Configuring a group' } },
  )
  await own.close()
}

/** What the cluster says of a topic's settings. Kafka: DescribeConfigs. */
export async function settingsOf(topic: string, names: readonly string[]): Promise<Record<string, unknown>> {
  const own = cluster()
  const topicResource = 2
  const resource = { resourceType: topicResource as never, resourceName: topic, configurationKeys: [...names] }
  try {
    const { results } = await own.request('any', kafka => kafka.describeConfigsV4.api, [[resource], false, false], {
      about: { what: 'Describing a topic' },
    })
    return Object.fromEntries(results[0]!.configs.map(({ name, value }) => [name, value]))
  } finally {
    await own.close()
  }
}
