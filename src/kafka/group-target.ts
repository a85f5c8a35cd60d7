import type { Cluster } from './cluster.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { type DescribedGroup, describeGroupsApi } from './group-api.js'

/** Between two looks whether the group has more for a member that waits for ready(). */
const lookAgainMs = 100

/** Why a group is not described to this client, now or later. */
const unanswerable: ReadonlySet<string> = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
])

interface TargetMember {
  readonly group: string
  readonly memberId: string
  readonly topics: readonly string[]
  /** Look again: the answer may be another now. */
  changed(): void
}

/**
 * Whether a member has all that it is going to have. What others have not given up yet is not in the assignment that a
 * heartbeat brings: the group's own description says whether the target is reached. It is asked only while somebody does.
 */
export class GroupTarget {
  readonly #cluster: Cluster
  readonly #member: TargetMember
  /** The epoch for which the group has said that there is no more to come. */
  #reachedIn = -1
  #asking = false
  #closed = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(cluster: Cluster, member: TargetMember) {
    this.#cluster = cluster
    this.#member = member
  }

  /** As far as is known; if that is not enough, the group is asked, and `changed()` is called some time later. */
  reached(epoch: number): boolean {
    if (this.#reachedIn === epoch) return true
    if (!this.#closed && !this.#asking && this.#timer === undefined) void this.#ask(epoch)
    return false
  }
  /** It has joined anew: epochs may come again. */
  forget(): void {
    this.#reachedIn = -1
  }
  close(): void {
    clearTimeout(this.#timer)
    this.#closed = true
  }

  async #ask(epoch: number): Promise<void> {
    this.#asking = true
    const { group } = this.#member
    const about = { what: `Asking how group ${group} is`, group }
    let reached = false
    try {
      const [found] = await this.#cluster.send({ group }, describeGroupsApi, [[group], false], { about, lane: 'group' })
      if (found === undefined || found.errorCode !== 0)
        throw errorOf(found?.errorCode ?? -1, about, found?.errorMessage)
      reached = this.#isReached(epoch, found)
    } catch (error) {
      // Who may not ask goes by what its heartbeats say.
      reached = unanswerable.has(kafkaNameOf(error) ?? '')
    }
    if (this.#closed) return
    this.#asking = false
    if (reached) {
      this.#reachedIn = epoch
      return this.#member.changed()
    }
    this.#cluster.refresh(this.#member.topics).catch(() => {})
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#member.changed()
    }, lookAgainMs)
  }

  /** It has its target, which is the group's latest, and that one covers all partitions there are. */
  #isReached(epoch: number, group: DescribedGroup): boolean {
    const { memberId, topics } = this.#member
    const own = group.members.find(member => member.memberId === memberId)
    if (own === undefined || !own.assigned.equals(own.target)) return false
    if (group.epoch !== group.assignmentEpoch || own.memberEpoch !== group.epoch || epoch !== group.epoch) return false
    // A new topic, or a new partition, comes to the coordinator a moment later than to others.
    return topics.every(name => {
      const topic = this.#cluster.topic(name)
      const covers = (partition: number): boolean =>
        group.members.some(({ target }) => target.has(topic!.id, partition))
      return topic === undefined || topic.partitions.every((_, partition) => covers(partition))
    })
  }
}
