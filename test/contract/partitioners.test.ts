import { describe, expect, test } from 'vitest'
import { murmur2 } from '../../src/core/murmur2.js'
import { keyedPartitioner, type Partitioner, roundRobinPartitioner } from '../../src/core/partitioner.js'
import { partitionerContract } from '../../src/testing/partitioner-contract.js'
import { forbidHostTimers } from '../testing/support-host-timers.js'
import { failures } from './collect.js'

forbidHostTimers()

describe('keyedPartitioner', () => partitionerContract({ describe, test }, () => keyedPartitioner({ seed: 1 })))
describe('keyedPartitioner without a seed', () => partitionerContract({ describe, test }, keyedPartitioner))
describe('roundRobinPartitioner', () => partitionerContract({ describe, test }, roundRobinPartitioner))

const sameKey = 'records of one key go to one partition'
const inRange = 'a partition is a whole number from 0 to below their count'

describe("Kafka's RoundRobinPartitioner, which ignores keys", () => {
  const reason = 'it goes round whatever the key'
  partitionerContract(
    { describe, test },
    () => {
      let next = 0
      return (_, count) => next++ % count
    },
    {
      exceptions: {
        [sameKey]: reason,
        'the empty text is a key like another': reason,
        'a key has its place as text and as the UTF-8 bytes of that text': reason,
        'another one of the same kind puts keys in the same place': reason,
      },
    },
  )
})

describe('a partitioner that breaks one rule is caught', () => {
  const hash = (key: string | Uint8Array, count: number): number => (murmur2(key) & 0x7fffffff) % count
  const broken: [string, () => Partitioner, string][] = [
    ['a negative hash', () => (record, count) => murmur2(record.key ?? '') % count, inRange],
    ['half a partition', () => (_, count) => count / 2, inRange],
    [
      'one too far',
      () =>
        ({ key }, count) =>
          key === null ? count : hash(key, count),
      inRange,
    ],
    ['nothing', () => () => undefined as never, 'a topic of one partition has all in partition 0'],
    ['keys at random', () => (_, count) => Math.floor(Math.random() * count), sameKey],
    ["'' for no key", emptyIsNoKey, 'the empty text is a key like another'],
    [
      'bytes in another place than their text',
      () =>
        ({ key }, count) =>
          hash(key === null ? '' : String(key), count),
      'a key has its place as text and as the UTF-8 bytes of that text',
    ],
    ['a seed that moves keys', seededKeys, 'another one of the same kind puts keys in the same place'],
    ['all keys in one place', () => () => 0, 'many keys reach every partition, roughly as often'],
    [
      'all keyless in one place',
      () =>
        ({ key }, count) =>
          key === null ? 0 : hash(key, count),
      'many keyless records reach every partition, roughly as often',
    ],
    ['a count kept from the first record', firstCount, 'a partition that was added gets keyless records too'],
    [
      'a key filled in',
      () => (record, count) => {
        record.key ??= ''
        return hash(record.key, count)
      },
      'the record is not changed',
    ],
  ]
  test.each(broken)('%s', async (_, make, title) => {
    expect([...(await failures(runner => partitionerContract(runner, make))).keys()]).toContain(title)
  })
})

test('a failure names the key, the partitions and the seed', async () => {
  const failed = await failures(runner => partitionerContract(runner, () => (_, count) => count))
  expect(failed.get(inRange)).toMatch(
    /^(a keyless record|".*"|the bytes .*) went to (\d+) of \2\n\(random case of seed 1\)$/,
  )
})

function emptyIsNoKey(): Partitioner {
  const partitioner = roundRobinPartitioner()
  return ({ key }, count) => partitioner({ key: key || null }, count)
}

function seededKeys(): Partitioner {
  const salt = String(Math.random())
  const partitioner = roundRobinPartitioner()
  return ({ key }, count) => partitioner({ key: key === null ? null : `${salt}${key}` }, count)
}

function firstCount(): Partitioner {
  const partitioner = roundRobinPartitioner()
  let known: number | undefined
  return (record, count) => {
    known ??= count
    return partitioner(record, Math.min(known, count))
  }
}
