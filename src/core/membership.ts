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
 * the targets (groups.md 1 to 5). Members are any objects; what they do to each other is their group's affair.
 */
export class Membership<M extends object> {
  /** Kafka: the group epoch. */
  generation = 0
  /** Those that the target is made for, in the order of their coming. */
  readonly slots: Set<Slot<M>> = new Set()
  readonly #targets = new Map<string, (Slot<M> | undefined)[]>()
  readonly #owners = new Map<string, (M | undefined)[]>()

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
    for (const slot of this.slots) slot.target = []
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
  ownerOf({ topic, partition }: TopicPartition): M | undefined {
    return this.#owners.get(topic)?.[partition]
  }
  own({ topic, partition }: TopicPartition, owner: M | undefined): void {
    let owners = this.#owners.get(topic)
    if (owners === undefined) {
      owners = []
      this.#owners.set(topic, owners)
    }
    while (owners.length <= partition) owners.push(undefined)
    owners[partition] = owner
  }
  forget(topic: string): void {
    this.#owners.delete(topic)
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
