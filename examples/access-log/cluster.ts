// The job on a cluster: the topics are there, each member of the sessions group is a process of its own.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect } from './connect.js'
import type { FromMember, Question, ToMember } from './messages.js'
import type { Member, Place } from './place.js'
import type { Desk } from './sessions-member.js'
import { namesOf, requestsPartitioner, requestsPartitions } from './topics.js'

const memberProcess = fileURLToPath(new URL('member-process.ts', import.meta.url))

/** Makes the topics of this run. */
export async function onCluster(address: string): Promise<Place> {
  const ending = `-${Date.now().toString(36)}`
  const names = namesOf(ending)
  const broker = connect(address)
  await broker.ready()
  // The log is years old, and by default a cluster drops what is older than a week.
  const retention = { ms: Number.MAX_SAFE_INTEGER }
  const partitioner = requestsPartitioner()
  await broker.createTopic(names.requests, { partitions: requestsPartitions, partitioner, retention })
  await broker.createTopic(names.dead, { partitions: 1, retention })

  const members = new Set<MemberProcess>()
  return {
    broker,
    names,
    startMember(desk) {
      const member = new MemberProcess(desk, [address, ending])
      members.add(member)
      return member
    },
    async close() {
      for (const member of members) member.close()
      await Promise.allSettled([...members].map(({ ended }) => ended))
      await broker.close()
    },
    /** By connections of its own, as somebody else would see it. */
    async inspect(groups) {
      await using observer = connect(address)
      let published = 0
      for await (const _ of observer.topic(names.requests).read({ until: 'latest' })) published += 1
      const lags = groups.map(async ({ id }) => {
        return [id, await observer.group(id, { topics: names.requests }).lag()] as const
      })
      return { published, lags: new Map(await Promise.all(lags)) }
    },
  }
}

/** A member as the job sees it: what its process tells and asks. */
class MemberProcess implements Member {
  readonly name: string
  readonly ended: Promise<void>
  owned: readonly number[] = []
  readonly #child: ChildProcess
  readonly #ready: Promise<void>
  #killed = false

  constructor(desk: Desk, args: readonly string[]) {
    this.#child = fork(memberProcess, args)
    this.name = `process ${this.#child.pid}`
    let isReady!: () => void
    const ready = new Promise<void>(resolve => {
      isReady = resolve
    })
    this.#child.on('message', async (message: FromMember) => {
      // Nobody hears of what a dead process still had on its way.
      if (this.#killed) return
      if ('ready' in message) isReady()
      else if ('owns' in message) this.owned = message.owns
      else if ('saw' in message) desk.saw(message.saw, message.done, message.of)
      else this.#tell(await answer(message.id, message.ask, desk))
    })
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      if (code !== 0 && !this.#killed) throw new Error(`${this.name} has ended with ${code ?? signal}`)
    })
    this.#ready = Promise.race([ready, this.ended])
  }

  ready(): Promise<void> {
    return this.#ready
  }
  close(): void {
    this.#tell({ close: true })
  }
  kill(): void {
    this.#killed = true
    this.#child.kill('SIGKILL')
  }

  #tell(message: ToMember): void {
    if (this.#child.connected) this.#child.send(message)
  }
}

async function answer(id: number, question: Question, desk: Desk): Promise<ToMember> {
  try {
    if ('nextOffset' in question) return { id, answer: await desk.nextOffset(question.nextOffset) }
    if ('save' in question) return { id, answer: await desk.save(question.save, question.visitors) }
    return { id, answer: await desk.visitors(question.visitors) }
  } catch (error) {
    return { id, refusal: (error as Error).message }
  }
}
