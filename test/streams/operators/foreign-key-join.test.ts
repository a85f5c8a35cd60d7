import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../../src/streams/operators/foreign-key-fingerprint.js'
import {
  ForeignTableJoin,
  ResponseJoin,
  responseFormat,
  SubscriptionJoin,
  SubscriptionReceive,
  SubscriptionSend,
} from '../../../src/streams/operators/foreign-key-join.js'
import type { Operator } from '../../../src/streams/operators/operator.js'
import { storeView } from '../../../src/streams/operators/table-supplier.js'
import type { RecordContext } from '../../../src/streams/record.js'
import { InMemoryKeyValueStore } from '../../../src/streams/stores/key-value-store.js'
import { type Put, Stage } from './stage.js'

/** Kafka: LeftValue. */
interface Left {
  readonly fk: string | null
  readonly n?: number
}
const on = (value: Left): string | null => value.fk
/** So that a test can say what it expects. */
const fingerprint = (value: unknown): string => JSON.stringify(value)

describe('what the left table sends (Kafka: SubscriptionSendProcessorSupplierTest)', () => {
  const send = (left: boolean, newValue: Left | null, oldValue: Left | null): unknown[] => {
    const stage = new Stage()
    stage.place(new SubscriptionSend(on, { left, fingerprint }))('pk', { newValue, oldValue }, 5)
    const hash = newValue === null ? null : fingerprint(newValue)
    return stage.taken().map(({ key, value, timestamp }) => {
      const { instruction, ...rest } = value as { instruction: string }
      expect(rest).toEqual({ fingerprint: hash, primaryKey: 'pk', primaryPartition: 3 })
      expect(timestamp).toBe(5)
      return [key, instruction]
    })
  }
  const [fk1, fk2, none]: Left[] = [{ fk: 'fk1' }, { fk: 'fk2' }, { fk: null }]

  // 4.1 sends "no propagate" where the tests of earlier versions have "and propagate" (left joins)
  test.each([
    ['leftJoinShouldPropagateNewPrimaryKeyWithNonNullFK', fk1, null, [['fk1', 'propagate null if no row']]],
    ['leftJoinShouldPropagateNewPrimaryKeyWithNullFK', none, null, [[null, 'propagate null if no row']]],
    [
      'leftJoinShouldPropagateChangeOfFKFromNonNullToNonNullValue',
      fk2,
      fk1,
      [
        ['fk1', 'delete, no propagate'],
        ['fk2', 'propagate null if no row'],
      ],
    ],
    ['leftJoinShouldPropagateNewRecordOfUnchangedFK', fk1, fk1, [['fk1', 'propagate null if no row']]],
    [
      'leftJoinShouldPropagateChangeOfFKFromNonNullToNullValue',
      none,
      fk1,
      [
        ['fk1', 'delete, no propagate'],
        [null, 'propagate null if no row'],
      ],
    ],
    ['leftJoinShouldPropagateChangeFromNullFKToNonNullFKValue', fk1, none, [['fk1', 'propagate null if no row']]],
    ['leftJoinShouldPropagateChangeFromNullFKToNullFKValue', none, none, [[null, 'propagate null if no row']]],
    [
      'leftJoinShouldPropagateDeletionOfAPrimaryKey',
      null,
      fk1,
      [
        ['fk1', 'delete, no propagate'],
        [null, 'propagate null if no row'],
      ],
    ],
    ['leftJoinShouldPropagateDeletionOfAPrimaryKeyThatHadNullFK', null, none, [[null, 'propagate null if no row']]],
    ['leftJoinShouldPropagateNothingWhenOldAndNewLeftValueIsNull', null, null, []],
  ])('%s', (_title, newValue = null, oldValue = null, sent) => {
    expect(send(true, newValue, oldValue)).toEqual(sent)
  })

  test.each([
    ['innerJoinShouldPropagateNewPrimaryKey', fk1, null, [['fk1', 'propagate only if row']]],
    ['innerJoinShouldNotPropagateNewPrimaryKeyWithNullFK', none, null, []],
    [
      'innerJoinShouldDeleteOldAndPropagateNewFK',
      fk2,
      fk1,
      [
        ['fk1', 'delete, no propagate'],
        ['fk2', 'propagate null if no row'],
      ],
    ],
    ['an unchanged foreign key', fk1, fk1, [['fk1', 'propagate only if row']]],
    ['a foreign key where there was none', fk1, none, [['fk1', 'propagate only if row']]],
    ['none where there was a foreign key', none, fk1, [['fk1', 'delete and propagate']]],
    ['innerJoinShouldPropagateNothingWhenOldAndNewFKIsNull', none, none, []],
    ['innerJoinShouldPropagateDeletionOfPrimaryKey', null, fk1, [['fk1', 'delete and propagate']]],
    ['innerJoinShouldPropagateNothingWhenOldAndNewLeftValueIsNull', null, null, []],
  ])('%s', (_title, newValue = null, oldValue = null, sent) => {
    expect(send(false, newValue, oldValue)).toEqual(sent)
  })

  test('a foreign key that is no text is refused', () => {
    const stage = new Stage()
    const put = stage.place(new SubscriptionSend(() => 5 as never, { left: false, fingerprint }))
    expect(() => put('pk', { newValue: {}, oldValue: null }, 0)).toThrow('foreign key')
  })
})

