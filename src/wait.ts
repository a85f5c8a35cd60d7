import type { Activity } from './activity.js'
import type { AnyRecord } from './core/record.js'
import type { Member } from './member.js'

/** A poll() or a step of an iterator that waits: for its callbacks, for its partitions, for a record (groups.md 36, 37). */
export class Wait<R extends AnyRecord, T> implements Activity {
  readonly atWork = 0
  readonly waiting = 0
  readonly since = undefined
  readonly found: Promise<T>

  readonly #member: Member<R>
  readonly #take: () => T | undefined
  readonly #nothing: T
  #resolve!: (found: T) => void
  #reject!: (error: unknown) => void
  #timer: unknown
  /** An interceptor has not let it go on yet. */
  #gated: boolean
  /** The timeout bounds the wait for records only: callbacks are waited for all the same. */
  #outOfTime = false
  readonly #signal: AbortSignal | undefined
  #onAbort: (() => void) | undefined

  constructor(
    member: Member<R>,
    take: () => T | undefined,
    nothing: T,
    timeoutMs?: number,
    signal?: AbortSignal,
    gated = false,
  ) {
    this.#gated = gated
    this.#member = member
    this.#take = take
    this.#nothing = nothing
    this.#signal = signal
    this.found = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (signal !== undefined) {
      this.#onAbort = () => this.fail(signal.reason)
      signal.addEventListener('abort', this.#onAbort)
    }
    if (timeoutMs === 0) this.#outOfTime = true
    else if (timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY)
      this.#timer = member.engine.clock.setTimeout(() => {
        this.#timer = undefined
        this.#outOfTime = true
        this.serve()
      }, timeoutMs)
    member.activity = this
    if (member.blocked) member.pump()
    else member.autoCommit.park()
  }

  /** The interceptor lets it go on. */
  open(): Promise<T> {
    this.#gated = false
    this.serve()
    return this.found
  }

  serve(): void {
    const member = this.#member
    if (member.activity !== this) return
    if (member.fenced && !member.callbackPending) return this.fail(member.outError)
    if (!member.callbackPending) {
      const thrown = member.takeError()
      if (thrown !== undefined) return this.fail(thrown.error)
    }
    if (member.blocked || this.#gated) return
    let found: T | undefined
    try {
      found = this.#take()
    } catch (error) {
      return this.fail(error)
    }
    if (found !== undefined) {
      this.#end()
      this.#resolve(found)
    } else if (this.#outOfTime) this.closing()
    else member.autoCommit.park()
  }

  giveWay(): void {}

  fail(error: unknown): void {
    this.#end()
    this.#reject(error)
  }

  /** Nothing will come. */
  closing(): void {
    this.#end()
    this.#resolve(this.#nothing)
  }

  over(errors: readonly unknown[]): readonly unknown[] {
    this.closing()
    return errors
  }

  #end(): void {
    if (this.#timer !== undefined) this.#member.engine.clock.clearTimeout(this.#timer)
    if (this.#onAbort !== undefined) this.#signal!.removeEventListener('abort', this.#onAbort)
    if (this.#member.activity === this) this.#member.activity = undefined
    this.#member.goOff(true)
  }
}
