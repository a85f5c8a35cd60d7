import type { Step } from './case.js'
import type { Draft, Handle } from './draft.js'

export function processStep(draft: Draft): Handle {
  const random = draft.random
  const from = draft.pick('stream')!
  const fixed = random.chance(0.4)
  const by = random.one([
    'count',
    'changes',
    'neighbours',
    'where',
    'where',
    'times',
    'times',
    ...(draft.has('punctuation by stream time') ? [] : ['later']),
    'twice',
    'windowSum',
    'sessions',
    'prefix',
    'windowsNear',
    ...(fixed ? [] : ['rekey', 'alarm', 'alarm', 'collect', 'collect', 'collect']),
  ])
  const kinds: Record<string, 'key-value' | 'window' | 'session'> = {
    count: 'key-value',
    changes: 'key-value',
    neighbours: 'key-value',
    collect: 'key-value',
    prefix: 'key-value',
    windowSum: 'window',
    windowsNear: 'window',
    sessions: 'session',
  }
  const kind = kinds[by]
  const stores = kind ? [storeFor(draft, kind).ref] : []
  const punctuated =
    by === 'collect' || by === 'alarm'
      ? {
          time: draft.has('later times') ? 'wall clock time' : random.one(['stream time', 'wall clock time'] as const),
          every: random.within(1, 20),
          ...(by === 'collect' && random.chance(0.3) && { stops: true as const }),
        }
      : {}
  const op = fixed ? 'processValues' : 'process'
  const step: Step = { id: draft.id(), op, of: from.ref, by, stores, ...punctuated, ...draft.named() }
  return draft.add(step, 'stream', { windowed: from.windowed && !['rekey', 'alarm', 'collect'].includes(by) })
}

function storeFor(draft: Draft, kind: 'key-value' | 'window' | 'session'): Handle {
  const random = draft.random
  const shared = random.chance(0.3) ? draft.pick('store', ({ storeKind }) => storeKind === kind) : undefined
  if (shared) return shared
  const id = draft.id()
  const size = random.within(2, 6)
  const sized = kind === 'window' ? { size, retention: size + random.within(0, 20) } : {}
  const kept = kind === 'session' ? { retention: random.within(1, 20) } : {}
  return draft.add({ id, op: 'store', kind, store: `store-${id}`, ...sized, ...kept }, 'store', { storeKind: kind })
}
