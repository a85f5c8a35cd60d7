import type { Change, RecordContext, Windowed } from '../record.js'
import type { ObservedTime } from '../stores/observed-time.js'
import type { SuppressBuffer } from '../stores/suppress-buffer.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, OperatorContext, ValueGetter, ValueGetterSupplier } from './operator.js'
import type { Suppressed } from './suppressed.js'
import { TableSupplier } from './table-supplier.js'

/** What a table's suppress() waits for. Kafka: SuppressedInternal. */
export interface Suppression {
  /** Until the buffer's first is that old, by the stream time that suppress has seen: the windows' grace, or the limit. */
  readonly waitMs: number
  readonly maxRecords: number
  /** From a window's end, or else from the first change of a key. */
  readonly fromWindowEnd: boolean
  /** A final result that is no row need not be told of, since nobody has heard of the row. */
  readonly dropTombstones: boolean
}

/** `graceMs`: how long after its end a window may still change (graceAfterEnd of the windows upstream). */
export function suppressionOf({ kind, limitMs, maxRecords }: Suppressed, graceMs: number): Suppression {
  return kind === 'window closes'
    ? { waitMs: graceMs, maxRecords: Infinity, fromWindowEnd: true, dropTombstones: true }
    : { waitMs: limitMs ?? 0, maxRecords: maxRecords ?? Infinity, fromWindowEnd: false, dropTombstones: false }
}

/**
 * A table whose changes are held back, and come merged: the last one of a key counts, at the place of its first.
 * Kafka: KTableSuppressProcessorSupplier.
 */
export class TableSuppress extends TableSupplier {
  readonly queryableStore: undefined
  readonly #parent: TableSupplier
  readonly #suppression: Suppression
  readonly #buffer: StoreSpec

  constructor(parent: TableSupplier, suppression: Suppression, buffer: StoreSpec) {
    super()
    this.#parent = parent
    this.#suppression = suppression
    this.#buffer = buffer
    // What downstream sees of a row that is held back is the row before: the buffer is told by the first change.
    parent.enableSendingOldValues(true)
  }

  make(): Operator {
    return new SuppressOperator(this.#suppression, this.#buffer.name)
  }
  stores(): readonly StoreSpec[] {
    return [this.#buffer]
  }
  view(): ValueGetterSupplier {
    const parent = this.#parent.view()
    const { name } = this.#buffer
    return { stores: [name, ...parent.stores], make: () => suppressedGetter(name, parent.make()) }
  }
  protected enable(force: boolean): boolean {
    return this.#parent.enableSendingOldValues(force)
  }
}

class SuppressOperator implements Operator {
  readonly #suppression: Suppression
  readonly #name: string
  #context!: OperatorContext
  #buffer!: SuppressBuffer
  #streamTime!: ObservedTime

  constructor(suppression: Suppression, buffer: string) {
    this.#suppression = suppression
    this.#name = buffer
  }
  init(context: OperatorContext): void {
    this.#context = context
    this.#buffer = context.store(this.#name)
    this.#streamTime = context.time('stream time')
  }
  process(change: Change<unknown>, key: string | Windowed, context: RecordContext): void {
    const { waitMs, maxRecords, fromWindowEnd } = this.#suppression
    const due = this.#streamTime.advance(context.timestamp) - waitMs
    this.#buffer.put(fromWindowEnd ? (key as Windowed).end : context.timestamp, key, change, context)
    while (this.#buffer.firstTime <= due) this.#emitFirst()
    while (this.#buffer.size > maxRecords) this.#emitFirst()
  }
  /** In the buffer until it has been passed on, so that what reads this table meanwhile still finds the row before. */
  #emitFirst(): void {
    const { key, change, context } = this.#buffer.first()!
    if (change.newValue !== null || !this.#suppression.dropTombstones) this.#context.forward(change, key, context)
    this.#buffer.remove(key)
  }
}

function suppressedGetter(name: string, parent: ValueGetter): ValueGetter {
  let buffer: SuppressBuffer
  return {
    init(context) {
      buffer = context.store(name)
      parent.init(context)
    },
    get(key) {
      const held = buffer.get(key)
      if (held === undefined) return parent.get(key)
      // Kafka: RecordQueue.UNKNOWN — what time the row before is of, the buffer isn't told.
      return held.prior === null ? undefined : { value: held.prior, timestamp: -1 }
    },
  }
}
