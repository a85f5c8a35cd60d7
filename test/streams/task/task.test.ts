import type { ConsumerRecord } from 'millrace'
import { StreamsBuilder, timeWindows } from 'millrace/streams'
import { expect, test } from 'vitest'
import { StreamTask } from '../../../src/streams/task/task.js'
import { planOf } from '../../../src/streams/topology/topology.js'

// What a shell relies on: see src/streams/task/seam.ts.

const record = (offset: number, timestamp: number, value: unknown = 1, key: string | null = 'k'): ConsumerRecord => ({
  topic: 'in',
  partition: 0,
  offset,
  timestamp,
  key,
  value,
  headers: [],
})

function taskOf(build: (builder: StreamsBuilder) => void, now = () => 0): StreamTask {
  const builder = new StreamsBuilder()
  build(builder)
  const { subtopologies } = planOf(builder.build())
  const environment = { applicationId: 'app', now, globalStore: () => undefined, freeze: false }
  return new StreamTask(subtopologies[0]!, 0, environment)
}
const counting = (builder: StreamsBuilder): void =>
  builder.stream('in').groupByKey().count({ store: 'counts' }).toStream().to('out')

test('what was done is drained once; rows and times that have changed, once for each drain', () => {
  const task = taskOf(counting)
  task.start()
  expect(task.drain()).toEqual({ outputs: [], changes: [] })
  task.process(record(0, 5))
  task.process(record(1, 9))
  const sink = 'KSTREAM-SINK-0000000003'
  const output = { topic: 'out', partition: undefined, key: 'k', headers: [], sink, from: expect.anything() }
  const counts = { topic: 'app-counts-changelog', partition: 0, key: 'k' }
  expect(task.drain()).toEqual({
    outputs: [
      { ...output, value: 1, timestamp: 5 },
      { ...output, value: 2, timestamp: 9 },
    ],
    changes: [
      { ...counts, value: 2, timestamp: 9 },
      { topic: 'app-0-time-changelog', partition: 0, key: 'stream-time', value: 9, timestamp: 9 },
    ],
  })
  task.process(record(2, 7))
  expect(task.drain().changes).toEqual([{ ...counts, value: 3, timestamp: 9 }])
  expect(task.drain()).toEqual({ outputs: [], changes: [] })
})

test('its changelogs make another task of it, which says nothing of that', () => {
  const build = (builder: StreamsBuilder): void =>
    builder
      .stream('in')
      .groupByKey()
      .windowedBy(timeWindows({ sizeMs: 10 }), { emit: 'on close' })
      .count({ store: 'counts' })
      .toStream((_count, { key, start }) => `${key}@${start}`)
      .to('out')
  const first = taskOf(build)
  first.start()
  for (const [i, timestamp] of [1, 12, 15].entries()) first.process(record(i, timestamp))
  const { outputs, changes } = first.drain()
  expect(outputs.map(({ key, value }) => [key, value])).toEqual([['k@0', 1]])

  const second = taskOf(build)
  for (const change of changes) second.restore(change)
  second.start()
  expect(second.streamTime).toBe(15)
  expect(second.drain()).toEqual({ outputs: [], changes: [] })
  // Too late for the first window; the second one closes, and the first does not come again.
  second.process(record(3, 9))
  second.process(record(4, 20))
  expect(second.drain().outputs.map(({ key, value }) => [key, value])).toEqual([['k@10', 2]])
})

test('an output that is not admitted undoes its record', () => {
  const builder = new StreamsBuilder()
  counting(builder)
  const task = new StreamTask(planOf(builder.build()).subtopologies[0]!, 0, {
    applicationId: 'app',
    now: () => 0,
    globalStore: () => undefined,
    freeze: false,
    admit({ value }) {
      if (value === 2) throw new Error('full')
    },
  })
  task.start()
  task.process(record(0, 1))
  expect(() => task.process(record(1, 2))).toThrow('full')
  const { outputs, changes } = task.drain()
  expect(outputs).toHaveLength(1)
  expect(changes.map(({ key, value }) => [key, value])).toEqual([
    ['k', 1],
    ['stream-time', 1],
  ])
})

test('it says when its next wall-clock punctuation is due, cancelled ones left out', () => {
  let now = 100
  let cancel: () => void = () => {}
  const fired: number[] = []
  const task = taskOf(
    builder =>
      builder.stream('in').process(() => ({
        init(context) {
          cancel = context.schedule(10, 'wall clock time', time => fired.push(time))
          context.schedule(25, 'wall clock time', time => fired.push(-time))
        },
        process() {},
      })),
    () => now,
  )
  expect(task.nextWallClockPunctuation).toBeUndefined()
  task.start()
  expect(task.nextWallClockPunctuation).toBe(110)
  now = 134
  task.punctuate('wall clock time')
  // B11.9: once, however many intervals passed, and on its grid again.
  expect(fired).toEqual([134, -134])
  expect(task.nextWallClockPunctuation).toBe(140)
  cancel()
  expect(task.nextWallClockPunctuation).toBe(150)
})

test('the time of a record is that of the source, and is told without working on it', () => {
  const task = taskOf(builder => {
    builder
      .stream('in', { timestamp: (value, key, context) => value.at + (key === 'k' ? context.offset : 0) })
      .to('out')
  })
  task.start()
  expect(task.timestampOf(record(3, 50, { at: 7 }))).toBe(10)
  expect(task.streamTime).toBe(-1)
  task.process(record(3, 50, { at: 7 }))
  expect(task.drain().outputs[0]?.timestamp).toBe(10)
})
