import { EngineConsumer } from '../consumer.js'
import { checkTopicPartitions, refuse } from '../core/check.js'
import { checkStart } from '../core/record.js'
import type { ResolvedGroupOptions } from '../engine.js'
import { throwApart } from '../events.js'
import { checkJoinOptions, resolveGroupOptions } from '../group-options.js'
import {
  type AnyRecord,
  type Clock,
  type Consumer,
  type ConsumerGroup,
  type JoinOptions,
  MillraceError,
  rangeAssignor,
  type StartFrom,
  stickyAssignor,
  type TopicPartition,
} from '../index.js'
import { keyOf } from './by-topic.js'
import { caughtUp } from './caught-up.js'
import type { Cluster } from './cluster.js'
import { committedOffsets, nextOf, standings } from './committed-offsets.js'
import { describeGroup, writeOffsets } from './group-admin.js'
import { MemberEngine } from './member-engine.js'
import { findOffsets, type OffsetQuestion } from './offsets.js'
import { checkId, checkInt32, type ResolvedKafkaOptions } from './options.js'
import type { Serialization } from './serialization.js'

/** What a group needs of its broker. */
export interface GroupHost {
  readonly clock: Clock
  readonly cluster: Cluster
  readonly serialization: Serialization
  readonly options: ResolvedKafkaOptions
}

/** The assignors of a cluster, where its coordinator assigns (KIP-848), by ours. */
const serverAssignors = new Map([
  [rangeAssignor, 'range'],
  [stickyAssignor, 'uniform'],
])

const { sessionTimeoutMs } = resolveGroupOptions({})

/** A group of a cluster, seen from this process. */
export class KafkaGroup<R extends AnyRecord> implements ConsumerGroup<R> {
  readonly id: string
  readonly topics: readonly string[]
  readonly resolved: ResolvedGroupOptions
  /** What the coordinator is to assign by. */
  readonly serverAssignor: string
  readonly #host: GroupHost
  /** Those that the group has not heard to have left. */
  readonly #consumers = new Set<EngineConsumer<R>>()
  #deserted: (() => void)[] = []
  #shut = false

  constructor(id: string, topics: readonly string[], resolved: ResolvedGroupOptions, host: GroupHost) {
    const assignor = serverAssignors.get(resolved.assignor)
    if (assignor === undefined)
      refuse(
        'assignor',
        resolved.assignor.name,
        'rangeAssignor or stickyAssignor on a cluster, which assigns by itself',
      )
    if (resolved.sessionTimeoutMs !== sessionTimeoutMs)
      refuse(
        'sessionTimeoutMs',
        resolved.sessionTimeoutMs,
        `left out on a cluster, whose coordinator sets it (group.consumer.session.timeout.ms, consumer.session.timeout.ms of the group)`,
      )
    checkInt32('maxPollIntervalMs', resolved.maxPollIntervalMs, 1)
    this.id = id
    this.topics = Object.freeze([...topics])
    this.resolved = resolved
    this.serverAssignor = assignor!
    this.#host = host
  }

  join(options: JoinOptions<R> = {}): Consumer<R> {
    this.#checkOpen()
    checkJoinOptions(options, this.topics)
    if (options.instanceId !== undefined) checkId('instanceId', options.instanceId)
    const { cluster, serialization, clock, options: settings } = this.#host
    const engine = new MemberEngine<R>({
      ...settings,
      group: this.id,
      topics: options.topics === undefined ? this.topics : [...new Set(options.topics)],
      instanceId: options.instanceId,
      options: this.resolved,
      assignor: this.serverAssignor,
      clock,
      interceptor: {},
      cluster,
      serialization,
      report: throwApart,
      ended: () => this.#ended(consumer),
    })
    const consumer = new EngineConsumer<R>(engine, options)
    const member = EngineConsumer.memberOf(consumer)
    engine.port = member
    this.#consumers.add(consumer)
    member.join()
    return consumer
  }

