// A table joined with another one by a key taken from its rows (KIP-213). The left table's tasks tell those of the right
// one which of its rows they want (subscriptions, by foreign key); those answer with the row (responses, by the left
// table's key), then and whenever it changes. Each way goes through a topic; an answer to what the left row no longer is
// is dropped, told by a fingerprint of the row.
import { at, type Change, type RecordContext } from '../record.js'
import type { TimestampedKeyValueStore, ValueFormat } from '../stores/store.js'
import type { Operator, OperatorContext, ValueGetter } from './operator.js'

/** What the left row, or that it is gone (null), is recognized by. */
type Fingerprint = (value: unknown) => string

/** Kafka: SubscriptionWrapper.Instruction. */
type Instruction =
  | 'delete, no propagate'
  | 'delete and propagate'
  | 'propagate null if no row'
  | 'propagate only if row'

/** What is written to the registration topic, and kept in the subscription store. Kafka: SubscriptionWrapper. */
export interface Subscription {
  /** Of the left row; null where it is gone. */
  readonly fingerprint: string | null
  readonly instruction: Instruction
  readonly primaryKey: string
  readonly primaryPartition: number
}
/** What is written to the response topic, to the partition that the subscription came from. Kafka: SubscriptionResponseWrapper. */
export interface SubscriptionResponse {
  readonly fingerprint: string | null
  /** The right table's row; null where there is none. */
  readonly row: unknown
  readonly primaryPartition: number
}
/** Kafka: CombinedKey. */
interface CombinedKey {
  readonly foreignKey: string | null
  readonly primaryKey: string
}

/** The right table's values within responses, in the form that topics hold them in. */
export function responseFormat(rows: ValueFormat): ValueFormat {
  const change = (value: unknown, row: (row: unknown) => unknown): unknown => {
    const response = value as SubscriptionResponse
    return response.row === null ? response : { ...response, row: row(response.row) }
  }
  return {
    toLog: value => change(value, row => rows.toLog(row)),
    fromLog: logged => change(logged, row => rows.fromLog(row)),
  }
}

/** What the keys in the subscription store of one foreign key begin with: its length tells where it ends. */
const subscriptionPrefix = (foreignKey: string): string => `${foreignKey.length}:${foreignKey}`
const subscriptionKey = (foreignKey: string, primaryKey: string): string => subscriptionPrefix(foreignKey) + primaryKey

/** Told a row's value and key. */
export type ForeignKey = (value: any, key: any) => string | null

/** At the left table: what its changes want of the right one. Kafka: SubscriptionSendProcessorSupplier. */
export class SubscriptionSend implements Operator {
  readonly #on: ForeignKey
  readonly #left: boolean
  readonly #fingerprint: Fingerprint
  #context!: OperatorContext

  constructor(on: ForeignKey, { left, fingerprint }: { left: boolean; fingerprint: Fingerprint }) {
    this.#on = on
    this.#left = left
    this.#fingerprint = fingerprint
  }
  init(context: OperatorContext): void {
    this.#context = context
  }

  process({ oldValue, newValue }: Change<unknown>, key: string, context: RecordContext): void {
    if (oldValue === null && newValue === null) return
    const before = oldValue === null ? null : this.#foreignKey(oldValue, key)
    const after = newValue === null ? null : this.#foreignKey(newValue, key)
    const fingerprint = newValue === null ? null : this.#fingerprint(newValue)
    const tell = (foreignKey: string | null, instruction: Instruction): void => {
      const primaryPartition = this.#context.partition
      const subscription: Subscription = { fingerprint, instruction, primaryKey: key, primaryPartition }
      this.#context.forward(subscription, foreignKey, context)
    }
    if (this.#left) {
      if (before !== null && before !== after) tell(before, 'delete, no propagate')
      tell(after, 'propagate null if no row')
    } else if (after === null) {
      if (before !== null) tell(before, 'delete and propagate')
    } else if (before === null || before === after) {
      tell(after, 'propagate only if row')
    } else {
      // The result of the former key must go, even where there is none of the new one.
      tell(before, 'delete, no propagate')
      tell(after, 'propagate null if no row')
    }
  }

  #foreignKey(value: unknown, key: string): string | null {
    const foreignKey: unknown = this.#context.result(this.#on(value, key) as unknown)
    if (foreignKey !== null && typeof foreignKey !== 'string')
      this.#context.refuse('A foreign key is a text or null; got', foreignKey)
    return foreignKey
  }
}

