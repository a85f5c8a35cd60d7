import { check } from '../runner.js'
import { same } from './assert.js'
import { given, type Promises, type Read, valuesOf } from './world.js'

/** Topics: there or not, made by createTopic(), with a codec of their own. */
export const topics: Promises = {
  'a topic has its partitions, and can be made only once': given({ orders: 3 }, async w => {
    same('the partitions of a topic that was there', await w.keep('a count', w.topic('orders').partitionCount()), 3)
    const name = w.name('refunds')
    const refunds = await w.keep('a topic to be made', w.broker.createTopic(name, { partitions: 2 }))
    same('its name', refunds.name, name)
    same('its partitions', await w.keep('a count', refunds.partitionCount()), 2)
    await w.keep('a record', refunds.publish({ value: 'first' }))
    await w.refused('making it again', 'TOPIC_ALREADY_EXISTS', () => w.broker.createTopic(name))
    same('what is in it', valuesOf(await w.all('refunds')), ['first'])
  }),

  'a topic that there is not is UNKNOWN_TOPIC_OR_PARTITION, at first use at the latest': given(
    { orders: 1 },
    async w => {
      const unknown = 'UNKNOWN_TOPIC_OR_PARTITION'
      await w.refused('publish()', unknown, () => w.topic('missing').publish({ value: 0 }))
      await w.refused('read()', unknown, () => w.all('missing'))
      await w.refused('a group', unknown, () => w.group({ topics: ['missing'] }).lag())
    },
  ),

  'a codec writes what its topic is given, and reads it back': given({}, async w => {
    const text = new TextEncoder()
    const codec = {
      encode: (value: { at: Date }) => text.encode(value.at.toISOString()),
      decode: (bytes: Uint8Array) => ({ at: new Date(new TextDecoder().decode(bytes)) }),
    }
    const name = w.name('visits')
    const visits = await w.keep('a topic to be made', w.broker.createTopic(name, { partitions: 1, codec }))
    const visit = { at: new Date(Date.UTC(1999, 11, 31)) }
    await w.keep('a record', visits.publish({ key: 'a', value: visit }))
    await w.keep('a tombstone', visits.publish({ key: 'a', value: null }))
    visit.at.setFullYear(2000)
    const [read, none] = (await w.collect(visits.read({ until: 'latest' }))) as [Read, Read]
    check(read.value.at instanceof Date, () => `the value is read as ${String(read.value.at)}`)
    same('the value', read.value.at.toISOString(), '1999-12-31T00:00:00.000Z')
    same('the tombstone', none.value, null)
    const [polled] = await w.take(await w.join(w.group({ topics: ['visits'] })), 1)
    same('the value of a poll', polled!.value.at.toISOString(), '1999-12-31T00:00:00.000Z')
  }),
}
