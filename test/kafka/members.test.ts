import { type Consumer, isMillraceError } from 'millrace'
import { describe, expect, test } from 'vitest'
import { describeGroup } from '../../src/kafka/group-admin.js'
import { sessionMs } from './start-cluster.js'
import { fresh, onCluster } from './support.js'
import { cluster, configureGroup, gate, pass, until, within } from './world.js'

const partitionsOf = (consumer: Consumer<any>): number[] => consumer.assignment.map(({ partition }) => partition)
/** Tells what was assigned; to join a moment before the coordinator has heard of the topic is not told. */
const assignedIn =
  (told: string[]) =>
  (partitions: readonly unknown[]): void => {
    if (partitions.length > 0) told.push(`assigned ${partitions.length}`)
  }
const codeOf = (error: unknown): string => (isMillraceError(error) ? error.code : String(error))
const failing = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    value => `went well, with ${JSON.stringify(value)}`,
    error => error,
  )

/** A topic of a few partitions with so many records in each, and its group. */
async function setUp(partitions: number, perPartition: number, options: object = {}) {
  const topic = fresh('orders')
  const id = fresh('group')
  const broker = onCluster({ topics: { [topic]: { partitions } } })
  await broker.ready()
  const records = Array.from({ length: partitions * perPartition }, (_, i) => ({
    value: Math.floor(i / partitions),
    partition: i % partitions,
  }))
  await broker.topic(topic).publishAll(records)
  return { topic, id, broker, group: broker.group(id, { topics: topic, ...options }) }
}

describe('giving up', () => {
  test('onRevoked is awaited before a partition moves, and what is committed in it stands', async () => {
    const { broker, group, topic } = await setUp(2, 3, { commitMode: 'manualCommit' })
    await using _ = broker
    const asked = gate()
    const allowed = gate()
    const revoked: unknown[] = []
    const a = group.join({
      async onRevoked(partitions, consumer) {
        revoked.push(...partitions)
        asked.open()
        await allowed.opened
        if (revoked.length > 1) return
        await consumer.commit(partitions.map(where => ({ ...where, nextOffset: 2 })))
      },
    })
    await a.ready()
    let polled = 0
    while (polled < 6) polled += (await a.poll()).length
    const b = group.join()
    const parked = a.poll({ timeoutMs: 5_000 })
    await within('onRevoked', asked.opened)
    // More than ten heartbeats of both.
    await pass(1_000)
    expect([partitionsOf(a), partitionsOf(b)]).toEqual([[0, 1], []])
    allowed.open()
    await within('the move', b.ready())
    const partition = partitionsOf(b)[0]!
    expect(await group.committed(topic, partition)).toBe(2)
    const [record] = await b.poll()
    expect(record).toMatchObject({ partition, offset: 2 })
    expect(partitionsOf(a)).toEqual([1 - partition])
    await a.close()
    expect(await parked).toEqual([])
  })

  test('a commit after the partition has moved is refused, and the next owner keeps its own', async () => {
    const { broker, group, topic } = await setUp(1, 10, { commitMode: 'manualCommit' })
    await using _ = broker
    const a = group.join()
    await a.ready()
    const [first] = await a.poll({ maxRecords: 1 })
    await a.close()
    const b = group.join()
    await b.ready()
    await b.poll({ maxRecords: 5 })
    await b.commit()
    expect(codeOf(await failing(a.commit(first!)))).toBe('UNKNOWN_MEMBER_ID')
    expect(await group.committed(topic, 0)).toBe(5)
  })

  test('a commit of a partition that another member owns is refused on this side', async () => {
    const { broker, group, topic } = await setUp(2, 2)
    await using _ = broker
    const a = group.join()
    const b = group.join()
    await Promise.all([a.ready(), b.ready()])
    await until('each to have one', () => a.assignment.length === 1 && b.assignment.length === 1)
    const [theirs] = b.assignment
    expect(codeOf(await failing(a.commit([{ ...theirs!, nextOffset: 1 }])))).toBe('ILLEGAL_GENERATION')
    expect(await group.committed(topic, theirs!.partition)).toBeUndefined()
  })
})

