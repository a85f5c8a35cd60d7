import { isMillraceError } from 'millrace'
import { describe, expect, test } from 'vitest'
import type { OperatorContext, ValueGetter } from '../../../src/streams/operators/operator.js'
import { type Suppression, suppressionOf, TableSuppress } from '../../../src/streams/operators/suppress.js'
import { untilTimeLimit, untilWindowCloses } from '../../../src/streams/operators/suppressed.js'
import { TableSupplier } from '../../../src/streams/operators/table-supplier.js'
import type { Windowed } from '../../../src/streams/record.js'
import { SuppressBuffer } from '../../../src/streams/stores/suppress-buffer.js'
import { type Put, Stage } from './stage.js'

/** A table that is not here: what a suppress asks of it. */
class Parent extends TableSupplier {
  readonly queryableStore: undefined
  readonly asked: boolean[] = []
  make(): never {
    throw new Error('only its rows are asked for')
  }
  stores(): [] {
    return []
  }
  view() {
    const getter: ValueGetter = { init() {}, get: key => ({ value: `parent's ${String(key)}`, timestamp: 7 }) }
    return { stores: ['parents'], make: () => getter }
  }
  protected enable(force: boolean): boolean {
    this.asked.push(force)
    return true
  }
}

interface Set {
  readonly stage: Stage
  readonly put: Put
  readonly buffer: SuppressBuffer
  readonly table: TableSuppress
  readonly parent: Parent
}
function suppressing(suppression: Suppression, windowed = true): Set {
  const stage = new Stage()
  const buffer = stage.store('buffer', setup => new SuppressBuffer({ ...setup, windowed }))
  const parent = new Parent()
  const spec = { name: 'buffer', kind: undefined, logging: true, codec: undefined, make: () => buffer }
  const table = new TableSuppress(parent, suppression, spec)
  return { stage, buffer, table, parent, put: stage.place(table.make()) }
}
const window = (key: string, start: number, end: number): Windowed => ({ key, start, end })
const change = (newValue: number | null, oldValue: number | null = null) => ({ oldValue, newValue })
/** Kafka: ARBITRARY_CHANGE, new 7 and old 14. */
const arbitrary = change(7, 14)
const finalResults = (graceMs: number): Suppression => suppressionOf(untilWindowCloses(), graceMs)
const timeLimit = (limitMs: number, maxRecords?: number): Suppression =>
  suppressionOf(untilTimeLimit(limitMs, { maxRecords }), 0)

describe('suppress (Kafka: KTableSuppressProcessorTest)', () => {
  test.each([
    ['zeroTimeLimitShouldImmediatelyEmit', 'hey'],
    ['windowedZeroTimeLimitShouldImmediatelyEmit', window('hey', 0, 100)],
  ])('%s', (_title, key) => {
    const { stage, put } = suppressing(timeLimit(0), typeof key !== 'string')
    put(key, arbitrary, 5)
    expect(stage.taken()).toEqual([{ key, value: arbitrary, timestamp: 5, headers: [] }])
  })

  test('intermediateSuppressionShouldBufferAndEmitLater', () => {
    const { stage, put } = suppressing(timeLimit(1), false)
    put('hey', change(null, 1), 0)
    expect(stage.taken()).toEqual([])
    put('tick', change(null), 1)
    expect(stage.taken()).toEqual([{ key: 'hey', value: change(null, 1), timestamp: 0, headers: [] }])
  })

  test('finalResultsSuppressionShouldBufferAndEmitAtGraceExpiration', () => {
    const { stage, put } = suppressing(finalResults(1))
    put(window('hey', 99, 100), arbitrary, 99)
    put(window('dummyKey1', 100, 101), arbitrary, 100)
    expect(stage.taken()).toEqual([])
    put(window('dummyKey2', 101, 102), arbitrary, 101)
    expect(stage.taken()).toEqual([{ key: window('hey', 99, 100), value: arbitrary, timestamp: 99, headers: [] }])
  })

  test('finalResultsWithZeroGraceShouldStillBufferUntilTheWindowEnd', () => {
    const { stage, put } = suppressing(finalResults(0))
    put(window('hey', 0, 100), arbitrary, 5)
    expect(stage.taken()).toEqual([])
    put(window('dummyKey', 100, 200), arbitrary, 100)
    expect(stage.taken()).toEqual([{ key: window('hey', 0, 100), value: arbitrary, timestamp: 5, headers: [] }])
  })

  test('finalResultsWithZeroGraceAtWindowEndShouldImmediatelyEmit', () => {
    const { stage, put } = suppressing(finalResults(0))
    put(window('hey', 0, 100), arbitrary, 100)
    expect(stage.taken()).toHaveLength(1)
  })

  test.each([
    ['finalResultsShouldDropTombstonesForTimeWindows', window('hey', 0, 100)],
    ['finalResultsShouldDropTombstonesForSessionWindows', window('hey', 0, 0)],
  ])('%s', (_title, key) => {
    const { stage, put, buffer } = suppressing(finalResults(0))
    put(key, change(null, 5), 100)
    expect(stage.taken()).toEqual([])
    expect(buffer.size).toBe(0)
  })

  test.each([
    ['suppressShouldNotDropTombstonesForTimeWindows', window('hey', 0, 100)],
    ['suppressShouldNotDropTombstonesForSessionWindows', window('hey', 0, 0)],
    ['suppressShouldNotDropTombstonesForKTable', 'hey'],
  ])('%s', (_title, key) => {
    const { stage, put } = suppressing(timeLimit(0, 0), typeof key !== 'string')
    put(key, change(null, 5), 100, [['k', 'v']])
    expect(stage.taken()).toEqual([{ key, value: change(null, 5), timestamp: 100, headers: [['k', 'v']] }])
  })

  test('suppressShouldEmitWhenOverRecordCapacity', () => {
    const { stage, put } = suppressing(timeLimit(100 * 86_400_000, 1), false)
    put('hey', change(null, 5), 100)
    put('dummyKey', change(null, 5), 101)
    expect(stage.taken().map(({ key, timestamp }) => [key, timestamp])).toEqual([['hey', 100]])
  })
})

