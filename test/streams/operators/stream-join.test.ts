import { describe, expect, test } from 'vitest'
import { StreamJoin, StreamJoinWindow } from '../../../src/streams/operators/stream-join.js'
import { InMemoryJoinWindowStore } from '../../../src/streams/stores/join-window-store.js'
import { OuterJoinStore } from '../../../src/streams/stores/outer-join-store.js'
import { type JoinWindows, joinRetention, joinWindows } from '../../../src/streams/windows.js'
import { type Put, Stage } from './stage.js'

type Kind = 'inner' | 'left' | 'outer'

/** Both sides of a join, as the DSL puts them together (KStreamImplJoin). */
function joined(kind: Kind, windows: JoinWindows): { stage: Stage; left: Put; right: Put } {
  const stage = new Stage()
  const retentionMs = joinRetention(windows)
  stage.store('left', setup => new InMemoryJoinWindowStore({ ...setup, retentionMs }))
  stage.store('right', setup => new InMemoryJoinWindowStore({ ...setup, retentionMs }))
  const outerStore = kind === 'inner' ? undefined : 'outer'
  if (kind !== 'inner') stage.store('outer', setup => new OuterJoinStore(setup))
  const join = (left: unknown, right: unknown): string => `${left ?? 'null'}+${right ?? 'null'}`
  const side = (name: 'left' | 'right', otherStore: string, outer: boolean): Put => {
    const operator = new StreamJoin({ side: name, windows, join, otherStore, outerStore, outer })
    const meet = stage.place(operator)
    return stage.place(new StreamJoinWindow(name), (value, key, { timestamp, headers }) =>
      meet(key, value, timestamp, headers),
    )
  }
  return { stage, left: side('left', 'right', kind !== 'inner'), right: side('right', 'left', kind === 'outer') }
}

type Step = readonly ['left' | 'right', key: string | null, value: string | null, timestamp: number, comes?: string]

/** Kafka's integer keys are texts here. What comes is written `value@timestamp`. */
function play(kind: Kind, windows: JoinWindows, steps: readonly Step[]): void {
  const { stage, left, right } = joined(kind, windows)
  for (const [side, key, value, timestamp, comes = ''] of steps) {
    ;(side === 'left' ? left : right)(key, value, timestamp)
    const came = stage.taken().map(({ value, timestamp }) => `${String(value)}@${timestamp}`)
    expect([side, key, value, timestamp, came.join(' ')]).toEqual([side, key, value, timestamp, comes])
  }
}

describe('an inner join', () => {
  test('takes both bounds in, on either side (Kafka: KStreamKStreamJoinTest.testWindowing)', () => {
    play('inner', joinWindows({ differenceMs: 100 }), [
      ['left', '0', 'A0', 1000],
      ['right', '0', 'a', 899],
      ['right', '0', 'b', 900, 'A0+b@1000'],
      ['right', '0', 'c', 1100, 'A0+c@1100'],
      ['right', '0', 'd', 1101],
      ['right', '1', 'e', 1000],
    ])
  })

  test('looks only ahead, or only back, where one side of the window is nothing (testAsymmetricWindowing...)', () => {
    play('inner', joinWindows({ beforeMs: 0, afterMs: 100 }), [
      ['left', '0', 'A0', 1000],
      ['right', '0', 'a', 999],
      ['right', '0', 'b', 1000, 'A0+b@1000'],
      ['right', '0', 'c', 1100, 'A0+c@1100'],
      ['left', '0', 'B0', 1000, 'B0+c@1100'], // b has gone: it is not later than 1100 - (0 + 100)
    ])
    play('inner', joinWindows({ beforeMs: 100, afterMs: 0 }), [
      ['left', '0', 'A0', 1000],
      ['right', '0', 'a', 900, 'A0+a@1000'],
      ['right', '0', 'b', 1001],
    ])
  })

  test('drops what has no key or no value, on both sides (StreamStreamJoinUtil.skipRecord)', () => {
    play('inner', joinWindows({ differenceMs: 100 }), [
      ['left', '0', 'A0', 0],
      ['right', '0', null, 0],
      ['right', null, 'a', 0],
      ['left', null, 'A1', 0],
      ['left', '0', null, 0],
      ['right', '0', 'a0', 0, 'A0+a0@0'],
    ])
  })

  test('takes what is late, as long as the other side is still kept (B11.6)', () => {
    play('inner', joinWindows({ differenceMs: 10, graceMs: 5 }), [
      ['right', '0', 'a', 100],
      ['right', '9', 'x', 124], // 100 is kept: 124 - (10 + 10 + 5) < 100
      ['left', '0', 'A', 90, 'A+a@100'],
      ['right', '9', 'y', 125],
      ['left', '0', 'B', 95],
    ])
  })

  test('a record without a value moves its store on: KStreamJoinWindow puts it', () => {
    play('inner', joinWindows({ differenceMs: 10 }), [
      ['right', '0', 'a', 100],
      ['right', '0', null, 120],
      ['left', '0', 'A', 100],
    ])
  })
})

