import { MillraceError } from '../index.js'
import { checkOptions } from './store-options.js'

interface Grace {
  /**
   * How long, by stream time, after its end a window still takes late records (joins: how much longer the records of
   * the other side are kept). Milliseconds. Kafka: the `AndGrace` constructors.
   *
   * @default 0
   */
  graceMs?: number | undefined
}
export interface TimeWindows {
  readonly kind: 'time'
  readonly sizeMs: number
  readonly advanceMs: number
  readonly graceMs: number
}
export interface SlidingWindows {
  readonly kind: 'sliding'
  readonly differenceMs: number
  readonly graceMs: number
}
export interface SessionWindows {
  readonly kind: 'session'
  readonly gapMs: number
  readonly graceMs: number
}
export interface JoinWindows {
  readonly kind: 'join'
  readonly beforeMs: number
  readonly afterMs: number
  readonly graceMs: number
}

/**
 * Tumbling windows, or hopping ones where they advance by less than their size; aligned to the epoch. A window takes the
 * timestamps from its start to before its end. Kafka: TimeWindows.
 *
 * @throws INVALID_CONFIG for a size below 1, an advance that is not within 1..size, a negative grace
 */
export function timeWindows(options: { sizeMs: number; advanceMs?: number | undefined } & Grace): TimeWindows {
  checkNames('timeWindows()', options, ['sizeMs', 'advanceMs', 'graceMs'])
  const { sizeMs, advanceMs = sizeMs, graceMs = 0 } = options
  whole('sizeMs', sizeMs, 1)
  if (!Number.isSafeInteger(advanceMs) || advanceMs < 1 || advanceMs > sizeMs)
    throw refused('advanceMs', advanceMs, `a whole number of milliseconds from 1 to sizeMs (${sizeMs})`)
  whole('graceMs', graceMs, 0)
  return Object.freeze({ kind: 'time', sizeMs, advanceMs, graceMs })
}

/**
 * A window for each set of records that lie within so long a time of each other; start and end belong to it. Kafka:
 * SlidingWindows.
 *
 * @throws INVALID_CONFIG for a negative difference or grace
 */
export function slidingWindows(options: { differenceMs: number } & Grace): SlidingWindows {
  checkNames('slidingWindows()', options, ['differenceMs', 'graceMs'])
  const { differenceMs, graceMs = 0 } = options
  whole('differenceMs', differenceMs, 0)
  whole('graceMs', graceMs, 0)
  return Object.freeze({ kind: 'sliding', differenceMs, graceMs })
}

/**
 * Records with no larger gap between them than this one belong to one session, which begins with the first and ends with
 * the last of them. Kafka: SessionWindows.
 *
 * @throws INVALID_CONFIG for a negative gap or grace
 */
export function sessionWindows(options: { gapMs: number } & Grace): SessionWindows {
  checkNames('sessionWindows()', options, ['gapMs', 'graceMs'])
  const { gapMs, graceMs = 0 } = options
  whole('gapMs', gapMs, 0)
  whole('graceMs', graceMs, 0)
  return Object.freeze({ kind: 'session', gapMs, graceMs })
}

/**
 * The other side's timestamp lies within left - beforeMs .. left + afterMs, both included. Each alone may be negative.
 * Kafka: JoinWindows.
 *
 * @throws INVALID_CONFIG for a beforeMs + afterMs below 0, a negative grace
 */
export function joinWindows(
  options: ({ differenceMs: number } | { beforeMs: number; afterMs: number }) & Grace,
): JoinWindows {
  checkNames('joinWindows()', options, ['differenceMs', 'beforeMs', 'afterMs', 'graceMs'])
  const { graceMs = 0 } = options
  if ('differenceMs' in options) whole('differenceMs', options.differenceMs, 0)
  const { beforeMs, afterMs } =
    'differenceMs' in options ? { beforeMs: options.differenceMs, afterMs: options.differenceMs } : options
  whole('beforeMs', beforeMs, -Infinity)
  whole('afterMs', afterMs, -Infinity)
  if (beforeMs + afterMs < 0)
    throw refused('beforeMs + afterMs', beforeMs + afterMs, 'at least 0, or the window would end before it starts')
  whole('graceMs', graceMs, 0)
  return Object.freeze({ kind: 'join', beforeMs, afterMs, graceMs })
}

