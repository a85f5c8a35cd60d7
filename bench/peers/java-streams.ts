import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface JavaStreams {
  /** Milliseconds of one round. */
  round(topology: 'count' | 'windows'): Promise<number>
  close(): void
}

/** Kafka Streams' own TopologyTestDriver, in a Java machine that lives through all rounds; undefined where there is none. */
export async function javaStreams(...settings: readonly (string | number)[]): Promise<JavaStreams | undefined> {
  // The measures are bundled into bench/dist.
  const oracle = fileURLToPath(new URL('../../test/streams/oracle/run', import.meta.url))
  const child: ChildProcessWithoutNullStreams = spawn(oracle, ['Bench', ...settings.map(String)])
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  let complaint = ''
  child.stderr.on('data', chunk => {
    complaint += chunk
  })
  child.stdin.on('error', () => {})
  const round = async (topology: string): Promise<number> => {
    child.stdin.write(`${topology}\n`)
    const { done, value } = await lines.next()
    if (done === true) throw new Error(`Kafka Streams did not answer: ${complaint}`)
    return Number(value)
  }
  try {
    await round('count')
  } catch (error) {
    console.error((error as Error).message)
    return undefined
  }
  return { round, close: () => void child.stdin.end() }
}
