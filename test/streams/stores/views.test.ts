import { describe, expect, test } from 'vitest'
import { InMemoryKeyValueStore } from '../../../src/streams/stores/key-value-store.js'
import { InMemorySessionStore } from '../../../src/streams/stores/session-store.js'
import {
  readableSessions,
  readableWindowedKeyValues,
  readableWindows,
  writableKeyValues,
  writableSessions,
  writableWindows,
} from '../../../src/streams/stores/views.js'
import { InMemoryWindowStore } from '../../../src/streams/stores/window-store.js'
import { WindowedKeyValueStore } from '../../../src/streams/stores/windowed-key-value-store.js'
import { Changelog } from './changelog.js'

const setup = (retentionMs = 1_000) => ({ ...new Changelog().setup(), retentionMs })
const writer = { timestamp: 7, result: (value: unknown) => value ?? null }

describe('key-value stores as users see them', () => {
  test('read and write values; what is put has the time of the record at work', () => {
    const rows = new InMemoryKeyValueStore<number>(setup())
    const store = writableKeyValues(rows, writer)
    store.put('a', 1)
    store.put('b', 2)
    store.put('b', null)
    expect([store.get('a'), store.get('b'), store.size]).toEqual([1, undefined, 1])
    expect(rows.get('a')).toEqual({ value: 1, timestamp: 7 })
    expect(store.delete('a')).toBe(1)
    expect(store.size).toBe(0)
  })

  test.each([
    [{}, ['a', 'b', 'ba', 'bb', 'c']],
    [{ from: 'b', to: 'bb' }, ['b', 'ba', 'bb']],
    [{ from: 'bb' }, ['bb', 'c']],
    [{ to: 'b' }, ['a', 'b']],
    [{ from: 'c', to: 'a' }, []],
    [{ prefix: 'b' }, ['b', 'ba', 'bb']],
    [{ prefix: 'b', from: 'ba', reverse: true }, ['bb', 'ba']],
    [{ prefix: 'b', to: 'ba' }, ['b', 'ba']],
    [{ reverse: true }, ['c', 'bb', 'ba', 'b', 'a']],
    [{ prefix: '' }, ['a', 'b', 'ba', 'bb', 'c']],
  ])('are read by ranges: %j', (options, keys) => {
    const store = writableKeyValues(new InMemoryKeyValueStore<number>(setup()), writer)
    for (const key of ['c', 'bb', 'a', 'ba', 'b']) store.put(key, 1)
    expect(Array.from(store.range(options), ([key]) => key)).toEqual(keys)
  })
})

test('window stores as users see them', () => {
  const store = writableWindows(new InMemoryWindowStore<number>(setup()), 10, writer)
  store.put('b', 1, 0)
  store.put('a', 2, 10)
  store.put('a', 3, 0)
  expect([store.get('a', 0), store.get('a', 5)]).toEqual([3, undefined])
  expect([...store.range()]).toEqual([
    [{ key: 'a', start: 0, end: 10 }, 3],
    [{ key: 'b', start: 0, end: 10 }, 1],
    [{ key: 'a', start: 10, end: 20 }, 2],
  ])
  expect(Array.from(store.range({ key: 'a', from: 5 }), ([, value]) => value)).toEqual([2])
  expect(Array.from(store.range({ to: 9 }), ([, value]) => value)).toEqual([3, 1])
})

test('session stores as users see them: those that overlap a range, by start, then by key', () => {
  const store = writableSessions(new InMemorySessionStore<number>(setup()), writer)
  store.put({ key: 'b', start: 0, end: 100 }, 1)
  store.put({ key: 'a', start: 20, end: 30 }, 2)
  store.put({ key: 'a', start: 0, end: 10 }, 3)
  store.put({ key: 'c', start: 5, end: 5 }, 4)
  store.put({ key: 'c', start: 5, end: 5 }, null)
  expect(Array.from(store.range(), ([, value]) => value)).toEqual([3, 1, 2])
  expect(Array.from(store.range({ from: 11, to: 19 }), ([, value]) => value)).toEqual([1])
  expect(Array.from(store.range({ key: 'a', from: 10, to: 20 }), ([, value]) => value)).toEqual([3, 2])
  expect([store.get('a', 20), store.get('a', 21)]).toEqual([2, undefined])
})

