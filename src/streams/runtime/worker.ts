import {
  type Broker,
  type Consumer,
  type ConsumerGroup,
  type ConsumerRecord,
  isMillraceError,
  MillraceError,
  type TopicPartition,
} from '../../index.js'
import { topicName } from '../topology/plan.js'
import { decide, type ErrorSetting, handlerFailed } from './callback-errors.js'
import { type ReachedPositions, reachedRecord, unreachedRecord } from './positions.js'
import { restore } from './restore.js'
import type { PartitionQueue, TaskRun } from './task-run.js'
import { type TaskSource, TaskTable } from './task-table.js'
import { Wake } from './wake.js'
import { isRetriable, later, type Writes } from './writes.js'

export interface WorkerSetting extends TaskSource, ErrorSetting {
  readonly broker: Broker<any>
  readonly group: ConsumerGroup<any>
  readonly writes: Writes
  /**
   * The group takes an assignor of ours, so its log is in this process: a write takes effect when it is called, whenever
   * its answer comes.
   */
  readonly here: boolean
  readonly maxPollRecords: number
  /** Sources that begin at their end, where the group does not say so itself. */
  readonly latest: ReadonlySet<string>
  /** Tasks have come, gone, or are restored. */
  readonly changed: () => void
}

/** Before a call that may succeed later is made again. Kafka: retry.backoff.ms. */
const retryBackoffMs = 100

/**
 * One instance at work: takes part in the group, restores the tasks that it is given, and turns: poll, process, write,
 * commit. Kafka: StreamThread.
 */
export class Worker {
  readonly #setting: WorkerSetting
  readonly #tasks: TaskTable
  readonly #wake = new Wake()
  readonly #consumer: Consumer<any>
  /** Where restored tasks go on. */
  readonly #reached = new WeakMap<TaskRun, ReachedPositions>()
  /** Began at their end, and the group does not know where that was. */
  readonly #unpinned = new Set<PartitionQueue>()
  /** How long a poll waits before it is looked at whether it has found out. */
  #pinAfterMs = 0
  /** A turn that has not ended: who must give up a partition waits for it. */
  #turning: Promise<void> | undefined
  /** Tasks that have done something since their last writes. */
  readonly #touched = new Set<TaskRun>()
  #assignment: readonly TopicPartition[] | undefined
  /** What the last poll rejected with. */
  #suspect: { readonly error: unknown } | undefined
  #joined = false
  #closing = false
  #failure: { readonly error: unknown } | undefined
  #timer: { readonly at: number; readonly handle: unknown } | undefined
  #first = 0

