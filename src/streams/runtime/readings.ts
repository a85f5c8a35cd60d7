import type { Broker, ConsumerRecord } from '../../index.js'

/**
 * Readings of topics that are ended together, each by a signal of its own: a host warns of more than ten listeners on
 * one.
 */
export class Readings {
  readonly #broker: Broker<any>
  readonly #open = new Set<AbortController>()
  #reason: Error | undefined

  constructor(broker: Broker<any>) {
    this.#broker = broker
  }

  /** Each record of one partition, from an offset on, to its end as of now or on and on. */
  async read(
    [topic, partition]: readonly [topic: string, partition: number],
    from: number | 'earliest',
    until: 'latest' | undefined,
    take: (record: ConsumerRecord<any>) => void,
  ): Promise<void> {
    if (this.#reason !== undefined) throw this.#reason
    const abort = new AbortController()
    const { signal } = abort
    this.#open.add(abort)
    try {
      for await (const record of this.#broker.topic(topic).read({ partitions: [partition], from, until, signal }))
        take(record as ConsumerRecord<any>)
    } finally {
      this.#open.delete(abort)
    }
  }

  get ended(): boolean {
    return this.#reason !== undefined
  }
  /** They reject with this reason, and so does what would begin. */
  end(reason: string): void {
    this.#reason ??= new Error(reason)
    for (const abort of this.#open) abort.abort(this.#reason)
  }
}