test('tables made of windowed ones are read as windows', () => {
  const rows = new WindowedKeyValueStore<number>(setup())
  rows.put({ key: 'a', start: 10, end: 20 }, 1, 0)
  rows.put({ key: 'b', start: 0, end: 10 }, 2, 0)
  rows.put({ key: 'a', start: 0, end: 10 }, 3, 0)
  const store = readableWindowedKeyValues(rows)
  expect(Array.from(store.range(), ([, value]) => value)).toEqual([3, 2, 1])
  expect([...store.range({ key: 'a', from: 5 })]).toEqual([[{ key: 'a', start: 10, end: 20 }, 1]])
  expect(store.get('a', 10)).toBe(1)
})

describe('bad input is told, and changes nothing', () => {
  const keyValues = writableKeyValues(new InMemoryKeyValueStore<number>(setup()), writer)
  const windows = writableWindows(new InMemoryWindowStore<number>(setup()), 10, writer)
  const sessions = writableSessions(new InMemorySessionStore<number>(setup()), writer)
  const noKey = 5 as unknown as string

  test.each([
    ['5', () => keyValues.put(noKey, 1)],
    ['5', () => keyValues.get(noKey)],
    ['5', () => keyValues.delete(noKey)],
    ['5', () => windows.put(noKey, 1, 0)],
    ['5', () => windows.range({ key: noKey })],
    ['-1', () => windows.put('a', 1, -1)],
    ['0.5', () => windows.put('a', 1, 0.5)],
    ['-1', () => sessions.put({ key: 'a', start: -1, end: 0 }, 1)],
    ['4', () => sessions.put({ key: 'a', start: 5, end: 4 }, 1)],
    ['undefined', () => sessions.put({ key: 'a', start: 5 } as never, 1)],
    ['5', () => sessions.get(noKey, 0)],
    ['5', () => keyValues.range({ from: noKey })],
    ['5', () => keyValues.range({ prefix: noKey })],
    ['NaN', () => windows.range({ from: Number.NaN })],
    ['later', () => sessions.range({ to: 'later' as never })],
  ])('%s', (shown, call) => {
    expect(call).toThrow(TypeError)
    expect(call).toThrow(shown)
    expect([[...keyValues.range()], [...windows.range()], [...sessions.range()]]).toEqual([[], [], []])
  })
})

test('what is misspelt in a range would be left out of it, and give all', () => {
  const store = writableKeyValues(new InMemoryKeyValueStore<number>(setup()), writer)
  const windows = readableWindows(new InMemoryWindowStore<number>(setup()), 10)
  const sessions = readableSessions(new InMemorySessionStore<number>(setup()))
  const invalid = (option: string, known: string) => ({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining(known),
    details: { option },
  })
  const thrown = (call: () => unknown): unknown => {
    try {
      return call()
    } catch (error) {
      return error
    }
  }
  expect(thrown(() => store.range({ form: 'a' } as never))).toMatchObject(invalid('form', 'from, to, prefix, reverse'))
  expect(thrown(() => store.range(null as never))).toMatchObject(invalid('range options', 'an object'))
  for (const { range } of [windows, sessions])
    expect(thrown(() => range({ kye: 'a' } as never))).toMatchObject(invalid('kye', 'key, from, to'))
})

test('what is only read can not be written', () => {
  expect(Object.keys(readableWindows(new InMemoryWindowStore(setup()), 1))).toEqual(['get', 'range'])
  expect(Object.keys(readableSessions(new InMemorySessionStore(setup())))).toEqual(['get', 'range'])
})
