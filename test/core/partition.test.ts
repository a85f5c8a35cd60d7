import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../src/core/errors.js'
import { PartitionLog, type PartitionLogOptions } from '../../src/core/partition.js'
import { type Codec, type ConsumerRecord, type Headers, jsonCodec, type Key } from '../../src/core/record.js'
import { noHeaders } from '../../src/core/segment.js'

const logOf = <V = string, K extends Key = string>(options: Partial<PartitionLogOptions<V>> = {}): PartitionLog<V, K> =>
  new PartitionLog('orders', 3, { segmentRecords: 4, compact: false, ...options })

const filled = (count: number): PartitionLog<string> => {
  const log = logOf()
  for (let i = 0; i < count; i++) log.append(`k${i}`, `v${i}`, noHeaders, 1_000 + i)
  return log
}
const offsets = (records: readonly { offset: number }[]): number[] => records.map(record => record.offset)
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
const caught = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describe('append', () => {
  test('an empty log starts and ends at 0', () => {
    const log = logOf()
    expect([log.startOffset, log.endOffset, log.read(0)]).toEqual([0, 0, []])
  })

  test('offsets are dense, from 0, across segments', () => {
    const log = logOf()
    expect(range(0, 10).map(i => log.append(null, `v${i}`, noHeaders, i))).toEqual(range(0, 10))
    expect(log.endOffset).toBe(10)
  })

  test('sealedCount grows with the append that fills a segment', () => {
    const log = logOf()
    expect(
      range(0, 9).map(i => {
        log.append(null, `v${i}`, noHeaders, i)
        return log.sealedCount
      }),
    ).toEqual([0, 0, 0, 1, 1, 1, 1, 2, 2])
  })

  test('a log of segments of one record seals each at once', () => {
    const log = logOf({ segmentRecords: 1 })
    for (const value of ['a', 'b', 'c']) log.append(null, value, noHeaders, 0)
    expect(log.sealedCount).toBe(3)
    expect(log.read(1).map(record => record.value)).toEqual(['b', 'c'])
  })

  test("'' is a key, null is none", () => {
    const log = logOf()
    log.append('', 'a', noHeaders, 0)
    log.append(null, 'b', noHeaders, 0)
    expect(log.read(0).map(record => record.key)).toEqual(['', null])
  })

  test('values of all kinds come back as they are, in one log', () => {
    const values = [1, -0, 0.5, Number.NaN, 2 ** 40, 'text', null, true, 10n, { a: 1 }, [1]]
    const log = logOf<unknown>({ segmentRecords: 3 })
    for (const value of values) log.append(null, value, noHeaders, 0)
    expect(log.read(0).map(record => record.value)).toEqual(values)
  })

  test('small and large timestamps come back as they are', () => {
    const timestamps = [0, 1_700_000_000_000, 5, 2 ** 31, 7]
    const log = logOf()
    for (const timestamp of timestamps) log.append(null, 'v', noHeaders, timestamp)
    expect(log.read(0).map(record => record.timestamp)).toEqual(timestamps)
  })
})

