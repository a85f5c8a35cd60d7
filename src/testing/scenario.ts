import { type Key, type MaybePromise, MillraceError } from '../index.js'
import { checkKnown } from './known-options.js'
import type { BrokerProcess } from './process.js'
import { refuse } from './runner.js'
import type { World } from './simulate.js'
import type { TestBroker } from './test-broker.js'

/** A service's copy: what runs now, or is to be started. */
export interface Copy<Topics extends object, K extends Key> {
  readonly name: string
  readonly start: Parameters<World<Topics, K>['service']>[1]
  incarnation: number
  process: BrokerProcess<Topics, K> | undefined
  /** The step from which on it may be started again; before, only if nothing else can go on. */
  downUntil: number
}

/** What a scenario has said: who there is, what the outside does, what is to hold. */
export class Scenario<Topics extends object, K extends Key> {
  readonly copies: Copy<Topics, K>[] = []
  readonly acts: (() => MaybePromise<unknown>)[] = []
  readonly always: (() => void)[] = []
  readonly eventually: (() => MaybePromise<void>)[] = []
  #told = false

  world(broker: TestBroker<Topics, K>, random: () => number): World<Topics, K> {
    return {
      broker,
      random,
      service: (name, start, options = {}) => {
        this.#checkNew()
        checkKnown('options of service()', options, ['copies'])
        const { copies = 1 } = options
        checkFunction('start', start)
        checkCount('copies', copies)
        this.#serve(name, start, copies)
      },
      step: (act, options = {}) => {
        this.#checkNew()
        checkKnown('options of step()', options, ['times'])
        const { times = 1 } = options
        checkFunction('act', act)
        checkCount('times', times)
        for (let i = 0; i < times; i++) this.acts.push(() => act(i))
      },
      always: check => {
        this.#checkNew()
        checkFunction('check', check)
        this.always.push(check)
      },
      eventually: check => {
        this.#checkNew()
        checkFunction('check', check)
        this.eventually.push(check)
      },
    }
  }

  #serve(name: string, start: Copy<Topics, K>['start'], copies: number): void {
    if (typeof name !== 'string' || name === '') refuse('name', name, 'a text that is not empty')
    const names = copies === 1 ? [name] : Array.from({ length: copies }, (_, i) => `${name}-${i + 1}`)
    if (this.copies.some(copy => names.includes(copy.name))) refuse('name', name, 'that of one service')
    for (const name of names) this.copies.push({ name, start, incarnation: 0, process: undefined, downUntil: 0 })
  }

  /** Nothing is added from here on. */
  end(): void {
    const missing = this.copies.length === 0 ? 'a service' : this.acts.length === 0 ? 'a step' : undefined
    if (missing !== undefined) refuse('scenario', `none of ${missing}`, `one with at least ${missing}`)
    this.#told = true
  }
  #checkNew(): void {
    if (this.#told) throw new MillraceError('CLOSED', { what: 'The scenario, which its schedule has taken over,' })
  }
}

function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') refuse(option, value, 'a function')
}
function checkCount(option: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1) refuse(option, value, 'a whole number of at least 1')
}
