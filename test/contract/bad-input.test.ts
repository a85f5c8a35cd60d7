// What the suites themselves are given: refused before a test is defined.
import { rangeAssignor, roundRobinPartitioner } from 'millrace'
import {
  assignorContract,
  brokerContract,
  type ContractEngine,
  partitionerContract,
  type Runner,
} from 'millrace/testing'
import { describe, expect, test, vi } from 'vitest'
import { forbidHostTimers } from '../testing/support-host-timers.js'

forbidHostTimers()

const engine: ContractEngine = {
  name: 'none',
  open: () => {
    throw new Error('not to be opened')
  },
}
const runner = () => ({ describe: vi.fn((_: string, body: () => void) => body()), test: vi.fn() })

describe('brokerContract', () => {
  test.each<[string, unknown, unknown]>([
    ['engine', undefined, undefined],
    ['engine', null, null],
    ['engine', 'memory', 'memory'],
    ['engine.name', { ...engine, name: undefined }, undefined],
    ['engine.name', { ...engine, name: '' }, ''],
    ['engine.open', { ...engine, open: 'memory' }, 'memory'],
    ['engine.patienceMs', { ...engine, patienceMs: 0 }, 0],
    ['engine.patienceMs', { ...engine, patienceMs: 0.5 }, 0.5],
  ])('refuses %s: %j', (option, value, named) => {
    const given = runner()
    expect(() => brokerContract(given, value as ContractEngine)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', details: expect.objectContaining({ option, value: named }) }),
    )
    expect(given.test).not.toHaveBeenCalled()
  })

  test('refuses an exception to what nobody promises', () => {
    const given = runner()
    const exceptions = { 'records never get lost': 'memory' }
    expect(() => brokerContract(given, { ...engine, exceptions })).toThrow(/makes no claim "records never get lost"/)
    expect(given.describe).not.toHaveBeenCalled()
  })
})

describe.each<[string, (runner: Runner) => void]>([
  ['brokerContract', runner => brokerContract(runner, engine)],
  ['assignorContract', runner => assignorContract(runner, rangeAssignor)],
  ['partitionerContract', runner => partitionerContract(runner, roundRobinPartitioner)],
])('%s', (_, define) => {
  test.each<[unknown, string]>([
    [undefined, 'runner.describe'],
    [null, 'runner.describe'],
    [{ test }, 'runner.describe'],
    [{ describe }, 'runner.test'],
    [{ describe, test: 'it' }, 'runner.test'],
  ])('refuses a runner that is none: %j', (value, option) => {
    expect(() => define(value as Runner)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', details: expect.objectContaining({ option }) }),
    )
  })

  test('needs no more of a runner than its two functions', () => {
    const given = runner()
    define(given)
    expect(given.describe).toHaveBeenCalledTimes(1)
    expect(given.test.mock.calls.length).toBeGreaterThan(5)
  })
})

test.each([undefined, null, {}, 'range'])('assignorContract refuses %j', value => {
  expect(() => assignorContract(runner(), value as never)).toThrow(/^assignor must be an assignor; got/)
})
test.each([undefined, null, {}])('partitionerContract refuses %j', value => {
  expect(() => partitionerContract(runner(), value as never)).toThrow(
    /^make must be a function that makes a partitioner/,
  )
})
