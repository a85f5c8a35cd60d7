// The main job again, as a topology: what job.ts and its groups do by hand, said in operators.
import {
  type KTable,
  StreamsBuilder,
  sessionWindows,
  type Topology,
  timeWindows,
  untilWindowCloses,
  type Windowed,
} from 'millrace/streams'
import type { LogEntry } from './topics.js'

const minuteMs = 60_000
export const hourMs: number = 60 * minuteMs

/** Whoever is silent for half an hour begins a new session; Kafka counts a gap's last millisecond to the old one. */
const silence = sessionWindows({ gapMs: 30 * minuteMs - 1, graceMs: hourMs })
/** An hour is over when a request comes that is two hours younger: requests of several partitions do not meet in order. */
const hours = timeWindows({ sizeMs: hourMs, graceMs: 2 * hourMs })

export interface StreamTopics {
  /** By visitor. */
  requests: LogEntry
  /** Each hour once, when nothing can change it any more. */
  hours: HourlyLoad
}
export interface TotalLoad {
  readonly requests: number
  readonly bytes: number
}
export interface HourlyLoad extends TotalLoad {
  readonly from: number
}
export interface Visits {
  readonly sessions: number
  readonly requests: number
}
export interface PageErrors {
  readonly failed: number
  readonly requests: number
}
type Rows<Row> = KTable<Row, string, StreamTopics>

export interface AccessLog {
  readonly topology: Topology<StreamTopics>
  readonly visitors: Rows<Visits>
  /** By hour, closed or not. */
  readonly loads: KTable<TotalLoad, Windowed, StreamTopics>
  /** Only those with errors. */
  readonly pages: Rows<PageErrors>
}

export function accessLog(): AccessLog {
  const builder = new StreamsBuilder<StreamTopics>()
  const requests = builder.stream('requests').flatMapValues(({ request }) => (request === undefined ? [] : [request]))

  // A session that grows is a new row, and takes its old one out of the sum. mapValues with a store knows the old one
  // even where two requests of the same second begin a session: there Kafka's session windows tell of none.
  const visitors = requests
    .groupByKey()
    .windowedBy(silence)
    .count()
    .mapValues(count => count, { store: 'sessions' })
    .groupBy((count, { key }) => [key, count])
    .aggregate<Visits>(
      () => ({ sessions: 0, requests: 0 }),
      (all, count) => ({ sessions: all.sessions + 1, requests: all.requests + count }),
      (all, count) => ({ sessions: all.sessions - 1, requests: all.requests - count }),
      { store: 'visitors' },
    )

  const loads = requests
    .groupBy(() => 'site')
    .windowedBy(hours)
    .aggregate<TotalLoad>(
      () => ({ requests: 0, bytes: 0 }),
      (load, { bytes }) => ({ requests: load.requests + 1, bytes: load.bytes + bytes }),
      { store: 'loads' },
    )
  loads
    .suppress(untilWindowCloses())
    .toStream()
    .flatMap((load, { key, start }) => (load === null ? [] : [[key, { from: start, ...load }] as const]))
    .to('hours')

  const byPage = requests.selectKey(({ page }) => page)
  const failed = byPage
    .filter(({ status }) => status >= 400)
    .groupByKey()
    .count({ store: 'failed-by-page' })
  const asked = byPage.groupByKey().count({ store: 'requests-by-page' })
  const pages = failed.join(asked, (failed, requests): PageErrors => ({ failed, requests }), { store: 'page-errors' })

  return { topology: builder.build(), visitors, loads, pages }
}
