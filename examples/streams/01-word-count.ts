// Hello of all stream processing: a table of words that is kept up with every line. Two instances share its work.
import { Broker } from 'millrace'
import { Streams, StreamsBuilder } from 'millrace/streams'
import { byText, table } from '../access-log/table.js'

interface Topics {
  lines: string
  counts: number | null
}

const builder = new StreamsBuilder<Topics>()
const counts = builder
  .stream('lines')
  .flatMapValues(line => line.toLowerCase().match(/\w+/g) ?? [])
  .groupBy(word => word) // another key: the words go through a topic of the application's own
  .count({ store: 'words' })
counts.toStream().to('counts')
const topology = builder.build()

const broker = new Broker<Topics>({ topics: { lines: { partitions: 3 }, counts: { partitions: 3 } } })
const instances = [1, 2].map(() => new Streams(topology, { applicationId: 'word-count', broker }))
const running = instances.map(instance => instance.run())
await Promise.all(instances.map(instance => instance.ready()))

const lines = ['To be, or not to be', 'that is the question', 'To die, to sleep', 'to sleep, perchance to dream']
broker.topic('lines').publishAll(lines.map((value, i) => ({ key: `line ${i}`, value })))
await broker.settled()

// Each instance answers for the words of its own tasks.
const [one = [], two = []] = instances.map(instance => [...instance.query(counts).range()])
const most = [...one, ...two].sort(([a, n], [b, m]) => m - n || byText(a, b)).slice(0, 6)
console.log(table('The words that came most often', ['word', 'times'], most))
console.log(`${one.length} words with one instance, ${two.length} with the other`)

// The topic has every change, a word's in their order: this table goes on in whoever reads it.
const changes: (number | null)[] = []
for await (const { key, value } of broker.topic('counts').read({ until: 'latest' }))
  if (key === 'to') changes.push(value)
console.log(`to: ${changes.join(', ')}`)

await Promise.all(instances.map(instance => instance.close()))
await Promise.all(running)
await broker.close()

// Output:
// The words that came most often
//   word   times
//   to         6
//   be         2
//   sleep      2
//   die        1
//   dream      1
//   is         1
// 2 words with one instance, 10 with the other
// to: 1, 2, 3, 4, 5, 6
