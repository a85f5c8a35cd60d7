import { randomUUID } from 'node:crypto'
import type { Engine, MemberPort, ResolvedGroupOptions, Source } from '../engine.js'
import { type AnyRecord, type Clock, type Interceptor, MillraceError, type NextOffset } from '../index.js'
import type { Cluster } from './cluster.js'
import { CommitQueue } from './commit-queue.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { Fetcher, type FetcherOptions } from './fetcher.js'
import { type DescribedGroup, describeGroupsApi } from './group-api.js'
import { type HeartbeatAnswer, type HeartbeatRequest, MemberState } from './member-state.js'
import type { Kafka } from './platformatic.js'
import { Positions } from './positions.js'
import type { Serialization } from './serialization.js'
import { ClusterSource } from './source.js'

/** What the engine of a member needs of its group. */
export interface MemberEngineOptions extends FetcherOptions {
  readonly group: string
  readonly topics: readonly string[]
  readonly instanceId: string | undefined
  readonly options: Readonly<ResolvedGroupOptions>
  /** The coordinator's own, by its name. Kafka: group.remote.assignor */
  readonly assignor: string
  readonly clock: Clock
  readonly interceptor: Interceptor
  readonly cluster: Cluster
  readonly serialization: Serialization
  /** Of the client, for its member ids. */
  readonly clientId: string
  report(error: unknown): void
  /** It has left for good; nothing of it is left behind. */
  ended?(): void
}

/** How long a member that is leaving waits for its commits, and again for the group to hear it; then its session ends by itself. */
const longestLeaveMs = 10_000
/** Between two looks whether the group has more for a member that waits for ready(). */
const lookAgainMs = 100

/** Why a group is not described to this client, now or later. */
const unanswerable: ReadonlySet<string> = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
])

/**
 * A member of a group on a cluster, by KIP-848: the group tells it what it is to own, and a partition stays its own until a
 * heartbeat has said that it is given up.
 */
export class MemberEngine<R extends AnyRecord> implements Engine<R> {
  readonly group: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly clock: Clock
  readonly options: Readonly<ResolvedGroupOptions>
  readonly interceptor: Interceptor
  port!: MemberPort<R>

  readonly #host: MemberEngineOptions
  readonly #cluster: Cluster
  readonly #id: string
  #joinedOnce = false
  readonly #state: MemberState
  readonly #commits: CommitQueue
  readonly #positions: Positions<R>
  #fetcher: Fetcher<R> | undefined
  /** What it owns, by topic id and partition. */
  readonly #sources = new Map<string, ClusterSource<R>>()
  /** Given up by the member, and still in a commit that has not been answered. */
  readonly #releasing = new Set<ClusterSource<R>>()
  #wanted: ReadonlySet<Source<R>> = new Set()
  /** How many partitions each topic had when it joined: more come while it is there. */
  readonly #counts = new Map<string, number>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #joinBy = 0
  #leaveBy = 0
  #left: (() => void) | undefined
  #closing = false
  #over = false

