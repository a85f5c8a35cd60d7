// One line of a log in Apache's combined format, parsed.
import { isIP } from 'node:net'

export interface WebRequest {
  readonly address: string
  /** Milliseconds since 1970. */
  readonly time: number
  /** Without what follows the question mark. */
  readonly page: string
  readonly status: number
  readonly bytes: number
}

/** Between quotes, where a quote is escaped by a backslash. */
const quoted = String.raw`"((?:[^"\\]|\\.)*)"`
const combined = new RegExp(String.raw`^(\S+) \S+ [^[]+ \[([^\]]+)\] ${quoted} (\d{3}) (\d+|-) ${quoted} ${quoted}$`)

/** Undefined for a line in any other format, which then has no time either. */
export function parseLine(line: string): WebRequest | undefined {
  const [, address = '', written = '', request = '', status, bytes] = combined.exec(line) ?? []
  const time = timeOf(written)
  if (time === undefined) return undefined
  const [, target = '-'] = request.split(' ')
  return {
    address,
    time,
    page: target.split('?', 1)[0]!,
    status: Number(status),
    bytes: bytes === '-' ? 0 : Number(bytes),
  }
}

/** Who sent it, as far as even a broken line says so. */
export function addressOf(line: string): string | null {
  const [first = ''] = line.split(' ', 1)
  return isIP(first) === 0 ? null : first
}

/** `17/May/2015:10:05:03 +0000`; a record's timestamp can't lie before 1970. */
function timeOf(text: string): number | undefined {
  const time = Date.parse(text.replace(/^(\d\d)\/(\w{3})\/(\d{4}):/, '$1 $2 $3 '))
  return time >= 0 ? time : undefined
}