  constructor(setting: WorkerSetting) {
    this.#setting = setting
    this.#tasks = new TaskTable(setting)
    this.#consumer = setting.group.join({
      onAssigned: partitions => this.#assigned(partitions),
      onRevoked: partitions => this.#revoked(partitions),
      onLost: partitions => this.#lost(partitions),
    })
  }

  get runs(): Iterable<TaskRun> {
    return this.#tasks.runs
  }
  /** It has been told its part, and all of that is restored. */
  get settled(): boolean {
    return this.#joined && [...this.#tasks.runs].every(run => run.running)
  }
  get over(): boolean {
    return this.#closing || this.#failure !== undefined || this.#consumer.closed
  }
  /** It owns all that it is going to own; CLOSED, UNKNOWN_MEMBER_ID and so on where it is out. */
  ready(): Promise<void> {
    return this.#consumer.ready()
  }

  /** The turn at work is the last. */
  stop(): void {
    this.#closing = true
    this.#wake.call()
  }
  /** It is not waited for any more: its partitions go to others. */
  abandon(): void {
    this.#consumer.close({ timeoutMs: 0 }).catch(() => {})
  }
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake.call()
  }

  /** Until it is stopped, or its consumer is closed; rejects when it can't go on. It has left the group then. */
  async work(): Promise<void> {
    try {
      while (!this.over) await this.#step()
    } catch (error) {
      // Who is closed by its broker, or killed, in the midst of a turn has no failure of its own.
      const cutOff = this.#consumer.closed && (isOut(error) || isMillraceError(error, 'CLOSED'))
      if (!cutOff) this.fail(error)
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
    this.#turning = act()
    try {
      await this.#turning
    } finally {
      this.#turning = undefined
    }
  }

  // ── what it owns ──

  #assigned(partitions: readonly TopicPartition[]): void {
    this.#joined = true
    if (this.over) return
    try {
      // Had before and not told to have lost them: another may have worked on them meanwhile.
      this.#drop(this.#tasks.revoked(partitions))
      this.#pause(partitions)
      this.#checkCounts(partitions)
      for (const run of this.#tasks.assigned(partitions)) void this.#restore(run)
    } catch (error) {
      this.fail(error)
    }
    this.#setting.changed()
  }

  /** Keys would move, and no changelog has these partitions. Kafka: "Existing internal topic has invalid partitions". */
  #checkCounts(partitions: readonly TopicPartition[]): void {
    const { counts } = this.#setting
    for (const { topic, partition } of partitions)
      if (partition >= counts.get(topic)!)
        throw new MillraceError('TOPOLOGY', {
          reason: `topic ${topic} has been given more partitions than the ${counts.get(topic)} that the application's own topics go by`,
        })
  }

  /** Nothing is given up in the midst of a turn. */
  #revoked(partitions: readonly TopicPartition[]): unknown {
    const end = (): unknown => this.#end(partitions)
    return this.#turning === undefined ? end() : this.#turning.then(end, end)
  }
  async #end(partitions: readonly TopicPartition[]): Promise<void> {
    try {
      await this.#close(this.#tasks.revoked(partitions))
    } catch (error) {
      this.fail(error)
    }
    this.#setting.changed()
  }

  /** Whatever these tasks have not committed others do again. */
  #lost(partitions: readonly TopicPartition[]): void {
    try {
      this.#drop(this.#tasks.revoked(partitions))
    } catch (error) {
      this.fail(error)
    }
    this.#setting.changed()
  }
  /** Whoever is out of the group hears of it late: nothing is written for a task that is not owned any more. */
  #dropLost(): void {
    const { assignment } = this.#consumer
    if (assignment === this.#assignment) return
    this.#assignment = assignment
    const owned = new Set(assignment.map(({ topic, partition }) => `${topic}-${partition}`))
    const gone = [...this.#tasks.runs]
      .flatMap(({ queues }) => queues)
      .filter(({ topic, partition }) => !owned.has(`${topic}-${partition}`))
    if (gone.length > 0) this.#lost(gone)
  }

  #drop(runs: readonly TaskRun[]): void {
    closeAll(this.#ended(runs))
  }
  async #close(runs: readonly TaskRun[]): Promise<void> {
    const { writes } = this.#setting
    const closing = this.#ended(runs)
    try {
      closeAll(closing)
    } finally {
      for (const run of closing) this.#collect(run)
      await writes.flush()
    }
  }
  /** Those that were at work. */
  #ended(runs: readonly TaskRun[]): TaskRun[] {
    return runs.filter(run => {
      this.#touched.delete(run)
      this.#pause(run.queues)
      return run.end()
    })
  }

  #pause(partitions: readonly (TopicPartition | PartitionQueue)[]): void {
    const owned = new Set(this.#consumer.assignment.map(({ topic, partition }) => `${topic}-${partition}`))
    const still = partitions.filter(({ topic, partition }) => owned.has(`${topic}-${partition}`))
    if (still.length > 0) this.#consumer.pause(still.map(({ topic, partition }) => ({ topic, partition })))
    for (const { topic, partition } of still) {
      const queue = this.#tasks.queue(topic, partition)
      if (queue !== undefined) queue.paused = true
    }
  }
  #resume(queues: readonly PartitionQueue[]): void {
    for (const queue of queues) queue.paused = false
    this.#consumer.resume(queues.map(({ topic, partition }) => ({ topic, partition })))
  }

  // ── tasks that come ──

  async #restore(run: TaskRun): Promise<void> {
    const { broker, group, applicationId } = this.#setting
    while (run.state === 'restoring') {
      try {
        this.#reached.set(run, await restore(run, broker, group, applicationId))
        if (run.state !== 'restoring') return
        run.state = 'restored'
        this.#wake.call()
      } catch (error) {
        if (run.state !== 'restoring') return
        if (!isRetriable(error)) return this.fail(error)
        await later(broker, retryBackoffMs)
      }
    }
  }

  /** Restored tasks go to work. */
  async #begin(): Promise<void> {
    this.#dropLost()
    const restored = [...this.#tasks.runs].filter(run => run.state === 'restored')
    if (restored.length === 0) return
    for (const run of restored) {
      for (const queue of run.queues) this.#goOn(queue, this.#reached.get(run)?.of(queue))
      try {
        run.task.start()
      } catch (error) {
        throw handlerFailed(error, undefined, `init of task ${run.task.id}`)
      }
      run.state = 'running'
      this.#touched.add(run)
      this.#resume(run.queues)
    }
    await this.#write()
    this.#setting.changed()
  }
  #goOn(queue: PartitionQueue, reached: number | undefined): void {
    const { topic, partition } = queue
    if (reached !== undefined) {
      queue.clear()
      queue.next = reached
      this.#consumer.seek(topic, partition, reached)
    } else if (queue.committed === undefined && queue.next === undefined && this.#setting.latest.has(topic)) {
      this.#consumer.seek(topic, partition, 'latest')
      this.#unpinned.add(queue)
      this.#pinAfterMs = 0
    }
  }

  // ── one turn ──

  /** Of a task with several partitions, what has enough waits until the others have something. Kafka: buffered.records.per.partition. */
  #pauseFull(): void {
    const { maxPollRecords } = this.#setting
    for (const { queues, running } of this.#tasks.runs) {
      if (!running || queues.length === 1) continue
      const full = queues.filter(queue => !queue.paused && queue.size >= maxPollRecords)
      const free = queues.filter(queue => queue.paused && queue.size < maxPollRecords)
      if (full.length > 0) this.#pause(full)
      if (free.length > 0) this.#resume(free)
    }
  }

  /** Undefined where it was woken, or is to try again. */
  async #poll(): Promise<readonly ConsumerRecord[] | undefined> {
    const { broker, maxPollRecords } = this.#setting
    const timeoutMs = this.#wake.take() ? 0 : this.#pollTimeoutMs()
    if (timeoutMs !== 0) this.#armTimer()
    try {
      return (await this.#consumer.poll({
        maxRecords: maxPollRecords,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(timeoutMs === 0 ? {} : { signal: this.#wake.signal }),
      })) as ConsumerRecord[]
    } catch (error) {
      if (this.#wake.isReason(error) || this.#consumer.closed) return undefined
      if (!isRetriable(error)) throw error
      this.#suspect = { error }
      await later(broker, retryBackoffMs)
      return undefined
    }
  }
  /** Undefined: nothing to do until something comes. */
  #pollTimeoutMs(): number | undefined {
    let waits = false
    for (const run of this.#tasks.runs) {
      if (!run.running) continue
      if (run.ready) return 0
      waits ||= run.waiting
    }
    // What is in this process is there at once; what is not needs its time.
    if (waits) return this.#setting.here ? 0 : retryBackoffMs
    return this.#unpinned.size > 0 ? this.#pinAfterMs : undefined
  }
  #take(records: readonly ConsumerRecord[]): void {
    this.#checkTold()
    const drained = this.#setting.here && records.length < this.#setting.maxPollRecords
    for (const { queues } of this.#tasks.runs) for (const queue of queues) if (!queue.paused) queue.drained = drained
    for (let at = 0; at < records.length; ) {
      const { topic, partition } = records[at]!
      let end = at + 1
      while (end < records.length && records[end]!.partition === partition && records[end]!.topic === topic) end++
      this.#tasks.queue(topic, partition)?.add(records, at, end)
      at = end
    }
  }
  /**
   * What is on a cluster may not have been fetched yet: of a task with several partitions, those that have nothing here are
   * asked whether they have something there. Kafka: max.task.idle.ms=0.
   */
  async #lookForMore(): Promise<void> {
    const empty = [...this.#tasks.runs]
      .filter(run => run.running && run.queues.length > 1 && run.waiting)
      .flatMap(({ queues }) => queues.filter(({ size }) => size === 0))
    await Promise.all(
      empty.map(async queue => {
        queue.drained = await this.#isAtEnd(queue)
      }),
    )
  }
  async #isAtEnd({ topic, partition }: PartitionQueue): Promise<boolean> {
    try {
      const from = this.#consumer.position(topic, partition)
      if (from === undefined) return false
      const options = { partitions: [partition], from, until: 'latest' } as const
      for await (const _ of this.#setting.broker.topic(topic).read(options)) return false
      return true
    } catch (error) {
      if (isRetriable(error) || this.#consumer.closed) return false
      throw error
    }
  }
  /** What a poll rejected with may have kept it from hearing of an assignment, which no later poll brings up again. */
  #checkTold(): void {
    const suspect = this.#suspect
    this.#suspect = undefined
    if (suspect === undefined) return
    for (const { topic, partition } of this.#consumer.assignment)
      if (this.#tasks.queue(topic, partition) === undefined) throw suspect.error
  }

  async #turn(): Promise<void> {
    this.#dropLost()
    this.#pin()
    let failure: { readonly error: unknown } | undefined
    try {
      this.#punctuate()
      this.#process()
    } catch (error) {
      failure = { error }
    }
    // What came before takes effect.
    if (this.#touched.size > 0) await this.#write()
    if (failure !== undefined) throw failure.error
  }

  /** The ends at which partitions began are the group's to know: who comes next begins there too. */
  #pin(): void {
    for (const queue of this.#unpinned) {
      const run = [...this.#tasks.runs].find(({ queues }) => queues.includes(queue))
      const position = run === undefined ? undefined : this.#consumer.position(queue.topic, queue.partition)
      if (run !== undefined && position === undefined) {
        this.#pinAfterMs = retryBackoffMs
        continue
      }
      this.#unpinned.delete(queue)
      if (run === undefined || queue.next !== undefined) continue
      queue.next = queue.head?.offset ?? position
      this.#touched.add(run)
    }
  }

  #punctuate(): void {
    const now = this.#setting.broker.clock.now()
    for (const run of this.#tasks.runs) {
      const next = run.running ? run.task.nextWallClockPunctuation : undefined
      if (next === undefined || next > now) continue
      this.#touched.add(run)
      this.#fire(run, 'wall clock time')
    }
  }
  #fire({ task }: TaskRun, time: 'stream time' | 'wall clock time'): void {
    for (;;) {
      try {
        return task.punctuate(time)
      } catch (error) {
        this.#caught(error, undefined, `punctuation of task ${task.id}`)
      }
    }
  }

  /** So many records of one turn, at most; the tasks take turns at being the first. */
  #process(): void {
    const runs = [...this.#tasks.runs].filter(run => run.running && run.waiting)
    let left = this.#setting.maxPollRecords
    this.#first++
    for (let i = 0; i < runs.length && left > 0; i++) {
      const run = runs[(this.#first + i) % runs.length]!
      const { task } = run
      this.#touched.add(run)
      for (let queue = run.choose(); queue !== undefined && left > 0; queue = run.choose()) {
        const record = queue.head!
        try {
          task.process(record, queue.time)
        } catch (error) {
          this.#caught(error, record, '')
        }
        queue.drop()
        left--
        this.#fire(run, 'stream time')
      }
    }
  }
  #caught(error: unknown, record: ConsumerRecord | undefined, where: string): void {
    const letter = decide(this.#setting, error, record, where)
    if (letter !== undefined) this.#setting.writes.add(this.#setting.deadLetter!, letter)
  }

  // ── what a turn leaves behind ──

  /** First what was done, then how far: at least once. Nothing is awaited that is no promise. */
  async #write(): Promise<void> {
    const { writes, here } = this.#setting
    const runs = [...this.#touched]
    this.#touched.clear()
    for (const run of runs) this.#collect(run)
    let written = writes.flush()
    if (written !== undefined) {
      if (here) written = this.#noteReached(runs, written)
      await written
    }
    await this.#commit(runs)
  }
  #collect({ task }: TaskRun): void {
    const { writes } = this.#setting
    const { outputs, changes } = task.drain()
    writes.addOutputs(outputs)
    writes.addChanges(changes, task.partition)
  }

  /** The commit may never come, and all is done already: whoever restores these tasks is told so. */
  async #noteReached(runs: readonly TaskRun[], written: Promise<void>): Promise<void> {
    const { broker, writes } = this.#setting
    const now = broker.clock.now()
    const noted = runs.flatMap(run => {
      const record = reachedRecord(run, now)
      if (record === undefined) return []
      writes.add(this.#timeChangelog(run), record)
      return [run]
    })
    const noting = writes.flush()
    noting?.catch(() => {})
    try {
      await written
      await noting
    } catch (error) {
      for (const run of noted) writes.add(this.#timeChangelog(run), unreachedRecord(run, now))
      await writes.flush()
      throw error
    }
  }
  #timeChangelog({ task }: TaskRun): string {
    return topicName(task.subtopology.changelogs.at(-1)!.topic, this.#setting.applicationId)
  }

  async #commit(runs: readonly TaskRun[]): Promise<void> {
    let living = runs
    for (;;) {
      const offsets = living.flatMap(run => [...run.uncommitted()])
      if (offsets.length === 0) return
      try {
        await this.#consumer.commit(offsets)
        for (const run of living) run.committed()
        return
      } catch (error) {
        const { closed } = this.#consumer
        if (isRetriable(error)) await later(this.#setting.broker, retryBackoffMs)
        else if (!closed && !isOut(error)) throw error
        const before = living.length
        this.#assignment = undefined
        this.#dropLost()
        living = living.filter(({ state }) => state !== 'closed')
        if (closed || (!isRetriable(error) && living.length === before)) throw error
      }
    }
  }

  // ── time, and the end ──

  #armTimer(): void {
    const { clock } = this.#setting.broker
    let at: number | undefined
    for (const { running, task } of this.#tasks.runs) {
      const next = running ? task.nextWallClockPunctuation : undefined
      if (next !== undefined && (at === undefined || next < at)) at = next
    }
    if (at === this.#timer?.at) return
    this.#disarmTimer()
    if (at === undefined) return
    const fire = (): void => {
      this.#timer = undefined
      this.#wake.call()
    }
    this.#timer = { at, handle: clock.setTimeout(fire, Math.max(0, at - clock.now())) }
  }
  #disarmTimer(): void {
    if (this.#timer !== undefined) this.#setting.broker.clock.clearTimeout(this.#timer.handle)
    this.#timer = undefined
  }

  async #leave(): Promise<void> {
    this.#disarmTimer()
    // Who was closed by its broker is told so by its consumer; a killed process does nothing any more.
    const closed = this.#consumer.closed
    try {
      // What has failed writes nothing any more: it may lack what came before.
      if (!closed && this.#failure !== undefined) this.#drop(this.#tasks.clear())
      else if (!closed) await this.#close(this.#tasks.clear())
    } catch (error) {
      this.fail(error)
    }
    try {
      await this.#consumer.close()
    } catch (error) {
      this.fail(error)
    }
    for (const run of this.#tasks.clear()) run.end()
    this.#setting.changed()
  }
}

/** All of them, whatever one throws. */
function closeAll(runs: readonly TaskRun[]): void {
  let failure: { readonly error: unknown } | undefined
  for (const { task } of runs) {
    try {
      task.close()
    } catch (error) {
      failure ??= { error: handlerFailed(error, undefined, `close of task ${task.id}`) }
    }
  }
  if (failure !== undefined) throw failure.error
}
/** Who is out of the group, or does not own the partition any more. */
function isOut(error: unknown): boolean {
  return isMillraceError(error, 'ILLEGAL_GENERATION') || isMillraceError(error, 'UNKNOWN_MEMBER_ID')
}
