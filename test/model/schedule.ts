import * as fc from 'fast-check'

/** What the callbacks of a consumer do when they are called. */
export type CallbackAct =
  | 'none'
  | 'sync'
  | 'slow'
  | 'throw'
  | 'slowThrow'
  | 'hung'
  | 'seek'
  | 'slowSeek'
  | 'commit'
  | 'slowCommit'
  | 'close'
  | 'join'
  | 'pause'

/** What a handler of run() does with a record. */
export type HandlerAct =
  | 'ok'
  | 'slow'
  | 'fail'
  | 'commit'
  | 'commitFail'
  | 'commitAll'
  | 'stop'
  | 'close'
  | 'seek'
  | 'pause'
  | 'join'

export interface Settings {
  readonly intervalMs: number
  readonly reset: 'earliest' | 'latest' | 'none'
  readonly maxPollRecords: number
  readonly partitions: readonly [number, number]
}

/** One step of a schedule: plain data that fits any state, so that any part of a schedule is a schedule. */
export type Step =
  | { do: 'publish'; topic: number; key: number; partition: number; count: number }
  | {
      do: 'join'
      topics: 'ab' | 'a' | 'b'
      assigned: CallbackAct
      revoked: CallbackAct
      lost: CallbackAct
      instance: number
    }
  | { do: 'close'; who: number; late: boolean }
  | { do: 'crash'; who: number }
  | { do: 'expel'; who: number }
  | { do: 'ready'; who: number }
  | { do: 'break'; who: number }
  | { do: 'abort'; who: number }
  | { do: 'stop'; who: number }
  | { do: 'runAbort'; who: number }
  | { do: 'poll'; who: number; max: number; timeoutMs: number }
  | { do: 'step'; who: number }
  | {
      do: 'run'
      who: number
      concurrency: number
      attempts: number
      backoffMs: number
      dead: 'none' | 'topic' | 'promise' | 'refuse'
      acts: readonly HandlerAct[]
      rest: 'ok' | 'slow'
    }
  | { do: 'settle'; which: number; how: 'ok' | 'fail' | 'commit' }
  | { do: 'commit'; who: number; what: 'all' | 'record' | 'records' | 'offsets' | 'context'; where: number; at: number }
  | { do: 'seek'; who: number; where: number; to: number | 'earliest' | 'latest' | 'time' }
  | { do: 'pause'; who: number; where: number }
  | { do: 'resume'; who: number; where: number }
  | { do: 'addPartitions'; topic: number }
  | { do: 'deleteRecords'; topic: number; partition: number; before: number }
  | { do: 'advance'; ms: number }
  | { do: 'resetOffsets'; to: number | 'earliest' | 'latest' }
  | { do: 'caughtUp' }
  | { do: 'settled' }

export interface Schedule {
  readonly settings: Settings
  readonly steps: readonly Step[]
}

export function show(step: Step): string {
  const { do: verb, ...rest } = step
  const words = Object.entries(rest).map(([name, value]) => `${name}=${Array.isArray(value) ? `[${value}]` : value}`)
  return [verb, ...words].join(' ')
}

/** The settings and the steps, one a line. */
export function showSchedule({ settings, steps }: Schedule): string {
  return [JSON.stringify(settings), ...steps.map((step, i) => `${String(i + 1).padStart(3)}  ${show(step)}`)].join('\n')
}

const who = fc.nat({ max: 7 })
const where = fc.nat({ max: 5 })
const topic = fc.constantFrom(0, 0, 1)
const act = <Act extends string>(weights: Partial<Record<Act, number>>): fc.Arbitrary<Act> =>
  fc.constantFrom(
    ...(Object.entries(weights) as [Act, number][]).flatMap(([name, weight]) => new Array<Act>(weight).fill(name)),
  )

const assigned = act<CallbackAct>({
  none: 8,
  sync: 4,
  slow: 4,
  throw: 1,
  slowThrow: 1,
  hung: 1,
  seek: 1,
  slowSeek: 1,
  close: 1,
  join: 1,
  pause: 1,
})
const revoked = act<CallbackAct>({
  none: 8,
  sync: 4,
  slow: 4,
  throw: 1,
  slowThrow: 1,
  hung: 1,
  commit: 2,
  slowCommit: 1,
  close: 1,
  join: 1,
  seek: 1,
})
const lost = act<CallbackAct>({ none: 10, sync: 3, slow: 2, throw: 1, hung: 1, close: 1 })
const handlerAct = act<HandlerAct>({
  ok: 8,
  slow: 10,
  fail: 5,
  commit: 2,
  commitFail: 1,
  commitAll: 1,
  stop: 1,
  close: 1,
  seek: 1,
  pause: 1,
  join: 1,
})

