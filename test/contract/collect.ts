import type { Runner } from '../../src/testing/runner.js'

/** A runner that only remembers what was defined, so that a test can see a contract fail. */
export function collect(define: (runner: Runner) => void): Map<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>()
  define({ describe: (_, body) => body(), test: (title, body) => tests.set(title, body) })
  return tests
}

/** The titles of the tests that fail, each with its message. */
export async function failures(define: (runner: Runner) => void): Promise<Map<string, string>> {
  const failed = new Map<string, string>()
  for (const [title, body] of collect(define)) await body().catch((error: Error) => failed.set(title, error.message))
  return failed
}
