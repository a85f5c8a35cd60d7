// The job: publishes the log while three groups read it, each at its own pace, and one of their members dies at work.
import type { MemoryBroker } from 'millrace'
import { type DeadLetter, deadLetters, ErrorsGroup } from './errors.js'
import { batchesOf } from './publish.js'
import { SessionsGroup } from './sessions.js'
import { count, counted } from './table.js'
import { openBroker, type Topics } from './topics.js'
import { TrafficGroup } from './traffic.js'

const batchSize = 1_000
const sessionsMembers = 3
/** When so many records are published, or when the log ends before that. */
const crashAfter = 5_000

export interface Outcome {
  readonly broker: MemoryBroker<Topics>
  readonly sessions: SessionsGroup
  readonly traffic: TrafficGroup
  readonly errors: ErrorsGroup
  readonly deadLetters: readonly DeadLetter[]
  /** How many lines the log had. */
  readonly lines: number
}

/** Resolves when every group has read and committed everything; `say` gets a line of progress now and then. */
export async function runJob(lines: AsyncIterable<string>, say: (line: string) => void): Promise<Outcome> {
  const broker = openBroker()
  const sessions = new SessionsGroup(broker)
  const traffic = new TrafficGroup(broker)
  const errors = new ErrorsGroup(broker)
  const readers = [sessions, traffic, errors]

  const workers: Promise<void>[] = []
  // When one fails, nobody waits for what it would have read: a closed broker ends every wait.
  const start = (work: Promise<void>): unknown =>
    workers.push(work.catch(error => broker.close().then(() => Promise.reject(error))))
  const addSessionsMember = async (): Promise<void> => {
    const consumer = sessions.join()
    start(sessions.work(consumer))
    await consumer.ready()
  }
  const replaceTheDead = async (): Promise<void> => {
    if (sessions.group.members.length === sessionsMembers) return
    await addSessionsMember()
    say(`  + a new member takes its place: ${sessions.owners}`)
  }
  sessions.group.on('leave', ({ memberId, reason }) => {
    const unsaved = counted(sessions.crash?.unsaved ?? 0, 'record')
    if (reason === 'crashed') say(`  ! ${memberId} dies with ${unsaved} unsaved: ${sessions.owners}`)
  })

  let published = 0
  try {
    for (let member = 1; member <= sessionsMembers; member += 1) await addSessionsMember()
    start(traffic.work())
    start(errors.work())
    say(`  three groups wait for requests: ${sessions.owners}`)
    for await (const { records, last } of batchesOf(lines, batchSize)) {
      broker.topic('requests').publishAll(records)
      published += records.length
      await replaceTheDead()
      if (published >= crashAfter || last) sessions.crashOnce()
      // One group has read all of it: how far are the others?
      await Promise.race(readers.map(({ group }) => group.caughtUp()))
      if (isRound(published) || last) say(progress(published, readers))
      // Lines are read no faster than the slowest group works: with what is consumed dropped, that bounds the memory.
      await Promise.all(readers.map(({ group }) => group.caughtUp()))
    }
    await replaceTheDead()
  } finally {
    await broker.close()
    await Promise.all(workers)
  }
  return { broker, sessions, traffic, errors, deadLetters: await deadLetters(broker), lines: published }
}

/** 1,000, 2,000 ... 9,000, 10,000, 20,000 ...: about as many lines for a long log as for a short one. */
const isRound = (published: number): boolean => published % 10 ** Math.floor(Math.log10(published)) === 0

const progress = (published: number, readers: readonly (SessionsGroup | TrafficGroup | ErrorsGroup)[]): string =>
  [
    `${count(published).padStart(9)} published`,
    ...readers.map(({ group, witness }) => `${group.id} ${count(witness.distinct).padStart(7)}`),
  ].join('   ')
