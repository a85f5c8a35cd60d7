/** Kafka: retry.backoff.ms, retry.backoff.max.ms. */
const firstMs = 100
const longestMs = 1_000
/** So much shorter or longer, so that not all come back at once. */
const jitter = 0.2

/** The wait before a retry, doubled each time. Kafka: ExponentialBackoff. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return Math.min(longestMs, firstMs * 2 ** attempt) * (1 - jitter + 2 * jitter * random())
}

/** Waits so long; rejects with the reason of the first of these signals that is aborted. */
export function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', onAbort)
      settle()
    }
    const onAbort = (): void => {
      const { reason } = signals.find(({ aborted }) => aborted)!
      end(() => reject(reason))
    }
    const timer = setTimeout(() => end(resolve), ms)
    for (const signal of signals) signal.addEventListener('abort', onAbort)
    if (signals.some(({ aborted }) => aborted)) onAbort()
  })
}
