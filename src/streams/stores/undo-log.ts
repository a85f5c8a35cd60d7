/** What can take one step back. What the three arguments mean is its own affair. */
export interface Undoable {
  undo(a: any, b: any, c: any): void
}

/** Slots beyond it are given back at a commit, so that one large record does not hold memory for good. */
const kept = 1_024

/**
 * What a record has changed in the stores and times of its task, so that it can be taken back when a callback throws.
 * One for each task, shared by all of its stores. Kept as columns whose slots are used again, since every write of a
 * store adds a step.
 */
export class UndoLog {
  #owners: Undoable[] = []
  #steps: unknown[] = []
  #length = 0

  /** Notes a step that has just been taken: on a rollback `owner.undo(a, b, c)` takes it back. */
  add(owner: Undoable, a?: unknown, b?: unknown, c?: unknown): void {
    const at = 3 * this.#length
    this.#owners[this.#length++] = owner
    this.#steps[at] = a
    this.#steps[at + 1] = b
    this.#steps[at + 2] = c
  }

  /** What was changed since the last commit or rollback stays. */
  commit(): void {
    this.#length = 0
    if (this.#owners.length <= kept) return
    this.#owners = []
    this.#steps = []
  }

  /** What was changed since the last commit or rollback is taken back, the latest first. */
  rollback(): void {
    const owners = this.#owners
    const steps = this.#steps
    for (let i = this.#length - 1; i >= 0; i--) owners[i]!.undo(steps[3 * i], steps[3 * i + 1], steps[3 * i + 2])
    this.commit()
  }

  /** Steps since the last commit or rollback. */
  get length(): number {
    return this.#length
  }
}
