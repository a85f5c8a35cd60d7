import type { ConsumerRecord } from '../../index.js'

/** The records of a partition that its task has not worked through, with the times that they count with. Kafka: RecordQueue. */
export class RecordQueue {
  readonly slot: number
  #records: { readonly record: ConsumerRecord; readonly timestamp: number }[] = []
  #next = 0

  /** `slot`: of the task that they are for. */
  constructor(slot: number) {
    this.slot = slot
  }
  get size(): number {
    return this.#records.length - this.#next
  }
  /** Of the first record. */
  get timestamp(): number {
    return this.#records[this.#next]!.timestamp
  }
  push(record: ConsumerRecord, timestamp: number): void {
    this.#records.push({ record, timestamp })
  }
  shift(): { readonly record: ConsumerRecord; readonly timestamp: number } {
    const first = this.#records[this.#next++]!
    if (this.#next === this.#records.length) {
      this.#records = []
      this.#next = 0
    }
    return first
  }
}
