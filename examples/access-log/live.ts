// Runs the topology on two instances while the log is published hour by hour, and shows what comes out meanwhile.
import { Broker } from 'millrace'
import { type KTable, Streams } from 'millrace/streams'
import { spansOf } from './publish.js'
import { byText, count, counted, moment, table } from './table.js'
import { accessLog, type HourlyLoad, hourMs, type PageErrors, type StreamTopics, type Visits } from './topology.js'

const partitions = 6
/** When so many lines are published, one of the two instances stops. */
const stopsAfter = 5_000

export interface LiveOutcome {
  readonly lines: number
  readonly visitors: ReadonlyMap<string, Visits>
  /** Those with errors. */
  readonly pages: ReadonlyMap<string, PageErrors>
  /** Final, in the order in which they were over. */
  readonly hours: readonly HourlyLoad[]
  /** Begun when the log ended: no later request has said that they are over. */
  readonly openHours: readonly HourlyLoad[]
}

/** Resolves when everything is worked through; `say` gets a line for each hour that is over. */
export async function runLive(lines: AsyncIterable<string>, say: (line: string) => void): Promise<LiveOutcome> {
  const broker = new Broker<StreamTopics>({ topics: { requests: { partitions }, hours: {} } })
  const { topology, visitors, loads, pages } = accessLog()
  const instances: Streams<StreamTopics>[] = []
  const running: Promise<void>[] = []
  const start = (): void => {
    const instance = new Streams(topology, { applicationId: 'access-log', broker })
    instances.push(instance)
    // When one fails, nobody waits for what it would have done: a closed broker ends every wait.
    running.push(instance.run().catch(error => broker.close().then(() => Promise.reject(error))))
  }
  /** Each instance has a part of every table. */
  const rowsOf = <Row>(rows: KTable<Row, string, StreamTopics>): (readonly [string, Row])[] =>
    instances.flatMap(instance => [...instance.query(rows).range()])

  const hours: HourlyLoad[] = []
  const take = async (): Promise<void> => {
    const seen = rowsOf(visitors).length
    for await (const { value } of broker.topic('hours').read({ from: hours.length, until: 'latest' })) {
      say(`${hourLine(value)}   ${count(seen).padStart(6)} visitors so far`)
      hours.push(value)
    }
  }
  let published = 0
  try {
    start()
    start()
    await Promise.all(instances.map(instance => instance.ready()))
    say(`  two instances, with ${instances.map(({ tasks }) => counted(tasks.length, 'task')).join(' and ')}`)
    for await (const records of spansOf(lines, hourMs)) {
      if (published < stopsAfter && published + records.length >= stopsAfter) {
        await instances.shift()?.close()
        await instances[0]?.ready()
        say(`  ! one stops: the other has ${counted(instances[0]!.tasks.length, 'task')} now, their state restored`)
      }
      broker.topic('requests').publishAll(records)
      published += records.length
      await broker.settled()
      await take()
    }
    const last = hours.at(-1)?.from ?? -1
    const open = instances.flatMap(instance => [...instance.query(loads).range({ from: last + 1 })])
    return {
      lines: published,
      visitors: new Map(rowsOf(visitors)),
      pages: new Map(rowsOf(pages)),
      hours,
      openHours: open.map(([{ start: from }, load]) => ({ from, ...load })),
    }
  } finally {
    await Promise.all(instances.map(instance => instance.close()))
    await broker.close()
    await Promise.all(running)
  }
}

const hourLine = ({ from, requests, bytes }: HourlyLoad): string =>
  `  ${moment(from).slice(0, 16)} ${count(requests).padStart(7)} requests ${count(bytes).padStart(13)} bytes`

export function liveReport({ lines, visitors, pages, hours, openHours }: LiveOutcome): string {
  const all = [...visitors.values()].reduce((sum, one) => ({
    sessions: sum.sessions + one.sessions,
    requests: sum.requests + one.requests,
  }))
  const inHours = [...hours, ...openHours].reduce((sum, { requests }) => sum + requests, 0)
  return [
    `${counted(all.requests, 'request')} by ${counted(visitors.size, 'visitor')} in ${counted(all.sessions, 'session')}`,
    table(
      'Who came most often',
      ['visitor', 'sessions', 'requests'],
      [...visitors]
        .sort(([a, v], [b, w]) => w.sessions - v.sessions || w.requests - v.requests || byText(a, b))
        .slice(0, 8)
        .map(([address, { sessions, requests }]) => [address, sessions, requests]),
    ),
    table(
      'Errors against pages',
      ['failed', 'of', 'share', 'page'],
      [...pages]
        .sort(([a, p], [b, q]) => q.failed - p.failed || byText(a, b))
        .slice(0, 8)
        .map(([page, { failed, requests }]) => [failed, requests, `${Math.round((100 * failed) / requests)} %`, page]),
    ),
    table(
      'Hours that the log leaves open (no later request has come)',
      ['from (UTC)', 'requests', 'bytes'],
      openHours.map(({ from, requests, bytes }) => [moment(from), requests, bytes]),
    ),
    `${counted(hours.length, 'hour')} final, each once; ${count(inHours)} requests in hours, of ${counted(lines, 'line')}`,
  ].join('\n\n')
}
