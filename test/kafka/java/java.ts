// Programs of Java, compiled and run by the script beside this file.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface JavaProgram {
  /** What it has printed so far, line by line. */
  readonly printed: readonly string[]
  /** Resolves when it has ended with 0; rejects with what it complained about when not. */
  readonly ended: Promise<void>
  /** Its input ends, and with it, as all of these do, the program. */
  end(input?: string): Promise<void>
  kill(): void
}

export function startJava(
  main: string,
  args: readonly string[],
  onLine: (line: string) => void = () => {},
): JavaProgram {
  const child = run([main, ...args])
  const printed: string[] = []
  const lines = createInterface(child.stdout)
  lines.on('line', line => {
    printed.push(line)
    onLine(line)
  })
  const allRead = new Promise(resolve => lines.once('close', resolve))
  const ended = endOf(child).then(async () => void (await allRead))
  // Who does not ask is not to be ended by it.
  ended.catch(() => {})
  return {
    printed,
    ended,
    end(input = '') {
      child.stdin.end(input)
      return ended
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

/** So that no test has to wait for Maven. */
export const compileJava = (): Promise<void> => endOf(run([]))

function run(args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(join(import.meta.dirname, 'run'), args)
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<void> {
  let complaint = ''
  child.stderr.on('data', chunk => {
    complaint += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new Error(`${child.spawnargs.join(' ')} ended with ${code ?? signal}: ${complaint}`)),
    )
  })
}
