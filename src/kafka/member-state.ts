import { backoff } from './backoff.js'
import { PartitionSet, type TopicIdPartitions } from './partition-set.js'

/** What a heartbeat says; null, or -1: as the group knows already. Kafka: ConsumerGroupHeartbeatRequest. */
export interface HeartbeatRequest {
  readonly memberEpoch: number
  readonly rebalanceTimeoutMs: number
  readonly subscribedTopicNames: readonly string[] | null
  readonly serverAssignor: string | null
  readonly topicPartitions: readonly TopicIdPartitions[] | null
}
/** What the group answers; `assignment` null: as before. Kafka: ConsumerGroupHeartbeatResponse. */
export interface HeartbeatAnswer {
  readonly memberEpoch: number
  readonly heartbeatIntervalMs: number
  readonly assignment: readonly TopicIdPartitions[] | null
}

/** How a member wants to take part. */
export interface Subscription {
  readonly topics: readonly string[]
  readonly assignor: string
  readonly rebalanceTimeoutMs: number
  /** It has a seat that outlives it: group.instance.id. */
  readonly isStatic: boolean
}

/** Kafka: ConsumerGroupHeartbeatRequest.JOIN_GROUP_MEMBER_EPOCH, LEAVE_GROUP_MEMBER_EPOCH, LEAVE_GROUP_STATIC_MEMBER_EPOCH. */
const joinEpoch = 0
const leaveEpoch = -1
const leaveStaticEpoch = -2

/**
 * One member's side of KIP-848: told what was answered and what time it is, it gives the heartbeats that are due. It
 * keeps what the group has assigned last and what is owned; what is owned and not assigned any more stays so until
 * release(), and the group gives it to nobody before a heartbeat has said so. Kafka: AbstractMembershipManager,
 * ConsumerHeartbeatRequestManager.
 */
export class MemberState {
  /** 'out': the group has heard that it takes no part, or has thrown it out. */
  phase: 'out' | 'joining' | 'member' | 'leaving' = 'out'
  /** As of the last answer. */
  epoch: number = joinEpoch
  intervalMs = 0
  readonly #subscription: Subscription
  readonly #random: () => number
  /** Undefined until the group has assigned something, if only nothing, since it joined. */
  #assigned: PartitionSet | undefined
  readonly #owned = new PartitionSet()
  /** Counts the memberships and their ends: what is answered to an earlier one is not heard. */
  #membership = 0
  /** Of the request on its way. */
  #inFlight: number | undefined
  /** The group may know of it. */
  #known = false
  /** join() was called while it was leaving. */
  #again = false
  /** All is to be said: nothing has been answered yet, or an answer has been lost. */
  #full = true
  /** What is owned has changed since it was last said. */
  #changed = false
  /** Something has been released since: the next heartbeat does not wait. */
  #hurry = false
  #dueAt = 0
  #failures = 0

  constructor(subscription: Subscription, random: () => number = Math.random) {
    this.#subscription = subscription
    this.#random = random
  }

  // ── what its owner does ──

