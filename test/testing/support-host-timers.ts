import { afterAll, beforeAll, expect, vi } from 'vitest'

/** What a test of virtual time has no need of. Turns of the event loop (setImmediate, MessageChannel) are fine. */
const names = ['setTimeout', 'setInterval'] as const

/**
 * While the tests of this file run, the host's timers throw, and a call that somebody has swallowed fails the file all
 * the same. What it gives back is the calls so far, each with where it came from.
 */
export function forbidHostTimers(): string[] {
  const calls: string[] = []
  const host = names.map(name => [name, globalThis[name]] as const)
  beforeAll(() => {
    // The runner's fake timers look at the host's once, when they are first asked for.
    vi.useFakeTimers()
    vi.useRealTimers()
    for (const name of names)
      globalThis[name] = (() => {
        const error = new Error(`${name} of the host was called`)
        calls.push(String(error.stack))
        throw error
      }) as never
  })
  afterAll(() => {
    for (const [name, timer] of host) globalThis[name] = timer as never
    expect(calls).toEqual([])
  })
  return calls
}
