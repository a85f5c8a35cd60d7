import { describe, expect, test } from 'vitest'
import { InMemoryJoinWindowStore } from '../../../src/streams/stores/join-window-store.js'
import { InMemorySessionStore } from '../../../src/streams/stores/session-store.js'
import { InMemoryWindowStore } from '../../../src/streams/stores/window-store.js'
import { Changelog } from './changelog.js'

const minute = 60_000

describe('a window store (Kafka: AbstractWindowBytesStoreTest, InMemoryWindowStoreTest)', () => {
  const retention = 2 * minute
  const start = minute - 4
  const make = (changelog = new Changelog(), retentionMs = retention): InMemoryWindowStore<string> =>
    new InMemoryWindowStore({ ...changelog.setup(), retentionMs })
  const all = (store: InMemoryWindowStore<string>): unknown[] =>
    store.fetchAll(0, Infinity).map(row => `${row.key}=${row.value}@${row.start}`)

  test('testRangeAndSinglePointFetch', () => {
    const size = 3
    const store = make()
    for (const [key, value, at] of [
      ['0', 'zero', 0],
      ['1', 'one', 1],
      ['2', 'two', 2],
      ['3', 'three', 2],
      ['4', 'four', 4],
      ['5', 'five', 5],
      ['2', 'two+1', 3],
      ['2', 'two+2', 4],
      ['2', 'two+3', 5],
      ['2', 'two+4', 6],
      ['2', 'two+5', 7],
      ['2', 'two+6', 8],
    ] as const)
      store.put(key, value, start + at, start + at)
    const around = (at: number): string[] =>
      store.fetch('2', start + at - size, start + at + size).map(({ value }) => value)
    expect(store.get('2', start + 3)).toEqual({ value: 'two+1', timestamp: start + 3 })
    expect(around(-2)).toEqual([])
    expect(around(-1)).toEqual(['two'])
    expect(around(0)).toEqual(['two', 'two+1'])
    expect(around(5)).toEqual(['two', 'two+1', 'two+2', 'two+3', 'two+4', 'two+5', 'two+6'])
    expect(around(6)).toEqual(['two+1', 'two+2', 'two+3', 'two+4', 'two+5', 'two+6'])
    expect(around(11)).toEqual(['two+6'])
    expect(around(12)).toEqual([])
  })

  test('shouldGetAllNonDeletedRecords, shouldGetAllReturnTimestampOrderedRecords', () => {
    const store = make()
    for (const i of [4, 0, 2, 3, 1]) store.put(`${i}`, 'x', start + i, 0)
    expect(all(store)).toEqual([0, 1, 2, 3, 4].map(i => `${i}=x@${start + i}`))
    store.put('1', null, start + 1, 0)
    store.put('3', null, start + 3, 0)
    expect(all(store)).toEqual([0, 2, 4].map(i => `${i}=x@${start + i}`))
  })

  test('testExpiration; what was fetched before does not change', () => {
    const store = make()
    const quarter = retention / 4
    const values = ['one', 'two', 'three', 'four', 'five', 'six']
    const put = (i: number): void => store.put('1', values[i]!, i * quarter, i * quarter)
    for (const i of [0, 1, 2, 3, 4]) put(i)
    const before = store.fetchAll(0, 4 * quarter)
    put(5)
    expect(before.map(({ value }) => value)).toEqual(['two', 'three', 'four', 'five'])
    expect(store.fetchAll(0, 5 * quarter).map(({ value }) => value)).toEqual(['three', 'four', 'five', 'six'])
  })

  test('shouldRestore: by what its changelog says, which people can read', () => {
    const changelog = new Changelog()
    const store = make(changelog)
    store.put('1', 'one', 0, 7)
    store.put('a@b', 'two', 30_000, 30_007)
    expect(changelog.changes).toEqual([
      ['1@0', 'one', 7],
      ['a@b@30000', 'two', 30_007],
    ])
    changelog.commit()
    const restored = changelog.restore(make(changelog), store.times)
    expect(restored.fetchAll(0, minute)).toEqual([
      { key: '1', start: 0, value: 'one', timestamp: 7 },
      { key: 'a@b', start: 30_000, value: 'two', timestamp: 30_007 },
    ])
  })

  test('what it drops is a tombstone in its changelog, and nothing else is', () => {
    const changelog = new Changelog()
    const store = make(changelog, 10)
    store.put('a', 'x', 0, 3)
    store.put('b', 'x', 5, 5)
    changelog.commit()
    store.put('a', 'y', 10, 10)
    store.put('a', 'too late', 0, 0)
    store.put('nobody', null, 9, 9)
    expect(changelog.changes).toEqual([
      ['a@0', null, 3],
      ['a@10', 'y', 10],
    ])
  })

  test('by its own time: a task that moves takes it along, though no row tells of it', () => {
    const changelog = new Changelog()
    const store = make(changelog, 10)
    store.put('a', 'x', 100, 100)
    store.put('a', null, 100, 100)
    store.put('a', 'x', 95, 95)
    changelog.commit()
    const restored = changelog.restore(make(changelog, 10), store.times)
    restored.put('b', 'late', 90, 90)
    expect(all(restored)).toEqual(['a=x@95'])
  })
})

