import { checkOptions, refuse } from './check.js'
import { murmur2 } from './murmur2.js'
import type { Key } from './record.js'

/** Which partition a record goes to: a whole number from 0 to below the number of partitions. */
export type Partitioner = (record: { key: Key | null }, partitionCount: number) => number

/**
 * Keyless records that go to one partition before the next gets its turn. Kafka counts bytes and moves on after
 * `batch.size`, 16 KiB; nothing has a size in memory, so a record counts as 1 KiB.
 */
const BATCH_RECORDS = 16

/**
 * Kafka's keyed partitioner; keyless records stick to one partition for a batch of 16, then to another. The seed makes
 * it repeatable.
 *
 * Each call gives one with a state of its own, so give each topic its own. Kafka: BuiltInPartitioner, KIP-794.
 *
 * @throws INVALID_CONFIG for a seed that is no whole number.
 */
export function keyedPartitioner(options: { seed?: number | undefined } = {}): Partitioner {
  checkOptions('options of keyedPartitioner()', options, ['seed'])
  const { seed } = options
  if (seed !== undefined && !Number.isSafeInteger(seed)) refuse('seed', seed, 'a whole number')
  const random = mulberry32(seed ?? Math.floor(Math.random() * 2 ** 32))
  let current = -1
  let left = 0

  return ({ key }, partitionCount) => {
    if (key !== null && key !== undefined) return partitionForKey(key, partitionCount)
    if (left === 0 || current >= partitionCount) {
      current = another(current, partitionCount, random)
      left = BATCH_RECORDS
    }
    left--
    return current
  }
}

/**
 * Keyed as Kafka's; keyless records go round, from partition 0.
 *
 * Unlike Kafka's RoundRobinPartitioner, which ignores keys.
 */
export function roundRobinPartitioner(): Partitioner {
  let next = 0
  return ({ key }, partitionCount) =>
    key !== null && key !== undefined ? partitionForKey(key, partitionCount) : next++ % partitionCount
}

/** Kafka: BuiltInPartitioner.partitionForKey; '' is a key. Utils.toPositive masks the sign, which is not Math.abs. */
function partitionForKey(key: Key, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}

/** Any partition but `previous`, each as likely. Unlike KIP-794, which may draw the same one again. */
function another(previous: number, partitionCount: number, random: () => number): number {
  if (previous < 0 || previous >= partitionCount) return Math.floor(random() * partitionCount)
  if (partitionCount === 1) return 0
  const drawn = Math.floor(random() * (partitionCount - 1))
  return drawn < previous ? drawn : drawn + 1
}

/** Tommy Ettinger's mulberry32: 0 <= x < 1 from 32 bits of state, so seeds that differ by 2^32 are the same. */
function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
