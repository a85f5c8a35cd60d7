import type { HeaderValue } from '../index.js'
import type { RecordContext, StreamKey } from './record.js'
import type { Store } from './store-handles.js'

/** An operation of one's own, with state. Kafka: api.Processor. */
export interface Processor<V, K extends StreamKey, W = never, J extends StreamKey = K> {
  /** Once for each task that it works in, before the first record, and after the task's stores are restored. */
  init?(context: ProcessorContext<W, J>): void
  process(value: V, key: K, context: RecordContext): void
  /** Not called when its instance is killed. */
  close?(): void
}
/** The same with the key kept. Kafka: api.FixedKeyProcessor. */
export interface FixedKeyProcessor<V, K extends StreamKey, W = never> {
  init?(context: FixedKeyProcessorContext<W>): void
  process(value: V, key: K, context: RecordContext): void
  close?(): void
}
/** As ProcessorContext; a forward belongs to the record at work (TypeError in a punctuation, as in Kafka). */
export interface FixedKeyProcessorContext<W> extends Omit<ProcessorContext<W, never>, 'forward'> {
  forward(record: {
    value: W
    timestamp?: number | undefined
    headers?: ReadonlyArray<readonly [string, HeaderValue]> | undefined
  }): void
}
export interface ProcessorContext<W, J extends StreamKey> {
  /** `<sub-topology>_<partition>`, as in Kafka: '0_3'. */
  readonly taskId: string
  /**
   * The largest timestamp that the task has seen; -1 before the first. (Windowed operators, suppress and joins go by a
   * stream time of their own.)
   */
  readonly streamTime: number
  /** The broker's clock. */
  readonly wallClockTime: number
  /** One of those that were named with the processor, or a global table's. UNKNOWN_STORE for any other. */
  store<S>(store: Store<S>): S
  /** @default timestamp and headers of the record at work; in a punctuation its time, and none */
  forward(record: {
    key: J
    value: W
    timestamp?: number | undefined
    headers?: ReadonlyArray<readonly [string, HeaderValue]> | undefined
  }): void
  /** As Kafka's punctuations fire: at most once per advance of time, however far it went. Gives back what cancels it. */
  schedule(
    intervalMs: number,
    time: 'stream time' | 'wall clock time',
    punctuate: (timestamp: number) => void,
  ): () => void
}
