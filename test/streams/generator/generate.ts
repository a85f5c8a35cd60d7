import type { Case, JoinKind, Step, Windows } from './case.js'
import { inputFor } from './input.js'
import { Random } from './random.js'

// Random topologies that Kafka Streams would run, and some that it refuses. A seed is a case.

type Kind = 'stream' | 'table' | 'global' | 'grouped' | 'groupedTable' | 'store'
interface Handle {
  ref: string
  kind: Kind
  /** Streams and tables: keys in windows, which must become text before they are written or joined by. */
  windowed: boolean
  /** Tables: of which windows. */
  windows?: Windows | undefined
  storeKind?: 'key-value' | 'window' | 'session'
  used: boolean
}

const KEYS = ['text', 'ofValue', 'textOfValue', 'modulo', 'constant', 'nothingIfOdd'] as const
const PREDICATES = ['isEven', 'isThird', 'isShort', 'isThere', 'isLowKey', 'all', 'none'] as const
const MAPPERS = ['same', 'upper', 'length', 'increment', 'half', 'text', 'withKey', 'nothingIfOdd'] as const
const REDUCERS = ['sum', 'sum', 'concat', 'concat', 'max', 'last', 'first', 'nothingIfThird'] as const
const INITIALS = ['zero', 'empty', 'zero', 'empty', 'nothing'] as const
const JOINERS = ['pair', 'pair', 'pair', 'sum', 'concat', 'nothingIfThird'] as const
const KINDS: readonly JoinKind[] = ['inner', 'left', 'outer']

export function caseOf(seed: number): Case {
  const random = new Random(seed)
  const steps = new Growing(random).steps
  return { seed, startMs: random.within(0, 100), steps, input: inputFor(steps, random) }
}

const THEMES = ['mixed', 'windows', 'windows', 'joins', 'tables', 'processors'] as const
type Theme = (typeof THEMES)[number]

class Growing {
  readonly steps: Step[] = []
  readonly #theme: Theme
  readonly #random: Random
  readonly #handles: Handle[] = []
  readonly #throws: boolean
  #ids = 0
  #names = 0

  constructor(random: Random) {
    this.#random = random
    this.#throws = random.chance(0.06)
    this.#theme = random.one(THEMES)
    this.#stream()
    if (random.chance(0.3)) this.#stream()
    if (random.chance(0.5)) this.#table()
    const operators = random.chance(0.1) ? random.within(8, 14) : random.within(1, 8)
    for (let i = 0; i < operators; i++) this.#grow()
    this.#finish()
  }

