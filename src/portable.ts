// What code names in its signatures: interfaces that the engine in memory and a real cluster both satisfy.
import type { Clock } from './clock.js'
import type { Assignor } from './core/assignors/assignor.js'
import type { Partitioner } from './core/partitioner.js'
import type {
  AnyRecord,
  Codec,
  ConsumerRecord,
  Key,
  NextOffset,
  ProducerRecord,
  RecordMetadata,
  StartFrom,
  TopicPartition,
} from './core/record.js'
import type { Interceptor } from './interceptor.js'

/** At once in memory, a promise on a cluster: always `await` it in code that is to run on both. */
export type MaybePromise<T> = T | Promise<T>
export type TopicName<Topics> = keyof Topics & string
/** The records of some topics, told apart by `record.topic`. */
export type RecordOf<Topics, K extends Key = string, Name extends TopicName<Topics> = TopicName<Topics>> = {
  [N in Name]: ConsumerRecord<Topics[N], K, N>
}[Name]

/** Topics and groups by name, in memory or on a cluster. */
export interface Broker<Topics extends object = Record<string, unknown>, K extends Key = string>
  extends AsyncDisposable {
  /** What it goes by; code that waits by it can be tested on virtual time. On a cluster the host's. */
  readonly clock: Clock
  /**
   * A handle; an unknown name throws here (UNKNOWN_TOPIC_OR_PARTITION) or, on a cluster, at first use, unless topics
   * are made automatically. So in group().
   */
  topic<N extends TopicName<Topics>>(name: N): Topic<Topics[N], K>
  /**
   * TOPIC_ALREADY_EXISTS. Options that only memory has (retention by records or consumption, segmentRecords) are
   * INVALID_CONFIG on a cluster.
   */
  createTopic<N extends TopicName<Topics>>(
    name: N,
    options?: TopicOptions<Topics[N]>,
  ): MaybePromise<Topic<Topics[N], K>>
  /** The same id gives the same group; other options than its first ones are INVALID_CONFIG (assignors are compared by name). */
  group<N extends TopicName<Topics>>(
    id: string,
    options: { topics: N | readonly N[] } & GroupOptions,
  ): ConsumerGroup<RecordOf<Topics, K, N>>
  /** Closes every consumer, then the rest; reading what is there still works afterwards, writing is CLOSED. */
  close(options?: CloseOptions): Promise<void>
}

export interface Topic<V = unknown, K extends Key = string> {
  readonly name: string
  /** How many it has now; they only grow. */
  partitionCount(): MaybePromise<number>
  /** Appends; calls made one after the other keep their order per partition, awaited or not. */
  publish(record: ProducerRecord<V, K>): MaybePromise<RecordMetadata>
  /**
   * Throws what publish() would refuse the record with at once, and writes nothing: what is wrong with its parts, what the
   * codec can't encode, a topic that is closed; in memory also a partition that the topic does not have, and a missing key
   * where it is compacted, which a cluster tells only of what is written. Asks neither partitioner nor interceptors.
   */
  check(record: ProducerRecord<V, K>): void
  /** The fast path; the records before a bad one stay. */
  publishAll(records: Iterable<ProducerRecord<V, K>>): MaybePromise<void>
  /**
   * A tail without a group, of all partitions or some, from the earliest record unless told otherwise. `from` is
   * resolved at its first step; with `until: 'latest'` it ends by itself, at the ends of the log as of that step. What
   * retention has dropped before it came is skipped; after broker.close() it ends with what is there; deleteTopic
   * rejects it with UNKNOWN_TOPIC_OR_PARTITION; an abort with its reason.
   */
  read(options?: ReadOptions): AsyncIterable<ConsumerRecord<V, K>>
}
export interface ReadOptions {
  /** @default 'earliest' */
  from?: StartFrom | undefined
  until?: 'latest' | undefined
  /** @default all */
  partitions?: readonly number[] | undefined
  signal?: AbortSignal | undefined
}

/** The partitions of some topics shared by members, and the offsets that they have committed. */
export interface ConsumerGroup<R extends AnyRecord = ConsumerRecord> {
  readonly id: string
  join(options?: JoinOptions<R>): Consumer<R>
  /** The next offset to read. */
  committed(topic: R['topic'], partition: number): MaybePromise<number | undefined>
  /** End minus committed, over all partitions; nothing committed counts from where autoOffsetReset would start. */
  lag(): MaybePromise<number>
  /** Only while it has no members (NON_EMPTY_GROUP). @default where: all partitions of its topics */
  resetOffsets(to: StartFrom, where?: readonly TopicPartition[]): MaybePromise<void>
  /** All published before the call is finished (on a cluster: committed); CLOSED when nobody is left to do it. */
  caughtUp(): Promise<void>
}

