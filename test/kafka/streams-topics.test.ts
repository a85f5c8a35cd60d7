// The topics that an application makes on a cluster, and those that it can't work with.
import type { Codec } from 'millrace'
import { StreamsBuilder, type Topology } from 'millrace/streams'
import { describe, expect, test } from 'vitest'
import { begun, byKey, clusterWith, deadlineMs, started, workedThrough } from './streams-applications.js'
import { type AnyTopics, failure, fresh } from './support.js'
import { cluster, settingsOf, within } from './world.js'

/** What JSON has no text for. */
const bigints: Codec<bigint> = {
  encode: value => new TextEncoder().encode(value.toString()),
  decode: bytes => BigInt(new TextDecoder().decode(bytes)),
}

/** Sums of what is paid, by customer, through a repartition topic. */
function sums(payments: string, totals: string): Topology<AnyTopics> {
  const builder = new StreamsBuilder<AnyTopics>()
  builder
    .stream(payments)
    .map(({ by, cents }) => [by as string, BigInt(cents)] as const)
    .groupByKey({ codec: bigints })
    .reduce((sum, cents) => sum + cents, { store: 'sums', codec: bigints })
    .toStream()
    .mapValues(String)
    .to(totals)
  return builder.build()
}

test('makes its own topics: changelogs compacted, a repartition topic that keeps all; values of a codec as base64', async () => {
  const [id, payments, totals] = [fresh('sums'), fresh('payments'), fresh('totals')]
  await using broker = await clusterWith({ [payments]: 3, [totals]: 1 })
  const pay = (records: readonly (readonly [by: string, cents: number])[]) =>
    broker.topic(payments).publishAll(records.map(([by, cents]) => ({ value: { by, cents } })))
  const paths = [payments, `${id}-sums-repartition`]
  {
    await using _ = await started(broker, id, sums(payments, totals))
    for (const [name, settings] of [
      ['sums-changelog', { 'cleanup.policy': 'compact' }],
      ['0-time-changelog', { 'cleanup.policy': 'compact' }],
      ['1-time-changelog', { 'cleanup.policy': 'compact' }],
      ['sums-repartition', { 'cleanup.policy': 'delete', 'retention.ms': String(Number.MAX_SAFE_INTEGER) }],
    ] as const) {
      expect(await broker.topic(`${id}-${name}`).partitionCount(), name).toBe(3)
      expect(await settingsOf(`${id}-${name}`, Object.keys(settings)), name).toEqual(settings)
    }
    await pay([
      ['ann', 5],
      ['bob', 70],
    ])
    await workedThrough(id, paths)
  }
  const asBase64 = (text: string): string => Buffer.from(text).toString('base64')
  expect(await byKey(broker, `${id}-sums-repartition`)).toEqual({ ann: [asBase64('5')], bob: [asBase64('70')] })
  expect(await byKey(broker, `${id}-sums-changelog`)).toEqual({ ann: [asBase64('5')], bob: [asBase64('70')] })

  // The next instance reads them again.
  await using _ = await started(broker, id, sums(payments, totals))
  await pay([['ann', 1]])
  await workedThrough(id, paths)
  expect(await byKey(broker, totals)).toEqual({ ann: ['5', '6'], bob: ['70'] })
})

test('topics of one sub-topology that differ in their partitions are TOPOLOGY, before anything has run', async () => {
  const [id, narrow, wide, merged] = [fresh('merge'), fresh('narrow'), fresh('wide'), fresh('merged')]
  await using broker = await clusterWith({ [narrow]: 1, [wide]: 2, [merged]: 1 })
  const builder = new StreamsBuilder<AnyTopics>()
  builder.stream(narrow).merge(builder.stream(wide)).to(merged)
  const { done, streams } = begun(broker, id, builder.build())
  await expect(done).rejects.toMatchObject({
    code: 'TOPOLOGY',
    message: expect.stringMatching(`${narrow} has 1, ${wide} has 2`),
  })
  await expect(broker.topic(`${id}-0-time-changelog`).partitionCount()).rejects.toMatchObject({
    code: 'UNKNOWN_TOPIC_OR_PARTITION',
  })
  expect(streams.state).toBe('failed')
  await expect(streams.ready()).rejects.toMatchObject({ code: 'TOPOLOGY' })
  expect(streams.tasks).toEqual([])
})

test('a topic that is not there is UNKNOWN_TOPIC_OR_PARTITION, before anything is made', async () => {
  const [id, there, missing] = [fresh('copy'), fresh('there'), fresh('missing')]
  await using broker = await clusterWith({ [there]: 1 })
  const builder = new StreamsBuilder<AnyTopics>()
  builder.stream(there).to(missing)
  const { done } = begun(broker, id, builder.build())
  await expect(done).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: missing } })
  await expect(broker.topic(`${id}-0-time-changelog`).partitionCount()).rejects.toMatchObject({
    code: 'UNKNOWN_TOPIC_OR_PARTITION',
  })
})

test('a source whose topic is deleted is the end of the run', async () => {
  const [id, kept, gone, copied] = [fresh('copy'), fresh('kept'), fresh('gone'), fresh('copied')]
  await using broker = await clusterWith({ [kept]: 1, [gone]: 1, [copied]: 1 })
  const builder = new StreamsBuilder<AnyTopics>()
  builder.stream(kept).to(copied)
  builder.stream(gone).to(copied)
  await using application = await started(broker, id, builder.build())
  const own = cluster()
  const about = { what: `Deleting ${gone}` }
  await own.request('any', kafka => kafka.deleteTopicsV6.api, [[{ name: gone }] as never, 5_000], { about })
  await own.close()
  const error = await failure(() => within('the end of the run', application.done, deadlineMs))
  expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', details: { topic: gone } })
})

describe('an output that can not be written ends the run, names the sink, and commits nothing', () => {
  const refused = async (value: unknown, key: string | null) => {
    const [id, events, state] = [fresh('refused'), fresh('events'), fresh('state')]
    await using broker = await clusterWith({ [events]: 1 })
    await broker.createTopic(state, { partitions: 1, cleanupPolicy: 'compact' })
    const builder = new StreamsBuilder<AnyTopics>()
    builder
      .stream(events)
      .mapValues(() => value)
      .to(state, { name: 'keeper' })
    const { done } = await started(broker, id, builder.build())
    await broker.topic(events).publish({ key, value: 1 })
    const error = await failure(() => within('the end of the run', done, deadlineMs))
    const group = broker.group(id, { topics: events, commitMode: 'manualCommit' })
    expect((await group.committed(events, 0)) ?? 0).toBe(0)
    const refusal = { code: 'INVALID_RECORD', details: { topic: state } }
    return { error, refusal, cause: expect.stringContaining(`keeper can't write to topic ${state}`) }
  }

  test('no key, where its topic is compacted: the cluster says so', async () => {
    const { error, refusal, cause } = await refused(1, null)
    expect(error).toMatchObject({ ...refusal, cause: { message: cause } })
    expect(error.message).toMatch(/[Cc]ompacted topic .* without key/)
  })
  test('a value that JSON has no text for: it is found while its record is worked on', async () => {
    const { error, refusal, cause } = await refused(5n, 'k')
    expect(error).toMatchObject({ code: 'HANDLER_FAILED', cause: { ...refusal, cause: { message: cause } } })
    expect(error.cause.message).toContain('could not encode')
  })
})
