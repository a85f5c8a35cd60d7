/** What waits for the promises that it yields, and is given what they come to. */
export type Steps<T> = Generator<PromiseLike<unknown>, T, any>

/** An answer of the broker's, which is waited for only where it is a promise. */
export function* answerOf<T>(answer: T | PromiseLike<T>): Steps<T> {
  return isThenable(answer) ? ((yield answer) as T) : answer
}

/** All in one step, as long as nothing that it waits for is a promise. */
export function inSteps<T>(steps: Steps<T>): T | Promise<T> {
  const step = steps.next()
  return step.done === true ? step.value : goOn(steps, step.value)
}

async function goOn<T>(steps: Steps<T>, first: PromiseLike<unknown>): Promise<T> {
  for (let waited = first; ; ) {
    let step: IteratorResult<PromiseLike<unknown>, T>
    try {
      step = steps.next(await waited)
    } catch (error) {
      step = steps.throw(error)
    }
    if (step.done === true) return step.value
    waited = step.value
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