describe('read', () => {
  test('a record has topic, partition, offset, timestamp, key, value and headers', () => {
    const log = logOf()
    log.append('k', 'v', [['h', '1']], 42)
    expect(log.read(0)).toEqual([
      { topic: 'orders', partition: 3, offset: 0, timestamp: 42, key: 'k', value: 'v', headers: [['h', '1']] },
    ])
  })

  test('starts at any offset and goes on over segments', () => {
    const log = filled(11)
    for (const offset of range(0, 12)) expect(offsets(log.read(offset))).toEqual(range(offset, 11))
  })

  test('at the end there is nothing', () => {
    expect(filled(8).read(8)).toEqual([])
  })

  test('maxRecords limits it, within a segment and across', () => {
    const log = filled(11)
    for (const max of range(1, 13)) expect(offsets(log.read(2, max))).toEqual(range(2, Math.min(2 + max, 11)))
  })

  test.each([-1, 12, 2 ** 53])('%s is out of range', offset => {
    expect(() => filled(11).read(offset)).toThrow(`Offset ${offset} is out of the range of orders-3`)
  })

  test('an offset below the start is out of range', () => {
    const log = filled(11)
    log.deleteRecords(6)
    const error = caught(() => log.read(5))
    expect(isMillraceError(error, 'OFFSET_OUT_OF_RANGE') && error.details).toEqual({
      topic: 'orders',
      partition: 3,
      offset: 5,
      startOffset: 6,
      endOffset: 11,
    })
  })

  test.each([1.5, Number.NaN, '0' as unknown as number])('an offset of %s is a TypeError', offset => {
    expect(() => filled(3).read(offset)).toThrow(TypeError)
  })

  test.each([0, -1, 1.5, Number.NaN, '2' as unknown as number])('maxRecords of %s is INVALID_CONFIG', max => {
    const error = caught(() => filled(3).read(0, max))
    expect(isMillraceError(error, 'INVALID_CONFIG') && error.details.option).toBe('maxRecords')
  })

  test('each read makes records of its own', () => {
    const log = filled(1)
    const [record] = log.read(0)
    record!.value = 'scribble'
    record!.offset = 99
    expect(log.read(0)[0]).toMatchObject({ value: 'v0', offset: 0 })
  })

  test('values are shared by reference without a codec', () => {
    const value = { id: 1 }
    const log = logOf<object>()
    log.append(null, value, noHeaders, 0)
    expect(log.read(0)[0]!.value).toBe(value)
  })
})

describe('readInto', () => {
  test('appends to what is there already and gives the next offset', () => {
    const log = filled(11)
    const into = log.read(9)
    expect(log.readInto(1, 5, into)).toBe(6)
    expect(offsets(into)).toEqual([9, 10, 1, 2, 3, 4, 5])
  })

  test('at the end it gives the end and pushes nothing', () => {
    const into: ConsumerRecord<string>[] = []
    expect([filled(8).readInto(8, 5, into), into]).toEqual([8, []])
  })

  test('batches of any size read all records once', () => {
    const log = filled(23)
    for (const max of range(1, 25)) {
      const into: ConsumerRecord<string>[] = []
      for (let next = 0; next < log.endOffset; ) next = log.readInto(next, max, into)
      expect(offsets(into)).toEqual(range(0, 23))
    }
  })
})

describe('headers', () => {
  const headers: Headers = [
    ['a', '1'],
    ['b', null],
    ['a', '2'],
  ]

  test('order and duplicates are kept', () => {
    const log = logOf()
    log.append(null, 'v', headers, 0)
    expect(log.read(0)[0]!.headers).toEqual(headers)
  })

  test('records with and without them share a segment, whichever comes first', () => {
    const log = logOf()
    for (const each of [noHeaders, headers, noHeaders, headers, noHeaders, noHeaders]) log.append(null, 'v', each, 0)
    expect(log.read(0).map(record => record.headers.length)).toEqual([0, 3, 0, 3, 0, 0])
  })

  test('headers without bytes are shared', () => {
    const log = logOf()
    log.append(null, 'v', headers, 0)
    expect(log.read(0)[0]!.headers).toBe(headers)
  })

  test('a writer who reuses the bytes of a header changes nothing', () => {
    const bytes = Uint8Array.of(1)
    const log = logOf()
    log.append(null, 'v', [['h', bytes]], 0)
    bytes[0] = 9
    expect(log.read(0)[0]!.headers).toEqual([['h', Uint8Array.of(1)]])
  })

  test('a reader who scribbles on the bytes of a header changes nothing', () => {
    const log = logOf()
    log.append(null, 'v', [['h', Uint8Array.of(1)]], 0)
    ;(log.read(0)[0]!.headers[0]![1] as Uint8Array)[0] = 9
    expect(log.read(0)[0]!.headers).toEqual([['h', Uint8Array.of(1)]])
  })

  test('headers with bytes are frozen as the others are', () => {
    const log = logOf()
    log.append(null, 'v', [['h', Uint8Array.of(1)]], 0)
    const [record] = log.read(0)
    expect([Object.isFrozen(record!.headers), Object.isFrozen(record!.headers[0])]).toEqual([true, true])
  })
})

