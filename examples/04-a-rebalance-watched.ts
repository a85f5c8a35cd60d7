// A partition moves when its owner is at a safe point: it holds no records, and its onRevoked has returned.
import { Broker, type TopicPartition } from 'millrace'

const broker = new Broker<{ orders: number }>({ topics: { orders: { partitions: 4 } } })
broker.topic('orders').publishAll([0, 1, 2, 3].map(partition => ({ partition, value: partition })))
const group = broker.group('billing', { topics: 'orders', commitMode: 'manualCommit' })

const list = (partitions: readonly TopicPartition[]): string => partitions.map(p => p.partition).join(' ') || 'none'
const join = (memberId: string) =>
  group.join({
    memberId,
    // Before the first record of a new partition is handed out: the place to load state, or to seek.
    onAssigned: partitions => console.log(`  ${memberId} is assigned ${list(partitions)}`),
    // While it still owns what it gives up: the place to finish, and to commit what is finished.
    onRevoked: async (partitions, consumer) => {
      await consumer.commit()
      console.log(`  ${memberId} has committed and gives up ${list(partitions)}`)
    },
  })
// Every join and leave makes a new generation: who is to have what. The moves are what is still on its way there.
group.on('rebalance', ({ generation, moves }) => console.log(`  generation ${generation}, ${moves.length} moves`))

console.log('a joins')
const a = join('a')
console.log(`  a has ${(await a.poll()).length} records in hand`)

console.log('b joins')
const b = join('b')
console.log(`  b has ${(await b.poll({ timeoutMs: 0 })).length} records in hand`)
for (const { partition, from, to, waitingFor } of group.moves) {
  console.log(`  ${partition} goes from ${from} to ${to}, waiting for ${waitingFor}`)
}

console.log('a comes back for more, so it has finished what it had')
await a.poll({ timeoutMs: 0 })
// Resolves when b owns all that it is going to own, and its onAssigned has returned.
await b.ready()
console.log(`  a has ${list(a.assignment)}, b has ${list(b.assignment)}, ${group.moves.length} moves`)
await broker.close()

// Output:
// a joins
//   generation 1, 0 moves
//   a is assigned 0 1 2 3
//   a has 4 records in hand
// b joins
//   generation 2, 2 moves
//   b is assigned none
//   b has 0 records in hand
//   2 goes from a to b, waiting for records
//   3 goes from a to b, waiting for records
// a comes back for more, so it has finished what it had
//   a has committed and gives up 2 3
//   b is assigned 2 3
//   a has 0 1, b has 2 3, 0 moves
//   b has committed and gives up 2 3
//   a has committed and gives up 0 1
