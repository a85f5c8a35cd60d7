import { expect, test } from 'vitest'
import { PriorityQueue } from '../../../src/streams/priority-queue.js'
import { hashOrder, JavaTreeSet } from '../../../src/streams/topology/java-order.js'

// All expected orders were printed by Java 17's own collections.

test('names come in the order of a java.util.HashSet', () => {
  const kinds = ['KSTREAM-SOURCE-', 'KSTREAM-FILTER-', 'KTABLE-TOSTREAM-', 'KSTREAM-SINK-']
  const names = Array.from({ length: 14 }, (_, i) => kinds[i % 4]! + String(i).padStart(10, '0'))
  // "Aa" and "BB" have the same hash, and stay as they came.
  const found = hashOrder([...names, 'Aa', 'BB', 'é', ''], name => name)
  expect(found.map(name => name.replace(/^(\w+-\w+)-0+(\d+)$/, '$1-$2'))).toEqual([
    'KTABLE-TOSTREAM-10',
    'Aa',
    'BB',
    '',
    'KSTREAM-SOURCE-4',
    'KSTREAM-FILTER-5',
    'KSTREAM-SOURCE-12',
    'KSTREAM-SOURCE-0',
    'KSTREAM-FILTER-9',
    'KTABLE-TOSTREAM-6',
    'é',
    'KTABLE-TOSTREAM-2',
    'KSTREAM-SOURCE-8',
    'KSTREAM-FILTER-1',
    'KSTREAM-FILTER-13',
    'KSTREAM-SINK-3',
    'KSTREAM-SINK-11',
    'KSTREAM-SINK-7',
  ])
})

test('of equals the queue takes the one that java.util.PriorityQueue takes', () => {
  const queue = new PriorityQueue<{ order: number; id: number }>(({ order }) => order)
  const given = [5, 5, 3, 5, 3, 3, 4, 5, 4, 3]
  for (const [id, order] of given.entries()) queue.push({ order, id })
  expect(given.map(() => queue.pop()?.id)).toEqual([2, 4, 9, 5, 8, 6, 1, 3, 0, 7])
  expect(queue.pop()).toBeUndefined()
})

test('taking in between changes nothing of that', () => {
  // A digit is added, a dash takes; the rest is taken at the end.
  const steps = '201223122002--2222232--12300333132-02-00-23-1100--20131331-2'
  const taken =
    '1 9 10 2 22 23 30 32 33 39 38 41 19 42 44 47 6 37 27 36 48 18 7 11 14 3 29 8 0 20 4 12 40 13 31 16 15 34 35 24 25 17 28 43 45 5 26 21 46'
  const queue = new PriorityQueue<{ order: number; id: number }>(({ order }) => order)
  const found: (number | undefined)[] = []
  let id = 0
  for (const step of steps)
    if (step === '-') found.push(queue.pop()?.id)
    else queue.push({ order: Number(step), id: id++ })
  while (queue.size > 0) found.push(queue.pop()?.id)
  expect(found.join(' ')).toBe(taken)
})

test('a tree set is sorted, has each thing once, and forgets nothing', () => {
  const set = new JavaTreeSet<number>((one, other) => one - other)
  const given = Array.from({ length: 500 }, (_, i) => (i * 193) % 251)
  for (const item of given) set.add(item)
  expect([...set]).toEqual([...new Set(given)].sort((one, other) => one - other))
})
