import { type ConsumerRecord, isMillraceError } from '../../index.js'
import { handlerFailed } from '../task/callback-errors.js'
import { Alarm } from './alarm.js'
import { LatestSources } from './latest-sources.js'
import { type Owner, Ownership, type OwnershipSetting } from './ownership.js'
import { isOut } from './results.js'
import { isRetriable, later, retryBackoffMs } from './retries.js'
import { type ExecutorSetting, TaskExecutor } from './task-executor.js'
import type { PartitionQueue, TaskRun } from './task-run.js'
import { Wake } from './wake.js'

interface WorkerSetting extends OwnershipSetting, ExecutorSetting {
  /** Sources that begin at their end, where the group does not say so itself. */
  readonly latest: ReadonlySet<string>
}

/** One instance at work, turn by turn: poll, process, write, commit. Kafka: StreamThread. */
export class Worker implements Owner {
  /** Who must give up a partition waits for it. */
  turning: Promise<void> | undefined
  readonly #setting: WorkerSetting
  readonly #owned: Ownership
  readonly #wake = new Wake()
  readonly #alarm: Alarm
  readonly #executor: TaskExecutor
  readonly #latest: LatestSources
  /** What the last poll rejected with. */
  #suspect: { readonly error: unknown } | undefined
  #closing = false
  #failure: { readonly error: unknown } | undefined

  constructor(setting: WorkerSetting) {
    this.#setting = setting
    this.#alarm = new Alarm(setting.broker.clock, () => this.#wake.call())
    this.#owned = new Ownership(setting, this)
    this.#executor = new TaskExecutor(setting, run => this.#owned.results.touch(run))
    this.#latest = new LatestSources(setting.latest, this.#owned.consumer)
  }

  get runs(): Iterable<TaskRun> {
    return this.#owned.runs
  }
  /** All that it has been given is restored. */
  get settled(): boolean {
    return this.#owned.settled
  }
  /** It owns all that it is going to own; CLOSED, UNKNOWN_MEMBER_ID and so on where it is out. */
  ready(): Promise<void> {
    return this.#owned.consumer.ready()
  }