describe('byte keys', () => {
  test('a writer who reuses its buffer changes nothing', () => {
    const key = Uint8Array.of(1, 2)
    const log = logOf<string, Uint8Array>()
    log.append(key, 'v', noHeaders, 0)
    key[0] = 9
    expect(log.read(0)[0]!.key).toEqual(Uint8Array.of(1, 2))
  })

  test('a reader who scribbles changes nothing', () => {
    const log = logOf<string, Uint8Array>()
    log.append(Uint8Array.of(1, 2), 'v', noHeaders, 0)
    log.read(0)[0]!.key![0] = 9
    expect(log.read(0)[0]!.key).toEqual(Uint8Array.of(1, 2))
  })

  test('a subclass keeps its class, in memory of its own', () => {
    class Bytes extends Uint8Array {}
    const pool = new ArrayBuffer(8)
    const log = logOf<string, Uint8Array>()
    log.append(new Bytes(pool, 2, 1), 'v', noHeaders, 0)
    const { key } = log.read(0)[0]!
    expect(key).toBeInstanceOf(Bytes)
    expect([key!.length, key!.buffer === pool]).toEqual([1, false])
  })
})

describe('with a codec', () => {
  const codec = jsonCodec<{ id: number } | null>()
  const bytesOf = (id: number): Uint8Array => codec.encode({ id })
  const broken = Uint8Array.of(0x7b)

  test('each read decodes anew', () => {
    const log = logOf({ codec })
    log.append(null, bytesOf(1), noHeaders, 0)
    const [first] = log.read(0)
    first!.value!.id = 9
    expect(log.read(0)[0]!.value).toEqual({ id: 1 })
  })

  test('a tombstone never goes through the codec', () => {
    const strict: Codec<string> = {
      encode: () => Uint8Array.of(),
      decode: () => {
        throw new Error('asked')
      },
    }
    const log = logOf({ codec: strict })
    log.append('k', null, noHeaders, 0)
    expect(log.read(0)[0]!.value).toBeNull()
  })

  test('a codec that hands its bytes through shares nothing either way', () => {
    const log = logOf<Uint8Array>({ codec: { encode: bytes => bytes, decode: bytes => bytes } })
    const written = Uint8Array.of(1)
    log.append(null, written, noHeaders, 0)
    written[0] = 8
    log.read(0)[0]!.value[0] = 9
    expect(log.read(0)[0]!.value).toEqual(Uint8Array.of(1))
  })

  test('a read stops before a record that it can not decode', () => {
    const log = logOf({ codec })
    for (const bytes of [bytesOf(0), bytesOf(1), broken, bytesOf(3)]) log.append(null, bytes, noHeaders, 0)
    const into: ConsumerRecord<{ id: number } | null>[] = []
    expect(log.readInto(0, 10, into)).toBe(2)
    expect(offsets(into)).toEqual([0, 1])
  })

  test('a read that begins with one is INVALID_RECORD, naming partition and offset, with its error as cause', () => {
    const log = logOf({ codec })
    log.append(null, bytesOf(0), noHeaders, 0)
    log.append(null, broken, noHeaders, 0)
    const into = log.read(0)
    const error = caught(() => log.readInto(1, 10, into)) as Error
    expect(isMillraceError(error, 'INVALID_RECORD')).toBe(true)
    expect(error.message).toContain('orders-3 offset 1')
    expect(error.cause).toBeInstanceOf(SyntaxError)
    expect(offsets(into)).toEqual([0])
  })

  test('reading goes on behind it', () => {
    const log = logOf({ codec })
    log.append(null, broken, noHeaders, 0)
    log.append(null, bytesOf(1), noHeaders, 0)
    expect(log.read(1).map(record => record.value)).toEqual([{ id: 1 }])
  })

  test('raw gives one record with a copy of its bytes', () => {
    const log = logOf({ codec })
    log.append('k', broken, [['h', '1']], 42)
    ;(log.raw(0).value as Uint8Array)[0] = 0
    expect(log.raw(0)).toEqual({ ...log.raw(0), offset: 0, key: 'k', timestamp: 42, value: broken })
    expect(log.raw(0).headers).toEqual([['h', '1']])
  })

  test('raw at the end is out of range', () => {
    expect(
      isMillraceError(
        caught(() => logOf({ codec }).raw(0)),
        'OFFSET_OUT_OF_RANGE',
      ),
    ).toBe(true)
  })

  test('a codec may write to the log that it is read from', () => {
    const log: PartitionLog<number> = logOf<number>({
      segmentRecords: 2,
      codec: {
        encode: value => Uint8Array.of(value),
        decode: bytes => {
          log.append(null, bytes, noHeaders, 0)
          log.deleteRecords(Math.min(2, log.endOffset))
          return bytes[0]!
        },
      },
    })
    for (const value of [0, 1, 2]) log.append(null, Uint8Array.of(value), noHeaders, 0)
    const records = log.read(0)
    expect(offsets(records)).toEqual(range(0, records.length))
    expect(records.slice(0, 3).map(record => record.value)).toEqual([0, 1, 2])
    expect([log.startOffset, log.endOffset]).toEqual([2, 3 + records.length])
  })
})

