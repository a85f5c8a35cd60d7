import type { Case, Outcome, Row, Step, Written } from './case.js'

// What Kafka Streams and millrace/streams made of the same case, side by side.

export interface Difference {
  what: string
  expected: string
  actual: string
}

/** What picks a topic is printed by a name of its own. */
const plain = (describe: string | undefined): string =>
  (describe ?? '').replace(/\(extractor class: .*?\)\n/g, '(extractor class: ...)\n')

/** The first difference, or undefined. Errors are the same when they come at the same place; their words are not compared. */
export function difference(expected: Outcome, actual: Outcome, steps: readonly Step[]): Difference | undefined {
  const differs = (what: string, one: unknown, other: unknown): Difference | undefined => {
    const [left, right] = [one, other].map(each => (typeof each === 'string' ? each : JSON.stringify(each)))
    return left === right ? undefined : { what, expected: left ?? 'nothing', actual: right ?? 'nothing' }
  }
  if (expected.error?.at !== actual.error?.at) return differs('what it threw', expected.error, actual.error)
  if (expected.error?.at === 'build') return undefined
  const described = differs('describe()', plain(expected.describe), plain(actual.describe))
  if (described) return described
  const topics = new Set([...Object.keys(expected.records ?? {}), ...Object.keys(actual.records ?? {})])
  for (const topic of [...topics].sort()) {
    const found = firstOf(topic, expected.records?.[topic] ?? [], actual.records?.[topic] ?? [])
    if (found) return found
  }
  const seen = differs('what was seen by peek and forEach', expected.seen, actual.seen)
  if (seen) return seen
  for (const [id, rows] of Object.entries(actual.stores ?? {})) {
    const theirs = expected.stores?.[id]
    const ordered = steps.some(step => step.id === id && isOfSessions(step)) ? sorted : (all: Row[]): Row[] => all
    const found = differs(`the rows of ${id}`, theirs && ordered(theirs), ordered(rows))
    if (found) return found
  }
  return undefined
}

/** Kafka's sessions come by their ends, ours by their starts. */
const isOfSessions = (step: Step): boolean =>
  (step.op === 'store' && step.kind === 'session') ||
  ('windows' in step && step.windows !== undefined && 'gap' in step.windows)
const sorted = (rows: readonly Row[]): Row[] => [...rows].sort(([one], [other]) => (one < other ? -1 : 1))

function firstOf(topic: string, expected: readonly Written[], actual: readonly Written[]): Difference | undefined {
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    const [one, other] = [expected[i], actual[i]].map(record => JSON.stringify(record))
    if (one === other) continue
    const near = (of: readonly Written[]): string =>
      of
        .slice(Math.max(0, i - 2), i + 4)
        .map(record => JSON.stringify(record))
        .join('\n')
    return { what: `records of ${topic}, from number ${i}`, expected: near(expected), actual: near(actual) }
  }
  return undefined
}

/** A case to read: its steps and inputs a line each, and where the two part. */
export function report({ seed, steps, input }: Case, { what, expected, actual }: Difference): string {
  const lines = (of: readonly unknown[]): string => of.map(each => `  ${JSON.stringify(each)}`).join('\n')
  return `seed ${seed}: ${what}\nsteps:\n${lines(steps)}\ninput:\n${lines(input)}\nKafka Streams:\n${expected}\nmillrace/streams:\n${actual}`
}
