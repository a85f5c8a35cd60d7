// The group that counts requests, bytes and status codes per hour.
import type { ConsumerGroup } from 'millrace'
import type { Place } from './place.js'
import type { LogRecord } from './topics.js'
import { Witness } from './witness.js'

/** What was asked for in an hour, or in several. */
export interface Load {
  requests: number
  bytes: number
  /** By the first digit of the status: [3] is how many were redirected. */
  readonly byClass: number[]
}

export interface Failure {
  requests: number
  readonly byPage: Map<string, number>
}

export const emptyLoad = (): Load => ({ requests: 0, bytes: 0, byClass: [] })

export class TrafficGroup {
  readonly group: ConsumerGroup<LogRecord>
  readonly witness: Witness = new Witness()
  /** By the hour's first millisecond. */
  readonly hours: Map<number, Load> = new Map()
  /** By status, from 400. */
  readonly failures: Map<number, Failure> = new Map()
  unparseable = 0

  constructor({ broker, names }: Place) {
    this.group = broker.group('traffic', { topics: names.requests, commitMode: 'manualCommit' })
  }

  /**
   * Counts first, commits afterwards: at least once. The counts live and die with this process, as the commits do, so
   * nothing else is needed; kept in a database they would want an offset beside them, as the sessions have.
   */
  async work(): Promise<void> {
    const consumer = this.group.join()
    while (!consumer.closed) {
      const batch = await consumer.poll()
      if (batch.length === 0) continue
      for (const record of batch) {
        this.witness.saw('traffic', record)
        this.#count(record)
      }
      await consumer.commit(batch)
    }
  }

  #count({ value: { request } }: LogRecord): void {
    if (request === undefined) {
      this.unparseable += 1
      return
    }
    const { time, bytes, status, page } = request
    const load = entry(this.hours, time - (time % 3_600_000), emptyLoad)
    const statusClass = Math.floor(status / 100)
    load.requests += 1
    load.bytes += bytes
    load.byClass[statusClass] = (load.byClass[statusClass] ?? 0) + 1
    if (status < 400) return
    const failure = entry(this.failures, status, () => ({ requests: 0, byPage: new Map<string, number>() }))
    failure.requests += 1
    failure.byPage.set(page, (failure.byPage.get(page) ?? 0) + 1)
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
