// What a shell (TopologyTestDriver, Streams) needs of a built topology and of its tasks.
import type { ConsumerRecord } from '../../index.js'
import type { Headers, RecordContext } from '../record.js'
import type { Subtopology } from '../topology/plan.js'

/** A record that a task wants written. Repartition topics' values are encoded already (base64 text), where they have a codec. */
export interface Output {
  /** As topicName() gives it. */
  readonly topic: string
  /** Undefined: as the topic's partitioner says, by the key. */
  readonly partition: number | undefined
  readonly key: string | null
  readonly value: unknown
  readonly timestamp: number
  readonly headers: Headers
  /** For whoever can't write it to say: the node that wants it written, and the record that it follows from. */
  readonly sink: string
  readonly from: RecordContext
}
/** A record for a changelog topic; a value of null is a tombstone. Encoded as Output. */
export interface ChangelogRecord {
  /** As topicName() gives it. */
  readonly topic: string
  /** The task's own. */
  readonly partition: number
  readonly key: string
  readonly value: unknown
  readonly timestamp: number
}

/** What a task sees of the world: told the time, and asked for nothing else. */
export interface TaskEnvironment {
  readonly applicationId: string
  now(): number
  /** Of a global table, filled by the shell: GlobalTables. */
  globalStore(name: string): unknown
  /** Throws where the output can't be written (no such topic, a partition that it does not have, a null key where it is compacted). Asked while all can still be undone. */
  admit?(output: Output): void
  /**
   * The same of a change of state: throws where its changelog can't be written (a value that a cluster's codec refuses).
   * Left out where the application's own topics, changelogs and those between its tasks, take anything.
   */
  readonly admitChange?: ((change: ChangelogRecord) => void) | undefined
  /** Whether plain objects and arrays are frozen before callbacks see them. */
  readonly freeze: boolean
}

/** One sub-topology at work on one partition: pure and synchronous. It throws what a callback threw, after having undone what that record or punctuation did. */
export interface TopologyTask {
  /** `<sub-topology>_<partition>` */
  readonly id: string
  readonly subtopology: Subtopology
  readonly partition: number
  readonly streamTime: number
  /** Before start(): a record of one of its changelogs, in their order. */
  restore(record: {
    readonly topic: string
    readonly key: string | null
    readonly value: unknown
    readonly timestamp: number
  }): void
  /** Makes and inits its operators, once its changelogs are restored; what init forwards is drained as any output. */
  start(): void
  /** The timestamp that a record of this source topic counts with (the source's `timestamp` callback): for choosing among partitions, the smallest first. Throws as process() does. */
  timestampOf(record: ConsumerRecord): number
  /** All or nothing. Afterwards the shell calls punctuate('stream time'). @default timestamp timestampOf(record) */
  process(record: ConsumerRecord, timestamp?: number): void
  /** Fires what is due, each for itself, and returns when nothing more is; after a throw, call it again to go on with the rest. */
  punctuate(time: 'stream time' | 'wall clock time'): void
  /** When punctuate('wall clock time') has something to do next. */
  readonly nextWallClockPunctuation: number | undefined
  /** What was done since the last drain: first write it, then commit the offsets of the records processed. Changed times are among the changes once per drain, and so are changed rows, as a rule. */
  drain(): { readonly outputs: readonly Output[]; readonly changes: readonly ChangelogRecord[] }
  /** Whose callback threw last: of what process(), timestampOf(), punctuate(), start() or close() threw. */
  readonly failedNode: string | undefined
  /** For queries: undefined for a store of another sub-topology. */
  store(name: string): unknown
  /** Closes the processors, the last resort apart (a crash) always; throws the first of what they throw, after all are closed. */
  close(): void
}
