// The tables: who came, what was asked for, what failed, and the proof.
import type { Outcome } from './job.js'
import type { Proof } from './proof.js'
import { byLength, type Visitor } from './session.js'
import { byText, type Cell, clipped, counted, duration, moment, sparkline, table } from './table.js'
import { emptyLoad, type Failure, type Load } from './traffic.js'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

export function report({ sessions, traffic, deadLetters }: Outcome): string {
  const { visitors } = sessions.store
  const requests = visitors.reduce((sum, visitor) => sum + visitor.requests, 0)
  const sessionCount = visitors.reduce((sum, visitor) => sum + visitor.sessions, 0)
  return [
    `${counted(requests, 'request')} by ${counted(visitors.length, 'visitor')} in ${counted(sessionCount, 'session')}`,
    mostSessions(visitors),
    longestSessions(visitors),
    days(traffic.hours),
    busiestHours(traffic.hours),
    failures(traffic.failures),
    table(
      'Dead letters (the first ten)',
      ['line', 'why', 'text'],
      deadLetters.slice(0, 10).map(({ entry, why }) => [entry.line, why, clipped(entry.text, 70)]),
    ),
  ].join('\n\n')
}

const mostSessions = (visitors: readonly Visitor[]): string =>
  table(
    'Who came most often',
    ['visitor', 'sessions', 'requests'],
    visitors
      .toSorted((a, b) => b.sessions - a.sessions || b.requests - a.requests || byText(a.address, b.address))
      .slice(0, 8)
      .map(({ address, sessions, requests }) => [address, sessions, requests]),
  )

const longestSessions = (visitors: readonly Visitor[]): string =>
  table(
    'Who stayed longest in one session',
    ['visitor', 'from (UTC)', 'stayed', 'requests'],
    visitors
      .toSorted((a, b) => byLength(a.longest, b.longest) || byText(a.address, b.address))
      .slice(0, 5)
      .map(({ address, longest: { start, end, requests } }) => [
        address,
        moment(start),
        duration(end - start),
        requests,
      ]),
  )

/** Of a long log the last month. */
function days(hours: ReadonlyMap<number, Load>): string {
  const starts = [...new Set([...hours.keys()].map(hour => hour - (hour % dayMs)))].sort((a, b) => a - b)
  const busiest = Math.max(...[...hours.values()].map(({ requests }) => requests))
  return table(
    'Traffic by day (UTC)',
    ['day', ...loadHead, 'its 24 hours'],
    [
      ...starts.slice(-31).map(day => {
        const ofDay = Array.from({ length: 24 }, (_, hour) => hours.get(day + hour * hourMs) ?? emptyLoad())
        const byHour = ofDay.map(({ requests }) => requests)
        return [moment(day).slice(0, 10), ...loadCells(ofDay), sparkline(byHour, busiest)]
      }),
      ['all', ...loadCells([...hours.values()]), ''],
    ],
  )
}

const busiestHours = (hours: ReadonlyMap<number, Load>): string =>
  table(
    'The busiest hours (UTC)',
    ['from', ...loadHead],
    [...hours]
      .sort(([a, { requests: n }], [b, { requests: m }]) => m - n || a - b)
      .slice(0, 3)
      .map(([hour, load]) => [moment(hour), ...loadCells([load])]),
  )

const loadHead = ['requests', 'bytes', '2xx', '3xx', '4xx', '5xx']

const loadCells = (loads: readonly Load[]): Cell[] =>
  [
    (load: Load) => load.requests,
    (load: Load) => load.bytes,
    ...[2, 3, 4, 5].map(digit => (load: Load) => load.byClass[digit] ?? 0),
  ].map(of => loads.reduce((sum, load) => sum + of(load), 0))

/** Each status with the three pages that met it most often. */
const failures = (byStatus: ReadonlyMap<number, Failure>): string =>
  table(
    'What failed',
    ['status', 'requests', 'of them', 'page'],
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .flatMap(([status, { requests, byPage }]) =>
        [...byPage]
          .sort(([a, n], [b, m]) => m - n || byText(a, b))
          .slice(0, 3)
          .map(([page, times], index): Cell[] => [
            ...(index === 0 ? [String(status), requests] : ['', '']),
            times,
            clipped(page, 60),
          ]),
      ),
  )

export const proofText = ({ readings, claims, holds }: Proof): string =>
  [
    table(
      'The proof',
      ['group', 'consumed', 'read twice', 'missing', 'out of order', 'lag'],
      readings.map(({ id, distinct, twice, missing, outOfOrder, lag }) => [
        id,
        distinct,
        twice,
        missing,
        outOfOrder,
        lag,
      ]),
    ),
    '',
    ...claims.map(({ claim, holds }) => `  ${holds ? '✓' : '✗'} ${claim}`),
    '',
    holds ? 'All of it holds.' : 'NOT PROVED: see the lines marked ✗.',
  ].join('\n')
