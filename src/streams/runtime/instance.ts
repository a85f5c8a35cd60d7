import { type Broker, type ConsumerRecord, isMillraceError, MillraceError } from '../../index.js'
import type { ChangelogRecord, Output, TaskEnvironment, TopologyTask } from '../task/seam.js'
import type { Subtopology, TopologyPlan } from '../topology/plan.js'
import { GlobalTails } from './global-tails.js'
import { type TaskGroup, taskGroup } from './group.js'
import { inSteps, isThenable, type Steps } from './steps.js'
import type { TaskRun } from './task-run.js'
import { type Counts, lookUpTopics, makeInternalTopics } from './topics.js'
import { Worker } from './worker.js'
import { Writes } from './writes.js'

/** Both throw where something can't be written, while all can still be undone. */
type Admission = Pick<TaskEnvironment, 'admitChange'> & Required<Pick<TaskEnvironment, 'admit'>>

/** What an instance runs. */
export interface Application {
  readonly applicationId: string
  readonly plan: TopologyPlan
  makeTask(subtopology: Subtopology, partition: number, admission: Admission): TopologyTask
  updateGlobal(store: string, record: ConsumerRecord): void
}
export interface InstanceOptions {
  readonly broker: Broker<any>
  readonly onError: ((error: unknown, record: ConsumerRecord | undefined) => 'continue' | 'fail') | undefined
  readonly deadLetter: string | undefined
  readonly maxPollRecords: number
}
type InstanceState = 'created' | 'rebalancing' | 'running' | 'closing' | 'closed' | 'failed'

/** The life of one instance: topics made, global tables read, at work until it is closed or can't go on. Kafka: KafkaStreams. */
export class Instance {
  readonly #application: Application
  readonly #options: InstanceOptions
  readonly #globals: GlobalTails
  #phase: 'created' | 'starting' | 'working' | 'over' = 'created'
  #closing = false
  #failure: { readonly error: unknown } | undefined
  #worker: Worker | undefined
  readonly #changes = new Change()
  readonly #stopped = new Change()
  readonly #done = new Change()

  constructor(application: Application, options: InstanceOptions) {
    this.#application = application
    this.#options = options
    this.#globals = new GlobalTails(options.broker, (store, record) => application.updateGlobal(store, record))
  }

