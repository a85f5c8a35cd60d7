import type { ConsumerRecord } from '../../index.js'
import { decide, type ErrorSetting, handlerFailed } from '../task/callback-errors.js'
import type { TopologyTask } from '../task/seam.js'
import type { ResultsSetting } from './results.js'
import type { TaskRun } from './task-run.js'

export interface ExecutorSetting extends ErrorSetting, Pick<ResultsSetting, 'broker' | 'writes'> {
  readonly maxPollRecords: number
}

/** What the tasks of an instance do in one turn, in one step; nothing of it is written yet. Kafka: TaskExecutor. */
export class TaskExecutor {
  readonly #setting: ExecutorSetting
  readonly #touch: (run: TaskRun) => void
  /** Whose task is the first of a turn. */
  #first = 0

  /** `touch`: is told of each task that does something, before it does. */
  constructor(setting: ExecutorSetting, touch: (run: TaskRun) => void) {
    this.#setting = setting
    this.#touch = touch
  }

  /** What is due by the wall clock. HANDLER_FAILED where onError does not go on; what came before stays. */
  punctuate(all: Iterable<TaskRun>): void {
    const now = this.#setting.broker.clock.now()
    for (const run of all) {
      const next = run.running ? run.task.nextWallClockPunctuation : undefined
      if (next === undefined || next > now) continue
      this.#touch(run)
      this.#fire(run, 'wall clock time')
    }
  }
  #fire({ task }: TaskRun, time: 'stream time' | 'wall clock time'): void {
    for (;;) {
      try {
        return task.punctuate(time)
      } catch (error) {
        this.#caught(error, task, 'punctuation')
      }
    }
  }

  /** So many records of one turn, at most; the tasks take turns at being the first. HANDLER_FAILED as above. */
  process(all: Iterable<TaskRun>): void {
    const runs = [...all].filter(run => run.running && run.waiting)
    let left = this.#setting.maxPollRecords
    this.#first++
    for (let i = 0; i < runs.length && left > 0; i++) {
      const run = runs[(this.#first + i) % runs.length]!
      const { task } = run
      this.#touch(run)
      for (let queue = run.choose(); queue !== undefined && left > 0; queue = run.choose()) {
        const record = queue.head!
        try {
          task.process(record, queue.time)
        } catch (error) {
          this.#caught(error, task, record)
        }
        queue.drop()
        left--
        this.#fire(run, 'stream time')
      }
    }
  }
  #caught(error: unknown, task: TopologyTask, doing: ConsumerRecord | 'punctuation'): void {
    const { writes, deadLetter } = this.#setting
    const letter = decide(this.#setting, error, task, doing)
    if (letter === undefined) return
    try {
      writes.check(deadLetter!, letter)
    } catch (refusal) {
      throw handlerFailed(refusal, task, doing)
    }
    writes.add(deadLetter!, letter)
  }
}
