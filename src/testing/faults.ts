import { type ErrorCode, MillraceError, type TopicPartition } from '../index.js'
import { checkError, errorOf, timedOut } from './fault-errors.js'
import { errorText } from './history.js'
import { checkKnown } from './known-options.js'
import { checkTime, type ManualClock } from './manual-clock.js'
import { refuse } from './runner.js'

export type Operation = 'publish' | 'poll' | 'handle' | 'commit' | 'assign' | 'revoke'
/** One operation about to be done, as far as it is known then. */
export interface Point {
  readonly operation: Operation
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly group?: string
  readonly memberId?: string
  readonly process?: string
}
export interface FaultOptions {
  topic?: string | undefined
  partition?: number | undefined
  group?: string | undefined
  memberId?: string | undefined
  process?: string | undefined
  when?: ((point: Point) => boolean) | undefined
  /** The next so many that fit; Infinity for all, which then need not be met. @default 1 */
  times?: number | undefined
}
/** One seam for everything that a network, a disk or a process does to an operation. A plain broker has no such seam on its hot path. */
export interface Faults {
  /** They fail and have no effect. @default a retriable UNKNOWN_SERVER_ERROR */
  fail(operation: Operation, options?: FaultOptions & { error?: ErrorCode | Error | undefined }): Fault
  /** They take effect, and the caller is told REQUEST_TIMED_OUT: the answer got lost. */
  loseAnswer(operation: 'publish' | 'commit', options?: FaultOptions): Fault
  /** They start so much later on the clock. */
  delay(operation: Exclude<Operation, 'publish'>, options: FaultOptions & { ms: number }): Fault
  /** They wait until released, so that a race happens on demand. What crashes meanwhile is let go of. */
  hold(operation: Exclude<Operation, 'publish'>, options?: FaultOptions): Hold
  /** The next that fits, untouched: `faults.watch('revoke').then(() => hold.release())`. */
  watch(operation: Operation, options?: Omit<FaultOptions, 'times'>): Promise<Point>
  /** Faults not yet met as often as asked for. */
  readonly pending: readonly Fault[]
  clear(): void
}
export interface Fault {
  readonly met: readonly Point[]
  remove(): void
  toString(): string
}
export interface Hold extends Fault {
  /** Resolves when an operation is held. */
  readonly reached: Promise<Point>
  /** Lets go of what is held, and of what would be. */
  release(): void
}

/** What a fault does to an operation: before it, and to its answer. */
export interface Effect {
  /** Thrown instead. */
  readonly error?: unknown
  /** Waited for before. */
  readonly wait?: Promise<void>
  /** Thrown after it has taken effect. */
  readonly lost?: unknown
}

/** A point and all that it touches: a commit may name several partitions, a poll several topics. */
interface Touched {
  readonly point: Point
  readonly topics: readonly string[]
  readonly partitions: readonly number[]
}

const operations: readonly Operation[] = ['publish', 'poll', 'handle', 'commit', 'assign', 'revoke']
/** The faults of one broker: which operation meets which, and what is still to be met. */
export class FaultBook implements Faults {
  readonly #clock: ManualClock
  readonly #onFault: (fault: Fault, point: Point) => void
  #faults: Planned[] = []
  #holds: Held[] = []
  #failures: unknown[] = []
  #watchers: { readonly fits: (touched: Touched) => boolean; readonly resolve: (point: Point) => void }[] = []

  constructor(clock: ManualClock, onFault: (fault: Fault, point: Point) => void) {
    this.#clock = clock
    this.#onFault = onFault
  }

  fail(operation: Operation, options: FaultOptions & { error?: ErrorCode | Error | undefined } = {}): Fault {
    checkOptions('fail()', options, [...faultOptions, 'error'])
    const { error } = options
    checkError(error)
    return this.#plan('fail', operation, options, point => ({ error: errorOf(error, point) }))
  }

