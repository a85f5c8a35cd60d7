/** Told to nobody: whoever is woken looks about. */
const woken = new Error('Woken')

/** Lets a wait be ended from outside: by abort signals, of which each is good for one waking. */
export class Wake {
  #abort = new AbortController()
  #due = false

  /** Of the next wait. */
  get signal(): AbortSignal {
    if (this.#abort.signal.aborted) this.#abort = new AbortController()
    return this.#abort.signal
  }
  /** Somebody has called since the last look; a wait begun now would sleep through it. */
  take(): boolean {
    const due = this.#due
    this.#due = false
    return due
  }
  /** The wait at hand ends, or the next one does not begin. */
  call(): void {
    this.#due = true
    this.#abort.abort(woken)
  }
  isReason(error: unknown): boolean {
    return error === woken
  }
}
