import type { ChangelogRecord } from '../task/seam.js'

type Kept = Pick<ChangelogRecord, 'value' | 'timestamp'>

/** A task's changelogs, of which only the last record of each key is kept. No store asks for their order. */
export class CompactedLogs {
  readonly #topics = new Map<string, Map<string, Kept>>()

  append({ topic, key, value, timestamp }: ChangelogRecord): void {
    let log = this.#topics.get(topic)
    if (log === undefined) {
      log = new Map()
      this.#topics.set(topic, log)
    }
    if (value === null) log.delete(key)
    else log.set(key, { value, timestamp })
  }

  *records(): IterableIterator<Omit<ChangelogRecord, 'partition'>> {
    for (const [topic, log] of this.#topics) for (const [key, kept] of log) yield { topic, key, ...kept }
  }
}
