import type { Broker } from 'millrace'
import { Streams } from 'millrace/streams'
import { type TestBroker, testBroker } from 'millrace/testing'
import type { Case, Step, Written } from './case.js'
import { sinksOf, writtenOf } from './play.js'
import { build } from './program.js'

/** How a case is run on a broker. */
export interface Way {
  /** What an instance works on. */
  broker(broker: TestBroker<any>): Broker<any>
  maxPollRecords?: number
  /** Called before an input; whether the instance is over, and another is to be started. */
  ends?(at: number, streams: Streams<any>, broker: Broker<any>): Promise<void> | undefined
}

/** Runs a case on `Streams`, input by input: the records of its topics, as play() gives them. Of one that nothing throws in. */
export async function run({ startMs, steps, input }: Case, way: Way): Promise<Record<string, Written[]>> {
  const { topology } = build(steps)
  const topics = sinksOf(steps)
  const partitions = Object.fromEntries([...sourcesOf(steps), ...topics].map(name => [name, { partitions: 1 }]))
  await using broker = testBroker<any>({ topics: partitions })
  await broker.clock.advance(startMs)
  const start = async () => {
    const view = way.broker(broker)
    const { maxPollRecords } = way
    const streams = new Streams(topology, { applicationId: 'app', broker: view, maxPollRecords })
    const done = streams.run()
    done.catch(() => {})
    await broker.clock.advanceUntil(streams.ready())
    return { view, streams, done }
  }
  let instance = await start()
  const records: Record<string, Written[]> = {}
  for (const [at, each] of input.entries()) {
    const ended = way.ends?.(at, instance.streams, instance.view)
    if (ended !== undefined) {
      await broker.clock.advanceUntil(ended)
      instance = await start()
    }
    if ('wall' in each) await broker.clock.advance(each.wall)
    else {
      const [topic, key, value, timestamp, headers = []] = each
      broker.topic(topic).publish({ key, value, timestamp, headers })
    }
    await Promise.race([broker.clock.advanceUntil(broker.settled()), instance.done])
    for (const topic of topics) {
      const before = records[topic] ?? []
      const found = broker.published(topic).slice(before.length)
      if (found.length > 0) records[topic] = [...before, ...found.map(record => writtenOf(record, at))]
    }
  }
  await broker.clock.advanceUntil(instance.streams.close())
  await instance.done
  return records
}

const sourcesOf = (steps: readonly Step[]): string[] =>
  steps.flatMap(step =>
    step.op === 'stream' ? step.topics : step.op === 'table' || step.op === 'globalTable' ? [step.topic] : [],
  )
