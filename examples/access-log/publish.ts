// Turns lines into records: keyed by visitor, stamped with the request's own time.
import type { ProducerRecord } from 'millrace'
import { addressOf, parseLine } from './log-line.js'
import type { LogEntry } from './topics.js'

export interface Batch {
  readonly records: readonly ProducerRecord<LogEntry>[]
  readonly last: boolean
}

/** The lines as records, so many at a time; it reads a line ahead to know which batch is the last. */
export async function* batchesOf(lines: AsyncIterable<string>, size: number): AsyncGenerator<Batch> {
  let records: ProducerRecord<LogEntry>[] = []
  let line = 0
  let time: number | undefined
  for await (const text of lines) {
    if (records.length === size) {
      yield { records, last: false }
      records = []
    }
    line += 1
    const request = parseLine(text)
    // A line without a time of its own gets that of the line before it.
    time = request?.time ?? time
    records.push({ key: request?.address ?? addressOf(text), value: { line, text, request }, timestamp: time })
  }
  if (records.length > 0) yield { records, last: true }
}