// ── arithmetic ──────────────────────────────────────────────────────────────────────────────────────

/** The starts of the windows that a timestamp falls into, the earliest first; none is negative. Kafka: TimeWindows.windowsFor. */
export function windowStarts(windows: TimeWindows, timestamp: number): number[] {
  const starts: number[] = []
  for (let start = firstStart(windows, timestamp); start <= timestamp; start += windows.advanceMs) starts.push(start)
  return starts
}
/** The earliest of them; the others follow by advanceMs, up to the timestamp. */
export function firstStart({ sizeMs, advanceMs }: TimeWindows, timestamp: number): number {
  return Math.floor(Math.max(0, timestamp - sizeMs + advanceMs) / advanceMs) * advanceMs
}

/**
 * How long after its end a window can still change, by the stream time of its operator: what suppress and emit on close
 * wait for. A session's end is that of its last record, so it stays open for the gap too.
 * Kafka: GraphGraceSearchUtil.findAndVerifyWindowGrace.
 */
export function graceAfterEnd(windows: TimeWindows | SlidingWindows | SessionWindows): number {
  return windows.kind === 'session' ? windows.gapMs + windows.graceMs : windows.graceMs
}

/**
 * Whether what ends at `end` takes no records any more: dropped as late.
 * Kafka: KStreamWindowAggregate (end > closeTime is open), KStreamSlidingWindowAggregate and
 * KStreamSessionWindowAggregate (end < closeTime is closed), which still take records at the very instant of closing.
 */
export function isClosed(
  windows: TimeWindows | SlidingWindows | SessionWindows,
  end: number,
  streamTime: number,
): boolean {
  const closes = end + graceAfterEnd(windows)
  return windows.kind === 'time' ? closes <= streamTime : closes < streamTime
}

const dayMs = 86_400_000

/** What a store of such windows must keep, at the least. Kafka: TimeWindowedKStreamImpl, SlidingWindowedKStreamImpl, SessionWindowedKStreamImpl. */
export function leastRetention(windows: TimeWindows | SlidingWindows | SessionWindows): number {
  if (windows.kind === 'session') return windows.gapMs + windows.graceMs
  return (windows.kind === 'time' ? windows.sizeMs : 2 * windows.differenceMs) + windows.graceMs
}

/**
 * How long a store of such windows keeps them: what was asked for, else a day, or the least where that is more. (Unlike
 * Kafka, whose default is the least: emit on close would lose windows where stream time jumps.)
 *
 * @throws INVALID_CONFIG where it is below the least
 */
export function retentionOf(
  windows: TimeWindows | SlidingWindows | SessionWindows,
  retentionMs: number | undefined,
): number {
  const least = leastRetention(windows)
  if (retentionMs === undefined) return Math.max(dayMs, least)
  if (Number.isSafeInteger(retentionMs) && retentionMs >= least) return retentionMs
  throw refused('retentionMs', retentionMs, `a whole number of at least ${least} (${leastMeans[windows.kind]})`)
}
const leastMeans = { time: 'size + grace', sliding: '2 x difference + grace', session: 'gap + grace' } as const

/** How long the records of a side wait for the other's. Kafka: StreamJoinedStoreFactory (size + grace). */
export const joinRetention = ({ beforeMs, afterMs, graceMs }: JoinWindows): number => beforeMs + afterMs + graceMs

// ── bad input ───────────────────────────────────────────────────────────────────────────────────────

/** Windows that were made before may be given again, or spread. */
function checkNames(operation: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) throw refused(`options of ${operation}`, options, 'an object of options')
  checkOptions(`options of ${operation}`, options, [...known, 'kind'])
}
function whole(option: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return
  throw refused(option, value, `a whole number of milliseconds${least === -Infinity ? '' : `, ${least} or more`}`)
}

const refused = (option: string, value: unknown, expected: string): MillraceError =>
  new MillraceError('INVALID_CONFIG', { option, value, expected })
