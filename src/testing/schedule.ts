import type { Clock, Key, MaybePromise } from '../index.js'
import { Chance } from './chance.js'
import { checkAlways, checkEventually, nothingBringsIt } from './checks.js'
import type { Effect, Point } from './faults.js'
import { EventHistory } from './history.js'
import { advanceToNext, isDue } from './manual-clock.js'
import { Mishaps } from './mishaps.js'
import type { Failure, Outcome, Plan } from './plan.js'
import type { BrokerProcess } from './process.js'
import { processClock } from './process-clock.js'
import { Queue } from './queue.js'
import { type Copy, Scenario } from './scenario.js'
import type { World } from './simulate.js'
import { ObservedBroker, type TestBrokerOptions } from './test-broker.js'
import { isThenable } from './thenable.js'
import { nextTurn } from './turns.js'

interface ScheduleOptions<Topics extends object> extends TestBrokerOptions<Topics> {
  seed: number
  crashRate: number
  faultRate: number
}

/** For so many steps after a process has come back, the odds of a crash are higher: it may die of what it recovers. */
const recovery = 8
const oddsInRecovery = 3
/** Steps after the last of the outside in which processes are still killed: as long as there is work, by and large. */
const crashesGoOn = 40
const crashesGoOnForEach = 4
/** Steps for which a process stays killed, at most. */
const longestDown = 100
/** Of a schedule, the chance that who was at it goes on: in some all go on side by side, in others one runs far ahead. */
const steadiness = [0, 0, 0.5, 0.9]
/** How often time goes on although something else could: timers fire in the midst of things, but rarely. */
const timeRate = 0.03
/** Never so far that who has work to do is taken for dead: a group waits for longer. */
const longestLeapMs = 10_000
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
  mostSteps: number,
): Promise<Outcome> {
  const schedule = new Schedule<Topics, K>(options, plan, mostSteps)
  await scenario(schedule.world)
  return schedule.run()
}

class Schedule<Topics extends object, K extends Key> {
  readonly world: World<Topics, K>
  readonly #options: ScheduleOptions<Topics>
  /** After so many, one that does not come to rest has failed. */
  readonly #mostSteps: number
  readonly #chance: Chance
  readonly #mishaps: Mishaps
  readonly #broker: ObservedBroker<Topics, K>
  readonly #scenario = new Scenario<Topics, K>()
  readonly #queue = new Queue()
  /** By the names of their processes. */
  readonly #running = new Map<string, Copy<Topics, K>>()
  readonly #clocks = new Map<string, Clock>()
  readonly #steadiness: number
  /** How many acts of the outside have had their turn. */
  #acted = 0
  /** One has not ended. */
  #acting = false
  #failure: Failure | undefined
  #steps = 0
  #lastActAt = 0
  #lastRecoveryAt = Number.NEGATIVE_INFINITY
  /** Who had the last turn. */
  #last: string | undefined
  /** Nothing more is killed or fails. */
  #calm = false
  /** All is at rest, and nobody waits for a turn any more. */
  #over = false
  #idleTurns = 0
  readonly #rest = { since: 0, events: -1, timers: 0 }

