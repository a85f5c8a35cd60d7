// Three orders, a bank that is busy at first, and a card that it refuses:
//   npx tsx examples/order-service/main.ts
import { Broker } from 'millrace'
import { billing } from './billing.js'
import { mailing } from './mailing.js'
import { type Topics, topics } from './topics.js'

// Memory is chosen here and nowhere else: the service knows the portable interface alone.
const broker = new Broker<Topics>({ topics })

let busy = true
const bank = {
  async charge(orderId: string, customer: string | null) {
    if (customer === 'bob') throw new Error('the card was refused')
    if (busy) {
      busy = false
      throw new Error('the bank is busy')
    }
    console.log(`bank: order ${orderId} of ${customer} charged`)
  },
}
const post = { send: async (customer: string | null, text: string) => console.log(`mail to ${customer}: ${text}`) }
const working = [billing(broker, bank), mailing(broker, post)]

const orders = broker.topic('orders')
for (const [id, customer, item, cents] of [
  ['1', 'ada', 'tea', 450],
  ['2', 'bob', 'a yacht', 99_000_000],
  ['3', 'ada', 'cake', 380],
] as const)
  orders.publish({ key: customer, value: { id, item, cents } })

await broker.settled() // nothing happens by itself any more, retries included
await broker.close()
await Promise.all(working)

// Output:
// bank: order 1 of ada charged
// mail to ada: order 1: 450 cents, thank you
// bank: order 3 of ada charged
// mail to ada: order 3: 380 cents, thank you
// mail to bob: order 2: we are sorry, the card was refused
