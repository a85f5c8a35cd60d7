import type { ConsumerRecord } from 'millrace'
import { MillraceError } from 'millrace'
import type { Application } from '../../../src/streams/runtime/instance.js'
import type { ChangelogRecord, Output, TopologyTask } from '../../../src/streams/task/seam.js'
import type { SourceTopic, TopicReference, TopologyPlan } from '../../../src/streams/topology/plan.js'

const own = (name: string): TopicReference => ({ name, internal: true })
const users = (name: string): TopicReference => ({ name, internal: false })
const source = (topic: TopicReference): SourceTopic => ({ topic, from: undefined })

/** in (and other) -> a repartition topic; from there counts by key, with a store -> out. */
export function countPlan(inputs: readonly string[] = ['in'], from?: 'latest'): TopologyPlan {
  return {
    subtopologies: [
      {
        id: 0,
        sources: inputs.map(name => ({ topic: users(name), from })),
        sinks: [own('keys-repartition')],
        dynamicSink: false,
        changelogs: [{ topic: own('0-time-changelog'), store: undefined }],
        copartitioned: [],
        nodes: [],
        stores: [],
      },
      {
        id: 1,
        sources: [source(own('keys-repartition'))],
        sinks: [users('out')],
        dynamicSink: false,
        changelogs: [
          { topic: own('counts-changelog'), store: 'counts' },
          { topic: own('1-time-changelog'), store: undefined },
        ],
        copartitioned: [],
        nodes: [],
        stores: [],
      },
    ],
    globalStores: [],
    repartitionTopics: [{ topic: own('keys-repartition'), partitions: undefined }],
  }
}

export interface FakeHooks {
  /** Of each record that a task of sub-topology 0 is given; what it throws, a callback has thrown. */
  see?(record: ConsumerRecord, task: string): void
  init?(task: string): void
  close?(task: string): void
  tick?(now: number): void
  /** Every so many ms of the wall clock a record of its own goes out. */
  everyMs?: number
  now?(): number
}

/** Tasks that do little, and do it as tasks must: all or nothing, state in changelogs. */
export function countApplication(
  applicationId: string,
  plan: TopologyPlan = countPlan(),
  hooks: FakeHooks = {},
): Application {
  return {
    applicationId,
    plan,
    updateGlobal: () => {},
    makeTask: (subtopology, partition, { admit }) => new CountTask(applicationId, subtopology, partition, admit, hooks),
  }
}

const sink = 'counter'

export class CountTask implements TopologyTask {
  readonly id: string
  readonly counts: Map<string, number> = new Map()
  streamTime = -1
  #outputs: Output[] = []
  #changes: ChangelogRecord[] = []
  #timeTold = -1
  #due: number | undefined

  constructor(
    readonly applicationId: string,
    readonly subtopology: any,
    readonly partition: number,
    readonly admit: (output: Output) => void,
    readonly hooks: FakeHooks,
  ) {
    this.id = `${subtopology.id}_${partition}`
  }

  restore({ topic, key, value }: Parameters<TopologyTask['restore']>[0]): void {
    if (topic.endsWith('time-changelog')) this.streamTime = value as number
    else if (value === null) this.counts.delete(key!)
    else this.counts.set(key!, value as number)
  }
  start(): void {
    this.hooks.init?.(this.id)
    if (this.hooks.everyMs !== undefined && this.subtopology.id === 1)
      this.#due = this.hooks.now!() + this.hooks.everyMs
  }
  timestampOf({ timestamp }: ConsumerRecord): number {
    return timestamp
  }
  process(record: ConsumerRecord): void {
    const { key, value, timestamp, headers } = record
    if (this.subtopology.id === 0) {
      this.hooks.see?.(record, this.id)
      this.#put({
        topic: `${this.applicationId}-keys-repartition`,
        partition: undefined,
        key,
        value,
        timestamp,
        headers,
        sink,
        from: record,
      })
    } else {
      const count = (this.counts.get(key!) ?? 0) + 1
      this.#put({ topic: 'out', partition: undefined, key, value: count, timestamp, headers, sink, from: record })
      this.counts.set(key!, count)
      const { partition } = this
      const topic = `${this.applicationId}-counts-changelog`
      this.#changes.push({ topic, partition, key: key!, value: count, timestamp })
    }
    this.streamTime = Math.max(this.streamTime, timestamp)
  }
  #put(output: Output): void {
    this.admit(output)
    this.#outputs.push(output)
  }
  punctuate(time: 'stream time' | 'wall clock time'): void {
    if (time === 'stream time' || this.#due === undefined || this.#due > this.hooks.now!()) return
    this.#due = this.hooks.now!() + this.hooks.everyMs!
    const timestamp = this.hooks.now!()
    this.hooks.tick?.(timestamp)
    const from = { topic: undefined, partition: -1, offset: -1, timestamp, headers: [] }
    const { partition } = this
    this.#put({ topic: 'out', partition, key: 'tick', value: timestamp, timestamp, headers: [], sink, from })
  }
  get nextWallClockPunctuation(): number | undefined {
    return this.#due
  }
  drain(): { outputs: readonly Output[]; changes: readonly ChangelogRecord[] } {
    const drained = { outputs: this.#outputs, changes: this.#changes }
    if (this.#timeTold !== this.streamTime)
      drained.changes.push({
        topic: `${this.applicationId}-${this.subtopology.id}-time-changelog`,
        partition: this.partition,
        key: 'time',
        value: this.streamTime,
        timestamp: Math.max(0, this.streamTime),
      })
    this.#timeTold = this.streamTime
    this.#outputs = []
    this.#changes = []
    return drained
  }
  store(): unknown {
    return this.counts
  }
  get failedNode(): undefined {
    return undefined
  }
  close(): void {
    this.hooks.close?.(this.id)
  }
}

export const failing = (record: ConsumerRecord): void => {
  if (record.value === 'bad') throw new MillraceError('INVALID_RECORD', { topic: record.topic, reason: 'it is bad' })
}