export interface Consumer<R extends AnyRecord = ConsumerRecord> extends AsyncIterable<R>, AsyncDisposable {
  /** Undefined until the group has answered; never in memory. */
  readonly memberId: string | undefined
  readonly assignment: readonly TopicPartition[]
  readonly paused: readonly TopicPartition[]
  /** True from the call of close(), or the crash, on. */
  readonly closed: boolean
  /**
   * It owns all that it is going to own, and its onAssigned has returned. It waits as long as somebody else holds a
   * record of a partition that is to come: `group.moves` says who. CLOSED, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
   */
  ready(): Promise<void>
  /**
   * Waits, for ever by default, for a first record; [] on timeout or close; an abort rejects with its reason; after an
   * expulsion it rejoins. CONCURRENT_POLL beside another poll, loop or run; CLOSED; what a callback threw;
   * NO_OFFSET_FOR_PARTITION and OFFSET_OUT_OF_RANGE where autoOffsetReset is 'none'.
   */
  poll(options?: PollOptions): Promise<R[]>
  /**
   * At-least-once in both modes: nothing is committed past a record that is not finished. Rejects with HANDLER_FAILED
   * when it cannot go on, the handler's own error as `cause`; resolves when the consumer has left.
   */
  run(handler: Handler<R>, options?: RunOptions<R>): Promise<void>
  /** Every position: past all that was handed out; during run(), and in the consumer's callbacks, past all that is finished. */
  commit(): Promise<void>
  /**
   * A record: its offset + 1; records: that per partition; offsets: as given. All or nothing. ILLEGAL_GENERATION for a
   * partition that it does not own (any more), UNKNOWN_MEMBER_ID and FENCED_INSTANCE_ID when it is out.
   */
  commit(what: R | readonly R[] | readonly NextOffset[]): Promise<void>
  /** The next offset to hand out; undefined before it is known (the first poll) and for what it does not own. */
  position(topic: R['topic'], partition: number): number | undefined
  /** Resolved when next read; NOT_ASSIGNED for a partition it does not own. */
  seek(topic: R['topic'], partition: number, to: StartFrom): void
  /** NOT_ASSIGNED for a partition it does not own. @default what it owns now */
  pause(partitions?: readonly TopicPartition[]): void
  resume(partitions?: readonly TopicPartition[]): void
  /**
   * Hands out nothing more, waits for run()'s handlers, commits (autoCommit), leaves. Don't await it in a handler, which
   * it waits for: call context.stop(). A call from inside one of this consumer's callbacks does not wait.
   */
  close(options?: CloseOptions): Promise<void>
}
export interface PollOptions {
  /** At most so many. @default the group's maxPollRecords */
  maxRecords?: number | undefined
  /** How long to wait for a first record, on the clock. @default for ever */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}
/**
 * Kafka: close(Duration). After it signals abort, unfinished records stay uncommitted, and close() rejects with
 * REQUEST_TIMED_OUT. @default 30_000
 */
export interface CloseOptions {
  timeoutMs?: number | undefined
}

export interface GroupOptions {
  /** Kafka: enable.auto.commit. @default 'autoCommit' */
  commitMode?: 'autoCommit' | 'manualCommit' | undefined
  /** Kafka: auto.commit.interval.ms. 0: each time it comes back for more. @default 5_000 */
  autoCommitIntervalMs?: number | undefined
  /** Kafka: auto.offset.reset. Unlike Kafka's, its default is the start. @default 'earliest' */
  autoOffsetReset?: 'earliest' | 'latest' | 'none' | undefined
  /** Kafka: partition.assignment.strategy. @default rangeAssignor */
  assignor?: Assignor | undefined
  /** Kafka: max.poll.records. @default 500 */
  maxPollRecords?: number | undefined
  /**
   * Kafka: max.poll.interval.ms. Each poll or step of the iterator starts it anew; in run() it counts from the start of
   * the oldest unfinished attempt. @default 300_000
   */
  maxPollIntervalMs?: number | undefined
  /** How long a static member's seat outlives it. Kafka: session.timeout.ms. @default 45_000 */
  sessionTimeoutMs?: number | undefined
}
export interface JoinOptions<R extends AnyRecord = ConsumerRecord> {
  /**
   * Kafka: group.instance.id; a closed or lost member keeps its seat for sessionTimeoutMs. A second live member of that
   * name fences the first (FENCED_INSTANCE_ID); on a cluster it is refused itself (UNRELEASED_INSTANCE_ID).
   */
  instanceId?: string | undefined
  /** @default all topics of the group */
  topics?: readonly R['topic'][] | undefined
  onAssigned?: RebalanceListener<R> | undefined
  /** Awaited before the partitions move (on a cluster: as far as the client allows). */
  onRevoked?: RebalanceListener<R> | undefined
  /** Instead of onRevoked when they are gone already. @default onRevoked */
  onLost?: RebalanceListener<R> | undefined
}
/**
 * Starts in a microtask of its own, never inside a library call; a promise is awaited. A throw never vetoes: the next
 * poll() or run() rejects with it.
 */
