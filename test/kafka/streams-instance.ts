// An instance of the application of words, run as a process of its own: ADDRESS ID. It answers 'tasks' with those that it
// has, once it has all of its part. After 'keep commits' none of its commits reaches the group any more, and it says so. After
// 'with words in hand' it stops itself when it has the next words to count, after 'after its counts' when it has written
// the next counts and not yet how it came to them; it says so as well.
import type { NextOffset } from 'millrace'
import { kafkaBroker } from 'millrace/kafka'
import { Streams } from 'millrace/streams'
import { topicsOf, words as topologyOf } from './streams-words.js'

const [address = '', id = ''] = process.argv.slice(2)
const { counts, words } = topicsOf(id)
const broker = kafkaBroker({ bootstrapBrokers: [address] })
const tell = (message: unknown): void => void process.send!(message)

let keeps = false
let stopsAt: unknown
async function standStill(at: string): Promise<void> {
  if (stopsAt !== at) return
  stopsAt = undefined
  await new Promise(told => process.send!('stands still', told))
  process.kill(process.pid, 'SIGSTOP')
}
const group = broker.group.bind(broker)
broker.group = ((id: string, options: Parameters<typeof group>[1]) => {
  const found = group(id, options)
  const join = found.join.bind(found)
  found.join = named => {
    const consumer = join(named)
    const commit = consumer.commit.bind(consumer)
    consumer.commit = ((offsets: readonly NextOffset[]) => {
      if (!keeps) return commit(offsets)
      tell('kept')
      return new Promise(() => {})
    }) as typeof commit
    const poll = consumer.poll.bind(consumer)
    consumer.poll = async options => {
      const records = await poll(options)
      if (records.some(({ topic }) => topic === words)) await standStill('with words in hand')
      return records
    }
    return consumer
  }
  return found
}) as typeof group

const topic = broker.topic.bind(broker)
broker.topic = ((name: string) => {
  const found = topic(name)
  if (name !== counts) return found
  const publishAll = found.publishAll.bind(found)
  found.publishAll = async records => {
    await publishAll(records)
    await standStill('after its counts')
  }
  return found
}) as typeof topic

const streams = new Streams(topologyOf(id), { applicationId: id, broker })
process.on('message', async (message: string) => {
  keeps ||= message === 'keep commits'
  if (/^with|^after/.test(message)) stopsAt = message
  await streams.ready()
  tell(streams.tasks.map(task => task.id))
})
process.once('SIGTERM', () => void streams.close())
await streams.run()
await broker.close()
process.disconnect()
