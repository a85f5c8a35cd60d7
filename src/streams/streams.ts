import {
  type Broker,
  type CloseOptions,
  type ConsumerRecord,
  MillraceError,
  type TopicName,
  type TopicPartition,
} from '../index.js'
import { GlobalTables } from './global-tables.js'
import { type Queries, queryOf, specOfQueried } from './queries.js'
import { type Application, Instance } from './runtime/instance.js'
import { checkOptions } from './store-options.js'
import { StreamTask } from './task/task.js'
import { planOf, type Topology } from './topology/topology.js'

export interface StreamsOptions<Topics extends object> {
  /** The id of its group and the beginning of its internal topics' names. Kafka: application.id. */
  applicationId: string
  broker: Broker<Topics>
  /**
   * A callback that threw; its record's outputs and changes of state are undone first (unlike Kafka's), or its
   * punctuation's, which has no record. 'continue' goes on with the next (and writes the failed record to deadLetter); a
   * throw in init or close always fails. Kafka: processing.exception.handler.
   *
   * @default 'fail': what came before is committed, run() rejects with HANDLER_FAILED
   */
  onError?: ((error: unknown, record: ConsumerRecord | undefined) => 'continue' | 'fail') | undefined
  /** Takes the records that onError lets go, as toDeadLetter() makes them. Kafka: errors.dead.letter.queue.topic.name. */
  deadLetter?: TopicName<Topics> | undefined
  /** Records of one turn of the loop, at most; what they did is committed together. Kafka: max.poll.records. @default 500 */
  maxPollRecords?: number | undefined
}

/** A task of this instance. */
export interface Task {
  /** `<sub-topology>_<partition>` */
  readonly id: string
  readonly partitions: readonly TopicPartition[]
  readonly state: 'restoring' | 'running'
  /** The largest timestamp that it has seen; -1 before the first. */
  readonly streamTime: number
}

/**
 * One instance of an application. Several, in one process or in many, share its tasks and move them as a group does; a
 * task's state goes along through its changelog. Kafka: KafkaStreams.
 */
export class Streams<Topics extends object> implements AsyncDisposable, Queries {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>
  query: Queries['query']
  readonly #instance: Instance

  constructor(topology: Topology<Topics>, options: StreamsOptions<Topics>) {
    const plan = planOf(topology)
    const { applicationId, broker, onError, deadLetter, maxPollRecords = 500 } = checkStreamsOptions(options)
    const globals = new GlobalTables(plan)
    const read = new Set(plan.subtopologies.flatMap(({ sources }) => sources.map(({ topic }) => topic.name)))
    if (deadLetter !== undefined && read.has(deadLetter))
      refuse('deadLetter', deadLetter, 'a topic that the topology does not read, or it would go round for ever')
    const application: Application = {
      applicationId,
      plan,
      makeTask: (subtopology, partition, admission) =>
        new StreamTask(subtopology, partition, {
          applicationId,
          now: () => broker.clock.now(),
          globalStore: name => globals.store(name),
          ...admission,
          freeze: false,
        }),
      updateGlobal: (store, record) => globals.update(store, record),
    }
    this.#instance = new Instance(application, { broker: broker as Broker<any>, onError, deadLetter, maxPollRecords })
    this.query = ((target: unknown) => {
      const spec = specOfQueried(plan, target)
      return queryOf(spec, () => globals.storesOf(spec.name) ?? this.#storesOf(spec.name))
    }) as Queries['query']
    Object.defineProperty(this, Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'), { value: () => this.close() })
  }

  #storesOf(name: string): readonly unknown[] {
    const running = [...this.#instance.runs].filter(run => run.running)
    return running.map(({ task }) => task.store(name)).filter(store => store !== undefined)
  }

  /** 'rebalancing': it makes its topics, or tasks are on the move or being restored. */
  get state(): Instance['state'] {
    return this.#instance.state
  }

  /** Those that it has now, by sub-topology and partition. */
  get tasks(): readonly Task[] {
    const runs = [...this.#instance.runs].sort(
      ({ task: one }, { task: other }) => one.subtopology.id - other.subtopology.id || one.partition - other.partition,
    )
    return runs.map(({ task, queues, running }) => ({
      id: task.id,
      partitions: queues.map(({ topic, partition }) => ({ topic, partition })),
      state: running ? 'running' : 'restoring',
      streamTime: task.streamTime,
    }))
  }

  /**
   * Makes the internal topics that are missing, joins, works until closed; rejects when it can't go on: HANDLER_FAILED,
   * UNKNOWN_TOPIC_OR_PARTITION for a source or sink that does not exist, TOPOLOGY where topics that are to be joined differ
   * in their partitions, and what the broker rejects with. CONCURRENT_POLL beside another run(), CLOSED.
   */
  async run(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions('run options', options, ['signal'])
    const { signal } = options
    if (signal !== undefined && typeof signal?.addEventListener !== 'function')
      throw new TypeError(`signal must be an AbortSignal; got ${String(signal)}`)
    await this.#instance.run(signal)
  }

  /**
   * It has all the tasks it is going to have, restored; global tables are read to their ends as of the call. Waits for
   * run(); rejects with CLOSED, and with what run() rejects with.
   */
  ready(): Promise<void> {
    return this.#instance.ready()
  }

  /** Finishes the turn at work, commits, leaves. REQUEST_TIMED_OUT where that takes longer. @default timeoutMs 30_000 */
  async close(options: CloseOptions = {}): Promise<void> {
    checkOptions('close options', options, ['timeoutMs'])
    const { timeoutMs = 30_000 } = options
    checkWhole('timeoutMs', timeoutMs, 0)
    await this.#instance.close(timeoutMs)
  }
}

function checkStreamsOptions<Topics extends object>(options: StreamsOptions<Topics>): StreamsOptions<Topics> {
  checkOptions('options', options ?? null, ['applicationId', 'broker', 'onError', 'deadLetter', 'maxPollRecords'])
  const { applicationId, broker, onError, deadLetter, maxPollRecords } = options
  if (typeof applicationId !== 'string' || !/^[\w.-]+$/.test(applicationId))
    refuse('applicationId', applicationId, 'a text of a-z, A-Z, 0-9, ".", "_" and "-", with which topics may begin')
  const { topic, group, createTopic } = (broker ?? {}) as Partial<Broker>
  if (typeof topic !== 'function' || typeof group !== 'function' || typeof createTopic !== 'function')
    refuse('broker', broker, 'a broker, in memory or of a cluster')
  if (onError !== undefined && typeof onError !== 'function') refuse('onError', onError, 'a function')
  if (deadLetter !== undefined && (typeof deadLetter !== 'string' || deadLetter === ''))
    refuse('deadLetter', deadLetter, 'the name of a topic')
  if (maxPollRecords !== undefined) checkWhole('maxPollRecords', maxPollRecords, 1)
  return options
}
function checkWhole(option: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    refuse(option, value, `a whole number of at least ${least}`)
}
function refuse(option: string, value: unknown, expected: string): never {
  throw new MillraceError('INVALID_CONFIG', { option, value, expected })
}
