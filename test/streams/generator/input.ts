import type { Content, Header, Input, Step } from './case.js'
import type { Random } from './random.js'

/** Records for the topics that a topology reads: most in order, some late, with tombstones, without keys, with headers. */
export function inputFor(steps: readonly Step[], random: Random): Input[] {
  const written = new Set(steps.flatMap(step => (step.op === 'to' && step.topic !== undefined ? [step.topic] : [])))
  const topics = steps
    .flatMap(step =>
      step.op === 'stream' ? step.topics : step.op === 'table' || step.op === 'globalTable' ? [step.topic] : [],
    )
    .filter(topic => !written.has(topic))
  const keys: (string | null)[] = random.chance(0.2)
    ? ['a', 'b', 'é', '\u{1f600}', 'ｚ', '', null]
    : ['a', 'a', 'a', 'b', 'b', 'b', 'c', 'c', 'c', 'x', '5', null]
  const input: Input[] = []
  let now = random.within(0, 20)
  const count = random.chance(0.1) ? random.within(28, 70) : random.within(8, 28)
  // Now and then longer than a day goes by, after which stores drop windows by default.
  const jumps = random.chance(0.08)
  for (let i = 0; i < count; i++) {
    if (random.chance(0.07)) input.push({ wall: random.within(1, 30) })
    const drawn = random.next()
    if (drawn < 0.55) now += random.within(0, 3)
    else if (drawn < 0.7) now += random.within(4, 25)
    else if (jumps && drawn < 0.75) now += random.within(80_000_000, 90_000_000)
    const late = drawn >= 0.8 ? random.within(0, 14) : 0
    const headers: Header[] = random.chance(0.25) ? [['h', `${i}`]] : []
    if (headers.length > 0 && random.chance(0.3)) headers.push(['h', 'again'])
    const topic = random.one(topics)
    const key = random.one(keys)
    const content = contentOf(random)
    const timestamp = Math.max(0, now - late)
    input.push(headers.length > 0 ? [topic, key, content, timestamp, headers] : [topic, key, content, timestamp])
  }
  return input
}

function contentOf(random: Random): Content {
  const drawn = random.next()
  if (drawn < 0.1) return null
  if (drawn < 0.65) return random.within(0, 20)
  return random.one(['a', 'b', 'c', 'aa', 'bb', 'abc', 'xyz', ''])
}
