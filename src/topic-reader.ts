import { checkOneOf, checkOptions, checkSignal, checkWhole, refuse } from './core/check.js'
import { MillraceError } from './core/errors.js'
import type { AppendWaiter, PartitionLog } from './core/partition.js'
import { type ConsumerRecord, checkStart, type Key, type StartFrom } from './core/record.js'
import { offsetIn } from './group-offsets.js'
import type { ReadOptions } from './portable.js'
import { soon } from './soon.js'
import type { InMemoryTopic } from './topic.js'

/** Records read ahead of one partition before the next has its turn. */
const turnRecords = 500

interface Cursor<V, K extends Key> {
  readonly log: PartitionLog<V, K>
  next: number
  /** With `until: 'latest'`: where it ends. */
  readonly until: number
}

/** topic.read(): partitions read in turns, from wherever one likes to the end, or on and on, without a group. */
export class TopicReader<V, K extends Key> implements AsyncIterable<ConsumerRecord<V, K>> {
  readonly #topic: InMemoryTopic<V, K>
  readonly #active: Set<TopicTail<V, K>>
  readonly #options: ReadOptions

  constructor(topic: InMemoryTopic<V, K>, active: Set<TopicTail<V, K>>, options: ReadOptions) {
    checkOptions('read options', options, ['from', 'until', 'partitions', 'signal'])
    const { from = 'earliest', until, partitions, signal } = options
    checkStart(from, { topic: topic.name, partition: partitions?.[0] ?? 0 })
    if (until !== undefined) checkOneOf('until', until, ['latest'])
    checkSignal(signal)
    if (partitions !== undefined) {
      if (!Array.isArray(partitions)) refuse('partitions', partitions, 'an array of partition numbers')
      for (const partition of partitions as readonly number[]) {
        checkWhole('partitions', partition, 0)
        if (partition >= topic.partitionCount())
          throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: topic.name, partition })
      }
    }
    this.#topic = topic
    this.#active = active
    this.#options = { ...options, partitions: partitions && [...new Set(partitions)] }
  }

  [Symbol.asyncIterator](): AsyncIterator<ConsumerRecord<V, K>, undefined> {
    return new TopicTail(this.#topic, this.#active, this.#options)
  }
}

const done: IteratorReturnResult<undefined> = { value: undefined, done: true }
type Step<V, K extends Key> = IteratorResult<ConsumerRecord<V, K>, undefined>

/** One reading, from its first step on. */
export class TopicTail<V, K extends Key> implements AsyncIterator<ConsumerRecord<V, K>, undefined>, AppendWaiter {
  readonly #topic: InMemoryTopic<V, K>
  readonly #active: Set<TopicTail<V, K>>
  readonly #options: ReadOptions
  #cursors: Cursor<V, K>[] | undefined
  /** Whose turn it is. */
  #turn = -1
  #ahead: ConsumerRecord<V, K>[] = []
  #at = 0
  #over = false
  /** Steps asked for and not yet answered, in order. */
  #steps: { resolve: (step: Step<V, K>) => void; reject: (error: unknown) => void }[] = []
  readonly #onAbort = (): void => this.appended()

  constructor(topic: InMemoryTopic<V, K>, active: Set<TopicTail<V, K>>, options: ReadOptions) {
    this.#topic = topic
    this.#active = active
    this.#options = options
  }

  next(): Promise<Step<V, K>> {
    return new Promise((resolve, reject) => {
      this.#steps.push({ resolve, reject })
      if (this.#steps.length === 1) this.#answer()
    })
  }

  return(): Promise<Step<V, K>> {
    this.#end()
    for (const { resolve } of this.#steps.splice(0)) resolve(done)
    return Promise.resolve(done)
  }

  /** There is more, or it is over: looked at in a microtask, once for a burst. */
  appended(): void {
    if (this.#woken) return
    this.#woken = true
    soon(() => {
      this.#woken = false
      this.#answer()
    })
  }
  #woken = false

  /** The topic has more partitions: who reads all of them reads those too, from their start. */
  grown(): void {
    if (this.#cursors === undefined || this.#options.partitions !== undefined || this.#options.until !== undefined)
      return
    for (const log of this.#topic.partitions.slice(this.#cursors.length))
      this.#cursors.push({ log, next: log.startOffset, until: Number.POSITIVE_INFINITY })
    this.appended()
  }

  #answer(): void {
    while (this.#steps.length > 0) {
      let step: Step<V, K> | undefined
      try {
        step = this.#step()
      } catch (error) {
        const { reject } = this.#steps.shift()!
        this.#end()
        reject(error)
        continue
      }
      if (step === undefined) return this.#wait()
      this.#steps.shift()!.resolve(step)
    }
  }

  #step(): Step<V, K> | undefined {
    if (this.#over) return done
    const { signal } = this.#options
    signal?.throwIfAborted()
    if (this.#topic.deleted) throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: this.#topic.name })
    this.#cursors ??= this.#begin()
    if (this.#at === this.#ahead.length) this.#fill(this.#cursors)
    if (this.#at < this.#ahead.length) return { value: this.#ahead[this.#at++]!, done: false }
    if (!this.#topic.closed && this.#cursors.some(({ next, until }) => next < until)) return undefined
    this.#end()
    return done
  }

  #begin(): Cursor<V, K>[] {
    const { from = 'earliest', until, partitions, signal } = this.#options
    const logs = partitions?.map(index => this.#topic.partitions[index]!) ?? this.#topic.partitions
    const cursors = logs.map(log => ({
      log,
      next: startIn(log, from),
      until: until === 'latest' ? log.endOffset : Number.POSITIVE_INFINITY,
    }))
    this.#active.add(this)
    signal?.addEventListener('abort', this.#onAbort)
    return cursors
  }

  /** The next partition in turn that has something, from where it stands; what retention has dropped is skipped. */
  #fill(cursors: Cursor<V, K>[]): void {
    this.#ahead = []
    this.#at = 0
    for (let i = 0; i < cursors.length && this.#ahead.length === 0; i++) {
      this.#turn = (this.#turn + 1) % cursors.length
      const cursor = cursors[this.#turn]!
      const { log } = cursor
      const from = Math.max(cursor.next, log.startOffset)
      if (from >= Math.min(cursor.until, log.endOffset)) {
        cursor.next = from
        continue
      }
      cursor.next = log.readInto(from, turnRecords, this.#ahead)
      while (this.#ahead.length > 0 && this.#ahead.at(-1)!.offset >= cursor.until) this.#ahead.pop()
    }
  }

  #wait(): void {
    for (const { log, next, until } of this.#cursors!) if (next < until) log.whenAppended(this)
  }

  #end(): void {
    this.#over = true
    this.#active.delete(this)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    for (const { log } of this.#cursors ?? []) log.forget(this)
    this.#ahead = []
    this.#at = 0
  }
}

function startIn<V, K extends Key>(log: PartitionLog<V, K>, from: StartFrom): number {
  const { topic, index: partition, startOffset, endOffset } = log
  if (typeof from === 'number' && from > endOffset)
    throw new MillraceError('OFFSET_OUT_OF_RANGE', { topic, partition, offset: from, startOffset, endOffset })
  return offsetIn(log, from)
}
