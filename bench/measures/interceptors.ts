import type * as Millrace from 'millrace'
import { interleave, keepAlive, rate, ratio } from '../harness.js'
import type { Family } from '../measure.js'
import { fewOrders, type Order, orders, partitions, Till } from '../workload.js'
import { pollAll } from './reading.js'

/** A copy of its own for each: what one contender does to the types that V8 has seen is no concern of another's. */
const load = (name: string): Promise<typeof Millrace> => import(new URL(name, import.meta.url).href)

/** A broker without interceptors, against the same code with every question for an interceptor cut out of it. */
export const interceptors: Family = async effort => {
  const count = effort.records
  const input = orders(count)
  const till = new Till(input)
  const publishAndPoll = async ({ Broker }: typeof Millrace, list: readonly Millrace.Interceptor[] = []) => {
    const begin = () => {
      const broker = new Broker<{ orders: Order }>({ topics: { orders: { partitions } }, interceptors: list })
      const consumer = broker.group('billing', { topics: 'orders' }).join()
      return { topic: broker.topic('orders'), consumer }
    }
    const living = keepAlive(begin())
    for (const record of fewOrders) living.topic.publish(record)
    await pollAll(living.consumer, new Till(fewOrders))
    return async (): Promise<void> => {
      const { topic, consumer } = begin()
      for (const record of input) topic.publish(record)
      await pollAll(consumer, till)
      till.check()
    }
  }
  const whole = await load('whole.js')
  const cut = await load('without-interceptors.js')
  const other = await load('whole.js?intercepted')

  const times = await interleave(
    {
      none: await publishAndPoll(whole),
      cutOut: await publishAndPoll(cut),
      one: await publishAndPoll(other, [{ publish: (operation, proceed) => proceed(operation.record) }]),
    },
    { ...effort, rounds: 2 * effort.rounds },
  )
  return [
    {
      measure: 'publish + poll of a broker without interceptors / the same code with interceptors cut out',
      aim: { text: '<= 1.05x the time', atMost: 1.05 },
      ...ratio(times.none, times.cutOut),
      unit: 'x',
      bars: [
        rate('no interceptor', count, times.none, true),
        rate('the same code without the questions', count, times.cutOut, true),
        rate('one around publish', count, times.one, true),
      ],
    },
  ]
}