describe('whenAppended', () => {
  const waiterOf = (calls: string[], name: string, then = (): void => undefined): { appended(): void } => ({
    appended() {
      calls.push(name)
      then()
    },
  })

  test('calls once, at the next append, when the record can be read', () => {
    const log = logOf()
    const seen: number[] = []
    log.whenAppended({ appended: () => seen.push(log.read(0).length) })
    log.append(null, 'a', noHeaders, 0)
    log.append(null, 'b', noHeaders, 0)
    expect(seen).toEqual([1])
  })

  test('calls in the order of registration, and a waiter registered twice once', () => {
    const log = logOf()
    const calls: string[] = []
    const [a, b, c] = ['a', 'b', 'c'].map(name => waiterOf(calls, name))
    for (const waiter of [a, b, a, c]) log.whenAppended(waiter!)
    log.append(null, 'v', noHeaders, 0)
    expect(calls).toEqual(['a', 'b', 'c'])
  })

  test('forget takes a waiter back, also from within the wake-up', () => {
    const log = logOf()
    const calls: string[] = []
    const [b, c] = ['b', 'c'].map(name => waiterOf(calls, name))
    log.whenAppended(waiterOf(calls, 'a', () => log.forget(c!)))
    for (const waiter of [b, c]) log.whenAppended(waiter!)
    log.forget(b!)
    log.append(null, 'v', noHeaders, 0)
    expect(calls).toEqual(['a'])
  })

  test('who registers within the wake-up waits for the append after', () => {
    const log = logOf()
    const calls: string[] = []
    const again = waiterOf(calls, 'again', () => log.whenAppended(again))
    log.whenAppended(again)
    log.append(null, 'v', noHeaders, 0)
    expect(calls).toEqual(['again'])
    log.append(null, 'v', noHeaders, 0)
    expect(calls).toEqual(['again', 'again'])
  })

  test('an append within the wake-up wakes those that are left, once', () => {
    const log = logOf()
    const calls: string[] = []
    log.whenAppended(waiterOf(calls, 'a', () => log.append(null, 'nested', noHeaders, 0)))
    log.whenAppended(waiterOf(calls, 'b'))
    log.append(null, 'v', noHeaders, 0)
    expect([calls, log.endOffset]).toEqual([['a', 'b'], 2])
  })
})

