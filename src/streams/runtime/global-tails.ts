import type { Broker, ConsumerRecord } from '../../index.js'
import { type TopologyPlan, topicName } from '../topology/plan.js'
import { Readings } from './readings.js'

/** Takes the records of a global table's topic into its store. */
type GlobalStoreUpdate = (store: string, record: ConsumerRecord) => void

/** One partition of a global table's topic, read from its start on. */
interface Tail {
  readonly topic: string
  readonly store: string
  readonly partition: number
  /** The next offset to take. */
  next: number
}

/** The topics of the global tables, read whole by every instance, without a group. Kafka: GlobalStreamThread. */
export class GlobalTails {
  readonly #broker: Broker<any>
  readonly #update: GlobalStoreUpdate
  readonly #tails: Tail[] = []
  readonly #readings: Readings

  constructor(broker: Broker<any>, update: GlobalStoreUpdate) {
    this.#broker = broker
    this.#update = update
    this.#readings = new Readings(broker)
  }

  /** All that is there is read before the first task works. Afterwards what comes is; `failed` hears why it can't go on. */
  async start(plan: TopologyPlan, applicationId: string, failed: (error: unknown) => void): Promise<void> {
    for (const { topic, store } of plan.globalStores) {
      const name = topicName(topic, applicationId)
      const partitions = await this.#broker.topic(name).partitionCount()
      for (let partition = 0; partition < partitions; partition++)
        this.#tails.push({ topic: name, store, partition, next: 0 })
    }
    await this.caughtUp()
    for (const tail of this.#tails)
      this.#read(tail, undefined).catch(error => {
        if (!this.#readings.ended) failed(error)
      })
  }

  /** All tables hold what their topics hold as of the call. */
  async caughtUp(): Promise<void> {
    await Promise.all(this.#tails.map(tail => this.#read(tail, 'latest')))
  }

  stop(): void {
    this.#readings.end('This instance is closed')
  }

  /** Two may read at once; each record counts once. */
  #read(tail: Tail, until: 'latest' | undefined): Promise<void> {
    const { topic, partition, store, next } = tail
    return this.#readings.read([topic, partition], next === 0 ? 'earliest' : next, until, record => {
      if (record.offset < tail.next) return
      this.#update(store, record)
      tail.next = record.offset + 1
    })
  }
}
