import type { StreamKey, TopologyTestDriver } from 'millrace/streams'

// What the tests of Kafka's documented examples share. The developer guide is
// https://kafka.apache.org/41/streams/developer-guide/dsl-api/; SuppressScenarioTest and the like are Kafka's own tests.

/** What a topic got since the last time one asked: key=value@timestamp. */
export const written = (driver: TopologyTestDriver, topic: string): string[] =>
  driver.read(topic).map(({ key, value, timestamp }) => `${key}=${value}@${timestamp}`)

/** A key in a window as Kafka's tests write it. */
export const inWindow = (key: StreamKey): string =>
  key !== null && typeof key === 'object' ? `[${key.key}@${key.start}/${key.end}]` : `${key}`
