import { type Clock, type Key, type MaybePromise, MillraceError } from '../index.js'
import type { Effect, Operation, Point } from './faults.js'
import { EventHistory, type History } from './history.js'
import { advanceToNext, isDue } from './manual-clock.js'
import type { BrokerProcess } from './process.js'
import type { World } from './simulate.js'
import { ObservedBroker, type TestBrokerOptions } from './test-broker.js'
import { isThenable } from './thenable.js'
import { nextTurn } from './turns.js'

/** What a schedule can do without: leaps of time in the midst of things, what goes wrong, acts of the outside, turns out of order. */
export const kinds = ['leaps', 'crashes', 'faults', 'acts', 'turns'] as const
export type Kind = (typeof kinds)[number]
export type Amounts = { [K in Kind]: number }

/** What is left out of a schedule, by ordinal. */
export interface Plan extends Readonly<Record<Kind, ReadonlySet<number>>> {
  /** Nothing is killed, nothing fails, and everything goes on in order. */
  readonly plain: boolean
}
const nothing: ReadonlySet<number> = new Set()
export const everything: Plan = {
  leaps: nothing,
  crashes: nothing,
  faults: nothing,
  acts: nothing,
  turns: nothing,
  plain: false,
}

export interface Failure {
  readonly kind: 'always' | 'eventually' | 'service' | 'step' | 'rest'
  readonly where: string
  readonly error: unknown
}
/** What became of a schedule. */
export interface Outcome {
  readonly failure: Failure | undefined
  readonly history: History
  /** Handlers that have not ended though nothing goes on any more. */
  readonly atWork: readonly string[]
  readonly steps: number
  /** What there was, and what there could have been. */
  readonly met: Amounts
  readonly offered: Amounts
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
  /** The step from which on it may be started again; before, only if nothing else can go on. */
  downUntil: number
}

/** An operation that waits for its turn; without a name its answer, which is on its way back. */
interface Waiting {
  readonly process: string
  readonly memberId: string | undefined
  readonly operation: Operation | undefined
  readonly goOn: () => void
}

