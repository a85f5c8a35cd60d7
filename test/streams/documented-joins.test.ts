import { joinWindows, type KStream, type KTable, StreamsBuilder, TopologyTestDriver } from 'millrace/streams'
import { describe, expect, test } from 'vitest'

// The tables of the developer guide that say what joins do, row by row: "Semantics of stream-stream joins", "of
// table-table joins", "of table-table foreign-key joins", "of stream-table joins".

/** A cell of an input that has none. */
const none = Symbol('no record')
type Cell = string | null | typeof none
type Row = readonly [timestamp: number, left: Cell, right: Cell, ...results: string[]]

/** A cell of results: those that a row of input gave, in their order; a tombstone is `null`. */
const cell = (results: readonly unknown[]): string => results.map(String).join(', ')
const pair = (left: unknown, right: unknown): string => `[${left ?? null}, ${right ?? null}]`

/** Feeds the rows, and expects in the column after `left` and `right` what `join` made of each. */
function expectColumn(
  rows: readonly Row[],
  column: number,
  join: (builder: StreamsBuilder) => KStream<any> | KTable<any>,
): void {
  const builder = new StreamsBuilder()
  const joined = join(builder)
  const stream = 'toStream' in joined ? joined.toStream() : joined
  stream.to('joined')
  const driver = new TopologyTestDriver(builder.build())
  const found = rows.map(([timestamp, left, right]): [number, string] => {
    if (right !== none) driver.pipe('right', { key: 'k', value: right, timestamp })
    if (left !== none) driver.pipe('left', { key: 'k', value: left, timestamp })
    return [timestamp, cell(driver.read('joined').map(({ value }) => value))]
  })
  expect(found).toEqual(rows.map(row => [row[0], row[3 + column]]))
}

describe('streams within a window of 15 seconds, with a grace of 5', () => {
  // The guide's last rows are at 60, 80 and 100 and each gives the unmatched record of twenty seconds before. A window
  // closes when the stream time is beyond its end and grace (KStreamKStreamJoin.emitNonJoinedOuterRecords: nothing comes
  // while `windowEnd + grace >= streamTime`), so that these rows are one second later here.
  const rows: Row[] = [
    [1, null, none, '', '', ''],
    [2, none, null, '', '', ''],
    [3, 'A', none, '', '', ''],
    [4, none, 'a', '[A, a]', '[A, a]', '[A, a]'],
    [5, 'B', none, '[B, a]', '[B, a]', '[B, a]'],
    [6, none, 'b', '[A, b], [B, b]', '[A, b], [B, b]', '[A, b], [B, b]'],
    [7, null, none, '', '', ''],
    [8, none, null, '', '', ''],
    [9, 'C', none, '[C, a], [C, b]', '[C, a], [C, b]', '[C, a], [C, b]'],
    [10, none, 'c', '[A, c], [B, c], [C, c]', '[A, c], [B, c], [C, c]', '[A, c], [B, c], [C, c]'],
    [11, none, null, '', '', ''],
    [12, null, none, '', '', ''],
    [13, none, null, '', '', ''],
    [14, none, 'd', '[A, d], [B, d], [C, d]', '[A, d], [B, d], [C, d]', '[A, d], [B, d], [C, d]'],
    [15, 'D', none, ...Array<string>(3).fill('[D, a], [D, b], [D, c], [D, d]')],
    [40, 'E', none, '', '', ''],
    [61, 'F', none, '', '[E, null]', '[E, null]'],
    [82, none, 'f', '', '[F, null]', '[F, null]'],
    [103, 'G', none, '', '', '[null, f]'],
  ]
  const seconds = rows.map(([timestamp, ...rest]): Row => [timestamp * 1_000, ...rest])
  const windows = joinWindows({ differenceMs: 15_000, graceMs: 5_000 })

  test('inner', () => {
    expectColumn(seconds, 0, builder => builder.stream('left').join(builder.stream('right'), pair, windows))
  })
  test('left', () => {
    expectColumn(seconds, 1, builder => builder.stream('left').leftJoin(builder.stream('right'), pair, windows))
  })
  test('outer', () => {
    expectColumn(seconds, 2, builder => builder.stream('left').outerJoin(builder.stream('right'), pair, windows))
  })
})

