import type { EventHub } from './events.js'

/**
 * Tells events when the state that they are about is consistent: they wait, in order, until the outermost operation is
 * over. A listener may begin another, whose events come after those that are waiting (groups.md 60).
 */
export class EventQueue<Events extends object> {
  readonly #hub: EventHub<Events>
  #waiting: (() => void)[] = []
  #operations = 0

  constructor(hub: EventHub<Events>) {
    this.#hub = hub
  }

  operate(operation: () => void): void {
    this.#operations++
    try {
      operation()
    } finally {
      if (--this.#operations === 0) this.#flush()
    }
  }

  /** An event as it is now. */
  emit<E extends keyof Events & string>(event: E, payload: Events[E]): void {
    if (this.#hub.hears(event)) this.later(() => this.#hub.emit(event, payload))
  }
  /** What is to be told as it will be then. */
  later(tell: () => void): void {
    this.#waiting.push(tell)
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const events = this.#waiting
      this.#waiting = []
      this.#operations++
      for (const tell of events) tell()
      this.#operations--
    }
  }
}
