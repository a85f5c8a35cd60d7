import {
  type GlobalKTable,
  joinWindows,
  type KGroupedStream,
  type KGroupedTable,
  type KStream,
  type KTable,
  keyValueStore,
  type Store,
  StreamsBuilder,
  sessionStore,
  sessionWindows,
  slidingWindows,
  type Topology,
  timeWindows,
  untilTimeLimit,
  untilWindowCloses,
  type Windowed,
  windowStore,
} from 'millrace/streams'
import { type Content, type JoinKind, type Seen, type Step, type StepOf, sourcesOf, type Windows } from './case.js'
import { type Equipment, fixedKeyProcessor, processor } from './processors.js'
import {
  combiner,
  flatMapper,
  initial,
  keyMapper,
  mapper,
  number,
  pairMapper,
  predicate,
  text,
  timestampOf,
} from './vocabulary.js'

type Stream = KStream<Content, any, any>
type Table = KTable<any, any, any>
type Made = Stream | Table | GlobalKTable<any> | KGroupedStream<any, any> | KGroupedTable<any, any> | Store<any>

/** What can be asked for at the end: the tables and stores that have a name. */
export interface Asked {
  id: string
  rows: { kind: 'rows' | 'windows' | 'sessions'; of: any } | undefined
}

/** A case's topology, built with `millrace/streams`. */
export interface Program {
  topology: Topology<any>
  asked: Asked[]
  /** What peek and forEach have been given, by the place of the input that `at` says. */
  seen: Seen[]
  at: number
}

export function build(steps: readonly Step[]): Program {
  const program = new Building(steps)
  for (const step of steps) program.add(step)
  return program.finish()
}

const optional = (step: object, ...fields: string[]): Record<string, any> =>
  Object.fromEntries(
    fields.flatMap(field => {
      const value = (step as Record<string, unknown>)[field]
      return value === undefined ? [] : [[field, value]]
    }),
  )
const namedBy = (step: object): { name?: string } => optional(step, 'name')
const storedBy = (step: object): { name?: string; store?: string } => optional(step, 'name', 'store')

function windowsOf(windows: Windows): any {
  const graceMs = windows.grace
  if (windows.kind === 'time') return timeWindows({ sizeMs: windows.size, advanceMs: windows.advance, graceMs })
  if (windows.kind === 'sliding') return slidingWindows({ differenceMs: windows.difference, graceMs })
  return sessionWindows({ gapMs: windows.gap, graceMs })
}

class Building {
  readonly #builder = new StreamsBuilder<any>()
  readonly #made = new Map<string, Made>()
  readonly #sizes = new Map<string, number>()
  readonly #windowed = new Map<string, 'windows' | 'sessions'>()
  readonly #asked: Asked[] = []
  readonly #seen: Seen[] = []
  readonly #place = { at: -1 }
  readonly #steps: readonly Step[]

  constructor(steps: readonly Step[]) {
    this.#steps = steps
  }

  finish(): Program {
    const place = this.#place
    return {
      topology: this.#builder.build(),
      asked: this.#asked,
      seen: this.#seen,
      get at() {
        return place.at
      },
      set at(at) {
        place.at = at
      },
    }
  }

  add(step: Step): void {
    const made = this.#make(step)
    if (made !== undefined) this.#made.set(step.id, made)
    // A store that no processor names is in no topology.
    const isOf = step.op === 'store' ? this.#steps.some(other => sourcesOf(other).includes(step.id)) : 'store' in step
    if (isOf && made !== undefined) this.#asked.push({ id: step.id, rows: this.#rowsOf(step, made) })
  }