describe('staying', () => {
  test('heartbeats go on while a handler works, for longer than a session lasts', async () => {
    const { broker, group, topic } = await setUp(1, 2)
    await using _ = broker
    const lost: unknown[] = []
    const consumer = group.join({ onLost: partitions => lost.push(partitions) })
    const seen: number[] = []
    const running = consumer.run(async ({ offset }, { commit }) => {
      if (offset === 0) await pass(sessionMs + 2_000)
      seen.push(offset)
      await commit()
    })
    await until('both records', () => seen.length === 2)
    expect([seen, lost]).toEqual([[0, 1], []])
    expect(await group.committed(topic, 0)).toBe(2)
    await consumer.close()
    await running
  })

  test('who does not come back within maxPollIntervalMs leaves, and is back with the next poll', async () => {
    const { broker, group, id, topic } = await setUp(1, 3, { maxPollIntervalMs: 2_500 })
    await using _ = broker
    const told: string[] = []
    const lost = gate()
    const a = group.join({
      onAssigned: assignedIn(told),
      onRevoked: () => void told.push('revoked'),
      onLost(partitions) {
        told.push(`lost ${partitions.length}`)
        lost.open()
      },
    })
    await a.ready()
    const records = await a.poll({ maxRecords: 1 })
    const memberId = a.memberId
    await until('it to be out', () => a.assignment.length === 0)
    expect(codeOf(await failing(a.commit(records)))).toBe('UNKNOWN_MEMBER_ID')
    // Its group has heard it: another gets the partition although no session is over.
    const other = onCluster()
    await using __ = other
    const b = other.group(id, { topics: topic }).join()
    await within('the other to own the partition', b.ready())
    expect(partitionsOf(b)).toEqual([0])
    await b.close()
    const again = await within('records after it came back', a.poll({ maxRecords: 1 }))
    await within('onLost', lost.opened)
    expect(again.map(({ offset }) => offset)).toEqual([0])
    expect(told).toEqual(['assigned 1', 'lost 1', 'assigned 1'])
    expect(a.memberId).toBe(memberId)
  })
})

test('a close() that runs out of time: the group hears of it, and what was finished is committed', async () => {
  const { broker, group, id, topic } = await setUp(1, 3, { autoCommitIntervalMs: 3_600_000 })
  const begun = gate()
  const running = group.join().run(({ offset }) => {
    if (offset < 2) return undefined
    begun.open()
    return new Promise(() => {})
  })
  await within('a handler that hangs', begun.opened)
  expect(codeOf(await failing(broker.close({ timeoutMs: 200 })))).toBe('REQUEST_TIMED_OUT')
  await running
  const own = cluster()
  expect((await describeGroup(own, id)).members).toEqual([])
  await own.close()
  await using outside = onCluster()
  expect(await outside.group(id, { topics: topic }).committed(topic, 0)).toBe(2)
})

test('a consumer whose close() has failed is not told of by the broker again', async () => {
  const { broker, group } = await setUp(1, 1)
  const begun = gate()
  const consumer = group.join()
  const running = consumer.run(() => {
    begun.open()
    return new Promise(() => {})
  })
  await within('a handler that hangs', begun.opened)
  expect(codeOf(await failing(consumer.close({ timeoutMs: 100 })))).toBe('REQUEST_TIMED_OUT')
  await running
  await broker.close()
})