describe('what comes back (Kafka: ResponseJoinProcessorSupplierTest)', () => {
  const respond = (left: boolean, current: string | null, of: string | null, row: string | null): unknown => {
    const stage = new Stage()
    const table = stage.store('left', setup => new InMemoryKeyValueStore<string>(setup))
    table.put('lhs1', current, 0)
    const join = (l: string, r: string | undefined): string => `(${l},${r ?? 'null'})`
    const put = stage.place(new ResponseJoin(storeView('left').make(), join, { left, fingerprint }))
    put('lhs1', { fingerprint: of === null ? null : fingerprint(of), row, primaryPartition: 0 }, 0)
    return stage.taken().map(({ key, value }) => [key, value])
  }

  test.each([
    ['shouldNotForwardWhenHashDoesNotMatch', false, 'lhsValue', 'oldLhsValue', 'rhsValue', []],
    ['shouldIgnoreUpdateWhenLeftHasBecomeNull', false, null, 'lhsValue', 'rhsValue', []],
    ['shouldForwardWhenHashMatches', false, 'lhsValue', 'lhsValue', 'rhsValue', [['lhs1', '(lhsValue,rhsValue)']]],
    ['shouldEmitTombstoneForInnerJoinWhenRightIsNull', false, 'lhsValue', 'lhsValue', null, [['lhs1', null]]],
    ['shouldEmitResultForLeftJoinWhenRightIsNull', true, 'lhsValue', 'lhsValue', null, [['lhs1', '(lhsValue,null)']]],
    ['shouldEmitTombstoneForLeftJoinWhenRightIsNullAndLeftIsNull', true, null, null, null, [['lhs1', null]]],
  ])('%s', (_title, left, current, of, row, comes) => {
    expect(respond(left, current, of, row)).toEqual(comes)
  })
})

/** A table of a topic: what TableSource does. */
class Table implements Operator {
  readonly #rows: InMemoryKeyValueStore
  readonly #changed: (change: unknown, key: string, context: RecordContext) => void
  constructor(rows: InMemoryKeyValueStore, changed: (change: unknown, key: string, context: RecordContext) => void) {
    this.#rows = rows
    this.#changed = changed
  }
  process(newValue: unknown, key: string, context: RecordContext): void {
    const oldValue = this.#rows.get(key)?.value ?? null
    this.#rows.put(key, newValue, context.timestamp)
    this.#changed({ oldValue, newValue }, key, context)
  }
}

