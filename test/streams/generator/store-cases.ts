// Writes test/streams/cases anew, from Kafka Streams' answers: `npx tsx test/streams/generator/store-cases.ts [count]`.

import { caseOf } from './generate.js'
import { Oracle } from './oracle.js'
import { isMeaningful, type Known, store } from './stored.js'

const [count = 1_200] = process.argv.slice(2).map(Number)
const oracle = new Oracle()
const kept: Known[] = []
let seed = 1
for (; kept.length < count; seed++) {
  const given = caseOf(seed)
  const [expected] = await oracle.ask(given)
  const known = { given, expected: expected! }
  if (isMeaningful(known)) kept.push(known)
}
oracle.close()
store(kept)
console.log(`${kept.length} cases kept of ${seed - 1}`)
