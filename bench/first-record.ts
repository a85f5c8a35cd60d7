import { ConsumerGroup, Topic } from 'millrace'

// A whole process: the library is imported, and one record goes through it.
const topic = new Topic<string>('orders')
const consumer = new ConsumerGroup('billing', topic).join()
topic.publish({ key: 'a', value: 'first' })
const [record] = await consumer.poll()
if (record?.value !== 'first') process.exit(1)
await consumer.close()
