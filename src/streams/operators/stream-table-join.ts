import type { Callback, RecordContext } from '../record.js'
import type { Operator, OperatorContext, ValueGetter } from './operator.js'

/** Told the record's value, the table's row (undefined: none) and the record's key. */
export type StreamTableJoiner = (value: any, row: any, key: any) => unknown

/**
 * A record meets the row that the table has at that moment; by its own key, or by one taken from it (global tables).
 * Records without a value take no part; those without a key only in a left join (KIP-962). Kafka:
 * KStreamKTableJoinProcessor.
 */
export class StreamTableJoin implements Operator {
  readonly #rows: ValueGetter
  readonly #join: StreamTableJoiner
  readonly #on: Callback<any, any, string | null> | undefined
  readonly #left: boolean
  #context!: OperatorContext

  constructor(
    rows: ValueGetter,
    join: StreamTableJoiner,
    { left, on }: { left: boolean; on?: Callback<any, any, string | null> | undefined },
  ) {
    this.#rows = rows
    this.#join = join
    this.#on = on
    this.#left = left
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#rows.init(context)
  }
  process(value: unknown, key: any, context: RecordContext): void {
    if (value === null) return
    const found = this.#on === undefined ? key : this.#keyFrom(this.#on(value, key, context))
    if (found === null && !this.#left) return
    const row = found === null ? undefined : this.#rows.get(found)
    if (row === undefined && !this.#left) return
    this.#context.forward(this.#context.result(this.#join(value, row?.value, key)), key, context)
  }
  #keyFrom(given: unknown): string | null {
    const key: unknown = this.#context.result(given)
    if (key !== null && typeof key !== 'string') this.#context.refuse('A key is a text or null; got', key)
    return key
  }
}
