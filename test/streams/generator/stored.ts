import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Case, Outcome, Step } from './case.js'

/** A case, and what Kafka Streams made of it. */
export interface Known {
  given: Case
  expected: Outcome
}

const FOLDER = fileURLToPath(new URL('../cases', import.meta.url))
const IN_A_FILE = 200

export const storedFiles = (): string[] => readdirSync(FOLDER).filter(name => name.endsWith('.jsonl.gz'))

/** The cases of one file: JSON lines, packed. */
export const storedIn = (file: string): Known[] =>
  gunzipSync(readFileSync(`${FOLDER}/${file}`))
    .toString()
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Known)

/** Puts these in place of all that is stored. */
export function store(cases: readonly Known[]): void {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER)
  for (let from = 0; from < cases.length; from += IN_A_FILE) {
    const lines = cases.slice(from, from + IN_A_FILE).map(known => `${JSON.stringify(known)}\n`)
    const name = `random-${String(from / IN_A_FILE + 1).padStart(2, '0')}.jsonl.gz`
    writeFileSync(`${FOLDER}/${name}`, gzipSync(lines.join(''), { level: 9 }))
  }
}

/** Whether a processor or its punctuation goes by the task's stream time. */
const goesByTaskTime = (step: Step): boolean =>
  (step.op === 'process' || step.op === 'processValues') && (step.by === 'times' || step.time === 'stream time')

/** What Kafka's driver throws that is no rule, by its class. */
const MISHAPS: Record<string, string> = {
  InvalidStateStoreException: 'a windowed table that was cogrouped cannot be joined, by a slip in Kafka 4.1',
  ClassCastException:
    'a table with text for keys that follows from a windowed one is held back until windows close, and its first record fails; here it is refused when it is built',
}

/**
 * Whether Kafka's driver says what Kafka says. It is one task for all sub-topologies, which on a cluster have a stream
 * time each.
 */
export function isMeaningful({ given, expected }: Known): boolean {
  if (expected.error && expected.error.type in MISHAPS) return false
  const tasks = expected.describe?.match(/Sub-topology: \d+\n/g)?.length ?? 1
  return tasks === 1 || !given.steps.some(goesByTaskTime)
}
