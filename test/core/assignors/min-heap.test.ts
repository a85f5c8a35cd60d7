import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MinHeap } from '../../../src/core/assignors/min-heap.js'

test('the smallest is on top, whatever is put in its place or taken away', () => {
  const steps = fc.array(fc.option(fc.integer()))
  fc.assert(
    fc.property(fc.array(fc.integer()), steps, (items, replacements) => {
      const heap = new MinHeap(items)
      const sorted = [...items]
      for (const item of replacements) {
        sorted.sort((a, b) => a - b)
        expect(heap.top).toBe(sorted[0])
        if (sorted.length === 0) return
        sorted.shift()
        if (item === null) heap.removeTop()
        else {
          heap.replaceTop(item)
          sorted.push(item)
        }
      }
    }),
  )
})
