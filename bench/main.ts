import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildAll } from './build.js'
import { families } from './families.js'
import type { Effort, Row } from './measure.js'
import { draw } from './svg.js'
import { line, markdown } from './table.js'

// npm run bench -- [--long] [--cpu] [names of measures]; a long run of all of them writes the results.
const { values, positionals } = parseArgs({
  options: { long: { type: 'boolean', default: false }, cpu: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const effort: Effort = values.long
  ? { long: true, rounds: 11, warmUp: 3, records: 1_000_000, cpu: values.cpu }
  : { long: false, rounds: 5, warmUp: 6, records: 150_000, cpu: values.cpu }
/** Not for every day: measured by name, and in a long run. */
const seldom = ['streams', 'streams-driver', 'streams-state', 'scale']
const asked = (name: string): boolean =>
  positionals.length > 0 ? positionals.includes(name) : values.long || !seldom.includes(name)
const names = Object.keys(families).filter(asked)

// The young generation stays as large as it gets by default (in MB). Otherwise each forced collection hands its pages
// back, and the next contender's time is the kernel's for giving them out again.
const flags = ['--expose-gc', '--min-semi-space-size=16']

function measure(name: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('dist/child.js', import.meta.url)), [name, JSON.stringify(effort)], {
      execArgv: [...flags, ...(effort.cpu ? ['--single-threaded-gc'] : [])],
    })
    child.once('message', rows => resolve(rows as readonly Row[]))
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`The measure ${name} ended with ${code}`)))
  })
}

await buildAll()
const rows: Row[] = []
for (const name of names) {
  for (const row of await measure(name)) {
    rows.push(row)
    console.log(line(row))
  }
}
if (values.long && positionals.length === 0) {
  const host = {
    node: process.version,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model.trim() ?? '?',
    cores: cpus().length,
  }
  const caption = `millrace, ${effort.records.toLocaleString('en')} records, medians of ${effort.rounds} interleaved rounds${effort.cpu ? ', by processor time' : ''}; Node ${host.node}, ${host.cores} x ${host.cpu}`
  const at = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
  writeFileSync(at('results.json'), `${JSON.stringify({ ...host, ...effort, rows }, undefined, 2)}\n`)
  writeFileSync(at('results.svg'), draw(rows, caption))
  writeFileSync(
    at('results.md'),
    `# Results\n\n${caption}.\n\n${markdown(rows)}\n\n![Bars for each measure](results.svg)\n`,
  )
}