  #ended(consumer: EngineConsumer<R>): void {
    this.#consumers.delete(consumer)
    if (this.#consumers.size === 0) for (const resolve of this.#deserted.splice(0)) resolve()
  }
  /** The group has heard of each consumer that it has left, also of one whose close() ran out of time. */
  deserted(): Promise<void> {
    return new Promise(resolve => {
      if (this.#consumers.size === 0) resolve()
      else this.#deserted.push(resolve)
    })
  }

  #checkOpen(): void {
    if (this.#shut) throw new MillraceError('CLOSED', { what: `The broker of group ${this.id}` })
  }

  /** As a killed process looks to the others. */
  crash(): void {
    this.#shut = true
    for (const consumer of [...this.#consumers]) EngineConsumer.memberOf(consumer).crash()
  }

  /** Every consumer closes; one whose close() is over has told its caller how that went. */
  shut(timeoutMs: number): Promise<void>[] {
    this.#shut = true
    const open = [...this.#consumers].filter(consumer => !EngineConsumer.memberOf(consumer).gone)
    return open.map(consumer => consumer.close({ timeoutMs }))
  }

  // ── offsets ──

  async committed(topic: R['topic'], partition: number): Promise<number | undefined> {
    await this.#check([{ topic, partition }])
    const found = await committedOffsets(this.#host.cluster, this.id, [{ topic, partition }])
    return found.get(keyOf({ topic, partition }))
  }

  async lag(): Promise<number> {
    const partitions = await this.#partitions()
    const { cluster, options } = this.#host
    const [stands, ends] = await Promise.all([
      standings(cluster, this.id, partitions),
      findOffsets(cluster, asking(partitions, 'latest'), options.isolation),
    ])
    const { autoOffsetReset } = this.resolved
    const standsAt = (where: TopicPartition): number | undefined => nextOf(stands.get(keyOf(where)), autoOffsetReset)
    const fresh = partitions.filter(where => standsAt(where) === undefined)
    const starts =
      autoOffsetReset === 'latest' ? [] : await findOffsets(cluster, asking(fresh, 'earliest'), options.isolation)
    const startOf = new Map(fresh.map((where, i) => [keyOf(where), starts[i]]))
    return partitions.reduce((lag, where, i) => {
      const next = standsAt(where) ?? startOf.get(keyOf(where)) ?? ends[i]!
      return lag + Math.max(0, ends[i]! - next)
    }, 0)
  }

  async resetOffsets(to: StartFrom, where?: readonly TopicPartition[]): Promise<void> {
    this.#checkOpen()
    if (where !== undefined) checkTopicPartitions('where', where)
    for (const entry of where ?? [{ topic: this.topics[0]!, partition: 0 }]) checkStart(to, entry)
    if (where !== undefined) await this.#check(where)
    const partitions = where ?? (await this.#partitions())
    const { cluster, options } = this.#host
    const { members } = await describeGroup(cluster, this.id)
    if (members.length > 0) throw new MillraceError('NON_EMPTY_GROUP', { group: this.id, members: members.length })
    const offsets =
      typeof to === 'number'
        ? partitions.map(() => to)
        : await findOffsets(cluster, asking(partitions, to), options.isolation)
    await writeOffsets(
      cluster,
      this.id,
      partitions.map(({ topic, partition }, i) => ({ topic, partition, nextOffset: offsets[i]! })),
    )
  }

  async caughtUp(): Promise<void> {
    const { cluster, options } = this.#host
    const group = {
      id: this.id,
      cluster,
      isolation: options.isolation,
      autoCommits: this.resolved.commitMode === 'autoCommit',
      autoOffsetReset: this.resolved.autoOffsetReset,
      consumers: () => [...this.#consumers].filter(consumer => !consumer.closed),
    }
    await caughtUp<R>(group, await this.#partitions())
  }

  async #partitions(): Promise<TopicPartition[]> {
    const { cluster } = this.#host
    const about = { what: `Looking for the topics of group ${this.id}` }
    const topics = await Promise.all(this.topics.map(topic => cluster.metadata(topic, { about, anew: true })))
    return topics.flatMap(({ name, partitions }) =>
      [...partitions.keys()].map(partition => ({ topic: name, partition })),
    )
  }

  /** UNKNOWN_TOPIC_OR_PARTITION for what is not of this group. */
  async #check(where: readonly TopicPartition[]): Promise<void> {
    for (const { topic, partition } of where) {
      if (!this.topics.includes(topic)) throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic })
      const about = { what: `Looking for topic ${topic}`, topic }
      const { cluster } = this.#host
      const isKnown = (anew: boolean): Promise<boolean> =>
        cluster.metadata(topic, { about, anew }).then(({ partitions }) => partitions[partition] !== undefined)
      if (!(await isKnown(false)) && !(await isKnown(true)))
        throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
    }
  }
}

function asking(partitions: readonly TopicPartition[], at: OffsetQuestion['at']): OffsetQuestion[] {
  return partitions.map(({ topic, partition }) => ({ topic, partition, at }))
}
