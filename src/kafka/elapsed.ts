/**
 * Milliseconds on a clock that nobody sets, to tell how long something has taken: heartbeats, retries and time limits
 * must not stand still for an hour because the wall clock was put back by one. Kafka: Time.hiResClockMs.
 */
export const elapsedMs = (): number => Math.floor(performance.now())