describe('thrown out', () => {
  /** A heartbeat in another's name. */
  async function inItsName(id: string, consumer: Consumer<any>, epoch: number, topics: string[] | null): Promise<void> {
    const own = cluster()
    await own.request(
      { group: id },
      kafka => kafka.consumerGroupHeartbeatV1.api,
      [
        id,
        consumer.memberId!,
        epoch,
        null,
        null,
        topics === null ? -1 : 60_000,
        topics,
        null,
        null,
        topics && ([] as any),
      ],
      { about: { what: 'A heartbeat' } },
    )
    await own.close()
  }

  test.each([
    { how: 'a member that the group does not know any more', rejoins: false },
    { how: 'a member whose epoch the group does not take', rejoins: true },
  ])('$how loses everything, hears of it, and is back with the next poll', async ({ rejoins }) => {
    const { broker, group, id, topic } = await setUp(2, 2)
    await using _ = broker
    const told: string[] = []
    const consumer = group.join({
      onAssigned: assignedIn(told),
      onLost: partitions => void told.push(`lost ${partitions.length}`),
    })
    await consumer.ready()
    await consumer.poll({ maxRecords: 1 })
    const { position } = { position: consumer.position(topic, 0) }
    await inItsName(id, consumer, -1, null)
    if (rejoins) await inItsName(id, consumer, 0, [topic])
    await until('it to be out', () => consumer.assignment.length === 0)
    expect(codeOf(await failing(consumer.commit()))).toBe('UNKNOWN_MEMBER_ID')
    const records = []
    while (records.length < 4) records.push(...(await within('records', consumer.poll())))
    expect(told).toEqual(['assigned 2', 'lost 2', 'assigned 2'])
    expect(records.map(({ offset }) => offset).sort()).toEqual([0, 0, 1, 1])
    expect(position).toBeDefined()
  })

  test('in run() the handler is told by its signal, and the records come again', async () => {
    const { broker, group, id } = await setUp(1, 2)
    await using _ = broker
    const consumer = group.join()
    const begun = gate()
    const aborted = gate()
    const seen: number[] = []
    const running = consumer.run(async ({ offset }, { signal }) => {
      seen.push(offset)
      if (seen.length > 1) return
      signal.addEventListener('abort', aborted.open)
      begun.open()
      await aborted.opened
    })
    await within('a handler', begun.opened)
    await inItsName(id, consumer, -1, null)
    await until('both records once more', () => seen.length === 3)
    expect(seen).toEqual([0, 0, 1])
    await consumer.close()
    await running
  })
})

describe('static members', () => {
  test('a second live one of that name is refused, the first goes on', async () => {
    const { broker, group } = await setUp(1, 1)
    await using _ = broker
    const a = group.join({ instanceId: 'one' })
    await a.ready()
    const b = group.join({ instanceId: 'one' })
    const error = await failing(b.ready())
    expect(codeOf(error)).toBe('UNRELEASED_INSTANCE_ID')
    expect((error as Error).message).toContain('one')
    expect((await within('a record', a.poll())).length).toBe(1)
    await b.close()
  })

  test('the seat of one that has closed is kept: nobody else gets its partitions, and it has them back', async () => {
    const { broker, group, id } = await setUp(2, 1)
    await using _ = broker
    // On a busy machine it may take a while to be back.
    await configureGroup(id, { 'consumer.session.timeout.ms': '60000' })
    const a = group.join({ instanceId: 'one' })
    const b = group.join({ instanceId: 'two' })
    await Promise.all([a.ready(), b.ready()])
    await until('each to have one', () => a.assignment.length === 1 && b.assignment.length === 1)
    const before = partitionsOf(a)
    const theirs = partitionsOf(b)
    await a.close()
    // Some heartbeats, but no session.
    await pass(500)
    expect(partitionsOf(b)).toEqual(theirs)
    const again = group.join({ instanceId: 'one' })
    await within('its partitions', again.ready())
    expect(partitionsOf(again)).toEqual(before)
    expect(partitionsOf(b)).toEqual(theirs)
  })
})