export type RebalanceListener<R extends AnyRecord = ConsumerRecord> = {
  listener(partitions: readonly TopicPartition[], consumer: Consumer<R>): unknown
}['listener']
/** A promise is awaited, any other result ignored. */
export type Handler<R extends AnyRecord = ConsumerRecord> = (record: R, context: HandlerContext) => unknown
export interface HandlerContext {
  /**
   * Counts this record as finished and commits its partition up to the first unfinished one. A throw after it is
   * retried and dead-lettered as any other, but nothing goes back below the commit.
   */
  readonly commit: () => Promise<void>
  /** Aborts when the partition is lost or close() ran out of time: no commit will be accepted any more. */
  readonly signal: AbortSignal
  /** From 1. */
  readonly attempt: number
  /** Asks for an orderly close of the consumer and returns at once. */
  readonly stop: () => void
}
export interface RunOptions<R extends AnyRecord = ConsumerRecord> {
  /** Handlers at work at once; equal keys never overlap, and the keyless of a partition count as one key. @default 1 */
  concurrency?: number | undefined
  /** Calls in all, in place, on the clock. @default { attempts: 1 } */
  retry?: { attempts: number; backoffMs?: number | ((attempt: number) => number) | undefined } | undefined
  /**
   * Takes what failed its last attempt, which then is finished, and committed in manualCommit mode too if all before it
   * is. INVALID_CONFIG for a topic that this consumer reads.
   */
  deadLetter?:
    | {
        readonly name: string
        readonly publish: (record: ProducerRecord<R['value'], NonNullable<R['key']>>) => MaybePromise<unknown>
      }
    | undefined
  /** Close in an orderly way; run() resolves. */
  signal?: AbortSignal | undefined
}

export interface TopicOptions<V = unknown> {
  /** In memory 1,000,000 at most, INVALID_PARTITIONS beyond. @default 1, or the broker's defaultPartitions */
  partitions?: number | undefined
  /** @default keyedPartitioner() */
  partitioner?: Partitioner | undefined
  /** Kafka: cleanup.policy. @default 'delete' */
  cleanupPolicy?: 'delete' | 'compact' | undefined
  /** @default none: the log grows until told otherwise */
  retention?:
    | {
        /** Kafka: retention.ms, by record timestamps. */
        ms?: number | undefined
        /** Keep at least so many, drop whole segments beyond it. */
        records?: number | undefined
        /**
         * Drop what every group of the topic has committed past, with members or without, from its making to its
         * delete(); nothing while there is none. @default false
         */
        consumed?: boolean | undefined
      }
    | undefined
  /** Records in a segment, the unit of retention and compaction. Kafka: segment.bytes. @default 1_024 */
  segmentRecords?: number | undefined
  /** @default none: values are shared by reference */
  codec?: Codec<V> | undefined
}
export interface BrokerOptions<Topics extends object> {
  /** Made at once in memory; expected to exist on a cluster. Codecs here also infer Topics. */
  topics?: { readonly [N in keyof Topics]?: TopicOptions<Topics[N]> } | undefined
  /** @default the host's */
  clock?: Clock | undefined
  /** Kafka: auto.create.topics.enable. @default false */
  autoCreateTopics?: boolean | undefined
  /** As `partitions` of a topic that does not say. Kafka: num.partitions. @default 1 */
  defaultPartitions?: number | undefined
  /** Around all that its producers and consumers do, the first outermost. Kafka: interceptor.classes. @default none */
  interceptors?: readonly Interceptor[] | undefined
}
