// The main job: who visits a web server, and what it answers, from its access log.
//   npm start                 the log that comes with the example
//   npm start -- FILE         another one in Apache's combined format, plain or gzipped
//   npm start -- -            standard input
//   npm start -- --streams    as a topology of millrace/streams, live; of a file or of standard input, too
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { InputError, nameOf, openLog } from './input.js'
import { runJob } from './job.js'
import { liveReport, runLive } from './live.js'
import { prove } from './proof.js'
import { proofText, report } from './report.js'

const ours = relative(process.cwd(), fileURLToPath(new URL('../data/access.log.gz', import.meta.url)))
const { values, positionals } = parseArgs({ options: { streams: { type: 'boolean' } }, allowPositionals: true })
const [path = ours] = positionals

// `npm start | head` has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

try {
  const lines = await openLog(path)
  console.log(`Reading ${nameOf(path)}`)
  const say = (line: string): void => console.log(line)
  if (values.streams === true) console.log(`\n${liveReport(await runLive(lines, say))}`)
  else {
    const outcome = await runJob(lines, say)
    const proof = prove(outcome)
    console.log(`\n${report(outcome)}\n\n${proofText(proof)}`)
    if (!proof.holds) process.exitCode = 1
  }
} catch (error) {
  if (!(error instanceof InputError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
