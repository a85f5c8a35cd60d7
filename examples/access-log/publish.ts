// Turns lines into records: keyed by visitor, stamped with the request's own time.
import type { ProducerRecord } from 'millrace'
import { addressOf, parseLine } from './log-line.js'
import type { LogEntry } from './topics.js'

export type LogLine = ProducerRecord<LogEntry>

export interface Batch {
  readonly records: readonly LogLine[]
  readonly last: boolean
}

/** So many at a time; it reads a line ahead to know which batch is the last. */
export async function* batchesOf(lines: AsyncIterable<string>, size: number): AsyncGenerator<Batch> {
  let records: LogLine[] = []
  for await (const record of recordsOf(lines)) {
    if (records.length === size) {
      yield { records, last: false }
      records = []
    }
    records.push(record)
  }
  if (records.length > 0) yield { records, last: true }
}

/** As they came, in batches of which none spans more than so many milliseconds of the log. */
export async function* spansOf(lines: AsyncIterable<string>, spanMs: number): AsyncGenerator<readonly LogLine[]> {
  let records: LogLine[] = []
  for await (const record of recordsOf(lines)) {
    const begun = records[0]?.timestamp
    if (begun !== undefined && record.timestamp !== undefined && record.timestamp >= begun + spanMs) {
      yield records
      records = []
    }
    records.push(record)
  }
  if (records.length > 0) yield records
}

async function* recordsOf(lines: AsyncIterable<string>): AsyncGenerator<LogLine> {
  let line = 0
  let time: number | undefined
  for await (const text of lines) {
    line += 1
    const request = parseLine(text)
    // A line without a time of its own gets that of the line before it.
    time = request?.time ?? time
    yield { key: request?.address ?? addressOf(text), value: { line, text, request }, timestamp: time }
  }
}