/** The whole join, its two topics being queues that are worked off when `settle` is called. */
function whole(leftJoin: boolean) {
  const stage = new Stage()
  const lefts = stage.store('left', setup => new InMemoryKeyValueStore(setup))
  const rights = stage.store('right', setup => new InMemoryKeyValueStore(setup))
  stage.store('subscriptions', setup => new InMemoryKeyValueStore(setup))
  const queue: (() => void)[] = []
  /** As a topic does, it keeps what JSON keeps. */
  const through =
    (put: Put) =>
    (value: unknown, key: unknown, { timestamp, headers }: RecordContext): void => {
      const text = JSON.stringify(value)
      queue.push(() => put(key, JSON.parse(text), timestamp, headers))
    }
  const onward =
    (put: Put) =>
    (value: unknown, key: unknown, { timestamp, headers }: RecordContext): void =>
      put(key, value, timestamp, headers)

  const foreign = (value: string): string | null => value.split('|')[1] ?? null
  const join = (left: string, right: string | undefined): string => `(${left},${right ?? 'null'})`
  const options = { left: leftJoin, fingerprint: fingerprintOf }
  const resolve = stage.place(new ResponseJoin(storeView('left').make(), join, options))
  const answer = stage.place(new SubscriptionJoin(storeView('right').make()), through(resolve))
  const receive = stage.place(new SubscriptionReceive('subscriptions'), onward(answer))
  const tell = stage.place(new ForeignTableJoin('subscriptions'), through(resolve))
  const send = stage.place(new SubscriptionSend(foreign, options), through(receive))
  return {
    stage,
    left: stage.place(new Table(lefts, onward(send))),
    right: stage.place(new Table(rights, onward(tell))),
    settle: () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) next()
    },
  }
}

type Step = readonly ['left' | 'right', key: string, value: string | null, timestamp: number, ...comes: string[]]
function play(leftJoin: boolean, steps: readonly Step[]): void {
  const { stage, left, right, settle } = whole(leftJoin)
  for (const [side, key, value, timestamp, ...comes] of steps) {
    ;(side === 'left' ? left : right)(key, value, timestamp)
    settle()
    const came = stage.taken().map(({ key, value, timestamp }) => `${String(key)}=${String(value)}@${timestamp}`)
    expect([side, key, value, timestamp, ...came]).toEqual([side, key, value, timestamp, ...comes])
  }
}

describe.each([
  ['inner', false],
  ['left', true],
])('the %s join as a whole (Kafka: KTableKTableForeignKeyJoinIntegrationTest)', (_kind, leftJoin) => {
  /** Where a left join has a result of one side, an inner join has none, or a tombstone. */
  const half = (text: string): string[] => (leftJoin ? [text] : [])

  test('doJoinFromLeftThenDeleteLeftEntity', () => {
    play(leftJoin, [
      ['right', 'rhs1', 'rhsValue1', 0],
      ['right', 'rhs2', 'rhsValue2', 1],
      ['right', 'rhs3', 'rhsValue3', 2],
      ['left', 'lhs1', 'lhsValue1|rhs1', 3, 'lhs1=(lhsValue1|rhs1,rhsValue1)@3'],
      ['left', 'lhs2', 'lhsValue2|rhs2', 4, 'lhs2=(lhsValue2|rhs2,rhsValue2)@4'],
      ['left', 'lhs3', 'lhsValue3|rhs1', 5, 'lhs3=(lhsValue3|rhs1,rhsValue1)@5'],
      ['left', 'lhs1', null, 6, 'lhs1=null@6'],
    ])
  })

  test('doJoinFromRightThenDeleteRightEntity', () => {
    const gone = (text: string): string => (leftJoin ? text : 'null')
    play(leftJoin, [
      ['left', 'lhs1', 'lhsValue1|rhs1', 0, ...half('lhs1=(lhsValue1|rhs1,null)@0')],
      ['left', 'lhs2', 'lhsValue2|rhs2', 1, ...half('lhs2=(lhsValue2|rhs2,null)@1')],
      ['left', 'lhs3', 'lhsValue3|rhs1', 2, ...half('lhs3=(lhsValue3|rhs1,null)@2')],
      ['right', 'rhs1', 'rhsValue1', 3, 'lhs1=(lhsValue1|rhs1,rhsValue1)@3', 'lhs3=(lhsValue3|rhs1,rhsValue1)@3'],
      ['right', 'rhs2', 'rhsValue2', 4, 'lhs2=(lhsValue2|rhs2,rhsValue2)@4'],
      ['right', 'rhs3', 'rhsValue3', 5],
      ['right', 'rhs1', null, 6, `lhs1=${gone('(lhsValue1|rhs1,null)')}@6`, `lhs3=${gone('(lhsValue3|rhs1,null)')}@6`],
    ])
  })

  test('shouldEmitTombstoneWhenDeletingNonJoiningRecords, and none for what never was', () => {
    play(leftJoin, [
      ['left', 'lhs0', null, 0],
      ['left', 'lhs1', 'lhsValue1|rhs1', 0, ...half('lhs1=(lhsValue1|rhs1,null)@0')],
      ['left', 'lhs1', null, 1, 'lhs1=null@1'],
      ['left', 'lhs1', null, 2],
    ])
  })

  test('joinShouldProduceNullsWhenValueHasNonMatchingForeignKey', () => {
    const none = (text: string): string => (leftJoin ? text : 'null')
    play(leftJoin, [
      ['left', 'lhs1', 'lhsValue1|rhs1', 0, ...half('lhs1=(lhsValue1|rhs1,null)@0')],
      ['left', 'lhs1', 'lhsValue1|rhs2', 1, `lhs1=${none('(lhsValue1|rhs2,null)')}@1`],
      ['left', 'lhs1', 'lhsValue1|rhs3', 2, `lhs1=${none('(lhsValue1|rhs3,null)')}@2`],
      ['right', 'rhs1', 'rhsValue1', 3],
      ['left', 'lhs1', 'lhsValue1|rhs1', 4, 'lhs1=(lhsValue1|rhs1,rhsValue1)@4'],
      ['left', 'lhs1', 'lhsValue1|rhs2', 5, `lhs1=${none('(lhsValue1|rhs2,null)')}@5`],
    ])
  })

  test('of keys that begin alike, each hears of its own alone', () => {
    play(leftJoin, [
      ['left', 'l', 'x|a', 0, ...half('l=(x|a,null)@0')],
      ['left', 'la', 'x|', 0, ...half('la=(x|,null)@0')],
      ['left', 'b', 'x|al', 0, ...half('b=(x|al,null)@0')],
      ['right', 'a', 'r', 1, 'l=(x|a,r)@1'],
      ['right', '', 'r', 2, 'la=(x|,r)@2'],
      ['right', 'al', 'r', 3, 'b=(x|al,r)@3'],
    ])
  })

  test('has the later of both times where the left row changes, the right row’s where that does', () => {
    play(leftJoin, [
      ['right', 'r', 'one', 10],
      ['left', 'l', 'x|r', 3, 'l=(x|r,one)@10'],
      ['right', 'r', 'two', 1, 'l=(x|r,two)@1'],
    ])
  })

  test('answers to what the left row no longer is are dropped', () => {
    const { stage, left, right, settle } = whole(leftJoin)
    right('r1', 'one', 0)
    right('r2', 'two', 0)
    left('l', 'x|r1', 1)
    left('l', 'x|r2', 2)
    settle()
    expect(stage.taken().map(({ value }) => value)).toEqual(['(x|r2,two)'])
  })
})

