// Clusters for tests: started and stopped by the scripts in cluster/, on ports and in folders of their own.
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const scripts = join(import.meta.dirname, 'cluster')

/** What is missing on this machine for a real cluster; undefined if nothing is. */
export function missing(): string | undefined {
  // "openjdk version "17.0.9" ..." on stderr
  const { stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  const version = Number(/version "(\d+)/.exec(stderr ?? '')?.[1])
  if (!(version >= 17)) return 'Java 17'
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.some(folder => existsSync(join(folder, 'mvn'))) ? undefined : 'Maven'
}

/** One broker of a cluster. */
export interface Node {
  readonly address: string
  readonly folder: string
  /** It ends in an orderly way, or is killed; its data stays. */
  stop(): Promise<void>
  kill(): Promise<void>
  /** Starts again what was stopped or killed, with its data, on its port. */
  again(): Promise<void>
  /** Stands still, as if the machine had; and goes on. */
  stall(): Promise<void>
  resume(): Promise<void>
  /** Ends, and is forgotten. */
  remove(): Promise<void>
}

/** `properties`: more of server.properties, a line each. `first`: the node whose cluster it joins. */
export async function startNode(properties: readonly string[] = [], first?: Node): Promise<Node> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
  const env = { ...process.env, KAFKA_PROPERTIES: properties.join('\n') }
  const start = async (...args: string[]): Promise<string> => {
    // Its output goes to files: a pipe that the broker inherits would keep the script from ending.
    const { stdout } = await promisify(execFile)(join(scripts, 'start'), args, { env })
    return stdout.trim()
  }
  const pid = async (): Promise<number> => Number(await readFile(join(folder, 'pid'), 'utf8'))
  const stop = async (): Promise<void> => {
    await promisify(execFile)(join(scripts, 'stop'), [folder])
  }
  let address: string
  try {
    address = await (first === undefined ? start(folder) : start('--join', first.folder, folder))
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return {
    address,
    folder,
    stop,
    async kill() {
      const killed = await pid()
      process.kill(killed, 'SIGKILL')
      while (isAlive(killed)) await new Promise(resolve => setTimeout(resolve, 10))
    },
    async again() {
      await start('--again', folder)
    },
    async stall() {
      const stalled = await pid()
      process.kill(stalled, 'SIGSTOP')
      // Its threads stop one after the other, and till then they answer.
      while (!(await standsStill(stalled))) await new Promise(resolve => setTimeout(resolve, 1))
    },
    async resume() {
      process.kill(await pid(), 'SIGCONT')
    },
    async remove() {
      await stop().catch(() => {})
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Whether every thread of it is stopped: `T` in the third column of its stat, after the name in brackets. */
async function standsStill(pid: number): Promise<boolean> {
  const folder = `/proc/${pid}/task`
  // Where there is no /proc the signal has to be enough.
  if (!existsSync(folder)) return true
  for (const thread of await readdir(folder)) {
    const stat = await readFile(join(folder, thread, 'stat'), 'utf8').catch(() => ') T')
    if (stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'T') return false
  }
  return true
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
