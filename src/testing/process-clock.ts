import type { Clock } from '../index.js'

/** A clock of one process of several, whose timers die with it. What they throw is told. */
export function processClock(clock: Clock, isAlive: () => boolean, failed: (error: unknown) => void): Clock {
  const fire = (fn: () => void): void => {
    if (!isAlive()) return
    try {
      fn()
    } catch (error) {
      failed(error)
    }
  }
  return {
    manual: true,
    now: () => clock.now(),
    setTimeout: (fn, ms) => clock.setTimeout(() => fire(fn), ms),
    clearTimeout: handle => clock.clearTimeout(handle),
  }
}
