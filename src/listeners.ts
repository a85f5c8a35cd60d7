import type { AnyRecord, TopicPartition } from './core/record.js'
import type { Engine } from './engine.js'
import { thenAtOnce } from './interceptor.js'
import type { Consumer, JoinOptions } from './portable.js'

/** What happens to partitions, by the name of its interceptor. */
export type PartitionsAct = 'assign' | 'revoke' | 'lose'

/** Calls a consumer's three listeners, through the interceptor, and keeps what they threw until a call can tell it (groups.md 15 to 20). */
export class Listeners<R extends AnyRecord> {
  /** Each, where there is one. Kafka: who does not implement onPartitionsLost has onPartitionsRevoked called. */
  readonly listener: { readonly [Act in PartitionsAct]: JoinOptions<R>['onAssigned'] }
  /** The synchronous part of a listener is on the stack. */
  calling = false
  readonly #engine: Engine<R>
  readonly #consumer: Consumer<R>
  readonly #onError: (error: unknown) => void
  readonly #gone: () => boolean

  /** `gone`: the consumer has left, so that nobody is there to be told (groups.md 19, 51). */
  constructor(
    engine: Engine<R>,
    { onAssigned, onRevoked, onLost }: JoinOptions<R>,
    consumer: Consumer<R>,
    onError: (error: unknown) => void,
    gone: () => boolean,
  ) {
    this.#engine = engine
    this.#consumer = consumer
    this.#onError = onError
    this.#gone = gone
    // Kafka: a listener has all three. Who hears of what goes has been told of what came, if only in passing (rule 14).
    const assign = onAssigned ?? (onRevoked === undefined && onLost === undefined ? undefined : () => {})
    this.listener = { assign, revoke: onRevoked, lose: onLost ?? onRevoked }
  }

  has(act: PartitionsAct): boolean {
    return this.listener[act] !== undefined
  }

  /** Calls the listener; `over` is called when it has settled, whichever way, in one block with what it is told. */
  call(act: PartitionsAct, partitions: readonly TopicPartition[], over: () => void): void {
    this.#around(act, partitions, () => this.#tell(act, partitions), over)
  }

  /** Where there is no listener, an interceptor hears of it all the same. */
  pass(act: PartitionsAct, partitions: readonly TopicPartition[], over: () => void): void {
    if (this.#engine.interceptor[act] === undefined || partitions.length === 0) over()
    else this.#around(act, inOrder(partitions), () => {}, over)
  }

  /** An interceptor may have held it up for longer than the consumer was there. */
  #tell(act: PartitionsAct, partitions: readonly TopicPartition[]): unknown {
    if (this.#gone()) return undefined
    this.calling = true
    try {
      return this.listener[act]?.(partitions, this.#consumer)
    } finally {
      this.calling = false
    }
  }

  #around(act: PartitionsAct, partitions: readonly TopicPartition[], proceed: () => unknown, over: () => void): void {
    const failed = (error: unknown): void => {
      this.#onError(error)
      over()
    }
    const { interceptor, group, memberId } = this.#engine
    let result: unknown
    try {
      const around = interceptor[act]
      result = around === undefined ? proceed() : around({ group, memberId, partitions }, proceed)
    } catch (error) {
      return failed(error)
    }
    thenAtOnce(result, over, failed)
  }
}

/** By topic, then by partition; a list of its own. */
export function inOrder(partitions: readonly TopicPartition[]): readonly TopicPartition[] {
  return partitions
    .map(({ topic, partition }) => ({ topic, partition }))
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}
