import { deepFreeze } from '../freeze.js'
import type { Operator, OperatorContext } from '../operators/operator.js'
import type { RecordContext } from '../record.js'
import { shown } from '../shown.js'
import type { ObservedTime } from '../stores/observed-time.js'

/** What callbacks see beside the value: windows, and where the record comes from. */
function freezeRecord(key: unknown, context: RecordContext): void {
  if (typeof key === 'object') deepFreeze(key)
  if (Object.isFrozen(context)) return
  if (context.headers.length > 0) deepFreeze(context.headers)
  Object.freeze(context)
}

/** What a node asks of its task. */
export interface NodeHost {
  readonly id: string
  readonly partition: number
  readonly streamTime: number
  readonly freezes: boolean
  now(): number
  storeFor(node: string, name: string): unknown
  timeFor(node: string, name: string, initial: number | undefined): ObservedTime
  /** What the node threw, or one after it, which is told of first. */
  threw(node: string, error: unknown): void
  schedule: (node: string, ...schedule: Parameters<OperatorContext['schedule']>) => () => void
}

/** A node at work: its operator, and what comes after it. */
export class NodeContext implements OperatorContext {
  readonly node: string
  readonly operator: Operator
  readonly children: NodeContext[] = []
  readonly #host: NodeHost
  readonly #freezes: boolean

  constructor(node: string, operator: Operator, host: NodeHost) {
    this.node = node
    this.operator = operator
    this.#host = host
    this.#freezes = host.freezes
  }

  get taskId(): string {
    return this.#host.id
  }
  get partition(): number {
    return this.#host.partition
  }
  get streamTime(): number {
    return this.#host.streamTime
  }
  get wallClockTime(): number {
    return this.#host.now()
  }

  get leaf(): boolean {
    return this.children.length === 0
  }
  forward(value: unknown, key: unknown, context: RecordContext): void {
    if (this.#freezes) freezeRecord(key, context)
    const { children } = this
    const { length } = children
    if (length > 0) children[0]!.#process(value, key, context)
    for (let i = 1; i < length; i++) children[i]!.#process(value, key, context)
  }
  forwardTo(child: string, value: unknown, key: unknown, context: RecordContext): void {
    for (const known of this.children) if (known.node === child) known.#process(value, key, context)
  }
  #process(value: unknown, key: unknown, context: RecordContext): void {
    try {
      this.operator.process(value, key, context)
    } catch (error) {
      this.#host.threw(this.node, error)
      throw error
    }
  }

  store<S>(name: string): S {
    return this.#host.storeFor(this.node, name) as S
  }
  time(name: string, initial?: number): ObservedTime {
    return this.#host.timeFor(this.node, name, initial)
  }
  schedule(...schedule: Parameters<OperatorContext['schedule']>): () => void {
    return this.#host.schedule(this.node, ...schedule)
  }

  result<T>(value: T): Exclude<T, undefined> {
    if (value === undefined) return null as Exclude<T, undefined>
    if (typeof value === 'object' && value !== null) {
      if (typeof (value as { then?: unknown }).then === 'function') this.#refusePromise(value)
      if (this.#freezes) deepFreeze(value)
    }
    return value as Exclude<T, undefined>
  }
  refuse(what: string, value: unknown): never {
    throw new TypeError(`${this.node}: ${what} ${shown(value)}`)
  }

  /** Nobody waits for it, so nobody else would hear of its rejection. */
  #refusePromise(promise: unknown): never {
    Promise.resolve(promise).catch(() => {})
    throw new TypeError(`${this.node}: callbacks are synchronous; this one returned a promise`)
  }
}
