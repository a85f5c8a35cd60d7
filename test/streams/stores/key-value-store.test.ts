import { describe, expect, test } from 'vitest'
import { compareKeys, sortKeys } from '../../../src/streams/stores/key-order.js'
import { InMemoryKeyValueStore } from '../../../src/streams/stores/key-value-store.js'
import { SortedKeys } from '../../../src/streams/stores/sorted-keys.js'
import { parseWindowedKey, windowedKeyText } from '../../../src/streams/stores/windowed-key.js'
import { WindowedKeyValueStore } from '../../../src/streams/stores/windowed-key-value-store.js'
import { Random } from '../generator/random.js'
import { Changelog } from './changelog.js'

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

describe('the order of keys is that of their UTF-8 bytes', () => {
  const random = new Random(1)
  const units = ['a', 'b', '\0', '\x7f', '\x80', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10000}']
  const some = (): string => Array.from({ length: random.within(0, 4) }, () => random.one(units)).join('')
  const keys = Array.from({ length: 2_000 }, some)

  test('as Node compares them', () => {
    for (const [i, key] of keys.entries()) {
      const other = keys[(i + 1) % keys.length]!
      expect([key, other, Math.sign(compareKeys(key, other))]).toEqual([key, other, byBytes(key, other)])
    }
  })

  test('sorted, and kept sorted through what is put in and taken out', () => {
    const different = [...new Set(keys)]
    expect(sortKeys([...different])).toEqual(different.toSorted(byBytes))
    expect(sortKeys(['b', 'a', 'aa', ''])).toEqual(['', 'a', 'aa', 'b'])

    const sorted = new SortedKeys([])
    const within = new Set<string>()
    for (let i = 0; i < 20_000; i++) {
      const key = `${random.within(0, 3_000)}${random.one(units)}`
      if (within.delete(key)) sorted.delete(key)
      else {
        within.add(key)
        sorted.add(key)
      }
    }
    expect(sorted.take('', () => true)).toEqual([...within].sort(byBytes))
    expect(new SortedKeys(within).take('2', key => key < '3')).toEqual(
      [...within].filter(key => key >= '2' && key < '3').sort(byBytes),
    )
  })
})

describe('a key-value store', () => {
  const make = (): InMemoryKeyValueStore<number> => new InMemoryKeyValueStore(new Changelog().setup())

  test('is read as of the call: what goes meanwhile is left out, what is new is not in (InMemoryKeyValueIterator)', () => {
    const store = make()
    for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) store.put(key, i, 0)
    const read = store.range()
    expect(read.next().value?.[0]).toBe('a')
    store.delete('b')
    store.put('c', 20, 1)
    store.put('bb', 10, 0)
    expect([...read].map(([key, { value }]) => [key, value])).toEqual([
      ['c', 20],
      ['d', 3],
    ])
  })

  test('to take away what is not there is no change', () => {
    const changelog = new Changelog()
    const store = new InMemoryKeyValueStore(changelog.setup())
    store.put('a', null, 0)
    store.put('a', undefined, 0)
    expect(store.delete('a')).toBeUndefined()
    expect([changelog.changes, changelog.undo.length]).toEqual([[], 0])
  })
})

describe('windowed keys', () => {
  test.each(['', 'a', 'a\0b', 'x@1/2', '😀'])('go through text: %j', key => {
    for (const [start, end] of [
      [0, 0],
      [5, 10],
      [1_700_000_000_000, Number.MAX_SAFE_INTEGER],
    ] as const)
      expect(parseWindowedKey(windowedKeyText({ key, start, end }))).toEqual({ key, start, end })
  })

  test('have a store of their own, which finds the windows of one key', () => {
    const changelog = new Changelog()
    const make = (): WindowedKeyValueStore<number> => new WindowedKeyValueStore(changelog.setup())
    const store = make()
    const windows = [
      ['a', 0, 9],
      ['a', 5, 14],
      ['a', 100, 109],
      ['ab', 0, 9],
      ['a\0', 0, 9],
    ] as const
    for (const [i, [key, start, end]] of windows.entries()) store.put({ key, start, end }, i, 0)
    changelog.commit()
    const restored = changelog.restore(make(), store.times)
    for (const each of [store, restored]) {
      expect(Array.from(each.range('a'), ([, { value }]) => value)).toEqual([0, 1, 2])
      expect(each.get({ key: 'a', start: 5, end: 14 })).toEqual({ value: 1, timestamp: 0 })
      expect(each.size).toBe(5)
    }
  })
})
