import { checkOneOf, checkOptions, checkSignal, checkWhole, refuse } from '../core/check.js'
import { checkStart } from '../core/record.js'
import { OUT_OF_RANGE, type Waiter } from '../engine.js'
import { type ConsumerRecord, type Key, MillraceError, type StartFrom } from '../index.js'
import type { ReadOptions } from '../portable.js'
import type { Cluster } from './cluster.js'
import type { Feed } from './feed.js'
import type { Fetcher } from './fetcher.js'
import { findOffsets, type Isolation } from './offsets.js'

/** Records read ahead of one partition before the next has its turn. */
const turnRecords = 500
/** Kafka: metadata.max.age.ms: how often a tail looks whether the topic has grown. */
const growthMs = 300_000

type Read = ConsumerRecord<any, any>

/** What a tail reads by: the broker's own cluster while it is open, one of its own afterwards. */
export interface Reading {
  readonly cluster: Cluster
  readonly fetcher: Fetcher<Read>
  readonly isolation: Isolation
  end(): void
}
export interface TailHost {
  /** A new reading, of which the tail is the only user. */
  reading(): Reading
  readonly tails: Set<Tail>
}

/** topic.read() on a cluster. What can be checked without it is checked at once. */
export class TopicReader<V, K extends Key> implements AsyncIterable<ConsumerRecord<V, K>> {
  readonly #topic: string
  readonly #host: TailHost
  readonly #options: ReadOptions

  constructor(topic: string, host: TailHost, options: ReadOptions) {
    checkOptions('read options', options, ['from', 'until', 'partitions', 'signal'])
    const { from = 'earliest', until, partitions, signal } = options
    checkStart(from, { topic, partition: partitions?.[0] ?? 0 })
    if (until !== undefined) checkOneOf('until', until, ['latest'])
    checkSignal(signal)
    if (partitions !== undefined) {
      if (!Array.isArray(partitions)) refuse('partitions', partitions, 'an array of partition numbers')
      for (const partition of partitions as readonly number[]) checkWhole('partitions', partition, 0)
    }
    this.#topic = topic
    this.#host = host
    this.#options = { ...options, partitions: partitions && [...new Set(partitions)] }
  }

  [Symbol.asyncIterator](): AsyncIterator<ConsumerRecord<V, K>, undefined> {
    return new Tail(this.#topic, this.#host, this.#options)
  }
}

interface Cursor {
  readonly partition: number
  next: number
  /** Where it ends. */
  until: number
  feed: Feed<Read> | undefined
}
type Step = IteratorResult<Read, undefined>
const done: IteratorReturnResult<undefined> = { value: undefined, done: true }

/** One reading of a topic without a group, from its first step on; partitions take turns. */
export class Tail implements AsyncIterator<Read, undefined>, Waiter {
  readonly #topic: string
  readonly #host: TailHost
  readonly #options: ReadOptions
  #reading: Reading | undefined
  #cursors: Cursor[] | undefined
  #turn = -1
  #ahead: Read[] = []
  #at = 0
  #over = false
  /** The broker is closed: it ends with what is there. */
  #ending = false
  #steps: { resolve: (step: Step) => void; reject: (error: unknown) => void }[] = []
  #busy = false
  #wakeUp: (() => void) | undefined
  #growth: NodeJS.Timeout | undefined
  readonly #onAbort = (): void => this.available()

  constructor(topic: string, host: TailHost, options: ReadOptions) {
    this.#topic = topic
    this.#host = host
    this.#options = options
  }

