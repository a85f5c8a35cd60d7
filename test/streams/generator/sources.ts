import type { Step } from './case.js'
import type { Draft, Handle } from './draft.js'

export function streamSource(draft: Draft): Handle {
  const inUse = topicsInUse(draft)
  const free = ['in-a', 'in-b', 'in-c'].filter(topic => !inUse.has(topic))
  const read = draft.steps.flatMap(step => (step.op === 'stream' ? [step.topics] : []))
  const again = read.length > 0 && draft.random.chance(0.15)
  if (free.length === 0 && !again) return draft.pick('stream')!
  const topics = again
    ? draft.random.one(read)
    : draft.random.chance(0.01)
      ? draft.random.one([['tab-a'], ['in-a', 'in-b']])
      : free.slice(0, free.length > 1 && draft.random.chance(0.15) ? 2 : 1)
  const timed = draft.random.chance(0.06) && !draft.has('punctuation by stream time')
  const timestamp = timed ? { timestamp: draft.random.one(['plusTen', 'ofValue']) } : {}
  return draft.add({ id: draft.id(), op: 'stream', topics, ...timestamp, ...draft.named(0.1) }, 'stream')
}

export function tableSource(draft: Draft): Handle {
  const inUse = topicsInUse(draft)
  const free = ['tab-a', 'tab-b', 'tab-c'].filter(topic => !inUse.has(topic))
  if (free.length === 0) return draft.pick('table', ({ windowed }) => !windowed)!
  const step: Step = { id: draft.id(), op: 'table', topic: free[0]!, ...draft.named(0.1), ...draft.stored(0.3) }
  return draft.add(step, 'table')
}

export function textStream(draft: Draft): Handle {
  return draft.pick('stream', ({ windowed }) => !windowed) ?? streamSource(draft)
}

export function textTable(draft: Draft): Handle {
  return draft.pick('table', ({ windowed }) => !windowed) ?? tableSource(draft)
}

function topicsInUse(draft: Draft): Set<string> {
  return new Set(
    draft.steps.flatMap(step =>
      step.op === 'stream' ? step.topics : step.op === 'table' || step.op === 'globalTable' ? [step.topic] : [],
    ),
  )
}
