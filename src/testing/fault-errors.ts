import { type ErrorCode, type ErrorDetails, isMillraceError, MillraceError } from '../index.js'
import type { Point } from './faults.js'
import { refuse } from './runner.js'

/** What a lost answer has waited for. Kafka: request.timeout.ms. */
export const requestTimeoutMs = 30_000

const retriable: readonly ErrorCode[] = [
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'NOT_ENOUGH_REPLICAS',
  'CORRUPT_MESSAGE',
  'UNKNOWN_TOPIC_OR_PARTITION',
]

/** An error, or the code of one; anything else is refused. */
export function checkError(error: unknown): void {
  if (error === undefined || error instanceof Error || isMillraceError(error)) return
  try {
    errorOf(error as ErrorCode, { operation: 'publish' })
  } catch {
    refuse('error', error, 'an Error or one of its codes')
  }
}
/** What an operation fails with there. */
export function errorOf(error: ErrorCode | Error | undefined, point: Point): unknown {
  if (error instanceof Error || isMillraceError(error)) return error
  if (error === undefined)
    return new MillraceError('UNKNOWN_SERVER_ERROR', { error: `a fault at ${point.operation}` }, { retriable: true })
  return new MillraceError(error, detailsOf(point) as ErrorDetails[typeof error], {
    retriable: retriable.includes(error),
  })
}
/** What its caller is told when the answer got lost. */
export function timedOut(point: Point): MillraceError {
  return new MillraceError('REQUEST_TIMED_OUT', detailsOf(point), { retriable: true })
}

/** Enough for the message of any code. */
function detailsOf({
  operation,
  topic = 'unknown',
  partition = 0,
  offset = 0,
  group = 'unknown',
  memberId = 'unknown',
}: Point) {
  const reason = `a fault at ${operation}`
  return {
    ...{
      what: `The ${operation}`,
      timeoutMs: requestTimeoutMs,
      error: reason,
      reason,
      topic,
      partition,
      offset,
      group,
    },
    ...{ memberId, instanceId: memberId, generation: 0, current: 0, members: 1, attempts: 1, partitions: 1, bytes: 0 },
    ...{ address: undefined, needed: 'nothing', mechanism: 'none', store: 'unknown' },
    ...{ option: `the ${operation}`, value: 'a fault', expected: 'what the broker takes' },
  }
}
