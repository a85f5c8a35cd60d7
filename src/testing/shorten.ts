import { everything, type Outcome, type Plan } from './schedule.js'

/** Schedules tried for a shorter one. */
const mostTries = 300
const kinds = ['leaps', 'crashes', 'faults', 'acts'] as const

/**
 * Leaves out steps of the outside, crashes and faults, many at a time, then one by one, as long as it still fails
 * (Zeller's delta debugging, simplified: what is left out changes what comes after it, so each try is a run).
 */
export async function shorten(found: Outcome, run: (plan: Plan) => Promise<Outcome>): Promise<Outcome> {
  let best = found
  let plan = everything
  let tries = 0
  for (let again = true; again && tries < mostTries; ) {
    again = false
    for (const kind of kinds) {
      for (let size = Math.ceil(best[kind] / 2); size >= 1; size = Math.floor(size / 2)) {
        for (let from = 0; from < found[kind] && tries < mostTries; from += size) {
          const without = new Set(plan[kind])
          for (let i = from; i < from + size; i++) without.add(i)
          if (without.size === plan[kind].size) continue
          tries++
          const candidate = { ...plan, [kind]: without }
          // A check that counts what the outside does would fail by what is left out: no shorter proof of anything.
          if (kind === 'acts' && (await run({ ...candidate, plain: true })).failure !== undefined) continue
          const outcome = await run(candidate)
          if (outcome.failure === undefined) continue
          plan = candidate
          best = outcome
          again = true
        }
      }
    }
  }
  return best
}
