// A log grows until it is told what may go: what all have consumed, what is too much, or what a newer record replaces.
// It goes by whole segments, never the one that is being written; what stays keeps its offset.
import { ConsumerGroup, Topic } from 'millrace'

// Without loss: what every group has committed past may go, and who publishes waits when too much is left to do.
const jobs = new Topic<number>('jobs', { retention: { consumed: true }, segmentRecords: 10 })
const workers = new ConsumerGroup('workers', jobs, { autoCommitIntervalMs: 0 })
const worker = workers.join()
let done = 0
void worker.run(() => {
  done += 1
})
let mostKept = 0
for (let value = 0; value < 1_000; value += 1) {
  jobs.publish({ value })
  if (workers.lag() >= 50) await workers.caughtUp()
  for (const { startOffset, endOffset } of jobs.partitions) mostKept = Math.max(mostKept, endOffset - startOffset)
}
await workers.caughtUp()
await worker.close()
console.log(`jobs: ${done} done, never more than ${mostKept} kept`)

// With loss: only the newest are kept, and a 'reset' event says what a slow reader has missed.
const prices = new Topic<number>('prices', { retention: { records: 20 }, segmentRecords: 10 })
const screen = new ConsumerGroup('screen', prices)
screen.on('reset', ({ from, to }) => console.log(`prices: ${from} to ${to - 1} are gone unread`))
const reader = screen.join()
for (let value = 100; value < 150; value += 1) {
  prices.publish({ value })
  if (value === 100 || value === 149) console.log(`prices: ${value} is out, ${(await reader.poll())[0]?.value} is read`)
}
await reader.close()

// Compacted to a table: the last record of each key stays. A null says that the key is gone.
const stock = new Topic<number | null>('stock', { cleanupPolicy: 'compact', segmentRecords: 4 })
stock.publishAll([
  { key: 'tea', value: 5 },
  { key: 'milk', value: 2 },
  { key: 'tea', value: 4 },
  { key: 'milk', value: null },
  { key: 'honey', value: 1 },
])
stock.compact()
for await (const { offset, key, value } of stock.read({ until: 'latest' }))
  console.log(`stock: ${offset} ${key} ${value}`)

// Output:
// jobs: 1000 done, never more than 59 kept
// prices: 100 is out, 100 is read
// prices: 1 to 29 are gone unread
// prices: 149 is out, 130 is read
// stock: 2 tea 4
// stock: 3 milk null
// stock: 4 honey 1
