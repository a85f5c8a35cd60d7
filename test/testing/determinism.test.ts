// The same seed gives the same history, byte for byte: here, in another process, and on whatever version of Node this runs.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { goldenHistory } from './golden-history.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

const root = join(import.meta.dirname, '../..')
const written = readFileSync(join(import.meta.dirname, 'golden-history.txt'), 'utf8')

test(`on Node ${process.version} it is what it was when it was written down`, async () => {
  expect(await goldenHistory()).toBe(written)
})

test('twice in one process it is the same', async () => {
  expect(await goldenHistory()).toBe(await goldenHistory())
})

test('in another process it is the same', async () => {
  const program = ['--import', 'tsx', 'test/testing/golden-history.ts']
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root, timeout: 60_000 })
  expect(stdout).toBe(written)
})
