/** Kafka: retry.backoff.ms, retry.backoff.max.ms. */
const firstMs = 100
const longestMs = 1_000
/** So much shorter or longer, so that not all come back at once. */
const jitter = 0.2

/** The wait before a retry, doubled each time. Kafka: ExponentialBackoff. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return Math.min(longestMs, firstMs * 2 ** attempt) * (1 - jitter + 2 * jitter * random())
}
