import { type Broker, type Key, type MaybePromise, MillraceError } from '../index.js'
import { errorText, type History, table } from './history.js'
import { checkKnown } from './known-options.js'
import { everything, type Outcome, type Plan } from './plan.js'
import { runSchedule } from './schedule.js'
import { shorten } from './shorten.js'
import type { TestBroker, TestBrokerOptions } from './test-broker.js'

export interface SimulationOptions<Topics extends object> extends Omit<TestBrokerOptions<Topics>, 'clock'> {
  /** Of the first schedule; a failure names its own, and `{ seed, schedules: 1 }` replays it. @default 1 */
  seed?: number | undefined
  /** @default 200 */
  schedules?: number | undefined
  /** Chance, at each step, that a service's process is killed (and started anew); higher just after one has come back. @default 0.02 */
  crashRate?: number | undefined
  /** Chance, at each operation of a service, of a fault (fail, lost answer, delay). @default 0 */
  faultRate?: number | undefined
}

/** What one schedule is made of: the scenario says it anew for each. */
export interface World<Topics extends object, K extends Key> {
  readonly broker: TestBroker<Topics, K>
  /** Seeded, 0 <= x < 1. */
  random(): number
  /**
   * What runs as a process of its own, may be killed at any step, and is then started again. One that fails is started
   * again where there are faults; where there are none the simulation has found something.
   *
   * @default copies 1
   */
  service(
    name: string,
    start: (broker: Broker<Topics, K>) => MaybePromise<unknown>,
    options?: { copies?: number | undefined },
  ): void
  /** What the outside does, in this order, at moments the schedule picks, each after the last has ended. @default times 1 */
  step(act: (i: number) => MaybePromise<unknown>, options?: { times?: number | undefined }): void
  /** Holds after every step. A check that is asynchronous can't, and is refused. */
  always(check: () => void): void
  /** Holds once all steps are taken, nobody is killed any more and everything has come to rest. */
  eventually(check: () => MaybePromise<void>): void
}

/** How much of the history a failure shows: how it began, and how it ended. */
const shownEvents = 100
const headEvents = 70
/** Steps after which a schedule that does not come to rest has failed. */
const mostSteps = 20_000

/** A schedule that breaks a check; its message says how to see it again. */
export class SimulationError extends Error {
  override readonly name: string = 'SimulationError'
  readonly seed: number
  /** The shortest schedule found that still fails. */
  declare readonly history: History

  constructor(seed: number, found: Outcome, shortest: Outcome, repeats: boolean) {
    const { where, error } = shortest.failure!
    const { history } = shortest
    const { length } = history
    const which =
      length > shownEvents
        ? `the first ${headEvents} and the last ${shownEvents - headEvents} of ${length} events (all are in error.history)`
        : 'all'
    const lines = [
      `The schedule of seed ${seed} fails: ${where}: ${messageOf(error)}`,
      `See it again with simulate({ seed: ${seed}, schedules: 1, ... }) and the same options and scenario.`,
      ...(repeats ? [] : [unsteady]),
      ...shortest.stuck.map(stuck => `At rest, ${stuck}.`),
      ...(shortest.stuck.length === 0 ? [] : [unawaited]),
      `Found with ${amounts(found)}; shortened to ${amounts(shortest)}, of which this is ${length === 0 ? 'all: nothing has happened' : `${which}:`}`,
      shown(history),
    ]
    super(lines.join('\n'), { cause: error })
    this.seed = seed
    // Its message tells it: no reporter need print the list as well.
    Object.defineProperty(this, 'history', { value: history })
  }
}
const unawaited =
  'Nothing that the broker or its clock brings about lets it go on: in a simulation, services wait for these alone, ' +
  "and not for a timer of the host's or its input and output."
const unsteady =
  'Beware: taken once more, this schedule goes another way. The scenario or its services keep something from one ' +
  "schedule to the next, or go by what the seed does not know: a timer or clock of the host's, its input and output, " +
  'Math.random().'

