import type { AnyRecord } from './core/record.js'
import type { Engine } from './engine.js'
import { notProceeded, thenAtOnce } from './interceptor.js'

/** Before a poll that may succeed later is tried again. Kafka: retry.backoff.ms. */
const retryBackoffMs = 100

/** Asks an interceptor of polls before run() looks for more: it may take its time, or fail and be asked again. */
export class PollGate<R extends AnyRecord> {
  readonly #engine: Engine<R>
  readonly #opened: () => void
  readonly #failed: (error: unknown) => void
  #state: 'asked' | 'open' | 'over' | undefined
  #timer: unknown

  /** `opened`: it may look now. `failed`: it can't go on. */
  constructor(engine: Engine<R>, opened: () => void, failed: (error: unknown) => void) {
    this.#engine = engine
    this.#opened = opened
    this.#failed = failed
  }

  /** Whether run() may look, once; if not, `opened` is called when it may. */
  pass(): boolean {
    if (this.#engine.interceptor.poll === undefined) return true
    if (this.#state === undefined) this.#ask()
    if (this.#state !== 'open') return false
    this.#state = undefined
    return true
  }

  #ask(): void {
    const { interceptor, group, memberId } = this.#engine
    this.#state = 'asked'
    let proceeded = false
    const proceed = (): readonly [] => {
      proceeded = true
      if (this.#state === 'asked') {
        this.#state = 'open'
        this.#opened()
      }
      return []
    }
    const failed = (error: unknown): void => this.#refused(error)
    const over = (): void => {
      if (!proceeded) failed(notProceeded())
    }
    try {
      thenAtOnce(interceptor.poll!({ group, memberId }, proceed), over, failed)
    } catch (error) {
      failed(error)
    }
  }

  #refused(error: unknown): void {
    if (this.#state === 'over') return
    if ((error as { retriable?: unknown } | undefined)?.retriable !== true) return this.#failed(error)
    this.#timer = this.#engine.clock.setTimeout(() => {
      this.#state = undefined
      this.#opened()
    }, retryBackoffMs)
  }

  /** run() is over: an answer that is still to come means nothing. */
  stop(): void {
    this.#state = 'over'
    if (this.#timer !== undefined) this.#engine.clock.clearTimeout(this.#timer)
  }
}
