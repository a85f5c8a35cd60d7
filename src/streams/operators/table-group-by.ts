import type { Change, RecordContext } from '../record.js'
import type { Operator, OperatorContext } from './operator.js'

/**
 * A row's change as a change of the groups that it was in and is in: in one step if it is the same group (KIP-904), else
 * taken from the old one first. A row without a group, or with nothing for it, is left out. Kafka: KTableRepartitionMap.
 */
export class TableGroupBy implements Operator {
  readonly #map: (value: any, key: any) => readonly [string | null, unknown]
  #context!: OperatorContext

  constructor(map: (value: any, key: any) => readonly [string | null, unknown]) {
    this.#map = map
  }
  init(context: OperatorContext): void {
    this.#context = context
  }
  process(change: Change<unknown>, key: any, context: RecordContext): void {
    const added = this.#group(change.newValue, key)
    const taken = this.#group(change.oldValue, key)
    if (added !== undefined && taken !== undefined && added[0] === taken[0])
      return this.#forward(added[0], taken[1], added[1], context)
    if (taken !== undefined) this.#forward(taken[0], taken[1], null, context)
    if (added !== undefined) this.#forward(added[0], null, added[1], context)
  }
  #forward(group: string, oldValue: unknown, newValue: unknown, context: RecordContext): void {
    this.#context.forward({ oldValue, newValue } satisfies Change<unknown>, group, context)
  }
  #group(value: unknown, key: any): readonly [string, unknown] | undefined {
    if (value === null) return undefined
    const pair: unknown = this.#map(value, key)
    if (!Array.isArray(pair)) {
      this.#context.result(pair)
      return this.#context.refuse('groupBy() takes a callback that gives [key, value]; got', pair)
    }
    const group: unknown = this.#context.result(pair[0])
    const found: unknown = this.#context.result(pair[1])
    if (group === null || found === null) return undefined
    if (typeof group !== 'string') this.#context.refuse('A key is a text or null; got', group)
    return [group, found]
  }
}