// Kafka: UnifiedLog.fetchOffsetByTimestamp
describe('offsetForTimestamp', () => {
  const logAt = (...timestamps: number[]): PartitionLog<string> => {
    const log = logOf({ segmentRecords: 2 })
    for (const timestamp of timestamps) log.append(null, 'v', noHeaders, timestamp)
    return log
  }

  test('is the first by offset that is at or after it, though timestamps are not monotonic', () => {
    const log = logAt(10, 50, 20, 30, 60, 5)
    expect([0, 10, 11, 50, 51, 60].map(timestamp => log.offsetForTimestamp(timestamp))).toEqual([0, 0, 1, 1, 4, 4])
  })

  test('is undefined where there is none', () => {
    expect([logAt(10).offsetForTimestamp(11), logAt().offsetForTimestamp(0)]).toEqual([undefined, undefined])
  })

  test('does not see what has been deleted', () => {
    const log = logAt(10, 50, 20, 40)
    log.deleteRecords(2)
    expect([log.offsetForTimestamp(45), log.offsetForTimestamp(1)]).toEqual([undefined, 2])
  })

  test('does not see what has been deleted in the middle of a segment', () => {
    const log = logAt(50, 10, 20)
    log.deleteRecords(1)
    expect(log.offsetForTimestamp(15)).toBe(2)
  })

  test.each([-1, 1.5, Number.NaN, '1' as unknown as number])('%s is a TypeError with the value', timestamp => {
    expect(() => logAt(1).offsetForTimestamp(timestamp)).toThrow(new RegExp(`at least 0; got ${timestamp}`))
    expect(() => logAt(1).offsetForTimestamp(timestamp)).toThrow(TypeError)
  })
})

interface Stored {
  offset: number
  timestamp: number
  key: string | null
  value: number | null
}

/** The same log as anybody would write it down: arrays, filtered. */
class NaiveLog {
  start = 0
  end = 0
  segments: { base: number; records: Stored[] }[] = [{ base: 0, records: [] }]
  horizons = new Map<number, number>()
  cleanedTo = 0

  constructor(readonly segmentRecords: number) {}

  all(): Stored[] {
    return this.segments.flatMap(segment => this.live(segment))
  }

  live(segment: { records: Stored[] } | undefined): Stored[] {
    return segment!.records.filter(record => record.offset >= this.start)
  }

  append(key: string | null, value: number | null, timestamp: number): void {
    const active = this.segments.at(-1)!
    active.records.push({ offset: this.end++, timestamp, key, value })
    if (active.records.length === this.segmentRecords) this.segments.push({ base: this.end, records: [] })
  }

  dropHead(): void {
    this.segments.shift()
    if (this.segments.length === 0) this.segments = [{ base: this.end, records: [] }]
    this.start = Math.max(this.start, this.segments[0]!.base)
  }

  deleteRecords(before: number): void {
    if (before <= this.start) return
    while (this.segments[0]!.records.length > 0 && (this.segments[1]?.base ?? this.end) <= before) this.dropHead()
    this.start = before
  }

  enforce(now: number, ms: number, records: number, consumedTo: number): void {
    for (;;) {
      const [head, next] = this.segments
      if (head!.records.length === 0) return
      const expired = head!.records.every(record => now - record.timestamp > ms)
      const surplus = next !== undefined && this.all().length - this.live(head).length >= records
      const consumed = (next?.base ?? this.end) <= consumedTo
      if (!expired && !surplus && !consumed) return
      this.dropHead()
    }
  }

  compact(now: number): void {
    const last = new Map(this.all().map(record => [record.key, record.offset]))
    const sealed = this.segments.slice(0, -1)
    const horizons = new Map<number, number>()
    const groups: { base: number; records: Stored[] }[] = []
    for (const segment of sealed) {
      const kept = this.live(segment).filter(record => {
        if (record.key === null || last.get(record.key) !== record.offset) return false
        if (record.value !== null) return true
        horizons.set(record.offset, this.horizons.get(record.offset) ?? now + 86_400_000)
        return now < horizons.get(record.offset)!
      })
      const group = groups.at(-1)
      if (kept.length === 0) continue
      if (group !== undefined && group.records.length + kept.length <= this.segmentRecords) group.records.push(...kept)
      else groups.push({ base: segment.base, records: kept })
    }
    this.horizons = horizons
    this.segments = [...groups, this.segments.at(-1)!]
    this.cleanedTo = this.segments.at(-1)!.base
  }

