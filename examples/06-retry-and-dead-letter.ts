// run() retries in place, in order; what fails for good goes to a dead letter topic, and the rest goes on.
import { Broker, type MillraceError } from 'millrace'
import { ManualClock } from 'millrace/testing'

const clock = new ManualClock()
const topics = { payments: {}, 'payments.dead': {} }
const broker = new Broker<{ payments: number; 'payments.dead': number }>({ clock, topics })
const payments = broker.topic('payments')
for (const [key, value] of Object.entries({ ann: 10, bob: 20, mia: -1, dan: 30 })) payments.publish({ key, value })

function pay(amount: number, attempt: number): void {
  if (amount < 0) throw new Error('no such amount')
  if (amount === 20 && attempt === 1) throw new Error('the bank is busy')
}

const group = broker.group('bank', { topics: 'payments' })
void group.join().run(
  (record, { attempt }) => {
    console.log(`${clock.now()} ms: ${record.key}, attempt ${attempt}`)
    pay(record.value, attempt)
  },
  { retry: { attempts: 2, backoffMs: 1_000 }, deadLetter: broker.topic('payments.dead') },
)
// The wait between attempts goes by the broker's clock, which moves here from timer to timer.
await clock.advanceUntil(group.caughtUp())

// A dead letter is the record itself; its headers say where it came from and why.
for await (const { key, value, headers } of broker.topic('payments.dead').read({ until: 'latest' })) {
  console.log(`dead: ${key} ${value}`)
  for (const [name, text] of headers) console.log(`  ${name}: ${text}`)
}

// Without a dead letter topic nothing is skipped: run() closes the consumer and rejects, the failed record uncommitted.
const strict = broker.group('strict', { topics: 'payments' })
const consumer = strict.join()
const code = await consumer.run(({ value }) => pay(value, 2)).catch((error: MillraceError) => error.code)
console.log(`${code}, committed ${strict.committed('payments', 0)}, closed ${consumer.closed}`)
await broker.close()

// Output:
// 0 ms: ann, attempt 1
// 0 ms: bob, attempt 1
// 1000 ms: bob, attempt 2
// 1000 ms: mia, attempt 1
// 2000 ms: mia, attempt 2
// 2000 ms: dan, attempt 1
// dead: mia -1
//   __dlq.errors.topic: payments
//   __dlq.errors.partition: 0
//   __dlq.errors.offset: 2
//   __dlq.errors.group: bank
//   __dlq.errors.delivery.count: 2
//   __dlq.errors.message: no such amount
// HANDLER_FAILED, committed 2, closed true
