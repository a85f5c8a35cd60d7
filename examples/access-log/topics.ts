// The two topics of the job, and the broker that holds them.
import { Broker, type ConsumerRecord, keyedPartitioner, type MemoryBroker } from 'millrace'
import type { WebRequest } from './log-line.js'

/** A line of the log; `request` is undefined when it is not in the combined format. */
export interface LogEntry {
  /** From 1. */
  readonly line: number
  readonly text: string
  readonly request: WebRequest | undefined
}

export interface Topics {
  requests: LogEntry
  'requests.dead': LogEntry
}

export type LogRecord = ConsumerRecord<LogEntry, string, 'requests'>

/** Keyed by visitor: one key, one partition, so each visitor's requests stay in order. */
export const openBroker = (): MemoryBroker<Topics> =>
  new Broker<Topics>({
    topics: {
      requests: {
        partitions: 6,
        // Where a line without an address goes is any partition, but the same in every run.
        partitioner: keyedPartitioner({ seed: 1 }),
        // What all groups have committed past is dropped: memory does not grow with the log.
        retention: { consumed: true },
      },
      'requests.dead': {},
    },
  })
