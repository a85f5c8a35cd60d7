import { expect, test } from 'vitest'
import { type Clock, Topic } from '../../src/index.js'
import { sales } from './support.js'

/** A topic, and how often its clock is looked at. */
function watched(): { topic: ReturnType<typeof topicOn>; looks: () => number } {
  let looks = 0
  const clock: Clock = { now: () => ++looks, setTimeout: () => 0, clearTimeout() {} }
  return { topic: topicOn(clock), looks: () => looks }
}
const topicOn = (clock: Clock): Topic<{ amount: number }> => new Topic<{ amount: number }>('sales', { clock })

test('the records of an array share their looks at the clock', () => {
  const { topic, looks } = watched()
  void topic.publishAll(sales(3_200))
  expect(looks()).toBe(100)
})

test('what comes out of an iterator may take its time: each record has its own', () => {
  const { topic, looks } = watched()
  void topic.publishAll(sales(100).values())
  expect(looks()).toBe(100)
})
