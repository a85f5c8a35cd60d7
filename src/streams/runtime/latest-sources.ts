import type { Consumer } from '../../index.js'
import { retryBackoffMs } from './retries.js'
import type { PartitionQueue, TaskRun } from './task-run.js'

/** Partitions that begin at their end, where the group itself begins at the start: the ends are the group's to know. */
export class LatestSources {
  readonly #topics: ReadonlySet<string>
  readonly #consumer: Consumer<any>
  /** Of these the group does not know yet where they began. */
  readonly #unpinned = new Set<PartitionQueue>()
  #lookAgainAfterMs = 0

  constructor(topics: ReadonlySet<string>, consumer: Consumer<any>) {
    this.#topics = topics
    this.#consumer = consumer
  }

  /** How long a poll waits before it is looked at whether the ends are known; undefined: as long as it likes. */
  get lookAgainAfterMs(): number | undefined {
    return this.#unpinned.size > 0 ? this.#lookAgainAfterMs : undefined
  }

  /** Where it goes on is known only where something was committed, or worked through. */
  begin(queue: PartitionQueue): void {
    const { topic, partition, committed, next } = queue
    if (committed !== undefined || next !== undefined || !this.#topics.has(topic)) return
    this.#consumer.seek(topic, partition, 'latest')
    this.#unpinned.add(queue)
    this.#lookAgainAfterMs = 0
  }

  /** What is known by now is to be committed: who comes next begins there too. */
  pin(runs: Iterable<TaskRun>, touch: (run: TaskRun) => void): void {
    if (this.#unpinned.size === 0) return
    const all = [...runs]
    for (const queue of this.#unpinned) {
      const run = all.find(({ queues }) => queues.includes(queue))
      const position = run === undefined ? undefined : this.#consumer.position(queue.topic, queue.partition)
      if (run !== undefined && position === undefined) {
        this.#lookAgainAfterMs = retryBackoffMs
        continue
      }
      this.#unpinned.delete(queue)
      if (run === undefined || queue.next !== undefined) continue
      queue.next = queue.head?.offset ?? position
      touch(run)
    }
  }
}
