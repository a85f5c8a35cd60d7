import { type ConsumerRecord, MillraceError } from '../../index.js'
import { formatOf } from '../codec-format.js'
import { deepFreeze } from '../freeze.js'
import { PassThrough } from '../operators/stateless.js'
import { noHeaders, type RecordContext } from '../record.js'
import { ChangedRows } from '../stores/changed-rows.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { StateStore, ValueFormat } from '../stores/store.js'
import { UndoLog } from '../stores/undo-log.js'
import { isDynamic, type PhysicalNode, type SinkNode, type SourceNode } from '../topology/nodes.js'
import { type Subtopology, topicName } from '../topology/plan.js'
import type { StoreSpec } from '../topology/store-spec.js'
import { NodeContext, type NodeHost } from './node-context.js'
import { type Punctuation, Punctuations } from './punctuations.js'
import type { ChangelogRecord, Output, TaskEnvironment, TopologyTask } from './seam.js'
import { Sink, stampOf } from './sink.js'
import { TimeLog } from './time-log.js'

interface Entry {
  readonly node: SourceNode
  readonly context: NodeContext
}

/** Between the records, and before the first: what init() forwards has no record that it follows from. */
const nowhere: RecordContext = { topic: undefined, partition: -1, offset: -1, timestamp: 0, headers: noHeaders }

/** One sub-topology at work on one partition. Kafka: StreamTask. */
export class StreamTask implements TopologyTask, NodeHost {
  readonly id: string
  readonly subtopology: Subtopology
  readonly partition: number
  readonly freezes: boolean
  readonly #environment: TaskEnvironment
  readonly #undo = new UndoLog()
  readonly #times = new TimeLog(this.#undo)
  readonly #streamTime: ObservedTime = this.#times.make('stream-time')
  readonly #byStreamTime = new Punctuations(this.#undo)
  readonly #byWallClock = new Punctuations(this.#undo)
  readonly #stores = new Map<string, StateStore>()
  readonly #storeOfChangelog = new Map<string, StateStore>()
  readonly #changedRows: { readonly topic: string; readonly store: StateStore; readonly rows: ChangedRows }[] = []
  readonly #timeChangelog: string
  readonly #nodes: NodeContext[] = []
  readonly #entries = new Map<string, Entry>()
  readonly #schedulesOf = new Map<string, number>()
  #starting = false
  #threw: { readonly node: string; readonly error: unknown } | undefined
  #atWork: RecordContext = nowhere
  #outputs: Output[] = []
  #changes: ChangelogRecord[] = []
  /** How much of them is for good. */
  #outputsKept = 0
  #changesKept = 0

  constructor(subtopology: Subtopology, partition: number, environment: TaskEnvironment) {
    this.id = `${subtopology.id}_${partition}`
    this.subtopology = subtopology
    this.partition = partition
    this.freezes = environment.freeze
    this.#environment = environment
    this.#timeChangelog = topicName(subtopology.changelogs.at(-1)!.topic, environment.applicationId)
    for (const spec of subtopology.stores) this.#makeStore(spec)
  }

  get streamTime(): number {
    return this.#streamTime.value
  }
  now(): number {
    return this.#environment.now()
  }

  // ── from nothing, or from where it stopped elsewhere ──

  #makeStore(spec: StoreSpec): void {
    const { partition } = this
    const changelog = this.subtopology.changelogs.find(({ store }) => store === spec.name)
    const topic = changelog && topicName(changelog.topic, this.#environment.applicationId)
    const format = this.#formatOf(spec)
    const { admitChange } = this.#environment
    // What a codec refuses fails the record that it is of: it is encoded, or asked for, at once.
    const waits = topic !== undefined && format === undefined && admitChange === undefined
    const changedRows = waits ? new ChangedRows() : undefined
    const store = spec.make({
      name: spec.name,
      undo: this.#undo,
      format,
      changedRows,
      changed:
        topic === undefined
          ? undefined
          : (key, value, timestamp = this.#atWork.timestamp) => {
              const change: ChangelogRecord = { topic, partition, key, value, timestamp }
              admitChange?.(change)
              this.#changes.push(change)
            },
    })
    this.#stores.set(spec.name, store)
    if (topic === undefined) return
    this.#storeOfChangelog.set(topic, store)
    if (changedRows !== undefined) this.#changedRows.push({ topic, store, rows: changedRows })
    for (const time of store.times) this.#times.add(`${spec.name}:${time.name}`, time)
  }

