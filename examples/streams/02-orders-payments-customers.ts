// Three topics made one: orders meet their payments within an hour, in whatever order they come, and then the row of
// their customer as it is at that moment.
import { joinWindows, StreamsBuilder, TopologyTestDriver } from 'millrace/streams'
import { moment, table } from '../access-log/table.js'

interface Order {
  readonly customer: string
  readonly item: string
  readonly euros: number
}
interface Receipt extends Order {
  readonly paid: number | undefined
  readonly name: string | undefined
}
interface Topics {
  orders: Order // by order number
  payments: number // by order number, too
  customers: { readonly name: string } | null // by customer
  receipts: Receipt // by customer
}

const hour = 3_600_000
const builder = new StreamsBuilder<Topics>()
const customers = builder.table('customers')
builder
  .stream('orders')
  .leftJoin(
    builder.stream('payments'),
    (order, paid) => ({ ...order, paid }),
    joinWindows({ differenceMs: hour, graceMs: 0 }),
  )
  .selectKey(({ customer }) => customer)
  .leftJoin(customers, (order, row): Receipt => ({ ...order, name: row?.name }))
  .to('receipts')

// The test driver needs no broker and no clock: time is what the records say.
const driver = new TopologyTestDriver(builder.build(), { partitions: 4 })
const at = (minutes: number): number => Date.UTC(2024, 0, 1, 9, minutes)

driver.pipe('customers', { key: 'ada', value: { name: 'Ada' }, timestamp: at(0) })
driver.pipe('orders', { key: '1', value: { customer: 'ada', item: 'tea', euros: 4 }, timestamp: at(1) })
driver.pipe('payments', { key: '1', value: 4, timestamp: at(20) })
driver.pipe('payments', { key: '2', value: 380, timestamp: at(25) }) // paid before it was ordered
driver.pipe('orders', { key: '2', value: { customer: 'bob', item: 'a violin', euros: 380 }, timestamp: at(30) })
driver.pipe('customers', { key: 'ada', value: { name: 'Ada King' }, timestamp: at(40) })
driver.pipe('orders', { key: '3', value: { customer: 'ada', item: 'cake', euros: 3 }, timestamp: at(45) })
driver.pipe('payments', { key: '3', value: 3, timestamp: at(50) })
driver.pipe('orders', { key: '4', value: { customer: 'ada', item: 'a yacht', euros: 9_000_000 }, timestamp: at(55) })

const receipts = (): string =>
  table(
    'Receipts',
    ['at (UTC)', 'customer', 'item', 'euros', 'paid'],
    driver
      .read('receipts')
      .map(({ timestamp, value: { customer, name, item, euros, paid } }) => [
        moment(timestamp),
        name ?? `(${customer})`,
        item,
        euros,
        paid === undefined ? 'no' : 'yes',
      ]),
  )
console.log(receipts())

// That nobody pays is known when the hour is over: when a later record of the same partition says so.
driver.pipe('orders', { key: '4', value: { customer: 'ada', item: 'tea', euros: 4 }, timestamp: at(180) })
console.log(receipts())

// Output:
// Receipts
//   at (UTC)             customer  item      euros  paid
//   2024-01-01 09:20:00  Ada       tea           4  yes
//   2024-01-01 09:30:00  (bob)     a violin    380  yes
//   2024-01-01 09:50:00  Ada King  cake          3  yes
// Receipts
//   at (UTC)             customer  item         euros  paid
//   2024-01-01 09:55:00  Ada King  a yacht  9,000,000  no
