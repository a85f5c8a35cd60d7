import { expect, test } from 'vitest'
import type { AnyRecord } from '../src/index.js'
import { Term } from '../src/term.js'
import { Turns } from '../src/turns.js'

/** A term that may be handed out of: of a partition of that number, with so many records. */
function termOf(partition: number): Term<AnyRecord> {
  const source = { topic: 'orders', partition, endOffset: 10, whenMore() {}, forget() {} }
  const term = new Term<AnyRecord>(source as never, () => {})
  term.announced = true
  term.target = undefined
  return term
}

/** The partitions in the order of their turns; the queue is empty afterwards. */
function rest(turns: Turns<AnyRecord>): number[] {
  const order: number[] = []
  for (let term = turns.current(); term !== undefined; term = turns.current()) {
    order.push(term.partition)
    turns.drop(term)
  }
  return order
}

// groups.md 38; what has ended must not wait for a consumer that never asks
test.each([
  ['the first', 0, [1, 2]],
  ['one in the middle', 1, [0, 2]],
  ['the last', 2, [0, 1]],
])('%s can be dropped, and the others keep their order', (_, dropped, left) => {
  const turns = new Turns<AnyRecord>(500)
  const terms = [0, 1, 2].map(termOf)
  for (const term of terms) turns.add(term)
  turns.drop(terms[dropped]!)
  turns.drop(terms[dropped]!)
  const added = termOf(3)
  turns.add(added)
  expect(rest(turns)).toEqual([...left, 3])
})

test('the only one can be dropped and come again', () => {
  const turns = new Turns<AnyRecord>(500)
  const term = termOf(0)
  turns.add(term)
  turns.drop(term)
  expect(rest(turns)).toEqual([])
  turns.add(term)
  expect(rest(turns)).toEqual([0])
})