describe('a left join', () => {
  test('testLeftJoinDuplicates', () => {
    play('left', joinWindows({ differenceMs: 100, graceMs: 10 }), [
      ['left', '0', 'A0', 0],
      ['left', '0', 'A0-0', 0],
      ['right', '1', 'a0', 111, 'A0+null@0 A0-0+null@0'],
      ['right', '2', 'dummy', 500],
      ['left', '2', 'A2', 1000],
      ['left', '2', 'A2-0', 1000],
      ['right', '2', 'a2', 1001, 'A2+a2@1001 A2-0+a2@1001'],
      ['right', '3', 'a3', 315],
    ])
  })

  test.each(['left', 'right'] as const)('testLeftExpiredNonJoinedRecordsAreEmittedByThe... %s Processor', side => {
    play('left', joinWindows({ differenceMs: 100 }), [
      ['left', '0', 'A0', 1],
      ['left', '1', 'A1', 2],
      ['left', '0', 'A0-0', 3],
      ['right', '1', 'a1', 3, 'A1+a1@3'],
      [side, '2', 'dummy', 401, 'A0+null@1 A0-0+null@3'],
      [side === 'left' ? 'right' : 'left', '2', 'dummy', 401, 'dummy+dummy@401'],
    ])
  })

  test('testLeftJoinedRecordsWithZeroAfterAreEmitted', () => {
    const each = (value: string, timestamp: number, ...comes: string[]): Step[] =>
      ['0', '1', '2', '3'].map((key, i) => ['right', key, value + key, timestamp, comes[i] ?? ''])
    play('left', joinWindows({ beforeMs: 100, afterMs: 0 }), [
      ['left', '0', 'A0', 1000],
      ['left', '1', 'A1', 1001, 'A0+null@1000'],
      ['left', '2', 'A2', 1002, 'A1+null@1001'],
      ['left', '3', 'A3', 1003, 'A2+null@1002'],
      ...each('a', 999, 'A0+a0@1000', 'A1+a1@1001', 'A2+a2@1002', 'A3+a3@1003'),
      ...each('b', 1000, 'A0+b0@1000', 'A1+b1@1001', 'A2+b2@1002', 'A3+b3@1003'),
      ...each('c', 1001, '', 'A1+c1@1001', 'A2+c2@1002', 'A3+c3@1003'),
      ...each('d', 1002, '', '', 'A2+d2@1002', 'A3+d3@1003'),
      ...each('e', 1003, '', '', '', 'A3+e3@1003'),
      ...each('f', 1100),
    ])
  })

  test('testOrdering: first what waited, then what has met', () => {
    play('left', joinWindows({ differenceMs: 100 }), [
      ['left', '0', 'A0', 0],
      ['left', '1', 'A1', 100],
      ['right', '1', 'a1', 110, 'A0+null@0 A1+a1@110'],
    ])
  })

  test('testGracePeriod', () => {
    play('left', joinWindows({ differenceMs: 100, graceMs: 10 }), [
      ['left', '0', 'A0', 0],
      ['left', '1', 'A1', 0],
      ['right', '0', 'a0', 101],
      ['right', '1', 'a1', 101],
      ['right', '0', 'dummy', 1201, 'A0+null@0 A1+null@0'],
    ])
  })

  test('shouldNotEmitLeftJoinResultForAsymmetricWindow', () => {
    play('left', joinWindows({ beforeMs: 0, afterMs: 100 }), [
      ['left', '0', 'A0', 0],
      ['left', '1', 'A1', 1],
      ['right', '0', 'a0', 100, 'A0+a0@100'],
      ['right', '1', 'a1', 102, 'A1+null@1'],
    ])
  })

  test('a late record without a partner comes at once, within the grace too: it may meet one later', () => {
    play('left', joinWindows({ differenceMs: 10, graceMs: 50 }), [
      ['right', '9', 'x', 100],
      ['left', '0', 'A', 89, 'A+null@89'], // 89 + 10 < 100
      ['right', '0', 'a', 95, 'A+a@95'],
      ['left', '1', 'B', 90],
    ])
  })

  test('a record without a key comes alone at once, and moves time on (KIP-962)', () => {
    play('left', joinWindows({ differenceMs: 10 }), [
      ['left', '0', 'A', 0],
      ['left', null, 'B', 50, 'B+null@50'],
      ['right', null, 'b', 60],
      ['left', '1', 'C', 60, 'A+null@0'],
      ['left', null, null, 60],
    ])
  })

  test('one that waits behind the last that was looked at waits for that one’s time, as in Kafka', () => {
    // emitNonJoinedOuterRecords leaves minTime at the last record of its iteration (16), although 12 is open too:
    // 12 + 5 < 18, but 16 + 5 >= 18, so it is not looked at before 22.
    play('left', joinWindows({ differenceMs: 5 }), [
      ['left', '0', 'A', 10],
      ['left', '1', 'B', 12],
      ['left', '2', 'C', 15],
      ['left', '3', 'D', 16, 'A+null@10'],
      ['left', '4', 'E', 18],
      ['left', '5', 'F', 20],
      ['left', '6', 'G', 22, 'B+null@12 C+null@15 D+null@16'],
    ])
  })
})

