import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Case, Outcome } from './case.js'

const RUN = fileURLToPath(new URL('../oracle/run', import.meta.url))

/** Why Kafka Streams can't be asked on this machine, or undefined. */
export function missing(): string | undefined {
  for (const tool of ['java', 'mvn']) {
    try {
      execFileSync(tool, ['-version'], { stdio: 'ignore' })
    } catch {
      return `no ${tool} on this machine: Java 17 or later and Maven are needed to ask Kafka Streams for new cases`
    }
  }
  return undefined
}

/** Kafka Streams in a process of its own: cases go in, outcomes come out, a line each. */
export class Oracle {
  readonly #process = spawn(RUN, { stdio: ['pipe', 'pipe', 'inherit'] })
  readonly #answers: AsyncIterator<string> = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()

  async ask(...cases: readonly Case[]): Promise<Outcome[]> {
    this.#process.stdin.write(cases.map(each => `${JSON.stringify(each)}\n`).join(''))
    const outcomes: Outcome[] = []
    while (outcomes.length < cases.length) {
      const { value, done } = await this.#answers.next()
      if (done) throw new Error(`the oracle ended after ${outcomes.length} of ${cases.length} cases`)
      outcomes.push(JSON.parse(value) as Outcome)
    }
    return outcomes
  }

  close(): void {
    this.#process.stdin.end()
  }
}