const known = [
  'topics',
  'schedules',
  'seed',
  'crashRate',
  'faultRate',
  'autoCreateTopics',
  'defaultPartitions',
  'interceptors',
  'clock',
]

/**
 * Runs the caller's own code under random but reproducible interleavings, crashes, rebalances and faults. Rejects with a
 * SimulationError at the first that breaks a check.
 */
export async function simulate<Topics extends object = Record<string, unknown>, K extends Key = string>(
  options: SimulationOptions<Topics>,
  scenario: (world: World<Topics, K>) => MaybePromise<void>,
): Promise<{ readonly schedules: number; readonly steps: number; readonly crashes: number }> {
  checkKnown('options of simulate()', options, known)
  const { seed: first = 1, schedules = 200, crashRate = 0.02, faultRate = 0, ...broker } = options
  checkWhole('seed', first, Number.MIN_SAFE_INTEGER)
  checkWhole('schedules', schedules, 1)
  checkRate('crashRate', crashRate)
  checkRate('faultRate', faultRate)
  checkNoClock(options)
  if (typeof scenario !== 'function')
    throw new MillraceError('INVALID_CONFIG', { option: 'scenario', value: scenario, expected: 'a function' })
  const run = (seed: number, plan: Plan, steps = mostSteps): Promise<Outcome> =>
    runSchedule<Topics, K>({ ...broker, seed, crashRate, faultRate }, scenario, plan, steps)
  let steps = 0
  let crashes = 0
  for (let seed = first; seed < first + schedules; seed++) {
    const outcome = await run(seed, everything)
    steps += outcome.steps
    crashes += outcome.met.crashes
    if (outcome.failure === undefined) continue
    const again = await run(seed, everything)
    const shortest = await shorten(outcome, (plan, steps) => run(seed, plan, Math.min(steps, mostSteps)))
    throw new SimulationError(seed, outcome, shortest, story(again) === story(outcome))
  }
  return { schedules, steps, crashes }
}

function shown(history: History): string {
  if (history.length <= shownEvents) return table(history)
  const lines = table([...history.slice(0, headEvents), ...history.slice(headEvents - shownEvents)]).split('\n')
  const left = `... ${history.length - shownEvents} events ...`
  return [...lines.slice(0, headEvents), left, ...lines.slice(headEvents)].join('\n')
}

/** All of an outcome that a schedule taken once more must have in common with it. */
function story({ failure, history }: Outcome): string {
  return [failure?.where, messageOf(failure?.error), table(history)].join('\n')
}

function amounts({ met }: Outcome): string {
  const { acts, crashes, faults, leaps } = met
  const said = [
    amount(acts, 'step', 'steps'),
    ...(crashes === 0 ? [] : [amount(crashes, 'crash', 'crashes')]),
    ...(faults === 0 ? [] : [amount(faults, 'fault', 'faults')]),
    ...(leaps === 0 ? [] : [amount(leaps, 'leap of time', 'leaps of time')]),
  ]
  return said.length === 1 ? said[0]! : `${said.slice(0, -1).join(', ')} and ${said.at(-1)!}`
}
function amount(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}
/** With its causes: what a handler threw says more than that it has failed. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return errorText(error)
  const { message, name, cause } = error
  return cause === undefined ? message || name : `${message || name}\ncaused by ${errorText(cause)}`
}
function checkNoClock(options: object): void {
  const { clock } = options as TestBrokerOptions<object>
  if (clock !== undefined)
    throw new MillraceError('INVALID_CONFIG', {
      option: 'clock',
      value: clock,
      expected: 'none: each schedule has its own',
    })
}
function checkWhole(option: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    throw new MillraceError('INVALID_CONFIG', { option, value, expected: `a whole number of at least ${least}` })
}
function checkRate(option: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'a number from 0 to 1' })
}
