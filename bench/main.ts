import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildAll } from './build.js'
import { families } from './families.js'
import type { Effort, Row } from './measure.js'
import { draw } from './svg.js'
import { line } from './table.js'

// npm run bench [-- --long] [names of measures]; the results are written when all have been measured.
const { values, positionals } = parseArgs({
  options: { long: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const effort: Effort = values.long
  ? { long: true, rounds: 15, records: 1_000_000 }
  : { long: false, rounds: 7, records: 200_000 }
const names = Object.keys(families).filter(name => positionals.length === 0 || positionals.includes(name))

function measure(name: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('dist/child.js', import.meta.url)), [name, JSON.stringify(effort)], {
      execArgv: ['--expose-gc', '--no-warnings'],
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
if (positionals.length === 0) {
  const host = {
    node: process.version,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model.trim() ?? '?',
    cores: cpus().length,
  }
  const caption = `millrace, ${effort.records.toLocaleString('en')} records, medians of ${effort.rounds} interleaved rounds; Node ${host.node}, ${host.cores} x ${host.cpu}`
  const at = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
  writeFileSync(at('results.json'), `${JSON.stringify({ ...host, ...effort, rows }, undefined, 2)}\n`)
  writeFileSync(at('results.svg'), draw(rows, caption))
}
