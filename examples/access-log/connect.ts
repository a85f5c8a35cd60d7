// The one place that knows how to reach the cluster: real ones want TLS and credentials here.
import { type KafkaBroker, kafkaBroker } from 'millrace/kafka'
import type { Topics } from './topics.js'

export function connect(address: string): KafkaBroker<Topics> {
  return kafkaBroker<Topics>({ bootstrapBrokers: [address], clientId: 'access-log', requestTimeoutMs: 5_000 })
}