describe('a session store (Kafka: AbstractSessionBytesStoreTest)', () => {
  const make = (retentionMs = 10_000): InMemorySessionStore<number> =>
    new InMemorySessionStore({ ...new Changelog().setup(), retentionMs })

  test('shouldPutAndFindSessionsInRange', () => {
    const store = make()
    store.put('a', 10, 10, 1)
    store.put('a', 500, 1000, 2)
    store.put('a', 1500, 2000, 1)
    store.put('a', 2500, 3000, 2)
    const [a1, a2] = [
      { key: 'a', start: 10, end: 10, value: 1 },
      { key: 'a', start: 500, end: 1000, value: 2 },
    ]
    expect(store.findSessions('a', 0, 1000)).toEqual([a1, a2])
    expect(store.findSessions('a', 400, 600)).toEqual([a2])
  })

  test('shouldFetchAllSessionsWithSameRecordKey', () => {
    const store = make()
    for (const [i, at] of [0, 10, 100, 1000].entries()) store.put('a', at, at, i + 1)
    store.put('aa', 0, 0, 5)
    expect(store.findSessions('a', 0, Infinity).map(({ value }) => value)).toEqual([1, 2, 3, 4])
  })

  test.each([
    ['point', 0, 0, ['a']],
    ['boundary', 0, 20, ['a', 'b']],
    ['left boundary', 0, 19, ['a']],
    ['right boundary', 1, 20, ['b']],
    ['partial off by 1', 19, 41, ['b', 'c']],
    ['all boundary', 0, 40, ['a', 'b', 'c']],
  ])('shouldFindSessionsForTimeRange: %s', (_title, from, to, found) => {
    const store = make()
    store.put('a', 0, 0, 5)
    store.put('b', 10, 20, 10)
    store.put('c', 30, 40, 20)
    expect(store.findSessionsByEnd(from, to).map(({ key }) => key)).toEqual(found)
  })

  test('of sessions that end at once, the later start comes first (InMemorySessionStoreIterator)', () => {
    const store = make()
    store.put('a', 3, 9, 1)
    store.put('a', 9, 9, 2)
    store.put('a', 0, 9, 3)
    expect(store.findSessions('a', 0, 10).map(({ start }) => start)).toEqual([9, 3, 0])
    expect(store.findSessions('a', 0, 5).map(({ start }) => start)).toEqual([3, 0])
  })

  test('keeps what ended within its retention; to remove what is old moves no time on', () => {
    const store = make(10)
    store.put('a', 0, 5, 1)
    store.remove('b', 50, 50)
    expect(store.get('a', 0, 5)).toBe(1)
    store.put('b', 50, 50, null)
    expect(store.get('a', 0, 5)).toBeUndefined()
  })
})

test('a store of a join keeps all that came, in order, beyond a move', () => {
  const changelog = new Changelog()
  const make = (): InMemoryJoinWindowStore<string> =>
    new InMemoryJoinWindowStore({ ...changelog.setup(), retentionMs: 100 })
  const store = make()
  store.put('a', 'first', 10)
  store.put('a', 'second', 10)
  changelog.commit()
  const restored = changelog.restore(make(), store.times)
  restored.put('a', 'third', 10)
  changelog.commit()
  expect(restored.fetch('a', 0, 20).map(({ value }) => value)).toEqual(['first', 'second', 'third'])
  expect([...changelog.rows.keys()]).toEqual(['a@10/1', 'a@10/2', 'a@10/3'])
})