describe('what is held back', () => {
  test('comes merged, at the place of its first change, in the context of its last', () => {
    const { stage, put } = suppressing(timeLimit(10), false)
    put('a', change(1), 0, [['h', 'first']])
    put('b', change(2), 1)
    put('a', change(3, 1), 9, [['h', 'last']])
    put('c', change(4), 11)
    expect(stage.taken()).toEqual([
      { key: 'a', value: change(3, 1), timestamp: 9, headers: [['h', 'last']] },
      { key: 'b', value: change(2), timestamp: 1, headers: [] },
    ])
  })

  test('comes by time, then by key: of keys that start alike the shorter first, though its window started later', () => {
    const { stage, put } = suppressing(finalResults(0))
    put(window('b', 0, 10), arbitrary, 1)
    put(window('ab', 2, 10), arbitrary, 2)
    put(window('a', 3, 10), arbitrary, 3)
    put(window('a', 1, 10), arbitrary, 3)
    put(window('z', 0, 9), arbitrary, 3)
    put(window('x', 10, 20), arbitrary, 10)
    expect(stage.taken().map(({ key }) => key)).toEqual([
      window('z', 0, 9),
      window('a', 1, 10),
      window('a', 3, 10),
      window('ab', 2, 10),
      window('b', 0, 10),
    ])
  })

  test('goes by the time of what reaches it, not by the clock, and time does not go back', () => {
    const { stage, put } = suppressing(timeLimit(10), false)
    put('a', change(1), 100)
    put('b', change(2), 80)
    expect(stage.taken().map(({ key }) => key)).toEqual(['b'])
  })

  test('hides the row behind the one before, for those who read the table', () => {
    const { put, table, buffer } = suppressing(timeLimit(10), false)
    const getter = table.view().make()
    getter.init({ store: () => buffer as never } as unknown as OperatorContext)
    expect(table.view().stores).toEqual(['buffer', 'parents'])
    expect(getter.get('a')).toEqual({ value: "parent's a", timestamp: 7 })
    put('a', change(2, 1), 0)
    put('a', change(3, 2), 1)
    put('new', change(1), 1)
    expect(getter.get('a')).toEqual({ value: 1, timestamp: -1 })
    expect(getter.get('new')).toBeUndefined()
    put('tick', change(1), 20)
    expect(getter.get('a')).toEqual({ value: "parent's a", timestamp: 7 })
  })

  test('asks the table before it for old values, even if that one must become a store for it', () => {
    expect(suppressing(timeLimit(10)).parent.asked).toEqual([true])
  })

  test('is as it was after a record that is undone', () => {
    const { stage, put } = suppressing(timeLimit(10), false)
    put('a', change(1), 0)
    put('b', change(2), 1)
    stage.undo.commit()
    put('a', change(9, 1), 50)
    expect(stage.taken().map(({ key }) => key)).toEqual(['a', 'b'])
    stage.undo.rollback()
    put('c', change(3), 10)
    expect(stage.taken().map(({ key, value }) => [key, value])).toEqual([['a', change(1)]])
  })
})

test.each([
  ['limitMs', () => untilTimeLimit(-1)],
  ['limitMs', () => untilTimeLimit(0.5)],
  ['maxRecords', () => untilTimeLimit(1, { maxRecords: -1 })],
])('%s out of range is refused', (option, make) => {
  let thrown: unknown
  try {
    make()
  } catch (error) {
    thrown = error
  }
  expect(isMillraceError(thrown, 'INVALID_CONFIG') && thrown.details.option).toBe(option)
})
