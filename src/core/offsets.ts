import type { TopicPartition } from './record.js'

/** Offsets by topic and partition: what a group has committed, or where it starts. */
export class Offsets {
  readonly #topics = new Map<string, (number | undefined)[]>()

  get({ topic, partition }: TopicPartition): number | undefined {
    return this.#topics.get(topic)?.[partition]
  }

  set({ topic, partition }: TopicPartition, offset: number | undefined): void {
    let offsets = this.#topics.get(topic)
    if (offsets === undefined) {
      if (offset === undefined) return
      offsets = []
      this.#topics.set(topic, offsets)
    }
    while (offsets.length <= partition) offsets.push(undefined)
    offsets[partition] = offset
  }

  forget(topic: string): void {
    this.#topics.delete(topic)
  }
  clear(): void {
    this.#topics.clear()
  }
}
