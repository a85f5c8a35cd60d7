import { at, type Change, type RecordContext } from '../record.js'
import type { TimestampedKeyValueStore } from '../stores/store.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, OperatorContext, ValueGetter, ValueGetterSupplier } from './operator.js'
import { storeView, TableSupplier } from './table-supplier.js'

/** Of the side at work. A left join's right side is `right`: it needs the left row, not its own. */
type TableJoinKind = 'inner' | 'left' | 'right' | 'outer'
/** A row of the side at work and of the other one. */
export type TableJoiner = (own: any, other: any) => unknown

/**
 * One side of a join of two tables: a change here meets the other side's row. Its stores are the other side's. Kafka:
 * KTableKTableInnerJoin, LeftJoin, RightJoin, OuterJoin.
 */
export class TableJoinSide extends TableSupplier {
  readonly queryableStore: undefined
  readonly #kind: TableJoinKind
  readonly #own: TableSupplier
  readonly #other: TableSupplier
  readonly #ownView: ValueGetterSupplier
  readonly #otherView: ValueGetterSupplier
  readonly #join: TableJoiner
  #sendOldValues = false

  constructor(kind: TableJoinKind, own: TableSupplier, other: TableSupplier, join: TableJoiner) {
    super()
    this.#kind = kind
    this.#own = own
    this.#other = other
    this.#ownView = own.view()
    this.#otherView = other.view()
    this.#join = join
  }

  make(): Operator {
    return new TableJoinOperator(this.#kind, this.#otherView.make(), this.#join, this.#sendOldValues)
  }
  stores(): readonly StoreSpec[] {
    return []
  }
  /** Those that it reads, so that it shares a task with who writes them. */
  get otherStores(): readonly string[] {
    return this.#otherView.stores
  }
  view(): ValueGetterSupplier {
    return {
      stores: [...new Set([...this.#ownView.stores, ...this.#otherView.stores])],
      make: () => joinGetter(this.#kind, this.#ownView.make(), this.#otherView.make(), this.#join),
    }
  }
  protected enable(): boolean {
    this.#own.enableSendingOldValues(true)
    this.#other.enableSendingOldValues(true)
    this.#sendOldValues = true
    return true
  }
}

const needsOwn = (kind: TableJoinKind): boolean => kind === 'inner' || kind === 'left'
const needsOther = (kind: TableJoinKind): boolean => kind === 'inner' || kind === 'right'

class TableJoinOperator implements Operator {
  readonly #kind: TableJoinKind
  readonly #other: ValueGetter
  readonly #join: TableJoiner
  readonly #sendOldValues: boolean
  #context!: OperatorContext

  constructor(kind: TableJoinKind, other: ValueGetter, join: TableJoiner, sendOldValues: boolean) {
    this.#kind = kind
    this.#other = other
    this.#join = join
    this.#sendOldValues = sendOldValues
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#other.init(context)
  }
  process(change: Change<unknown>, key: any, context: RecordContext): void {
    if (key === null) return
    const row = this.#other.get(key)
    if (row === undefined) {
      if (needsOther(this.#kind) || (change.newValue === null && change.oldValue === null)) return
    }
    const timestamp = row === undefined ? context.timestamp : Math.max(context.timestamp, row.timestamp)
    const newValue = this.#joined(change.newValue, row?.value)
    const oldValue = this.#sendOldValues ? this.#joined(change.oldValue, row?.value) : null
    this.#context.forward({ oldValue, newValue } satisfies Change<unknown>, key, at(context, timestamp))
  }
  #joined(own: unknown, other: unknown): unknown {
    if (own === null && (needsOwn(this.#kind) || other === undefined)) return null
    return this.#context.result(this.#join(own ?? undefined, other))
  }
}

function joinGetter(kind: TableJoinKind, own: ValueGetter, other: ValueGetter, join: TableJoiner): ValueGetter {
  let context: OperatorContext
  return {
    init(given) {
      context = given
      own.init(given)
      other.init(given)
    },
    get(key) {
      const mine = own.get(key)
      const theirs = other.get(key)
      if (mine === undefined && (needsOwn(kind) || theirs === undefined)) return undefined
      if (theirs === undefined && needsOther(kind)) return undefined
      const value = context.result(join(mine?.value, theirs?.value))
      const timestamp = Math.max(mine?.timestamp ?? -1, theirs?.timestamp ?? -1)
      return value === null ? undefined : { value, timestamp }
    },
  }
}

/** Where both sides of a join meet, and its store if it has one. Kafka: KTableKTableJoinMerger. */
export class TableJoinMerge extends TableSupplier {
  readonly queryableStore: StoreSpec | undefined
  readonly #one: TableJoinSide
  readonly #other: TableJoinSide
  #sendOldValues = false

  constructor(one: TableJoinSide, other: TableJoinSide, store: StoreSpec | undefined) {
    super()
    this.#one = one
    this.#other = other
    this.queryableStore = store
  }

  make(): Operator {
    return new TableJoinMergeOperator(this.queryableStore?.name, this.#sendOldValues)
  }
  stores(): readonly StoreSpec[] {
    return this.queryableStore === undefined ? [] : [this.queryableStore]
  }
  view(): ValueGetterSupplier {
    if (this.queryableStore !== undefined) return storeView(this.queryableStore.name)
    const one = this.#one.view()
    return { stores: [...new Set([...one.stores, ...this.#other.view().stores])], make: () => one.make() }
  }
  protected enable(): boolean {
    this.#one.enableSendingOldValues(true)
    this.#other.enableSendingOldValues(true)
    this.#sendOldValues = true
    return true
  }
}

class TableJoinMergeOperator implements Operator {
  readonly #name: string | undefined
  readonly #sendOldValues: boolean
  #context!: OperatorContext
  #store: TimestampedKeyValueStore | undefined

  constructor(name: string | undefined, sendOldValues: boolean) {
    this.#name = name
    this.#sendOldValues = sendOldValues
  }
  init(context: OperatorContext): void {
    this.#context = context
    if (this.#name !== undefined) this.#store = context.store(this.#name)
  }
  process(change: Change<unknown>, key: any, context: RecordContext): void {
    this.#store?.put(key, change.newValue, context.timestamp)
    const passed = this.#sendOldValues
      ? change
      : ({ oldValue: null, newValue: change.newValue } satisfies Change<unknown>)
    this.#context.forward(passed, key, context)
  }
}
