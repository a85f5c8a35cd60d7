// The order service's tests are vitest's; here they are jest's and node:test's as well, the same file.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const testsOf = (path: string): number => readFileSync(join(root, path), 'utf8').match(/^ *test\('/gm)?.length ?? 0

/** Runs Node in the repository to its end. */
function node(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: unknown; output: string }> {
  const options = { cwd: root, env: { ...process.env, ...env }, timeout: 60_000 }
  return new Promise(resolve => {
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, output: `${stdout}\n${stderr}` }),
    )
  })
}
const nodeTest = (path: string, env?: NodeJS.ProcessEnv) =>
  node(['--import', 'tsx', '--test', '--test-reporter', 'tap', path], env)

/** Exit code 0, and so many tests passed. */
function expectPassed({ code, output }: { code: unknown; output: string }, summary: RegExp): void {
  expect(output).toMatch(summary)
  expect(code, output).toBe(0)
}

const orderService = 'examples/order-service/order-service.test.ts'

describe.concurrent('tests of other runners', { timeout: 90_000 }, () => {
  test('jest runs the order service, and the library on its fake timers', async () => {
    const config = ['--config', 'test/runners/jest.config.cjs']
    const outcome = await node(['node_modules/jest/bin/jest.js', ...config, '--runInBand', '--no-cache'])
    const count = testsOf(orderService) + testsOf('test/runners/fake-timers.jest.ts')
    expectPassed(outcome, new RegExp(`^Tests: +${count} passed, ${count} total$`, 'm'))
  })

  test('node:test runs the order service', async () => {
    const outcome = await nodeTest(orderService, { TSX_TSCONFIG_PATH: join(root, 'test/runners/tsconfig.json') })
    expectPassed(outcome, new RegExp(`^# pass ${testsOf(orderService)}$`, 'm'))
  })

  test('node:test runs a program that simulates', async () => {
    const outcome = await nodeTest('test/programs/17-simulate.ts')
    expectPassed(outcome, /^# pass 2$/m)
    // Its last test prints the schedule that it has found.
    expect(outcome.output).toMatch(/ms +ledger( \(\d+\))? +ledger-\d{4} +committed +payments-0 to 5$/m)
  })
})
