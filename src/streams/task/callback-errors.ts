import { type ConsumerRecord, MillraceError, type ProducerRecord, toDeadLetter } from '../../index.js'
import type { TopologyTask } from './seam.js'

/** What becomes of a callback's error. */
export interface ErrorSetting {
  readonly applicationId: string
  readonly onError: ((error: unknown, record: ConsumerRecord | undefined) => 'continue' | 'fail') | undefined
  readonly deadLetter: string | undefined
}
/** What a task was doing: working on a record, or something that has none. */
type Doing = ConsumerRecord | 'init' | 'punctuation' | 'close'

/** A callback of the application threw, and it can't go on; the message names the node, where it is one's. */
export function handlerFailed(cause: unknown, { id }: TopologyTask, doing: Doing, node?: string): MillraceError {
  const { topic, partition, offset } =
    typeof doing === 'object' ? doing : { topic: `${doing} of task ${id}`, partition: -1, offset: -1 }
  return new MillraceError(
    'HANDLER_FAILED',
    { topic, partition, offset, attempts: 1 },
    { cause, ...(node !== undefined && { handler: node }) },
  )
}

/** Returns where it goes on, with the dead letter that is to be written, if any; throws HANDLER_FAILED where it does not. */
export function decide(
  { applicationId, onError, deadLetter }: ErrorSetting,
  error: unknown,
  task: TopologyTask,
  doing: Doing,
): ProducerRecord<unknown> | undefined {
  const { failedNode } = task
  const record = typeof doing === 'object' ? doing : undefined
  let answer: unknown = 'fail'
  try {
    answer = onError?.(error, record) ?? 'fail'
  } catch (thrown) {
    throw handlerFailed(thrown, task, doing)
  }
  if (answer !== 'continue') throw handlerFailed(error, task, doing, failedNode)
  if (record === undefined || deadLetter === undefined) return undefined
  return toDeadLetter(record, { error, group: applicationId, attempts: 1 }) as ProducerRecord<unknown>
}