  constructor(options: ScheduleOptions<Topics>, plan: Plan, mostSteps: number) {
    const { crashRate: _, faultRate: __, ...broker } = options
    this.#options = options
    this.#mostSteps = mostSteps
    this.#chance = new Chance(options.seed, plan)
    this.#broker = new ObservedBroker<Topics, K>(broker)
    this.#mishaps = new Mishaps(this.#chance, options.faultRate, (fault, process) =>
      this.#broker.record({ type: 'fault', fault, process }),
    )
    this.#broker.observer.effects.turns = {
      takes: point => this.#takes(point),
      before: point => this.#before(point),
      during: point => this.#mishapAt(point),
      after: point => this.#after(point),
      clockOf: process => this.#clocks.get(process),
    }
    this.#steadiness = steadiness[this.#chance.pick('steadiness', 0, steadiness.length)]!
    let randoms = 0
    this.world = this.#scenario.world(this.#broker, () => this.#chance.draw('random', randoms++))
  }

  async run(): Promise<Outcome> {
    this.#scenario.end()
    await nextTurn()
    while (this.#failure === undefined && (await this.#step())) this.#check()
    this.#over = true
    const stuck = this.#failure === undefined ? this.#stuck : []
    if (this.#failure === undefined) await this.#finish()
    // Whatever ends with the schedule is no part of it.
    const history = EventHistory.from(this.#broker.history) as EventHistory
    for (const { process } of this.#scenario.copies) if (process?.over === false) process.crash()
    const { met, offered } = this.#chance
    return { failure: this.#failure, history, stuck, steps: this.#steps, met, offered }
  }

  // ── one step ──

  /** Whether there was one to take. */
  async #step(): Promise<boolean> {
    const allTaken = this.#acted === this.#scenario.acts.length && !this.#acting
    const crashesUntil = this.#lastActAt + crashesGoOn + crashesGoOnForEach * this.#scenario.acts.length
    this.#calm = allTaken && this.#steps > crashesUntil
    if (++this.#steps > this.#mostSteps) {
      this.#fail('rest', 'at the end', new Error(`It does not come to rest within ${this.#mostSteps} steps`))
      return false
    }
    if (this.#crashNow()) {
      await nextTurn()
      return true
    }
    const others = this.#queue.length + (this.#mayAct ? 1 : 0)
    const stopped = this.#stopped(others === 0)
    const ways = others + stopped.length
    if (ways === 0) return this.#wait()
    this.#idleTurns = 0
    const { clock } = this.#broker
    if (this.#happens('time', timeRate) && isDue(clock, clock.now() + longestLeapMs) && this.#chance.offer('leaps')) {
      this.#broker.record({ type: 'fault', fault: 'time goes on to the next timer' })
      await advanceToNext(clock)
      return true
    }
    this.#go(ways === 1 ? 0 : this.#pick(ways), stopped)
    await nextTurn()
    return true
  }

  get #crashRate(): number {
    const { crashRate } = this.#options
    if (this.#steps > this.#lastRecoveryAt + recovery) return crashRate
    return (oddsInRecovery * crashRate) / (1 - crashRate + oddsInRecovery * crashRate)
  }
  #crashNow(): boolean {
    const { size } = this.#running
    if (size === 0 || this.#calm || !this.#happens('crash', this.#crashRate) || !this.#chance.offer('crashes'))
      return false
    const running = this.#scenario.copies.filter(copy => copy.process !== undefined)
    this.#crash(running[this.#chance.pick('who', this.#steps, size)]!)
    return true
  }

  /** Who may be started; at rest that is everybody. */
  #stopped(atRest: boolean): readonly Copy<Topics, K>[] {
    if (this.#running.size === this.#scenario.copies.length) return []
    const stopped = this.#scenario.copies.filter(({ process }) => process === undefined)
    const ready = stopped.filter(({ downUntil }) => downUntil <= this.#steps)
    return ready.length === 0 && atRest ? stopped : ready
  }

  get #mayAct(): boolean {
    return this.#acted < this.#scenario.acts.length && !this.#acting
  }

  /** In order: who was at it goes on as long as it can, then who waits longest; the outside comes last. */
  #pick(ways: number): number {
    if (!this.#happens('stay', this.#steadiness) && !this.#chance.plain && this.#chance.offer('turns'))
      return this.#chance.pick('choice', this.#steps, ways)
    return Math.max(0, this.#queue.firstOf(this.#last))
  }

  #go(way: number, stopped: readonly Copy<Topics, K>[]): void {
    if (way < this.#queue.length) {
      this.#last = this.#queue.letGo(way)
      return
    }
    const copy = stopped[way - this.#queue.length]
    if (copy !== undefined) this.#start(copy)
    else this.#act()
  }

  #act(): void {
    const ordinal = this.#acted++
    if (!this.#chance.offer('acts')) return
    this.#lastActAt = this.#steps
    this.#acting = true
    const ended = (): void => {
      this.#acting = false
    }
    const failed = (error: unknown): void => this.#fail('step', `step ${ordinal + 1} of the outside`, error)
    try {
      const result = this.#scenario.acts[ordinal]!()
      if (isThenable(result)) Promise.resolve(result).then(ended, failed)
      else ended()
    } catch (error) {
      failed(error)
    }
  }

  // ── rest ──

  /** What has not ended though nothing goes on any more. */
  get #stuck(): readonly string[] {
    const { observer, faults } = this.#broker
    return [
      ...observer.atWork.map(handler => `a handler is still at work: ${handler}`),
      ...faults.holding.map(hold => `a hold was never released: ${hold.toString()}`),
    ]
  }

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
      this.#fail('step', `step ${this.#acted} of the outside`, new Error(nothingBringsIt))
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
    if (copy.incarnation > 1) this.#lastRecoveryAt = this.#steps
    const name = copy.incarnation === 1 ? copy.name : `${copy.name} (${copy.incarnation})`
    const clock = processClock(
      this.#broker.clock,
      () => this.#running.has(name),
      error => this.#fail('service', `a timer of service ${name}`, error),
    )
    this.#clocks.set(name, clock)
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
      result = this.#broker.observer.members.start(name, () => copy.start(process))
    } catch (error) {
      return failed(error)
    }
    Promise.resolve(result).catch(failed)
  }

  #crash(copy: Copy<Topics, K>): void {
    this.#broker.record({ type: 'fault', fault: `crash of ${copy.process!.name}`, process: copy.process!.name })
    this.#kill(copy)
  }
  #kill(copy: Copy<Topics, K>): void {
    const process = copy.process!
    copy.process = undefined
    // Often at once, sometimes when others have taken over long since.
    copy.downUntil = this.#steps + Math.floor(this.#chance.draw('down', this.#steps) ** 3 * longestDown)
    this.#running.delete(process.name)
    this.#queue.forget(process.name)
    if (!process.over) process.crash()
  }

  // ── operations of services ──

  #before(point: Point): Promise<Effect | undefined> | undefined {
    return this.#takes(point) ? this.#queue.turn(point, point.operation).then(() => this.#mishapAt(point)) : undefined
  }
  #after(point: Point): Promise<void> | undefined {
    const late = this.#mishaps.lateAnswerOf(point)
    if (late !== undefined) return late.then(() => this.#queue.turn(point))
    return this.#takes(point) ? this.#queue.turn(point) : undefined
  }
  #takes({ process }: Point): boolean {
    return process !== undefined && !this.#over && this.#running.has(process)
  }

  #mishapAt(point: Point): Effect | undefined {
    const copy = this.#running.get(point.process!)
    return copy && this.#mishaps.at(point, copy.name, this.#calm, this.#clocks.get(point.process!)!)
  }

  // ── checks ──

  #check(): void {
    try {
      checkAlways(this.#scenario.always)
    } catch (error) {
      this.#fail('always', `always, here at step ${this.#steps}`, error)
    }
  }
  async #finish(): Promise<void> {
    try {
      await checkEventually(this.#scenario.eventually, this.#broker.clock)
    } catch (error) {
      this.#fail('eventually', 'eventually', error)
    }
  }

  #fail(kind: Failure['kind'], where: string, error: unknown): void {
    this.#failure ??= { kind, where, error }
  }

  #happens(purpose: string, rate: number): boolean {
    return this.#chance.happens(purpose, rate, this.#steps)
  }
}
