import { type Case, type Input, type Step, sourcesOf } from './case.js'

/** Whether a case still shows what is wrong. */
export type Fails = (candidate: Case) => Promise<boolean>

/** A smaller case that fails as well: without inputs, steps, names and headers that make no difference. */
export async function shrink(given: Case, fails: Fails, attempts = 500): Promise<Case> {
  let best = given
  let left = attempts
  const better = async (candidates: Iterable<Case>): Promise<boolean> => {
    for (const candidate of candidates) {
      if (left-- <= 0) return false
      if (!(await fails(candidate))) continue
      best = candidate
      return true
    }
    return false
  }
  while (left > 0) {
    const smaller =
      (await better(withFewerInputs(best))) || (await better(withFewerSteps(best))) || (await better(simpler(best)))
    if (!smaller) break
  }
  return best
}

/** Without a run of inputs: halves first, single ones last. */
function* withFewerInputs(given: Case): Iterable<Case> {
  for (let length = Math.ceil(given.input.length / 2); length >= 1; length = length === 1 ? 0 : Math.ceil(length / 2)) {
    for (let from = given.input.length - length; from > -length; from -= length) {
      const input = given.input.filter((_, i) => i < from || i >= from + length)
      if (input.length > 0) yield { ...given, input }
    }
  }
}

function* withFewerSteps(given: Case): Iterable<Case> {
  for (const step of given.steps) {
    const steps = without(given.steps, step.id)
    if (steps.length > 0) yield { ...given, steps }
  }
  for (const step of given.steps) {
    if ('of' in step) yield { ...given, steps: bridged(given.steps, step.id, step.of) }
  }
}

/** Without a step and all that builds on it. */
function without(steps: readonly Step[], id: string): Step[] {
  const gone = new Set([id])
  for (const step of steps) if (sourcesOf(step).some(source => gone.has(source))) gone.add(step.id)
  return steps.filter(step => !gone.has(step.id))
}

/** Without a step, what it was made of in its place. */
const bridged = (steps: readonly Step[], id: string, of: string): Step[] =>
  steps.flatMap(step => {
    if (step.id === id) return []
    return [
      {
        ...step,
        ...('of' in step && step.of === id && { of }),
        ...('with' in step && step.with === id && { with: of }),
      } as Step,
    ]
  })

function* simpler(given: Case): Iterable<Case> {
  for (const [i, step] of given.steps.entries()) {
    for (const field of ['name', 'store', 'joinStore', 'partition', 'retention', 'timestamp', 'key'] as const) {
      if (!(field in step) || step.op === 'store') continue
      const { [field]: _, ...rest } = step as Step & Record<string, unknown>
      yield { ...given, steps: given.steps.with(i, rest as Step) }
    }
  }
  for (const [i, input] of given.input.entries()) {
    if ('wall' in input) continue
    const [topic, key, value, timestamp, headers] = input
    const others: Input[] = [
      ...(headers ? [[topic, key, value, timestamp] as Input] : []),
      ...(value !== null && value !== 0 ? [[topic, key, 0, timestamp, ...(headers ? [headers] : [])] as Input] : []),
    ]
    for (const other of others) yield { ...given, input: given.input.with(i, other) }
  }
}