  loseAnswer(operation: 'publish' | 'commit', options: FaultOptions = {}): Fault {
    if (operation !== 'publish' && operation !== 'commit')
      throw new TypeError(`Only the answer of a publish or a commit can get lost; got '${String(operation)}'`)
    checkOptions('loseAnswer()', options, faultOptions)
    return this.#plan('lose the answer of', operation, options, point => ({ lost: timedOut(point) }))
  }

  delay(operation: Exclude<Operation, 'publish'>, options: FaultOptions & { ms: number }): Fault {
    refusePublish(operation, 'delayed')
    checkOptions('delay()', options, [...faultOptions, 'ms'])
    const { ms } = options
    checkTime('ms', ms)
    const wait = (): Effect => ({ wait: new Promise(resolve => this.#clock.setTimeout(resolve, ms)) })
    return this.#plan(`delay by ${ms} ms`, operation, options, wait)
  }

  hold(operation: Exclude<Operation, 'publish'>, options: FaultOptions = {}): Hold {
    refusePublish(operation, 'held')
    checkOptions('hold()', options, faultOptions)
    let reach!: (point: Point) => void
    const reached = new Promise<Point>(resolve => {
      reach = resolve
    })
    let held: { readonly point: Point; readonly letGo: () => void }[] = []
    const letGo = (fits: (point: Point) => boolean): void => {
      const going = held.filter(({ point }) => fits(point))
      held = held.filter(({ point }) => !fits(point))
      for (const { letGo } of going) letGo()
    }
    const fault = this.#plan('hold', operation, options, point => {
      reach(point)
      return { wait: new Promise(letGo => held.push({ point, letGo })) }
    })
    const hold: Held = Object.assign(fault, {
      reached,
      release: () => {
        fault.remove()
        letGo(() => true)
      },
      holds: () => held.length > 0,
      letGoOf: (group: string, memberId: string) =>
        letGo(point => point.group === group && point.memberId === memberId),
    })
    this.#holds.push(hold)
    return hold
  }

  watch(operation: Operation, options: Omit<FaultOptions, 'times'> = {}): Promise<Point> {
    checkOptions('watch()', options, places)
    const fits = fitting(operation, options)
    return new Promise(resolve => this.#watchers.push({ fits, resolve }))
  }

  get pending(): readonly Fault[] {
    return this.#faults.filter(fault => fault.left !== Number.POSITIVE_INFINITY && fault.left > 0)
  }

  /** Holds in which something still waits. */
  get holding(): readonly Fault[] {
    return this.#holds.filter(hold => hold.holds())
  }
  /** What predicates threw, which an operation that is not waited for tells nobody. */
  get failures(): readonly unknown[] {
    return this.#failures
  }

  clear(): void {
    for (const hold of this.#holds) hold.release()
    this.#faults = []
    this.#holds = []
    this.#watchers = []
    this.#failures = []
  }

  /**
   * What happens to this operation, which touches these places; a poll, that has none yet, its group's topics. At most
   * one fault acts on it, the first that was asked for.
   */
  meet(point: Point, places: readonly TopicPartition[], topics: readonly string[] = []): Effect | undefined {
    if (this.#faults.length === 0 && this.#watchers.length === 0) return undefined
    try {
      return this.#meet({
        point,
        topics: places.length === 0 ? topics : places.map(({ topic }) => topic),
        partitions: places.map(({ partition }) => partition),
      })
    } catch (error) {
      this.#failures.push(error)
      return { error }
    }
  }
  #meet(touched: Touched): Effect | undefined {
    const { point } = touched
    const seen = this.#watchers.filter(({ fits }) => fits(touched))
    this.#watchers = this.#watchers.filter(watcher => !seen.includes(watcher))
    for (const { resolve } of seen) resolve(point)
    const fault = this.#faults.find(({ left, fits }) => left > 0 && fits(touched))
    if (fault === undefined) return undefined
    fault.left--
    fault.met.push(point)
    this.#onFault(fault, point)
    return fault.effect(point)
  }

  /** A member has died: nobody waits for what it was doing. */
  crashed(group: string, memberId: string): void {
    for (const hold of this.#holds) hold.letGoOf(group, memberId)
  }

  #plan(what: string, operation: Operation, options: FaultOptions, effect: (point: Point) => Effect): Planned {
    const fits = fitting(operation, options)
    const { times = 1 } = options
    if (times !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(times) || times < 1))
      refuse('times', times, 'a whole number of at least 1, or Infinity')
    const fault: Planned = {
      met: [],
      left: times,
      fits,
      effect,
      remove: () => {
        fault.left = 0
        this.#faults = this.#faults.filter(other => other !== fault)
      },
      toString: () => `${what} ${operation}${describe(options)}, met ${fault.met.length} of ${times}`,
    }
    this.#faults.push(fault)
    return fault
  }
}

