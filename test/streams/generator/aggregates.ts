import type { Step, Windows } from './case.js'
import type { Draft, Handle } from './draft.js'
import { INITIALS, REDUCERS } from './words.js'

export function aggregate(draft: Draft, grouped: Handle = draft.pick('grouped')!): Handle {
  const random = draft.random
  const of = grouped.ref
  grouped.used = true
  const windows = random.chance(0.8) ? drawWindows(draft) : undefined
  const merge = windows?.kind === 'session' ? { merge: random.one(['sum', 'concat', 'max']) } : {}
  const emit = windows && random.chance(0.3) ? { emit: 'on close' as const } : {}
  const rest = {
    of,
    ...(windows && { windows, ...retention(draft, windows) }),
    ...emit,
    ...draft.named(),
    ...draft.stored(),
  }
  const op = random.one(['count', 'count', 'reduce', 'aggregate', 'aggregate'] as const)
  const id = draft.id()
  const made = { windowed: windows !== undefined, windows }
  if (op === 'count') return draft.add({ id, op, ...rest }, 'table', made)
  if (op === 'reduce') return draft.add({ id, op, add: random.one(REDUCERS), ...rest }, 'table', made)
  const initial = random.one(INITIALS)
  return draft.add({ id, op, initial, add: random.one([...REDUCERS, 'withKey']), ...merge, ...rest }, 'table', made)
}

export function cogroup(draft: Draft): Handle {
  const random = draft.random
  const groups = Array.from({ length: random.within(1, 3) }, (): [string, string] => [
    draft.pick('grouped')!.ref,
    random.one([...REDUCERS, 'withKey']),
  ])
  const windows = random.chance(0.6) ? drawWindows(draft) : undefined
  const merge = windows?.kind === 'session' ? { merge: random.one(['sum', 'concat', 'max']) } : {}
  const step: Step = {
    id: draft.id(),
    op: 'cogroup',
    groups,
    initial: random.one(INITIALS),
    ...merge,
    ...(windows && { windows, ...retention(draft, windows) }),
    ...draft.named(),
    ...draft.stored(),
  }
  return draft.add(step, 'table', { windowed: windows !== undefined, windows })
}

function drawWindows(draft: Draft): Windows {
  const random = draft.random
  const grace = random.chance(0.4) ? 0 : random.within(1, 8)
  const kind = random.one(['time', 'time', 'sliding', 'session'] as const)
  if (kind === 'time') {
    const size = random.within(1, 12)
    return { kind, size, advance: random.chance(0.5) ? size : random.within(Math.ceil(size / 3), size), grace }
  }
  if (kind === 'sliding') return { kind, difference: random.within(1, 8), grace }
  return { kind, gap: random.within(0, 6), grace }
}

/** Now and then as short as is allowed, so that stores drop windows. */
function retention(draft: Draft, windows: Windows): { retention?: number } {
  if (!draft.random.chance(0.15)) return {}
  const more = windows.grace + (draft.random.chance(0.5) ? draft.random.within(1, 12) : 0)
  if (windows.kind === 'time') return { retention: windows.size + more }
  if (windows.kind === 'sliding') return { retention: 2 * windows.difference + more }
  return { retention: windows.gap + more }
}
