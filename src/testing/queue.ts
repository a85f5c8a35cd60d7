import type { Operation, Point } from './faults.js'

/** An operation that waits for its turn; without a name its answer, which is on its way back. */
interface Waiting {
  readonly process: string
  readonly memberId: string | undefined
  readonly operation: Operation | undefined
  readonly goOn: () => void
}

/** Requests that go over one connection each, one behind the other. */
export function isInLine(operation: Operation | undefined): operation is 'publish' | 'commit' {
  return operation === 'publish' || operation === 'commit'
}

/** What of all services waits for its turn, the longest first. */
export class Queue {
  readonly #waiting: Waiting[] = []

  get length(): number {
    return this.#waiting.length
  }

  /** Resolves when it is its turn. */
  turn({ process, memberId }: Point, operation?: Operation): Promise<void> {
    return new Promise(goOn => {
      this.#waiting.push({ process: process!, memberId, operation, goOn })
    })
  }

  /** Where the first of a process waits; -1 if nothing of it does. */
  firstOf(process: string | undefined): number {
    return this.#waiting.findIndex(waiting => waiting.process === process)
  }

  /** Lets one go on, and tells whose it was. */
  letGo(index: number): string {
    const waiting = this.#inLine(this.#waiting[index]!)
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
    waiting.goOn()
    return waiting.process
  }
  /** What a process publishes, or a member commits, takes effect in the order of the calls: it is the turn of the first. */
  #inLine(waiting: Waiting): Waiting {
    if (!isInLine(waiting.operation)) return waiting
    return this.#waiting.find(
      ({ process, memberId, operation }) =>
        operation === waiting.operation && process === waiting.process && memberId === waiting.memberId,
    )!
  }

  /** Killed code does not go on: what it waits for never comes. */
  forget(process: string): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--)
      if (this.#waiting[i]!.process === process) this.#waiting.splice(i, 1)
  }
}
