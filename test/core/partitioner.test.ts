import { describe, expect, test } from 'vitest'
import { murmur2 } from '../../src/core/murmur2.js'
import { keyedPartitioner, type Partitioner, roundRobinPartitioner } from '../../src/core/partitioner.js'

const keyless = (partitioner: Partitioner, records: number, partitions: number): number[] =>
  Array.from({ length: records }, () => partitioner({ key: null }, partitions))
/** The partition of each batch, equal neighbours taken together. */
const runs = (placed: readonly number[]): { partition: number; length: number }[] => {
  const found: { partition: number; length: number }[] = []
  for (const partition of placed) {
    const last = found.at(-1)
    if (last?.partition === partition) last.length++
    else found.push({ partition, length: 1 })
  }
  return found
}

describe.each([
  ['keyedPartitioner', () => keyedPartitioner({ seed: 1 })],
  ['roundRobinPartitioner', roundRobinPartitioner],
])('%s, with a key', (_, make) => {
  // confluentinc/librdkafka, tests/0048-partitioner.c: 17 partitions, hashes by the Java client (murmur2_random)
  test.each([
    ['', 0x106e08d9 % 17],
    ['23456', 0x058d780f % 17],
    ['this is another string with more length to it perhaps', 0x4f7703da % 17],
    ['hejsan', 0x5ec19395 % 17],
  ])('places %j where the Java client does', (key, partition) => {
    expect(make()({ key }, 17)).toBe(partition)
  })

  // Kafka: BuiltInPartitioner.partitionForKey, Utils.toPositive; the hash is of UtilsTest.testMurmur2
  test('masks the sign of a negative hash, and does not negate it', () => {
    expect(make()({ key: '21' }, 10)).toBe((-973932308 & 0x7fffffff) % 10)
    expect(make()({ key: '21' }, 10)).not.toBe(973932308 % 10)
  })

  test("takes '' for a key", () => {
    const partitioner = make()
    expect(new Set(Array.from({ length: 100 }, () => partitioner({ key: '' }, 50)))).toEqual(new Set([275646681 % 50]))
  })

  test('takes only null and undefined for no key', () => {
    const partitioner = make()
    const placed = Array.from({ length: 1_000 }, () => partitioner({ key: undefined as never }, 3))
    expect(new Set(placed)).toEqual(new Set([0, 1, 2]))
  })

  test('moves keys when partitions are added, as Kafka does', () => {
    const partitioner = make()
    const keys = Array.from({ length: 100 }, (_, i) => `order-${i}`)
    const moved = keys.filter(key => partitioner({ key }, 3) !== partitioner({ key }, 4))
    expect(moved.length).toBeGreaterThan(50)
  })

  test('a keyed record does not disturb the keyless ones', () => {
    const alone = keyless(make(), 100, 5)
    const partitioner = make()
    const mixed = alone.map((_, i) => {
      partitioner({ key: `order-${i}` }, 5)
      return partitioner({ key: null }, 5)
    })
    expect(mixed).toEqual(alone)
  })
})

describe('keyedPartitioner, without a key', () => {
  // KIP-794: stay on one partition for a batch, then another
  test('stays on one partition for a batch of 16, then takes another', () => {
    const lengths = runs(keyless(keyedPartitioner({ seed: 1 }), 1_600, 5)).map(({ length }) => length)
    expect(lengths).toEqual(new Array(100).fill(16))
  })

  test('uses all partitions, roughly as often', () => {
    for (let seed = 0; seed < 20; seed++) {
      const counts = [0, 0, 0, 0, 0]
      for (const { partition } of runs(keyless(keyedPartitioner({ seed }), 16_000, 5))) counts[partition]!++
      for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(60)
    }
  })

  test('goes from each partition to each other one', () => {
    const order = runs(keyless(keyedPartitioner({ seed: 1 }), 3_200, 4)).map(({ partition }) => partition)
    const steps = new Set(order.slice(1).map((partition, i) => `${order[i]} to ${partition}`))
    expect(steps.size).toBe(4 * 3)
  })

  test('repeats itself with the same seed', () => {
    expect(keyless(keyedPartitioner({ seed: 7 }), 500, 9)).toEqual(keyless(keyedPartitioner({ seed: 7 }), 500, 9))
  })

  test('differs with another seed, and without one each time', () => {
    const with7 = keyless(keyedPartitioner({ seed: 7 }), 1_600, 9)
    expect(keyless(keyedPartitioner({ seed: 8 }), 1_600, 9)).not.toEqual(with7)
    // Two of 100 batches over 9 partitions are equal once in 9 * 8^99 times.
    expect(keyless(keyedPartitioner(), 1_600, 9)).not.toEqual(keyless(keyedPartitioner(), 1_600, 9))
  })

  test('starts on any partition', () => {
    const starts = new Set(Array.from({ length: 200 }, (_, seed) => keyedPartitioner({ seed })({ key: null }, 4)))
    expect(starts).toEqual(new Set([0, 1, 2, 3]))
  })

  test('leaves a partition that is not there, as when one partitioner serves two topics', () => {
    const partitioner = keyedPartitioner({ seed: 1 })
    for (let i = 0; i < 200; i++) {
      expect(partitioner({ key: null }, 50)).toBeLessThan(50)
      expect(partitioner({ key: null }, 2)).toBeLessThan(2)
    }
  })

  test.each([[1.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['1'], [null]])('refuses the seed %s', seed => {
    expect(() => keyedPartitioner({ seed: seed as never })).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIG',
        details: { option: 'seed', value: seed, expected: 'a whole number' },
      }),
    )
  })

  test.each([[0], [-1], [2 ** 40], [undefined]])('takes the seed %s', seed => {
    expect(keyless(keyedPartitioner({ seed }), 100, 3)).toHaveLength(100)
  })
})

describe('roundRobinPartitioner, without a key', () => {
  // Kafka: RoundRobinPartitioner; each topic counts from 0
  test('goes round from partition 0', () => {
    expect(keyless(roundRobinPartitioner(), 7, 3)).toEqual([0, 1, 2, 0, 1, 2, 0])
  })

  test('keeps a count of its own in each', () => {
    const [one, other] = [roundRobinPartitioner(), roundRobinPartitioner()]
    expect([one({ key: null }, 3), one({ key: null }, 3), other({ key: null }, 3)]).toEqual([0, 1, 0])
  })

  test('unlike Kafka, goes by the key where there is one', () => {
    const partitioner = roundRobinPartitioner()
    expect(new Set(Array.from({ length: 10 }, () => partitioner({ key: 'foobar' }, 5)))).toEqual(
      new Set([(murmur2('foobar') & 0x7fffffff) % 5]),
    )
  })
})
