// A topic is a log: records are appended, each gets the next offset, and reading removes nothing.
import { lastHeader, Topic } from 'millrace'

interface Order {
  item: string
  quantity: number
}

const orders = new Topic<Order>('orders')

// publish() answers with the place where the record now stands.
const { partition, offset } = orders.publish({
  value: { item: 'tea', quantity: 2 },
  headers: { source: 'web' },
})
console.log(`tea went to partition ${partition}, offset ${offset}`)

// Many at once is the fast path.
orders.publishAll([{ value: { item: 'milk', quantity: 1 } }, { value: { item: 'honey', quantity: 3 } }])

// Whoever reads starts at the earliest record and gets all of it, however often it was read before.
for (const reader of ['kitchen', 'accounts']) {
  for await (const record of orders.read({ until: 'latest' })) {
    console.log(`${reader}: ${record.offset} ${record.value.quantity} x ${record.value.item}`)
  }
}

// Or starts somewhere else: at an offset, at 'latest', at a time.
for await (const record of orders.read({ from: 2, until: 'latest' })) console.log(`from 2: ${record.value.item}`)

// In memory a partition can be looked into: where its log starts, and which offset comes next.
const [log] = orders.partitions
console.log(`offsets ${log?.startOffset} to ${log?.endOffset}`)
const [first] = log?.read(0, 1) ?? []
if (first !== undefined) console.log(`${first.value.item} came by ${lastHeader(first, 'source')}`)

// Output:
// tea went to partition 0, offset 0
// kitchen: 0 2 x tea
// kitchen: 1 1 x milk
// kitchen: 2 3 x honey
// accounts: 0 2 x tea
// accounts: 1 1 x milk
// accounts: 2 3 x honey
// from 2: honey
// offsets 0 to 3
// tea came by web
