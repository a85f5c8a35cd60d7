import type * as Millrace from 'millrace'
import { interleave, rate, ratio } from '../harness.js'
import type { Family, Row } from '../measure.js'
import { type Order, orders, partitions, Till } from '../workload.js'
import { pollAll } from './reading.js'

const load = (name: string): Promise<typeof Millrace> => import(new URL(name, import.meta.url).href)

/** A broker without interceptors, against the same code with every question for an interceptor cut out of it. */
export const interceptors: Family = async effort => {
  const count = effort.records
  const input = orders(count)
  const till = new Till(input)
  const publishAndPoll =
    ({ Broker }: typeof Millrace, list?: readonly Millrace.Interceptor[]) =>
    async () => {
      const broker = new Broker<{ orders: Order }>({
        topics: { orders: { partitions } },
        ...(list === undefined ? {} : { interceptors: list }),
      })
      const consumer = broker.group('billing', { topics: 'orders' }).join()
      for (const record of input) broker.topic('orders').publish(record)
      await pollAll(consumer, till)
      till.check()
      await broker.close()
    }
  const whole = await load('whole.js')
  const cut = await load('without-interceptors.js')

  const times = await interleave(
    {
      none: publishAndPoll(whole),
      cutOut: publishAndPoll(cut),
      one: publishAndPoll(whole, [{ publish: (operation, proceed) => proceed(operation.record) }]),
    },
    effort,
  )
  const bars = [
    rate('no interceptor', count, times.none, true),
    rate('the same code without the questions', count, times.cutOut, true),
    rate('one around publish', count, times.one, true),
  ]
  const row: Row = {
    measure: 'publish + poll of a broker without interceptors / the same code with interceptors cut out',
    aim: { text: '<= 1.05x the time', atMost: 1.05 },
    ...ratio(times.none, times.cutOut),
    unit: 'x',
    bars,
  }
  return [row]
}