test('a left row without a foreign key comes alone in a left join, and not in an inner one', () => {
  play(true, [['left', 'l', 'x', 0, 'l=(x,null)@0']])
  play(false, [['left', 'l', 'x', 0]])
})

test('a response’s row is written as the right table’s codec says, and the rest as it is', () => {
  const format = responseFormat({
    toLog: value => `<${String(value)}>`,
    fromLog: logged => String(logged).slice(1, -1),
  })
  const response = { fingerprint: 'f', row: 'x', primaryPartition: 1 }
  expect(format.toLog(response)).toEqual({ ...response, row: '<x>' })
  expect(format.fromLog(format.toLog(response))).toEqual(response)
  expect(format.toLog({ ...response, row: null })).toEqual({ ...response, row: null })
})

describe('a fingerprint', () => {
  test('is the same for what is the same after a way through JSON', () => {
    const row = { name: 'é😀', list: [1, { deep: true }], none: undefined, at: new Date(5) }
    expect(fingerprintOf(row)).toBe(fingerprintOf(JSON.parse(JSON.stringify(row))))
  })

  test('differs where the values differ', () => {
    const different = [0, 1, '1', '', 'a', null, true, [], [1], {}, { a: 1 }, { a: 2 }, { b: 1 }, 1n, 'é']
    expect(new Set(different.map(fingerprintOf)).size).toBe(different.length)
    const numbers = Array.from({ length: 20_000 }, (_, i) => fingerprintOf({ id: i, name: `row ${i % 7}` }))
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test('takes what JSON refuses', () => {
    expect(fingerprintOf(5n)).not.toBe(fingerprintOf(6n))
    expect(fingerprintOf(new Map([['a', 1]]))).not.toBe(fingerprintOf(new Map([['a', 2]])))
  })
})
