import type { Assignor, GroupMember } from './assignors/assignor.js'
import { validateAssignment } from './assignors/validate.js'
import type { TopicPartition } from './record.js'

/** A place in the target: a member, or the seat that a static member has left (groups.md 53). */
export class Slot<M> {
  memberId: string
  readonly instanceId: string | undefined
  topics: readonly string[]
  /** Who has it; nobody in an empty seat. */
  occupant: M | undefined
  /** What it is to own, in the latest target. */
  target: readonly TopicPartition[] = []

  constructor(memberId: string, instanceId: string | undefined, topics: readonly string[]) {
    this.memberId = memberId
    this.instanceId = instanceId
    this.topics = topics
  }
}

/**
 * Who owns what and who is to own it: one owner for each partition or none, one target, and the generation that counts
 * the targets (groups.md 1 to 5). Members, and how they hold a partition, are any objects: what they do is their group's affair.
 */
export class Membership<M extends object, H extends object> {
  /** Kafka: the group epoch. */
  generation = 0
  /** Those that the target is made for, in the order of their coming. */
  readonly slots: Set<Slot<M>> = new Set()
  readonly #targets = new Map<string, (Slot<M> | undefined)[]>()
  readonly #holdings = new Map<string, (H | undefined)[]>()

  /**
   * Makes the target anew, for these slots. Throws what the assignor throws, and INVALID_CONFIG for what is no assignment,
   * with nothing changed.
   */
  retarget(slots: Iterable<Slot<M>>, topics: ReadonlyMap<string, number>, assignor: Assignor): void {
    const list = [...slots]
    const members: GroupMember[] = list.map(({ memberId, instanceId, topics: wanted, target }) => ({
      memberId,
      ...(instanceId === undefined ? {} : { instanceId }),
      topics: wanted,
      owned: target,
    }))
    const assignment =
      list.length === 0
        ? new Map()
        : validateAssignment(assignor.name, assignor.assign(members, topics), members, topics)
    this.slots.clear()
    this.#targets.clear()
    for (const [topic, count] of topics) this.#targets.set(topic, new Array<Slot<M> | undefined>(count).fill(undefined))
    for (const slot of list) {
      this.slots.add(slot)
      slot.target = assignment.get(slot.memberId) ?? []
      for (const { topic, partition } of slot.target) this.#targets.get(topic)![partition] = slot
    }
  }

  /** The slot that is to own it. */
  targetOf({ topic, partition }: TopicPartition): Slot<M> | undefined {
    return this.#targets.get(topic)?.[partition]
  }
  /** How its owner has it; undefined while it is free. */
  holdingOf({ topic, partition }: TopicPartition): H | undefined {
    return this.#holdings.get(topic)?.[partition]
  }
  hold({ topic, partition }: TopicPartition, holding: H | undefined): void {
    let holdings = this.#holdings.get(topic)
    if (holdings === undefined) {
      holdings = []
      this.#holdings.set(topic, holdings)
    }
    while (holdings.length <= partition) holdings.push(undefined)
    holdings[partition] = holding
  }
  forget(topic: string): void {
    this.#holdings.delete(topic)
    this.#targets.delete(topic)
  }

  /** Every partition that somebody is to own. */
  *targets(): Generator<[TopicPartition, Slot<M>]> {
    for (const slot of this.slots) for (const where of slot.target) yield [where, slot]
  }
  bySeat(instanceId: string): Slot<M> | undefined {
    for (const slot of this.slots) if (slot.instanceId === instanceId) return slot
    return undefined
  }
}
