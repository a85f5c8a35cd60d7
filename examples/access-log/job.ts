// The job: publishes the log while three groups read it, each at its own pace, and one of their members dies at work.
import { type DeadLetter, deadLetters, ErrorsGroup } from './errors.js'
import { inMemory } from './memory.js'
import type { Place, Remains } from './place.js'
import { batchesOf } from './publish.js'
import { SessionsGroup } from './sessions.js'
import { count, counted } from './table.js'
import { TrafficGroup } from './traffic.js'

const batchSize = 1_000
const sessionsMembers = 3
/** When so many records are published, or when the log ends before that. */
const crashAfter = 5_000

export interface Outcome extends Remains {
  readonly sessions: SessionsGroup
  readonly traffic: TrafficGroup
  readonly errors: ErrorsGroup
  readonly deadLetters: readonly DeadLetter[]
  /** How many lines the log had. */
  readonly lines: number
}

/** Resolves when every group has read and committed everything; `say` gets a line of progress now and then. */
export async function runJob(
  lines: AsyncIterable<string>,
  say: (line: string) => void,
  place: Place = inMemory(),
): Promise<Outcome> {
  const { broker, names } = place
  const sessions = new SessionsGroup(place)
  const traffic = new TrafficGroup(place)
  const errors = new ErrorsGroup(place)
  const readers = [sessions, traffic, errors]

  const workers: Promise<void>[] = []
  // When one fails, nobody waits for what it would have read: a closed broker ends every wait.
  const start = (work: Promise<void>): void => {
    const watched = work.catch(error => place.close().then(() => Promise.reject(error)))
    // It is told of at the end.
    watched.catch(() => {})
    workers.push(watched)
  }
  const addSessionsMember = async (): Promise<void> => {
    const member = sessions.addMember()
    start(member.ended)
    await member.ready()
  }
  const replaceTheDead = async (): Promise<void> => {
    if (sessions.size === sessionsMembers) return
    await addSessionsMember()
    say(`  + a new member takes its place: ${sessions.owners}`)
  }
  const crash = async (): Promise<void> => {
    const { name, unsaved } = await sessions.crashOnce()
    say(`  ! ${name} dies with ${counted(unsaved, 'record')} unsaved`)
  }

  let published = 0
  let crashing = false
  try {
    for (let member = 1; member <= sessionsMembers; member += 1) await addSessionsMember()
    start(traffic.work())
    start(errors.work())
    say(`  three groups wait for requests: ${sessions.owners}`)
    for await (const { records, last } of batchesOf(lines, batchSize)) {
      await broker.topic(names.requests).publishAll(records)
      published += records.length
      await replaceTheDead()
      if (!crashing && (published >= crashAfter || last)) {
        crashing = true
        void crash()
      }
      const caughtUp = readers.map(({ group }) => group.caughtUp())
      // One group has read all of it: how far are the others?
      await Promise.race(caughtUp)
      if (isRound(published) || last) say(progress(published, readers))
      // Lines are read no faster than the slowest group works: with what is consumed dropped, that bounds the memory.
      await Promise.all(caughtUp)
    }
    await replaceTheDead()
  } finally {
    await place.close()
    await Promise.all(workers)
  }
  const remains = await place.inspect(readers.map(({ group }) => group))
  return { ...remains, sessions, traffic, errors, deadLetters: await deadLetters(place), lines: published }
}

/** 1,000, 2,000 ... 9,000, 10,000, 20,000 ...: about as many lines for a long log as for a short one. */
const isRound = (published: number): boolean => published % 10 ** Math.floor(Math.log10(published)) === 0

const progress = (published: number, readers: readonly (SessionsGroup | TrafficGroup | ErrorsGroup)[]): string =>
  [
    `${count(published).padStart(9)} published`,
    ...readers.map(({ group, witness }) => `${group.id} ${count(witness.distinct).padStart(7)}`),
  ].join('   ')