  #grow(): void {
    this.#random.one(this.#operations())()
  }

  /** What may come next, the likelier the more often it is in the list. */
  #operations(): (() => unknown)[] {
    const has = (kind: Kind): boolean => this.#handles.some(handle => handle.kind === kind)
    const much = (theme: Theme): number => (this.#theme === theme ? 5 : 1)
    const list: (() => unknown)[] = []
    const add = (times: number, operation: () => unknown): void => {
      for (let i = 0; i < times; i++) list.push(operation)
    }
    add(this.#theme === 'mixed' ? 8 : 4, () => this.#stateless())
    add(much('windows'), () => [this.#group(), this.#aggregate()])
    add(1, () => this.#group())
    add(much('joins'), () => this.#streamJoin())
    add(much('joins'), () => this.#joinWithTable())
    add(Math.ceil(much('joins') / 2), () => this.#globalJoin())
    add(1, () => this.#toTable())
    add(2 * much('processors'), () => this.#process())
    add(1, () => this.#through())
    add(1, () => this.#stream())
    add(1, () => this.#table())
    if (has('grouped')) {
      add(2, () => this.#aggregate())
      add(2, () => this.#cogroup())
    }
    if (has('table')) {
      add(2 + much('tables'), () => this.#tableStateless())
      add(1 + much('tables'), () => this.#tableGroup())
      add(1 + much('tables'), () => this.#tableJoin())
      add(much('tables'), () => this.#foreignKeyJoin())
      add(1, () => this.#toStream())
      add(this.#theme === 'windows' ? 5 : 2, () => this.#suppress())
    }
    return list
  }

  // ── bookkeeping ──────────────────────────────────────────────────────────────────────────────────

  #id(): string {
    return `s${this.#ids++}`
  }

  #add(step: Step, kind?: Kind, more: Partial<Handle> = {}): Handle {
    this.steps.push(step)
    const handle: Handle = { ref: step.id, kind: kind ?? 'stream', windowed: false, used: false, ...more }
    if (kind) this.#handles.push(handle)
    return handle
  }

  #named(chance = 0.25): { name?: string } {
    return this.#random.chance(chance) ? { name: `n${this.#number()}` } : {}
  }
  #stored(chance = 0.35): { store?: string } {
    return this.#random.chance(chance) ? { store: `store-${this.#number()}` } : {}
  }
  /** One that has not been, but for a few mistakes. */
  #number(): number {
    return this.#random.chance(0.003) ? this.#names : ++this.#names
  }

  /** One of the handles, rather a late one; used from here on. */
  #pick(kind: Kind, accept: (handle: Handle) => boolean = () => true): Handle | undefined {
    const found = this.#handles.filter(handle => handle.kind === kind && accept(handle))
    if (found.length === 0) return undefined
    const picked = this.#random.chance(0.6) ? found.at(-1)! : this.#random.one(found)
    picked.used = true
    return picked
  }

  #textStream(): Handle {
    return this.#pick('stream', ({ windowed }) => !windowed) ?? this.#stream()
  }

  #textTable(): Handle {
    return this.#pick('table', ({ windowed }) => !windowed) ?? this.#table()
  }

  // ── sources ──────────────────────────────────────────────────────────────────────────────────────

  #topicsInUse(): Set<string> {
    return new Set(
      this.steps.flatMap(step =>
        step.op === 'stream' ? step.topics : step.op === 'table' || step.op === 'globalTable' ? [step.topic] : [],
      ),
    )
  }

  #stream(): Handle {
    const inUse = this.#topicsInUse()
    const free = ['in-a', 'in-b', 'in-c'].filter(topic => !inUse.has(topic))
    const read = this.steps.flatMap(step => (step.op === 'stream' ? [step.topics] : []))
    const again = read.length > 0 && this.#random.chance(0.15)
    if (free.length === 0 && !again) return this.#pick('stream') ?? this.#through()
    const topics = again
      ? this.#random.one(read)
      : this.#random.chance(0.01)
        ? this.#random.one([['tab-a'], ['in-a', 'in-b']])
        : free.slice(0, free.length > 1 && this.#random.chance(0.15) ? 2 : 1)
    const timed = this.#random.chance(0.06) && !this.#has('punctuation by stream time')
    const timestamp = timed ? { timestamp: this.#random.one(['plusTen', 'ofValue']) } : {}
    return this.#add({ id: this.#id(), op: 'stream', topics, ...timestamp, ...this.#named(0.1) }, 'stream')
  }

  #table(): Handle {
    const inUse = this.#topicsInUse()
    const free = ['tab-a', 'tab-b', 'tab-c'].filter(topic => !inUse.has(topic))
    if (free.length === 0) return this.#pick('table', ({ windowed }) => !windowed) ?? this.#toTable()
    const step: Step = { id: this.#id(), op: 'table', topic: free[0]!, ...this.#named(0.1), ...this.#stored(0.3) }
    return this.#add(step, 'table')
  }

  /** Written to a topic of the user's, and read from there. */
  #through(): Handle {
    const from = this.#pick('stream', ({ windowed }) => !windowed)!
    const topic = `mid-${this.#ids}`
    this.#add({ id: this.#id(), op: 'to', of: from.ref, topic, ...this.#named(0.1) })
    const drawn = this.#random.next()
    if (drawn < 0.3) return this.#add({ id: this.#id(), op: 'table', topic, ...this.#stored(0.3) }, 'table')
    if (drawn < 0.5) {
      this.#add({ id: this.#id(), op: 'globalTable', topic, ...this.#stored(0.3) }, 'global', { used: true })
      return this.#globalJoin()
    }
    return this.#add({ id: this.#id(), op: 'stream', topics: [topic] }, 'stream')
  }

  // ── streams ──────────────────────────────────────────────────────────────────────────────────────

  #mapper(): string {
    return this.#throws ? 'throwsAtSeven' : this.#random.one(MAPPERS)
  }

  #key(windowed: boolean): { key: string; stays: boolean } {
    const key = this.#random.one(['same', ...KEYS])
    return { key, stays: windowed && key === 'same' }
  }

  #stateless(): Handle {
    const random = this.#random
    const from = this.#pick('stream')!
    const of = from.ref
    const same: Partial<Handle> = { windowed: from.windowed }
    const id = this.#id()
    const named = this.#named()
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
        return this.#add({ id, op, of, by: random.one(PREDICATES), ...named }, 'stream', same)
      case 'mapValues':
        return this.#add({ id, op, of, by: this.#mapper(), ...named }, 'stream', same)
      case 'flatMapValues':
        return this.#add({ id, op, of, by: random.one(['twice', 'characters', 'none']), ...named }, 'stream', same)
      case 'map': {
        const { key, stays } = this.#key(from.windowed)
        return this.#add({ id, op, of, key, by: this.#mapper(), ...named }, 'stream', { windowed: stays })
      }
      case 'flatMap':
        return this.#add({ id, op, of, by: random.one(['twice', 'characters', 'none']), ...named }, 'stream')
      case 'selectKey': {
        const { key, stays } = this.#key(from.windowed)
        return this.#add({ id, op, of, key, ...named }, 'stream', { windowed: stays })
      }
      case 'peek':
        return this.#add({ id, op, of, ...named }, 'stream', same)
      case 'forEach':
        return this.#add({ id, op, of, ...named })
      case 'merge': {
        const other = this.#pick('stream', ({ windowed }) => windowed === from.windowed)!
        return this.#add({ id, op, of, with: other.ref, ...named }, 'stream', same)
      }
      case 'split': {
        const branches = ['big', 'small'].slice(0, random.within(1, 2)).map(name => [name, random.one(PREDICATES)])
        this.#add({ id, op, of, branches: branches as [string, string][], ...named })
        const made = [...branches.map(([name]) => name!), 'rest'].map(
          (name): Handle => ({ ref: `${id}.${name}`, kind: 'stream', used: false, windowed: from.windowed }),
        )
        this.#handles.push(...made)
        return made[0]!
      }
      case 'repartition': {
        const step: Step = { id, op, of: this.#textStream().ref, ...this.#named(0.5) }
        if (random.chance(0.2)) step.partition = true
        return this.#add(step, 'stream')
      }
    }
  }

  #group(): Handle {
    const id = this.#id()
    if (this.#random.chance(0.5)) {
      return this.#add({ id, op: 'groupByKey', of: this.#textStream().ref, ...this.#named() }, 'grouped')
    }
    const from = this.#pick('stream')!
    const key = this.#random.one(from.windowed ? KEYS : ['same' as const, ...KEYS])
    return this.#add({ id, op: 'groupBy', of: from.ref, key, ...this.#named() }, 'grouped')
  }

  #windows(): Windows {
    const random = this.#random
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
  #retention(windows: Windows): { retention?: number } {
    if (!this.#random.chance(0.15)) return {}
    const more = windows.grace + (this.#random.chance(0.5) ? this.#random.within(1, 12) : 0)
    if (windows.kind === 'time') return { retention: windows.size + more }
    if (windows.kind === 'sliding') return { retention: 2 * windows.difference + more }
    return { retention: windows.gap + more }
  }

  #aggregate(grouped: Handle = this.#pick('grouped')!): Handle {
    const random = this.#random
    const of = grouped.ref
    grouped.used = true
    const windows = random.chance(0.8) ? this.#windows() : undefined
    const merge = windows?.kind === 'session' ? { merge: random.one(['sum', 'concat', 'max']) } : {}
    const emit = windows && random.chance(0.3) ? { emit: 'on close' as const } : {}
    const rest = {
      of,
      ...(windows && { windows, ...this.#retention(windows) }),
      ...emit,
      ...this.#named(),
      ...this.#stored(),
    }
    const op = random.one(['count', 'count', 'reduce', 'aggregate', 'aggregate'] as const)
    const id = this.#id()
    const made = { windowed: windows !== undefined, windows }
    if (op === 'count') return this.#add({ id, op, ...rest }, 'table', made)
    if (op === 'reduce') return this.#add({ id, op, add: random.one(REDUCERS), ...rest }, 'table', made)
    const initial = random.one(INITIALS)
    return this.#add({ id, op, initial, add: random.one([...REDUCERS, 'withKey']), ...merge, ...rest }, 'table', made)
  }

  #cogroup(): Handle {
    const random = this.#random
    const groups = Array.from({ length: random.within(1, 3) }, (): [string, string] => [
      this.#pick('grouped')!.ref,
      random.one([...REDUCERS, 'withKey']),
    ])
    const windows = random.chance(0.6) ? this.#windows() : undefined
    const merge = windows?.kind === 'session' ? { merge: random.one(['sum', 'concat', 'max']) } : {}
    const step: Step = {
      id: this.#id(),
      op: 'cogroup',
      groups,
      initial: random.one(INITIALS),
      ...merge,
      ...(windows && { windows, ...this.#retention(windows) }),
      ...this.#named(),
      ...this.#stored(),
    }
    return this.#add(step, 'table', { windowed: windows !== undefined, windows })
  }

  #streamJoin(): Handle {
    const random = this.#random
    // Each may square the number of records.
    if (this.steps.filter(({ op }) => op === 'streamJoin').length >= 3) return this.#joinWithTable()
    const [left, right] = [this.#textStream(), this.#textStream()]
    const before = random.within(-2, 8)
    const windows = {
      before,
      after: random.chance(0.5) ? Math.abs(before) : random.within(-Math.min(before, 2), 8),
      grace: random.chance(0.4) ? 0 : random.within(1, 6),
    }
    const id = this.#id()
    const step: Step = {
      id,
      op: 'streamJoin',
      of: left.ref,
      with: right.ref,
      kind: random.one(KINDS),
      by: random.one(JOINERS),
      windows,
      ...(random.chance(0.2) && { joinStore: `joined-${id}` }),
      ...this.#named(),
    }
    return this.#add(step, 'stream')
  }

  #joinWithTable(): Handle {
    const [left, right] = [this.#textStream(), this.#textTable()]
    const kind = this.#random.one(['inner', 'left'] as const)
    const by = this.#random.one(JOINERS)
    return this.#add(
      { id: this.#id(), op: 'tableJoin', of: left.ref, with: right.ref, kind, by, ...this.#named() },
      'stream',
    )
  }

  #globalJoin(): Handle {
    const random = this.#random
    const global =
      this.#pick('global') ??
      this.#add({ id: this.#id(), op: 'globalTable', topic: 'glob', ...this.#stored() }, 'global', { used: true })
    const left = this.#pick('stream')!
    const on = random.one(left.windowed ? KEYS : ['same' as const, ...KEYS])
    const kind = random.one(['inner', 'left'] as const)
    const step: Step = {
      id: this.#id(),
      op: 'globalJoin',
      of: left.ref,
      with: global.ref,
      kind,
      by: random.one(JOINERS),
      on,
      ...this.#named(),
    }
    return this.#add(step, 'stream', { windowed: left.windowed })
  }

  #toTable(): Handle {
    const from = this.#textStream()
    return this.#add({ id: this.#id(), op: 'toTable', of: from.ref, ...this.#named(), ...this.#stored() }, 'table')
  }

  #store(kind: 'key-value' | 'window' | 'session'): Handle {
    const random = this.#random
    const shared = random.chance(0.3) ? this.#pick('store', ({ storeKind }) => storeKind === kind) : undefined
    if (shared) return shared
    const id = this.#id()
    const size = random.within(2, 6)
    const sized = kind === 'window' ? { size, retention: size + random.within(0, 20) } : {}
    const kept = kind === 'session' ? { retention: random.within(1, 20) } : {}
    return this.#add({ id, op: 'store', kind, store: `store-${id}`, ...sized, ...kept }, 'store', { storeKind: kind })
  }

  /**
   * Whether records of a punctuation by stream time may be, or already are, of a later time: as its driver is one task,
   * Kafka's then punctuates without end.
   */
  #has(what: 'later times' | 'punctuation by stream time'): boolean {
    return this.steps.some(step =>
      what === 'later times'
        ? 'timestamp' in step || ('by' in step && step.by === 'later')
        : 'time' in step && step.time === 'stream time',
    )
  }

  #process(): Handle {
    const random = this.#random
    const from = this.#pick('stream')!
    const fixed = random.chance(0.4)
    const by = random.one([
      'count',
      'changes',
      'neighbours',
      'where',
      'where',
      'times',
      'times',
      ...(this.#has('punctuation by stream time') ? [] : ['later']),
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
    const stores = kind ? [this.#store(kind).ref] : []
    const punctuated =
      by === 'collect' || by === 'alarm'
        ? {
            time: this.#has('later times')
              ? 'wall clock time'
              : random.one(['stream time', 'wall clock time'] as const),
            every: random.within(1, 20),
            ...(by === 'collect' && random.chance(0.3) && { stops: true as const }),
          }
        : {}
    const op = fixed ? 'processValues' : 'process'
    const step: Step = { id: this.#id(), op, of: from.ref, by, stores, ...punctuated, ...this.#named() }
    return this.#add(step, 'stream', { windowed: from.windowed && !['rekey', 'alarm', 'collect'].includes(by) })
  }

  // ── tables ───────────────────────────────────────────────────────────────────────────────────────

  #tableStateless(): Handle {
    const random = this.#random
    const from = this.#pick('table')!
    const rest = { id: this.#id(), of: from.ref, ...this.#named(), ...this.#stored() }
    const made = { windowed: from.windowed, windows: from.windows }
    if (random.chance(0.4)) return this.#add({ ...rest, op: 'tableMapValues', by: this.#mapper() }, 'table', made)
    const op = random.one(['tableFilter', 'tableFilterNot'] as const)
    return this.#add({ ...rest, op, by: random.one(PREDICATES) }, 'table', made)
  }

  #tableGroup(): Handle {
    const random = this.#random
    const from = this.#pick('table')!
    const key = random.one(from.windowed ? KEYS : ['same' as const, ...KEYS])
    const grouped = this.#add(
      { id: this.#id(), op: 'tableGroupBy', of: from.ref, key, by: random.one(MAPPERS), ...this.#named() },
      'groupedTable',
      { used: true },
    )
    const rest = { id: this.#id(), of: grouped.ref, ...this.#named(), ...this.#stored() }
    const op = random.one(['tableCount', 'tableReduce', 'tableAggregate'] as const)
    if (op === 'tableCount') return this.#add({ ...rest, op }, 'table')
    const pair = random.one([
      { add: 'sum', subtract: 'minus' },
      { add: 'concat', subtract: 'without' },
      { add: 'last', subtract: 'first' },
      { add: 'nothingIfThird', subtract: 'minus' },
    ])
    if (op === 'tableReduce') return this.#add({ ...rest, op, ...pair }, 'table')
    return this.#add({ ...rest, op, initial: random.one(INITIALS), ...pair }, 'table')
  }

  #tableJoin(): Handle {
    const random = this.#random
    const left = this.#pick('table')!
    const windows = JSON.stringify(left.windows)
    const right = this.#pick('table', other => JSON.stringify(other.windows) === windows)!
    const step: Step = {
      id: this.#id(),
      op: 'tableTableJoin',
      of: left.ref,
      with: right.ref,
      kind: random.one(KINDS),
      by: random.one(JOINERS),
      ...this.#named(),
      ...this.#stored(),
    }
    return this.#add(step, 'table', { windowed: left.windowed, windows: left.windows })
  }

  #foreignKeyJoin(): Handle {
    const random = this.#random
    const [left, right] = [this.#textTable(), this.#textTable()]
    const step: Step = {
      id: this.#id(),
      op: 'foreignKeyJoin',
      of: left.ref,
      with: right.ref,
      kind: random.one(['inner', 'left']),
      by: random.one(JOINERS),
      on: random.one(['ofValue', 'ofValue', 'modulo', 'constant', 'nothingIfOdd', 'same']),
      ...this.#named(),
      ...this.#stored(),
    }
    return this.#add(step, 'table')
  }

  #suppress(): Handle {
    const random = this.#random
    const from = this.#pick('table')!
    const id = this.#id()
    const made = { windowed: from.windowed, windows: from.windows }
    // Kafka looks for windows anywhere upstream, and fails with the first record where the keys are text by then.
    const isMistake = random.chance(0.03) && !this.steps.some(step => 'windows' in step)
    if (from.windowed ? random.chance(0.75) : isMistake) {
      const step: Step = { id, op: 'suppress', of: from.ref, until: 'window closes', ...this.#named() }
      return this.#add(step, 'table', made)
    }
    const most = random.chance(0.3) ? { maxRecords: random.within(1, 3) } : {}
    const limit = random.within(0, 12)
    const step: Step = { id, op: 'suppress', of: from.ref, until: 'time limit', limit, ...most, ...this.#named() }
    return this.#add(step, 'table', made)
  }

  #toStream(): Handle {
    const from = this.#pick('table')!
    const key = this.#random.chance(0.3) ? { key: this.#random.one(KEYS) } : {}
    const step: Step = { id: this.#id(), op: 'toStream', of: from.ref, ...key, ...this.#named() }
    return this.#add(step, 'stream', { windowed: from.windowed && !('key' in key) })
  }

  // ── the end: what nobody has taken, and now and then what somebody has, is written to a topic ────────

  #finish(): void {
    const random = this.#random
    for (const grouped of this.#handles.filter(({ kind, used }) => kind === 'grouped' && !used)) {
      this.#aggregate(grouped)
    }
    for (const table of this.#handles.filter(({ kind, used }) => kind === 'table' && (!used || random.chance(0.2)))) {
      const key = table.windowed && random.chance(0.5) ? { key: 'text' } : {}
      const step: Step = { id: this.#id(), op: 'toStream', of: table.ref, ...key }
      this.#add(step, 'stream', { windowed: table.windowed && !('key' in key) })
    }
    for (const stream of this.#handles.filter(({ kind, used }) => kind === 'stream' && (!used || random.chance(0.2)))) {
      const text = stream.windowed
        ? this.#add({ id: this.#id(), op: 'selectKey', of: stream.ref, key: 'text' })
        : stream
      const id = this.#id()
      const partition = random.chance(0.05) ? { partition: true as const } : {}
      if (random.chance(0.06)) {
        this.#add({ id, op: 'to', of: text.ref, topics: ['out-even', 'out-odd'], ...partition, ...this.#named(0.1) })
      } else {
        this.#add({ id, op: 'to', of: text.ref, topic: `out-${id}`, ...partition, ...this.#named(0.1) })
      }
    }
  }
}
