import { Bench } from 'tinybench'
import type { Bar, Effort } from './measure.js'

/** Something to be measured; it returns what it measured itself, in milliseconds, if that is not the whole call. */
export type Contender = () => unknown

const alive: unknown[] = []

/**
 * Lives as long as the process, as things do in an application. Were each round's the only ones of their kind, the
 * garbage collection between two rounds would take along what V8 has learnt about them, whoever made them.
 */
export function keepAlive<Thing>(thing: Thing): Thing {
  alive.push(thing)
  return thing
}

/** Milliseconds for each contender and round; the n-th of each were taken one right after the other. */
export type Timings<Name extends string> = { readonly [N in Name]: readonly number[] }

/**
 * Runs the contenders by turns, in one process, for so many rounds after a warm-up, and collects garbage before each:
 * whatever disturbs the machine disturbs all of them alike.
 */
export async function interleave<Name extends string>(
  contenders: { readonly [N in Name]: Contender },
  { rounds, warmUp, cpu }: Pick<Effort, 'rounds' | 'warmUp' | 'cpu'>,
): Promise<Timings<Name>> {
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true, retainSamples: true })
  const names = Object.keys(contenders) as Name[]
  const timings = Object.fromEntries(names.map(name => [name, [] as number[]])) as { [N in Name]: number[] }
  for (const name of names) {
    const contender: Contender = contenders[name]
    const once = async (): Promise<{ overriddenDuration: number } | undefined> => {
      const before = processorTime()
      const own = await contender()
      if (typeof own === 'number') return { overriddenDuration: own }
      return cpu ? { overriddenDuration: processorTime() - before } : undefined
    }
    bench.add(name, once, { async: true, beforeEach: collectGarbage })
  }
  for (let round = -warmUp; round < rounds; round++) {
    // Whoever comes after a contender that leaves much behind must not always be the same.
    const start = (round + warmUp) % names.length
    for (const name of [...names.slice(start), ...names.slice(0, start)]) {
      const task = bench.getTask(name)!
      task.reset()
      const { result } = await task.run()
      if (!('latency' in result)) throw new Error(`${name} was not measured: ${result.state}`)
      if (round >= 0) timings[name].push(result.latency.samples![0])
    }
  }
  return timings
}

/** Milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

export function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('node --expose-gc')
  globalThis.gc()
}

export function quantile(values: Iterable<number>, fraction: number): number {
  const sorted = new Float64Array(values).sort()
  const at = (sorted.length - 1) * fraction
  const below = sorted[Math.floor(at)]!
  return below + (sorted[Math.ceil(at)]! - below) * (at % 1)
}
export const median = (values: Iterable<number>): number => quantile(values, 0.5)

/** How often one goes into the other, round by round: the median, and the middle half. */
export function ratio(
  numerator: readonly number[],
  denominator: readonly number[],
): { value: number; spread: readonly [number, number] } {
  const ratios = numerator.map((time, round) => time / denominator[round]!)
  return { value: median(ratios), spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)] }
}

/** A bar in records a second. */
export function rate(label: string, records: number, timings: readonly number[], ours: boolean = false): Bar {
  return { label, value: records / median(timings) / 1_000, unit: 'M records/s', ours }
}
