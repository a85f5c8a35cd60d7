// A plain broker goes by the host's clock, looked up at each call: vitest's fake timers move it (jest's:
// test/runners/fake-timers.jest.ts).
import { Broker, type MemoryBroker, rangeAssignor } from 'millrace'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

interface Topics {
  jobs: string
  failed: string
}

let broker: MemoryBroker<Topics>
beforeEach(() => {
  vi.useFakeTimers({ now: 1_000 })
  broker = new Broker<Topics>({ topics: { jobs: {}, failed: {} } })
})
afterEach(async () => {
  await broker.close({ timeoutMs: 0 }).catch(() => {})
  vi.useRealTimers()
})
const publish = (value = 'wash') => broker.topic('jobs').publish({ value })

describe('under vi.useFakeTimers()', () => {
  test('a record has the time that vitest says', () => {
    expect(publish().timestamp).toBe(1_000)
    vi.setSystemTime(5_000)
    expect(publish().timestamp).toBe(5_000)
  })

  test('a back-off is over when vitest says so', async () => {
    const attempts: number[] = []
    const handler = (): never => {
      attempts.push(Date.now())
      throw new Error('not yet')
    }
    const group = broker.group('g', { topics: 'jobs' })
    const options = { retry: { attempts: 3, backoffMs: 1_000 }, deadLetter: broker.topic('failed') }
    void group.join().run(handler, options)
    publish()
    await vi.advanceTimersByTimeAsync(999)
    expect(attempts).toEqual([1_000])
    await vi.advanceTimersByTimeAsync(1_001)
    expect(attempts).toEqual([1_000, 2_000, 3_000])
    expect(broker.topic('failed').partitions[0]!.endOffset).toBe(1)
  })

  test('an auto-commit comes when its interval is over', async () => {
    const group = broker.group('g', { topics: 'jobs' })
    void group.join().run(() => {})
    publish()
    await group.caughtUp()
    await vi.advanceTimersByTimeAsync(4_999)
    expect(group.committed('jobs', 0)).toBeUndefined()
    await vi.advanceTimersByTimeAsync(1)
    expect(group.committed('jobs', 0)).toBe(1)
  })

  test('a poll that nothing comes for times out', async () => {
    const polled = broker.group('g', { topics: 'jobs' }).join().poll({ timeoutMs: 60_000 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await polled).toEqual([])
  })

  test('a consumer that does not come back is expelled', async () => {
    const group = broker.group('g', { topics: 'jobs', maxPollIntervalMs: 10_000 })
    group.join()
    await vi.advanceTimersByTimeAsync(9_999)
    expect(group.members).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(group.members).toEqual([])
  })

  test('a seat is kept for its time', async () => {
    const seen: number[] = []
    const assignor = {
      name: 'counting',
      assign: (...args: Parameters<typeof rangeAssignor.assign>) => {
        seen.push(args[0].length)
        return rangeAssignor.assign(...args)
      },
    }
    const group = broker.group('g', { topics: 'jobs', sessionTimeoutMs: 10_000, assignor })
    const other = group.join()
    await group.join({ instanceId: 'a' }).close()
    await vi.advanceTimersByTimeAsync(9_999)
    const before = seen.length
    await vi.advanceTimersByTimeAsync(1)
    expect(seen.slice(before)).toEqual([1])
    expect(other.assignment).toHaveLength(1)
  })

  test('what is too old is dropped', () => {
    const topic = broker.createTopic('old' as 'jobs', { segmentRecords: 1, retention: { ms: 10_000 } })
    topic.publish({ value: 'wash' })
    vi.setSystemTime(20_000)
    topic.publish({ value: 'dry' })
    expect(topic.partitions[0]!.startOffset).toBe(1)
  })

  test('close() gives up when its deadline is over', async () => {
    const consumer = broker.group('g', { topics: 'jobs' }).join()
    void consumer.run(() => new Promise(() => {}))
    publish()
    await vi.advanceTimersByTimeAsync(0)
    const closed = consumer.close().catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await closed).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  })

  test('callbacks are called, and what waits for nothing but them goes on', async () => {
    const seen: string[] = []
    const group = broker.group('g', { topics: 'jobs' })
    const consumer = group.join({ onAssigned: () => seen.push('assigned'), onRevoked: () => seen.push('revoked') })
    await consumer.ready()
    await consumer.close()
    expect(seen).toEqual(['assigned', 'revoked'])
    await broker.settled()
  })

  test('settled() and caughtUp() need no time', async () => {
    const group = broker.group('g', { topics: 'jobs' })
    const seen: string[] = []
    void group.join().run(({ value }) => void seen.push(value))
    publish()
    await group.caughtUp()
    await broker.settled()
    expect(seen).toEqual(['wash'])
  })

  test('all that it leaves behind are its timers: none after close()', async () => {
    const group = broker.group('g', { topics: 'jobs' })
    const consumer = group.join()
    publish()
    await consumer.poll()
    expect(vi.getTimerCount()).toBeGreaterThan(0)
    await broker.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})
