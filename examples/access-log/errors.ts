// The group that sends what nobody could read, and what the server failed at, to a dead letter topic.
import { type ConsumerGroup, lastHeader } from 'millrace'
import type { Place } from './place.js'
import type { LogEntry, LogRecord } from './topics.js'
import { Witness } from './witness.js'

export class ErrorsGroup {
  readonly group: ConsumerGroup<LogRecord>
  readonly witness: Witness = new Witness()
  readonly #place: Place

  constructor(place: Place) {
    this.#place = place
    // In memory the topic keeps what a group has not committed, so a short interval keeps it small.
    this.group = place.broker.group('errors', { topics: place.names.requests, autoCommitIntervalMs: 500 })
  }

  /** A handler that throws has failed; with a dead letter topic the record goes there, and the group goes on. */
  async work(): Promise<void> {
    const { broker, names } = this.#place
    await this.group.join().run(
      record => {
        this.witness.saw('errors', record)
        const { request } = record.value
        if (request === undefined) throw new Error('not in the combined log format')
        if (request.status >= 500) throw new Error(`answered with ${request.status}`)
      },
      { deadLetter: broker.topic(names.dead) },
    )
  }
}

export interface DeadLetter {
  readonly entry: LogEntry
  readonly why: string
}

/** What was dead-lettered so far, in the order of the log. */
export async function deadLetters({ broker, names }: Place): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for await (const record of broker.topic(names.dead).read({ until: 'latest' })) {
    letters.push({ entry: record.value, why: lastHeader(record, '__dlq.errors.message') ?? 'unknown' })
  }
  return letters.sort((a, b) => a.entry.line - b.entry.line)
}
