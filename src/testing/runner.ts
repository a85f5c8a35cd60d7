import { MillraceError } from '../index.js'

/** vitest's, jest's or node:test's own functions. */
export interface Runner {
  describe(name: string, body: () => void): unknown
  test(name: string, body: () => Promise<void>): unknown
}

export function refuse(option: string, value: unknown, expected: string): never {
  throw new MillraceError('INVALID_CONFIG', { option, value, expected })
}

/** What a contract says, as a title, and how it is tried. */
type Claims = Readonly<Record<string, () => void | Promise<void>>>

export interface ContractOptions {
  /** By title, why a claim does not hold; it is tried all the same, and must fail. */
  exceptions?: Readonly<Record<string, string>> | undefined
}

/**
 * Defines one test for each claim, with the runner's own functions.
 *
 * @throws Error for an exception to a claim that there is not: a misspelt title would excuse nothing.
 */
export function defineContract(
  runner: Runner,
  name: string,
  claims: Claims,
  { exceptions = {} }: ContractOptions = {},
): void {
  const { describe, test } = checkRunner(runner)
  for (const title of Object.keys(exceptions))
    if (!Object.hasOwn(claims, title))
      throw new Error(`${name} makes no claim "${title}"; it claims:\n  ${Object.keys(claims).join('\n  ')}`)

  describe(name, () => {
    for (const [title, claim] of Object.entries(claims)) {
      const reason = Object.hasOwn(exceptions, title) ? exceptions[title]! : undefined
      if (reason === undefined) test(title, async () => claim())
      else test(`${title} (not so: ${reason})`, () => mustFail(title, reason, claim))
    }
  })
}

function checkRunner(runner: Runner): Runner {
  for (const name of ['describe', 'test'] as const) {
    const value: unknown = (runner as Partial<Runner> | null | undefined)?.[name]
    if (typeof value !== 'function') refuse(`runner.${name}`, value, "the runner's function")
  }
  return runner
}

async function mustFail(title: string, reason: string, claim: () => void | Promise<void>): Promise<void> {
  try {
    await claim()
  } catch {
    return
  }
  throw new Error(`"${title}" holds: remove the exception to it ("${reason}")`)
}

/** Fails the test unless it holds; no runner's `expect` is needed. */
export function check(holds: boolean, otherwise: () => string): asserts holds {
  if (!holds) throw new Error(otherwise())
}

/** Runs a try with the seeds 1 to 200, and names the seed that failed. */
export function forEachSeed(attempt: (random: Random) => void): void {
  for (let seed = 1; seed <= 200; seed++) {
    try {
      attempt(new Random(seed))
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n(random case of seed ${seed})`, {
        cause: error,
      })
    }
  }
}

/** Repeatable choices: a linear congruential generator, of which only the high bits are used. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
    // The first numbers of neighbouring seeds are alike.
    for (let i = 0; i < 4; i++) this.below(2)
  }

  /** A whole number, 0 <= x < limit. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * limit)
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const item = result[i]!
      result[i] = result[j]!
      result[j] = item
    }
    return result
  }

  /** Each item with a chance of one half. */
  some<T>(items: readonly T[]): T[] {
    return items.filter(() => this.below(2) === 0)
  }
}
