import { MillraceError } from '../../index.js'
import { checkOptions } from '../store-options.js'

/** Kafka: Suppressed. */
export interface Suppressed {
  readonly kind: 'window closes' | 'time limit'
  readonly limitMs?: number
  readonly maxRecords?: number
}

/**
 * One result per time window, when it can't change any more. A sliding or session window that is touched at the very
 * instant of closing comes again, as in Kafka; `emit: 'on close'` does not repeat. TOPOLOGY on a table that is not
 * windowed. Kafka: Suppressed.untilWindowCloses(unbounded()).
 */
export function untilWindowCloses(): Suppressed {
  return Object.freeze({ kind: 'window closes' })
}

/**
 * At most one change per key in so long a time; beyond maxRecords the oldest goes early.
 * Kafka: Suppressed.untilTimeLimit(limit, maxRecords(...).emitEarlyWhenFull()).
 *
 * @throws INVALID_CONFIG for a negative limit or count
 */
export function untilTimeLimit(limitMs: number, options?: { maxRecords?: number | undefined }): Suppressed {
  checkOptions('options of untilTimeLimit()', options, ['maxRecords'])
  const maxRecords = options?.maxRecords
  check('limitMs', limitMs)
  if (maxRecords !== undefined) check('maxRecords', maxRecords)
  return Object.freeze({ kind: 'time limit', limitMs, ...(maxRecords !== undefined && { maxRecords }) })
}

function check(option: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return
  throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'a whole number, 0 or more' })
}