  next(): Promise<Step> {
    if (this.#steps.length === 0 && !this.#busy && this.#at < this.#ahead.length && !this.#options.signal?.aborted)
      return Promise.resolve({ value: this.#ahead[this.#at++]!, done: false })
    return new Promise((resolve, reject) => {
      this.#steps.push({ resolve, reject })
      void this.#answer()
    })
  }

  return(): Promise<Step> {
    this.#end()
    for (const { resolve } of this.#steps.splice(0)) resolve(done)
    return Promise.resolve(done)
  }

  /** There is more, or it is over. */
  available(): void {
    this.#wakeUp?.()
  }

  /** The broker closes: what is there is read by connections of this tail's own, if anybody goes on reading. */
  cut(): void {
    this.#ending = true
    this.#endReading()
    this.available()
  }

  async #answer(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    while (this.#steps.length > 0) {
      let step: Step
      try {
        step = await this.#step()
      } catch (error) {
        this.#end()
        this.#steps.shift()?.reject(error)
        continue
      }
      this.#steps.shift()?.resolve(step)
    }
    this.#busy = false
  }

  async #step(): Promise<Step> {
    const { signal } = this.#options
    for (;;) {
      if (this.#over) return done
      signal?.throwIfAborted()
      if (this.#at < this.#ahead.length) return { value: this.#ahead[this.#at++]!, done: false }
      try {
        if (this.#reading === undefined) await this.#begin()
        if (await this.#fill()) continue
      } catch (error) {
        // Cut off: it goes on by a reading of its own.
        if (this.#reading === undefined && this.#ending && !this.#over) continue
        throw error
      }
      if (this.#over) continue
      if (this.#cursors!.every(({ next, until }) => next >= until)) {
        this.#end()
        return done
      }
    }
  }

  async #begin(): Promise<void> {
    const { partitions, from = 'earliest', until, signal } = this.#options
    if (!this.#host.tails.has(this)) signal?.addEventListener('abort', this.#onAbort)
    this.#host.tails.add(this)
    const reading = this.#host.reading()
    this.#reading = reading
    const about = { what: `Reading topic ${this.#topic}`, topic: this.#topic }
    const { partitions: all } = await reading.cluster.metadata(this.#topic, { about, signal, anew: true })
    const list = partitions ?? [...all.keys()]
    for (const partition of list)
      if (all[partition] === undefined)
        throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: this.#topic, partition })
    if (this.#cursors === undefined) {
      const starts = await this.#starts(reading, list, from)
      this.#cursors = list.map((partition, i) => ({
        partition,
        next: starts[i]!,
        until: Number.POSITIVE_INFINITY,
        feed: undefined,
      }))
      if (until === 'latest') await this.#setEnds(reading)
    }
    if (this.#ending && this.#cursors.some(cursor => cursor.until === Number.POSITIVE_INFINITY))
      await this.#setEnds(reading)
    // It may have been ended, or cut off, meanwhile.
    const goesOn = this.#reading === reading && !this.#ending
    if (goesOn && until === undefined && partitions === undefined) this.#watchGrowth(reading)
  }

  async #find(reading: Reading, partitions: readonly number[], at: Exclude<StartFrom, number>): Promise<number[]> {
    const about = { what: `Reading topic ${this.#topic}` }
    const questions = partitions.map(partition => ({ topic: this.#topic, partition, at }))
    return findOffsets(reading.cluster, questions, reading.isolation, { about, signal: this.#options.signal })
  }
  async #starts(reading: Reading, list: readonly number[], from: StartFrom): Promise<number[]> {
    if (typeof from !== 'number') return this.#find(reading, list, from)
    for (const [i, end] of (await this.#find(reading, list, 'latest')).entries())
      if (from > end)
        throw new MillraceError('OFFSET_OUT_OF_RANGE', { topic: this.#topic, partition: list[i]!, offset: from })
    return list.map(() => from)
  }
  async #setEnds(reading: Reading): Promise<void> {
    const cursors = this.#cursors!.filter(({ until }) => until === Number.POSITIVE_INFINITY)
    const ends = await this.#find(
      reading,
      cursors.map(({ partition }) => partition),
      'latest',
    )
    for (const [i, cursor] of cursors.entries()) cursor.until = ends[i]!
  }

  /** Who reads all partitions reads those too that come, from their start. */
  #watchGrowth({ cluster }: Reading): void {
    this.#growth = setInterval(() => {
      cluster.refresh([this.#topic]).then(
        () => {
          const count = cluster.topic(this.#topic)?.partitions.length ?? 0
          for (let partition = this.#cursors!.length; partition < count; partition++)
            this.#cursors!.push({ partition, next: 0, until: Number.POSITIVE_INFINITY, feed: undefined })
          this.available()
        },
        () => {},
      )
    }, growthMs)
    this.#growth.unref()
  }

  /** Reads from the next partition in turn that has something; waits where none has. False when it may be over. */
  async #fill(): Promise<boolean> {
    const reading = this.#reading!
    const cursors = this.#cursors!
    this.#ahead = []
    this.#at = 0
    let moved = false
    for (let i = 0; i < cursors.length && this.#ahead.length === 0; i++) {
      this.#turn = (this.#turn + 1) % cursors.length
      const cursor = cursors[this.#turn]!
      if (cursor.next >= cursor.until) continue
      const feed = this.#feedOf(cursor)
      const before = cursor.next
      const next = feed.read(cursor.next, turnRecords, this.#ahead)
      if (next === OUT_OF_RANGE) {
        // Retention was faster; or the log has lost its end, and what is there is read again.
        const [start] = await this.#find(reading, [cursor.partition], 'earliest')
        cursor.next = start!
        moved = true
        continue
      }
      cursor.next = next
      moved ||= next !== before
      while (this.#ahead.length > 0 && this.#ahead.at(-1)!.offset >= cursor.until) this.#ahead.pop()
      if (cursor.next >= cursor.until) this.#closeFeed(cursor)
    }
    if (this.#ahead.length > 0 || moved) return true
    if (cursors.every(({ next, until }) => next >= until)) return false
    await this.#wait(cursors)
    return true
  }

  #feedOf(cursor: Cursor): Feed<Read> {
    const { cluster, fetcher } = this.#reading!
    const known = cluster.topic(this.#topic)
    cursor.feed ??= fetcher.open({ topic: this.#topic, partition: cursor.partition }, known?.id ?? '')
    return cursor.feed
  }
  #closeFeed(cursor: Cursor): void {
    cursor.feed?.close()
    cursor.feed = undefined
  }

  #wait(cursors: readonly Cursor[]): Promise<void> {
    return new Promise(resolve => {
      this.#wakeUp = () => {
        this.#wakeUp = undefined
        for (const { feed } of cursors) feed?.forget()
        resolve()
      }
      for (const { feed } of cursors) feed?.whenMore(this)
    })
  }

  #endReading(): void {
    clearInterval(this.#growth)
    for (const cursor of this.#cursors ?? []) this.#closeFeed(cursor)
    this.#reading?.end()
    this.#reading = undefined
  }
  #end(): void {
    this.#over = true
    this.#host.tails.delete(this)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#endReading()
    this.#ahead = []
    this.#at = 0
    this.available()
  }
}
