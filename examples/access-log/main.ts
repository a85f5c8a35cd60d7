// The main job: who visits a web server, and what it answers, from its access log.
//   npm start                 the log that comes with the example
//   npm start -- FILE         another one in Apache's combined format, plain or gzipped
//   npm start -- -            standard input
//   npm start -- --kafka localhost:9092 [FILE]   on a cluster, of which this is one of its brokers
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMillraceError } from 'millrace'
import { InputError, nameOf, openLog } from './input.js'
import { runJob } from './job.js'
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
  const { path = ours, kafka } = given()
  const lines = await openLog(path)
  // Who does not want a cluster need not have installed what talks to one.
  const place =
    kafka === undefined ? inMemory() : await import('./cluster.js').then(({ onCluster }) => onCluster(kafka))
  console.log(`Reading ${nameOf(path)}`)
  if (kafka !== undefined)
    console.log(`  on ${kafka}, into ${place.names.requests} and ${place.names.dead}, which stay there`)
  const outcome = await runJob(lines, line => console.log(line), place)
  const proof = prove(outcome)
  console.log(`\n${report(outcome)}\n\n${proofText(proof)}`)
  if (!proof.holds) process.exitCode = 1
} catch (error) {
  if (!(error instanceof InputError || isMillraceError(error))) throw error
  console.error(error.message)
  process.exitCode = 1
}

function given(): { path: string | undefined; kafka: string | undefined } {
  try {
    const { values, positionals } = parseArgs({ options: { kafka: { type: 'string' } }, allowPositionals: true })
    return { path: positionals[0], kafka: values.kafka }
  } catch (error) {
    throw new InputError((error as Error).message)
  }
}