  get state(): InstanceState {
    if (this.#failure !== undefined) return 'failed'
    if (this.#phase === 'over') return 'closed'
    if (this.#closing) return 'closing'
    if (this.#phase === 'created') return 'created'
    return this.#phase === 'working' && this.#worker?.settled !== false ? 'running' : 'rebalancing'
  }
  get runs(): Iterable<TaskRun> {
    return this.#worker?.runs ?? []
  }

  async run(signal: AbortSignal | undefined): Promise<void> {
    this.#checkOpen()
    if (this.#phase !== 'created')
      throw new MillraceError('CONCURRENT_POLL', {
        group: this.#application.applicationId,
        memberId: '(this instance)',
      })
    this.#phase = 'starting'
    const stop = (): void => this.#stop()
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
    try {
      await this.#work()
    } catch (error) {
      this.#failure ??= { error }
    }
    signal?.removeEventListener('abort', stop)
    this.#over()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #work(): Promise<void> {
    const { applicationId, plan } = this.#application
    if (this.#closing) return
    const prepared = inSteps(this.#prepare())
    const counts = isThenable(prepared) ? await prepared : prepared
    if (this.#closing) return
    const tasks =
      plan.subtopologies.length === 0 ? undefined : taskGroup(this.#options.broker, plan, applicationId, counts)
    // Where all is in this process it has joined when run() returns, so that settled() waits for what it is to work on.
    if (tasks?.here === true) this.#worker = this.#join(tasks, counts)
    await this.#readGlobals()
    if (!this.#closing && this.#worker?.over !== true) {
      if (tasks !== undefined) this.#worker ??= this.#join(tasks, counts)
      this.#phase = 'working'
      this.#changes.tell()
    }
    if (this.#worker !== undefined) await this.#worker.work()
    else if (!this.#closing) await this.#stopped.next
  }
  *#prepare(): Steps<Counts> {
    const { applicationId, plan } = this.#application
    const { broker, deadLetter } = this.#options
    const counts = yield* lookUpTopics(broker, plan, applicationId, deadLetter === undefined ? [] : [deadLetter])
    if (this.#closing) return counts
    // What can't be worked on is told before anything is made for it; a group of topics that are to come can't be asked yet.
    if (plan.subtopologies.length > 0 && plan.repartitionTopics.length === 0)
      taskGroup(broker, plan, applicationId, counts)
    yield* makeInternalTopics(broker, plan, applicationId, counts)
    return counts
  }
  /** All that is there, before the first record is worked on. */
  async #readGlobals(): Promise<void> {
    const { applicationId, plan } = this.#application
    try {
      await this.#globals.start(plan, applicationId, error => this.#fail(error))
    } catch (error) {
      if (this.#closing) return
      if (this.#worker === undefined) throw error
      this.#worker.fail(error)
    }
  }

  #join(tasks: TaskGroup, counts: Counts): Worker {
    const { applicationId, plan } = this.#application
    const writes = new Writes(this.#options.broker)
    const admit = (output: Output | ChangelogRecord): void => writes.check(output.topic, output)
    // In memory the application's own topics have no codec.
    const admission: Admission = { admit, admitChange: tasks.here ? undefined : admit }
    return new Worker({
      ...this.#options,
      ...tasks,
      applicationId,
      subtopologies: plan.subtopologies,
      counts,
      writes,
      make: (subtopology, partition) => this.#application.makeTask(subtopology, partition, admission),
      changed: () => this.#changes.tell(),
    })
  }

  #fail(error: unknown): void {
    if (this.#closing) return
    this.#failure ??= { error }
    this.#stop()
  }
  /** The turn at work is the last. */
  #stop(): void {
    this.#closing = true
    // What works may still need them.
    if (this.#phase !== 'working') this.#globals.stop()
    this.#worker?.stop()
    this.#stopped.tell()
    if (this.#phase === 'created') this.#over()
  }
  #over(): void {
    this.#globals.stop()
    this.#phase = 'over'
    this.#changes.tell()
    this.#done.tell()
  }

  async ready(): Promise<void> {
    for (;;) {
      this.#checkOpen()
      const changed = this.#changes.next
      if (this.#phase === 'working' && (await this.#complete())) break
      await changed
    }
    await this.#globals.caughtUp()
  }
  async #complete(): Promise<boolean> {
    try {
      await this.#worker?.ready()
    } catch (error) {
      // It comes back by itself, or its end is told by run().
      if (isMillraceError(error, 'UNKNOWN_MEMBER_ID') || isMillraceError(error, 'CLOSED')) return false
      throw error
    }
    return this.state === 'running'
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#closing || this.#phase === 'over') throw new MillraceError('CLOSED', { what: this.#name })
  }
  get #name(): string {
    return `This instance of application ${this.#application.applicationId}`
  }

  close(timeoutMs: number): Promise<void> {
    const done = this.#phase === 'over' ? Promise.resolve() : this.#done.next
    this.#stop()
    if (this.#phase === 'over') return Promise.resolve()
    const { clock } = this.#options.broker
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        this.#worker?.abandon()
        reject(new MillraceError('REQUEST_TIMED_OUT', { what: `close() of ${this.#name.toLowerCase()}`, timeoutMs }))
      }, timeoutMs)
      void done.then(() => {
        clock.clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** Something that happens again and again, and who waits for the next time. */
class Change {
  #tell!: () => void
  #next!: Promise<void>
  constructor() {
    this.#renew()
  }
  get next(): Promise<void> {
    return this.#next
  }
  tell(): void {
    this.#tell()
    this.#renew()
  }
  #renew(): void {
    this.#next = new Promise(resolve => {
      this.#tell = resolve
    })
  }
}
