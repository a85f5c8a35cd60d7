import { isMillraceError, MillraceError } from '../../index.js'
import type { RecordContext } from '../record.js'

/**
 * What is thrown where an output can't be written: the broker's error by its code; the cause names the sinks and, where
 * that is known, the record that they were at.
 */
export function refusalOf(error: unknown, topic: string, sinks: Iterable<string>, from?: RecordContext): unknown {
  const names = [...new Set(sinks)]
  if (!isMillraceError(error) || names.length === 0) return error
  const { code, details, retriable, message } = error
  const at = from?.topic === undefined ? '' : ` for the record at ${from.topic}-${from.partition} offset ${from.offset}`
  const cause = new TypeError(`${names.join(', ')} can't write to topic ${topic}${at}: ${message}`, { cause: error })
  return new MillraceError(code, details, { cause, retriable })
}
