import { type Key, type MaybePromise, MillraceError } from '../index.js'
import type { Effect, Point } from './faults.js'
import type { History } from './history.js'
import type { BrokerProcess } from './process.js'
import type { World } from './simulate.js'
import { ObservedBroker, type TestBrokerOptions } from './test-broker.js'
import { nextTurn } from './turns.js'

/** What is left out of a schedule, by ordinal. */
export interface Plan {
  readonly acts: ReadonlySet<number>
  readonly crashes: ReadonlySet<number>
  readonly faults: ReadonlySet<number>
  /** Leaps of time in the midst of things. */
  readonly leaps: ReadonlySet<number>
  /** Nothing is killed, nothing fails, and everything goes on in the order in which it could. */
  readonly plain: boolean
}
export const everything: Plan = {
  acts: new Set(),
  crashes: new Set(),
  faults: new Set(),
  leaps: new Set(),
  plain: false,
}

/** What became of a schedule. */
export interface Outcome {
  readonly failure: { readonly where: string; readonly error: unknown } | undefined
  readonly history: History
  readonly steps: number
  readonly acts: number
  readonly crashes: number
  readonly faults: number
  readonly leaps: number
}

interface ScheduleOptions<Topics extends object> extends TestBrokerOptions<Topics> {
  seed: number
  crashRate: number
  faultRate: number
}

/** A service's copy: what runs now, or is to be started. */
interface Copy<Topics extends object, K extends Key> {
  readonly name: string
  readonly start: Parameters<World<Topics, K>['service']>[1]
  incarnation: number
  process: BrokerProcess<Topics, K> | undefined
}

/** An operation that waits for its turn. */
interface Waiting {
  readonly process: string
  readonly goOn: () => void
}

/** Steps after which a schedule that does not come to rest has failed. */
const mostSteps = 20_000
/** Steps after the last of the outside in which processes are still killed. */
const crashesGoOn = 40
/** How often time goes on although something else could: timers fire in the midst of things, but rarely. */
const timeRate = 0.03
const longestDelayMs = 1_000

/**
 * Runs one schedule: at each step a seeded choice lets one waiting operation go on, takes the next step of the outside,
 * starts a process, kills one, or lets time pass to the next timer.
 */
export async function runSchedule<Topics extends object, K extends Key>(
  options: ScheduleOptions<Topics>,
  scenario: (world: World<Topics, K>) => MaybePromise<void>,
  plan: Plan,
): Promise<Outcome> {
  const schedule = new Schedule<Topics, K>(options, plan)
  await scenario(schedule.world)
  return schedule.run()
}

class Schedule<Topics extends object, K extends Key> {
  readonly world: World<Topics, K>
  readonly #options: ScheduleOptions<Topics>
  readonly #plan: Plan
  readonly #broker: ObservedBroker<Topics, K>
  readonly #copies: Copy<Topics, K>[] = []
  readonly #acts: (() => MaybePromise<unknown>)[] = []
  readonly #always: (() => void)[] = []
  readonly #eventually: (() => MaybePromise<void>)[] = []
  #waiting: Waiting[] = []
  #failure: Outcome['failure']
  #steps = 0
  #actsTaken = 0
  #lastActAt = 0
  #crashes = 0
  #crashesMet = 0
  #faults = 0
  #faultsMet = 0
  #leaps = 0
  #leapsMet = 0
  #draws = 0
  /** Nothing more is killed or fails. */
  #calm = false

  constructor(options: ScheduleOptions<Topics>, plan: Plan) {
    const { crashRate: _, faultRate: __, ...broker } = options
    this.#options = options
    this.#plan = plan
    this.#broker = new ObservedBroker<Topics, K>(broker)
    this.#broker.observer.gate = point => this.#gate(point)
    this.#broker.observer.answer = point => this.#answer(point)
    this.world = this.#makeWorld()
  }