/** `verb` and what goes with it, as one step. */
type RestOf<Of extends Step> = { [Name in Exclude<keyof Of, 'do'>]: fc.Arbitrary<Of[Name]> }
const step = <Verb extends Step['do']>(verb: Verb, rest: RestOf<Extract<Step, { do: Verb }>>): fc.Arbitrary<Step> =>
  fc.record(rest as Record<string, fc.Arbitrary<unknown>>).map(found => ({ do: verb, ...found }) as unknown as Step)

const steps: readonly { weight: number; arbitrary: fc.Arbitrary<Step> }[] = [
  {
    weight: 16,
    arbitrary: step('publish', {
      topic,
      key: fc.nat({ max: 3 }),
      partition: fc.constantFrom(-1, -1, -1, 0, 1),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 11,
    arbitrary: step('join', {
      topics: fc.constantFrom('ab', 'ab', 'ab', 'a', 'b'),
      assigned,
      revoked,
      lost,
      instance: fc.constantFrom(0, 0, 0, 0, 0, 1, 2),
    }),
  },
  { weight: 5, arbitrary: step('close', { who, late: fc.constantFrom(false, false, false, true) }) },
  { weight: 2, arbitrary: step('crash', { who }) },
  { weight: 4, arbitrary: step('expel', { who }) },
  {
    weight: 18,
    arbitrary: step('poll', { who, max: fc.constantFrom(1, 2, 500), timeoutMs: fc.constantFrom(-1, -1, -1, 0, 30) }),
  },
  { weight: 10, arbitrary: step('step', { who }) },
  { weight: 2, arbitrary: step('break', { who }) },
  { weight: 2, arbitrary: step('abort', { who }) },
  {
    weight: 9,
    arbitrary: step('run', {
      who,
      concurrency: fc.constantFrom(1, 1, 2, 3),
      attempts: fc.constantFrom(1, 2, 3),
      backoffMs: fc.constantFrom(0, 20),
      dead: fc.constantFrom('none', 'none', 'topic', 'topic', 'promise', 'refuse'),
      acts: fc.array(handlerAct, { maxLength: 8 }),
      rest: fc.constantFrom('ok', 'slow'),
    }),
  },
  {
    weight: 26,
    arbitrary: step('settle', { which: fc.nat({ max: 5 }), how: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'commit') }),
  },
  { weight: 1, arbitrary: step('stop', { who }) },
  { weight: 1, arbitrary: step('runAbort', { who }) },
  {
    weight: 8,
    arbitrary: step('commit', {
      who,
      what: fc.constantFrom('all', 'all', 'record', 'records', 'offsets', 'context'),
      where,
      at: fc.nat({ max: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: step('seek', {
      who,
      where,
      to: fc.oneof(fc.nat({ max: 8 }), fc.constantFrom('earliest' as const, 'latest' as const, 'time' as const)),
    }),
  },
  { weight: 3, arbitrary: step('pause', { who, where }) },
  { weight: 3, arbitrary: step('resume', { who, where }) },
  { weight: 2, arbitrary: step('addPartitions', { topic }) },
  { weight: 2, arbitrary: step('deleteRecords', { topic, partition: fc.nat({ max: 2 }), before: fc.nat({ max: 6 }) }) },
  {
    weight: 12,
    arbitrary: step('advance', { ms: fc.constantFrom(10, 10, 60, 60, 60, 700, 1_100, 1_100, 2_100, 31_000) }),
  },
  {
    weight: 1,
    arbitrary: step('resetOffsets', {
      to: fc.oneof(fc.nat({ max: 4 }), fc.constantFrom('earliest' as const, 'latest' as const)),
    }),
  },
  { weight: 3, arbitrary: step('ready', { who }) },
  { weight: 1, arbitrary: step('caughtUp', {}) },
  { weight: 2, arbitrary: step('settled', {}) },
]

const settings: fc.Arbitrary<Settings> = fc.record({
  intervalMs: fc.constantFrom(50, 50, 0),
  reset: fc.constantFrom('earliest', 'earliest', 'earliest', 'earliest', 'latest', 'none'),
  maxPollRecords: fc.constantFrom(500, 500, 2),
  partitions: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 })),
})

const some = fc.array(fc.oneof({ withCrossShrink: false }, ...steps), { maxLength: 15, size: 'max' })

/** About two dozen steps: anything after anything. */
export const schedules: fc.Arbitrary<Schedule> = fc.record({
  settings,
  steps: fc.tuple(some, some, some).map(parts => parts.flat()),
})
