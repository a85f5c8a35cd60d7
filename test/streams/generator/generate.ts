import { aggregate, cogroup } from './aggregates.js'
import type { Case, Step } from './case.js'
import { Draft, type Kind, type Theme } from './draft.js'
import { inputFor } from './input.js'
import { processStep } from './process-steps.js'
import { Random } from './random.js'
import { streamSource, tableSource } from './sources.js'
import { globalJoin, joinWithTable, streamJoin, through } from './stream-joins.js'
import { group, stateless, toTable } from './stream-steps.js'
import { foreignKeyJoin, suppress, tableGroup, tableJoin, tableStateless, toStream } from './table-steps.js'

// Random topologies that Kafka Streams would run, and some that it refuses. A seed is a case.

export function caseOf(seed: number): Case {
  const random = new Random(seed)
  const draft = new Draft(random)
  streamSource(draft)
  if (random.chance(0.3)) streamSource(draft)
  if (random.chance(0.5)) tableSource(draft)
  const operators = random.chance(0.1) ? random.within(8, 14) : random.within(1, 8)
  for (let i = 0; i < operators; i++) random.one(operations(draft))()
  finish(draft)
  return { seed, startMs: random.within(0, 100), steps: draft.steps, input: inputFor(draft.steps, random) }
}

/** What may come next, the likelier the more often it is in the list. */
function operations(draft: Draft): (() => unknown)[] {
  const has = (kind: Kind): boolean => draft.handles.some(handle => handle.kind === kind)
  const much = (theme: Theme): number => (draft.theme === theme ? 5 : 1)
  const list: (() => unknown)[] = []
  const add = (times: number, operation: () => unknown): void => {
    for (let i = 0; i < times; i++) list.push(operation)
  }
  add(draft.theme === 'mixed' ? 8 : 4, () => stateless(draft))
  add(much('windows'), () => [group(draft), aggregate(draft)])
  add(1, () => group(draft))
  add(much('joins'), () => streamJoin(draft))
  add(much('joins'), () => joinWithTable(draft))
  add(Math.ceil(much('joins') / 2), () => globalJoin(draft))
  add(1, () => toTable(draft))
  add(2 * much('processors'), () => processStep(draft))
  add(1, () => through(draft))
  add(1, () => streamSource(draft))
  add(1, () => tableSource(draft))
  if (has('grouped')) {
    add(2, () => aggregate(draft))
    add(2, () => cogroup(draft))
  }
  if (has('table')) {
    add(2 + much('tables'), () => tableStateless(draft))
    add(1 + much('tables'), () => tableGroup(draft))
    add(1 + much('tables'), () => tableJoin(draft))
    add(much('tables'), () => foreignKeyJoin(draft))
    add(1, () => toStream(draft))
    add(draft.theme === 'windows' ? 5 : 2, () => suppress(draft))
  }
  return list
}

/** What nobody has taken, and now and then what somebody has, is written to a topic. */
function finish(draft: Draft): void {
  const random = draft.random
  for (const grouped of draft.handles.filter(({ kind, used }) => kind === 'grouped' && !used)) {
    aggregate(draft, grouped)
  }
  for (const table of draft.handles.filter(({ kind, used }) => kind === 'table' && (!used || random.chance(0.2)))) {
    const key = table.windowed && random.chance(0.5) ? { key: 'text' } : {}
    const step: Step = { id: draft.id(), op: 'toStream', of: table.ref, ...key }
    draft.add(step, 'stream', { windowed: table.windowed && !('key' in key) })
  }
  for (const stream of draft.handles.filter(({ kind, used }) => kind === 'stream' && (!used || random.chance(0.2)))) {
    const text = stream.windowed ? draft.add({ id: draft.id(), op: 'selectKey', of: stream.ref, key: 'text' }) : stream
    const id = draft.id()
    const partition = random.chance(0.05) ? { partition: true as const } : {}
    if (random.chance(0.06)) {
      draft.add({ id, op: 'to', of: text.ref, topics: ['out-even', 'out-odd'], ...partition, ...draft.named(0.1) })
    } else {
      draft.add({ id, op: 'to', of: text.ref, topic: `out-${id}`, ...partition, ...draft.named(0.1) })
    }
  }
}
