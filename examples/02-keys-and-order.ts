// Order holds within a partition, and a key always goes to the same one: so order holds per key.
import { Topic } from 'millrace'

const visits = new Topic<string>('visits', { partitions: 3 })
const visitors = ['ann', 'bob', 'mia', 'dan']
const partitionOf = (key: string): number => visits.publish({ key, value: `${key} looks around` }).partition

// Kafka's murmur2 of the key picks the partition: any Kafka producer would pick the same.
for (const step of ['arrives', 'pays', 'leaves']) {
  for (const key of visitors) visits.publish({ key, value: `${key} ${step}` })
}

// Which keys share a partition is chance. The order in it is not: nobody ever leaves before paying. Between partitions
// there is none: a reader takes them in turns.
for (const partition of visits.partitions) {
  const values = partition.read(partition.startOffset).map(record => record.value)
  console.log(`partition ${partition.index}: ${values.join(', ')}`)
}

// Only null and undefined are no key; the empty string is one, like any other.
console.log(`'' goes to ${partitionOf('')}, always: ${partitionOf('')}`)

// An explicit partition wins over the key: who gives one answers for the order.
console.log(`ann, told to, goes to ${visits.publish({ key: 'ann', value: 'ann waves', partition: 1 }).partition}`)

// The partition is the hash modulo their number. Adding some moves keys, so choose the number before the first record.
const before = visitors.map(key => `${key} ${partitionOf(key)}`)
visits.addPartitions(6)
const after = visitors.map(key => `${key} ${partitionOf(key)}`)
console.log(`of 3: ${before.join(', ')}`)
console.log(`of 6: ${after.join(', ')}`)

// Output:
// partition 0: bob arrives, dan arrives, bob pays, dan pays, bob leaves, dan leaves
// partition 1: mia arrives, mia pays, mia leaves
// partition 2: ann arrives, ann pays, ann leaves
// '' goes to 0, always: 0
// ann, told to, goes to 1
// of 3: ann 2, bob 0, mia 1, dan 0
// of 6: ann 2, bob 0, mia 4, dan 3
