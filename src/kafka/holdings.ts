import type { MemberPort, ResolvedGroupOptions, Source } from '../engine.js'
import { type AnyRecord, MillraceError, type NextOffset } from '../index.js'
import type { Cluster } from './cluster.js'
import type { CommitQueue } from './commit-queue.js'
import { elapsedMs } from './elapsed.js'
import type { Fetcher } from './fetcher.js'
import type { MemberState } from './member-state.js'
import { ClusterSource, type Questions } from './source.js'

/** What the holdings of a member stand on. */
export interface HoldingsHost<R extends AnyRecord> {
  readonly topics: readonly string[]
  readonly options: Pick<ResolvedGroupOptions, 'autoOffsetReset'>
  readonly cluster: Pick<Cluster, 'topic' | 'topicName' | 'isMissing' | 'refresh'>
  readonly state: MemberState
  readonly commits: Pick<CommitQueue, 'pending' | 'whenAnswered'>
  readonly questions: Questions<R>
  readonly port: MemberPort<R>
  fetcher(): Pick<Fetcher<R>, 'open'>
  /** The group is to hear of it. */
  beat(): void
}

/**
 * What a member owns, brought towards what the group has assigned last: what is missing is granted, of the rest its owner is
 * asked to give it up, or told that it is gone.
 */
export class Holdings<R extends AnyRecord> {
  /** It is about to leave, and is given nothing more. */
  closing = false
  readonly #host: HoldingsHost<R>
  readonly #sources = new Map<string, ClusterSource<R>>()
  #wanted: ReadonlySet<Source<R>> = new Set()
  /** How many partitions each topic had when the member joined: more come while it is there. */
  readonly #counts = new Map<string, number>()
  #learning = false
  /** Topics of which nothing is assigned any more, and whether it is known that they are there. */
  readonly #doubted = new Map<string, 'asked' | 'there'>()

  constructor(host: HoldingsHost<R>) {
    this.#host = host
  }

