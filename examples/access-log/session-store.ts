// Stands for the database that holds the sessions: results and the offsets they cover, written in one step.
import type { Visitor } from './session.js'

/**
 * A group reads at least once: after a crash some records come again. They are not counted again, because the offset
 * is stored with the result. Either both are written or neither, and who takes over a partition goes on where the
 * result ends, wherever the group's own commit stands.
 */
export class SessionStore {
  #nextOffsets: ReadonlyMap<number, number> = new Map()
  readonly #visitors = new Map<string, Visitor>()

  nextOffset(partition: number): number {
    return this.#nextOffsets.get(partition) ?? 0
  }

  visitor(address: string): Visitor | undefined {
    return this.#visitors.get(address)
  }

  get visitors(): readonly Visitor[] {
    return [...this.#visitors.values()]
  }

  /** All or nothing. Refuses what does not begin where its partition's result ends, as from a member long given up. */
  save(batch: readonly { partition: number; offset: number }[], visitors: Iterable<Visitor>): void {
    const next = new Map(this.#nextOffsets)
    for (const { partition, offset } of batch) {
      const expected = next.get(partition) ?? 0
      if (offset !== expected) throw new Error(`partition ${partition}: offset ${expected} is next, not ${offset}`)
      next.set(partition, offset + 1)
    }
    this.#nextOffsets = next
    for (const visitor of visitors) this.#visitors.set(visitor.address, visitor)
  }
}
