// Where the job runs: in the memory of its process, or on a cluster.
import type { Broker, ConsumerGroup } from 'millrace'
import type { Desk } from './sessions-member.js'
import type { LogRecord, TopicNames, Topics } from './topics.js'

/** A member of the sessions group, at work. */
export interface Member {
  /** As the report calls it. */
  readonly name: string
  /** The partitions that it has now. */
  readonly owned: readonly number[]
  /** It has all that it is going to have. */
  ready(): Promise<void>
  /** Resolves when it has been closed or killed, rejects with what it failed at. */
  readonly ended: Promise<void>
  /** At once, in the middle of what it does. */
  kill(): void
}

/** What is there when all is closed. */
export interface Remains {
  readonly published: number
  /** By group. */
  readonly lags: ReadonlyMap<string, number>
}

export interface Place {
  readonly broker: Broker<Topics>
  readonly names: TopicNames
  startMember(desk: Desk): Member
  /** The members of all groups finish what they do, and leave. */
  close(): Promise<void>
  inspect(groups: readonly ConsumerGroup<LogRecord>[]): Promise<Remains>
}
