import type { Operator, OperatorContext } from '../../../src/streams/operators/operator.js'
import type { Headers, RecordContext } from '../../../src/streams/record.js'
import { ObservedTime } from '../../../src/streams/stores/observed-time.js'
import type { StateStore, StoreSetup } from '../../../src/streams/stores/store.js'
import { UndoLog } from '../../../src/streams/stores/undo-log.js'

export interface Forwarded {
  readonly key: unknown
  readonly value: unknown
  readonly timestamp: number
  readonly headers: Headers
}

/** What operators need of a task, as little as that can be. */
export class Stage {
  readonly undo: UndoLog = new UndoLog()
  readonly #stores = new Map<string, StateStore>()
  #out: Forwarded[] = []
  #offset = 0

  store<S extends StateStore>(name: string, make: (setup: StoreSetup) => S): S {
    const store = make({ name, undo: this.undo })
    this.#stores.set(name, store)
    return store
  }

  /** Gives back what processes a record there; it goes on to the next operator, or is kept for taken(). */
  place(operator: Operator, next?: (value: any, key: any, context: RecordContext) => void): Put {
    const context: Partial<OperatorContext> = {
      node: 'NODE',
      partition: 3,
      store: <S>(name: string) => this.#stores.get(name) as S,
      time: (name, initial) => new ObservedTime(name, this.undo, initial),
      result: value => (value ?? null) as never,
      refuse: (what, value) => {
        throw new TypeError(`${what} ${String(value)}`)
      },
      forward: (value, key, { timestamp, headers, ...rest }) => {
        if (next !== undefined) next(value, key, { timestamp, headers, ...rest })
        else this.#out.push({ key, value, timestamp, headers })
      },
    }
    operator.init?.(context as OperatorContext)
    return (key, value, timestamp, headers = []) =>
      operator.process(value, key, { topic: 'input', partition: 3, offset: this.#offset++, timestamp, headers })
  }

  /** What was forwarded since the last time one asked. */
  taken(): Forwarded[] {
    return this.#out.splice(0)
  }
}
export type Put = (key: any, value: any, timestamp: number, headers?: Headers) => void