  constructor(host: MemberEngineOptions) {
    const { group, topics, instanceId, clock, options, interceptor, cluster, isolation } = host
    this.#host = host
    this.#cluster = cluster
    this.group = group
    this.topics = topics
    this.instanceId = instanceId
    this.clock = clock
    this.options = options
    this.interceptor = interceptor
    this.#id = `${host.clientId}-${randomUUID()}`
    this.#state = new MemberState({
      topics,
      assignor: host.assignor,
      rebalanceTimeoutMs: options.maxPollIntervalMs,
      isStatic: instanceId !== undefined,
    })
    this.#commits = new CommitQueue(cluster, group, instanceId, () => ({
      memberId: this.#id,
      epoch: this.#state.epoch,
    }))
    this.#positions = new Positions(cluster, { group, isolation, autoOffsetReset: options.autoOffsetReset })
  }

  /** Undefined until the group has answered. */
  get memberId(): string | undefined {
    return this.#joinedOnce ? this.#id : undefined
  }
  /** Kafka: the member epoch. */
  get generation(): number {
    return this.#state.epoch
  }
  exists(topic: string, partition: number): boolean {
    return this.#cluster.topic(topic)?.partitions[partition] !== undefined
  }
  changed(): void {}
  reset(): void {}
  report(error: unknown): void {
    this.#host.report(error)
  }

  // ── joining and leaving ──

  join(): void {
    this.#joinBy = Date.now() + this.#cluster.deliveryTimeoutMs
    if (this.#joinedOnce) return this.#begin()
    // Rule 61: a topic that was never there is told; one that is deleted later stays a subscription.
    const about = { what: `Joining group ${this.group}`, group: this.group }
    Promise.all(this.topics.map(topic => this.#cluster.metadata(topic, { about }))).then(
      () => {
        if (!this.#over) this.#begin()
      },
      error => this.#refuse(error),
    )
  }
  #begin(): void {
    this.#state.join(Date.now())
    this.#beat()
  }
  #refuse(error: unknown): void {
    this.#state.out()
    if (!this.#over) this.port.refused(error)
  }

  closing(): void {
    this.#closing = true
  }

  leave(reason: 'closed' | 'expelled' | 'crashed', done: () => void = () => {}): void {
    this.#dropAll()
    if (reason === 'expelled') {
      this.#commits.refuse(this.#unknown())
      return this.#sayGoodbye()
    }
    this.#left = done
    if (reason === 'crashed') {
      this.#state.out()
      return this.#end()
    }
    this.#lastCall = setTimeout(() => this.#commits.refuse(this.#unknown()), longestLeaveMs)
    this.#goWhenCommitted()
  }
  /** What was asked to be committed is committed: it would be refused afterwards. */
  #goWhenCommitted(): void {
    if (this.#over) return
    if (this.#commits.empty || this.#state.phase !== 'member') this.#sayGoodbye()
    else this.#commits.whenAnswered(() => this.#goWhenCommitted())
  }
  #lastCall: ReturnType<typeof setTimeout> | undefined
  #sayGoodbye(): void {
    this.#leaveBy = Date.now() + Math.min(longestLeaveMs, this.#cluster.requestTimeoutMs)
    this.#state.leave(Date.now())
    if (this.#state.phase === 'out') this.#gone()
    else this.#beat()
  }
  /** The group has heard that it left. */
  #gone(): void {
    if (this.#left !== undefined) this.#end()
    else this.#beat()
  }
  #end(): void {
    this.#over = true
    for (const timer of [this.#timer, this.#looking, this.#lastCall]) clearTimeout(timer)
    this.#commits.refuse(this.#unknown())
    this.#positions.close()
    this.#fetcher?.close()
    this.#host.ended?.()
    this.#left?.()
  }

  // ── heartbeats ──

  #beat(): void {
    clearTimeout(this.#timer)
    if (this.#over) return
    const now = Date.now()
    const request = this.#state.request(now)
    if (request !== undefined) return void this.#send(request)
    const { dueAt } = this.#state
    if (dueAt !== undefined) this.#timer = setTimeout(() => this.#beat(), dueAt - now)
  }

  async #send(request: HeartbeatRequest): Promise<void> {
    try {
      const { group, instanceId } = this
      const about = { what: `A heartbeat to group ${group}`, group, memberId: this.#id, instanceId }
      const answer = await this.#cluster.send(
        { group },
        kafka => kafka.consumerGroupHeartbeatV1.api,
        this.#args(request),
        {
          about,
          lane: 'group',
        },
      )
      this.#answered(answer)
    } catch (error) {
      this.#failed(error)
    }
    this.#beat()
  }
  #args(request: HeartbeatRequest): HeartbeatArgs {
    const { memberEpoch, rebalanceTimeoutMs, subscribedTopicNames, serverAssignor, topicPartitions } = request
    // Null is "as before" to the protocol, if not to the client's types.
    const owned = topicPartitions as HeartbeatArgs[9]
    const { group, instanceId = null } = this
    const names = subscribedTopicNames as string[] | null
    return [group, this.#id, memberEpoch, instanceId, null, rebalanceTimeoutMs, names, null, serverAssignor, owned]
  }

  #answered({ memberEpoch, heartbeatIntervalMs, assignment }: Omit<HeartbeatAnswer, 'assignment'> & Assigned): void {
    const answer = { memberEpoch, heartbeatIntervalMs, assignment: assignment?.topicPartitions ?? null }
    const became = this.#state.answered(answer, Date.now())
    if (this.#over) return
    if (became === 'left') return this.#gone()
    if (became === 'joined') this.#joined()
    if (this.#state.phase !== 'member') return
    this.#commits.heard()
    this.#reconcile()
  }
  #joined(): void {
    this.#joinedOnce = true
    this.#completeIn = -1
    this.#counts.clear()
    for (const topic of this.topics) this.#counts.set(topic, this.#cluster.topic(topic)?.partitions.length ?? 0)
    this.port.joined()
  }

  /** Kafka: AbstractHeartbeatRequestManager.onErrorResponse, onFailure. */
  #failed(error: unknown): void {
    if (this.#over) return
    const { phase, uncertain } = this.#state
    const now = Date.now()
    const name = kafkaNameOf(error)
    const passing = error instanceof MillraceError && error.retriable
    const unknown = name === 'FENCED_MEMBER_EPOCH' || name === 'UNKNOWN_MEMBER_ID'
    if (unknown || (uncertain && name === 'UNRELEASED_INSTANCE_ID')) {
      if (this.#state.fenced(now) === 'left') this.#gone()
      else if (this.#state.phase === 'out') this.#out('expelled', this.#unknown())
      return
    }
    if (phase === 'leaving') {
      // Where the group can't be told, its session ends by itself.
      if (passing && now < this.#leaveBy) this.#state.failed(now)
      else if (this.#state.fenced(now) === 'left') this.#gone()
      return
    }
    const patient = phase === 'member' || now < this.#joinBy
    // A member stays one while it may not see a topic: it may be allowed to.
    if ((passing && patient) || (name === 'TOPIC_AUTHORIZATION_FAILED' && phase === 'member')) {
      if (!passing) this.report(error)
      this.#state.failed(now)
      return
    }
    this.#state.refused()
    if (phase === 'joining') this.port.refused(name === 'UNSUPPORTED_VERSION' ? this.#tooOld(error) : error)
    else this.#out(name === 'FENCED_INSTANCE_ID' ? 'fenced' : 'expelled', error)
  }
  #out(phase: 'expelled' | 'fenced', error: unknown): void {
    this.#dropAll()
    this.#commits.refuse(error)
    this.port.out(phase, error)
  }
  #tooOld(cause: unknown): MillraceError {
    const needed = 'groups on KIP-848, that is Apache Kafka 4.0 or later with its consumer protocol enabled'
    return new MillraceError('UNSUPPORTED_VERSION', { what: `Joining group ${this.group}`, needed }, { cause })
  }
  #unknown(): MillraceError {
    return new MillraceError('UNKNOWN_MEMBER_ID', { group: this.group, memberId: this.#id })
  }

  // ── what it owns, and what it is to own ──

  /** Towards what the group has assigned last. */
  #reconcile(): void {
    const state = this.#state
    const surplus = [...this.#sources.values()].filter(
      ({ topicId, partition }) => !state.isAssigned(topicId, partition),
    )
    const wanted = new Set(surplus.filter(source => !this.#inDoubt(source, surplus)))
    if (!sameSet(wanted, this.#wanted)) {
      this.#wanted = wanted
      this.port.wanted(wanted)
    }
    if (!this.#closing) this.#grantMissing()
  }

  /** Topics of which nothing is assigned any more: they may be deleted, which is to be lost and not given up. */
  readonly #doubted = new Map<string, 'asked' | 'there'>()
  #inDoubt(source: ClusterSource<R>, surplus: readonly ClusterSource<R>[]): boolean {
    const { topic, topicId } = source
    const known = this.#doubted.get(topicId)
    if (known !== undefined) return known === 'asked'
    for (const own of this.#sources.values()) if (own.topicId === topicId && !surplus.includes(own)) return false
    this.#doubted.set(topicId, 'asked')
    const settle = (): void => {
      this.#doubted.set(topicId, 'there')
      if (this.#state.phase !== 'member') return
      if (this.#cluster.topic(topic)?.id !== topicId) this.#lose(topicId, topic)
      this.#reconcile()
      this.#doubted.delete(topicId)
    }
    this.#cluster.refresh([topic]).then(settle, settle)
    return true
  }

  #grantMissing(learn = true): void {
    const granted: ClusterSource<R>[] = []
    let unknown = false
    for (const { topicId, partitions } of this.#state.missing) {
      const topic = this.#cluster.topicName(topicId)
      for (const partition of partitions) {
        if (topic === undefined || !this.exists(topic, partition)) {
          unknown = true
          continue
        }
        // One of that name that is not deleted any more has another id: what was owned of it is gone.
        for (const source of this.#sources.values())
          if (source.topic === topic && source.topicId !== topicId) this.#lose(source.topicId, topic)
        granted.push(this.#own(topic, topicId, partition))
      }
    }
    if (granted.length > 0) this.port.granted(granted)
    if (unknown && learn) this.#learn()
  }
  #own(topic: string, topicId: string, partition: number): ClusterSource<R> {
    this.#fetcher ??= new Fetcher<R>(this.#cluster, this.#host.serialization, this.#host)
    const feed = this.#fetcher.open({ topic, partition }, topicId, () => this.#lose(topicId, topic))
    const isNew = partition >= (this.#counts.get(topic) ?? 0)
    const source = new ClusterSource<R>(feed, this.#positions, isNew)
    this.#sources.set(idOf(source), source)
    this.#state.own(topicId, partition)
    return source
  }

  #learning = false
  /** A topic or a partition is new to us; what the cluster does not know yet is asked for again with the next heartbeat's answer. */
  #learn(): void {
    if (this.#learning) return
    this.#learning = true
    const learnt = (): void => {
      this.#learning = false
      if (this.#state.phase === 'member' && !this.#closing) this.#grantMissing(false)
    }
    this.#cluster.refresh(this.topics).then(learnt, learnt)
  }

  /** The topic is not there any more. */
  #lose(topicId: string, topic: string): void {
    const lost = [...this.#sources.values()].filter(source => source.topicId === topicId)
    if (lost.length === 0) return
    for (const source of lost) this.#giveUp(source)
    this.port.lost(lost, new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic }))
    this.#beat()
  }

  release(sources: readonly Source<R>[]): void {
    for (const source of sources as readonly ClusterSource<R>[]) {
      if (this.#sources.get(idOf(source)) !== source) continue
      source.close()
      // A commit that is on its way must not come behind the next owner's.
      if (this.#commits.pending(source)) this.#releaseLater(source)
      else this.#giveUp(source)
    }
    this.#beat()
  }
  #releaseLater(source: ClusterSource<R>): void {
    if (this.#releasing.has(source)) return
    this.#releasing.add(source)
    const look = (): void => {
      if (this.#sources.get(idOf(source)) !== source) return
      if (this.#commits.pending(source)) return this.#commits.whenAnswered(look)
      this.#giveUp(source)
      this.#beat()
    }
    this.#commits.whenAnswered(look)
  }
  #giveUp(source: ClusterSource<R>): void {
    source.close()
    this.#sources.delete(idOf(source))
    this.#releasing.delete(source)
    this.#state.release(source.topicId, source.partition, Date.now())
  }
  #dropAll(): void {
    for (const source of this.#sources.values()) source.close()
    this.#sources.clear()
    this.#releasing.clear()
    this.#wanted = new Set()
  }

  // ── commits ──

  commit(offsets: readonly NextOffset[], done: (error?: unknown) => void): void {
    if (this.#state.phase !== 'member') return done(this.#unknown())
    this.#commits.add(offsets, error => {
      if (error === undefined) this.#committed(offsets)
      done(error)
    })
  }
  #committed(offsets: readonly NextOffset[]): void {
    for (const { topic, partition, nextOffset } of offsets) {
      const topicId = this.#cluster.topic(topic)?.id
      const source = topicId === undefined ? undefined : this.#sources.get(`${topicId}-${partition}`)
      if (source !== undefined) source.committed = nextOffset
    }
  }

  // ── whether that is all ──

  /** The epoch in which the group has said that there is no more to come. */
  #completeIn = -1
  #looking: ReturnType<typeof setTimeout> | undefined
  #asking = false

  /**
   * Only looked at while somebody waits for ready(). What others have not given up yet is not in the assignment that a
   * heartbeat brings: the group's own description says whether the target is reached.
   */
  get complete(): boolean {
    if (!this.#state.settled || this.#wanted.size > 0) return false
    if (this.#completeIn === this.#state.epoch) return true
    if (!this.#asking && this.#looking === undefined) void this.#describe()
    return false
  }

  async #describe(): Promise<void> {
    this.#asking = true
    const { group } = this
    const about = { what: `Asking how group ${group} is`, group }
    let complete = false
    try {
      const [found] = await this.#cluster.send({ group }, describeGroupsApi, [[group], false], { about, lane: 'group' })
      if (found === undefined) throw errorOf(-1, about)
      if (found.errorCode !== 0) throw errorOf(found.errorCode, about, found.errorMessage)
      complete = this.#isReached(found)
    } catch (error) {
      // Who may not ask goes by what its heartbeats say.
      complete = unanswerable.has(kafkaNameOf(error) ?? '')
    }
    this.#asking = false
    if (this.#over || this.#state.phase !== 'member') return
    if (complete) {
      this.#completeIn = this.#state.epoch
      this.port.granted([])
    } else {
      this.#cluster.refresh(this.topics).catch(() => {})
      this.#looking = setTimeout(() => {
        this.#looking = undefined
        if (this.#state.phase === 'member') this.port.granted([])
      }, lookAgainMs)
    }
  }

  /** It has its target, which is the group's latest, and that one covers all partitions there are. */
  #isReached({ epoch, assignmentEpoch, members }: DescribedGroup): boolean {
    const own = members.find(({ memberId }) => memberId === this.#id)
    if (own === undefined || !own.assigned.equals(own.target)) return false
    if (epoch !== assignmentEpoch || own.memberEpoch !== epoch || this.#state.epoch !== epoch) return false
    // A new topic, or a new partition, comes to the coordinator a moment later than to others.
    return this.topics.every(name => {
      const topic = this.#cluster.topic(name)
      return (
        topic === undefined || topic.partitions.every((_, i) => members.some(({ target }) => target.has(topic.id, i)))
      )
    })
  }
}

type HeartbeatArgs = Parameters<Kafka['consumerGroupHeartbeatV1']['createRequest']>
interface Assigned {
  readonly assignment: { readonly topicPartitions: readonly { topicId: string; partitions: number[] }[] } | null
}

const idOf = ({ topicId, partition }: { topicId: string; partition: number }): string => `${topicId}-${partition}`

function sameSet<T>(one: ReadonlySet<T>, other: ReadonlySet<T>): boolean {
  return one.size === other.size && [...one].every(entry => other.has(entry))
}
