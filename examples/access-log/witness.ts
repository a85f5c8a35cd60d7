// Notes every record that a group reads, to say at the end what was missing, read twice or out of order.
import type { Seen } from './sessions-member.js'

export class Witness {
  /** Read for the first time. */
  distinct = 0
  missing = 0
  outOfOrder = 0
  /** How many records each member read that had been read before. */
  readonly again: Map<string, number> = new Map()
  /** By partition: past the furthest record read. */
  readonly #next = new Map<number, number>()
  readonly #lines = new Map<string, number>()

  saw(member: string, { partition, offset, key, value }: Seen): void {
    const next = this.#next.get(partition) ?? 0
    if (offset < next) {
      this.again.set(member, (this.again.get(member) ?? 0) + 1)
    } else {
      this.distinct += 1
      this.missing += offset - next
      this.#next.set(partition, offset + 1)
      if (key !== null) this.#inOrder(key, value.line)
    }
    // Re-reading starts further back, but with another member: no member ever sees a visitor go back in time.
    if (key !== null) this.#inOrder(`${key} ${member}`, value.line)
  }

  get twice(): number {
    return [...this.again.values()].reduce((sum, count) => sum + count, 0)
  }

  #inOrder(reader: string, line: number): void {
    if (line <= (this.#lines.get(reader) ?? 0)) this.outOfOrder += 1
    this.#lines.set(reader, line)
  }
}
