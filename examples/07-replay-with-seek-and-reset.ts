// Reading removes nothing, so it can be done again: by one consumer after seek(), by a group after resetOffsets().
import { Broker, isMillraceError } from 'millrace'

const hour = 3_600_000
const broker = new Broker<{ visits: string }>({ topics: { visits: {} } })
const names = ['ann', 'bob', 'mia', 'dan', 'eve']
broker.topic('visits').publishAll(names.map((value, n) => ({ value, timestamp: (9 + n) * hour })))

const group = broker.group('report', { topics: 'visits', commitMode: 'manualCommit' })
const consumer = group.join()
async function show(title: string, reader = consumer): Promise<void> {
  const records = await reader.poll()
  console.log(`${title}: ${records.map(({ offset, value }) => `${offset} ${value}`).join(', ')}`)
}

await show('all')
await consumer.commit()

consumer.seek('visits', 0, 3)
await show('from offset 3')

// The first record at or after a time; 'earliest' and 'latest' do as well.
consumer.seek('visits', 0, { timestamp: 11 * hour })
await show('from 11:00')

// Where this consumer reads next is one thing, what is committed for whoever comes after it another.
consumer.seek('visits', 0, 1)
console.log(`position ${consumer.position('visits', 0)}, committed ${group.committed('visits', 0)}, lag ${group.lag()}`)

// What is committed can be reset only while nobody is in the group: a member would go on from its position.
try {
  group.resetOffsets('earliest')
} catch (error) {
  if (!isMillraceError(error, 'NON_EMPTY_GROUP')) throw error
  console.log(`${error.code}: ${error.details.members} member`)
}
await consumer.close()
group.resetOffsets({ timestamp: 12 * hour })
console.log(`after the reset: committed ${group.committed('visits', 0)}, lag ${group.lag()}`)
const second = group.join()
await show('a new member', second)
await second.close()

// onAssigned comes before the first record: who seeks there starts where it likes, whatever is committed.
const replay = group.join({ onAssigned: (_, reader) => reader.seek('visits', 0, 'earliest') })
await show('a replay', replay)
await broker.close()

// Output:
// all: 0 ann, 1 bob, 2 mia, 3 dan, 4 eve
// from offset 3: 3 dan, 4 eve
// from 11:00: 2 mia, 3 dan, 4 eve
// position 1, committed 5, lag 0
// NON_EMPTY_GROUP: 1 member
// after the reset: committed 3, lag 2
// a new member: 3 dan, 4 eve
// a replay: 0 ann, 1 bob, 2 mia, 3 dan, 4 eve
