import { everything, type Kind, kinds, type Outcome, type Plan } from './plan.js'

/** Steps taken, in all the schedules tried, for a shorter one. */
const mostSteps = 60_000
const mostTries = 400
/** One that goes on for so many times as long as what was found is no shorter, and will not end. */
const longerBy = 10
const leastSteps = 1_000
/** So many turns out of order are looked at together at least: what they are matters less than what happened. */
const turnsTogether = 4

/**
 * Leaves out leaps of time, crashes, faults, steps of the outside and turns out of order, many at a time, then one by
 * one, as long as it still fails (Zeller's delta debugging, simplified: what is left out changes what comes after it, so
 * each try is a run).
 */
export async function shorten(
  found: Outcome,
  run: (plan: Plan, mostSteps: number) => Promise<Outcome>,
): Promise<Outcome> {
  let best = found
  let plan = everything
  let tries = 0
  let steps = 0
  const take = async (candidate: Plan): Promise<Outcome> => {
    const outcome = await run(candidate, Math.max(leastSteps, found.steps * longerBy))
    tries++
    steps += outcome.steps
    return outcome
  }
  const fails = async (candidate: Plan): Promise<boolean> => (await take(candidate)).failure !== undefined

  const alwaysFails = await fails({ ...everything, plain: true })
  const noActs = new Set(Array.from({ length: found.offered.acts }, (_, act) => act))
  // A check that counts what the outside does would fail by what is left out: no shorter proof of anything.
  const counts = alwaysFails && (await fails({ ...everything, acts: noActs, plain: true }))
  const canDoWithout = async (candidate: Plan): Promise<boolean> =>
    alwaysFails ? !counts : !(await fails({ ...candidate, plain: true }))

  const leaveOut = async (kind: Kind, from: number, size: number): Promise<boolean> => {
    const without = new Set(plan[kind])
    for (let i = from; i < from + size; i++) without.add(i)
    if (without.size === plan[kind].size) return false
    const candidate = { ...plan, [kind]: without }
    if (kind === 'acts' && !(await canDoWithout(candidate))) return false
    const outcome = await take(candidate)
    if (outcome.failure?.kind !== found.failure!.kind || isLonger(outcome, best)) return false
    plan = candidate
    best = outcome
    return true
  }

  for (let again = true; again; ) {
    again = false
    for (const kind of kinds) {
      const least = kind === 'turns' ? turnsTogether : 1
      for (let size = best.offered[kind]; size >= least; size = Math.floor(size / 2)) {
        for (let from = 0; from < best.offered[kind]; from += size) {
          if (tries >= mostTries || steps >= mostSteps) return best
          if ((await leaveOut(kind, from, size)) && kind !== 'turns') again = true
        }
      }
    }
  }
  return best
}

function isLonger(outcome: Outcome, other: Outcome): boolean {
  const [amount, least] = [amountOf(outcome), amountOf(other)]
  return amount > least || (amount === least && outcome.history.length > other.history.length)
}
function amountOf({ met }: Outcome): number {
  return met.leaps + met.crashes + met.faults + met.acts
}
