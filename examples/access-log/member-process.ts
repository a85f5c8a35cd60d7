// The process of one member of the sessions group, started by the job: ADDRESS, and the ending of the topics' names.
import { connect } from './connect.js'
import type { FromMember, Question, ToMember } from './messages.js'
import type { Visitor } from './session.js'
import { type Desk, listenerFor, rebuildSessions, sessionsId, sessionsOptions } from './sessions-member.js'
import { namesOf } from './topics.js'

const [address = '', ending = ''] = process.argv.slice(2)
const tell = (message: FromMember): unknown => process.send!(message)

const questions = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>()
let asked = 0
function ask(question: Question): Promise<unknown> {
  return new Promise((resolve, reject) => {
    questions.set(++asked, { resolve, reject })
    tell({ id: asked, ask: question })
  })
}
const desk: Desk = {
  nextOffset: partition => ask({ nextOffset: partition }) as Promise<number>,
  visitors: addresses => ask({ visitors: addresses }) as Promise<Visitor[]>,
  saw: ({ partition, offset, key, value }, done, of) => void tell({ saw: { partition, offset, key, value }, done, of }),
  save: (batch, visitors) => ask({ save: batch, visitors }) as Promise<void>,
}

const broker = connect(address)
const takeOver = listenerFor(desk)
const consumer = broker.group(sessionsId, sessionsOptions(namesOf(ending))).join({
  async onAssigned(partitions, me) {
    await takeOver(partitions, me)
    tell({ owns: me.assignment.map(({ partition }) => partition) })
  },
  onRevoked(partitions, me) {
    const moving = new Set(partitions.map(({ partition }) => partition))
    tell({ owns: me.assignment.map(({ partition }) => partition).filter(partition => !moving.has(partition)) })
  },
})

process.on('message', (message: ToMember) => {
  if ('close' in message) return void consumer.close()
  const question = questions.get(message.id)
  questions.delete(message.id)
  if ('refusal' in message) question?.reject(new Error(message.refusal))
  else question?.resolve(message.answer)
})
// Without the job there is nobody to work for.
process.on('disconnect', () => process.exit(1))

consumer.ready().then(() => tell({ ready: true }))
await rebuildSessions(consumer, desk)
await consumer.close()
await broker.close()
process.exit()
