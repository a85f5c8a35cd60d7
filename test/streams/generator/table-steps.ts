import type { Step } from './case.js'
import type { Draft, Handle } from './draft.js'
import { textTable } from './sources.js'
import { INITIALS, JOINERS, KEYS, KINDS, MAPPERS, PREDICATES } from './words.js'

export function tableStateless(draft: Draft): Handle {
  const random = draft.random
  const from = draft.pick('table')!
  const rest = { id: draft.id(), of: from.ref, ...draft.named(), ...draft.stored() }
  const made = { windowed: from.windowed, windows: from.windows }
  if (random.chance(0.4)) return draft.add({ ...rest, op: 'tableMapValues', by: draft.mapper() }, 'table', made)
  const op = random.one(['tableFilter', 'tableFilterNot'] as const)
  return draft.add({ ...rest, op, by: random.one(PREDICATES) }, 'table', made)
}

export function tableGroup(draft: Draft): Handle {
  const random = draft.random
  const from = draft.pick('table')!
  const key = random.one(from.windowed ? KEYS : ['same' as const, ...KEYS])
  const grouped = draft.add(
    { id: draft.id(), op: 'tableGroupBy', of: from.ref, key, by: random.one(MAPPERS), ...draft.named() },
    'groupedTable',
    { used: true },
  )
  const rest = { id: draft.id(), of: grouped.ref, ...draft.named(), ...draft.stored() }
  const op = random.one(['tableCount', 'tableReduce', 'tableAggregate'] as const)
  if (op === 'tableCount') return draft.add({ ...rest, op }, 'table')
  const pair = random.one([
    { add: 'sum', subtract: 'minus' },
    { add: 'concat', subtract: 'without' },
    { add: 'last', subtract: 'first' },
    { add: 'nothingIfThird', subtract: 'minus' },
  ])
  if (op === 'tableReduce') return draft.add({ ...rest, op, ...pair }, 'table')
  return draft.add({ ...rest, op, initial: random.one(INITIALS), ...pair }, 'table')
}

export function tableJoin(draft: Draft): Handle {
  const random = draft.random
  const left = draft.pick('table')!
  const windows = JSON.stringify(left.windows)
  const right = draft.pick('table', other => JSON.stringify(other.windows) === windows)!
  const step: Step = {
    id: draft.id(),
    op: 'tableTableJoin',
    of: left.ref,
    with: right.ref,
    kind: random.one(KINDS),
    by: random.one(JOINERS),
    ...draft.named(),
    ...draft.stored(),
  }
  return draft.add(step, 'table', { windowed: left.windowed, windows: left.windows })
}

export function foreignKeyJoin(draft: Draft): Handle {
  const random = draft.random
  const [left, right] = [textTable(draft), textTable(draft)]
  const step: Step = {
    id: draft.id(),
    op: 'foreignKeyJoin',
    of: left.ref,
    with: right.ref,
    kind: random.one(['inner', 'left']),
    by: random.one(JOINERS),
    on: random.one(['ofValue', 'ofValue', 'modulo', 'constant', 'nothingIfOdd', 'same']),
    ...draft.named(),
    ...draft.stored(),
  }
  return draft.add(step, 'table')
}

export function suppress(draft: Draft): Handle {
  const random = draft.random
  const from = draft.pick('table')!
  const id = draft.id()
  const made = { windowed: from.windowed, windows: from.windows }
  // Kafka looks for windows anywhere upstream, and fails with the first record where the keys are text by then.
  const isMistake = random.chance(0.03) && !draft.steps.some(step => 'windows' in step)
  if (from.windowed ? random.chance(0.75) : isMistake) {
    const step: Step = { id, op: 'suppress', of: from.ref, until: 'window closes', ...draft.named() }
    return draft.add(step, 'table', made)
  }
  const most = random.chance(0.3) ? { maxRecords: random.within(1, 3) } : {}
  const limit = random.within(0, 12)
  const step: Step = { id, op: 'suppress', of: from.ref, until: 'time limit', limit, ...most, ...draft.named() }
  return draft.add(step, 'table', made)
}

export function toStream(draft: Draft): Handle {
  const from = draft.pick('table')!
  const key = draft.random.chance(0.3) ? { key: draft.random.one(KEYS) } : {}
  const step: Step = { id: draft.id(), op: 'toStream', of: from.ref, ...key, ...draft.named() }
  return draft.add(step, 'stream', { windowed: from.windowed && !('key' in key) })
}
