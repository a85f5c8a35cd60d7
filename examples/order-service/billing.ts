// The first group: takes the money for each order, and writes an invoice.
import type { Broker } from 'millrace'
import type { Topics } from './topics.js'

export interface Bank {
  /** Any number of calls with one order's id take its money once: what reads at-least-once has to be able to repeat. */
  charge(orderId: string, customer: string | null, cents: number): Promise<void>
}

export function billing(broker: Broker<Topics>, bank: Bank): Promise<void> {
  const group = broker.group('billing', { topics: 'orders', commitMode: 'manualCommit' })
  return group.join().run(
    async ({ key, value: { id, cents } }, { commit }) => {
      await bank.charge(id, key, cents)
      await broker.topic('invoices').publish({ key, value: { orderId: id, cents } })
      await commit() // last: whoever dies before this line does it all again
    },
    {
      retry: { attempts: 3, backoffMs: attempt => 50 * 2 ** attempt },
      deadLetter: broker.topic('orders.dead'),
    },
  )
}
