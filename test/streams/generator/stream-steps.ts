import type { Step } from './case.js'
import type { Draft, Handle } from './draft.js'
import { textStream } from './sources.js'
import { KEYS, PREDICATES } from './words.js'

export function stateless(draft: Draft): Handle {
  const random = draft.random
  const from = draft.pick('stream')!
  const of = from.ref
  const same: Partial<Handle> = { windowed: from.windowed }
  const id = draft.id()
  const named = draft.named()
  const op = random.one([
    'filter',
    'filterNot',
    'mapValues',
    'flatMapValues',
    'map',
    'flatMap',
    'selectKey',
    'selectKey',
    'peek',
    'forEach',
    'merge',
    'split',
    'repartition',
  ] as const)
  switch (op) {
    case 'filter':
    case 'filterNot':
      return draft.add({ id, op, of, by: random.one(PREDICATES), ...named }, 'stream', same)
    case 'mapValues':
      return draft.add({ id, op, of, by: draft.mapper(), ...named }, 'stream', same)
    case 'flatMapValues':
      return draft.add({ id, op, of, by: random.one(['twice', 'characters', 'none']), ...named }, 'stream', same)
    case 'map': {
      const { key, stays } = newKey(draft, from.windowed)
      return draft.add({ id, op, of, key, by: draft.mapper(), ...named }, 'stream', { windowed: stays })
    }
    case 'flatMap':
      return draft.add({ id, op, of, by: random.one(['twice', 'characters', 'none']), ...named }, 'stream')
    case 'selectKey': {
      const { key, stays } = newKey(draft, from.windowed)
      return draft.add({ id, op, of, key, ...named }, 'stream', { windowed: stays })
    }
    case 'peek':
      return draft.add({ id, op, of, ...named }, 'stream', same)
    case 'forEach':
      return draft.add({ id, op, of, ...named })
    case 'merge': {
      const other = draft.pick('stream', ({ windowed }) => windowed === from.windowed)!
      return draft.add({ id, op, of, with: other.ref, ...named }, 'stream', same)
    }
    case 'split': {
      const branches = ['big', 'small'].slice(0, random.within(1, 2)).map(name => [name, random.one(PREDICATES)])
      draft.add({ id, op, of, branches: branches as [string, string][], ...named })
      const made = [...branches.map(([name]) => name!), 'rest'].map(
        (name): Handle => ({ ref: `${id}.${name}`, kind: 'stream', used: false, windowed: from.windowed }),
      )
      draft.handles.push(...made)
      return made[0]!
    }
    case 'repartition': {
      const step: Step = { id, op, of: textStream(draft).ref, ...draft.named(0.5) }
      if (random.chance(0.2)) step.partition = true
      return draft.add(step, 'stream')
    }
  }
}

export function group(draft: Draft): Handle {
  const id = draft.id()
  if (draft.random.chance(0.5)) {
    return draft.add({ id, op: 'groupByKey', of: textStream(draft).ref, ...draft.named() }, 'grouped')
  }
  const from = draft.pick('stream')!
  const key = draft.random.one(from.windowed ? KEYS : ['same' as const, ...KEYS])
  return draft.add({ id, op: 'groupBy', of: from.ref, key, ...draft.named() }, 'grouped')
}

export function toTable(draft: Draft): Handle {
  const from = textStream(draft)
  return draft.add({ id: draft.id(), op: 'toTable', of: from.ref, ...draft.named(), ...draft.stored() }, 'table')
}

function newKey(draft: Draft, windowed: boolean): { key: string; stays: boolean } {
  const key = draft.random.one(['same', ...KEYS])
  return { key, stays: windowed && key === 'same' }
}
