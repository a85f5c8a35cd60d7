import type { RecordContext } from '../record.js'
import type { ObservedTime } from '../stores/observed-time.js'

/**
 * What stands at a node of a topology, made anew for each task. It works synchronously, keeps state in stores and time
 * cells alone (a field would survive the undoing of a record, and not a move), and passes on by forward().
 *
 * Values in streams: null is a tombstone, never undefined. In tables they are Change<V>.
 */
export interface Operator<V = any, K = any> {
  /** Once, after the task's stores are restored and before its first record. */
  init?(context: OperatorContext): void
  process(value: V, key: K, context: RecordContext): void
  close?(): void
}

/** What an operator has of its task. Kafka: InternalProcessorContext. */
export interface OperatorContext {
  /** Of its node, as describe() prints it. */
  readonly node: string
  /** `<sub-topology>_<partition>` */
  readonly taskId: string
  readonly partition: number
  /** The task's: the largest timestamp that it has seen, -1 before the first. An operator's own is a time() cell. */
  readonly streamTime: number
  readonly wallClockTime: number
  /** Nothing comes after it: what it would forward need not be made. */
  readonly leaf: boolean
  /** To every child, in their order. Another timestamp or other headers: in another context, see at(). */
  forward(value: unknown, key: unknown, context: RecordContext): void
  /** To the child of that name alone. */
  forwardTo(child: string, value: unknown, key: unknown, context: RecordContext): void
  /** A store that the node is connected to (or a global one), as stores/ makes it. */
  store<S>(name: string): S
  /**
   * A time that is state (Kafka keeps it in a field): undone with the record that moved it, restored with the task by the
   * time changelog. The name is unique within the node; asked for in init().
   */
  time(name: string, initial?: number): ObservedTime
  /** As Kafka's punctuations fire. Gives back what cancels it. */
  schedule(
    intervalMs: number,
    time: 'stream time' | 'wall clock time',
    punctuate: (timestamp: number) => void,
  ): () => void
  /**
   * Every result of a user's callback that goes on or into a store passes through here: undefined counts as null, a
   * promise is a TypeError that names the node, and TopologyTestDriver has it frozen.
   */
  result<T>(value: T): Exclude<T, undefined>
  /** A callback gave what it must not give: throws a TypeError that names the node and shows the value. */
  refuse(what: string, value: unknown): never
}

/** How an operator reads another table's row for a key, without a store of its own where it can. Kafka: KTableValueGetter. */
export interface ValueGetter<V = any, K = any> {
  init(context: OperatorContext): void
  get(key: K): { readonly value: V; readonly timestamp: number } | undefined
}
/** Kafka: KTableValueGetterSupplier. */
export interface ValueGetterSupplier<V = any, K = any> {
  make(): ValueGetter<V, K>
  /** The stores that it reads, which the node that uses it is connected to. */
  readonly stores: readonly string[]
}
