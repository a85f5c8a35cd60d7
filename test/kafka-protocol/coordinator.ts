// A group's coordinator as KIP-848 has it, as small as it can be: each heartbeat is answered at once and in order.
// Kafka: GroupMetadataManager.consumerGroupHeartbeat, CurrentAssignmentBuilder, throwIfConsumerGroupMemberEpochIsInvalid.
import type { HeartbeatAnswer, HeartbeatRequest } from '../../src/kafka/member-state.js'

export type Refusal = 'UNKNOWN_MEMBER_ID' | 'FENCED_MEMBER_EPOCH'

interface Member {
  epoch: number
  previousEpoch: number
  assigned: Set<number>
  pendingRevocation: Set<number>
  heardAt: number
}
const heartbeatIntervalMs = 100
const sessionMs = 1_000

export class Coordinator {
  readonly topicId = 'topic-id'
  readonly #partitions: number
  readonly #members = new Map<string, Member>()
  #epoch = 0
  #target = new Map<string, Set<number>>()

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  get members(): readonly string[] {
    return [...this.#members.keys()]
  }
  targetOf(memberId: string): ReadonlySet<number> {
    return this.#target.get(memberId) ?? new Set()
  }

  heartbeat(memberId: string, request: HeartbeatRequest, now: number): HeartbeatAnswer | Refusal {
    const { memberEpoch } = request
    if (memberEpoch < 0) {
      if (!this.#members.delete(memberId)) return 'UNKNOWN_MEMBER_ID'
      this.#retarget()
      return { memberEpoch, heartbeatIntervalMs: 0, assignment: null }
    }
    const owned =
      request.topicPartitions === null
        ? undefined
        : new Set(request.topicPartitions.flatMap(({ partitions }) => partitions))
    let member = this.#members.get(memberId)
    if (member === undefined) {
      if (memberEpoch !== 0) return 'UNKNOWN_MEMBER_ID'
      member = { epoch: 0, previousEpoch: 0, assigned: new Set(), pendingRevocation: new Set(), heardAt: now }
      this.#members.set(memberId, member)
      this.#retarget()
    }
    if (memberEpoch > member.epoch) return 'FENCED_MEMBER_EPOCH'
    if (memberEpoch < member.epoch) {
      const isSubset = owned !== undefined && [...owned].every(partition => member.assigned.has(partition))
      if (memberEpoch !== member.previousEpoch || !isSubset) return 'FENCED_MEMBER_EPOCH'
    }
    member.heardAt = now
    const before = [...member.assigned].sort().join()
    this.#reconcile(memberId, member, owned)
    const isFull = request.rebalanceTimeoutMs !== -1 && request.subscribedTopicNames !== null && owned !== undefined
    const changed = before !== [...member.assigned].sort().join()
    const assignment = [{ topicId: this.topicId, partitions: [...member.assigned] }]
    const said = memberEpoch === 0 || isFull || changed ? assignment : null
    return { memberEpoch: member.epoch, heartbeatIntervalMs, assignment: said }
  }

  /** Sessions that nobody has kept up are over. */
  expire(now: number): void {
    for (const [memberId, { heardAt }] of [...this.#members]) {
      if (now - heardAt < sessionMs) continue
      this.#members.delete(memberId)
      this.#retarget()
    }
  }

  #retarget(): void {
    this.#epoch++
    const ids = [...this.#members.keys()].sort()
    this.#target = new Map(ids.map(id => [id, new Set<number>()]))
    for (let partition = 0; partition < this.#partitions && ids.length > 0; partition++)
      this.#target.get(ids[(partition + this.#epoch) % ids.length]!)!.add(partition)
  }

  #reconcile(memberId: string, member: Member, owned: ReadonlySet<number> | undefined): void {
    const ownsOneOf = (partitions: ReadonlySet<number>): boolean =>
      owned === undefined || [...partitions].some(partition => owned.has(partition))
    let { epoch } = member
    if (member.pendingRevocation.size > 0) {
      if (ownsOneOf(member.pendingRevocation)) return
      epoch++
    } else if (member.epoch === this.#epoch && member.assigned.size === this.targetOf(memberId).size) return
    const target = this.targetOf(memberId)
    const kept = new Set([...member.assigned].filter(partition => target.has(partition)))
    const revoked = new Set([...member.assigned].filter(partition => !target.has(partition)))
    member.pendingRevocation = new Set()
    const free = [...target].filter(partition => !kept.has(partition) && !this.#isHeld(partition, member))
    if (revoked.size > 0 && ownsOneOf(revoked)) {
      member.assigned = kept
      member.pendingRevocation = revoked
    } else {
      epoch = this.#epoch
      member.assigned = new Set([...kept, ...free])
    }
    if (epoch === member.epoch) return
    member.previousEpoch = member.epoch
    member.epoch = epoch
  }
  #isHeld(partition: number, by: Member): boolean {
    for (const member of this.#members.values())
      if (member !== by && (member.assigned.has(partition) || member.pendingRevocation.has(partition))) return true
    return false
  }
}