  get over(): boolean {
    return this.#closing || this.#failure !== undefined || this.#owned.consumer.closed
  }
  /** The turn at work is the last. */
  stop(): void {
    this.#closing = true
    this.#wake.call()
  }
  /** It is not waited for any more: its partitions go to others. */
  abandon(): void {
    this.#owned.consumer.close({ timeoutMs: 0 }).catch(() => {})
  }
  restored(): void {
    this.#wake.call()
  }
  fail(error: unknown): void {
    // Who is closed by its broker, or killed, in the midst of things has no failure of its own.
    if (this.#owned.consumer.closed && (isOut(error) || isMillraceError(error, 'CLOSED'))) return
    this.#failure ??= { error }
    this.#wake.call()
  }

  /** Until it is stopped, or its consumer is closed; rejects when it can't go on. It has left the group then. */
  async work(): Promise<void> {
    try {
      while (!this.over) await this.#step()
    } catch (error) {
      this.fail(error)
    }
    await this.#leave()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #step(): Promise<void> {
    await this.#uninterrupted(() => this.#begin())
    this.#pauseFull()
    const records = await this.#poll()
    if (this.over) return
    if (records !== undefined) this.#take(records)
    if (!this.#setting.here) await this.#lookForMore()
    if (this.over) return
    await this.#uninterrupted(() => this.#turn())
  }
  async #uninterrupted(act: () => Promise<void>): Promise<void> {
    this.turning = act()
    try {
      await this.turning
    } finally {
      this.turning = undefined
    }
  }

  // ── restored tasks go to work ──

  async #begin(): Promise<void> {
    this.#owned.dropLost()
    const restored = [...this.runs].filter(run => run.state === 'restored')
    if (restored.length === 0) return
    for (const run of restored) {
      for (const queue of run.queues) this.#goOn(queue, this.#owned.reachedBy(run, queue))
      try {
        run.task.start()
      } catch (error) {
        throw handlerFailed(error, run.task, 'init', run.task.failedNode)
      }
      run.state = 'running'
      this.#owned.results.touch(run)
      this.#owned.resume(run.queues)
    }
    await this.#owned.results.write()
    this.#setting.changed()
  }
  #goOn(queue: PartitionQueue, reached: number | undefined): void {
    const { topic, partition } = queue
    const { consumer } = this.#owned
    if (reached !== undefined) {
      queue.clear()
      queue.next = reached
      consumer.seek(topic, partition, reached)
    } else this.#latest.begin(queue)
  }
  // ── what there is to do ──

  /** Of a task with several partitions, what has enough waits until the others have something. Kafka: buffered.records.per.partition. */
  #pauseFull(): void {
    const { maxPollRecords } = this.#setting
    for (const { queues, running } of this.runs) {
      if (!running || queues.length === 1) continue
      const full = queues.filter(queue => !queue.paused && queue.size >= maxPollRecords)
      const free = queues.filter(queue => queue.paused && queue.size < maxPollRecords)
      if (full.length > 0) this.#owned.pause(full)
      if (free.length > 0) this.#owned.resume(free)
    }
  }

  /** Undefined where it was woken, or is to try again. */
  async #poll(): Promise<readonly ConsumerRecord[] | undefined> {
    const { broker, maxPollRecords } = this.#setting
    const { consumer } = this.#owned
    const timeoutMs = this.#wake.take() ? 0 : this.#pollTimeoutMs()
    if (timeoutMs !== 0) this.#alarm.set(this.#nextPunctuation())
    try {
      return (await consumer.poll({
        maxRecords: maxPollRecords,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(timeoutMs === 0 ? {} : { signal: this.#wake.signal }),
      })) as ConsumerRecord[]
    } catch (error) {
      if (this.#wake.isReason(error) || consumer.closed) return undefined
      if (!isRetriable(error)) throw error
      this.#suspect = { error }
      await later(broker, retryBackoffMs)
      return undefined
    }
  }
  /** Undefined: nothing to do until something comes. */
  #pollTimeoutMs(): number | undefined {
    let waits = false
    for (const run of this.runs) {
      if (!run.running) continue
      if (run.ready) return 0
      waits ||= run.waiting
    }
    // What is in this process is there at once; what is not needs its time.
    if (waits) return this.#setting.here ? 0 : retryBackoffMs
    return this.#latest.lookAgainAfterMs
  }
  #nextPunctuation(): number | undefined {
    let next: number | undefined
    for (const { running, task } of this.runs) {
      const due = running ? task.nextWallClockPunctuation : undefined
      if (due !== undefined && (next === undefined || due < next)) next = due
    }
    return next
  }

  #take(records: readonly ConsumerRecord[]): void {
    // What a poll rejected with may have kept it from hearing of an assignment, which no later poll brings up again.
    if (this.#suspect !== undefined && this.#owned.untold) throw this.#suspect.error
    this.#suspect = undefined
    const drained = this.#setting.here && records.length < this.#setting.maxPollRecords
    for (const { queues } of this.runs) for (const queue of queues) if (!queue.paused) queue.drained = drained
    for (let at = 0; at < records.length; ) {
      const { topic, partition } = records[at]!
      let end = at + 1
      while (end < records.length && records[end]!.partition === partition && records[end]!.topic === topic) end++
      this.#owned.queue(topic, partition)?.add(records, at, end)
      at = end
    }
  }

  /**
   * What is on a cluster may not have been fetched yet: of a task with several partitions, those that have nothing here are
   * asked whether they have something there. Kafka: max.task.idle.ms=0.
   */
  async #lookForMore(): Promise<void> {
    const empty = [...this.runs]
      .filter(run => run.running && run.queues.length > 1 && run.waiting)
      .flatMap(({ queues }) => queues.filter(({ size }) => size === 0))
    await Promise.all(
      empty.map(async queue => {
        queue.drained = await this.#isAtEnd(queue)
      }),
    )
  }
  async #isAtEnd({ topic, partition }: PartitionQueue): Promise<boolean> {
    const { consumer } = this.#owned
    try {
      const from = consumer.position(topic, partition)
      if (from === undefined) return false
      const options = { partitions: [partition], from, until: 'latest' } as const
      for await (const _ of this.#setting.broker.topic(topic).read(options)) return false
      return true
    } catch (error) {
      if (isRetriable(error) || consumer.closed) return false
      throw error
    }
  }

  // ── one turn ──

  async #turn(): Promise<void> {
    this.#owned.dropLost()
    this.#latest.pin(this.runs, run => this.#owned.results.touch(run))
    let failure: { readonly error: unknown } | undefined
    try {
      this.#executor.punctuate(this.runs)
      this.#executor.process(this.runs)
    } catch (error) {
      failure = { error }
    }
    // What came before takes effect.
    await this.#owned.results.write()
    if (failure !== undefined) throw failure.error
  }

  // ── the end ──

  async #leave(): Promise<void> {
    this.#alarm.set(undefined)
    const { consumer } = this.#owned
    try {
      // Who was closed by its broker is told so by its consumer.
      if (!consumer.closed) this.#owned.leave()
    } catch (error) {
      this.fail(error)
    }
    try {
      await consumer.close()
    } catch (error) {
      this.fail(error)
    }
    this.#owned.abandon()
    this.#setting.changed()
  }
}
