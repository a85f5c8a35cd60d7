import type { Assignor, ConsumerRecord, GroupMember, MemoryConsumer, StartFrom, TopicPartition } from 'millrace'

// What a group is to do by its rules, in the simplest terms: who is a member and what the target is, which term began and
// ended when, where each stands and what is finished, and so what the library may commit. Told by the driver what the
// user did and what the library was seen to do; complains about whatever the rules don't allow.

export type Records = ConsumerRecord<number>[]
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`
export const listed = (partitions: Iterable<TopicPartition>): string => [...partitions].map(keyOf).sort().join(' ')

/** All that was ever published to a partition, and what became of it. */
export class Log {
  readonly topic: string
  readonly partition: number
  readonly records: { readonly key: string | null; readonly value: number; readonly timestamp: number }[] = []
  start = 0
  /** Finished by whoever had it in hand, or passed over because the user said so. */
  readonly done: Set<number> = new Set()
  /** The user has said that all before is finished, if it exists or not. */
  passed = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }
  get end(): number {
    return this.records.length
  }
  /** The library may pass over these. */
  excuse(from: number, to: number): void {
    for (let offset = from; offset < Math.min(to, this.end); offset++) this.done.add(offset)
  }
  pass(to: number): void {
    this.passed = Math.max(this.passed, to)
  }
  isDone(offset: number): boolean {
    return offset < this.passed || this.done.has(offset)
  }
  resolve(to: Exclude<StartFrom, number>): number {
    if (to === 'earliest') return this.start
    if (to === 'latest') return this.end
    for (let offset = this.start; offset < this.end; offset++)
      if (this.records[offset]!.timestamp >= to.timestamp) return offset
    return this.end
  }
}

/** A record that run() has handed to a handler, in one window. */
export interface Entry {
  readonly offset: number
  readonly lane: string
  state: 'working' | 'failed' | 'over'
  finished: boolean
  attempts: number
}
/** What run() has taken of a term since it began there, or since the last seek. */
export class Window {
  readonly base: number
  readonly entries: Map<number, Entry> = new Map()
  /** Dropped from the log before their turn came. */
  readonly gone: Set<number> = new Set()
  detached = false
  constructor(base: number) {
    this.base = base
  }
  /** The first unfinished offset. */
  get low(): number {
    let at = this.base
    while (this.gone.has(at) || this.entries.get(at)?.finished) at++
    return at
  }
}

/** One unbroken ownership of one partition by one consumer. */
export interface Term extends TopicPartition {
  readonly member: Member
  readonly log: Log
  pos: number | undefined
  /** What `pos` will be resolved from. */
  goal: StartFrom | 'committed' | undefined
  /** Past what has come back, while something is in hand; `frozen`: also with nothing in hand. */
  returnedAt: number | undefined
  frozen: boolean
  /** It was sought with records in hand, which are so in hand no more. */
  sought: boolean
  held: number[]
  explicit: number | undefined
  /** Its latest commit was the user's. */
  byUser: boolean
  startedAt: number | undefined
  paused: boolean
  announced: boolean
  /** Without an onAssigned nobody can see when it would have been called. */
  unseen: boolean
  assigning: boolean
  revoking: boolean
  revoked: boolean
  ended: boolean
  /** It has ended without having been given up. */
  lost: boolean
  window: Window | undefined
  /** Dead-lettered, in manualCommit mode: what the library itself may commit. */
  buried: Set<number>
}

/** One call of a handler. */
export interface Call {
  readonly member: Member
  readonly term: Term
  readonly window: Window
  readonly entry: Entry
  readonly record: ConsumerRecord<number>
  readonly since: number
  /** Its handler returned a promise. */
  slow: boolean
}

export interface Running {
  readonly concurrency: number
  readonly attempts: number
  readonly backoffMs: number
  readonly dead: 'none' | 'topic' | 'promise' | 'refuse'
  readonly inFlight: Set<Call>
  /** What it may reject with, once a handler has failed for good. */
  readonly fatal: { readonly cause: unknown; readonly call: Call }[]
}

export interface Member {
  readonly api: MemoryConsumer<ConsumerRecord<number>>
  readonly name: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly listens: { readonly assigned: boolean; readonly revoked: boolean; readonly lost: boolean }
  readonly terms: Map<string, Term>
  phase: 'live' | 'expelled' | 'fenced' | 'gone'
  closing: boolean
  /** No onAssigned has been called since it joined. */
  welcome: boolean
  callback: { readonly kind: 'assigned' | 'revoked' | 'lost'; readonly since: number; hung: boolean } | undefined
  pendingLost: Term[]
  activity: 'poll' | 'step' | 'run' | undefined
  running: Running | undefined
  handsBy: 'poll' | 'step'
  lastBack: number
  /** Nothing has happened since that could have brought an auto-commit, or put it off. */
  quietSince: number
  closedAt: number
  closeTimeoutMs: number
  fencedOnce: boolean
  /** Thrown by its callbacks, and not yet told to anybody. */
  readonly thrown: Set<unknown>
}

export interface Slot {
  memberId: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  occupant: Member | undefined
  target: readonly TopicPartition[]
  expiry: number | undefined
  /** Which of two that expire at once does so first. */
  left: number
}

/** What a commit is to write; with several answers where all are right. */
export interface Expected extends TopicPartition {
  readonly offsets: readonly number[]
  readonly optional?: boolean
}

export interface Rules {
  readonly commitMode: 'autoCommit' | 'manualCommit'
  readonly assignor: Assignor
  readonly reset: 'earliest' | 'latest' | 'none'
  readonly intervalMs: number
  readonly sessionMs: number
  readonly maxPollMs: number
  readonly maxPollRecords: number
}

export class Reference {
  readonly rules: Rules
  readonly logs: Map<string, Log[]> = new Map()
  readonly members: Member[] = []
  slots: Slot[] = []
  generation = 0
  joins = 0
  readonly owners: Map<string, Term> = new Map()
  readonly committed: Map<string, number> = new Map()
  readonly pins: Map<string, number> = new Map()
  #leaves = 0
  readonly #now: () => number
  readonly #fail: (rule: string) => void

  constructor(rules: Rules, now: () => number, fail: (rule: string) => void) {
    this.rules = rules
    this.#now = now
    this.#fail = fail
  }

  *allLogs(): Generator<Log> {
    for (const logs of this.logs.values()) yield* logs
  }
  logOf({ topic, partition }: TopicPartition): Log {
    return this.logs.get(topic)![partition]!
  }

  // ── members, target, generation (rules 2, 3, 53, 54) ──

  #retarget(slots: Slot[]): void {
    const counts = new Map([...this.logs].map(([topic, logs]) => [topic, logs.length]))
    const members: GroupMember[] = slots.map(({ memberId, instanceId, topics, target }) => ({
      memberId,
      ...(instanceId === undefined ? {} : { instanceId }),
      topics,
      owned: target,
    }))
    const assignment = slots.length === 0 ? new Map() : this.rules.assignor.assign(members, counts)
    this.slots = slots
    for (const slot of slots) slot.target = assignment.get(slot.memberId) ?? []
    this.generation++
  }
  slotOf(member: Member): Slot | undefined {
    return this.slots.find(slot => slot.occupant === member)
  }
  targetOf(where: TopicPartition): Slot | undefined {
    const key = keyOf(where)
    return this.slots.find(slot => slot.target.some(entry => keyOf(entry) === key))
  }

  /** The first join of a member, or its way back. */
  joined(member: Member): void {
    const { instanceId, topics } = member
    const seat = instanceId === undefined ? undefined : this.slots.find(slot => slot.instanceId === instanceId)
    member.phase = 'live'
    member.welcome = member.listens.assigned
    member.lastBack = this.#now()
    if (seat !== undefined && listed2(seat.topics) === listed2(topics)) {
      seat.occupant = member
      seat.memberId = member.api.memberId
      seat.expiry = undefined
    } else {
      const slot: Slot = {
        memberId: member.api.memberId,
        instanceId,
        topics,
        occupant: member,
        target: seat?.target ?? [],
        expiry: undefined,
        left: 0,
      }
      this.#retarget([...this.slots.filter(other => other !== seat), slot])
    }
    if (instanceId === undefined) return
    for (const other of this.members)
      if (other !== member && other.instanceId === instanceId && other.phase === 'expelled') this.#fence(other)
  }

  #fence(member: Member): void {
    member.phase = 'fenced'
    member.fencedOnce = true
  }

  /** Rule 48: out of all targets from the call on. */
  closingNow(member: Member, timeoutMs: number): void {
    if (member.closing) return
    member.closing = true
    member.closedAt = this.#now()
    member.closeTimeoutMs = timeoutMs
    // Rule 50: who polled has come back; the record in hand of a loop is not finished.
    if (member.handsBy === 'poll') this.#finishHands(member)
    for (const term of member.terms.values()) {
      if (term.held.length > 0) term.frozen = true
      term.held = []
    }
    if (member.phase === 'live') this.#outOfTarget(member)
  }
  #outOfTarget(member: Member): void {
    const slot = this.slotOf(member)
    if (slot === undefined) return
    slot.occupant = undefined
    if (slot.instanceId === undefined) this.#retarget(this.slots.filter(other => other !== slot))
  }

  /** A 'leave' event. */
  left(member: Member, reason: 'closed' | 'expelled' | 'crashed' | 'fenced'): void {
    if (reason === 'closed') this.closingNow(member, member.closeTimeoutMs)
    const orderly = reason === 'closed'
    for (const term of [...member.terms.values()]) this.end(term, orderly)
    if (reason === 'fenced') {
      const slot = this.slotOf(member)
      if (slot !== undefined) slot.occupant = undefined
      return this.#fence(member)
    }
    if (!member.closing) this.#outOfTarget(member)
    member.phase = reason === 'expelled' ? 'expelled' : 'gone'
    const seat =
      member.instanceId === undefined ? undefined : this.slots.find(slot => slot.instanceId === member.instanceId)
    if (seat !== undefined && seat.occupant === undefined && seat.expiry === undefined) {
      seat.expiry = this.#now() + this.rules.sessionMs
      seat.left = ++this.#leaves
    }
    this.forgetPins()
  }
  forgetPins(): void {
    if (this.slots.length === 0 && this.members.every(({ phase }) => phase === 'gone')) this.pins.clear()
  }

  /** Rule 53: seats expire. */
  tick(): void {
    for (;;) {
      const due = this.slots.filter(({ expiry }) => expiry !== undefined && expiry <= this.#now())
      if (due.length === 0) return
      const [first] = due.sort((one, other) => one.expiry! - other.expiry! || one.left - other.left)
      this.#retarget(this.slots.filter(slot => slot !== first))
      this.forgetPins()
    }
  }

  addPartitions(topic: string, total: number): void {
    const logs = this.logs.get(topic)!
    const somebody = this.members.some(({ phase }) => phase !== 'gone')
    while (logs.length < total) {
      // Rule 24: what comes while somebody is there is read from its start.
      if (somebody) this.pins.set(`${topic}-${logs.length}`, 0)
      logs.push(new Log(topic, logs.length))
    }
    if (this.slots.length > 0) this.#retarget(this.slots)
  }

  // ── terms (rules 1, 10 to 14) ──

  begin(member: Member, where: TopicPartition): void {
    const key = keyOf(where)
    const other = this.owners.get(key)
    if (other !== undefined) this.#fail(`1: ${key} is owned by ${other.member.name} and by ${member.name}`)
    if (member.phase !== 'live') this.#fail(`1: ${member.name} (${member.phase}) is given ${key}`)
    const log = this.logOf(where)
    if (!this.committed.has(key) && !this.pins.has(key)) this.pins.set(key, log.end)
    const term: Term = {
      topic: where.topic,
      partition: where.partition,
      member,
      log,
      pos: undefined,
      goal: 'committed',
      returnedAt: undefined,
      frozen: false,
      sought: false,
      held: [],
      explicit: undefined,
      byUser: false,
      startedAt: undefined,
      paused: false,
      announced: !member.listens.assigned && !(member.listens.revoked || member.listens.lost),
      unseen: !member.listens.assigned,
      assigning: false,
      revoking: false,
      revoked: false,
      ended: false,
      lost: false,
      window: undefined,
      buried: new Set(),
    }
    member.terms.set(key, term)
    this.owners.set(key, term)
    member.quietSince = this.#now()
  }

  end(term: Term, orderly: boolean): void {
    const { member } = term
    const key = keyOf(term)
    member.terms.delete(key)
    this.owners.delete(key)
    term.ended = true
    term.lost = !orderly
    member.quietSince = this.#now()
    const listens = member.listens.lost || member.listens.revoked
    if (!orderly) {
      // Once given up, it may have come back to its owner as a new term that nobody has seen.
      if (term.revoked) Object.assign(term, { announced: false, unseen: true, revoking: false })
      if ((term.announced || term.unseen) && !term.revoking && listens) member.pendingLost.push(term)
      return
    }
    if (this.outOfTime(member)) return
    if (this.holds(term)) this.#fail(`10: ${key} leaves ${member.name}, who holds it`)
    if (term.announced && member.listens.revoked && !term.revoked)
      this.#fail(`12: ${key} leaves ${member.name} without its onRevoked, or before that has settled`)
    this.expectCommitted(term, '12a')
  }

  /** Rule 49: its close() has waited long enough. */
  outOfTime(member: Member): boolean {
    return member.closing && this.#now() >= member.closedAt + member.closeTimeoutMs
  }

  /** Rule 12: what has come back is committed before onRevoked, and before the partition goes. */
  expectCommitted(term: Term, rule: string, finished: readonly number[] | undefined = this.finished(term)): void {
    if (this.rules.commitMode === 'manualCommit' || term.byUser) return
    const committed = this.committed.get(keyOf(term))
    if (finished !== undefined && !this.#fits(term, finished, committed))
      this.#fail(
        `${rule}: of ${keyOf(term)}, ${term.member.name} has come back from ${finished}, but ${committed} is committed`,
      )
  }
  expectAllCommitted(member: Member, rule: string): void {
    for (const term of member.terms.values()) this.expectCommitted(term, rule)
  }

  holds(term: Term): boolean {
    if (term.held.length > 0) return true
    for (const call of term.member.running?.inFlight ?? []) if (call.term === term && !call.entry.finished) return true
    return false
  }
  /** A handler is at work on what its commit() has finished already: whether that holds anything up is left open. */
  lingers(member: Member): boolean {
    for (const { entry } of member.running?.inFlight ?? []) if (entry.finished) return true
    return false
  }
  /** Records of any of its terms are in its hands. */
  busy(member: Member): boolean {
    if ((member.running?.inFlight.size ?? 0) > 0) return true
    for (const term of member.terms.values()) if (term.held.length > 0) return true
    return false
  }

  // ── positions (rules 23 to 26) ──

  /** Where a term starts, or where its seek leads. Undefined: NO_OFFSET_FOR_PARTITION. */
  start(term: Term): number | undefined {
    const { goal, log } = term
    if (typeof goal === 'number') return goal
    if (goal !== undefined && goal !== 'committed') return log.resolve(goal)
    const committed = this.committed.get(keyOf(term))
    if (committed !== undefined) return committed
    if (this.rules.reset === 'none') return undefined
    return this.rules.reset === 'latest' ? this.pins.get(keyOf(term)) : log.start
  }

  /** The position has been seen, or is about to matter. */
  adopt(term: Term, seen?: number): void {
    if (term.pos !== undefined) return
    const start = this.start(term)
    if (seen !== undefined && seen !== start)
      this.#fail(`23: ${keyOf(term)} of ${term.member.name} starts at ${seen} instead of ${start}`)
    const pos = seen ?? start
    if (pos === undefined) return this.#fail(`25: ${keyOf(term)} starts although nothing is committed`)
    // A new group under 'latest', and a seek by the user, pass over what is before.
    if (term.goal !== 'committed' || (this.rules.reset === 'latest' && !this.committed.has(keyOf(term))))
      term.log.pass(pos)
    term.pos = pos
    term.goal = undefined
    term.startedAt ??= pos
  }

  returned(term: Term): number | undefined {
    if (term.frozen || term.held.length > 0) return term.returnedAt
    if (term.window !== undefined) return term.window.low
    if (term.pos !== undefined) return term.pos
    return term.goal === 'committed' ? undefined : this.start(term)
  }
  /** What an auto-commit writes; with two answers where both are right. */
  finished(term: Term): readonly number[] | undefined {
    const returned = this.returned(term)
    const { explicit, pos } = term
    if (returned === undefined) return undefined
    // What was in hand was sought away, and came back by close() or by its handler's commit(): both are right.
    if (term.frozen && term.sought) return [returned, pos ?? this.start(term) ?? returned, explicit ?? returned]
    if (explicit === undefined || explicit <= returned) return [returned]
    if (term.window !== undefined) return [returned, explicit]
    return pos !== undefined && explicit <= pos ? [explicit] : [returned]
  }
  /** A record that is gone from the log may still be handed out, if it was taken before: so both are right. */
  #fits(term: Term, finished: readonly number[], offset: number | undefined): boolean {
    if (offset === undefined) return false
    return finished.includes(offset) || (term.window?.gone.has(offset) ?? false)
  }

  comeBack(member: Member): void {
    member.lastBack = this.#now()
    this.#finishHands(member)
  }
  #finishHands(member: Member): void {
    for (const term of member.terms.values()) {
      for (const offset of term.held) term.log.done.add(offset)
      term.held = []
      term.sought = false
    }
  }

  #atWork(term: Term): boolean {
    for (const call of term.member.running?.inFlight ?? []) if (call.term === term) return true
    return false
  }
  seek(term: Term, to: StartFrom): void {
    term.returnedAt = this.returned(term)
    term.frozen = this.#atWork(term)
    term.sought = term.held.length > 0 || (term.frozen && !this.holds(term))
    if (term.window !== undefined) term.window.detached = true
    term.window = undefined
    term.explicit = undefined
    // A seek in onRevoked comes after the commit, and goes with the partition.
    if (term.revoking) term.byUser = true
    if (typeof to === 'number') {
      term.pos = to
      term.goal = undefined
      term.startedAt ??= to
      term.log.pass(to)
    } else {
      term.pos = undefined
      term.goal = to
    }
  }

  /** A 'reset' event (rule 25). */
  reset(where: TopicPartition, from: number, to: number): void {
    const term = this.owners.get(keyOf(where))
    if (term === undefined) return this.#fail(`25: reset of ${keyOf(where)}, which nobody owns`)
    this.adopt(term, from)
    const { log, window } = term
    if (window === undefined && term.pos !== from)
      this.#fail(`25: reset of ${keyOf(where)} from ${from}, which is at ${term.pos}`)
    if (from >= log.start && from <= log.end) this.#fail(`25: reset of ${keyOf(where)} at ${from}, which is in range`)
    const expected = this.rules.reset === 'latest' ? log.end : log.start
    if (to !== expected) this.#fail(`25: reset of ${keyOf(where)} to ${to} instead of ${expected}`)
    log.excuse(from, to)
    term.pos = to
    term.member.quietSince = this.#now()
    if (window === undefined) return
    for (let offset = from; offset < to; offset++) if (!window.entries.has(offset)) window.gone.add(offset)
    if (to < from) term.window = undefined
  }

  // ── records in the user's hands ──

  #mayHandOut(term: Term | undefined, record: ConsumerRecord<number>, member: Member): term is Term {
    const what = `${keyOf(record)}@${record.offset} is handed to ${member.name}`
    if (term === undefined || term.ended) this.#fail(`1: ${what}, who does not own it`)
    else if (!term.announced && !term.unseen) this.#fail(`17: ${what} before its onAssigned was called`)
    else if (term.assigning) this.#fail(`17: ${what} before its onAssigned has settled`)
    else if (term.revoking) this.#fail(`12: ${what} after its onRevoked was called`)
    else if (member.callback !== undefined) this.#fail(`16: ${what} while its ${member.callback.kind} callback runs`)
    else if (member.closing) this.#fail(`49: ${what}, who is closing`)
    else if (term.paused) this.#fail(`42: ${what}, who has paused it`)
    else {
      term.announced = true
      this.#sameAsInLog(term.log, record)
      return true
    }
    return false
  }
  #sameAsInLog(log: Log, record: ConsumerRecord<number>): void {
    const found = log.records[record.offset]
    if (found === undefined || found.value !== record.value || found.key !== record.key)
      this.#fail(`log: ${keyOf(record)}@${record.offset} is ${record.key}=${record.value}, published: ${show(found)}`)
    else if (found.timestamp !== record.timestamp)
      this.#fail(`log: ${keyOf(record)}@${record.offset} has another timestamp than published`)
  }

  handedOut(member: Member, records: Records, how: 'poll' | 'step', max: number): void {
    if (records.length > max) this.#fail(`36: ${records.length} records for maxRecords ${max}`)
    for (const record of records) {
      const term = member.terms.get(keyOf(record))
      if (!this.#mayHandOut(term, record, member)) return
      this.adopt(term)
      if (record.offset !== term.pos)
        return this.#fail(
          `order: ${keyOf(record)}@${record.offset} is handed to ${member.name}, who stands at ${term.pos}`,
        )
      if (term.held.length === 0) term.returnedAt = term.pos
      term.held.push(record.offset)
      term.pos = record.offset + 1
    }
    if (records.length > 0) member.handsBy = how
  }

  /** run() calls a handler (rules 40, 43 to 46). */
  started(member: Member, record: ConsumerRecord<number>, attempt: number): Call {
    const running = member.running!
    const what = `${keyOf(record)}@${record.offset}`
    const term = member.terms.get(keyOf(record))
    const lane = running.concurrency === 1 ? '' : (record.key ?? '(none)')
    if (running.inFlight.size >= running.concurrency)
      this.#fail(`43: ${what} is one more at work than concurrency ${running.concurrency} allows`)
    if (!this.#mayHandOut(term, record, member)) {
      const entry: Entry = { offset: record.offset, lane, state: 'working', finished: false, attempts: attempt }
      const nowhere = { ended: true, topic: record.topic, partition: record.partition } as Term
      return { member, term: nowhere, window: new Window(0), entry, record, since: 0, slow: false }
    }
    this.adopt(term)
    term.window ??= new Window(term.pos!)
    const { window } = term
    for (const call of running.inFlight) {
      if (call.entry.lane !== lane || keyOf(call.record) !== keyOf(record)) continue
      if (call.term !== term && call.entry.finished) continue
      this.#fail(`43: ${what} is handed out while ${call.entry.offset}, of the same key, is at work`)
    }
    const entry = this.#entry(window, record, lane, attempt, running)
    term.pos = Math.max(term.pos!, record.offset + 1)
    const call: Call = { member, term, window, entry, record, since: this.#now(), slow: false }
    running.inFlight.add(call)
    return call
  }
  #entry(window: Window, record: ConsumerRecord<number>, lane: string, attempt: number, running: Running): Entry {
    const { offset } = record
    const what = `${keyOf(record)}@${offset}`
    const known = window.entries.get(offset)
    window.gone.delete(offset)
    if (offset < window.base) this.#fail(`order: ${what} is handed out, but the term stands at ${window.base}`)
    for (let before = window.base; before < offset; before++) {
      const other = window.entries.get(before)
      const logged = this.logOf(record).records[before]!
      const otherLane = running.concurrency === 1 ? '' : (logged.key ?? '(none)')
      if (otherLane === lane && other?.state !== 'over' && !window.gone.has(before))
        this.#fail(`43: ${what} overtakes ${before}, of the same key`)
    }
    if (known === undefined) {
      if (attempt !== 1) this.#fail(`44: the first attempt at ${what} is number ${attempt}`)
      const entry: Entry = { offset, lane, state: 'working', finished: false, attempts: 1 }
      window.entries.set(offset, entry)
      return entry
    }
    if (known.state !== 'failed') this.#fail(`order: ${what} is handed out again, ${known.state}`)
    known.state = 'working'
    known.attempts++
    if (attempt !== known.attempts) this.#fail(`44: attempt ${known.attempts} at ${what} is called number ${attempt}`)
    if (attempt > running.attempts) this.#fail(`46: attempt ${attempt} of ${running.attempts} at ${what}`)
    return known
  }

  /** The handler has settled; what comes of a failure is returned. */
  settled(call: Call, error?: { readonly error: unknown }): void {
    const { term, entry, window, member } = call
    const running = member.running!
    running.inFlight.delete(call)
    member.lastBack = Math.max(member.lastBack, this.#now())
    if (term.ended) return
    // Where a seek is not resolved yet, the others that are at work still count.
    if (term.pos !== undefined || !this.#atWork(term)) term.frozen = false
    if (error === undefined) {
      entry.state = 'over'
      entry.finished = true
      term.log.done.add(entry.offset)
      return
    }
    entry.state = 'failed'
    const last = window.detached || entry.attempts >= running.attempts
    if (!last) return
    if (running.dead === 'topic') this.buried(call)
    else if (running.dead === 'promise') {
      // It is at work until the promise is kept.
      entry.state = 'working'
      running.inFlight.add(call)
    } else running.fatal.push({ cause: error.error, call })
  }

  /** The dead letter topic has the record. */
  buried(call: Call): void {
    const { term, entry, window, member } = call
    member.running!.inFlight.delete(call)
    if (term.ended) return
    term.frozen = false
    entry.state = 'over'
    entry.finished = true
    term.log.done.add(entry.offset)
    if (!window.detached) term.buried.add(entry.offset)
  }

  notBuried(call: Call, cause: unknown): void {
    const running = call.member.running!
    running.inFlight.delete(call)
    if (call.term.ended) return
    call.term.frozen = false
    call.entry.state = 'failed'
    running.fatal.push({ cause, call })
  }

  // ── commits (rules 28 to 35) ──

  /** What a commit by the user is refused with. */
  refusal(member: Member, where: readonly TopicPartition[]): string | undefined {
    if (member.fencedOnce) return 'FENCED_INSTANCE_ID'
    if (member.phase !== 'live') return 'UNKNOWN_MEMBER_ID'
    if (where.some(entry => !member.terms.has(keyOf(entry)))) return 'ILLEGAL_GENERATION'
    return undefined
  }
  /** What commit() without an argument is to write. */
  everything(member: Member): readonly Expected[] {
    const finishedOnly = member.activity === 'run' || member.callback !== undefined || member.closing
    return [...member.terms.values()].flatMap(term => {
      const { topic, partition, pos } = term
      // A seek that is not resolved yet: nothing, or what was finished before it.
      if (pos === undefined && term.goal === 'committed') return []
      if (pos === undefined && term.held.length === 0 && !term.frozen)
        return term.returnedAt === undefined ? [] : [{ topic, partition, offsets: [term.returnedAt], optional: true }]
      const offsets = finishedOnly ? this.finished(term) : pos === undefined ? undefined : [pos]
      return offsets === undefined ? [] : [{ topic, partition, offsets }]
    })
  }
  userCommits(member: Member, where: TopicPartition, nextOffset: number): void {
    const term = member.terms.get(keyOf(where))
    if (term === undefined) return this.#fail(`30: ${member.name} commits ${keyOf(where)}, which it does not own`)
    this.#write(where, nextOffset)
    this.logOf(where).pass(nextOffset)
    term.explicit = nextOffset
    term.byUser = true
  }
  #write(where: TopicPartition, nextOffset: number): void {
    this.committed.set(keyOf(where), nextOffset)
    this.pins.delete(keyOf(where))
  }
  resetOffsets(where: TopicPartition, nextOffset: number): void {
    this.#write(where, nextOffset)
    this.logOf(where).pass(nextOffset)
  }

  /** A commit that no user asked for. */
  libraryCommits(member: Member, where: TopicPartition, nextOffset: number): void {
    const key = keyOf(where)
    const term = member.terms.get(key)
    const before = this.committed.get(key)
    if (term === undefined) return this.#fail(`30: ${member.name} commits ${key}, which it does not own`)
    if (this.rules.commitMode === 'manualCommit') this.#deadLetterCommit(term, before, nextOffset)
    else {
      // A position that has only just been needed.
      if (term.pos === undefined && term.goal === 'committed') this.adopt(term)
      if (term.pos === undefined) term.log.pass(nextOffset)
      const finished = this.finished(term)
      if (finished === undefined || !this.#fits(term, finished, nextOffset))
        this.#fail(`33: ${member.name} auto-commits ${key} at ${nextOffset}, but has come back from ${finished}`)
      if (before === nextOffset) this.#fail(`34: ${member.name} auto-commits ${key} at ${nextOffset} again`)
    }
    this.#write(where, nextOffset)
    term.byUser = false
    member.quietSince = this.#now()
  }
  #deadLetterCommit(term: Term, before: number | undefined, nextOffset: number): void {
    const key = keyOf(term)
    if (!term.buried.has(nextOffset - 1))
      this.#fail(`32: manualCommit, but the library commits ${key} at ${nextOffset}`)
    const from = before ?? term.startedAt ?? 0
    if (from > nextOffset) this.#fail(`32: a dead letter takes the commit of ${key} back from ${from} to ${nextOffset}`)
    if (Math.max(from, term.log.start) < nextOffset - 1)
      this.#fail(`32: a dead letter commits ${key} at ${nextOffset}, but only ${from} is committed`)
  }

  // ── coming to rest (rules 55 to 58) ──

  /** Whether a record waits for another attempt: by the clock, or because its partition is paused. */
  get retries(): boolean {
    for (const { window } of this.owners.values())
      for (const { state } of window?.entries.values() ?? []) if (state === 'failed') return true
    return false
  }
  /** A seek that is not resolved yet: what is finished is a matter of opinion. */
  get unsure(): boolean {
    for (const { pos, goal } of this.owners.values()) if (pos === undefined && goal !== 'committed') return true
    return false
  }

  next(log: Log): number {
    const key = keyOf(log)
    const owner = this.owners.get(key)
    const unowned =
      this.committed.get(key) ?? (this.rules.reset === 'latest' ? (this.pins.get(key) ?? log.end) : log.start)
    return owner === undefined ? unowned : (this.returned(owner) ?? unowned)
  }
  /** All before `end` that exists is finished, and committed where only that counts. */
  finishedTo(log: Log, end: number): boolean {
    if (log.start >= end) return true
    const key = keyOf(log)
    const start = this.rules.reset === 'latest' ? (this.pins.get(key) ?? log.end) : log.start
    if (this.rules.commitMode === 'manualCommit' && (this.committed.get(key) ?? start) < end) return false
    return this.next(log) >= end
  }
  get lag(): number {
    let lag = 0
    for (const log of this.allLogs()) {
      const key = keyOf(log)
      const start = this.rules.reset === 'latest' ? (this.pins.get(key) ?? log.end) : log.start
      lag += Math.max(0, log.end - (this.committed.get(key) ?? start))
    }
    return lag
  }
}

function listed2(names: readonly string[]): string {
  return [...names].sort().join()
}
function show(record: { key: string | null; value: number } | undefined): string {
  return record === undefined ? 'nothing' : `${record.key}=${record.value}`
}
