import { EventEmitter } from 'eventemitter3'
import { checkFunction, checkOneOf } from './core/check.js'

/**
 * Listeners by event name. Observation, never control flow: a listener that throws is reported to `onError`, and
 * neither what it listened to nor the other listeners notice.
 */
export class EventHub<Events extends object> {
  readonly #emitter = new EventEmitter()
  readonly #names: readonly (keyof Events & string)[]
  readonly #onError: (error: unknown, event: keyof Events & string) => void

  constructor(
    names: readonly (keyof Events & string)[],
    onError: (error: unknown, event: keyof Events & string) => void = throwApart,
  ) {
    this.#names = names
    this.#onError = onError
  }

  on<E extends keyof Events & string>(event: E, listener: (event: Events[E]) => void): () => void {
    checkOneOf('event', event, this.#names)
    checkFunction(`listener of ${event}`, listener)
    const heard = (payload: Events[E]): void => {
      try {
        listener(payload)
      } catch (error) {
        this.#onError(error, event)
      }
    }
    this.#emitter.on(event, heard)
    return () => void this.#emitter.off(event, heard)
  }

  hears(event: keyof Events & string): boolean {
    return this.#emitter.listenerCount(event) > 0
  }

  emit<E extends keyof Events & string>(event: E, payload: Events[E]): void {
    this.#emitter.emit(event, payload)
  }
}

/** Throws where no caller of ours is on the stack, so that the host reports it as uncaught. */
export function throwApart(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
