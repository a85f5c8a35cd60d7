import type { Callback, RecordContext, StreamKey } from '../record.js'
import type { Operator, OperatorContext } from './operator.js'

abstract class Stateless implements Operator {
  protected context!: OperatorContext
  init(context: OperatorContext): void {
    this.context = context
  }
  abstract process(value: any, key: any, context: RecordContext): void
}

/** Kafka: KStreamFilter. */
export class Filter extends Stateless {
  readonly #accept: Callback<any, any, unknown>
  readonly #not: boolean

  constructor(accept: Callback<any, any, unknown>, not: boolean) {
    super()
    this.#accept = accept
    this.#not = not
  }
  process(value: any, key: any, context: RecordContext): void {
    if (Boolean(this.context.result(this.#accept(value, key, context))) !== this.#not)
      this.context.forward(value, key, context)
  }
}

/** Kafka: KStreamMapValues. */
export class MapValues extends Stateless {
  readonly #map: Callback<any, any, unknown>

  constructor(map: Callback<any, any, unknown>) {
    super()
    this.#map = map
  }
  process(value: any, key: any, context: RecordContext): void {
    this.context.forward(this.context.result(this.#map(value, key, context)), key, context)
  }
}

/** Kafka: KStreamFlatMapValues. */
export class FlatMapValues extends Stateless {
  readonly #map: Callback<any, any, Iterable<unknown>>

  constructor(map: Callback<any, any, Iterable<unknown>>) {
    super()
    this.#map = map
  }
  process(value: any, key: any, context: RecordContext): void {
    const found: unknown = this.context.result(this.#map(value, key, context))
    if (!isIterable(found)) this.context.refuse(`flatMapValues() takes a callback that gives an iterable; got`, found)
    for (const one of found) this.context.forward(this.context.result(one), key, context)
  }
}

/** Kafka: KStreamMap; also selectKey and what groupBy begins with. */
export class MapRecord extends Stateless {
  readonly #map: Callback<any, any, readonly [StreamKey, unknown]>

  constructor(map: Callback<any, any, readonly [StreamKey, unknown]>) {
    super()
    this.#map = map
  }
  process(value: any, key: any, context: RecordContext): void {
    forwardPair(this.context, this.#map(value, key, context), 'map()', context)
  }
}

/** Kafka: KStreamMap, with the value left as it is. */
export class SelectKey extends Stateless {
  readonly #key: Callback<any, any, StreamKey>

  constructor(key: Callback<any, any, StreamKey>) {
    super()
    this.#key = key
  }
  process(value: any, key: any, context: RecordContext): void {
    this.context.forward(value, checkedKey(this.context, this.#key(value, key, context)), context)
  }
}

/** Kafka: KStreamFlatMap. */
export class FlatMap extends Stateless {
  readonly #map: Callback<any, any, Iterable<readonly [StreamKey, unknown]>>

  constructor(map: Callback<any, any, Iterable<readonly [StreamKey, unknown]>>) {
    super()
    this.#map = map
  }
  process(value: any, key: any, context: RecordContext): void {
    const found: unknown = this.context.result(this.#map(value, key, context))
    if (!isIterable(found)) this.context.refuse('flatMap() takes a callback that gives an iterable; got', found)
    for (const pair of found) forwardPair(this.context, pair, 'flatMap()', context)
  }
}

/** Kafka: KStreamPeek; without children it is forEach (ForeachProcessor). */
export class Peek extends Stateless {
  readonly #look: Callback<any, any, unknown>

  constructor(look: Callback<any, any, unknown>) {
    super()
    this.#look = look
  }
  process(value: any, key: any, context: RecordContext): void {
    this.context.result(this.#look(value, key, context))
    this.context.forward(value, key, context)
  }
}

/** To the first branch that accepts the record, else to the last child. Kafka: KStreamBranch. */
export class Branch extends Stateless {
  readonly #branches: readonly (readonly [child: string, accept: Callback<any, any, unknown>])[]
  readonly #rest: string

  constructor(branches: readonly (readonly [child: string, accept: Callback<any, any, unknown>])[], rest: string) {
    super()
    this.#branches = branches
    this.#rest = rest
  }
  process(value: any, key: any, context: RecordContext): void {
    for (const [child, accept] of this.#branches)
      if (this.context.result(accept(value, key, context))) return this.context.forwardTo(child, value, key, context)
    this.context.forwardTo(this.#rest, value, key, context)
  }
}

/** Kafka: PassThrough; a merge, a branch, the end of a join. */
export class PassThrough extends Stateless {
  process(value: any, key: any, context: RecordContext): void {
    this.context.forward(value, key, context)
  }
}

/** Before a repartition topic. Kafka: the filter of createRepartitionedSource, by KIP-962. */
export class NullKeyFilter extends Stateless {
  readonly #nullKeys: { readonly kept: boolean }

  constructor(nullKeys: { readonly kept: boolean }) {
    super()
    this.#nullKeys = nullKeys
  }
  process(value: any, key: any, context: RecordContext): void {
    if (key !== null || this.#nullKeys.kept) this.context.forward(value, key, context)
  }
}

/** A table's changes as a stream. Kafka: KTableImpl.toStream. */
export class ToStream extends Stateless {
  process(change: any, key: any, context: RecordContext): void {
    this.context.forward(change.newValue, key, context)
  }
}

const isIterable = (value: any): value is Iterable<any> =>
  value !== null && value !== undefined && typeof value[Symbol.iterator] === 'function'

function forwardPair(context: OperatorContext, pair: unknown, operation: string, record: RecordContext): void {
  if (!Array.isArray(pair)) {
    context.result(pair)
    context.refuse(`${operation} takes a callback that gives [key, value]; got`, pair)
  }
  const key = checkedKey(context, pair[0])
  context.forward(context.result(pair[1]), key, record)
}

/** Keys are text, or windows of it. */
export function checkedKey(context: OperatorContext, key: unknown): StreamKey {
  const found: unknown = typeof key === 'string' ? key : context.result(key)
  if (typeof found === 'string' || found === null) return found
  const {
    key: text,
    start,
    end,
  } = (typeof found === 'object' ? found : {}) as { key?: unknown } & Record<string, unknown>
  if (typeof text !== 'string' || typeof start !== 'number' || typeof end !== 'number')
    context.refuse('A key is a text, null or a window { key, start, end }; got', found)
  return found as StreamKey
}
