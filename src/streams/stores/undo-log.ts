/** What can take one step back. What the three arguments mean is its own affair. */
export interface Undoable {
  undo(a: unknown, b: unknown, c: unknown): void
}

/**
 * What a record has changed in the stores and clocks of its task, so that it can be taken back when a callback throws.
 * One for each task, shared by all of its stores. Kept as columns, since every write of a store adds a step.
 */
export class UndoLog {
  readonly #owners: Undoable[] = []
  readonly #steps: unknown[] = []

  /** Notes a step that has just been taken: on a rollback `owner.undo(a, b, c)` takes it back. */
  add(owner: Undoable, a?: unknown, b?: unknown, c?: unknown): void {
    this.#owners.push(owner)
    this.#steps.push(a, b, c)
  }

  /** What was changed since the last commit or rollback stays. */
  commit(): void {
    if (this.#owners.length === 0) return
    this.#owners.length = 0
    this.#steps.length = 0
  }

  /** What was changed since the last commit or rollback is taken back, the latest first. */
  rollback(): void {
    const owners = this.#owners.splice(0)
    const steps = this.#steps.splice(0)
    for (let i = owners.length - 1; i >= 0; i--) owners[i]!.undo(steps[3 * i], steps[3 * i + 1], steps[3 * i + 2])
  }

  /** Steps since the last commit or rollback. */
  get length(): number {
    return this.#owners.length
  }
}
