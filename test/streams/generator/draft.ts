import type { Step, Windows } from './case.js'
import type { Random } from './random.js'
import { MAPPERS } from './words.js'

export type Kind = 'stream' | 'table' | 'global' | 'grouped' | 'groupedTable' | 'store'
/** What a step made, as later steps see it. */
export interface Handle {
  ref: string
  kind: Kind
  /** Streams and tables: keys in windows, which must become text before they are written or joined by. */
  windowed: boolean
  /** Tables: of which windows. */
  windows?: Windows | undefined
  storeKind?: 'key-value' | 'window' | 'session'
  used: boolean
}

const THEMES = ['mixed', 'windows', 'windows', 'joins', 'tables', 'processors'] as const
export type Theme = (typeof THEMES)[number]

/** A random topology on its way: its steps so far, and what may be built on. */
export class Draft {
  readonly steps: Step[] = []
  readonly handles: Handle[] = []
  readonly random: Random
  /** What there is to be much of. */
  readonly theme: Theme
  readonly #throws: boolean
  #ids = 0
  #names = 0

  constructor(random: Random) {
    this.random = random
    this.#throws = random.chance(0.06)
    this.theme = random.one(THEMES)
  }

  get nextId(): number {
    return this.#ids
  }

  id(): string {
    return `s${this.#ids++}`
  }

  add(step: Step, kind?: Kind, more: Partial<Handle> = {}): Handle {
    this.steps.push(step)
    const handle: Handle = { ref: step.id, kind: kind ?? 'stream', windowed: false, used: false, ...more }
    if (kind) this.handles.push(handle)
    return handle
  }

  named(chance = 0.25): { name?: string } {
    return this.random.chance(chance) ? { name: `n${this.#number()}` } : {}
  }

  stored(chance = 0.35): { store?: string } {
    return this.random.chance(chance) ? { store: `store-${this.#number()}` } : {}
  }

  /** One that has not been, but for a few mistakes. */
  #number(): number {
    return this.random.chance(0.003) ? this.#names : ++this.#names
  }

  /** One of the handles, rather a late one; used from here on. */
  pick(kind: Kind, accept: (handle: Handle) => boolean = () => true): Handle | undefined {
    const found = this.handles.filter(handle => handle.kind === kind && accept(handle))
    if (found.length === 0) return undefined
    const picked = this.random.chance(0.6) ? found.at(-1)! : this.random.one(found)
    picked.used = true
    return picked
  }

  mapper(): string {
    return this.#throws ? 'throwsAtSeven' : this.random.one(MAPPERS)
  }

  /**
   * Whether records of a punctuation by stream time may be, or already are, of a later time: as its driver is one task,
   * Kafka's then punctuates without end.
   */
  has(what: 'later times' | 'punctuation by stream time'): boolean {
    return this.steps.some(step =>
      what === 'later times'
        ? 'timestamp' in step || ('by' in step && step.by === 'later')
        : 'time' in step && step.time === 'stream time',
    )
  }
}
