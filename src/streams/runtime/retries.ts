import { type Broker, isMillraceError } from '../../index.js'

/** Before what may succeed later is tried again. Kafka: retry.backoff.ms. */
export const retryBackoffMs = 100

/** The same call may succeed later. Kafka: RetriableException. */
export function isRetriable(error: unknown): boolean {
  return isMillraceError(error) && error.retriable
}
export function later({ clock }: Broker<any>, ms: number): Promise<void> {
  return new Promise(resolve => void clock.setTimeout(resolve, ms))
}
