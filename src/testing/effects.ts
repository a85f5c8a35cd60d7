import type { Clock, Interceptor, PartitionsOperation, TopicPartition } from '../index.js'
import type { Effect, FaultBook, Operation, Point } from './faults.js'
import type { Members } from './members.js'
import { isThenable } from './thenable.js'

/**
 * Lets the operations of processes go on one at a time: simulate()'s scheduler. Undefined for what is none of its business.
 */
export interface Turns {
  /** Whether it is its business. */
  takes(point: Point): boolean
  /** Before an operation has its effect. What is published takes effect in the order of the calls. */
  before(point: Point): Promise<Effect | undefined> | undefined
  /** The same for what begins at once, and has its turn afterwards. */
  during(point: Point): Effect | undefined
  /** Before its answer arrives. */
  after(point: Point): Promise<void> | undefined
  /** A clock of a process's own. */
  clockOf(process: string): Clock | undefined
}

/** Lets faults, and a scheduler where there is one, act on what producers and consumers do. */
export class Effects {
  readonly #faults: FaultBook
  readonly #members: Members
  /** What each group reads. */
  readonly #topics = new Map<string, readonly string[]>()
  turns: Turns | undefined

  constructor(faults: FaultBook, members: Members) {
    this.#faults = faults
    this.#members = members
  }

  reads(group: string, topics: readonly string[]): void {
    this.#topics.set(group, topics)
  }

  get interceptor(): Interceptor {
    const around = (point: Point, places: readonly TopicPartition[], proceed: () => any): any =>
      this.#through(point, places, proceed)
    return {
      publish: ({ topic, record }, proceed) => {
        // What is no record is refused further in.
        const { partition } = (record ?? {}) as Partial<typeof record>
        const point = this.#point('publish', undefined, undefined, [{ topic, partition }])
        const effect = this.#faults.meet(point, [{ topic, partition: partition ?? -1 }])
        if (effect?.error !== undefined) throw effect.error
        const metadata = proceed(record)
        if (effect?.lost !== undefined) throw effect.lost
        return metadata
      },
      poll: ({ group, memberId }, proceed) => around(this.#point('poll', group, memberId, []), [], proceed),
      handle: ({ group, memberId, record }, proceed) =>
        around(this.#point('handle', group, memberId, [record]), [record], proceed),
      commit: ({ group, memberId, offsets }, proceed) => {
        const places = offsets.map(({ topic, partition, nextOffset }) => ({ topic, partition, offset: nextOffset }))
        const point = this.#point('commit', group, memberId, places)
        return this.#answered(point, around(point, places, proceed))
      },
      assign: (operation, proceed) => {
        const { group, memberId, partitions } = operation
        const point = this.#point('assign', group, memberId, partitions)
        const call = this.#ofTheLiving(operation, proceed)
        const { turns } = this
        if (turns?.takes(point) !== true) return around(point, partitions, call)
        // What it names is to be there still when it begins: its turn comes when it is over.
        const act = async (): Promise<unknown> =>
          this.#withEffect(turns.during(point) ?? this.#faults.meet(point, partitions), call)
        return this.#answered(point, act())
      },
      revoke: (operation, proceed) => {
        const { group, memberId, partitions } = operation
        const point = this.#point('revoke', group, memberId, partitions)
        return around(point, partitions, this.#ofTheLiving(operation, proceed))
      },
    }
  }

  #point(
    operation: Operation,
    group: string | undefined,
    memberId: string | undefined,
    places: readonly { topic: string; partition?: number | undefined; offset?: number | undefined }[],
  ): Point {
    const [first] = places
    const one = places.length === 1
    const topic = first?.topic ?? (group === undefined ? undefined : onlyOne(this.#topics.get(group)))
    const process = this.#members.processOf(group, memberId)
    // Part by part, not by spreads: it is made for each operation.
    const point: { -readonly [Part in keyof Point]: Point[Part] } = { operation }
    if (topic !== undefined) point.topic = topic
    if (one && first?.partition !== undefined) point.partition = first.partition
    if (one && first?.offset !== undefined) point.offset = first.offset
    if (group !== undefined) point.group = group
    if (memberId !== undefined) point.memberId = memberId
    if (process !== undefined) point.process = process
    return point
  }

  /** First the scheduler, if there is one, then what the faults make of it. At once, unless somebody waits. */
  #through(point: Point, places: readonly TopicPartition[], proceed: () => any): any {
    const meet = (): Effect | undefined => this.#faults.meet(point, places, this.#topics.get(point.group ?? ''))
    const turn = this.turns?.before(point)
    if (turn !== undefined) return turn.then(effect => this.#withEffect(effect ?? meet(), proceed))
    return this.#withEffect(meet(), proceed)
  }
  /** A callback that its consumer has not lived to see is not called. */
  #ofTheLiving({ group, memberId }: PartitionsOperation, proceed: () => unknown): () => unknown {
    const life = this.#members.lifeOf(group, memberId!)
    return () => (life.dead ? undefined : proceed())
  }
  /** Between what an operation has done and what its caller does then, a process may die. */
  #answered(point: Point, result: any): any {
    if (this.turns === undefined || !isThenable(result)) return result
    const back = async (): Promise<void> => this.turns?.after(point)
    return Promise.resolve(result).then(
      value => back().then(() => value),
      error =>
        back().then(() => {
          throw error
        }),
    )
  }
  #withEffect(effect: Effect | undefined, proceed: () => any): any {
    if (effect === undefined) return proceed()
    if (effect.error !== undefined) throw effect.error
    if (effect.wait !== undefined) return effect.wait.then(proceed)
    return Promise.resolve(proceed()).then(() => {
      throw effect.lost
    })
  }
}

function onlyOne(topics: readonly string[] | undefined): string | undefined {
  return topics?.length === 1 ? topics[0] : undefined
}
