// What tests of applications in this process share.
import type { KafkaBroker } from 'millrace/kafka'
import { Streams, type Topology } from 'millrace/streams'
import { type AnyTopics, all, onCluster } from './support.js'
import { until, within } from './world.js'

export const deadlineMs = 60_000

/** A broker of the cluster with these topics of so many partitions. */
export async function clusterWith(partitions: Readonly<Record<string, number>>): Promise<KafkaBroker<AnyTopics>> {
  const topics = Object.entries(partitions).map(([name, count]) => [name, { partitions: count }])
  const broker = onCluster({ topics: Object.fromEntries(topics) })
  await broker.ready()
  return broker
}

export interface Application extends AsyncDisposable {
  readonly streams: Streams<AnyTopics>
  /** What run() comes to. */
  readonly done: Promise<void>
}
export function begun(
  broker: KafkaBroker<AnyTopics>,
  applicationId: string,
  topology: Topology<AnyTopics>,
): Application {
  const streams = new Streams(topology, { applicationId, broker })
  const done = streams.run()
  done.catch(() => {})
  return {
    streams,
    done,
    async [Symbol.asyncDispose]() {
      await streams.close()
      await done.catch(() => {})
    },
  }
}
/** At work, with all of its part. */
export async function started(...named: Parameters<typeof begun>): Promise<Application> {
  const application = begun(...named)
  await within('an instance to be ready', application.streams.ready(), deadlineMs)
  return application
}

/** All that an application reads: looked for twice, as what a record leads to is written before the record is committed. */
export async function workedThrough(applicationId: string, topics: readonly string[]): Promise<void> {
  await using outside = onCluster()
  const group = outside.group(applicationId, { topics, commitMode: 'manualCommit' })
  for (let i = 0; i < topics.length; i++)
    await until(`${topics.join()} to be worked through`, async () => (await group.lag()) === 0, deadlineMs)
}

/** What is in a topic now: keys with their values, in order within each. */
export async function byKey(broker: KafkaBroker<AnyTopics>, topic: string): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {}
  for (const { key, value } of await all(broker.topic(topic).read({ until: 'latest' }))) {
    found[key!] ??= []
    found[key!]!.push(value)
  }
  return found
}
