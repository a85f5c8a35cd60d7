// Every group reads everything, at its own pace: what one has read, or not yet, is no concern of another.
import { Broker } from 'millrace'

const broker = new Broker<{ orders: string }>({ topics: { orders: {} } })
const orders = broker.topic('orders')
orders.publishAll(['tea', 'milk', 'honey', 'bread', 'salt'].map(value => ({ value })))

// The audit takes all there is at once, the mailer one order at a time.
const audit = broker.group('audit', { topics: 'orders', commitMode: 'manualCommit' })
const mailer = broker.group('mailer', { topics: 'orders', commitMode: 'manualCommit', maxPollRecords: 1 })
const [auditor, sender] = [audit.join(), mailer.join()]
const showLag = (): void => console.log(`  lag: audit ${audit.lag()}, mailer ${mailer.lag()}`)

const batch = await auditor.poll()
await auditor.commit(batch)
console.log(`audit: ${batch.map(({ value }) => value).join(', ')}`)
showLag()

for (const turn of [1, 2]) {
  const mail = await sender.poll()
  await sender.commit(mail)
  console.log(`mailer, poll ${turn}: ${mail.map(({ value }) => value).join(', ')}`)
}
showLag()

// The records are kept once, a group is only its offsets. A new one starts at the earliest record or, told so, with
// what comes next.
const history = broker.group('history', { topics: 'orders' }).join()
const news = broker.group('news', { topics: 'orders', autoOffsetReset: 'latest' }).join()
orders.publish({ value: 'sugar' })
console.log(`history: ${(await history.poll()).length} records`)
console.log(`news: ${(await news.poll()).map(({ value }) => value).join(', ')}`)

// A member that leaves leaves the group's offsets behind: whoever comes next goes on from there.
await sender.close()
console.log(`mailer: committed ${mailer.committed('orders', 0)}`)
const successor = mailer.join()
for await (const record of successor) {
  console.log(`mailer: ${record.offset} ${record.value}`)
  await successor.commit(record)
  if (mailer.lag() === 0) break
}
showLag()
await broker.close()

// Output:
// audit: tea, milk, honey, bread, salt
//   lag: audit 0, mailer 5
// mailer, poll 1: tea
// mailer, poll 2: milk
//   lag: audit 0, mailer 3
// history: 6 records
// news: sugar
// mailer: committed 2
// mailer: 2 honey
// mailer: 3 bread
// mailer: 4 salt
// mailer: 5 sugar
//   lag: audit 1, mailer 0