interface Planned extends Fault {
  readonly met: Point[]
  left: number
  readonly fits: (touched: Touched) => boolean
  readonly effect: (point: Point) => Effect
}
interface Held extends Hold {
  holds(): boolean
  letGoOf(group: string, memberId: string): void
}

function refusePublish(operation: Operation, what: string): void {
  if (operation === ('publish' as Operation)) throw new TypeError(`A publish answers at once: it can't be ${what}`)
}

function fitting(operation: Operation, options: Omit<FaultOptions, 'times'>): (touched: Touched) => boolean {
  if (!operations.includes(operation)) refuse('operation', operation, `one of ${operations.join(', ')}`)
  checkPlace(operation, options)
  const { topic, partition, group, memberId, process, when } = options
  if (when !== undefined && typeof when !== 'function') refuse('when', when, 'a function')
  return ({ point, topics, partitions }) =>
    point.operation === operation &&
    (topic === undefined || topics.includes(topic)) &&
    (partition === undefined || partitions.includes(partition)) &&
    (group === undefined || point.group === group) &&
    (memberId === undefined || point.memberId === memberId) &&
    (process === undefined || point.process === process) &&
    (when === undefined || asked(when, point))
}
const places = ['topic', 'partition', 'group', 'memberId', 'process', 'when']
const faultOptions = [...places, 'times']
function checkOptions(what: string, options: unknown, names: readonly string[]): void {
  checkKnown(`options of ${what}`, options, names)
}

/** Where it is to happen; a place that no such operation has would never be met. */
function checkPlace(operation: Operation, options: Omit<FaultOptions, 'times'>): void {
  const { partition } = options
  for (const name of ['topic', 'group', 'memberId', 'process'] as const) {
    const value: unknown = options[name]
    if (value !== undefined && typeof value !== 'string') refuse(name, value, 'a text')
  }
  if (partition !== undefined && (!Number.isSafeInteger(partition) || partition < 0))
    refuse('partition', partition, 'a whole number of at least 0')
  if (operation === 'poll' && partition !== undefined)
    refuse('partition', partition, 'none: what a poll will give is not known before')
  for (const name of ['group', 'memberId'] as const)
    if (operation === 'publish' && options[name] !== undefined)
      refuse(name, options[name], 'none: a publish is of no group')
}
function asked(when: (point: Point) => boolean, point: Point): boolean {
  try {
    return when(point)
  } catch (error) {
    throw threw('when', when, point.operation, error)
  }
}
/** What a predicate of the test's threw. */
export function threw(option: string, predicate: unknown, at: string, cause: unknown): MillraceError {
  const expected = `a predicate that does not throw (at ${at} it threw ${errorText(cause)})`
  return new MillraceError('INVALID_CONFIG', { option, value: predicate, expected }, { cause })
}

function describe({ when, times: _, ...where }: FaultOptions & { error?: unknown; ms?: unknown }): string {
  const parts = Object.entries(where)
    .filter(([name, value]) => value !== undefined && name !== 'error' && name !== 'ms')
    .map(([name, value]) => `${name} ${String(value)}`)
  return `${parts.length === 0 ? '' : ` of ${parts.join(', ')}`}${when === undefined ? '' : ' where when() holds'}`
}
