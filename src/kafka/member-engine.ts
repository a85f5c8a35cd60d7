import { randomUUID } from 'node:crypto'
import type { Engine, MemberPort, ResolvedGroupOptions, Source } from '../engine.js'
import { type AnyRecord, type Clock, type Interceptor, MillraceError, type NextOffset } from '../index.js'
import type { Cluster } from './cluster.js'
import { CommitQueue } from './commit-queue.js'
import { beginning, forgetBeginnings } from './committed-offsets.js'
import { elapsedMs } from './elapsed.js'
import { kafkaNameOf } from './errors.js'
import { Fetcher, type FetcherOptions } from './fetcher.js'
import { GroupTarget } from './group-target.js'
import { Heartbeats } from './heartbeats.js'
import { Holdings, type HoldingsHost } from './holdings.js'
import { type HeartbeatAnswer, MemberState } from './member-state.js'
import { Positions } from './positions.js'
import type { Serialization } from './serialization.js'

/** What the engine of a member needs of its group. */
interface MemberEngineOptions extends FetcherOptions {
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

/**
 * How long a member that is leaving waits for its commits, and again for the group to hear it; then its session ends by
 * itself.
 */
const longestLeaveMs = 10_000
/** The same for where its group began, if it was the last. */
const longestForgetMs = 2_000

/**
 * A member of a group on a cluster, by KIP-848: the group tells it what it is to own, and a partition stays its own until a
 * heartbeat has said that it is given up.
 */
export class MemberEngine<R extends AnyRecord> implements Engine<R>, HoldingsHost<R> {
  readonly group: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly clock: Clock
  readonly options: Readonly<ResolvedGroupOptions>
  readonly interceptor: Interceptor
  readonly cluster: Cluster
  readonly state: MemberState
  readonly commits: CommitQueue
  readonly questions: Positions<R>
  port!: MemberPort<R>

  readonly #host: MemberEngineOptions
  readonly #id: string
  readonly #holdings: Holdings<R>
  readonly #heartbeats: Heartbeats
  readonly #target: GroupTarget
  #fetcher: Fetcher<R> | undefined
  #joinedOnce = false
  /** A first answer is waited for so long. */
  #joinBy = 0
  #leaveBy = 0
  #lastCall: ReturnType<typeof setTimeout> | undefined
  #left: (() => void) | undefined
  #over = false

