// A member, run as a process of its own, that is killed while its handler is at work: ADDRESS TOPIC GROUP.
import { kafkaBroker } from 'millrace/kafka'

const [address = '', topic = '', group = ''] = process.argv.slice(2)
const broker = kafkaBroker({ bootstrapBrokers: [address] })
const consumer = broker.group(group, { topics: topic, commitMode: 'manualCommit' }).join()
await consumer.run(async ({ partition, offset }, { commit }) => {
  if (offset === 3) {
    console.log(JSON.stringify({ partition, offset }))
    await new Promise(() => {})
  }
  await commit()
})
