// Tasks that go from one instance to another on a cluster, with their state and their time.
import { StreamsBuilder, timeWindows } from 'millrace/streams'
import { expect, test } from 'vitest'
import { byKey, clusterWith, deadlineMs, started, workedThrough } from './streams-applications.js'
import { type AnyTopics, fresh, onCluster } from './support.js'
import { until } from './world.js'

const sizeMs = 10_000
const visitors = Array.from({ length: 10 }, (_, i) => `visitor-${i}`)

test('a task takes its state and its time along; each instance has the global table whole', async () => {
  const [id, clicks, counts] = [fresh('clicks'), fresh('clicks'), fresh('counts')]
  const [pages, titles] = [fresh('pages'), fresh('titles')]
  await using broker = await clusterWith({ [clicks]: 3, [counts]: 1, [pages]: 2, [titles]: 1 })
  /** Where a window begins, a minute ago. */
  const begin = Math.floor(Date.now() / sizeMs - 6) * sizeMs
  const application = () => {
    const builder = new StreamsBuilder<AnyTopics>()
    const stream = builder.stream(clicks)
    const table = stream.groupByKey().windowedBy(timeWindows({ sizeMs })).count({ store: 'counts' })
    table
      .toStream()
      .map((count, { key, start }) => [key, [start - begin, count]] as const)
      .to(counts)
    const titleOf = builder.globalTable(pages)
    stream
      .join(
        titleOf,
        (_, title) => title,
        page => page,
      )
      .to(titles)
    return { table, topology: builder.build() }
  }
  const click = async (...times: number[]): Promise<void> => {
    const each = (time: number) => visitors.map(key => ({ key, value: 'start', timestamp: begin + time }))
    for (const time of times) await broker.topic(clicks).publishAll(each(time))
    await workedThrough(id, [clicks])
  }
  const rename = (title: string) => broker.topic(pages).publish({ key: 'start', value: title })

  await rename('Home')
  await using one = await started(broker, id, application().topology)
  expect(one.streams.tasks.map(task => task.id)).toEqual(['0_0', '0_1', '0_2'])
  await click(1_000, 12_000)
  expect(one.streams.tasks.map(task => task.streamTime - begin)).toEqual([12_000, 12_000, 12_000])

  // Some go to another. Its first window is closed: a late click is not counted, wherever its task is now.
  await using other = onCluster()
  const { table, topology } = application()
  await using two = await started(other, id, topology)
  await until(
    'the tasks to be shared',
    () => two.streams.tasks.length > 0 && one.streams.tasks.length + two.streams.tasks.length === 3,
    deadlineMs,
  )
  await rename('Welcome')
  await Promise.all([one.streams.ready(), two.streams.ready()])
  expect(two.streams.tasks.map(task => task.streamTime - begin)).toEqual(two.streams.tasks.map(() => 12_000))
  await click(2_000, 13_000)

  // All of them are the other's.
  await one.streams.close()
  await one.done
  await until('the rest', () => two.streams.tasks.length === 3, deadlineMs)
  await two.streams.ready()
  expect(two.streams.tasks.map(task => task.streamTime - begin)).toEqual([13_000, 13_000, 13_000])
  const rows = [...two.streams.query(table).range({ key: 'visitor-3' })]
  expect(rows.map(([{ start }, count]) => [start - begin, count])).toEqual([
    [0, 1],
    [sizeMs, 2],
  ])
  await click(3_000, 14_000)

  const counted = [
    [0, 1],
    [sizeMs, 1],
    [sizeMs, 2],
    [sizeMs, 3],
  ]
  expect(await byKey(broker, counts)).toEqual(Object.fromEntries(visitors.map(key => [key, counted])))
  const shown = ['Home', 'Home', 'Welcome', 'Welcome', 'Welcome', 'Welcome']
  expect(await byKey(broker, titles)).toEqual(Object.fromEntries(visitors.map(key => [key, shown])))
})
