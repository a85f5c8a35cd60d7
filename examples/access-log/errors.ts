// The group that sends what nobody could read, and what the server failed at, to a dead letter topic.
import { lastHeader, type MemoryBroker, type MemoryConsumerGroup } from 'millrace'
import type { LogEntry, LogRecord, Topics } from './topics.js'
import { Witness } from './witness.js'

export class ErrorsGroup {
  readonly group: MemoryConsumerGroup<LogRecord>
  readonly witness: Witness = new Witness()
  readonly #broker: MemoryBroker<Topics>

  constructor(broker: MemoryBroker<Topics>) {
    this.#broker = broker
    // The topic keeps what a group has not committed, so a short interval keeps it small.
    this.group = broker.group('errors', { topics: 'requests', autoCommitIntervalMs: 500 })
  }

  /** A handler that throws has failed; with a dead letter topic the record goes there, and the group goes on. */
  async work(): Promise<void> {
    const consumer = this.group.join()
    await consumer.run(
      record => {
        this.witness.saw(consumer.memberId, record)
        const { request } = record.value
        if (request === undefined) throw new Error('not in the combined log format')
        if (request.status >= 500) throw new Error(`answered with ${request.status}`)
      },
      { deadLetter: this.#broker.topic('requests.dead') },
    )
  }
}

export interface DeadLetter {
  readonly entry: LogEntry
  readonly why: string
}

/** What was dead-lettered so far, in the order of the log. */
export async function deadLetters(broker: MemoryBroker<Topics>): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for await (const record of broker.topic('requests.dead').read({ until: 'latest' })) {
    letters.push({ entry: record.value, why: lastHeader(record, '__dlq.errors.message') ?? 'unknown' })
  }
  return letters.sort((a, b) => a.entry.line - b.entry.line)
}
