// A crash repeats what is done and not committed, and loses what is committed and not done. Who commits when decides.
import { type Consumer, ConsumerGroup, type ConsumerRecord, Topic } from 'millrace'
import { crash, ManualClock } from 'millrace/testing'

type Mail = ConsumerRecord<string>
const clock = new ManualClock()
const mails = new Topic<string>('mails', { clock })
const all = ['m1', 'm2', 'm3', 'm4']
mails.publishAll(all.map(value => ({ value })))

/** One member works until it dies; another takes over and sends what it gets. */
async function showCrash(
  title: string,
  commitMode: 'autoCommit' | 'manualCommit',
  work: (consumer: Consumer<Mail>, send: (mail: Mail) => unknown) => Promise<void>,
): Promise<void> {
  const group = new ConsumerGroup(title, mails, { clock, commitMode })
  const sent: string[] = []
  const first = group.join()
  await work(first, mail => sent.push(mail.value))
  crash(first)
  for (const mail of await group.join().poll()) sent.push(mail.value)
  const twice = sent.filter((mail, index) => sent.indexOf(mail) < index)
  const never = all.filter(mail => !sent.includes(mail))
  console.log(`${title}: twice ${twice.join(' ') || '-'}, never ${never.join(' ') || '-'}`)
}

// Every 5 seconds, and only when the consumer comes back for more, what it has come back from: m1 and m2, not yet m3.
await showCrash('auto-commit', 'autoCommit', async (consumer, send) => {
  for (const mail of await consumer.poll({ maxRecords: 2 })) send(mail)
  await clock.advance(5_000)
  for (const mail of await consumer.poll({ maxRecords: 1 })) send(mail)
})

// Coming back says "finished". Who hands work on without awaiting it says so too early: at most once, by accident.
await showCrash('auto-commit, work not awaited', 'autoCommit', async (consumer, send) => {
  for (const mail of await consumer.poll({ maxRecords: 2 })) clock.setTimeout(() => send(mail), 60_000)
  await clock.advance(5_000)
  await consumer.poll({ maxRecords: 1 })
})

// Work, then commit: at least once.
await showCrash('commit after the work', 'manualCommit', async (consumer, send) => {
  for (const mail of await consumer.poll({ maxRecords: 2 })) send(mail)
})

// Commit, then work: at most once, where twice would be worse than never.
await showCrash('commit before the work', 'manualCommit', async consumer => {
  await consumer.commit(await consumer.poll({ maxRecords: 2 }))
})

// Output:
// auto-commit: twice m3, never -
// auto-commit, work not awaited: twice -, never m1 m2
// commit after the work: twice m1 m2, never -
// commit before the work: twice -, never m1 m2