  /** What comes back from a codec is new, and frozen as what went into it. */
  #formatOf({ codec }: StoreSpec): ValueFormat | undefined {
    const format = formatOf(codec)
    if (format === undefined || !this.freezes) return format
    return { toLog: value => format.toLog(value), fromLog: logged => frozen(format.fromLog(logged)) }
  }

  restore({ topic, key, value, timestamp }: Parameters<TopologyTask['restore']>[0]): void {
    if (key === null) return
    if (topic === this.#timeChangelog) this.#times.restore(key, value as number)
    else this.#storeOfChangelog.get(topic)?.restore(key, value, timestamp)
  }

  start(): void {
    const contexts = new Map<string, NodeContext>()
    for (const node of this.subtopology.nodes) {
      const context = new NodeContext(node.name, this.#operatorOf(node), this)
      contexts.set(node.name, context)
      this.#nodes.push(context)
      if (node.kind !== 'source') for (const parent of node.parents) contexts.get(parent)!.children.push(context)
      else
        for (const topic of node.topics)
          this.#entries.set(topicName(topic, this.#environment.applicationId), { node, context })
    }
    this.#starting = true
    for (const context of this.#nodes) {
      try {
        context.operator.init?.(context)
      } catch (error) {
        this.threw(context.node, error)
        throw error
      }
    }
    this.#starting = false
    this.#keep()
  }
  #operatorOf(node: PhysicalNode): NodeContext['operator'] {
    if (node.kind === 'source') return new PassThrough()
    if (node.kind === 'processor') return node.make()
    const takesAnything = this.#environment.admitChange === undefined && isOwn(node)
    const write = (output: Output): void => {
      if (!takesAnything) this.#environment.admit?.(output)
      this.#outputs.push(output)
    }
    return new Sink(node, this.#environment.applicationId, write)
  }

  // ── at work ──

  timestampOf(record: ConsumerRecord): number {
    const { node } = this.#entry(record)
    if (node.timestamp === undefined) return record.timestamp
    const { topic, partition, offset, timestamp, headers } = record
    const context: RecordContext = { topic, partition, offset, timestamp, headers }
    try {
      return stampOf(node.timestamp(this.#valueOf(node, record), record.key, context), node.name, record)
    } catch (error) {
      this.threw(node.name, error)
      throw error
    }
  }

  process(record: ConsumerRecord, timestamp: number = this.timestampOf(record)): void {
    const { node, context } = this.#entry(record)
    const { topic, partition, offset, headers } = record
    this.#atWork = { topic, partition, offset, timestamp, headers }
    try {
      this.#streamTime.advance(timestamp)
      context.forward(this.#valueOf(node, record), record.key, this.#atWork)
    } catch (error) {
      this.threw(node.name, error)
      this.#takeBack()
      throw error
    }
    this.#keep()
  }

  punctuate(kind: 'stream time' | 'wall clock time'): void {
    const punctuations = kind === 'stream time' ? this.#byStreamTime : this.#byWallClock
    const time = kind === 'stream time' ? this.streamTime : this.now()
    if (time < 0) return
    for (let due = punctuations.due(time); due !== undefined; due = punctuations.due(time))
      this.#fire(due, punctuations, time)
  }
  #fire(due: Punctuation, punctuations: Punctuations, time: number): void {
    this.#atWork = { ...nowhere, timestamp: time }
    try {
      due.punctuate(time)
    } catch (error) {
      this.threw(due.node, error)
      this.#takeBack()
      throw error
    } finally {
      punctuations.reschedule(due, time)
      this.#keep()
    }
  }
  get nextWallClockPunctuation(): number | undefined {
    return this.#byWallClock.next
  }

  #entry({ topic }: ConsumerRecord): Entry {
    // Most records come from where the one before came from.
    if (this.#latestEntry?.topic === topic) return this.#latestEntry.entry
    const entry = this.#entries.get(topic)
    if (entry === undefined) throw new TypeError(`Task ${this.id} reads no topic ${topic}`)
    this.#latestEntry = { topic, entry }
    return entry
  }
  #latestEntry: { readonly topic: string; readonly entry: Entry } | undefined
  #valueOf({ format }: SourceNode, { value }: ConsumerRecord): unknown {
    const decoded = format === undefined ? value : format.fromLog(value)
    return this.freezes ? frozen(decoded) : decoded
  }

  /** What has been done since the last keep() stays, and will be drained. */
  #keep(): void {
    this.#atWork = nowhere
    this.#undo.commit()
    this.#outputsKept = this.#outputs.length
    this.#changesKept = this.#changes.length
  }
  /** As if it had not been done. */
  #takeBack(): void {
    this.#atWork = nowhere
    this.#undo.rollback()
    this.#outputs.length = this.#outputsKept
    this.#changes.length = this.#changesKept
  }

  drain(): ReturnType<TopologyTask['drain']> {
    const outputs = this.#outputs
    const changes = this.#changes
    const { partition } = this
    for (const { topic, store, rows } of this.#changedRows)
      rows.drain((name, { value, timestamp }) =>
        changes.push({ topic, partition, key: store.rowName?.(name) ?? (name as string), value, timestamp }),
      )
    const timestamp = Math.max(0, this.streamTime)
    for (const [key, value] of this.#times.changes())
      changes.push({ topic: this.#timeChangelog, partition, key, value, timestamp })
    this.#outputs = []
    this.#changes = []
    this.#outputsKept = 0
    this.#changesKept = 0
    return { outputs, changes }
  }

  get failedNode(): string | undefined {
    return this.#threw?.node
  }
  /** The same error on its way up is the first's. */
  threw(node: string, error: unknown): void {
    if (this.#threw === undefined || this.#threw.error !== error) this.#threw = { node, error }
  }

  // ── what its nodes ask for ──

  storeFor(node: string, name: string): unknown {
    const found = this.subtopology.nodes.find(known => known.name === node)
    if (found?.kind === 'processor' && found.stores.has(name)) return this.#stores.get(name)
    const global = this.#environment.globalStore(name)
    if (global !== undefined) return global
    throw new MillraceError(
      'UNKNOWN_STORE',
      { store: name },
      { cause: new TypeError(`${node} has not named store ${name}: put its handle into the list of its stores`) },
    )
  }
  timeFor(node: string, name: string, initial: number | undefined): ObservedTime {
    return this.#times.make(`${node}/${name}`, initial)
  }
  /** By stream time it fires with the first record, by wall-clock time after an interval. Kafka: StreamTask.schedule. */
  schedule(
    node: string,
    intervalMs: number,
    time: 'stream time' | 'wall clock time',
    punctuate: (timestamp: number) => void,
  ): () => void {
    if (time === 'wall clock time')
      return this.#byWallClock.add({ node, intervalMs, punctuate, next: this.now() + intervalMs, kept: undefined })
    const kept = this.#starting ? this.timeFor(node, this.#scheduleName(node), 0) : undefined
    return this.#byStreamTime.add({ node, intervalMs, punctuate, next: kept?.value ?? 0, kept })
  }
  /** A processor that is made anew asks for the same schedules in the same order. */
  #scheduleName(node: string): string {
    const count = this.#schedulesOf.get(node) ?? 0
    this.#schedulesOf.set(node, count + 1)
    return `punctuation-${count}`
  }

  store(name: string): unknown {
    return this.#stores.get(name)
  }

  close(): void {
    let first: { readonly node: string; readonly error: unknown } | undefined
    for (const { node, operator } of this.#nodes) {
      try {
        operator.close?.()
      } catch (error) {
        first ??= { node, error }
      }
    }
    if (first === undefined) return
    this.#threw = first
    throw first.error
  }
}

/** Leads to a topic that the application has made for itself, to the partition of the key. */
const isOwn = ({ topic, partition }: SinkNode): boolean =>
  !isDynamic(topic) && topic.internal && partition === undefined

function frozen(value: unknown): unknown {
  deepFreeze(value)
  return value
}
