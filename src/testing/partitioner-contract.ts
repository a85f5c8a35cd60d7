import type { Key, Partitioner } from '../index.js'
import { type ContractOptions, check, defineContract, forEachSeed, type Random, type Runner, refuse } from './runner.js'

/**
 * Defines, with the runner's own functions, the tests that every partitioner must pass: Kafka's and one's own.
 *
 * `make` gives a new one for each test. `exceptions` takes the titles of claims that do not hold, each with the reason;
 * such a test must fail.
 */
export function partitionerContract(runner: Runner, make: () => Partitioner, options?: ContractOptions): void {
  if (typeof make !== 'function') refuse('make', make, 'a function that makes a partitioner')
  defineContract(
    runner,
    'partitioner',
    {
      'a partition is a whole number from 0 to below their count': () =>
        forEachSeed(random => {
          const partitioner = make()
          const count = 1 + random.below(50)
          for (let i = 0; i < 100; i++) place(partitioner, random.below(3) === 0 ? null : anyKey(random), count)
        }),
      'a topic of one partition has all in partition 0': () => {
        const partitioner = make()
        for (const key of [null, '', 'order-1', null, bytesOf('order-1')]) place(partitioner, key, 1)
      },
      'records of one key go to one partition': () =>
        forEachSeed(random => {
          const partitioner = make()
          const count = 1 + random.below(50)
          const keys = Array.from({ length: 20 }, () => anyKey(random))
          const placed = keys.map(key => place(partitioner, key, count))
          for (const i of random.shuffled([...keys.keys()])) {
            if (random.below(2) === 0) place(partitioner, null, count)
            const again = place(partitioner, keys[i]!, count)
            check(again === placed[i], () => `${shown(keys[i]!)} went to ${placed[i]}, then to ${again} of ${count}`)
          }
        }),
      'the empty text is a key like another': () => {
        const partitioner = make()
        const placed = place(partitioner, '', 8)
        for (let i = 0; i < 100; i++) {
          place(partitioner, null, 8)
          const again = place(partitioner, '', 8)
          check(again === placed, () => `'' went to ${placed}, then to ${again}`)
        }
      },
      'a key has its place as text and as the UTF-8 bytes of that text': () => {
        const partitioner = make()
        for (const key of ['', 'order-1', 'Zoë', '価格', '😀']) {
          const asText = place(partitioner, key, 32)
          const asBytes = place(partitioner, bytesOf(key), 32)
          check(asText === asBytes, () => `${shown(key)} goes to ${asText}, its bytes go to ${asBytes}`)
        }
      },
      'another one of the same kind puts keys in the same place': () =>
        forEachSeed(random => {
          const one = make()
          const other = make()
          const count = 1 + random.below(50)
          for (let i = 0; i < 50; i++) {
            const key = anyKey(random)
            if (random.below(2) === 0) place(one, null, count)
            const placed = [place(one, key, count), place(other, key, count)]
            check(placed[0] === placed[1], () => `${shown(key)} goes to ${placed.join(' or ')} of ${count}`)
          }
        }),
      'many keys reach every partition, roughly as often': () => {
        const partitioner = make()
        roughlyEven(Array.from({ length: 10_000 }, (_, i) => place(partitioner, `order-${i}`, 10)))
      },
      'many keyless records reach every partition, roughly as often': () => {
        const partitioner = make()
        roughlyEven(Array.from({ length: 100_000 }, () => place(partitioner, null, 10)))
      },
      'a partition that was added gets keyless records too': () => {
        const partitioner = make()
        for (let i = 0; i < 1_000; i++) place(partitioner, null, 2)
        const placed = new Set(Array.from({ length: 10_000 }, () => place(partitioner, null, 3)))
        check(placed.has(2), () => `keyless records went to ${[...placed].join(', ')} of 3 only`)
      },
      'the record is not changed': () => {
        const partitioner = make()
        for (const key of [null, 'order-1']) place(record => partitioner(Object.freeze(record), 4), key, 4)
        const bytes = bytesOf('order-1')
        place(partitioner, bytes, 4)
        check(bytes.join() === bytesOf('order-1').join(), () => `the key is ${shown(bytes)} now`)
      },
    },
    options,
  )
}

/** Where it goes; fails the test if that is no partition. */
function place(partitioner: Partitioner, key: Key | null, count: number): number {
  const partition = partitioner({ key }, count)
  check(
    Number.isInteger(partition) && partition >= 0 && partition < count,
    () => `${key === null ? 'a keyless record' : shown(key)} went to ${String(partition)} of ${count}`,
  )
  return partition
}

/** Of ten partitions each has between half and twice its share. */
function roughlyEven(placed: readonly number[]): void {
  const counts = new Array<number>(10).fill(0)
  for (const partition of placed) counts[partition]!++
  const share = placed.length / counts.length
  check(
    counts.every(count => count > share / 2 && count < share * 2),
    () => `the counts of the partitions are ${counts.join()}`,
  )
}

function anyKey(random: Random): Key {
  const text = `${['order', 'Zoë', '価格', '😀', ''][random.below(5)]}${random.below(1_000)}`
  return random.below(4) === 0 ? bytesOf(text) : text
}

const encoder = new TextEncoder()
const bytesOf = (text: string): Uint8Array => encoder.encode(text)
const shown = (key: Key): string => (typeof key === 'string' ? JSON.stringify(key) : `the bytes ${key.join()}`)