  joined(): void {
    const { topics, cluster } = this.#host
    for (const topic of topics) this.#counts.set(topic, cluster.topic(topic)?.partitions.length ?? 0)
  }
  /** All that it owns is assigned, all that is assigned it owns, and it is known where what was asked for begins. */
  get settled(): boolean {
    if (!this.#host.state.settled || this.#wanted.size > 0) return false
    return [...this.#sources.values()].every(source => !source.asking)
  }

  reconcile(): void {
    const { state, port } = this.#host
    const surplus = [...this.#sources.values()].filter(
      ({ topicId, partition }) => !state.isAssigned(topicId, partition),
    )
    for (const topicId of [...this.#doubted.keys()])
      if (!surplus.some(source => source.topicId === topicId)) this.#doubted.delete(topicId)
    const wanted = new Set(surplus.filter(source => !this.#inDoubt(source, surplus)))
    if (!sameSet(wanted, this.#wanted)) {
      this.#wanted = wanted
      port.wanted(wanted)
    }
    if (!this.closing) this.#grantMissing()
  }

  /** A topic of which nothing is assigned any more may be deleted: that is to be lost, not given up. */
  #inDoubt({ topic, topicId }: ClusterSource<R>, surplus: readonly ClusterSource<R>[]): boolean {
    const { cluster, state } = this.#host
    const known = this.#doubted.get(topicId)
    if (known !== undefined) return known === 'asked'
    for (const own of this.#sources.values()) if (own.topicId === topicId && !surplus.includes(own)) return false
    this.#doubted.set(topicId, 'asked')
    const settle = (): void => {
      this.#doubted.set(topicId, 'there')
      if (state.phase !== 'member') return
      const found = cluster.topic(topic)
      if (found === undefined ? cluster.isMissing(topic) : found.id !== topicId) this.#lose(topicId, topic)
      this.reconcile()
    }
    cluster.refresh([topic]).then(settle, settle)
    return true
  }

  #grantMissing(learn = true): void {
    const { state, cluster, port, options } = this.#host
    const granted: ClusterSource<R>[] = []
    let unknown = false
    for (const { topicId, partitions } of state.missing) {
      const topic = cluster.topicName(topicId)
      for (const partition of partitions) {
        if (topic === undefined || cluster.topic(topic)?.partitions[partition] === undefined) {
          unknown = true
          continue
        }
        // One of that name that is not deleted any more has another id: what was owned of it is gone.
        for (const source of this.#sources.values())
          if (source.topic === topic && source.topicId !== topicId) this.#lose(source.topicId, topic)
        granted.push(this.#own(topic, topicId, partition))
      }
    }
    if (granted.length > 0) port.granted(granted)
    // Rule 24: 'latest' is where the log ends now, not when it is polled first.
    if (options.autoOffsetReset === 'latest') for (const source of granted) source.resolve('committed')
    if (unknown && learn) this.#learn()
  }
  #own(topic: string, topicId: string, partition: number): ClusterSource<R> {
    const feed = this.#host.fetcher().open({ topic, partition }, topicId, () => this.#lose(topicId, topic))
    const isNew = partition >= (this.#counts.get(topic) ?? 0)
    const source = new ClusterSource<R>(feed, this.#host.questions, isNew)
    this.#sources.set(idOf(source), source)
    this.#host.state.own(topicId, partition)
    return source
  }

  /**
   * A topic or a partition is new to us. What the cluster does not know yet either is asked for again with the next
   * heartbeat's answer.
   */
  #learn(): void {
    if (this.#learning) return
    this.#learning = true
    const learnt = (): void => {
      this.#learning = false
      if (this.#host.state.phase === 'member' && !this.closing) this.#grantMissing(false)
    }
    this.#host.cluster.refresh(this.#host.topics).then(learnt, learnt)
  }

  /** The topic is not there any more. */
  #lose(topicId: string, topic: string): void {
    const lost = [...this.#sources.values()].filter(source => source.topicId === topicId)
    if (lost.length === 0) return
    for (const source of lost) this.#giveUp(source)
    this.#host.port.lost(lost, new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic }))
    this.#host.beat()
  }

  /** Their owner has given them up. A commit that is on its way must not come behind the next owner's. */
  release(sources: readonly Source<R>[]): void {
    for (const source of sources as readonly ClusterSource<R>[]) {
      source.close()
      this.#giveUpWhenCommitted(source)
    }
    this.#host.beat()
  }
  #giveUpWhenCommitted(source: ClusterSource<R>): void {
    if (this.#sources.get(idOf(source)) !== source) return
    if (!this.#host.commits.pending(source)) return this.#giveUp(source)
    this.#host.commits.whenAnswered(() => {
      this.#giveUpWhenCommitted(source)
      this.#host.beat()
    })
  }
  #giveUp(source: ClusterSource<R>): void {
    source.close()
    this.#sources.delete(idOf(source))
    this.#host.state.release(source.topicId, source.partition, elapsedMs())
  }

  /** It is out, and owns nothing. */
  drop(): void {
    for (const source of this.#sources.values()) source.close()
    this.#sources.clear()
    this.#doubted.clear()
    this.#wanted = new Set()
  }

  committed(offsets: readonly NextOffset[]): void {
    for (const { topic, partition, nextOffset } of offsets) {
      const topicId = this.#host.cluster.topic(topic)?.id
      const source = topicId === undefined ? undefined : this.#sources.get(idOf({ topicId, partition }))
      if (source !== undefined) source.committed = nextOffset
    }
  }
}

const idOf = ({ topicId, partition }: { topicId: string; partition: number }): string => `${topicId}-${partition}`

function sameSet<T>(one: ReadonlySet<T>, other: ReadonlySet<T>): boolean {
  return one.size === other.size && [...one].every(entry => other.has(entry))
}
