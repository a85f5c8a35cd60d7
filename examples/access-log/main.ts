// The main job: who visits a web server, and what it answers, from its access log.
//   npm start                 the log that comes with the example
//   npm start -- FILE         another one in Apache's combined format, plain or gzipped
//   npm start -- -            standard input
//   npm start -- --streams    as a topology of millrace/streams, live; of a file or of standard input, too
//   npm start -- --kafka localhost:9092 [FILE]   on a cluster, of which this is one of its brokers
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMillraceError } from 'millrace'
import { InputError, nameOf, openLog } from './input.js'
import { runJob } from './job.js'
import { liveReport, runLive } from './live.js'
import { inMemory } from './memory.js'
import { prove } from './proof.js'
import { proofText, report } from './report.js'

const ours = relative(process.cwd(), fileURLToPath(new URL('../data/access.log.gz', import.meta.url)))

// `npm start | head` has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

try {
  const { path = ours, kafka, streams } = given()
  const lines = await openLog(path)
  // Who does not want a cluster need not have installed what talks to one.
  const place =
    kafka === undefined ? inMemory() : await import('./cluster.js').then(({ onCluster }) => onCluster(kafka))
  console.log(`Reading ${nameOf(path)}`)
  const say = (line: string): void => console.log(line)
  if (streams) console.log(`\n${liveReport(await runLive(lines, say))}`)
  else {
    if (kafka !== undefined)
      say(`  on ${kafka}, into ${place.names.requests} and ${place.names.dead}, which stay there`)
    const outcome = await runJob(lines, say, place)
    const proof = prove(outcome)
    say(`\n${report(outcome)}\n\n${proofText(proof)}`)
    if (!proof.holds) process.exitCode = 1
  }
} catch (error) {
  if (!(error instanceof InputError || isMillraceError(error))) throw error
  console.error(error.message)
  process.exitCode = 1
}

function given(): { path: string | undefined; kafka: string | undefined; streams: boolean } {
  try {
    const { values, positionals } = parseArgs({
      options: { kafka: { type: 'string' }, streams: { type: 'boolean', default: false } },
      allowPositionals: true,
    })
    const { kafka, streams } = values
    if (kafka !== undefined && streams) throw new Error('--streams works in memory: not together with --kafka')
    return { path: positionals[0], kafka, streams }
  } catch (error) {
    throw new InputError((error as Error).message)
  }
}
