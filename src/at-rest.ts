import { MillraceError } from './core/errors.js'
import type { Membership } from './core/membership.js'
import type { AnyRecord, TopicPartition } from './core/record.js'
import type { GroupOffsets } from './group-offsets.js'
import type { MemoryEngine, MemorySource } from './memory-engine.js'
import { soon } from './soon.js'
import type { InMemoryTopic } from './topic.js'

/** What a group at rest is made of. */
interface Resting<R extends AnyRecord> {
  readonly id: string
  readonly membership: Membership<MemoryEngine<R>, MemorySource<R>>
  readonly offsets: GroupOffsets
  /** Only what is committed is finished. */
  readonly manual: boolean
  /** The clock moves only when told. */
  readonly manualClock: boolean
  find(topic: string): InMemoryTopic<any, any> | undefined
  engines(): Iterable<MemoryEngine<R>>
}

/** All published before some call: when that is finished, the promise is kept. */
interface CatchUp {
  readonly ends: readonly {
    readonly topic: InMemoryTopic<any, any>
    readonly where: TopicPartition
    readonly end: number
  }[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  /** One that was not finished when it was last looked at: while it is not, nothing else need be. */
  open: number
}

/** When a group has finished what there is: caughtUp() of the group, and its part of settled() (groups.md 56 to 58). */
export class AtRest<R extends AnyRecord> {
  readonly #group: Resting<R>
  #catchUps: CatchUp[] = []
  #retargeted = false
  #checkDue = false

  constructor(group: Resting<R>) {
    this.#group = group
  }

  caughtUp(topics: readonly InMemoryTopic<any, any>[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const ends = topics.flatMap(topic =>
        topic.partitions.map(({ index, endOffset }) => ({
          topic,
          where: { topic: topic.name, partition: index },
          end: endOffset,
        })),
      )
      this.#catchUps.push({ ends, resolve, reject, open: -1 })
      this.#check()
    })
  }

  /** Something has changed: looked at in a microtask, once for many changes. */
  changed(): void {
    if (this.#catchUps.length === 0 || this.#checkDue) return
    this.#checkDue = true
    soon(() => {
      this.#checkDue = false
      this.#check()
    })
  }

  /** Who is to read what may have changed: the next look is at everything. */
  retargeted(): void {
    this.#retargeted = true
  }

  #check(): void {
    const retargeted = this.#retargeted
    this.#retargeted = false
    if (!retargeted && this.#catchUps.every(catchUp => this.#stillOpen(catchUp))) return
    this.#catchUps = this.#catchUps.filter(catchUp => {
      const { ends, resolve, reject } = catchUp
      const open = ends.filter(({ topic, where, end }) => !topic.deleted && !this.#finished(topic, where, end))
      if (open.length === 0) resolve()
      else if (open.every(({ where }) => this.#isRead(where))) {
        catchUp.open = ends.indexOf(open[0]!)
        return true
      } else
        reject(
          new MillraceError('CLOSED', {
            what: `Every consumer of group ${this.#group.id} that could read what is left`,
          }),
        )
      return false
    })
  }

  #stillOpen({ ends, open }: CatchUp): boolean {
    if (open < 0) return false
    const { topic, where, end } = ends[open]!
    return !topic.deleted && !this.#finished(topic, where, end)
  }

  /** All before `end` that still exists is finished, and committed where only that counts. */
  #finished(topic: InMemoryTopic<any, any>, where: TopicPartition, end: number): boolean {
    const { membership, offsets, manual } = this.#group
    const log = topic.partitions[where.partition]!
    const reaches = (next: number): boolean => next >= end || !log.hasRecords(next, end)
    const next = offsets.next(where, log)
    if (manual && !reaches(next)) return false
    const source = membership.holdingOf(where)
    return reaches(source?.owner.port.returned(source) ?? next)
  }
  /** A live member is to read it. */
  #isRead(where: TopicPartition): boolean {
    return this.#group.membership.targetOf(where)?.occupant !== undefined
  }

  /** Nothing more happens here by itself. */
  get settled(): boolean {
    const { membership, manualClock } = this.#group
    for (const engine of this.#group.engines()) {
      if (!engine.port.idle) return false
      for (const source of engine.holdings) if (membership.targetOf(source)?.occupant !== engine) return false
    }
    for (const [where, slot] of membership.targets()) {
      const topic = this.#group.find(where.topic)
      if (slot.occupant === undefined || topic === undefined) continue
      const source = membership.holdingOf(where)
      if (source?.owner !== slot.occupant) return false
      if (this.#finished(topic, where, topic.partitions[where.partition]!.endOffset)) continue
      // A retry waits for somebody to move the clock.
      if (!manualClock || !source.owner.port.retrying(source)) return false
    }
    return true
  }
}