describe('an outer join', () => {
  test('testOuterJoinDuplicates', () => {
    play('outer', joinWindows({ differenceMs: 100, graceMs: 10 }), [
      ['left', '0', 'A0', 0],
      ['left', '0', 'A0-0', 0],
      ['right', '1', '11', 0],
      ['right', '1', '12', 0],
      ['right', '1', '10', 111, 'null+11@0 null+12@0 A0+null@0 A0-0+null@0'],
      ['right', '3', '100', 211],
      ['left', '2', 'A2', 200],
      ['left', '2', 'A2-0', 200],
      ['right', '2', '13', 201, 'A2+13@201 A2-0+13@201'],
      ['right', '2', '14', 201, 'A2+14@201 A2-0+14@201'],
      ['right', '3', '100', 1500, 'null+10@111 null+100@211'],
    ])
  })

  test('testOrdering', () => {
    play('outer', joinWindows({ differenceMs: 100 }), [
      ['left', '0', 'A0', 0],
      ['left', '1', 'A1', 100],
      ['right', '1', '11', 110, 'A0+null@0 A1+11@110'],
    ])
  })

  test('testGracePeriod', () => {
    play('outer', joinWindows({ differenceMs: 100, graceMs: 10 }), [
      ['left', '0', 'A0', 0],
      ['right', '1', '11', 0],
      ['left', '1', 'A1', 101],
      ['right', '0', '10', 101],
      ['right', '0', '100', 112, 'null+11@0 A0+null@0'],
    ])
  })

  test('testEmitAllNonJoinedResultsForAsymmetricWindow', () => {
    play('outer', joinWindows({ beforeMs: 5, afterMs: 20 }), [
      ['left', '0', 'A0', 29],
      ['left', '1', 'A1', 30],
      ['right', '2', '12', 31],
      ['right', '3', '13', 36],
      ['right', '4', '14', 37, 'null+12@31'],
      ['right', '5', '15', 50, 'A0+null@29 null+13@36 null+14@37'],
    ])
  })

  test('testShouldNotEmitLeftJoinResultForAsymmetricBeforeWindow', () => {
    play('outer', joinWindows({ beforeMs: 0, afterMs: 100 }), [
      ['left', '0', 'A0', 0],
      ['left', '1', 'A1', 1],
      ['right', '0', '10', 100, 'A0+10@100'],
      ['right', '1', '11', 102, 'A1+null@1'],
      ['right', '2', '12', 103, 'null+11@102'],
      ['left', '2', 'A2', 103, 'A2+12@103'],
    ])
  })

  test('testShouldNotEmitLeftJoinResultForAsymmetricAfterWindow', () => {
    play('outer', joinWindows({ beforeMs: 100, afterMs: 0 }), [
      ['left', '0', 'A0', 0],
      ['left', '1', 'A1', 1, 'A0+null@0'],
      ['right', '1', '11', 1, 'A1+11@1'],
      ['right', '2', '12', 101],
      ['right', '3', '13', 101],
      ['left', '2', 'A2', 201, 'A2+12@201'],
    ])
  })

  test.each([
    ['one value', [], '', 'B+null@12 null+x@13 C+null@15'],
    ['two values', [['right', '2', 'x2', 13]], 'B+null@12 null+x@13 null+x2@13', ''],
  ] as const)(
    'it stops looking where both sides wait: after the next one, or within one of %s',
    (_title, more, at19, at21) => {
      // Kafka 4.1.0's own answer: the last that is looked at is C@15, or the second value @13
      play('outer', joinWindows({ differenceMs: 5 }), [
        ['left', '0', 'A', 10],
        ['left', '1', 'B', 12],
        ['right', '2', 'x', 13],
        ...more,
        ['left', '3', 'C', 15],
        ['left', '4', 'D', 16, 'A+null@10'],
        ['left', '5', 'E', 19, at19],
        ['left', '6', 'F', 21, at21],
      ])
    },
  )

  test('testShouldForwardCurrentHeaders: what waited has those of the record that ends its waiting', () => {
    const { stage, left, right } = joined('outer', joinWindows({ differenceMs: 100, graceMs: 10 }))
    left('0', 'A0', 0, [['h', '1']])
    right('1', '10', 0, [['h', '2']])
    right('3', '100', 211, [['h', '3']])
    const third = [['h', '3']]
    expect(stage.taken()).toEqual([
      { key: '1', value: 'null+10', timestamp: 0, headers: third },
      { key: '0', value: 'A0+null', timestamp: 0, headers: third },
    ])
    left('2', 'A2', 200, [['h', '4']])
    right('2', '12', 200, [['h', '5']])
    expect(stage.taken()).toEqual([{ key: '2', value: 'A2+12', timestamp: 200, headers: [['h', '5']] }])
  })

  test('leaves no trace of a record that is undone', () => {
    const { stage, left, right } = joined('outer', joinWindows({ differenceMs: 10 }))
    left('0', 'A', 0)
    stage.undo.commit()
    right('1', 'x', 100)
    expect(stage.taken().map(({ value }) => value)).toEqual(['A+null'])
    stage.undo.rollback()
    right('0', 'a', 10)
    expect(stage.taken().map(({ value }) => value)).toEqual(['A+a'])
  })
})
