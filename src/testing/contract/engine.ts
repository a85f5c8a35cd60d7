import type { Broker, MaybePromise } from '../../index.js'

/** What an engine of the portable API gives, so that its promises can be tried. */
export interface ContractEngine {
  name: string
  /** A broker with these topics, empty, seen by nobody else. */
  open(topics: Record<string, { partitions?: number | undefined }>): MaybePromise<OpenedEngine>
  /**
   * How long a promise may take to be kept, by the broker's clock; a manual one is moved by the suite.
   *
   * @default 5_000
   */
  patienceMs?: number | undefined
  /** What it does not have, each with the reason; a test that says it fails must fail. */
  exceptions?: Readonly<Record<string, string>> | undefined
}

export interface OpenedEngine {
  broker: AnyBroker
  /** A second process on the same topics and groups. */
  another(): MaybePromise<AnyBroker>
  /** Kills what was made through that broker. Tests that need it are left out where it is missing. */
  crash?: ((broker: AnyBroker) => MaybePromise<void>) | undefined
  close(): MaybePromise<void>
}

export type AnyBroker = Broker<Record<string, any>>
