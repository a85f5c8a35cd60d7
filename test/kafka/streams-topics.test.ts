// The topics that an application makes on a cluster, and those that it can't work with.
import type { Codec } from 'millrace'
import { StreamsBuilder, type Topology } from 'millrace/streams'
import { expect, test } from 'vitest'
import { begun, byKey, clusterWith, started, workedThrough } from './streams-applications.js'
import { type AnyTopics, fresh } from './support.js'
import { settingsOf } from './world.js'

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