  #makeWorld(): World<Topics, K> {
    let randoms = 0
    return {
      broker: this.#broker,
      random: () => this.#draw('random', randoms++),
      service: (name, start, { copies = 1 } = {}) => {
        checkFunction('start', start)
        checkCount('copies', copies)
        for (let i = 1; i <= copies; i++)
          this.#copies.push({ name: copies === 1 ? name : `${name}-${i}`, start, incarnation: 0, process: undefined })
      },
      step: (act, { times = 1 } = {}) => {
        checkFunction('act', act)
        checkCount('times', times)
        for (let i = 0; i < times; i++) this.#acts.push(() => act(i))
      },
      always: check => {
        checkFunction('check', check)
        this.#always.push(check)
      },
      eventually: check => {
        checkFunction('check', check)
        this.#eventually.push(check)
      },
    }
  }

  async run(): Promise<Outcome> {
    if (this.#copies.length === 0 || this.#acts.length === 0) {
      const missing = this.#copies.length === 0 ? 'a service' : 'a step'
      throw new MillraceError('INVALID_CONFIG', {
        option: 'scenario',
        value: `none of ${missing}`,
        expected: `one with at least ${missing}`,
      })
    }
    await nextTurn()
    while (this.#failure === undefined && (await this.#step())) this.#check()
    if (this.#failure === undefined) await this.#finish()
    for (const { process } of this.#copies) if (process !== undefined && !process.crashed) process.crash()
    return {
      failure: this.#failure,
      history: this.#broker.history,
      steps: this.#steps,
      acts: this.#actsTaken,
      crashes: this.#crashesMet,
      faults: this.#faultsMet,
      leaps: this.#leapsMet,
    }
  }

  // ── one step ──

  /** Whether there was one to take. */
  async #step(): Promise<boolean> {
    this.#calm = this.#acts.length === 0 && this.#steps > this.#lastActAt + crashesGoOn
    if (++this.#steps > mostSteps) {
      this.#fail('rest', new Error(`it does not come to rest within ${mostSteps} steps`))
      return false
    }
    const running = this.#copies.filter(copy => copy.process !== undefined)
    if (running.length > 0 && !this.#calm && this.#chance('crash', this.#options.crashRate)) {
      if (!this.#plan.crashes.has(this.#crashes++)) {
        this.#crash(running[Math.floor(this.#draw('who', this.#steps) * running.length)]!)
        await nextTurn()
        return true
      }
    }
    const choices = this.#choices()
    const timers = this.#broker.clock.timers > 0
    if (choices.length === 0) {
      if (!timers || (await this.#atRest())) return false
      await this.#passTime()
      return true
    }
    if (timers && this.#chance('time', timeRate) && !this.#plan.leaps.has(this.#leaps++)) {
      this.#leapsMet++
      await this.#passTime()
      return true
    }
    choices[this.#plan.plain ? 0 : Math.floor(this.#draw('choice', this.#steps) * choices.length)]!()
    await nextTurn()
    return true
  }

  #choices(): (() => void)[] {
    const choices: (() => void)[] = this.#waiting.map(waiting => () => {
      this.#waiting = this.#waiting.filter(other => other !== waiting)
      waiting.goOn()
    })
    for (const copy of this.#copies) if (copy.process === undefined) choices.push(() => this.#start(copy))
    if (this.#acts.length > 0) choices.push(() => this.#act())
    return choices
  }

  #act(): void {
    const act = this.#acts.shift()!
    const ordinal = this.#ordinal++
    if (this.#plan.acts.has(ordinal)) return
    this.#actsTaken++
    this.#lastActAt = this.#steps
    this.#guard(`step ${ordinal + 1} of the outside`, act)
  }
  #ordinal = 0

  /** To the next timer, and no further: what it starts is looked at before the next. */
  #passTime(): Promise<void> {
    return this.#broker.clock.advanceToNext()
  }

  async #atRest(): Promise<boolean> {
    if (this.#acts.length > 0) return false
    let settled = false
    void this.#broker.settled().then(() => {
      settled = true
    })
    await nextTurn()
    return settled
  }

  // ── services ──

  #start(copy: Copy<Topics, K>): void {
    copy.incarnation++
    const name = copy.incarnation === 1 ? copy.name : `${copy.name} (${copy.incarnation})`
    const process = this.#broker.process(name) as BrokerProcess<Topics, K>
    copy.process = process
    const failed = (error: unknown): void => {
      if (process.crashed || copy.process !== process) return
      // A supervisor would start it again; without faults it has no excuse.
      if (this.#options.faultRate === 0) return this.#fail(`service ${name}`, error)
      this.#kill(copy)
    }
    let result: unknown
    try {
      result = copy.start(process)
    } catch (error) {
      return failed(error)
    }
    Promise.resolve(result).catch(failed)
  }

  #crash(copy: Copy<Topics, K>): void {
    this.#crashesMet++
    this.#broker.record({ type: 'fault', fault: `crash of ${copy.process!.name}`, process: copy.process!.name })
    this.#kill(copy)
  }
  #kill(copy: Copy<Topics, K>): void {
    const { process } = copy
    copy.process = undefined
    // Killed code does not go on: what it waits for never comes.
    this.#waiting = this.#waiting.filter(waiting => waiting.process !== process!.name)
    process!.crash()
  }

  // ── operations of services ──

  #gate(point: Point): Promise<Effect | undefined> | undefined {
    const { process } = point
    if (process === undefined || !this.#isService(process)) return undefined
    return this.#wait(process).then(() => this.#effectOn(point))
  }
  /** An answer on its way back to a service. */
  #answer(point: Point): Promise<void> | undefined {
    const { process } = point
    return process === undefined || !this.#isService(process) ? undefined : this.#wait(process)
  }
  #wait(process: string): Promise<void> {
    return new Promise(resolve => this.#waiting.push({ process, goOn: resolve }))
  }
  #isService(process: string): boolean {
    return this.#copies.some(copy => copy.process?.name === process)
  }

  #effectOn(point: Point): Effect | undefined {
    if (this.#calm || this.#plan.plain || this.#draw('fault', this.#draws++) >= this.#options.faultRate)
      return undefined
    if (this.#plan.faults.has(this.#faults++)) return undefined
    this.#faultsMet++
    const { operation, process } = point
    const kind = Math.floor(this.#draw('kind', this.#draws++) * 3)
    const say = (fault: string): void => this.#broker.record({ type: 'fault', fault: `${fault} ${operation}`, process })
    if (kind === 0) {
      say('fail')
      return {
        error: new MillraceError('UNKNOWN_SERVER_ERROR', { error: `a fault at ${operation}` }, { retriable: true }),
      }
    }
    if (kind === 1 && operation === 'commit') {
      say('lose the answer of')
      return {
        lost: new MillraceError('REQUEST_TIMED_OUT', { what: 'The commit', timeoutMs: 30_000 }, { retriable: true }),
      }
    }
    const ms = 1 + Math.floor(this.#draw('delay', this.#draws++) * longestDelayMs)
    say(`delay by ${ms} ms`)
    return { wait: new Promise(resolve => this.#broker.clock.setTimeout(resolve, ms)) }
  }

  // ── checks ──

  #check(): void {
    for (const check of this.#always) {
      try {
        check()
      } catch (error) {
        return this.#fail(`always, after step ${this.#steps}`, error)
      }
    }
  }

  async #finish(): Promise<void> {
    for (const check of this.#eventually) {
      try {
        await check()
      } catch (error) {
        return this.#fail('eventually', error)
      }
    }
  }

  #guard(where: string, act: () => MaybePromise<unknown>): void {
    const failed = (error: unknown): void => this.#fail(where, error)
    try {
      Promise.resolve(act()).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
  #fail(where: string, error: unknown): void {
    this.#failure ??= { where, error }
  }

  #chance(purpose: string, rate: number): boolean {
    return !this.#plan.plain && this.#draw(purpose, this.#steps) < rate
  }

  /** 0 <= x < 1, by seed, purpose and number: what is left out elsewhere does not change it. */
  #draw(purpose: string, n: number): number {
    let hash = Math.imul(this.#options.seed, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b)
    for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193)
    // The finalizer of MurmurHash3.
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
  }
}

function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'a function' })
}
function checkCount(option: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'a whole number of at least 1' })
}
