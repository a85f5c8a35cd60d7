import { type ConsumerRecord, MillraceError, type ProducerRecord, toDeadLetter } from '../../index.js'

/** What becomes of a callback's error. */
export interface ErrorSetting {
  readonly applicationId: string
  readonly onError: ((error: unknown, record: ConsumerRecord | undefined) => 'continue' | 'fail') | undefined
  readonly deadLetter: string | undefined
}

/** A callback of the application threw, and it can't go on. `where`: of what is no record. */
export function handlerFailed(cause: unknown, record: ConsumerRecord | undefined, where: string): MillraceError {
  const { topic, partition, offset } = record ?? { topic: where, partition: -1, offset: -1 }
  return new MillraceError('HANDLER_FAILED', { topic, partition, offset, attempts: 1 }, { cause })
}

/** Returns where it goes on, with the dead letter that is to be written, if any; throws HANDLER_FAILED where it does not. */
export function decide(
  { applicationId, onError, deadLetter }: ErrorSetting,
  error: unknown,
  record: ConsumerRecord | undefined,
  where: string,
): ProducerRecord<unknown> | undefined {
  let answer: unknown = 'fail'
  try {
    answer = onError?.(error, record) ?? 'fail'
  } catch (thrown) {
    throw handlerFailed(thrown, record, where)
  }
  if (answer !== 'continue') throw handlerFailed(error, record, where)
  if (record === undefined || deadLetter === undefined) return undefined
  return toDeadLetter(record, { error, group: applicationId, attempts: 1 }) as ProducerRecord<unknown>
}
