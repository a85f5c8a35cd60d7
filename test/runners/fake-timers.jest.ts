import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Broker, type MemoryBroker } from 'millrace'

interface Topics {
  jobs: string
  failed: string
}

let broker: MemoryBroker<Topics>

// A plain broker, on the system clock.
beforeEach(() => {
  jest.useFakeTimers({ now: 1_000 })
  broker = new Broker<Topics>({ topics: { jobs: {}, failed: {} } })
})
afterEach(async () => {
  await broker.close()
  jest.useRealTimers()
})

describe('under jest.useFakeTimers()', () => {
  test('a record has the time that jest says', () => {
    expect(broker.topic('jobs').publish({ value: 'wash' }).timestamp).toBe(1_000)
    jest.setSystemTime(5_000)
    expect(broker.topic('jobs').publish({ value: 'dry' }).timestamp).toBe(5_000)
  })

  test('a back-off is over when jest says so', async () => {
    const attempts: number[] = []
    const retry = { attempts: 3, backoffMs: 1_000 }
    const handler = () => {
      attempts.push(Date.now())
      throw new Error('not yet')
    }
    void broker
      .group('g', { topics: 'jobs' })
      .join()
      .run(handler, { retry, deadLetter: broker.topic('failed') })
    broker.topic('jobs').publish({ value: 'wash' })
    await jest.advanceTimersByTimeAsync(999)
    expect(attempts).toEqual([1_000])
    await jest.advanceTimersByTimeAsync(1_001)
    expect(attempts).toEqual([1_000, 2_000, 3_000])
    expect(broker.topic('failed').partitions[0]!.endOffset).toBe(1)
  })

  test('an auto-commit comes when its interval is over', async () => {
    const group = broker.group('g', { topics: 'jobs' })
    void group.join().run(() => {})
    broker.topic('jobs').publish({ value: 'wash' })
    await group.caughtUp()
    await jest.advanceTimersByTimeAsync(4_999)
    expect(group.committed('jobs', 0)).toBeUndefined()
    await jest.advanceTimersByTimeAsync(1)
    expect(group.committed('jobs', 0)).toBe(1)
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

  test('a poll that nothing comes for times out', async () => {
    const polled = broker.group('g', { topics: 'jobs' }).join().poll({ timeoutMs: 60_000 })
    await jest.advanceTimersByTimeAsync(60_000)
    expect(await polled).toEqual([])
  })

  test('a consumer that does not come back is expelled', async () => {
    const group = broker.group('g', { topics: 'jobs', maxPollIntervalMs: 10_000 })
    group.join()
    await jest.advanceTimersByTimeAsync(10_000)
    expect(group.members).toEqual([])
  })
})