  #rowsOf(step: Step, of: Made): Asked['rows'] {
    if (step.op === 'store') {
      return { kind: step.kind === 'key-value' ? 'rows' : step.kind === 'window' ? 'windows' : 'sessions', of }
    }
    const windows = 'windows' in step ? (step.windows as Windows | undefined) : undefined
    if (windows) return { kind: windows.kind === 'session' ? 'sessions' : 'windows', of }
    // A table that follows from a windowed one has rows by key and window, which is not a window store.
    return this.#windowed.has(step.id) ? undefined : { kind: 'rows', of }
  }

  #stream(ref: string): Stream {
    return this.#made.get(ref) as Stream
  }
  #table(ref: string): Table {
    return this.#made.get(ref) as Table
  }

  #make(step: Step): Made | undefined {
    if ('windows' in step && step.windows && 'kind' in step.windows) this.#windowed.set(step.id, 'windows')
    else if ('of' in step && this.#windowed.has(step.of)) this.#windowed.set(step.id, 'windows')
    switch (step.op) {
      case 'stream':
        return this.#source(step)
      case 'table':
        return this.#builder.table(step.topic, storedBy(step))
      case 'globalTable':
        return this.#builder.globalTable(step.topic, optional(step, 'store'))
      case 'store':
        return this.#store(step)
      case 'filter':
        return this.#stream(step.of).filter(predicate(step.by), namedBy(step))
      case 'filterNot':
        return this.#stream(step.of).filterNot(predicate(step.by), namedBy(step))
      case 'mapValues':
        return this.#stream(step.of).mapValues(mapper(step.by), namedBy(step))
      case 'flatMapValues':
        return this.#stream(step.of).flatMapValues(flatMapper(step.by), namedBy(step))
      case 'map': {
        const key = keyMapper(step.key)
        const value = mapper(step.by)
        return this.#stream(step.of).map((v, k) => [key(v, k), value(v, k)], namedBy(step))
      }
      case 'flatMap':
        return this.#stream(step.of).flatMap(pairMapper(step.by), namedBy(step))
      case 'selectKey':
        return this.#stream(step.of).selectKey(keyMapper(step.key), namedBy(step))
      case 'peek':
        return this.#stream(step.of).peek(this.#look(step.id), namedBy(step))
      case 'forEach':
        return void this.#stream(step.of).forEach(this.#look(step.id), namedBy(step))
      case 'merge':
        return this.#stream(step.of).merge(this.#stream(step.with), namedBy(step))
      case 'split': {
        const branches = Object.fromEntries(step.branches.map(([name, by]) => [name, predicate(by)]))
        const made = this.#stream(step.of).split(branches, namedBy(step))
        for (const name of [...Object.keys(branches), 'rest']) this.#made.set(`${step.id}.${name}`, made[name]!)
        return undefined
      }
      case 'repartition':
        return this.#stream(step.of).repartition({ ...namedBy(step), ...(step.partition && { partition: () => 0 }) })
      case 'groupByKey':
        return this.#stream(step.of).groupByKey(namedBy(step))
      case 'groupBy':
        return this.#stream(step.of).groupBy(keyMapper(step.key), namedBy(step))
      case 'streamJoin':
        return this.#streamJoin(step)
      case 'tableJoin': {
        const join = combiner(step.by)
        const table = this.#table(step.with)
        if (step.kind === 'inner') return this.#stream(step.of).join(table, join, namedBy(step))
        return this.#stream(step.of).leftJoin(table, join, namedBy(step))
      }
      case 'globalJoin': {
        const join = combiner(step.by)
        const on = keyMapper(step.on)
        const table = this.#made.get(step.with) as GlobalKTable<any>
        if (step.kind === 'inner') return this.#stream(step.of).join(table, join, on, namedBy(step))
        return this.#stream(step.of).leftJoin(table, join, on, namedBy(step))
      }
      case 'toTable':
        return this.#stream(step.of).toTable(storedBy(step))
      case 'process':
        return this.#stream(step.of).process(
          () => processor(step, this.#equip(step)),
          this.#storesOf(step),
          namedBy(step),
        )
      case 'processValues':
        return this.#stream(step.of).processValues(
          () => fixedKeyProcessor(step, this.#equip(step)),
          this.#storesOf(step),
          namedBy(step),
        )
      case 'to':
        return void this.#sink(step)
      case 'count':
      case 'reduce':
      case 'aggregate':
        return this.#aggregate(step)
      case 'cogroup':
        return this.#cogroup(step)
      case 'tableFilter':
        return this.#table(step.of).filter(predicate(step.by), storedBy(step))
      case 'tableFilterNot':
        return this.#table(step.of).filterNot(predicate(step.by), storedBy(step))
      case 'tableMapValues':
        return this.#table(step.of).mapValues(mapper(step.by), storedBy(step))
      case 'tableGroupBy': {
        const key = keyMapper(step.key)
        const value = mapper(step.by)
        return this.#table(step.of).groupBy((v, k) => [key(v, k), value(v, k)], namedBy(step))
      }
      case 'tableCount':
        return this.#groupedTable(step.of).count(storedBy(step))
      case 'tableReduce':
        return this.#groupedTable(step.of).reduce(combiner(step.add), combiner(step.subtract), storedBy(step))
      case 'tableAggregate':
        return this.#groupedTable(step.of).aggregate(
          initial(step.initial),
          combiner(step.add),
          combiner(step.subtract),
          storedBy(step),
        )
      case 'tableTableJoin': {
        const join = (left: any, right: any): any => combiner(step.by)(left, right)
        const left = this.#table(step.of)
        const right = this.#table(step.with)
        if (step.kind === 'inner') return left.join(right, join, storedBy(step))
        if (step.kind === 'left') return left.leftJoin(right, join, storedBy(step))
        return left.outerJoin(right, join, storedBy(step))
      }
      case 'foreignKeyJoin': {
        const join = (left: any, right: any): any => combiner(step.by)(left, right)
        const on = keyMapper(step.on)
        const left = this.#table(step.of)
        const right = this.#table(step.with)
        if (step.kind === 'inner') return left.join(right, join, on, storedBy(step))
        return left.leftJoin(right, join, on, storedBy(step))
      }
      case 'suppress': {
        const until =
          step.until === 'window closes'
            ? untilWindowCloses()
            : untilTimeLimit(step.limit!, optional(step, 'maxRecords'))
        return this.#table(step.of).suppress(until, namedBy(step))
      }
      case 'toStream':
        if (step.key) return this.#table(step.of).toStream(keyMapper(step.key), namedBy(step))
        return this.#table(step.of).toStream(namedBy(step))
    }
  }

  #source(step: StepOf<'stream'>): Stream {
    const { topics } = step
    const timestamp = step.timestamp && timestampOf(step.timestamp)
    return this.#builder.stream(topics.length === 1 ? topics[0]! : topics, {
      ...namedBy(step),
      ...(timestamp && {
        timestamp: (value: Content, _key: unknown, context: { timestamp: number }) =>
          timestamp(value, context.timestamp),
      }),
    })
  }

  #look(id: string): (value: Content, key: string | null | Windowed) => void {
    return (value, key) => {
      this.#seen.push([this.#place.at, id, key === null ? null : text(key), value])
    }
  }

  #groupedTable(ref: string): KGroupedTable<any, any> {
    return this.#made.get(ref) as KGroupedTable<any, any>
  }

  #sink(step: StepOf<'to'>): void {
    const options = { ...namedBy(step), ...(step.partition && { partition: () => 0 }) }
    const { topics } = step
    if (topics) this.#stream(step.of).to(value => (number(value) % 2 === 0 ? topics[0] : topics[1]), options)
    else this.#stream(step.of).to(step.topic!, options)
  }

  #streamJoin(step: StepOf<'streamJoin'>): Stream {
    const { before, after, grace } = step.windows
    const windows = joinWindows({ beforeMs: before, afterMs: after, graceMs: grace })
    const options = { ...namedBy(step), ...(step.joinStore !== undefined && { store: step.joinStore }) }
    const left = this.#stream(step.of)
    const right = this.#stream(step.with)
    const join = combiner(step.by)
    const by: Record<JoinKind, () => Stream> = {
      inner: () => left.join(right, join, windows, options),
      left: () => left.leftJoin(right, join, windows, options),
      outer: () => left.outerJoin(right, join, windows, options),
    }
    return by[step.kind]()
  }

  #aggregate(step: StepOf<'count'> | StepOf<'reduce'> | StepOf<'aggregate'>): Table {
    const grouped = this.#made.get(step.of) as KGroupedStream<any, any>
    const emit = optional(step, 'emit')
    const windowed: any = step.windows ? grouped.windowedBy(windowsOf(step.windows), emit) : grouped
    const options = { ...storedBy(step), ...(step.retention !== undefined && { retentionMs: step.retention }) }
    if (step.op === 'count') return windowed.count(options)
    if (step.op === 'reduce') return windowed.reduce(combiner(step.add), options)
    const start = initial(step.initial)
    const merge = step.merge === undefined ? [] : [combiner(step.merge)]
    return windowed.aggregate(start, combiner(step.add), ...merge, options)
  }

  #cogroup(step: StepOf<'cogroup'>): Table {
    let groups: any
    for (const [of, add] of step.groups) {
      const grouped = this.#made.get(of) as KGroupedStream<any, any>
      groups = groups === undefined ? grouped.cogroup(combiner(add)) : groups.cogroup(grouped, combiner(add))
    }
    const options = { ...storedBy(step), ...(step.retention !== undefined && { retentionMs: step.retention }) }
    const start = initial(step.initial)
    if (!step.windows) return groups.aggregate(start, options)
    const merge = step.merge === undefined ? [] : [combiner(step.merge)]
    return groups.windowedBy(windowsOf(step.windows)).aggregate(start, ...merge, options)
  }

  #store(step: StepOf<'store'>): Store<any> {
    if (step.size !== undefined) this.#sizes.set(step.id, step.size)
    if (step.kind === 'key-value') return keyValueStore(step.store)
    if (step.kind === 'session') return sessionStore(step.store, { retentionMs: step.retention! })
    return windowStore(step.store, { sizeMs: step.size!, retentionMs: step.retention! })
  }

  #storesOf(step: StepOf<'process' | 'processValues'>): Store<any>[] {
    return step.stores.map(id => this.#made.get(id) as Store<any>)
  }

  #equip(step: StepOf<'process' | 'processValues'>): Equipment {
    const first = step.stores[0]
    return { store: this.#storesOf(step)[0], sizeMs: (first !== undefined && this.#sizes.get(first)) || 1 }
  }
}
