// The two topics of the job.
import { type ConsumerRecord, keyedPartitioner, type Partitioner } from 'millrace'
import type { WebRequest } from './log-line.js'

/** A line of the log; `request` is undefined when it is not in the combined format. */
export interface LogEntry {
  /** From 1. */
  readonly line: number
  readonly text: string
  readonly request: WebRequest | undefined
}

/** What they are called: `requests` in memory, with the run's own ending on a cluster, where others have been before. */
export type RequestsTopic = `requests${string}`
export type Topics = Record<RequestsTopic, LogEntry>
export interface TopicNames {
  readonly requests: RequestsTopic
  readonly dead: RequestsTopic
}
export const namesOf = (ending: string): TopicNames => ({
  requests: `requests${ending}`,
  dead: `requests${ending}.dead`,
})

export type LogRecord = ConsumerRecord<LogEntry, string, RequestsTopic>

/** Keyed by visitor: one key, one partition, so each visitor's requests stay in order. */
export const requestsPartitions = 6
/** Where a line without an address goes is any partition, but the same in every run. */
export const requestsPartitioner = (): Partitioner => keyedPartitioner({ seed: 1 })
