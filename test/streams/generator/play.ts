import type { ConsumerRecord } from 'millrace'
import { type Topology, TopologyTestDriver } from 'millrace/streams'
import type { Case, Header, Input, Outcome, Row, Seen, Step, Written } from './case.js'
import { type Asked, build, type Program } from './program.js'
import { text } from './vocabulary.js'

/** How a case is played, where it is not as the oracle does: what must make no difference. */
export interface Manner {
  partitions?: number
  /** What is run, made of what was built. */
  adapt?: (topology: Topology<any>) => Topology<any>
  /** Called before each input. */
  meanwhile?: (driver: TopologyTestDriver) => void
}

/** Plays a case on `millrace/streams`, and says what came of it in the oracle's words. */
export function play(
  { startMs, steps, input }: Case,
  { partitions = 1, adapt = same, meanwhile }: Manner = {},
): Outcome {
  const outcome: Outcome = {}
  let program: Program
  let driver: TopologyTestDriver
  try {
    program = build(steps)
    outcome.describe = program.topology.describe()
    driver = new TopologyTestDriver(adapt(program.topology), { startMs, partitions })
  } catch (error) {
    return { error: errorOf('build', error) }
  }
  const topics = sinksOf(steps)
  const records: Record<string, Written[]> = {}
  let at = 0
  for (const each of input) {
    program.at = at
    try {
      meanwhile?.(driver)
      feed(driver, each)
    } catch (error) {
      outcome.error = errorOf(String(at), error)
      break
    }
    for (const topic of topics) {
      const written = drain(driver, topic, at)
      if (written.length > 0) records[topic] = [...(records[topic] ?? []), ...written]
    }
    at++
  }
  outcome.records = records
  outcome.seen = program.seen.filter((seen: Seen) => seen[0] < at)
  if (!outcome.error) {
    const stores = program.asked.flatMap(asked => (asked.rows ? [[asked.id, rowsOf(driver, asked.rows)]] : []))
    outcome.stores = Object.fromEntries(stores)
    driver.close()
  }
  return outcome
}

const same = (topology: Topology<any>): Topology<any> => topology

function errorOf(at: string, error: unknown): NonNullable<Outcome['error']> {
  const { name, message } = error as Error
  const code = (error as { code?: unknown }).code
  return { at, type: typeof code === 'string' ? code : name, message }
}

function feed(driver: TopologyTestDriver, input: Input): void {
  if ('wall' in input) return driver.advanceWallClock(input.wall)
  const [topic, key, value, timestamp, headers = []] = input
  driver.pipe(topic, { key, value, timestamp, headers })
}

export const sinksOf = (steps: readonly Step[]): string[] =>
  [...new Set(steps.flatMap(step => (step.op === 'to' ? (step.topics ?? [step.topic!]) : [])))].sort()

const drain = (driver: TopologyTestDriver, topic: string, at: number): Written[] =>
  driver.read(topic).map(record => writtenOf(record, at))

export function writtenOf({ key, value, timestamp, headers }: ConsumerRecord<any>, at: number): Written {
  const written: Written = [at, key, value, timestamp]
  if (headers.length > 0) written.push(headers.map(([name, content]): Header => [name, String(content)]))
  return written
}

function rowsOf(driver: TopologyTestDriver, { of }: NonNullable<Asked['rows']>): Row[] {
  const rows = driver.query(of as any).range() as Iterable<readonly [any, any]>
  return [...rows].map(([key, value]): Row => [text(key), value])
}