/** Steps after which a schedule that does not come to rest has failed. */
const mostSteps = 20_000
/** Steps after the last of the outside in which processes are still killed. */
const crashesGoOn = 40
/** Steps for which a process stays killed, at most. */
const longestDown = 100
/** Of a schedule, the chance that who was at it goes on: in some all go on side by side, in others one runs far ahead. */
const steadiness = [0, 0, 0.5, 0.9]
/** How often time goes on although something else could: timers fire in the midst of things, but rarely. */
const timeRate = 0.03
/** Never so far that who has work to do is taken for dead: a group waits for longer. */
const longestLeapMs = 10_000
const longestDelayMs = 1_000
/** Nothing may come of so much time before all is at rest, unless a timer fires for ever. */
const restMs = 60_000
const mostTimersAtRest = 200
/** Turns of the event loop that an act of the outside may take while nothing else can go on. */
const idleTurns = 64
/** How many of them before time passes. */
const patientTurns = 8

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
  /** By the names of their processes. */
  readonly #running = new Map<string, Copy<Topics, K>>()
  readonly #clocks = new Map<string, Clock>()
  readonly #steadiness: number
  readonly #acts: (() => MaybePromise<unknown>)[] = []
  /** How many of them have had their turn. */
  #acted = 0
  /** One has not ended. */
  #acting = false
  readonly #always: (() => void)[] = []
  readonly #eventually: (() => MaybePromise<void>)[] = []
  readonly #waiting: Waiting[] = []
  readonly #late = new WeakMap<Point, Promise<void>>()
  #begun = false
  #failure: Failure | undefined
  #steps = 0
  #lastActAt = 0
  /** How many each process has done of each kind. */
  readonly #operations = new Map<string, number>()
  readonly #met: Amounts = noneOf()
  readonly #offered: Amounts = noneOf()
  /** Who had the last turn. */
  #last: string | undefined
  /** Nothing more is killed or fails. */
  #calm = false
  /** All is at rest, and nobody waits for a turn any more. */
  #over = false
  #idleTurns = 0
  readonly #rest = { since: 0, events: -1, timers: 0 }

  constructor(options: ScheduleOptions<Topics>, plan: Plan) {
    const { crashRate: _, faultRate: __, ...broker } = options
    this.#options = options
    this.#plan = plan
    this.#broker = new ObservedBroker<Topics, K>(broker)
    const { observer } = this.#broker
    observer.turns = {
      before: point => this.#before(point),
      after: point => this.#after(point),
      clockOf: process => this.#clocks.get(process),
    }
    this.#steadiness = steadiness[Math.floor(this.#draw('steadiness', 0) * steadiness.length)]!
    this.world = this.#makeWorld()
  }

  #makeWorld(): World<Topics, K> {
    let randoms = 0
    return {
      broker: this.#broker,
      random: () => this.#draw('random', randoms++),
      service: (name, start, { copies = 1 } = {}) => {
        this.#checkNew()
        checkFunction('start', start)
        checkCount('copies', copies)
        for (let i = 1; i <= copies; i++) this.#serve(copies === 1 ? name : `${name}-${i}`, start)
      },
      step: (act, { times = 1 } = {}) => {
        this.#checkNew()
        checkFunction('act', act)
        checkCount('times', times)
        for (let i = 0; i < times; i++) this.#acts.push(() => act(i))
      },
      always: check => {
        this.#checkNew()
        checkFunction('check', check)
        this.#always.push(check)
      },
      eventually: check => {
        this.#checkNew()
        checkFunction('check', check)
        this.#eventually.push(check)
      },
    }
  }
  #checkNew(): void {
    if (this.#begun) throw new MillraceError('CLOSED', { what: 'The scenario, which its schedule has taken over,' })
  }
  #serve(name: string, start: Copy<Topics, K>['start']): void {
    const known = this.#copies.some(copy => copy.name === name)
    if (typeof name !== 'string' || name === '' || known)
      throw new MillraceError('INVALID_CONFIG', {
        option: 'name',
        value: name,
        expected: known ? 'that of one service' : 'a text that is not empty',
      })
    this.#copies.push({ name, start, incarnation: 0, process: undefined, downUntil: 0 })
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
    this.#begun = true
    await nextTurn()
    while (this.#failure === undefined && (await this.#step())) this.#check()
    this.#over = true
    const atWork = this.#failure === undefined ? this.#broker.observer.atWork : []
    if (this.#failure === undefined) await this.#finish()
    // Whatever ends with the schedule is no part of it.
    const history = EventHistory.from(this.#broker.history) as EventHistory
    for (const { process } of this.#copies) if (process !== undefined && !process.crashed) process.crash()
    return { failure: this.#failure, history, atWork, steps: this.#steps, met: this.#met, offered: this.#offered }
  }

  // ── one step ──

  /** Whether there was one to take. */
  async #step(): Promise<boolean> {
    const allTaken = this.#acted === this.#acts.length && !this.#acting
    this.#calm = allTaken && this.#steps > this.#lastActAt + crashesGoOn
    if (++this.#steps > mostSteps) {
      this.#fail('rest', 'at the end', new Error(`It does not come to rest within ${mostSteps} steps`))
      return false
    }
    if (this.#crashNow()) {
      await nextTurn()
      return true
    }
    const others = this.#waiting.length + (this.#mayAct ? 1 : 0)
    const stopped = this.#stopped(others === 0)
    const ways = others + stopped.length
    if (ways === 0) return this.#wait()
    this.#idleTurns = 0
    const { clock } = this.#broker
    if (this.#chance('time', timeRate) && isDue(clock, clock.now() + longestLeapMs) && this.#offer('leaps')) {
      this.#broker.record({ type: 'fault', fault: 'time goes on to the next timer' })
      await advanceToNext(clock)
      return true
    }
    this.#go(ways === 1 ? 0 : this.#pick(ways), stopped)
    await nextTurn()
    return true
  }

  #crashNow(): boolean {
    const { size } = this.#running
    if (size === 0 || this.#calm || !this.#chance('crash', this.#options.crashRate) || !this.#offer('crashes'))
      return false
    const running = this.#copies.filter(copy => copy.process !== undefined)
    this.#crash(running[Math.floor(this.#draw('who', this.#steps) * size)]!)
    return true
  }

  /** Who may be started; at rest that is everybody. */
  #stopped(atRest: boolean): readonly Copy<Topics, K>[] {
    if (this.#running.size === this.#copies.length) return []
    const stopped = this.#copies.filter(({ process }) => process === undefined)
    const ready = stopped.filter(({ downUntil }) => downUntil <= this.#steps)
    return ready.length === 0 && atRest ? stopped : ready
  }

  get #mayAct(): boolean {
    return this.#acted < this.#acts.length && !this.#acting
  }

  /** In order: who was at it goes on as long as it can, then who waits longest; the outside comes last. */
  #pick(ways: number): number {
    if (!this.#chance('stay', this.#steadiness) && !this.#plan.plain && this.#offer('turns'))
      return Math.floor(this.#draw('choice', this.#steps) * ways)
    return Math.max(
      0,
      this.#waiting.findIndex(({ process }) => process === this.#last),
    )
  }

  #go(way: number, stopped: readonly Copy<Topics, K>[]): void {
    const waiting = this.#inLine(this.#waiting[way])
    if (waiting !== undefined) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      this.#last = waiting.process
      waiting.goOn()
    } else {
      const copy = stopped[way - this.#waiting.length]
      if (copy !== undefined) this.#start(copy)
      else this.#act()
    }
  }

  /** What a process publishes, or a member commits, takes effect in the order of the calls: it is the turn of the first. */
  #inLine(waiting: Waiting | undefined): Waiting | undefined {
    if (waiting === undefined || !isInLine(waiting.operation)) return waiting
    return this.#waiting.find(
      ({ process, memberId, operation }) =>
        operation === waiting.operation && process === waiting.process && memberId === waiting.memberId,
    )
  }

  #act(): void {
    const ordinal = this.#acted++
    if (!this.#offer('acts')) return
    this.#lastActAt = this.#steps
    this.#acting = true
    const ended = (): void => {
      this.#acting = false
    }
    const failed = (error: unknown): void => this.#fail('step', `step ${ordinal + 1} of the outside`, error)
    try {
      const result = this.#acts[ordinal]!()
      if (isThenable(result)) Promise.resolve(result).then(ended, failed)
      else ended()
    } catch (error) {
      failed(error)
    }
  }

  // ── rest ──

  /** Nothing can go on but time. Whether it did. */
  async #wait(): Promise<boolean> {
    const { clock } = this.#broker
    if (this.#acting && ++this.#idleTurns <= (clock.timers === 0 ? idleTurns : patientTurns)) {
      await nextTurn()
      return true
    }
    if (!this.#acting && (await this.#settled())) return this.#watch()
    if (await advanceToNext(clock)) return true
    if (this.#acting) {
      const error = new Error('It waits for something that neither the services nor the clock bring about')
      this.#fail('step', `step ${this.#acted} of the outside`, error)
    }
    return false
  }

  /** At rest, but for what timers may still start: an auto-commit, a service that looks about now and then. */
  #watch(): Promise<boolean> {
    const { clock, history } = this.#broker
    if (history.length !== this.#rest.events) {
      this.#rest.events = history.length
      this.#rest.since = clock.now()
    }
    if (++this.#rest.timers > mostTimersAtRest) return Promise.resolve(false)
    return advanceToNext(clock, this.#rest.since + restMs)
  }

  async #settled(): Promise<boolean> {
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
    this.#clocks.set(name, this.#clockOf(name))
    this.#running.set(name, copy)
    const process = this.#broker.process(name) as BrokerProcess<Topics, K>
    copy.process = process
    const failed = (error: unknown): void => {
      if (process.crashed || copy.process !== process) return
      // A supervisor would start it again; without faults it has no excuse.
      if (this.#options.faultRate === 0) this.#fail('service', `service ${name}`, error)
      else this.#kill(copy)
    }
    let result: unknown
    try {
      result = copy.start(process)
    } catch (error) {
      return failed(error)
    }
    Promise.resolve(result).catch(failed)
  }

  /** The broker's, whose timers die with the process. */
  #clockOf(process: string): Clock {
    const { clock } = this.#broker
    const fire = (fn: () => void): void => {
      if (!this.#running.has(process)) return
      try {
        fn()
      } catch (error) {
        this.#fail('service', `a timer of service ${process}`, error)
      }
    }
    return {
      manual: true,
      now: () => clock.now(),
      setTimeout: (fn, ms) => clock.setTimeout(() => fire(fn), ms),
      clearTimeout: handle => clock.clearTimeout(handle),
    }
  }

  #crash(copy: Copy<Topics, K>): void {
    this.#broker.record({ type: 'fault', fault: `crash of ${copy.process!.name}`, process: copy.process!.name })
    this.#kill(copy)
  }
  #kill(copy: Copy<Topics, K>): void {
    const process = copy.process!
    copy.process = undefined
    // Often at once, sometimes when others have taken over long since.
    copy.downUntil = this.#steps + Math.floor(this.#draw('down', this.#steps) ** 3 * longestDown)
    this.#running.delete(process.name)
    // Killed code does not go on: what it waits for never comes.
    for (let i = this.#waiting.length - 1; i >= 0; i--)
      if (this.#waiting[i]!.process === process.name) this.#waiting.splice(i, 1)
    process.crash()
  }

  // ── operations of services ──

  #before(point: Point): Promise<Effect | undefined> | undefined {
    return this.#inTurns(point) ? this.#turn(point, point.operation).then(() => this.#effectOn(point)) : undefined
  }
  #after(point: Point): Promise<void> | undefined {
    const late = this.#late.get(point)
    if (late !== undefined) return late.then(() => this.#turn(point))
    return this.#inTurns(point) ? this.#turn(point) : undefined
  }
  #inTurns({ process }: Point): boolean {
    return process !== undefined && !this.#over && this.#running.has(process)
  }
  #turn({ process, memberId }: Point, operation?: Operation): Promise<void> {
    return new Promise(goOn => {
      this.#waiting.push({ process: process!, memberId, operation, goOn })
    })
  }

  #effectOn(point: Point): Effect | undefined {
    const { faultRate } = this.#options
    if (faultRate === 0) return undefined
    const { operation, process } = point
    // By whose it is, and which of theirs: what is left out elsewhere changes nothing.
    const who = `${operation} of ${process}`
    const n = this.#operations.get(who) ?? 0
    this.#operations.set(who, n + 1)
    if (this.#calm || !this.#chance(who, faultRate, n) || !this.#offer('faults')) return undefined
    const kind = Math.floor(this.#draw(`kind ${who}`, n) * 3)
    const say = (fault: string): void => this.#broker.record({ type: 'fault', fault: `${fault} ${operation}`, process })
    if (kind === 0) {
      say('fail')
      return {
        error: new MillraceError('UNKNOWN_SERVER_ERROR', { error: `a fault at ${operation}` }, { retriable: true }),
      }
    }
    if (kind === 1 && isInLine(operation)) {
      say('lose the answer of')
      const details = { what: `The ${operation}`, timeoutMs: 30_000 }
      return { lost: new MillraceError('REQUEST_TIMED_OUT', details, { retriable: true }) }
    }
    const ms = 1 + Math.floor(this.#draw(`delay ${who}`, n) * longestDelayMs)
    const wait = new Promise<void>(resolve => this.#clocks.get(process!)!.setTimeout(resolve, ms))
    if (!isInLine(operation)) {
      say(`delay by ${ms} ms`)
      return { wait }
    }
    // What comes after it is not to overtake it: it is its answer that is late.
    say(`delay by ${ms} ms the answer of`)
    this.#late.set(point, wait)
    return undefined
  }

  // ── checks ──

  #check(): void {
    for (const check of this.#always) {
      try {
        if (isThenable(check() as unknown))
          throw new MillraceError('INVALID_CONFIG', {
            option: 'always',
            value: check,
            expected: 'a check that answers at once, without a promise',
          })
      } catch (error) {
        return this.#fail('always', `always, here at step ${this.#steps}`, error)
      }
    }
  }

  async #finish(): Promise<void> {
    for (const check of this.#eventually) {
      try {
        await check()
      } catch (error) {
        return this.#fail('eventually', 'eventually', error)
      }
    }
  }

  #fail(kind: Failure['kind'], where: string, error: unknown): void {
    this.#failure ??= { kind, where, error }
  }

  // ── chance ──

  /** Whether what is about to happen is left in. */
  #offer(kind: Kind): boolean {
    if (this.#plan[kind].has(this.#offered[kind]++)) return false
    this.#met[kind]++
    return true
  }

  #chance(purpose: string, rate: number, n: number = this.#steps): boolean {
    return !this.#plan.plain && this.#draw(purpose, n) < rate
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

function noneOf(): Amounts {
  return { leaps: 0, crashes: 0, faults: 0, acts: 0, turns: 0 }
}
/** Requests that go over one connection each, one behind the other. */
function isInLine(operation: Operation | undefined): operation is 'publish' | 'commit' {
  return operation === 'publish' || operation === 'commit'
}
function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'a function' })
}
function checkCount(option: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new MillraceError('INVALID_CONFIG', { option, value, expected: 'a whole number of at least 1' })
}
