// Asks Kafka Streams for cases that nobody has seen, and compares: `npm run test:oracle -- [count] [seed]`.
// A case's seed is the first seed and its number; the same two arguments give the same cases.

import type { Case } from './case.js'
import { type Difference, difference, report } from './compare.js'
import { caseOf } from './generate.js'
import { missing, Oracle } from './oracle.js'
import { play } from './play.js'
import { shrink } from './shrink.js'
import { isMeaningful } from './stored.js'

const why = missing()
if (why) {
  console.error(`test:oracle was left out: ${why}`)
  process.exit(process.env['CI'] === 'true' ? 1 : 0)
}
const [count = 300, first = Date.now() % 1_000_000_000] = process.argv.slice(2).map(Number)
console.log(`${count} new cases from seed ${first}`)
const oracle = new Oracle()

/** How the two differ over a case, where Kafka's answer means something. */
async function differenceOver(given: Case): Promise<Difference | undefined> {
  const [expected] = await oracle.ask(given)
  return isMeaningful({ given, expected: expected! }) ? difference(expected!, play(given), given.steps) : undefined
}
const kindOf = ({ what }: Difference): string => what.split(' ')[0]!

let failed = 0
for (let seed = first; seed < first + count; seed++) {
  const given = caseOf(seed)
  const found = await differenceOver(given)
  if (!found) continue
  failed++
  if (failed > 5) continue
  const small = await shrink(given, async candidate => {
    const still = await differenceOver(candidate)
    return still !== undefined && kindOf(still) === kindOf(found)
  })
  console.error(`${report(small, (await differenceOver(small))!)}\n`)
}
oracle.close()
console.log(`${count - failed} as in Kafka Streams, ${failed} not`)
process.exitCode = failed > 0 ? 1 : 0