describe('tables', () => {
  const rows: Row[] = [
    [1, null, none, '', '', ''],
    [2, none, null, '', '', ''],
    [3, 'A', none, '', '[A, null]', '[A, null]'],
    [4, none, 'a', '[A, a]', '[A, a]', '[A, a]'],
    [5, 'B', none, '[B, a]', '[B, a]', '[B, a]'],
    [6, none, 'b', '[B, b]', '[B, b]', '[B, b]'],
    [7, null, none, 'null', 'null', '[null, b]'],
    [8, none, null, '', '', 'null'],
    [9, 'C', none, '', '[C, null]', '[C, null]'],
    [10, none, 'c', '[C, c]', '[C, c]', '[C, c]'],
    [11, none, null, 'null', '[C, null]', '[C, null]'],
    [12, null, none, '', 'null', 'null'],
    [13, none, null, '', '', ''],
    [14, none, 'd', '', '', '[null, d]'],
    [15, 'D', none, '[D, d]', '[D, d]', '[D, d]'],
  ]

  test('inner', () => {
    expectColumn(rows, 0, builder => builder.table('left').join(builder.table('right'), pair))
  })
  test('left', () => {
    expectColumn(rows, 1, builder => builder.table('left').leftJoin(builder.table('right'), pair))
  })
  test('outer', () => {
    expectColumn(rows, 2, builder => builder.table('left').outerJoin(builder.table('right'), pair))
  })
})

describe('a stream with a table', () => {
  const rows: Row[] = [
    [1, null, none, '', ''],
    [2, none, null, '', ''],
    [3, 'A', none, '', '[A, null]'],
    [4, none, 'a', '', ''],
    [5, 'B', none, '[B, a]', '[B, a]'],
    [6, none, 'b', '', ''],
    [7, null, none, '', ''],
    [8, none, null, '', ''],
    [9, 'C', none, '', '[C, null]'],
    [10, none, 'c', '', ''],
    [11, none, null, '', ''],
    [12, null, none, '', ''],
    [13, none, null, '', ''],
    [14, none, 'd', '', ''],
    [15, 'D', none, '[D, d]', '[D, d]'],
  ]

  test('inner', () => {
    expectColumn(rows, 0, builder => builder.stream('left').join(builder.table('right'), pair))
  })
  test('left', () => {
    expectColumn(rows, 1, builder => builder.stream('left').leftJoin(builder.table('right'), pair))
  })
  test('a global table, by a key made of the record', () => {
    expectColumn(rows, 1, builder =>
      builder.stream('left').leftJoin(builder.globalTable('right'), pair, value => (value === null ? null : 'k')),
    )
  })
})

describe('tables by a foreign key', () => {
  // The guide's rows by offset; the foreign key is the left value. Its `(k,null)` is a tombstone in both columns; where
  // a left join's row is deleted the guide has `(k,null,null)`, which Kafka writes as a tombstone too
  // (ResponseJoinProcessorSupplier: no result without a left value).
  const rows: readonly (readonly [
    left: readonly [string, string | null] | undefined,
    right: readonly [string, string] | undefined,
    inner: string,
    left: string,
  ])[] = [
    [['k', '1'], ['1', 'foo'], 'k=(1,foo)', 'k=(1,foo)'],
    [['k', '2'], undefined, 'k=null', 'k=(2,null)'],
    [['k', '3'], undefined, 'k=null', 'k=(3,null)'],
    [undefined, ['3', 'bar'], 'k=(3,bar)', 'k=(3,bar)'],
    [['k', null], undefined, 'k=null', 'k=null'],
    [['k', '1'], undefined, 'k=(1,foo)', 'k=(1,foo)'],
    [['q', '10'], undefined, '', 'q=(10,null)'],
    [['r', '10'], undefined, '', 'r=(10,null)'],
    [undefined, ['10', 'baz'], 'q=(10,baz), r=(10,baz)', 'q=(10,baz), r=(10,baz)'],
  ]
  const join = (left: string, right: string | undefined): string => `(${left},${right ?? null})`
  const foreignKey = (value: string): string => value

  test.each(['inner', 'left'] as const)('%s', kind => {
    const builder = new StreamsBuilder<Record<string, string>>()
    const [left, right] = [builder.table('left'), builder.table('right')]
    const joined = kind === 'inner' ? left.join(right, join, foreignKey) : left.leftJoin(right, join, foreignKey)
    joined.toStream().to('joined' as never)
    const driver = new TopologyTestDriver<Record<string, any>>(builder.build())
    const found = rows.map(([one, other]) => {
      if (other) driver.pipe('right', { key: other[0], value: other[1] })
      if (one) driver.pipe('left', { key: one[0], value: one[1] })
      return driver
        .read('joined')
        .map(({ key, value }) => `${key}=${value}`)
        .join(', ')
    })
    expect(found).toEqual(rows.map(row => row[kind === 'inner' ? 2 : 3]))
  })
})
