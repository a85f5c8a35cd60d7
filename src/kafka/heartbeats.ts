import type { Cluster } from './cluster.js'
import { elapsedMs } from './elapsed.js'
import type { HeartbeatAnswer, HeartbeatRequest, MemberState } from './member-state.js'
import type { Kafka } from './platformatic.js'

interface Beating {
  readonly group: string
  readonly memberId: string
  readonly instanceId: string | undefined
  answered(answer: HeartbeatAnswer): void
  failed(error: unknown): void
}
type Args = Parameters<Kafka['consumerGroupHeartbeatV1']['createRequest']>

/** Sends a member's heartbeats as its state says that they are due. Kafka: ConsumerHeartbeatRequestManager. */
export class Heartbeats {
  readonly #cluster: Cluster
  readonly #state: MemberState
  readonly #member: Beating
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false

  constructor(cluster: Cluster, state: MemberState, member: Beating) {
    this.#cluster = cluster
    this.#state = state
    this.#member = member
  }

  /** What is due is sent; the next one at its time. */
  beat(): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    const now = elapsedMs()
    const request = this.#state.request(now)
    if (request !== undefined) return void this.#send(request)
    const { dueAt } = this.#state
    if (dueAt !== undefined) this.#timer = setTimeout(() => this.beat(), dueAt - now)
  }
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #send(request: HeartbeatRequest): Promise<void> {
    const { group, memberId, instanceId } = this.#member
    const about = { what: `A heartbeat to group ${group}`, group, memberId, instanceId }
    const options = { about, lane: 'group' } as const
    try {
      const answer = await this.#cluster.send(
        { group },
        kafka => kafka.consumerGroupHeartbeatV1.api,
        this.#args(request),
        options,
      )
      const { memberEpoch, heartbeatIntervalMs } = answer
      const assignment = (answer.assignment as { topicPartitions: Args[9] } | null)?.topicPartitions ?? null
      if (!this.#stopped) this.#member.answered({ memberEpoch, heartbeatIntervalMs, assignment })
    } catch (error) {
      if (!this.#stopped) this.#member.failed(error)
    }
    this.beat()
  }

  #args(request: HeartbeatRequest): Args {
    const { memberEpoch, rebalanceTimeoutMs, subscribedTopicNames, serverAssignor, topicPartitions } = request
    const { group, memberId, instanceId = null } = this.#member
    // Null is "as before" to the protocol, if not to the client's types.
    const owned = topicPartitions as Args[9]
    const names = subscribedTopicNames as string[] | null
    return [group, memberId, memberEpoch, instanceId, null, rebalanceTimeoutMs, names, null, serverAssignor, owned]
  }
}