  compactIfDirty(now: number): void {
    const stored = (clean: boolean): number =>
      this.segments
        .slice(0, -1)
        .filter(segment => segment.base < this.cleanedTo === clean)
        .reduce((sum, segment) => sum + segment.records.length, 0)
    if (stored(false) > 0 && stored(false) >= stored(true)) this.compact(now)
  }
}

describe('against a naive log', () => {
  const where = fc.double({ min: 0, max: 1, noNaN: true })
  const timestamp = fc.nat(100)
  const op = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant('append' as const),
        keys: fc.array(fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', ''), { freq: 10 }), { maxLength: 12 }),
        value: fc.option(fc.nat(), { freq: 3 }),
        timestamp,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ act: fc.constant('read' as const), where, max: fc.integer({ min: 1, max: 9 }) }),
    },
    fc.record({ act: fc.constant('deleteRecords' as const), where }),
    fc.record({
      act: fc.constant('enforce' as const),
      ms: fc.option(fc.nat(60), { nil: Number.POSITIVE_INFINITY }),
      records: fc.option(fc.nat(12), { nil: Number.POSITIVE_INFINITY }),
      where: fc.option(where, { nil: 0 }),
    }),
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('compact' as const, 'compactIfDirty' as const) }) },
    fc.record({ act: fc.constant('tick' as const), ms: fc.constantFrom(1, 30, 43_200_000) }),
    fc.record({ act: fc.constant('offsetForTimestamp' as const), timestamp }),
  )

  test('every sequence of operations reads the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(op, { maxLength: 40 }), (segmentRecords, ops) => {
        const log: PartitionLog<number | null> = logOf<number | null>({ segmentRecords, compact: true })
        const model = new NaiveLog(segmentRecords)
        const truncations: number[] = []
        log.onTruncate = startOffset => truncations.push(startOffset)
        let now = 100
        for (const step of ops) {
          const before = model.start
          truncations.length = 0
          const at = 'where' in step ? model.start + Math.floor(step.where * (model.end - model.start)) : 0
          switch (step.act) {
            case 'append':
              for (const key of step.keys) {
                expect(log.append(key, step.value, noHeaders, step.timestamp)).toBe(model.end)
                model.append(key, step.value, step.timestamp)
              }
              break
            case 'read': {
              const into: ConsumerRecord<number | null>[] = []
              const next = log.readInto(at, step.max, into)
              const rest = model.all().filter(record => record.offset >= at)
              expect(offsets(into)).toEqual(offsets(rest.slice(0, step.max)))
              expect(next === model.end).toBe(rest.length <= step.max)
              expect(next).toBeGreaterThan(into.at(-1)?.offset ?? at - 1)
              expect(offsets(log.read(next))).toEqual(offsets(rest.slice(step.max)))
              break
            }
            case 'deleteRecords':
              log.deleteRecords(at)
              model.deleteRecords(at)
              break
            case 'enforce':
              model.enforce(now, step.ms, step.records, at)
              expect(log.enforce({ now, ms: step.ms, records: step.records, consumedTo: at })).toBe(
                model.start > before,
              )
              break
            case 'compact':
            case 'compactIfDirty':
              log[step.act](now)
              model[step.act](now)
              break
            case 'tick':
              now += step.ms
              break
            case 'offsetForTimestamp':
              expect(log.offsetForTimestamp(step.timestamp)).toBe(
                model.all().find(record => record.timestamp >= step.timestamp)?.offset,
              )
          }
          expect([log.startOffset, log.endOffset]).toEqual([model.start, model.end])
          expect(truncations).toEqual(model.start > before ? [model.start] : [])
          const records = log.read(log.startOffset)
          expect(records.map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }))).toEqual(
            model.all(),
          )
        }
      }),
      { numRuns: 500 },
    )
  })
})
