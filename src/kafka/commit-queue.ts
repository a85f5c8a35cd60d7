import { MillraceError, type NextOffset, type TopicPartition } from '../index.js'
import { backoff } from './backoff.js'
import { byTopic, keyOf } from './by-topic.js'
import type { Cluster } from './cluster.js'
import { elapsedMs } from './elapsed.js'
import { errorOf, kafkaNameOf } from './errors.js'

/** Whose commits they are, as of now. */
interface Committing {
  readonly memberId: string
  readonly epoch: number
}
interface Commit {
  readonly offsets: readonly NextOffset[]
  readonly metadata: string
  readonly done: (error?: unknown) => void
}

type Entry = NextOffset & { readonly metadata: string }

const unknownEpoch = -1
const triesForUnknownTopic = 4

/**
 * The commits of one member, in order: one request at a time, which takes along all that has come meanwhile. What fails
 * for the moment is tried again; one that came before the group's last word (STALE_MEMBER_EPOCH) as soon as that has been
 * heard. Kafka: CommitRequestManager.
 */
export class CommitQueue {
  readonly #cluster: Cluster
  readonly #group: string
  readonly #instanceId: string | undefined
  readonly #who: () => Committing
  #waiting: Commit[] = []
  #sent: readonly Commit[] = []
  /** Ends the pause before the next try. */
  #hurry: (() => void) | undefined
  /** Counts the memberships: an earlier one's commits are over. */
  #membership = 0
  #drained: (() => void)[] = []

  constructor(cluster: Cluster, group: string, instanceId: string | undefined, who: () => Committing) {
    this.#cluster = cluster
    this.#group = group
    this.#instanceId = instanceId
    this.#who = who
  }

  add(offsets: readonly NextOffset[], done: (error?: unknown) => void, metadata = ''): void {
    this.#waiting.push({ offsets, done, metadata })
    if (this.#sent.length === 0) void this.#send()
  }

  /** Whether a commit of that partition has not been answered yet. */
  pending({ topic, partition }: TopicPartition): boolean {
    const names = ({ offsets }: Commit): boolean =>
      offsets.some(entry => entry.topic === topic && entry.partition === partition)
    return this.#sent.some(names) || this.#waiting.some(names)
  }

  /** Calls back when some have been answered. */
  whenAnswered(then: () => void): void {
    this.#drained.push(then)
  }
  get empty(): boolean {
    return this.#sent.length === 0 && this.#waiting.length === 0
  }

  /** The group has spoken: what was refused for an old epoch may be tried again. */
  heard(): void {
    this.#hurry?.()
  }

  /** The membership is over: whatever has not been answered is refused. */
  refuse(error: unknown): void {
    this.#membership++
    const refused = [...this.#sent, ...this.#waiting]
    this.#sent = []
    this.#waiting = []
    this.#hurry?.()
    for (const { done } of refused) done(error)
    this.#tell()
  }

  async #send(): Promise<void> {
    const membership = this.#membership
    this.#sent = this.#waiting
    this.#waiting = []
    const latest = new Map<string, Entry>()
    for (const { offsets, metadata } of this.#sent)
      for (const entry of offsets) latest.set(keyOf(entry), { ...entry, metadata })
    let outcome: Outcome
    try {
      outcome = await this.#retrying([...latest.values()], membership)
    } catch (error) {
      outcome = { all: error }
    }
    if (membership !== this.#membership) return
    const answered = this.#sent
    this.#sent = []
    if (this.#waiting.length > 0) void this.#send()
    for (const { offsets, done } of answered) done(outcome.all ?? firstError(offsets, outcome.failed))
    this.#tell()
  }
  #tell(): void {
    for (const then of this.#drained.splice(0)) then()
  }

  async #retrying(offsets: readonly Entry[], membership: number): Promise<Outcome> {
    const limit = elapsedMs() + this.#cluster.deliveryTimeoutMs
    for (let tries = 0; ; tries++) {
      let outcome: Outcome
      try {
        outcome = { failed: await this.#try(offsets) }
      } catch (error) {
        outcome = { all: error }
      }
      if (membership !== this.#membership) return outcome
      const errors = outcome.all === undefined ? [...(outcome.failed?.values() ?? [])] : [outcome.all]
      const pause = backoff(tries)
      if (!errors.some(error => isPassing(error, tries)) || elapsedMs() + pause > limit) return outcome
      await this.#pause(pause)
      if (membership !== this.#membership) return outcome
    }
  }

  /** What was refused, by partition. */
  async #try(offsets: readonly Entry[]): Promise<ReadonlyMap<string, MillraceError>> {
    const { memberId, epoch } = this.#who()
    const group = this.#group
    const topics = byTopic(offsets, entry => ({
      partitionIndex: entry.partition,
      committedOffset: BigInt((entry as Entry).nextOffset),
      committedLeaderEpoch: unknownEpoch,
      committedMetadata: (entry as Entry).metadata,
    }))
    const to = { group }
    const about = { what: `Committing offsets of group ${group}`, group, memberId, generation: epoch }
    const answer = await this.#cluster.send(
      to,
      kafka => kafka.offsetCommitV9.api,
      [group, epoch, memberId, this.#instanceId ?? null, topics],
      { about, lane: 'group', partial: true },
    )
    const failed = new Map<string, MillraceError>()
    for (const { name: topic, partitions } of answer.topics)
      for (const { partitionIndex: partition, errorCode } of partitions) {
        if (errorCode === 0) continue
        const instanceId = this.#instanceId
        const error = errorOf(errorCode, { ...about, topic, partition, instanceId })
        this.#cluster.heard(to, error)
        failed.set(keyOf({ topic, partition }), error)
      }
    return failed
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const over = (): void => {
        clearTimeout(timer)
        this.#hurry = undefined
        resolve()
      }
      const timer = setTimeout(over, ms)
      this.#hurry = over
    })
  }
}

interface Outcome {
  readonly all?: unknown
  readonly failed?: ReadonlyMap<string, MillraceError>
}

function firstError(
  offsets: readonly NextOffset[],
  failed: ReadonlyMap<string, MillraceError> | undefined,
): MillraceError | undefined {
  for (const entry of offsets) {
    const error = failed?.get(keyOf(entry))
    if (error !== undefined) return error
  }
  return undefined
}

/** A later try may do better. That a topic is unknown passes soon, if it does: brokers hear of a new one one by one. */
function isPassing(error: unknown, tries: number): boolean {
  const name = kafkaNameOf(error)
  if (name === 'UNKNOWN_TOPIC_OR_PARTITION') return tries < triesForUnknownTopic
  return name === 'STALE_MEMBER_EPOCH' || (error instanceof MillraceError && error.retriable)
}