describe("'latest'", () => {
  const latest = { autoOffsetReset: 'latest', commitMode: 'manualCommit' } as const

  const begun = (consumer: Consumer<any>, topic: string, at: number): Promise<void> =>
    until(`a start at ${at}`, async () => {
      expect(await consumer.poll({ timeoutMs: 20 })).toEqual([])
      return consumer.position(topic, 0) === at
    })

  test('a group begins once: the next owner starts there too, though nothing was committed', async () => {
    const { broker, group, id, topic } = await setUp(1, 3, latest)
    await using _ = broker
    const a = group.join()
    await a.ready()
    await begun(a, topic, 3)
    // Nothing that anybody has finished.
    expect([await group.committed(topic, 0), await group.lag()]).toEqual([undefined, 0])
    await broker.topic(topic).publish({ value: 3, partition: 0 })
    expect(await group.lag()).toBe(1)
    const b = group.join()
    await until('the other to be a member', () => b.memberId !== undefined)
    await a.close()
    const [record] = await within('the record', b.poll())
    expect([record!.offset, await group.committed(topic, 0)]).toEqual([3, undefined])
    expect(broker.group(id, { topics: topic, ...latest })).toBe(group)
  })

  test('it has begun when its member is ready(): what is published then is not skipped, whenever it is polled', async () => {
    const { broker, group, topic } = await setUp(1, 3, latest)
    await using _ = broker
    const consumer = group.join()
    await consumer.ready()
    await broker.topic(topic).publish({ value: 3, partition: 0 })
    const [record] = await within('the record', consumer.poll())
    expect(record!.offset).toBe(3)
  })

  test('when the last member has left, the group begins anew', async () => {
    const { broker, group, topic } = await setUp(1, 3, latest)
    await using _ = broker
    for (const end of [3, 4]) {
      const consumer = group.join()
      await consumer.ready()
      await begun(consumer, topic, end)
      await consumer.close()
      await broker.topic(topic).publish({ value: end, partition: 0 })
    }
  })
})

describe('topics that change', () => {
  test('a topic that grows: the new partitions are read from their start, also under latest', async () => {
    const { broker, group, topic } = await setUp(1, 1, { autoOffsetReset: 'latest' })
    await using _ = broker
    const consumer = group.join()
    await consumer.ready()
    await consumer.poll({ timeoutMs: 300 })
    const own = cluster()
    await own.request(
      'any',
      kafka => kafka.createPartitionsV3.api,
      [[{ name: topic, count: 3, assignments: null as never }], 10_000, false],
      {
        about: { what: 'Growing a topic' },
      },
    )
    await own.close()
    const other = onCluster()
    await using __ = other
    await until('the topic to have grown', async () => (await other.topic(topic).partitionCount()) === 3)
    await other.topic(topic).publish({ value: 'new', partition: 2 })
    const polled = consumer.poll()
    expect((await within('the record', polled)).map(({ partition, value }) => [partition, value])).toEqual([[2, 'new']])
    await until('all three', () => consumer.assignment.length === 3)
  })

  test('a topic that is deleted is lost, and the other one is read on', async () => {
    const topics = [fresh('kept'), fresh('dropped')] as const
    const broker = onCluster({ topics: Object.fromEntries(topics.map(name => [name, { partitions: 1 }])) })
    await using _ = broker
    await broker.ready()
    const group = broker.group(fresh('group'), { topics })
    const told: unknown[] = []
    const consumer = group.join({ onLost: partitions => void told.push(partitions) })
    await consumer.ready()
    await broker.topic(topics[1]).publish({ value: 1 })
    const [record] = await within('a record', consumer.poll())
    const polled = consumer.poll()
    const own = cluster()
    await own.request('any', kafka => kafka.deleteTopicsV6.api, [[{ name: topics[1] }] as never, 10_000], {
      about: { what: 'Deleting a topic' },
    })
    await own.close()
    await until('onLost', () => told.length > 0)
    expect(told).toEqual([[{ topic: topics[1], partition: 0 }]])
    expect(consumer.assignment).toEqual([{ topic: topics[0], partition: 0 }])
    expect(codeOf(await failing(consumer.commit([record!])))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    await broker.topic(topics[0]).publish({ value: 2 })
    expect((await within('the other topic', polled)).map(({ value }) => value)).toEqual([2])
  })

  test('to join for a topic that was never there is refused by its name', async () => {
    const broker = onCluster()
    await using _ = broker
    const topic = fresh('nowhere')
    const consumer = broker.group(fresh('group'), { topics: topic }).join()
    const error = await within('a refusal', failing(consumer.ready()))
    expect(codeOf(error)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect((error as Error).message).toContain(topic)
    await consumer.close()
  })
})
