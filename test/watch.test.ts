import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Clock, systemClock } from '../src/clock.js'
import { ConsumerGroup, Topic } from '../src/index.js'
import { Watch } from '../src/watch.js'

describe('a watch on the host’s clock', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_000 }))
  afterEach(() => void vi.useRealTimers())

  /** How often Date.now() is called for so many calls, each some milliseconds after the one before. */
  function looks(watch: Watch, calls: number, ms: number): number {
    const now = vi.spyOn(Date, 'now')
    for (let i = 0; i < calls; i++) {
      watch.now()
      if (ms > 0) vi.setSystemTime(Date.now() + ms)
    }
    const looked = now.mock.calls.length - (ms > 0 ? calls : 0)
    now.mockRestore()
    return looked
  }

  test('is looked at once for many quick calls', () => {
    const watch = new Watch(systemClock)
    expect(looks(watch, 1_000, 0)).toBeLessThan(50)
  })

  test('is looked at for each call that takes its time', () => {
    const watch = new Watch(systemClock)
    looks(watch, 1_000, 0)
    // At most as many as one look is good for are told the old time.
    looks(watch, 32, 5)
    expect(looks(watch, 100, 5)).toBe(100)
  })

  test('is looked at again once the event loop has turned', () => {
    const watch = new Watch(systemClock)
    looks(watch, 1_000, 0)
    vi.advanceTimersByTime(60_000)
    expect(watch.now()).toBe(61_000)
  })

  test('holds no timer when it is stopped', () => {
    const watch = new Watch(systemClock)
    looks(watch, 10, 0)
    watch.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('a clock that is moved by hand is looked at each time', () => {
  let time = 0
  const clock: Clock = { ...systemClock, now: () => time }
  const watch = new Watch(clock)
  for (time = 0; time < 100; time++) expect(watch.now()).toBe(time)
})

// groups.md 34: autoCommitIntervalMs 0 commits at every coming back
test('on the host’s clock, too, an interval of 0 commits at every coming back', async () => {
  const topic = new Topic<number>('numbers')
  const group = new ConsumerGroup('readers', topic, { autoCommitIntervalMs: 0, maxPollRecords: 1 })
  const consumer = group.join()
  topic.publishAll(Array.from({ length: 1_000 }, (_, value) => ({ value })))
  for (let i = 0; i < 1_000; i++) {
    await consumer.poll()
    expect(group.committed('numbers', 0) ?? 0).toBe(i)
  }
})
