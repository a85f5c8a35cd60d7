// The second group: tells each customer how it went, well or badly.
import { type Broker, lastHeader } from 'millrace'
import type { Topics } from './topics.js'

export interface Post {
  send(customer: string | null, text: string): Promise<void>
}

export function mailing(broker: Broker<Topics>, post: Post): Promise<void> {
  const group = broker.group('mailing', { topics: ['invoices', 'orders.dead'], commitMode: 'manualCommit' })
  return group.join().run(async (record, { commit }) => {
    const text =
      record.topic === 'invoices'
        ? `order ${record.value.orderId}: ${record.value.cents} cents, thank you`
        : `order ${record.value.id}: we are sorry, ${lastHeader(record, '__dlq.errors.message')}`
    await post.send(record.key, text)
    await commit()
  })
}
