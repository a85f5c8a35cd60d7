// The members of a group share the partitions: each record is handled by one of them, each key always by the same one.
import { Broker } from 'millrace'

const broker = new Broker<{ orders: string }>({ topics: { orders: { partitions: 4 } } })
const group = broker.group('billing', { topics: 'orders' })
const handled = new Map<string, string[]>()

function startMember() {
  const member = group.join()
  // run() calls the handler for each record, waits for it, and never commits past one that is not finished.
  void member.run(record => {
    handled.set(member.memberId, [...(handled.get(member.memberId) ?? []), record.value])
  })
  return member
}

async function showDay(day: string): Promise<void> {
  console.log(day)
  handled.clear()
  const customers = ['ann', 'bob', 'mia', 'eve', 'gus']
  broker.topic('orders').publishAll(customers.map(key => ({ key, value: `${key}'s order` })))
  // Resolves when all that was published before the call is finished: no sleep, no guess.
  await group.caughtUp()
  for (const { memberId, assignment } of group.members) {
    const partitions = assignment.map(({ partition }) => partition).join(' ') || 'none'
    console.log(`  ${memberId} has ${partitions}: ${handled.get(memberId)?.join(', ') ?? 'idle'}`)
  }
}

const first = startMember()
startMember()
await showDay('Monday: two members')
for (let n = 0; n < 3; n += 1) startMember()
await showDay('Tuesday: five members for four partitions')
await first.close()
await showDay('Wednesday: one has left, the spare one steps in')

// Waits for the handlers, commits what is finished, and leaves no timer behind.
await broker.close()

// Output:
// Monday: two members
//   billing-0001 has 0 1: eve's order
//   billing-0002 has 2 3: ann's order, bob's order, mia's order, gus's order
// Tuesday: five members for four partitions
//   billing-0001 has 0: eve's order
//   billing-0002 has 1: idle
//   billing-0003 has 2: ann's order, bob's order, mia's order
//   billing-0004 has 3: gus's order
//   billing-0005 has none: idle
// Wednesday: one has left, the spare one steps in
//   billing-0002 has 0: eve's order
//   billing-0003 has 1: idle
//   billing-0004 has 2: ann's order, bob's order, mia's order
//   billing-0005 has 3: gus's order
