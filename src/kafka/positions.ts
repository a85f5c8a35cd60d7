import { type AnyRecord, MillraceError, type NextOffset, type TopicPartition } from '../index.js'
import { keyOf } from './by-topic.js'
import { closingController } from './closing-controller.js'
import type { Cluster } from './cluster.js'
import { nextOf, standings } from './committed-offsets.js'
import { findOffsets, type Isolation, type OffsetQuestion } from './offsets.js'
import type { Answer, ClusterSource, Question, Questions } from './source.js'

interface PositionsOptions {
  readonly group: string
  readonly isolation: Isolation
  readonly autoOffsetReset: 'earliest' | 'latest' | 'none'
  /** Keeps where the group has begun, for its next owners; calls back in any case. */
  begin(offsets: readonly NextOffset[], done: () => void): void
  /** A commit is on its way, which has precedence. */
  committing(where: TopicPartition): boolean
  /** Some have been answered. */
  answered(): void
}

interface Asked<R extends AnyRecord> {
  readonly source: ClusterSource<R>
  readonly to: Question
}

/**
 * Answers the questions of one member's sources where to start; those asked in one go become one request to the group's
 * coordinator and one to each leader. They are asked until there is an answer: a poll waits through an outage. Kafka:
 * OffsetsRequestManager.
 */
export class Positions<R extends AnyRecord> implements Questions<R> {
  readonly #cluster: Cluster
  readonly #options: PositionsOptions
  readonly #closing = closingController()
  #asked: Asked<R>[] = []

  constructor(cluster: Cluster, options: PositionsOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  ask(source: ClusterSource<R>, to: Question): void {
    this.#asked.push({ source, to })
    if (this.#asked.length > 1) return
    setImmediate(() => {
      const asked = this.#asked
      this.#asked = []
      void this.#answer(asked)
    })
  }

  close(): void {
    this.#closing.abort()
  }

  async #answer(asked: readonly Asked<R>[]): Promise<void> {
    const started = asked.filter(({ to }) => to === 'committed')
    const sought = asked.filter(({ to }) => to !== 'committed')
    await Promise.all([
      this.#telling(started, () => this.#startOf(started)),
      this.#telling(sought, () =>
        this.#look(
          sought,
          sought.map(({ source, to }) => question(source, to)),
        ),
      ),
    ])
  }

  async #startOf(asked: readonly Asked<R>[]): Promise<void> {
    const { group, autoOffsetReset } = this.#options
    const sources = asked.map(({ source }) => source)
    const found = await standings(this.#cluster, group, sources, this.#patiently)
    const open: Asked<R>[] = []
    for (const one of asked) {
      const { source } = one
      const { topic, partition } = source
      const standing = found.get(keyOf(source))
      if (standing?.begun === false) source.committed ??= standing.offset
      const offset = source.committed ?? nextOf(standing, autoOffsetReset)
      if (standing?.begun === true) source.begun = offset
      if (offset !== undefined) source.answer(one.to, { offset })
      else if (autoOffsetReset !== 'none') open.push(one)
      else source.answer(one.to, { error: new MillraceError('NO_OFFSET_FOR_PARTITION', { group, topic, partition }) })
    }
    if (autoOffsetReset === 'latest') await this.#telling(open, () => this.#begin(open))
    else
      await this.#telling(open, () =>
        this.#look(
          open,
          open.map(({ source }) => question(source, 'earliest')),
        ),
      )
  }

  /** Rule 24: 'latest' is resolved once for the group; what the next owner finds is where this one began. */
  async #begin(asked: readonly Asked<R>[]): Promise<void> {
    const found = await this.#find(asked.map(({ source }) => question(source, source.isNew ? 'earliest' : 'latest')))
    const begun = asked.map(({ source: { topic, partition } }, i) => ({ topic, partition, nextOffset: found[i]! }))
    const free = begun.filter((where, i) => {
      const { committed } = asked[i]!.source
      return committed === undefined && !this.#options.committing(where)
    })
    await new Promise<void>(resolve => {
      if (free.length === 0) resolve()
      else this.#options.begin(free, resolve)
    })
    for (const [i, { source, to }] of asked.entries()) {
      source.begun = found[i]!
      source.answer(to, { offset: source.committed ?? found[i]! })
    }
  }

  async #look(asked: readonly Asked<R>[], wanted: readonly OffsetQuestion[]): Promise<void> {
    const found = await this.#find(wanted)
    for (const [i, { source, to }] of asked.entries()) source.answer(to, { offset: found[i]! })
  }
  #find(wanted: readonly OffsetQuestion[]): Promise<number[]> {
    const { group, isolation } = this.#options
    const about = { what: `Looking where group ${group} starts`, group }
    return findOffsets(this.#cluster, wanted, isolation, { ...this.#patiently, about })
  }

  async #telling(asked: readonly Asked<R>[], look: () => Promise<void>): Promise<void> {
    if (asked.length === 0) return
    try {
      await look()
    } catch (error) {
      if (this.#closing.signal.aborted) return
      const answer: Answer = { error }
      for (const { source, to } of asked) source.answer(to, answer)
    }
    this.#options.answered()
  }

  get #patiently(): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs: Number.MAX_SAFE_INTEGER, signal: this.#closing.signal }
  }
}

function question<R extends AnyRecord>(source: ClusterSource<R>, to: Question): OffsetQuestion {
  const { topic, partition } = source
  return { topic, partition, at: to as Exclude<Question, 'committed'> }
}
