import type { Step } from './case.js'
import type { Draft, Handle } from './draft.js'
import { textStream, textTable } from './sources.js'
import { JOINERS, KEYS, KINDS } from './words.js'

export function streamJoin(draft: Draft): Handle {
  const random = draft.random
  // Each may square the number of records.
  if (draft.steps.filter(({ op }) => op === 'streamJoin').length >= 3) return joinWithTable(draft)
  const [left, right] = [textStream(draft), textStream(draft)]
  const before = random.within(-2, 8)
  const windows = {
    before,
    after: random.chance(0.5) ? Math.abs(before) : random.within(-Math.min(before, 2), 8),
    grace: random.chance(0.4) ? 0 : random.within(1, 6),
  }
  const id = draft.id()
  const step: Step = {
    id,
    op: 'streamJoin',
    of: left.ref,
    with: right.ref,
    kind: random.one(KINDS),
    by: random.one(JOINERS),
    windows,
    ...(random.chance(0.2) && { joinStore: `joined-${id}` }),
    ...draft.named(),
  }
  return draft.add(step, 'stream')
}

export function joinWithTable(draft: Draft): Handle {
  const [left, right] = [textStream(draft), textTable(draft)]
  const kind = draft.random.one(['inner', 'left'] as const)
  const by = draft.random.one(JOINERS)
  return draft.add(
    { id: draft.id(), op: 'tableJoin', of: left.ref, with: right.ref, kind, by, ...draft.named() },
    'stream',
  )
}

export function globalJoin(draft: Draft): Handle {
  const random = draft.random
  const global =
    draft.pick('global') ??
    draft.add({ id: draft.id(), op: 'globalTable', topic: 'glob', ...draft.stored() }, 'global', { used: true })
  const left = draft.pick('stream')!
  const on = random.one(left.windowed ? KEYS : ['same' as const, ...KEYS])
  const kind = random.one(['inner', 'left'] as const)
  const step: Step = {
    id: draft.id(),
    op: 'globalJoin',
    of: left.ref,
    with: global.ref,
    kind,
    by: random.one(JOINERS),
    on,
    ...draft.named(),
  }
  return draft.add(step, 'stream', { windowed: left.windowed })
}

/** Written to a topic of the user's, and read from there. */
export function through(draft: Draft): Handle {
  const from = draft.pick('stream', ({ windowed }) => !windowed)!
  const topic = `mid-${draft.nextId}`
  draft.add({ id: draft.id(), op: 'to', of: from.ref, topic, ...draft.named(0.1) })
  const drawn = draft.random.next()
  if (drawn < 0.3) return draft.add({ id: draft.id(), op: 'table', topic, ...draft.stored(0.3) }, 'table')
  if (drawn < 0.5) {
    draft.add({ id: draft.id(), op: 'globalTable', topic, ...draft.stored(0.3) }, 'global', { used: true })
    return globalJoin(draft)
  }
  return draft.add({ id: draft.id(), op: 'stream', topics: [topic] }, 'stream')
}
