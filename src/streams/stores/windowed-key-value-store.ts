import type { Stamped, Windowed } from '../record.js'
import { InMemoryKeyValueStore } from './key-value-store.js'
import type { StateStore, StoreSetup } from './store.js'
import { parseWindowedKey, windowedKeyPrefix, windowedKeyText } from './windowed-key.js'

/** The rows of a windowed table that another table was made of (by filter, mapValues or a join). No retention, as in Kafka. */
export class WindowedKeyValueStore<V = unknown> implements StateStore {
  readonly name: string
  readonly times: StateStore['times'] = []
  readonly #rows: InMemoryKeyValueStore<V>

  constructor(setup: StoreSetup) {
    this.name = setup.name
    this.#rows = new InMemoryKeyValueStore(setup)
  }

  get size(): number {
    return this.#rows.size
  }

  get(window: Windowed): Stamped<V> | undefined {
    return this.#rows.get(windowedKeyText(window))
  }

  put(window: Windowed, value: V | null | undefined, timestamp: number): void {
    this.#rows.put(windowedKeyText(window), value, timestamp)
  }

  /** The windows of one key, or of all. By key, then by end, then by start. */
  *range(key?: string): IterableIterator<readonly [window: Windowed, row: Stamped<V>]> {
    const rows = key === undefined ? this.#rows.range() : this.#rows.prefix(windowedKeyPrefix(key))
    for (const [text, row] of rows) {
      const window = parseWindowedKey(text)
      if (key === undefined || window.key === key) yield [window, row]
    }
  }

  restore(text: string, logged: unknown, timestamp: number): void {
    this.#rows.restore(text, logged, timestamp)
  }
}
