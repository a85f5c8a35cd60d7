// The suite of millrace/testing runs without one timer of the host: each file forbids them for itself, and those that
// do not are run here once more, where they are forbidden.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { forbidHostTimers } from './support-host-timers.js'

const calls = forbidHostTimers()

/** Behaviour under fake timers of the host is what they are about. */
const aboutTheHost = ['fake-timers.test.ts']

const files = readdirSync(import.meta.dirname).filter(file => file.endsWith('.test.ts') && !aboutTheHost.includes(file))
const unguarded = files.filter(
  file => !readFileSync(`${import.meta.dirname}/${file}`, 'utf8').includes('forbidHostTimers('),
)

test.each(['setTimeout', 'setInterval'] as const)('a call of %s of the host would be seen', name => {
  expect(() => globalThis[name](() => {}, 1)).toThrow(`${name} of the host was called`)
  expect(calls.splice(0)).toEqual([expect.stringContaining('no-host-timers.test.ts')])
})

describe.each(unguarded)('%s', async file => {
  const path = `./${file}`
  await import(/* @vite-ignore */ path)
})

describe('programs as users write them', async () => {
  await import('../programs/15-test-a-service.js')
  await import('../programs/16-faults.js')
})

describe('the order service', async () => {
  await import('../../examples/order-service/order-service.test.js')
})
