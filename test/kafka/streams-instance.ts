// An instance of the application of words, run as a process of its own: ADDRESS ID. It answers 'tasks' with those that it
// has, once it has all of its part. After 'keep commits' none of its commits reaches the group any more, and it says so.
import type { NextOffset } from 'millrace'
import { kafkaBroker } from 'millrace/kafka'
import { Streams } from 'millrace/streams'
import { words } from './streams-words.js'

const [address = '', id = ''] = process.argv.slice(2)
const broker = kafkaBroker({ bootstrapBrokers: [address] })
const tell = (message: unknown): void => void process.send!(message)

let keeps = false
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
    return consumer
  }
  return found
}) as typeof group

const streams = new Streams(words(id), { applicationId: id, broker })
process.on('message', async message => {
  keeps ||= message === 'keep commits'
  await streams.ready()
  tell(streams.tasks.map(task => task.id))
})
process.once('SIGTERM', () => void streams.close())
await streams.run()
await broker.close()
process.disconnect()
