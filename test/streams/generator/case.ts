// The language of the differential tests' cases: a topology as a list of steps over a small vocabulary of callbacks, its
// input, and what Kafka Streams made of it. The oracle (../oracle) reads the same JSON.

export type Content = string | number | null

export type Windows =
  | { kind: 'time'; size: number; advance: number; grace: number }
  | { kind: 'sliding'; difference: number; grace: number }
  | { kind: 'session'; gap: number; grace: number }

export interface JoinWithin {
  before: number
  after: number
  grace: number
}

/** Of vocabulary.ts: the names of callbacks. */
type By = string
/** What an earlier step made: its id, or `<id>.<branch>` of a split. */
type Ref = string

interface Named {
  name?: string
}
interface Stored {
  store?: string
}
interface Aggregating extends Named, Stored {
  of: Ref
  windows?: Windows
  emit?: 'on update' | 'on close'
  retention?: number
}
export type JoinKind = 'inner' | 'left' | 'outer'

export type Step = { id: string } & (
  | ({ op: 'stream'; topics: string[]; timestamp?: By } & Named)
  | ({ op: 'table'; topic: string } & Named & Stored)
  | ({ op: 'globalTable'; topic: string } & Stored)
  | { op: 'store'; kind: 'key-value' | 'window' | 'session'; store: string; size?: number; retention?: number }
  | ({
      op: 'filter' | 'filterNot' | 'mapValues' | 'flatMapValues' | 'flatMap' | 'tableFilter' | 'tableFilterNot'
      of: Ref
      by: By
    } & Named &
      Stored)
  | ({ op: 'tableMapValues'; of: Ref; by: By } & Named & Stored)
  | ({ op: 'map' | 'tableGroupBy'; of: Ref; key: By; by: By } & Named)
  | ({ op: 'selectKey' | 'groupBy'; of: Ref; key: By } & Named)
  | ({ op: 'peek' | 'forEach' | 'groupByKey'; of: Ref } & Named)
  | ({ op: 'merge'; of: Ref; with: Ref } & Named)
  | ({ op: 'split'; of: Ref; branches: [name: string, by: By][] } & Named)
  | ({ op: 'repartition'; of: Ref; partition?: true } & Named)
  | ({ op: 'streamJoin'; of: Ref; with: Ref; kind: JoinKind; by: By; windows: JoinWithin; joinStore?: string } & Named)
  | ({ op: 'tableJoin'; of: Ref; with: Ref; kind: JoinKind; by: By } & Named)
  | ({ op: 'globalJoin'; of: Ref; with: Ref; kind: JoinKind; by: By; on: By } & Named)
  | ({ op: 'toTable'; of: Ref } & Named & Stored)
  | ({
      op: 'process' | 'processValues'
      of: Ref
      by: By
      stores: string[]
      time?: 'stream time' | 'wall clock time'
      every?: number
      stops?: true
    } & Named)
  | ({ op: 'to'; of: Ref; topic?: string; topics?: [even: string, odd: string]; partition?: true } & Named)
  | ({ op: 'count' } & Aggregating)
  | ({ op: 'reduce'; add: By } & Aggregating)
  | ({ op: 'aggregate'; initial: By; add: By; merge?: By } & Aggregating)
  | ({
      op: 'cogroup'
      groups: [of: Ref, add: By][]
      initial: By
      merge?: By
      windows?: Windows
      retention?: number
    } & Named &
      Stored)
  | ({ op: 'tableCount'; of: Ref } & Named & Stored)
  | ({ op: 'tableReduce'; of: Ref; add: By; subtract: By } & Named & Stored)
  | ({ op: 'tableAggregate'; of: Ref; initial: By; add: By; subtract: By } & Named & Stored)
  | ({ op: 'tableTableJoin'; of: Ref; with: Ref; kind: JoinKind; by: By } & Named & Stored)
  | ({ op: 'foreignKeyJoin'; of: Ref; with: Ref; kind: JoinKind; by: By; on: By } & Named & Stored)
  | ({ op: 'suppress'; of: Ref; until: 'window closes' | 'time limit'; limit?: number; maxRecords?: number } & Named)
  | ({ op: 'toStream'; of: Ref; key?: By } & Named)
)
export type StepOf<Op extends Step['op']> = Extract<Step, { op: Op }>

export type Header = [name: string, value: string]
export type Input =
  | [topic: string, key: string | null, value: Content, timestamp: number, headers?: Header[]]
  | { wall: number }

export interface Case {
  seed: number
  startMs: number
  steps: Step[]
  input: Input[]
}

/** A record that a topic got; `at` is the place of the input that it came of. */
export type Written = [at: number, key: string | null, value: Content, timestamp: number, headers?: Header[]]
/** What a peek or forEach was given. */
export type Seen = [at: number, id: string, key: string | null, value: Content]
export type Row = [key: string, value: Content]

/** What came of a case. `error.at` is the place of the input at which it threw, or 'build': what came before is kept. */
export interface Outcome {
  describe?: string
  records?: Record<string, Written[]>
  seen?: Seen[]
  stores?: Record<string, Row[]>
  error?: { at: string; type: string; message: string }
}

/** The steps that a step builds on: references, a branch's being its split's. */
export function sourcesOf(step: Step): string[] {
  const refs: string[] = []
  if ('of' in step) refs.push(step.of)
  if ('with' in step) refs.push(step.with)
  if ('groups' in step) refs.push(...step.groups.map(([of]) => of))
  if ('stores' in step) refs.push(...step.stores)
  return refs.map(ref => ref.split('.')[0]!)
}