/** At the right table: remembers who wants its row. Kafka: SubscriptionReceiveProcessorSupplier. */
export class SubscriptionReceive implements Operator {
  readonly #name: string
  #context!: OperatorContext
  #subscriptions!: TimestampedKeyValueStore<Subscription>

  constructor(store: string) {
    this.#name = store
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#subscriptions = context.store(this.#name)
  }
  process(subscription: Subscription, foreignKey: string | null, context: RecordContext): void {
    const { instruction, primaryKey } = subscription
    if (foreignKey !== null) {
      const gone = instruction === 'delete and propagate' || instruction === 'delete, no propagate'
      const name = subscriptionKey(foreignKey, primaryKey)
      this.#subscriptions.put(name, gone ? null : subscription, context.timestamp)
    } else if (instruction !== 'propagate null if no row') return
    this.#context.forward(subscription, { foreignKey, primaryKey } satisfies CombinedKey, context)
  }
}

/** At the right table: answers a subscription with the row that is there. Kafka: SubscriptionJoinProcessorSupplier. */
export class SubscriptionJoin implements Operator {
  readonly #rows: ValueGetter
  #context!: OperatorContext

  constructor(rows: ValueGetter) {
    this.#rows = rows
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#rows.init(context)
  }
  process(subscription: Subscription, { foreignKey, primaryKey }: CombinedKey, context: RecordContext): void {
    const { instruction, fingerprint, primaryPartition } = subscription
    if (instruction === 'delete, no propagate') return
    const found = foreignKey === null ? undefined : this.#rows.get(foreignKey)
    if (instruction === 'propagate only if row' && found === undefined) return
    const row = instruction === 'delete and propagate' ? null : (found?.value ?? null)
    const timestamp = found === undefined ? context.timestamp : Math.max(context.timestamp, found.timestamp)
    const response: SubscriptionResponse = { fingerprint, row, primaryPartition }
    this.#context.forward(response, primaryKey, at(context, timestamp))
  }
}

/** At the right table: a changed row goes to all who want it, by their keys. Kafka: ForeignTableJoinProcessorSupplier. */
export class ForeignTableJoin implements Operator {
  readonly #name: string
  #context!: OperatorContext
  #subscriptions!: TimestampedKeyValueStore<Subscription>

  constructor(store: string) {
    this.#name = store
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#subscriptions = context.store(this.#name)
  }
  process({ newValue }: Change<unknown>, key: string | null, context: RecordContext): void {
    if (key === null) return
    for (const [, { value }] of this.#subscriptions.prefix(subscriptionPrefix(key))) {
      const { fingerprint, primaryKey, primaryPartition } = value
      const response: SubscriptionResponse = { fingerprint, row: newValue, primaryPartition }
      this.#context.forward(response, primaryKey, context)
    }
  }
}

/** Told the left value and the right one (undefined: none). */
export type ForeignKeyJoiner = (left: any, right: any) => unknown

/** Back at the left table: joins, if the row is still what the answer is for. Kafka: ResponseJoinProcessorSupplier. */
export class ResponseJoin implements Operator {
  readonly #rows: ValueGetter
  readonly #join: ForeignKeyJoiner
  readonly #left: boolean
  readonly #fingerprint: Fingerprint
  #context!: OperatorContext

  constructor(
    rows: ValueGetter,
    join: ForeignKeyJoiner,
    { left, fingerprint }: { left: boolean; fingerprint: Fingerprint },
  ) {
    this.#rows = rows
    this.#join = join
    this.#left = left
    this.#fingerprint = fingerprint
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#rows.init(context)
  }
  /** A stream of results, null where there is none: the node after it makes them a table. */
  process(response: SubscriptionResponse, key: string, context: RecordContext): void {
    const own = this.#rows.get(key)
    if (response.fingerprint !== (own === undefined ? null : this.#fingerprint(own.value))) return
    const result = this.#joined(own, response.row)
    this.#context.forward(result, key, context)
  }
  #joined(own: { readonly value: unknown } | undefined, row: unknown): unknown {
    if (row === null && (!this.#left || own === undefined)) return null
    return this.#context.result(this.#join(own?.value, row ?? undefined))
  }
}
