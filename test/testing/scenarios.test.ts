// What goes wrong in every system of this kind, each as a test to paste: no sleeps, no real time, the same every run.
import { testBroker } from 'millrace/testing'
import { expect, test } from 'vitest'

test('auto-commit loses a record that was handed off when the process died', async () => {
  await using broker = testBroker<{ jobs: string }>({ topics: { jobs: {} } })
  broker.topic('jobs').publish({ value: 'wash' })
  const group = broker.group('workers', { topics: 'jobs' })
  const first = broker.process('first')
  const handedOff: string[] = []
  const consumer = first.group('workers', { topics: 'jobs' }).join()
  // Nobody awaits the work: for the group the record is finished as soon as the handler is.
  void consumer.run(record => void handedOff.push(record.value))
  await group.caughtUp()
  await broker.clock.advance(5_000) // autoCommitIntervalMs
  expect(handedOff).toEqual(['wash'])
  first.crash() // and what was handed off is gone with it

  expect(group.committed('jobs', 0)).toBe(1)
  expect(await group.join().poll({ timeoutMs: 0 })).toEqual([])
})

test('commit before work loses what was not done yet', async () => {
  await using broker = testBroker<{ jobs: string }>({ topics: { jobs: {} } })
  broker.topic('jobs').publishAll([{ value: 'wash' }, { value: 'dry' }])
  const first = broker.process('first')
  const consumer = first.group('workers', { topics: 'jobs', commitMode: 'manualCommit' }).join()
  const done: string[] = []
  const batch = await consumer.poll()
  await consumer.commit(batch)
  done.push(batch[0]!.value)
  first.crash() // before it came to the second

  const heir = broker.group('workers', { topics: 'jobs', commitMode: 'manualCommit' }).join()
  expect(await heir.poll({ timeoutMs: 0 })).toEqual([])
  expect(done).toEqual(['wash'])
})

test('commit after work repeats what was done and not committed', async () => {
  await using broker = testBroker<{ jobs: string }>({ topics: { jobs: {} } })
  broker.topic('jobs').publish({ value: 'wash' })
  const done: string[] = []
  const work = (name: string) => {
    const process = broker.process(name)
    const group = process.group('workers', { topics: 'jobs', commitMode: 'manualCommit' })
    void group.join().run(async (record, { commit }) => {
      done.push(`${record.value} by ${name}`)
      await commit()
    })
    return process
  }
  const commit = broker.faults.hold('commit', { process: 'first' })
  const first = work('first')
  await commit.reached
  first.crash() // the work is done, the commit on its way
  work('second')
  await broker.settled()
  expect(done).toEqual(['wash by first', 'wash by second'])
})

test('a rebalance in the middle of a batch repeats only what was not committed', async () => {
  await using broker = testBroker<{ jobs: number }>({ topics: { jobs: { partitions: 2 } } })
  for (const value of [0, 1, 2, 3]) broker.topic('jobs').publish({ partition: 1, value })
  const group = broker.group('workers', { topics: 'jobs', commitMode: 'manualCommit' })
  const first = group.join()
  const batch = await first.poll()
  expect(batch.map(record => record.value)).toEqual([0, 1, 2, 3])
  await first.commit(batch.slice(0, 2)) // half of it is done

  const second = group.join() // is to have partition 1, and waits for the batch to be over
  expect(group.moves).toMatchObject([{ partition: 1, waitingFor: 'records' }])
  await first.poll({ timeoutMs: 0 }) // comes back, without having committed the rest
  expect((await second.poll()).map(record => record.value)).toEqual([2, 3])
})

test("a zombie's commit fails, and overwrites nothing", async () => {
  await using broker = testBroker<{ jobs: string }>({ topics: { jobs: {} } })
  broker.topic('jobs').publishAll([{ value: 'wash' }, { value: 'dry' }])
  const group = broker.group('workers', { topics: 'jobs', commitMode: 'manualCommit', maxPollIntervalMs: 60_000 })
  const zombie = group.join()
  const [wash] = await zombie.poll({ maxRecords: 1 })

  const heir = group.join()
  await broker.clock.advance(60_000) // the zombie is in a long pause, and counts as dead
  await heir.commit(await heir.poll())
  await expect(zombie.commit(wash!)).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
  expect(group.committed('jobs', 0)).toBe(2)
})

test('a poison record goes to the dead letter topic, and its partition goes on', async () => {
  await using broker = testBroker<{ jobs: string; 'jobs.dead': string }>({ topics: { jobs: {}, 'jobs.dead': {} } })
  broker.topic('jobs').publishAll(['wash', '\0', 'dry'].map(value => ({ value })))
  const done: string[] = []
  const group = broker.group('workers', { topics: 'jobs' })
  void group.join().run(
    ({ value }) => {
      if (value === '\0') throw new Error('not a job')
      done.push(value)
    },
    { retry: { attempts: 3, backoffMs: 1_000 }, deadLetter: broker.topic('jobs.dead') },
  )
  await broker.clock.advanceUntil(group.caughtUp())
  expect(done).toEqual(['wash', 'dry'])
  expect(broker.published('jobs.dead').map(({ value }) => value)).toEqual(['\0'])
  expect(broker.history.of('failed').map(({ attempt, at }) => [attempt, at])).toEqual([
    [1, 0],
    [2, 1_000],
    [3, 2_000],
  ])
})

test('two groups read at two speeds', async () => {
  await using broker = testBroker<{ jobs: number }>({ topics: { jobs: {} } })
  const seen = { fast: 0, slow: 0 }
  const [fast, slow] = (['fast', 'slow'] as const).map(id => {
    const group = broker.group(id, { topics: 'jobs', autoCommitIntervalMs: 0 })
    void group.join().run(() => void seen[id]++)
    return group
  })
  broker.faults.delay('handle', { group: 'slow', ms: 1_000, times: Number.POSITIVE_INFINITY })
  broker.topic('jobs').publishAll([1, 2, 3, 4, 5].map(value => ({ value })))
  await fast!.caughtUp()
  await broker.clock.advance(2_000)
  expect(seen).toEqual({ fast: 5, slow: 2 })
  await broker.clock.advanceUntil(slow!.caughtUp())
  expect(seen).toEqual({ fast: 5, slow: 5 })
  expect(broker.clock.now()).toBe(5_000)
})

test('a slow consumer is expelled, and comes back', async () => {
  await using broker = testBroker<{ jobs: string }>({ topics: { jobs: {} } })
  broker.topic('jobs').publishAll([{ value: 'wash' }, { value: 'dry' }])
  const group = broker.group('workers', { topics: 'jobs', commitMode: 'manualCommit', maxPollIntervalMs: 60_000 })
  const slow = group.join()
  await slow.poll()
  await broker.clock.advance(60_000) // at work for longer than the group waits
  expect(slow.assignment).toEqual([])
  expect(broker.history.of('left').map(({ memberId, reason }) => [memberId, reason])).toEqual([
    [slow.memberId, 'expelled'],
  ])

  // Its next poll rejoins, and is handed what nobody has committed.
  const again = await slow.poll()
  expect(again.map(({ value }) => value)).toEqual(['wash', 'dry'])
  await slow.commit(again)
  expect(group.committed('jobs', 0)).toBe(2)
})
