import { type ConsumerRecord, MillraceError } from '../../index.js'
import type { Operator, OperatorContext } from '../operators/operator.js'
import type { RecordContext } from '../record.js'
import { shown } from '../shown.js'
import { isDynamic, type SinkNode } from '../topology/nodes.js'
import { topicName } from '../topology/plan.js'
import { refusalOf } from './refusal.js'
import type { Output } from './seam.js'

/** Where a stream leaves its task. Kafka: SinkNode, RecordCollectorImpl. */
export class Sink implements Operator {
  readonly #node: SinkNode
  readonly #topic: string | undefined
  readonly #write: (output: Output) => void
  #context!: OperatorContext

  constructor(node: SinkNode, applicationId: string, write: (output: Output) => void) {
    this.#node = node
    this.#topic = isDynamic(node.topic) ? undefined : topicName(node.topic, applicationId)
    this.#write = write
  }
  init(context: OperatorContext): void {
    this.#context = context
  }
  process(value: unknown, key: unknown, context: RecordContext): void {
    if (key !== null && typeof key !== 'string') this.#context.refuse('the key of a topic is a text or null; got', key)
    const { format } = this.#node
    this.#send({
      topic: this.#topic ?? this.#chosen(value, key, context),
      partition: this.#partition(value, key, context),
      key,
      value: format === undefined ? value : format.toLog(value),
      timestamp: context.timestamp,
      headers: context.headers,
      sink: this.#node.name,
      from: context,
    })
  }

  #send(output: Output): void {
    try {
      this.#write(output)
    } catch (error) {
      throw refusalOf(error, output.topic, [output.sink], output.from)
    }
  }

  #chosen(value: unknown, key: string | null, context: RecordContext): string {
    const choose = this.#node.topic as (value: unknown, key: string | null, context: RecordContext) => string
    const topic: unknown = this.#context.result(choose(value, key, context))
    if (typeof topic !== 'string') this.#context.refuse('to() takes a callback that gives a topic; got', topic)
    return topic
  }
  #partition(value: unknown, key: string | null, context: RecordContext): number | undefined {
    const { partition } = this.#node
    if (partition === undefined) return undefined
    const chosen: unknown = partition(value, key, context)
    if (chosen === undefined) return undefined
    this.#context.result(chosen)
    if (!Number.isInteger(chosen) || (chosen as number) < 0)
      this.#context.refuse('`partition` gives a whole number of at least 0; got', chosen)
    return chosen as number
  }
}

/** The time that a record counts with. Unlike Kafka, which skips a record of negative time. */
export function stampOf(given: unknown, node: string, { topic, partition, offset }: ConsumerRecord): number {
  if (Number.isSafeInteger(given) && (given as number) >= 0) return given as number
  throw new MillraceError('INVALID_RECORD', {
    topic,
    reason: `${node} was given ${shown(given)} by its \`timestamp\` for the record at ${topic}-${partition} offset ${offset}: whole milliseconds of at least 0`,
  })
}
