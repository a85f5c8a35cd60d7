import type { Broker, ProducerRecord, Topic } from '../../index.js'
import { refusalOf } from '../task/refusal.js'
import type { ChangelogRecord, Output } from '../task/seam.js'
import { isRetriable, later, retryBackoffMs } from './retries.js'
import { isThenable } from './steps.js'

type AnyTopic = Topic<any, string>

/** What the tasks of one instance want written: refused while all can still be undone, or written in order. */
export class Writes {
  readonly #broker: Broker<any>
  readonly #topics = new Map<string, AnyTopic>()
  /** Most records go where the one before went. */
  #latest: AnyTopic | undefined
  /** What is to be written, by topic: between topics there is no order. */
  readonly #queues = new Map<string, ProducerRecord<unknown>[]>()
  /** Of writes whose outcome is not known at once. */
  #answers: Promise<unknown>[] = []

  constructor(broker: Broker<any>) {
    this.#broker = broker
  }

  topic(name: string): AnyTopic {
    if (this.#latest?.name === name) return this.#latest
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      topic = this.#broker.topic(name) as AnyTopic
      this.#topics.set(name, topic)
    }
    this.#latest = topic
    return topic
  }

  /** Throws where the topic would refuse the record at once. What only a cluster can tell, flush() hears. */
  check(topic: string, record: ProducerRecord<unknown>): void {
    this.topic(topic).check(record)
  }

  add(topic: string, record: ProducerRecord<unknown>): void {
    this.#queueOf(topic).push(record)
  }
  addOutputs(outputs: readonly Output[]): void {
    for (const output of outputs) this.#queueOf(output.topic).push(output)
  }
  /** Of several changes of one row only the last, in the order of these: changelogs are compacted anyway. */
  addChanges(changes: readonly ChangelogRecord[]): void {
    for (const change of this.#latestOf(changes)) this.#queueOf(change.topic).push(change)
  }
  #latestOf(changes: readonly ChangelogRecord[]): readonly ChangelogRecord[] {
    if (this.#unpaid > 0) {
      this.#unpaid--
      return changes
    }
    const seen = new Map<string, Set<string>>()
    const latest: ChangelogRecord[] = []
    for (let i = changes.length - 1; i >= 0; i--) {
      const change = changes[i]!
      let keys = seen.get(change.topic)
      if (keys === undefined) {
        keys = new Set()
        seen.set(change.topic, keys)
      }
      if (keys.has(change.key)) continue
      keys.add(change.key)
      latest.push(change)
    }
    if (latest.length * 4 > changes.length * 3 && changes.length >= 32) this.#unpaid = 15
    return latest.reverse()
  }
  /** Where rows rarely change twice in a turn, looking for those that do costs more than it saves: so often it is left. */
  #unpaid = 0
  #queueOf(name: string): ProducerRecord<unknown>[] {
    if (this.#last?.name === name) return this.#last.queue
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      queue = []
      this.#queues.set(name, queue)
    }
    this.#last = { name, queue }
    return queue
  }
  /** Most records go where the one before went. */
  #last: { readonly name: string; readonly queue: ProducerRecord<unknown>[] } | undefined

  /** Writes it all, in order. Nothing is awaited that is no promise: undefined where all is written when it returns. */
  flush(): Promise<void> | undefined {
    try {
      this.#send()
    } catch (error) {
      return this.#sendAgain(error)
    }
    return this.#answers.length > 0 ? this.#settle() : undefined
  }

  #send(): void {
    for (const [name, queue] of this.#queues) if (queue.length > 0) this.#sendTo(this.topic(name), queue)
  }
  #sendTo(topic: AnyTopic, queue: ProducerRecord<unknown>[]): void {
    const sending = new Sending(queue)
    let answer: unknown
    try {
      answer = topic.publishAll(sending)
    } catch (error) {
      // The one that was taken last has been refused; those before it stay.
      queue.splice(0, Math.max(0, sending.taken - 1))
      throw refusal(error, topic.name, queue.slice(0, 1))
    }
    if (!isThenable(answer)) {
      queue.length = 0
      return
    }
    // They are the topic's now, however long it takes. Whoever flushes hears of it.
    this.#queues.delete(topic.name)
    this.#last = undefined
    const answered = Promise.resolve(answer).catch(error => {
      // Which one it was is not known.
      throw refusal(error, topic.name, queue)
    })
    answered.catch(() => {})
    this.#answers.push(answered)
  }

  /** What was refused for now goes first, so that nothing is reordered; where it is refused for good, nothing more goes. */
  async #sendAgain(refusal: unknown): Promise<void> {
    let again: { readonly refusal: unknown } | undefined = { refusal }
    while (again !== undefined) {
      if (!isRetriable(again.refusal)) {
        for (const queue of this.#queues.values()) queue.length = 0
        throw again.refusal
      }
      await later(this.#broker, retryBackoffMs)
      again = undefined
      try {
        this.#send()
      } catch (error) {
        again = { refusal: error }
      }
    }
    await this.#settle()
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#answers.splice(0))
  }
}

/** Of these records of one topic one can't be written. */
function refusal(error: unknown, topic: string, records: readonly (ProducerRecord<unknown> | Output)[]): unknown {
  const outputs = records.filter(record => 'sink' in record)
  const from = records.length === 1 ? outputs[0]?.from : undefined
  return refusalOf(
    error,
    topic,
    outputs.map(({ sink }) => sink),
    from,
  )
}

/** Records on their way into a topic, once: how many have been taken is known when one is refused. One object for all steps. */
class Sending implements Iterable<ProducerRecord<unknown>>, Iterator<ProducerRecord<unknown>, undefined> {
  taken = 0
  readonly #records: readonly ProducerRecord<unknown>[]
  readonly #step: { done: boolean; value: any } = { done: false, value: undefined }

  constructor(records: readonly ProducerRecord<unknown>[]) {
    this.#records = records
  }
  [Symbol.iterator](): this {
    return this
  }
  next(): IteratorResult<ProducerRecord<unknown>, undefined> {
    const step = this.#step
    step.done = this.taken === this.#records.length
    step.value = step.done ? undefined : this.#records[this.taken++]
    return step as IteratorResult<ProducerRecord<unknown>, undefined>
  }
}
