// The group that rebuilds each visitor's sessions: three members, one of which dies at work.
import { type MemoryBroker, type MemoryConsumer, type MemoryConsumerGroup, stickyAssignor } from 'millrace'
import { type Visitor, visit } from './session.js'
import { SessionStore } from './session-store.js'
import type { LogRecord, Topics } from './topics.js'
import { Witness } from './witness.js'

export interface Crash {
  readonly memberId: string
  /** Records it had read and not saved: what others have to read again. */
  readonly unsaved: number
}

export class SessionsGroup {
  readonly group: MemoryConsumerGroup<LogRecord>
  readonly store: SessionStore = new SessionStore()
  readonly witness: Witness = new Witness()
  crash: Crash | undefined
  #crashIsDue = false

  constructor(broker: MemoryBroker<Topics>) {
    this.group = broker.group('sessions', {
      topics: 'requests',
      commitMode: 'manualCommit',
      maxPollRecords: 50,
      // Who is still there keeps what it has when another dies or comes.
      assignor: stickyAssignor,
    })
  }

  join(): MemoryConsumer<LogRecord> {
    return this.group.join({
      onAssigned: (partitions, consumer) => {
        for (const { partition } of partitions) consumer.seek('requests', partition, this.store.nextOffset(partition))
      },
    })
  }

  /** Who has which partitions. */
  get owners(): string {
    return this.group.members
      .map(({ memberId, assignment }) => `${memberId} has ${assignment.map(({ partition }) => partition).join(' ')}`)
      .join(', ')
  }

  /** Until the consumer is closed. A member keeps nothing between two batches, so nothing but a batch dies with it. */
  async work(consumer: MemoryConsumer<LogRecord>): Promise<void> {
    while (!consumer.closed) {
      const batch = await consumer.poll()
      if (batch.length === 0) continue
      const changed = new Map<string, Visitor>()
      for (const [index, record] of batch.entries()) {
        this.witness.saw(consumer.memberId, record)
        const { request } = record.value
        if (request !== undefined) {
          const { address } = request
          changed.set(address, visit(changed.get(address) ?? this.store.visitor(address), request))
        }
        if (this.#crashIsDue && index + 1 >= batch.length / 2) return this.#die(consumer, index + 1)
      }
      this.store.save(batch, changed.values())
      await consumer.commit(batch)
    }
  }

  /** Whoever gets the next batch dies half-way through it. */
  crashOnce(): void {
    this.#crashIsDue = this.crash === undefined
  }

  #die(consumer: MemoryConsumer<LogRecord>, unsaved: number): void {
    this.crash = { memberId: consumer.memberId, unsaved }
    this.#crashIsDue = false
    consumer.crash()
  }
}