  constructor(host: MemberEngineOptions) {
    const { group, topics, instanceId, clock, options, interceptor, cluster, isolation } = host
    const memberId = `${host.clientId}-${randomUUID()}`
    this.#host = host
    this.#id = memberId
    this.cluster = cluster
    this.group = group
    this.topics = topics
    this.instanceId = instanceId
    this.clock = clock
    this.options = options
    this.interceptor = interceptor
    this.state = new MemberState({
      topics,
      assignor: host.assignor,
      rebalanceTimeoutMs: options.maxPollIntervalMs,
      isStatic: instanceId !== undefined,
    })
    this.commits = new CommitQueue(cluster, group, instanceId, () => ({ memberId, epoch: this.state.epoch }))
    this.questions = new Positions(cluster, {
      group,
      isolation,
      autoOffsetReset: options.autoOffsetReset,
      committing: where => this.commits.pending(where),
      begin: (offsets, done) => this.commits.add(offsets, done, beginning),
      answered: () => this.#lookAgain(),
    })
    this.#holdings = new Holdings<R>(this)
    this.#heartbeats = new Heartbeats(cluster, this.state, {
      group,
      memberId,
      instanceId,
      answered: answer => this.#answered(answer),
      failed: error => this.#failed(error),
    })
    this.#target = new GroupTarget(cluster, { group, memberId, topics, changed: () => this.#lookAgain() })
  }

  /** Undefined until the group has answered. */
  get memberId(): string | undefined {
    return this.#joinedOnce ? this.#id : undefined
  }
  /** Kafka: the member epoch. */
  get generation(): number {
    return this.state.epoch
  }
  get complete(): boolean {
    return this.#holdings.settled && this.#target.reached(this.state.epoch)
  }
  /** Nothing granted: the member looks again whether it is complete. */
  #lookAgain(): void {
    if (!this.#over && this.state.phase === 'member') this.port.granted([])
  }
  exists(topic: string, partition: number): boolean {
    return this.cluster.topic(topic)?.partitions[partition] !== undefined
  }
  changed(): void {}
  reset(): void {}
  report(error: unknown): void {
    this.#host.report(error)
  }

  fetcher(): Fetcher<R> {
    this.#fetcher ??= new Fetcher<R>(this.cluster, this.#host.serialization, this.#host)
    return this.#fetcher
  }
  beat(): void {
    this.#heartbeats.beat()
  }

  // ── joining and leaving ──

  join(): void {
    this.#joinBy = elapsedMs() + this.cluster.deliveryTimeoutMs
    if (this.#joinedOnce) return this.#begin()
    // Rule 61: a topic that was never there is told; one that is deleted later stays a subscription.
    const about = { what: `Joining group ${this.group}`, group: this.group }
    Promise.all(this.topics.map(topic => this.cluster.metadata(topic, { about }))).then(
      () => this.#begin(),
      error => {
        if (!this.#over) this.port.refused(error)
      },
    )
  }
  #begin(): void {
    if (this.#over) return
    this.state.join(elapsedMs())
    this.beat()
  }

  closing(): void {
    this.#holdings.closing = true
  }

  leave(reason: 'closed' | 'expelled' | 'crashed', done: () => void = () => {}): void {
    this.#holdings.drop()
    if (reason === 'expelled') {
      this.commits.refuse(this.#unknown())
      return this.#sayGoodbye()
    }
    this.#left = done
    if (reason === 'crashed') return this.#end()
    this.#lastCall = setTimeout(() => this.commits.refuse(this.#unknown()), longestLeaveMs)
    this.#goWhenCommitted()
  }
  /** What was asked to be committed is committed: afterwards it would be refused. */
  #goWhenCommitted(): void {
    if (this.#over) return
    if (this.commits.empty || this.state.phase !== 'member') this.#sayGoodbye()
    else this.commits.whenAnswered(() => this.#goWhenCommitted())
  }
  #sayGoodbye(): void {
    this.#leaveBy = elapsedMs() + Math.min(longestLeaveMs, this.cluster.requestTimeoutMs)
    this.state.leave(elapsedMs())
    if (this.state.phase === 'out') this.#gone()
    else this.beat()
  }
  /** The group has heard that it left; it may be about to join anew. */
  #gone(): void {
    if (this.#left === undefined) return
    if (this.options.autoOffsetReset !== 'latest' || !this.#joinedOnce) return this.#end()
    // Of no use to who reads the end each time it starts; a group with members left refuses it.
    const partitions = this.topics.flatMap(topic =>
      (this.cluster.topic(topic)?.partitions ?? []).map((_, partition) => ({ topic, partition })),
    )
    const end = (): void => {
      if (!this.#over) this.#end()
    }
    forgetBeginnings(this.cluster, this.group, partitions, longestForgetMs).then(end, end)
  }
  #end(): void {
    this.#over = true
    this.state.out()
    clearTimeout(this.#lastCall)
    this.#heartbeats.stop()
    this.#target.close()
    this.commits.refuse(this.#unknown())
    this.questions.close()
    this.#fetcher?.close()
    this.#host.ended?.()
    this.#left?.()
  }

  // ── what heartbeats bring ──

  #answered(answer: HeartbeatAnswer): void {
    const became = this.state.answered(answer, elapsedMs())
    if (became === 'left') return this.#gone()
    if (became === 'joined') this.#joined()
    if (this.state.phase !== 'member') return
    this.commits.heard()
    this.#holdings.reconcile()
  }
  #joined(): void {
    this.#joinedOnce = true
    this.#target.forget()
    this.#holdings.joined()
    this.port.joined()
  }

  /** Kafka: AbstractHeartbeatRequestManager.onErrorResponse, onFailure. */
  #failed(error: unknown): void {
    const { phase, uncertain } = this.state
    const now = elapsedMs()
    const name = kafkaNameOf(error)
    const passing = error instanceof MillraceError && error.retriable
    const unknown = name === 'FENCED_MEMBER_EPOCH' || name === 'UNKNOWN_MEMBER_ID'
    if (unknown || (uncertain && name === 'UNRELEASED_INSTANCE_ID')) {
      if (this.state.fenced(now) === 'left') this.#gone()
      else if (this.state.phase === 'out') this.#out('expelled', this.#unknown())
      return
    }
    if (phase === 'leaving') {
      // Where the group can't be told, its session ends by itself.
      if (passing && now < this.#leaveBy) this.state.failed(now)
      else if (this.state.fenced(now) === 'left') this.#gone()
      return
    }
    const patient = phase === 'member' || now < this.#joinBy
    // A member stays one while it may not see a topic: it may be allowed to.
    const told = name === 'TOPIC_AUTHORIZATION_FAILED' && phase === 'member'
    if ((passing && patient) || told) {
      this.state.failed(now)
      if (told) this.port.failed(error)
      return
    }
    this.state.refused()
    if (phase === 'joining') this.port.refused(name === 'UNSUPPORTED_VERSION' ? this.#tooOld(error) : error)
    else this.#out(name === 'FENCED_INSTANCE_ID' ? 'fenced' : 'expelled', error)
  }
  #out(phase: 'expelled' | 'fenced', error: unknown): void {
    this.#holdings.drop()
    this.commits.refuse(error)
    this.port.out(phase, error)
  }
  #tooOld(cause: unknown): MillraceError {
    const needed = 'groups on KIP-848, that is Apache Kafka 4.0 or later with its consumer protocol enabled'
    return new MillraceError('UNSUPPORTED_VERSION', { what: `Joining group ${this.group}`, needed }, { cause })
  }
  #unknown(): MillraceError {
    return new MillraceError('UNKNOWN_MEMBER_ID', { group: this.group, memberId: this.#id })
  }

  // ── what its member does ──

  release(sources: readonly Source<R>[]): void {
    this.#holdings.release(sources)
  }

  commit(offsets: readonly NextOffset[], done: (error?: unknown) => void): void {
    if (this.state.phase !== 'member') return done(this.#unknown())
    this.commits.add(offsets, error => {
      if (error === undefined) this.#holdings.committed(offsets)
      done(error)
    })
  }
}