  /** Takes part from now on, with nothing owned; after it has left, if it is leaving. */
  join(now: number): void {
    this.#again = this.phase === 'leaving'
    if (this.#again) return
    this.phase = 'joining'
    this.epoch = joinEpoch
    this.#full = true
    this.#begin(now)
  }

  /** Nothing is owned any more, and the group is to hear it. */
  leave(now: number): void {
    if (this.phase === 'out' || !this.#known) return this.out()
    this.#forget()
    this.phase = 'leaving'
    this.#begin(now)
  }

  /** The group does not know it any more, or can't be reached. */
  out(): void {
    this.#forget()
    this.#membership++
    this.phase = 'out'
    this.#known = false
  }
  #forget(): void {
    this.#assigned = undefined
    this.#owned.clear()
    this.#again = false
    this.#hurry = false
  }

  own(topicId: string, partition: number): void {
    this.#owned.add(topicId, partition)
    this.#changed = true
  }
  /** Given up: others wait for the group to hear it. */
  release(topicId: string, partition: number, now: number): void {
    if (!this.#owned.delete(topicId, partition)) return
    this.#changed = true
    this.#hurry = true
    if (this.#failures === 0) this.#dueAt = Math.min(this.#dueAt, now)
  }

  owns(topicId: string, partition: number): boolean {
    return this.#owned.has(topicId, partition)
  }
  isAssigned(topicId: string, partition: number): boolean {
    return this.#assigned?.has(topicId, partition) ?? false
  }
  /** Assigned and not owned yet: nobody else owns it. */
  get missing(): readonly TopicIdPartitions[] {
    return this.#assigned?.without(this.#owned) ?? []
  }
  /** All that is assigned is owned, no less and no more. */
  get settled(): boolean {
    return this.phase === 'member' && !this.#hurry && (this.#assigned?.equals(this.#owned) ?? false)
  }

  // ── heartbeats, one at a time ──

  /** When the next one is due; undefined while one is on its way, and when none will be. */
  get dueAt(): number | undefined {
    return this.phase === 'out' || this.#inFlight !== undefined ? undefined : this.#dueAt
  }

  /** The heartbeat to send, if one is due; then answered() or failed() is to be called. */
  request(now: number): HeartbeatRequest | undefined {
    const { dueAt } = this
    if (dueAt === undefined || now < dueAt) return undefined
    const request = this.phase === 'leaving' ? this.#goodbye() : this.#heartbeat()
    this.#inFlight = this.#membership
    this.#changed = false
    this.#hurry = false
    this.#known = true
    return request
  }
  #heartbeat(): HeartbeatRequest {
    const { topics, assignor, rebalanceTimeoutMs } = this.#subscription
    const full = this.#full
    return {
      memberEpoch: this.epoch,
      rebalanceTimeoutMs: full ? rebalanceTimeoutMs : -1,
      subscribedTopicNames: full ? topics : null,
      serverAssignor: full ? assignor : null,
      // After a lost answer too: the group takes its last epoch only together with it (throwIfConsumerGroupMemberEpochIsInvalid).
      topicPartitions: full || this.#changed ? this.#owned.list() : null,
    }
  }
  #goodbye(): HeartbeatRequest {
    return {
      memberEpoch: this.#subscription.isStatic ? leaveStaticEpoch : leaveEpoch,
      rebalanceTimeoutMs: -1,
      subscribedTopicNames: null,
      serverAssignor: null,
      topicPartitions: null,
    }
  }

  /** The answer to the last request; whether it has joined or left by it. */
  answered(answer: HeartbeatAnswer, now: number): 'joined' | 'left' | undefined {
    if (!this.#hears(now)) return undefined
    this.#failures = 0
    if (this.phase === 'leaving') return this.#left(now)
    const joined = this.phase === 'joining'
    this.phase = 'member'
    this.#full = false
    this.epoch = answer.memberEpoch
    this.intervalMs = answer.heartbeatIntervalMs
    if (answer.assignment !== null) this.#assigned = new PartitionSet(answer.assignment)
    this.#dueAt = this.#hurry ? now : now + this.intervalMs
    return joined ? 'joined' : undefined
  }

  /** No answer, or one that a later try may turn into another: it is made again, with all that there is to say. */
  failed(now: number): void {
    if (!this.#hears(now)) return
    this.#full = true
    this.#dueAt = now + backoff(this.#failures++, this.#random)
  }

  /** The answer is that it can't take part: out. */
  refused(): void {
    this.#inFlight = undefined
    this.out()
  }

  /** An answer to joining may have been lost: the group may have it as a member already. */
  get uncertain(): boolean {
    return this.phase === 'joining' && this.#failures > 0
  }

  /**
   * The group does not know it (any more), or not like that: out, or, if it was leaving, gone. Who was joining is in the
   * way of itself: the group has it as it was before, and would have until its session ends; that one leaves first.
   * Kafka: transitionToFenced.
   */
  fenced(now: number): 'left' | undefined {
    const { phase } = this
    if (!this.#hears(now)) return undefined
    if (phase === 'leaving') return this.#left(now)
    if (phase === 'member') this.out()
    else {
      this.leave(now)
      this.#again = true
    }
    return undefined
  }

  /** Whether what has come is about what it is now. */
  #hears(now: number): boolean {
    const heard = this.#inFlight === this.#membership
    this.#inFlight = undefined
    if (!heard) this.#dueAt = now
    return heard && this.phase !== 'out'
  }

  #left(now: number): 'left' {
    const again = this.#again
    this.out()
    if (again) this.join(now)
    return 'left'
  }
  #begin(now: number): void {
    this.#membership++
    this.#failures = 0
    this.#dueAt = now
  }
}
