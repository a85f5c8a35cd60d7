import { type MaybePromise, MillraceError } from '../index.js'
import { advanceToNext, type ManualClock } from './manual-clock.js'
import { isThenable } from './thenable.js'
import { nextTurn } from './turns.js'

/** What a wait in vain is told as. */
export const nothingBringsIt = 'It waits for something that neither the services nor the clock bring about'

/** Turns of the event loop that a check may take before time passes, and before it is given up: some milliseconds. */
const patientTurns = 2_000
const lastTurns = 20_000
const mostTimers = 50

/** What holds after every step; throws what the first throws that does not. */
export function checkAlways(checks: readonly (() => void)[]): void {
  for (const check of checks) {
    const result: unknown = check()
    if (!isThenable(result)) continue
    // It is refused, whatever becomes of it.
    Promise.resolve(result).catch(() => {})
    throw new MillraceError('INVALID_CONFIG', {
      option: 'always',
      value: check,
      expected: 'a check that answers at once, without a promise',
    })
  }
}

/** What holds at rest; rejects with what the first throws that does not. */
export async function checkEventually(
  checks: readonly (() => MaybePromise<void>)[],
  clock: ManualClock,
): Promise<void> {
  for (const check of checks) {
    const result = check()
    if (isThenable(result)) await waitFor(result, clock)
  }
}

/** A check may wait for the clock, or for what takes a while outside of it, but not for ever. */
async function waitFor(check: PromiseLike<void>, clock: ManualClock): Promise<void> {
  let settled = false
  const outcome = Promise.resolve(check).finally(() => {
    settled = true
  })
  outcome.catch(() => {})
  for (let timers = 0, idle = 0; !settled; idle++) {
    const mayPass = clock.timers > 0 && timers < mostTimers
    if (idle < (mayPass ? patientTurns : lastTurns)) await nextTurn()
    else if (!mayPass) throw new Error(nothingBringsIt)
    else {
      await advanceToNext(clock)
      timers++
      idle = 0
    }
  }
  await outcome
}
