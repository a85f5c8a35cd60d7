import { Broker } from 'millrace'
import { collectGarbage, interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { fewOrders, type Order, orders, partitions } from '../workload.js'

/** Publishing, with groups on the topic whose members don't ask for anything. */
export const idleGroups: Family = async effort => {
  const count = effort.records / 2
  const input = orders(count)
  const begin = (groups: number) => {
    const broker = new Broker<{ orders: Order }>({ topics: { orders: { partitions } } })
    for (let i = 0; i < groups; i++) broker.group(`group-${i}`, { topics: 'orders' }).join()
    return broker
  }
  keepAlive(begin(2)).topic('orders').publishAll(fewOrders)
  const publishBeside = (groups: number) => (): number => {
    const broker = begin(groups)
    const topic = broker.topic('orders')
    collectGarbage()
    const start = performance.now()
    for (const record of input) topic.publish(record)
    const took = performance.now() - start
    void broker.close()
    return took
  }

  const times = await interleave({ many: publishBeside(1_000), one: publishBeside(1) }, effort)
  return [
    {
      measure: 'publish with 1,000 idle groups on the topic / with one',
      aim: { text: '<= 1.2x the time', atMost: 1.2 },
      ...ratio(times.many, times.one),
      unit: 'x',
      bars: [rate('1,000 idle groups', count, times.many, true), rate('1 idle group', count, times.one, true)],
    },
  ]
}
