import {
  type Assignor,
  type ConsumerRecord,
  type HandlerContext,
  isMillraceError,
  keyedPartitioner,
  lastHeader,
  type MemoryBroker,
  type MemoryConsumerGroup,
  type MemoryTopic,
  type NextOffset,
  type ProducerRecord,
  type StartFrom,
  type TopicOptions,
  type TopicPartition,
} from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { checkAtRest } from './at-rest.js'
import {
  type Call,
  type Expected,
  keyOf,
  Log,
  listed,
  type Member,
  type Records,
  Reference,
  type Term,
} from './reference.js'
import { type CallbackAct, type HandlerAct, type Schedule, type Settings, type Step, show } from './schedule.js'

type Value = Record<string, number>
type Rec = ConsumerRecord<number>

/** An engine to drive: a broker on a manual clock, and what it takes until all that a step started is over. */
export interface Opened {
  readonly broker: MemoryBroker<Value>
  /** A turn of the event loop, or as many as its answers take. */
  drain(): Promise<void>
  /** Answers come at once, inside the call that asks: then more can be said about what is seen when. */
  readonly immediate: boolean
}
export type Open = (options: { clock: ManualClock; topics: Record<string, TopicOptions<number>> }) => Opened
export interface Setup {
  readonly open: Open
  readonly commitMode: 'autoCommit' | 'manualCommit'
  readonly assignor: Assignor
}

export class Violation extends Error {
  override readonly name = 'Violation'
}
/** Thrown by the callbacks and handlers of a schedule. */
export class Thrown extends Error {
  override readonly name = 'Thrown'
}

export const maxPollMs = 1_009
const sessionMs = 2_003
const names = ['a', 'b'] as const
const groupId = 'g'

/** Rules that hold however late the answers of an engine come. */
const always: ReadonlySet<string> = new Set(['1', '16', '17', '20', '43', '46', '49', 'log', 'end', 'unexpected'])

class WatchedClock extends ManualClock {
  readonly #before: () => void
  readonly #after: () => void
  constructor(before: () => void, after: () => void) {
    super(1_000)
    this.#before = before
    this.#after = after
  }
  override setTimeout(fn: () => void, ms: number): unknown {
    const timer = (): void => {
      this.#before()
      fn()
      this.#after()
    }
    return super.setTimeout(timer, ms)
  }
}

/** User code that has not settled. */
interface Pending {
  readonly member: Member
  readonly call: Call | undefined
  readonly context: HandlerContext | undefined
  hung: boolean
  succeed(): void
  fail(error: unknown): void
}
interface UserCommit {
  readonly member: Member
  readonly offsets: readonly Expected[]
}
/** What a consumer has going on, as its user sees it. */
export interface Hands {
  readonly loop: AsyncIterator<Rec, undefined> | undefined
  readonly abort: AbortController | undefined
  readonly ready: boolean
  readonly closed: boolean
}

/** Runs one schedule against a broker and the reference model side by side. */
export class World {
  readonly clock: ManualClock
  readonly broker: MemoryBroker<Value>
  readonly group: MemoryConsumerGroup<Rec>
  readonly ref: Reference
  readonly opened: Opened
  readonly #settings: Settings
  readonly #trace: string[] | undefined
  readonly #violations: string[] = []
  readonly hands: Map<Member, { -readonly [Name in keyof Hands]: Hands[Name] }> = new Map()
  readonly #byId: Map<string, Member> = new Map()
  #pending: Pending[] = []
  readonly #userCommits: UserCommit[] = []
  readonly #recent: Map<Member, Rec[]> = new Map()
  readonly #contexts: Map<Call, HandlerContext> = new Map()
  /** Promises of the library that have not settled, by what they are. */
  readonly unsettled: Set<string> = new Set()
  /** Awaits whose condition is looked at when they resolve, and at rest. */
  readonly awaited: {
    what: 'caughtUp' | 'settled' | 'ready'
    done: boolean
    member?: Member
    ends?: [Log, number][]
  }[] = []
  #depth = 0
  #expelling: Member | undefined
  #healthy = false
  #values = 0
  #promises = 0
  #generationSeen = 0
  #generationAtRest = 0
  /** Somebody has come or gone since, or a callback has run. */
  #stirred = false

  constructor(settings: Settings, setup: Setup, trace?: string[]) {
    this.#settings = settings
    this.#trace = trace
    this.clock = new WatchedClock(
      () => this.observe(),
      () => this.#afterTimer(),
    )
    const topics: Record<string, TopicOptions<number>> = { dead: { partitions: 1 } }
    names.forEach((name, i) => {
      topics[name] = { partitions: settings.partitions[i]!, partitioner: keyedPartitioner({ seed: 7 + i }) }
    })
    this.opened = setup.open({ clock: this.clock, topics })
    this.broker = this.opened.broker
    const { commitMode, assignor } = setup
    const { intervalMs, reset, maxPollRecords } = settings
    this.ref = new Reference(
      { commitMode, assignor, reset, intervalMs, sessionMs, maxPollMs, maxPollRecords },
      () => this.clock.now(),
      rule => this.fail(rule),
    )
    names.forEach((name, i) => {
      this.ref.logs.set(
        name,
        Array.from({ length: settings.partitions[i]! }, (_, partition) => new Log(name, partition)),
      )
    })
    this.group = this.broker.group(groupId, {
      topics: names,
      commitMode,
      assignor,
      autoCommitIntervalMs: intervalMs,
      autoOffsetReset: reset,
      maxPollRecords,
      maxPollIntervalMs: maxPollMs,
      sessionTimeoutMs: sessionMs,
    })
    this.#listen()
  }

  note(line: string): void {
    this.#trace?.push(line)
  }
  get tracing(): boolean {
    return this.#trace !== undefined
  }
  fail(rule: string): void {
    if (!this.opened.immediate && !always.has(rule.slice(0, rule.indexOf(':')))) return
    this.note(`!! ${rule}`)
    this.#violations.push(rule)
  }
  #throwIfViolated(): void {
    if (this.#violations.length > 0) throw new Violation(this.#violations[0])
  }

  #listen(): void {
    const { group } = this
    group.on('join', ({ memberId }) => {
      const member = this.#byId.get(memberId)
      if (member === undefined) return
      if (member.pendingLost.some(term => term.announced))
        this.fail(`19: ${member.name} rejoins before its onLost for ${listed(member.pendingLost)}`)
      if (member.running !== undefined && member.running.inFlight.size > 0)
        this.fail(`40: ${member.name} rejoins before its handlers have settled`)
      this.note(`   ${member.name} rejoins`)
      member.pendingLost = []
      this.ref.joined(member)
    })
    group.on('leave', ({ memberId, reason }) => {
      const member = this.#byId.get(memberId)
      if (member === undefined) return this.fail(`unexpected: ${memberId} leaves, who never came`)
      this.note(`   ${member.name} leaves: ${reason}`)
      this.#stirred = true
      if (reason === 'expelled' && this.#expelling !== member) this.#checkExpulsion(member)
      if (reason === 'closed') this.#checkLeave(member)
      this.ref.left(member, reason)
      if (reason === 'expelled' && member.activity !== undefined) this.#between = this.#assignments()
    })
    group.on('commit', ({ memberId, offsets }) => {
      if (memberId === undefined) return
      const member = this.#byId.get(memberId)!
      if (offsets.some(entry => !member.terms.has(keyOf(entry)))) this.observe()
      const told = (nextOffset: number, expected: readonly number[]): boolean => expected.includes(nextOffset)
      const asked = this.#userCommits.findIndex(
        commit =>
          commit.member === member &&
          commit.offsets.filter(({ optional }) => optional !== true).length <= offsets.length &&
          offsets.every(entry =>
            commit.offsets.some(other => keyOf(other) === keyOf(entry) && told(entry.nextOffset, other.offsets)),
          ),
      )
      if (this.tracing)
        this.note(
          `   ${member.name} ${asked < 0 ? 'auto-' : ''}commits ${offsets.map(entry => `${keyOf(entry)}:${entry.nextOffset}`)}`,
        )
      if (asked >= 0) this.#userCommits.splice(asked, 1)
      for (const entry of offsets) {
        if (asked >= 0) this.ref.userCommits(member, entry, entry.nextOffset)
        else this.ref.libraryCommits(member, entry, entry.nextOffset)
      }
    })
    group.on('reset', ({ topic, partition, from, to }) => {
      this.note(`   reset of ${topic}-${partition} from ${from} to ${to}`)
      const owner = this.ref.owners.get(`${topic}-${partition}`)?.member
      if (!owner?.api.assignment.some(where => where.topic === topic && where.partition === partition)) this.observe()
      if (owner !== undefined) this.#renew(owner)
      this.ref.reset({ topic, partition }, from, to)
    })
    group.on('rebalance', ({ generation }) => {
      this.#stirred = true
      if (generation !== this.#generationSeen + 1)
        this.fail(`3: generation ${generation} comes after ${this.#generationSeen}`)
      this.#generationSeen = generation
    })
    group.on('error', ({ error }) => {
      this.note(`   error event: ${error}`)
      if (isMillraceError(error, 'REQUEST_TIMED_OUT') || isMillraceError(error, 'HANDLER_FAILED')) return
      for (const each of error instanceof AggregateError ? error.errors : [error]) {
        if (isMillraceError(each, 'REQUEST_TIMED_OUT')) continue
        const member = this.ref.members.find(({ thrown }) => thrown.has(each))
        if (member === undefined) this.fail(`unexpected: error event ${String(each)}`)
        else member.thrown.delete(each)
      }
    })
  }

  /** Rule 39: it has been away too long. */
  #checkExpulsion(member: Member): void {
    const since = this.since(member)
    if (since === undefined) this.fail(`39: ${member.name} is expelled, who waits in ${member.activity}`)
    else if (this.clock.now() - since < maxPollMs)
      this.fail(`39: ${member.name} is expelled after ${this.clock.now() - since} ms`)
  }
  /** Since when it has not come back. */
  since(member: Member): number | undefined {
    if (member.activity === undefined) return member.lastBack
    if (member.callback !== undefined) return member.callback.since
    if (member.activity !== 'run') return undefined
    let oldest: number | undefined
    for (const call of member.running!.inFlight)
      if (call.slow) oldest = oldest === undefined ? call.since : Math.min(oldest, call.since)
    return oldest
  }
  #checkLeave(member: Member): void {
    this.#detectClose(member, true)
    if (this.ref.outOfTime(member)) return
    const atWork = member.running?.inFlight.size ?? 0
    if (atWork > 0) this.fail(`49: ${member.name} leaves while ${atWork} of its handlers are at work`)
    if (member.callback !== undefined) this.fail(`49: ${member.name} leaves while its ${member.callback.kind} runs`)
    if (this.ref.rules.commitMode === 'autoCommit') this.ref.expectAllCommitted(member, '50')
  }

  // ── what has changed hands ──

  #afterTimer(): void {
    this.ref.tick()
    this.observe()
  }

  /** Who owns what, as the consumers have it, is brought over into the model. */
  observe(): void {
    const { members } = this.ref
    for (const member of members) this.#detectClose(member, false)
    const between = this.#between
    this.#between = undefined
    if (between !== undefined) this.#follow(between)
    this.#follow(this.#assignments())
  }
  #assignments(): ReadonlyMap<Member, readonly TopicPartition[]> {
    return new Map(this.ref.members.map(member => [member, member.phase === 'gone' ? [] : member.api.assignment]))
  }
  /** What was owned when somebody had left who came back at once. */
  #between: ReadonlyMap<Member, readonly TopicPartition[]> | undefined
  readonly #seen: Map<Member, readonly TopicPartition[]> = new Map()
  #follow(seen: ReadonlyMap<Member, readonly TopicPartition[]>): void {
    for (const [member, assignment] of seen) {
      if (member.terms.size === 0 || this.#seen.get(member) === assignment) continue
      const keys = new Set(assignment.map(keyOf))
      for (const [key, term] of [...member.terms]) if (!keys.has(key)) this.#ends(term)
    }
    for (const [member, assignment] of seen) {
      // Frozen, and the same as long as it is the same.
      if (this.#seen.get(member) === assignment) continue
      this.#seen.set(member, assignment)
      for (const where of assignment) {
        if (member.terms.has(keyOf(where))) continue
        if (this.tracing) this.note(`   ${member.name} owns ${keyOf(where)}`)
        this.ref.begin(member, where)
      }
    }
  }
  #ends(term: Term): void {
    if (this.tracing) this.note(`   ${term.member.name} has given up ${keyOf(term)}`)
    this.ref.end(term, true)
  }
  /** run() closes its consumer itself. */
  #detectClose(member: Member, leaving: boolean): void {
    if (member.closing || !(leaving || member.api.closed)) return
    const running = member.running
    if (member.phase === 'gone') {
      member.closing = true
      return
    }
    if (running === undefined && !leaving) this.fail(`unexpected: ${member.name} closes by itself`)
    this.ref.closingNow(member, 30_000)
  }
  /** Who was out already says nothing when it leaves. */
  #detectLeave(member: Member): void {
    try {
      member.api.position('a', 0)
    } catch {
      member.phase = 'gone'
      this.ref.forgetPins()
    }
  }
  /** What came back to its old owner after its onRevoked is a new term (rule 6). */
  #renew(member: Member): void {
    if (member.callback !== undefined) return
    for (const term of [...member.terms.values()]) {
      if (!term.revoked || term.ended) continue
      const { topic, partition } = term
      this.#ends(term)
      this.ref.begin(member, { topic, partition })
    }
  }

  // ── user code ──

  #callback(name: string, given: 'assigned' | 'revoked' | 'lost', act: CallbackAct, fenced: () => Member | undefined) {
    if (act === 'none') return undefined
    return (partitions: readonly TopicPartition[]): unknown => {
      const member = fenced()
      if (member === undefined) {
        this.fail(`16: a callback of ${name} starts inside join()`)
        return
      }
      const kind = this.#callbackBegins(member, given, partitions)
      const terms = partitions.map(where => member.terms.get(keyOf(where))).filter(term => term !== undefined)
      try {
        return this.#callbackActs(member, kind, terms, this.#healthy ? 'sync' : act)
      } catch (error) {
        if (!(error instanceof Thrown)) this.fail(`unexpected: a call inside a callback threw ${String(error)}`)
        throw error
      }
    }
  }

  #callbackBegins(
    member: Member,
    given: 'assigned' | 'revoked' | 'lost',
    partitions: readonly TopicPartition[],
  ): 'assigned' | 'revoked' | 'lost' {
    this.observe()
    this.#renew(member)
    const isLost = given === 'lost' || (given === 'revoked' && member.pendingLost.length > 0)
    const kind = isLost ? 'lost' : given
    const what = `${kind}(${listed(partitions)}) of ${member.name}`
    this.#stirred = true
    this.note(`   ${what} begins`)
    if (this.#depth > 0) this.fail(`16: ${what} starts inside a library call`)
    if (member.callback !== undefined) this.fail(`16: ${what} starts while its ${member.callback.kind} runs`)
    if (member.phase === 'gone') this.fail(`51: ${what} starts after it has left`)
    if ((member.running?.inFlight.size ?? 0) > 0) this.fail(`16: ${what} starts while handlers are at work`)
    if (this.ref.busy(member)) this.fail(`10: ${what} starts while it holds records`)
    if (kind === 'assigned') this.#assigned(member, partitions, what)
    else if (kind === 'revoked') this.#revoked(member, partitions, what)
    else {
      const certain = member.pendingLost.filter(term => term.announced)
      const named = new Set(partitions.map(keyOf))
      const possible = new Set(member.pendingLost.map(keyOf))
      if (!certain.every(term => named.has(keyOf(term))) || ![...named].every(key => possible.has(key)))
        this.fail(`19: ${what}, but lost are ${listed(member.pendingLost)}`)
      if (member.activity === undefined && !member.closing) this.fail(`19: ${what} before it comes back`)
      member.pendingLost = []
    }
    member.callback = { kind, since: this.clock.now(), hung: false }
    return kind
  }
  #assigned(member: Member, partitions: readonly TopicPartition[], what: string): void {
    const moving = new Set(this.group.moves.filter(({ from }) => from === member.api.memberId).map(keyOf))
    const fresh = [...member.terms.values()].filter(term => !term.announced && !moving.has(keyOf(term)))
    if (listed(fresh) !== listed(partitions)) this.fail(`17: ${what}, but new are ${listed(fresh)}`)
    if (partitions.length === 0 && !member.welcome) this.fail(`17: ${what}, which is not its first`)
    if (member.phase !== 'live' || member.closing) this.fail(`17: ${what}, who is ${member.phase} or closing`)
    member.welcome = false
    for (const where of partitions) {
      const term = member.terms.get(keyOf(where))
      if (term === undefined) continue
      term.announced = true
      term.assigning = true
    }
  }
  #revoked(member: Member, partitions: readonly TopicPartition[], what: string): void {
    if (partitions.length === 0) this.fail(`17: ${what}`)
    if (member.phase !== 'live') this.fail(`19: ${what}, who is ${member.phase}`)
    for (const where of partitions) {
      const term = member.terms.get(keyOf(where))
      if (term === undefined) this.fail(`18: ${what}, who does not own ${keyOf(where)}`)
      else if (!term.announced && !term.unseen) this.fail(`14: ${what}, but ${keyOf(where)} was never assigned to it`)
      else if (term.revoking) this.fail(`18: ${what}, ${keyOf(where)} again`)
      else term.revoking = true
      if (term?.unseen) term.announced = true
    }
    this.ref.expectAllCommitted(member, '12')
  }

  #callbackActs(
    member: Member,
    kind: 'assigned' | 'revoked' | 'lost',
    terms: readonly Term[],
    act: CallbackAct,
  ): unknown {
    const { api } = member
    const over = (): void => this.#callbackOver(member, kind, terms)
    const seek = (): void => {
      const [term] = terms
      if (term !== undefined && !term.ended) this.#seek(term, Math.max(0, term.log.end - 2))
    }
    switch (act) {
      case 'slow':
      case 'slowThrow':
      case 'hung':
      case 'slowSeek':
      case 'slowCommit':
        return new Promise<void>((resolve, reject) => {
          if (act === 'hung') member.callback!.hung = true
          this.#pending.push({
            member,
            call: undefined,
            context: undefined,
            hung: act === 'hung',
            succeed: () => {
              if (act === 'slowSeek' && member.phase !== 'gone') seek()
              if (act === 'slowCommit' && member.phase !== 'gone') this.#commitAll(member)
              over()
              if (act === 'slowThrow' && !this.#healthy) reject(this.#throwsIn(member))
              else resolve()
            },
            fail: error => {
              over()
              if (!this.#crashed.has(member)) member.thrown.add(error)
              reject(error)
            },
          })
        })
      case 'throw':
        over()
        throw this.#throwsIn(member)
      case 'seek':
        seek()
        break
      case 'commit':
        this.#commitAll(member)
        break
      case 'close': {
        const closed = this.#close(member, {})
        // It may await it: a call inside a callback does not wait for the callback.
        if (closed !== undefined) return closed.then(over)
        break
      }
      case 'join':
        this.#join({ topics: 'ab', assigned: 'none', revoked: 'none', lost: 'none', instance: 0 })
        break
      case 'pause':
        if (terms.length > 0) this.#pause(member, [terms[0]!], true)
        break
      default:
        if (kind !== 'lost' && member.phase === 'live')
          for (const term of terms) api.position(term.topic, term.partition)
    }
    over()
    return undefined
  }
  #callbackOver(member: Member, kind: 'assigned' | 'revoked' | 'lost', terms: readonly Term[]): void {
    this.note(`   ${kind} of ${member.name} is over`)
    this.observe()
    member.callback = undefined
    member.quietSince = this.clock.now()
    for (const term of terms) {
      if (kind === 'assigned') term.assigning = false
      if (kind === 'revoked') term.revoked = true
    }
  }
  #throwsIn(member: Member): Thrown {
    const error = new Thrown(`callback of ${member.name}, ${++this.#promises}`)
    member.thrown.add(error)
    return error
  }

  #handle(member: Member, record: Rec, context: HandlerContext, acts: HandlerAct[], rest: 'ok' | 'slow'): unknown {
    this.observe()
    this.#renew(member)
    if (this.tracing)
      this.note(
        `   ${member.name} handles ${keyOf(record)}@${record.offset} key=${record.key} attempt ${context.attempt}`,
      )
    this.#checkMoves(member, record)
    const call = this.ref.started(member, record, context.attempt)
    if (call.term.ended) return
    this.#remember(member, [record])
    if (context.signal.aborted) this.fail(`45: the signal of a new handler of ${member.name} is aborted`)
    const act = this.#healthy ? 'ok' : (acts.shift() ?? rest)
    if (act === 'slow') return this.#slowly(member, call, context)
    if (act === 'fail' || act === 'commitFail') {
      if (act === 'commitFail') this.#contextCommit(call, context)
      const error = new Thrown(`handler of ${member.name}, ${++this.#promises}`)
      this.ref.settled(call, { error })
      throw error
    }
    if (act === 'commit' || (this.#healthy && this.ref.rules.commitMode === 'manualCommit'))
      this.#contextCommit(call, context)
    if (act === 'commitAll') this.#commitAll(member)
    if (act === 'stop') this.#lib(() => context.stop())
    if (act === 'close') this.#close(member, {})
    if (act === 'seek') this.#seek(call.term, Math.max(0, record.offset - 1))
    if (act === 'pause') this.#pause(member, [call.term], true)
    if (act === 'join') this.#join({ topics: 'ab', assigned: 'none', revoked: 'sync', lost: 'none', instance: 0 })
    this.observe()
    this.ref.settled(call)
    return
  }
  #slowly(member: Member, call: Call, context: HandlerContext): Promise<void> {
    call.slow = true
    this.#contexts.set(call, context)
    const settled = (): void => {
      this.#contexts.delete(call)
      const lost = call.term.ended
      if (lost && !context.signal.aborted) this.fail(`45: the signal of a handler of ${member.name} is not aborted`)
      if (!lost && context.signal.aborted) this.fail(`45: the signal of a handler of ${member.name} is aborted`)
      this.note(`   ${member.name} is done with ${keyOf(call.record)}@${call.record.offset}`)
    }
    return new Promise<void>((resolve, reject) => {
      this.#pending.push({
        member,
        call,
        context,
        hung: false,
        succeed: () => {
          settled()
          if (this.#healthy && this.ref.rules.commitMode === 'manualCommit') this.#contextCommit(call, context)
          this.ref.settled(call)
          resolve()
        },
        fail: error => {
          settled()
          this.ref.settled(call, { error })
          reject(error)
        },
      })
    })
  }
  /** Rule 11: a partition that is to move is not handed out; with onRevoked, none is. */
  #checkMoves(member: Member, record: Rec): void {
    const moves = this.group.moves.filter(({ from }) => from === member.api.memberId)
    const what = `${keyOf(record)}@${record.offset} is handed to ${member.name}`
    if (moves.some(move => keyOf(move) === keyOf(record))) this.fail(`11: ${what} while it is to move`)
    else if (member.listens.revoked && moves.length > 0) this.fail(`11: ${what} while its onRevoked is due`)
  }

  // ── calls of the library ──

  #lib<T>(call: () => T): T {
    this.#depth++
    try {
      return call()
    } finally {
      this.#depth--
    }
  }
  /** A promise of the library: it must settle in the end, and reject with nothing unheard of. */
  #watch<T>(
    what: string,
    promise: Promise<T>,
    fulfilled: (value: T) => void,
    rejected: (error: unknown) => void,
  ): void {
    const name = `${++this.#promises} ${what}`
    this.unsettled.add(name)
    promise.then(
      value => {
        this.unsettled.delete(name)
        this.note(`   ${name} is fulfilled`)
        fulfilled(value)
      },
      error => {
        this.unsettled.delete(name)
        this.note(`   ${name} is rejected: ${error}`)
        rejected(error)
      },
    )
  }
  /** A rejection that the rules allow: an error of its own callbacks (once), or one of these codes. */
  #expectError(member: Member, what: string, error: unknown, ...codes: string[]): void {
    if (member.thrown.delete(error)) return
    if (isMillraceError(error) && codes.includes(error.code)) return
    this.fail(`20: ${what} of ${member.name} rejects with ${String(error)}`)
  }

  #join(step: Omit<Extract<Step, { do: 'join' }>, 'do'>): void {
    const open = this.ref.members.filter(({ phase, closing }) => phase !== 'gone' && !closing)
    if (open.length >= 5 || this.ref.members.length >= 12) return
    const { assigned, revoked, lost, instance } = step
    const number = this.ref.joins + 1
    const name = `c${number}`
    let member: Member | undefined
    const listeners = Object.entries({
      onAssigned: this.#callback(name, 'assigned', assigned, () => member),
      onRevoked: this.#callback(name, 'revoked', revoked, () => member),
      onLost: this.#callback(name, 'lost', lost, () => member),
    }).filter(([, listener]) => listener !== undefined)
    const topics = step.topics === 'ab' ? names : [step.topics]
    const instanceId = instance === 0 ? undefined : `i${instance}`
    const api = this.#lib(() =>
      this.group.join({
        ...Object.fromEntries(listeners),
        ...(step.topics === 'ab' ? {} : { topics }),
        ...(instanceId === undefined ? {} : { instanceId }),
      }),
    )
    this.ref.joins++
    if (api.memberId !== `${groupId}-${String(number).padStart(4, '0')}`)
      this.fail(`7: member ${number} is called ${api.memberId}`)
    member = {
      api,
      name,
      instanceId,
      topics,
      listens: { assigned: assigned !== 'none', revoked: revoked !== 'none', lost: lost !== 'none' },
      terms: new Map(),
      phase: 'live',
      closing: false,
      welcome: false,
      callback: undefined,
      pendingLost: [],
      activity: undefined,
      running: undefined,
      handsBy: 'poll',
      lastBack: this.clock.now(),
      quietSince: this.clock.now(),
      closedAt: 0,
      closeTimeoutMs: 30_000,
      fencedOnce: false,
      thrown: new Set(),
    }
    this.ref.members.push(member)
    this.#byId.set(api.memberId, member)
    this.hands.set(member, { loop: undefined, abort: undefined, ready: false, closed: false })
    this.ref.joined(member)
    this.observe()
  }

  #close(member: Member, options: { timeoutMs?: number }): Promise<void> | undefined {
    const first = !member.closing
    if (first) this.ref.closingNow(member, options.timeoutMs ?? 30_000)
    const closed = this.#lib(() => member.api.close(options))
    if (!member.api.closed) this.fail(`48: ${member.name} is not closed after close()`)
    this.observe()
    const inside = member.callback !== undefined
    this.#watch(
      `close of ${member.name}`,
      closed,
      () => {
        // A call that a callback may be awaiting does not wait.
        if (inside) return
        this.hands.get(member)!.closed = true
        if (member.phase === 'live') this.fail(`49: close() of ${member.name} resolves before it has left`)
        if (member.phase !== 'live') member.phase = 'gone'
        this.ref.forgetPins()
      },
      error => {
        member.phase = 'gone'
        this.hands.get(member)!.closed = true
        this.ref.forgetPins()
        for (const each of error instanceof AggregateError ? error.errors : [error]) {
          if (isMillraceError(each, 'REQUEST_TIMED_OUT')) {
            if (this.clock.now() < member.closedAt + member.closeTimeoutMs)
              this.fail(`49: close() of ${member.name} times out early`)
          } else if (!member.thrown.has(each)) {
            // Each caller of close() is told the same.
            if (!(each instanceof Thrown)) this.#expectError(member, 'close()', each)
          } else member.thrown.delete(each)
        }
      },
    )
    return closed.then(
      () => {},
      () => {},
    )
  }

  #commit(
    member: Member,
    offsets: UserCommit['offsets'],
    call: () => Promise<void>,
    refusal: string | undefined,
  ): void {
    const asked: UserCommit = { member, offsets }
    if (refusal === undefined && offsets.length > 0) this.#userCommits.push(asked)
    const before = new Map(this.ref.committed)
    const promise = this.#lib(call)
    const forget = (): void => {
      const at = this.#userCommits.indexOf(asked)
      if (at >= 0) this.#userCommits.splice(at, 1)
    }
    if (this.opened.immediate) {
      if (this.#userCommits.includes(asked) && offsets.some(({ optional }) => optional !== true))
        this.fail(`28: a commit of ${member.name} is not applied at once`)
      if (refusal !== undefined && [...this.ref.committed].some(([key, offset]) => before.get(key) !== offset))
        this.fail(`30: a commit of ${member.name} that is refused has changed something`)
      forget()
    }
    this.#watch(
      `commit of ${member.name}`,
      promise,
      () => {
        forget()
        if (refusal !== undefined) this.fail(`30: a commit of ${member.name} is accepted; ${refusal} was due`)
      },
      error => {
        forget()
        const code = isMillraceError(error) ? error.code : String(error)
        if (!refusal?.split(' or ').includes(code))
          this.fail(`30: a commit of ${member.name} is refused: ${code} instead of ${refusal}`)
      },
    )
  }
  #commitAll(member: Member): void {
    this.observe()
    for (const term of member.phase === 'gone' ? [] : member.terms.values()) {
      const seen = member.api.position(term.topic, term.partition)
      if (seen !== undefined) this.ref.adopt(term, seen)
    }
    const offsets = this.ref.everything(member)
    this.#commit(member, offsets, () => member.api.commit(), this.ref.refusal(member, []))
  }
  #commitGiven(member: Member, what: Rec | readonly Rec[] | readonly NextOffset[]): void {
    const given = (Array.isArray(what) ? what : [what]) as readonly (Rec | NextOffset)[]
    const expected = new Map<string, TopicPartition & { offsets: readonly number[] }>()
    for (const entry of given) {
      const { topic, partition } = entry
      const next = 'nextOffset' in entry ? entry.nextOffset : entry.offset + 1
      const known = expected.get(keyOf(entry))?.offsets[0]
      if (known === undefined || next > known || 'nextOffset' in entry)
        expected.set(keyOf(entry), { topic, partition, offsets: [next] })
    }
    const offsets = [...expected.values()]
    this.#commit(member, offsets, () => member.api.commit(what as Rec[]), this.ref.refusal(member, offsets))
  }
  #contextCommit(call: Call, context: HandlerContext): void {
    const { term, window, entry, member } = call
    this.observe()
    const refusal = term.ended ? this.#refusalOf(term) : undefined
    if (!term.ended) {
      entry.finished = true
      term.log.done.add(entry.offset)
    }
    const { topic, partition } = term
    // Records dropped from the log but taken before that are still to be handed out.
    const low = [window.low, ...window.gone]
    this.#commit(member, [{ topic, partition, offsets: low }], () => context.commit(), refusal)
  }
  /** Given up in an orderly way, or lost; who is about to leave may be told either. */
  #refusalOf(term: Term): string {
    const { member } = term
    if (member.fencedOnce) return 'FENCED_INSTANCE_ID or UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION'
    if (this.ref.outOfTime(member)) return 'UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION or REQUEST_TIMED_OUT'
    if (member.closing || member.phase === 'gone') return 'ILLEGAL_GENERATION or UNKNOWN_MEMBER_ID'
    return term.lost ? 'UNKNOWN_MEMBER_ID' : 'ILLEGAL_GENERATION'
  }

  #seek(term: Term, to: StartFrom): void {
    this.note(`   ${term.member.name} seeks ${keyOf(term)} to ${JSON.stringify(to)}`)
    if (term.ended) return
    term.member.quietSince = this.clock.now()
    this.ref.seek(term, to)
    this.#lib(() => term.member.api.seek(term.topic, term.partition, to))
  }
  #pause(member: Member, terms: readonly Term[], paused: boolean): void {
    for (const term of terms) term.paused = paused
    const list = terms.map(({ topic, partition }) => ({ topic, partition }))
    this.#lib(() => (paused ? member.api.pause(list) : member.api.resume(list)))
  }

  #remember(member: Member, records: Records): void {
    const recent = this.#recent.get(member) ?? []
    recent.push(...records)
    this.#recent.set(member, recent.slice(-4))
  }

  #poll(member: Member, max: number, timeoutMs: number): void {
    const hands = this.hands.get(member)!
    const free = !member.closing && member.activity === undefined && hands.loop === undefined
    const abort = new AbortController()
    const owed = free ? this.#comesBack(member) : []
    const generation = this.group.generation
    const moving = new Set(this.group.moves.filter(({ from }) => from === member.api.memberId).map(keyOf))
    const found = this.#lib(() =>
      member.api.poll({ maxRecords: max, signal: abort.signal, ...(timeoutMs < 0 ? {} : { timeoutMs }) }),
    )
    if (!free) return this.#refused(member, 'poll()', found, member.closing ? 'CLOSED' : 'CONCURRENT_POLL')
    for (const check of owed) check()
    member.activity = 'poll'
    hands.abort = abort
    const end = (): void => {
      member.activity = undefined
      hands.abort = undefined
      if (!member.closing) member.lastBack = this.clock.now()
      member.quietSince = this.clock.now()
      this.observe()
      this.#renew(member)
    }
    this.#watch(
      `poll of ${member.name}`,
      found,
      records => {
        end()
        if (this.tracing) this.note(`     ${records.map(record => `${keyOf(record)}@${record.offset}`).join(' ')}`)
        if (this.group.generation === generation && records.some(record => moving.has(keyOf(record))))
          this.fail(`11: a poll of ${member.name} hands out of a partition that is to move`)
        this.ref.handedOut(member, records as Records, 'poll', max)
        this.#remember(member, records as Records)
      },
      error => {
        end()
        if (abort.signal.aborted && error === abort.signal.reason) return
        const codes = ['FENCED_INSTANCE_ID', ...this.#offsetErrors()]
        this.#expectError(member, 'poll()', error, ...codes)
      },
    )
  }
  #offsetErrors(): string[] {
    return this.#settings.reset === 'none' ? ['NO_OFFSET_FOR_PARTITION', 'OFFSET_OUT_OF_RANGE'] : []
  }
  /** A poll or a step begins: what an auto-commit must write now, if none can have happened for an interval. */
  #comesBack(member: Member): (() => void)[] {
    const { ref } = this
    ref.comeBack(member)
    const { commitMode, intervalMs } = ref.rules
    if (member.phase !== 'live' || this.clock.now() - member.quietSince < intervalMs) return []
    member.quietSince = this.clock.now()
    if (commitMode === 'manualCommit' || member.callback !== undefined) return []
    return [...member.terms.values()].map(term => {
      const finished = ref.finished(term)
      return () => {
        if (finished !== undefined && !term.ended) ref.expectCommitted(term, '33a', finished)
      }
    })
  }
  #refused(member: Member, what: string, promise: Promise<unknown>, code: string): void {
    this.#watch(
      `${what} of ${member.name}`,
      promise,
      () => this.fail(`36: ${what} of ${member.name} is accepted; ${code} was due`),
      error => {
        if (!isMillraceError(error) || error.code !== code)
          this.fail(`36: ${what} of ${member.name} rejects with ${String(error)} instead of ${code}`)
      },
    )
  }

  #step(member: Member): void {
    const hands = this.hands.get(member)!
    if (hands.loop !== undefined && member.activity !== undefined) return
    const begins = hands.loop === undefined
    const loop = hands.loop ?? member.api[Symbol.asyncIterator]()
    if (begins && (member.closing || member.activity !== undefined))
      return this.#refused(
        member,
        'next()',
        this.#lib(() => loop.next()),
        member.closing ? 'CLOSED' : 'CONCURRENT_POLL',
      )
    const over = member.closing
    const owed = over ? [] : this.#comesBack(member)
    const found = this.#lib(() => loop.next())
    for (const check of owed) check()
    hands.loop = loop
    if (!over) member.activity = 'step'
    const end = (): void => {
      if (!over) {
        member.activity = undefined
        if (!member.closing) member.lastBack = this.clock.now()
        member.quietSince = this.clock.now()
      }
      this.observe()
      this.#renew(member)
    }
    this.#watch(
      `step of ${member.name}`,
      found as Promise<IteratorResult<Rec, undefined>>,
      step => {
        end()
        if (step.done) {
          if (hands.loop === loop && !member.api.closed) this.fail(`42: a loop of ${member.name} ends by itself`)
          hands.loop = undefined
          return
        }
        if (this.tracing) this.note(`     ${keyOf(step.value)}@${step.value.offset}`)
        this.ref.handedOut(member, [step.value], 'step', 1)
        this.#remember(member, [step.value])
      },
      error => {
        end()
        hands.loop = undefined
        this.#expectError(member, 'next()', error, 'FENCED_INSTANCE_ID', ...this.#offsetErrors())
      },
    )
  }
  #break(member: Member): void {
    const hands = this.hands.get(member)!
    const { loop } = hands
    if (loop === undefined) return
    hands.loop = undefined
    this.#watch(
      `return of ${member.name}`,
      this.#lib(() => loop.return!()),
      () => {},
      () => this.fail('42: break'),
    )
  }

  #run(member: Member, step: Extract<Step, { do: 'run' }>): void {
    const hands = this.hands.get(member)!
    const free = !member.closing && member.activity === undefined && hands.loop === undefined
    const { concurrency, attempts, backoffMs, dead, rest } = step
    const acts = [...step.acts]
    const abort = new AbortController()
    if (free) {
      this.#comesBack(member)
      member.running = { concurrency, attempts, backoffMs, dead, inFlight: new Set(), fatal: [] }
      member.activity = 'run'
      hands.abort = abort
    }
    const done = this.#lib(() =>
      member.api.run((record, context) => this.#handle(member, record, context, acts, rest), {
        concurrency,
        signal: abort.signal,
        retry: { attempts, backoffMs },
        ...(dead === 'none' ? {} : { deadLetter: { name: 'dead', publish: letter => this.#bury(member, letter) } }),
      }),
    )
    if (!free) return this.#refused(member, 'run()', done, member.closing ? 'CLOSED' : 'CONCURRENT_POLL')
    const { fatal } = member.running!
    const over = (): void => {
      if (member.activity === 'run') member.activity = undefined
      if (!member.closing) this.observe()
      if (!member.api.closed) this.fail(`47: run() of ${member.name} settles before its consumer is closed`)
      member.phase = 'gone'
      this.ref.forgetPins()
    }
    this.#watch(
      `run of ${member.name}`,
      done,
      () => {
        over()
        if (fatal.length > 0 && !this.#crashed.has(member))
          this.fail(`47: run() of ${member.name} resolves although a handler has failed for good`)
      },
      error => {
        over()
        if (isMillraceError(error, 'HANDLER_FAILED')) {
          const match = fatal.find(
            ({ cause, call }) => cause === error.cause && call.entry.offset === error.details.offset,
          )
          if (match === undefined) this.fail(`47: run() of ${member.name} rejects with ${String(error)}`)
          return
        }
        const codes = ['FENCED_INSTANCE_ID', 'REQUEST_TIMED_OUT', ...this.#offsetErrors()]
        for (const each of error instanceof AggregateError ? error.errors : [error])
          this.#expectError(member, 'run()', each, ...codes)
      },
    )
  }
  readonly #crashed = new Set<Member>()

  #bury(member: Member, letter: ProducerRecord<number>): unknown {
    const running = member.running!
    const about = { ...letter, headers: [...(letter.headers as Iterable<readonly [string, string]>)] } as unknown as Rec
    const offset = Number(lastHeader(about, '__dlq.errors.offset'))
    const attempts = Number(lastHeader(about, '__dlq.errors.delivery.count'))
    this.note(`   ${member.name} buries ${lastHeader(about, '__dlq.errors.topic')}@${offset} after ${attempts}`)
    if (attempts > running.attempts) this.fail(`46: a dead letter after ${attempts} attempts of ${running.attempts}`)
    if (running.dead === 'refuse') {
      const refused = running.fatal.find(({ call }) => call.entry.offset === offset && call.entry.state === 'failed')
      const error = new Thrown(`dead letter of ${member.name}, ${++this.#promises}`)
      if (refused === undefined) this.fail(`46: ${member.name} buries ${offset}, which has not failed for good`)
      else running.fatal.push({ cause: error, call: refused.call })
      throw error
    }
    const published = (this.broker.topic('dead') as MemoryTopic<number>).publish(letter)
    if (running.dead === 'topic') return published
    const call = [...running.inFlight].find(
      ({ entry, record }) =>
        entry.offset === offset &&
        record.topic === lastHeader(about, '__dlq.errors.topic') &&
        record.partition === Number(lastHeader(about, '__dlq.errors.partition')),
    )
    if (call === undefined) this.fail(`46: ${member.name} buries ${offset}, which has not failed for good`)
    // Rule 39: its attempt is at work until the dead letter has arrived.
    else call.slow = true
    return new Promise<void>((resolve, reject) => {
      this.#pending.push({
        member,
        call: undefined,
        context: undefined,
        hung: false,
        succeed: () => {
          if (call !== undefined) this.ref.buried(call)
          resolve()
        },
        fail: error => {
          if (call !== undefined) this.ref.notBuried(call, error)
          reject(error)
        },
      })
    })
  }

  // ── the steps of a schedule ──

  #pick(index: number): Member | undefined {
    const open = this.ref.members.filter(({ phase }) => phase !== 'gone')
    const gone = this.ref.members.filter(({ phase }) => phase === 'gone')
    if ((index === 7 || open.length === 0) && gone.length > 0) return gone[gone.length - 1]
    return open[index % Math.max(1, open.length)]
  }
  #termAt(member: Member, index: number): Term | undefined {
    const terms = [...member.terms.values()]
    return terms[index % Math.max(1, terms.length)]
  }

  async act(step: Step): Promise<void> {
    if (this.tracing) this.note(`${this.clock.now()} ${show(step)}`)
    this.observe()
    const member = 'who' in step ? this.#pick(step.who) : undefined
    if (member !== undefined) this.#actOf(member, step)
    else if (step.do === 'advance') await this.clock.advance(step.ms)
    else if (!('who' in step)) this.#actOfNobody(step)
    this.#watchOn(12)
    this.observe()
    await this.rest()
  }

  async rest(): Promise<void> {
    await this.opened.drain()
    this.observe()
    for (const member of this.ref.members) {
      this.#renew(member)
      if (member.closing && (member.phase === 'expelled' || member.phase === 'fenced')) this.#detectLeave(member)
    }
    if (this.#violations.length === 0) checkAtRest(this)
    this.#generationAtRest = this.group.generation
    this.#stirred = false
    this.#throwIfViolated()
  }

  #actOfNobody(step: Step): void {
    switch (step.do) {
      case 'publish':
        for (let i = 0; i < step.count; i++) this.#publish(step)
        break
      case 'join':
        this.#join(step)
        break
      case 'settle': {
        const free = this.#pending.filter(({ hung }) => !hung)
        const pending = free[step.which % Math.max(1, free.length)]
        if (pending !== undefined) this.#settle(pending, step.how)
        break
      }
      case 'addPartitions': {
        const topic = this.broker.topic(names[step.topic]!)
        const total = topic.partitions.length + 1
        if (total > 4) break
        this.#lib(() => topic.addPartitions(total))
        this.ref.addPartitions(topic.name, total)
        break
      }
      case 'deleteRecords': {
        const log = this.ref.logs.get(names[step.topic]!)![step.partition]
        if (log === undefined) break
        const before = Math.min(step.before, log.end)
        this.#lib(() => this.broker.topic(log.topic).partitions[log.partition]!.deleteRecords(before))
        log.start = Math.max(log.start, before)
        break
      }
      case 'resetOffsets':
        this.#resetOffsets(step.to)
        break
      case 'caughtUp':
        this.#caughtUp()
        break
      case 'settled':
        this.#settled()
        break
    }
  }

  #actOf(member: Member, step: Step): void {
    const { api } = member
    const hands = this.hands.get(member)!
    switch (step.do) {
      case 'close':
        this.#close(member, step.late ? { timeoutMs: 500 } : {})
        break
      case 'crash':
        if (member.closing) break
        this.#crashed.add(member)
        this.#lib(() => crash(api))
        member.closing = true
        member.phase = 'gone'
        this.ref.forgetPins()
        break
      case 'expel':
        if (member.closing) break
        this.#expelling = member
        this.#lib(() => expel(api))
        this.#expelling = undefined
        if (member.activity === undefined && api.assignment.length > 0)
          this.fail(`40: ${member.name} is expelled and owns ${listed(api.assignment)}`)
        break
      case 'poll':
        this.#poll(member, step.max, step.timeoutMs)
        break
      case 'step':
        this.#step(member)
        break
      case 'break':
        this.#break(member)
        break
      case 'abort':
        if (member.activity === 'poll') hands.abort!.abort(new Error('aborted'))
        break
      case 'run':
        this.#run(member, step)
        break
      case 'runAbort':
        if (member.activity === 'run') this.#lib(() => hands.abort!.abort())
        break
      case 'stop': {
        const [context] = [...this.#contexts].flatMap(([call, found]) => (call.member === member ? [found] : []))
        if (context !== undefined) this.#lib(() => context.stop())
        break
      }
      case 'commit':
        this.#commitStep(member, step)
        break
      case 'seek':
        this.#seekStep(member, step)
        break
      case 'pause':
      case 'resume': {
        const term = this.#termAt(member, step.where)
        if (term !== undefined && member.phase !== 'gone') this.#pause(member, [term], step.do === 'pause')
        break
      }
      case 'ready':
        this.#ready(member)
        break
    }
  }

  #publish({ topic, key, partition }: Extract<Step, { do: 'publish' }>): void {
    const name = names[topic]!
    const logs = this.ref.logs.get(name)!
    const value = ++this.#values
    const record = {
      value,
      ...(key === 0 ? {} : { key: `k${key}` }),
      ...(partition < 0 ? {} : { partition: partition % logs.length }),
    }
    const at = this.#lib(() => this.broker.topic(name).publish(record))
    const log = logs[at.partition]!
    if (at.offset !== log.end) this.fail(`log: ${keyOf(at)} gets offset ${at.offset}, its end is ${log.end}`)
    log.records.push({ key: key === 0 ? null : `k${key}`, value, timestamp: at.timestamp })
    if (this.tracing) this.note(`   ${keyOf(at)}@${at.offset}`)
  }

  #settle(pending: Pending, how: 'ok' | 'fail' | 'commit'): void {
    this.#pending = this.#pending.filter(other => other !== pending)
    if (how === 'commit' && pending.call !== undefined) this.#contextCommit(pending.call, pending.context!)
    if (how === 'fail') pending.fail(new Thrown(`settled, ${++this.#promises}`))
    else pending.succeed()
  }

  /** Partitions may be given on and on before all is at rest again. */
  #watchOn(microtasks: number): void {
    if (microtasks === 0) return
    queueMicrotask(() => {
      this.observe()
      this.#watchOn(microtasks - 1)
    })
  }

  #commitStep(member: Member, { what, where, at }: Extract<Step, { do: 'commit' }>): void {
    const recent = this.#recent.get(member) ?? []
    if (what === 'all') this.#commitAll(member)
    else if (what === 'records') this.#commitGiven(member, recent)
    else if (what === 'record') {
      const record = recent[where % Math.max(1, recent.length)]
      if (record !== undefined) this.#commitGiven(member, record)
    } else if (what === 'offsets') {
      const logs = [...this.ref.allLogs()]
      const { topic, partition } = logs[where % logs.length]!
      this.#commitGiven(member, [{ topic, partition, nextOffset: at }])
    } else {
      const pending = this.#pending.find(({ call }) => call?.member === member)
      if (pending !== undefined) this.#contextCommit(pending.call!, pending.context!)
    }
  }

  #seekStep(member: Member, { where, to }: Extract<Step, { do: 'seek' }>): void {
    const target: StartFrom = to === 'time' ? { timestamp: this.clock.now() - 60 } : to
    const term = this.#termAt(member, where)
    if (term !== undefined) return this.#seek(term, target)
    const code = member.phase === 'gone' ? 'CLOSED' : 'NOT_ASSIGNED'
    try {
      this.#lib(() => member.api.seek('a', 0, target))
      this.fail(`27: ${member.name} may seek what it does not own`)
    } catch (error) {
      if (!isMillraceError(error) || error.code !== code) this.fail(`27: seek throws ${String(error)}, not ${code}`)
    }
  }

  #resetOffsets(to: number | 'earliest' | 'latest'): void {
    const left = this.ref.slots.length > 0 || this.ref.members.some(member => member.closing && member.phase === 'live')
    try {
      this.#lib(() => this.group.resetOffsets(to))
      if (left) this.fail('60: resetOffsets() of a group with members or seats')
      for (const log of this.ref.allLogs()) this.ref.resetOffsets(log, typeof to === 'number' ? to : log.resolve(to))
    } catch (error) {
      if (!left || !isMillraceError(error, 'NON_EMPTY_GROUP')) this.fail(`60: resetOffsets() throws ${String(error)}`)
    }
  }

  #ready(member: Member): void {
    const entry = { what: 'ready' as const, done: false, member }
    this.awaited.push(entry)
    this.#watch(
      `ready of ${member.name}`,
      this.#lib(() => member.api.ready()),
      () => {
        entry.done = true
        this.observe()
        const why = whyNotReady(this.ref, member)
        // By the time we hear of it the world may have moved on.
        if (this.group.generation !== this.#generationAtRest || (member.closing && member.running)) return
        if (why !== undefined) this.fail(`55: ready() of ${member.name} resolves, but ${why}`)
      },
      error => {
        entry.done = true
        this.#expectError(member, 'ready()', error, 'CLOSED', 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID')
        if (member.phase === 'live' && !member.closing && member.welcome === false && this.opened.immediate) {
          if (member.lastBack !== this.clock.now()) this.fail(`55: ready() of ${member.name} rejects: ${String(error)}`)
        }
      },
    )
  }
  #caughtUp(): void {
    const ends = [...this.ref.allLogs()].map((log): [Log, number] => [log, log.end])
    const entry = { what: 'caughtUp' as const, done: false, ends }
    this.awaited.push(entry)
    this.#watch(
      'caughtUp',
      this.#lib(() => this.group.caughtUp()),
      () => {
        entry.done = true
        this.observe()
        for (const [log, end] of ends)
          if (!this.ref.unsure && !this.#stirred && !this.ref.finishedTo(log, end))
            this.fail(`56: caughtUp() resolves, but ${keyOf(log)} is at ${this.ref.next(log)} of ${end}`)
      },
      error => {
        entry.done = true
        this.observe()
        const abandoned = ends.some(([log, end]) => !this.ref.finishedTo(log, end) && !this.ref.targetOf(log)?.occupant)
        // Nobody may have been there for less than a turn.
        const moved = this.#stirred || this.ref.unsure
        if (!isMillraceError(error, 'CLOSED') || !(abandoned || moved))
          this.fail(`57: caughtUp() rejects with ${String(error)}`)
      },
    )
  }
  #settled(): void {
    const entry = { what: 'settled' as const, done: false }
    this.awaited.push(entry)
    this.#watch(
      'settled',
      this.#lib(() => this.broker.settled()),
      () => {
        entry.done = true
        this.observe()
        const why = whyNotSettled(this.ref)
        if (why !== undefined && !this.ref.unsure && !this.#stirred) this.fail(`58: settled() resolves, but ${why}`)
      },
      error => this.fail(`58: settled() rejects with ${String(error)}`),
    )
  }

  // ── the end of every schedule ──

  /** Everybody is let go of, comes back and behaves; then all must come to rest, and one healthy consumer finds all that is left. */
  async finish(): Promise<void> {
    this.note('── the end: everybody is released and healthy')
    this.#healthy = true
    await this.#calm()
    // Past every retry, interval, close and seat.
    for (const ms of [30, 60, 2_100]) {
      await this.clock.advance(ms)
      await this.rest()
      await this.#calm()
    }
    const live = this.ref.members.filter(({ phase, closing }) => phase === 'live' && !closing)
    for (const member of live) this.#ready(member)
    if (this.ref.rules.commitMode === 'manualCommit') for (const member of live) this.#commitAll(member)
    await this.rest()
    this.#caughtUp()
    this.#settled()
    await this.rest()
    this.#expectAtRest()
    await this.#drainWithOne()
    await this.#shutDown()
  }

  /** Releases what hangs, resumes what is paused, and polls until nothing comes any more. */
  async #calm(): Promise<void> {
    for (let round = 0; round < 60; round++) {
      let moved = false
      for (const pending of [...this.#pending]) {
        moved = true
        this.#settle(pending, 'ok')
        this.#watchOn(12)
        await this.opened.drain()
        this.observe()
      }
      await this.rest()
      for (const member of this.ref.members) if (this.#calmOne(member)) moved = true
      await this.rest()
      if (!moved) return
    }
    this.fail('end: it does not come to rest')
    this.#throwIfViolated()
  }
  #calmOne(member: Member): boolean {
    this.observe()
    if (member.phase === 'gone' || member.closing) return false
    if (
      member.phase === 'fenced' &&
      member.activity === undefined &&
      !member.pendingLost.some(term => term.announced)
    ) {
      this.#close(member, {})
      return true
    }
    const paused = [...member.terms.values()].filter(term => term.paused)
    if (paused.length > 0) this.#pause(member, paused, false)
    if (member.callback !== undefined) return false
    if (this.hands.get(member)!.loop !== undefined) this.#break(member)
    if (member.activity !== undefined) return paused.length > 0
    if (this.ref.rules.reset === 'none') this.#startAll(member)
    if (this.ref.rules.commitMode === 'manualCommit' && member.phase === 'live') this.#commitAll(member)
    this.#poll(member, 500, -1)
    return true
  }
  /** Under 'none' somebody has to say where to start. */
  #startAll(member: Member): void {
    for (const term of member.terms.values()) {
      if (!term.announced || term.revoking) continue
      const at = term.pos ?? this.ref.start(term)
      if (at === undefined || at < term.log.start || at > term.log.end) this.#seek(term, 'earliest')
    }
  }

  #expectAtRest(): void {
    const { ref, group } = this
    const late = this.awaited.filter(({ done }) => !done)
    const stuck = ref.rules.reset === 'none'
    for (const { what, member } of late)
      if (!stuck || what === 'ready') this.fail(`end: ${what}() ${member?.name ?? ''} does not settle`)
    if (group.moves.length > 0) this.fail(`end: still to move: ${listed(group.moves)}`)
    this.#throwIfViolated()
  }

  /** One healthy consumer takes over, and reads what is not committed. */
  async #drainWithOne(): Promise<void> {
    const { ref } = this
    const others = ref.members.filter(({ phase, closing }) => phase !== 'gone' && !closing)
    for (const member of others) this.#close(member, {})
    await this.rest()
    await this.clock.advance(sessionMs + 100)
    await this.rest()
    this.note('── the end: one consumer for all that is left')
    this.#join({ topics: 'ab', assigned: 'none', revoked: 'none', lost: 'none', instance: 0 })
    const last = ref.members.at(-1)!
    await this.rest()
    for (let round = 0; round < 80; round++) {
      if (ref.rules.reset === 'none') this.#startAll(last)
      const before = [...ref.allLogs()].map(log => ref.next(log)).join()
      this.#poll(last, 500, 0)
      await this.rest()
      if (ref.rules.commitMode === 'manualCommit') this.#commitAll(last)
      if (before === [...ref.allLogs()].map(log => ref.next(log)).join() && !ref.busy(last)) break
    }
    this.#close(last, {})
    await this.rest()
    for (const log of ref.allLogs()) {
      for (let offset = log.start; offset < log.end; offset++)
        if (!log.isDone(offset)) this.fail(`end: ${keyOf(log)}@${offset} was never finished by anybody`)
    }
    if (this.opened.immediate && this.group.lag() > 0 && ref.rules.reset !== 'none')
      this.fail(`end: the lag is ${this.group.lag()}`)
    this.#throwIfViolated()
  }

  async #shutDown(): Promise<void> {
    const closed = this.#lib(() => this.broker.close())
    this.#watch(
      'close of the broker',
      closed,
      () => {},
      error => this.fail(`end: broker.close() rejects: ${error}`),
    )
    await this.opened.drain()
    await this.opened.drain()
    if (this.clock.timers > 0) this.fail(`end: ${this.clock.timers} timers are left after broker.close()`)
    if (this.unsettled.size > 0) this.fail(`end: never settled: ${[...this.unsettled]}`)
    for (const member of this.ref.members) {
      if (member.thrown.size > 0 && !this.#crashed.has(member))
        this.fail(`20: nobody was told of ${[...member.thrown].map(String)}`)
    }
    this.#throwIfViolated()
  }
}

/** Rule 55. */
export function whyNotReady(ref: Reference, member: Member): string | undefined {
  if (member.phase !== 'live' || member.closing) return `it is ${member.closing ? 'closing' : member.phase}`
  const target = ref.slotOf(member)?.target ?? []
  if (listed(target) !== listed(member.terms.values()))
    return `it owns ${listed(member.terms.values())} of ${listed(target)}`
  if (member.callback !== undefined) return `its ${member.callback.kind} callback runs`
  if (member.welcome) return 'its first onAssigned has not been called'
  for (const term of member.terms.values())
    if (!(term.announced || term.unseen) || term.assigning) return `${keyOf(term)} is not assigned yet`
  return undefined
}

/** Rule 58. */
export function whyNotSettled(ref: Reference): string | undefined {
  for (const member of ref.members) {
    if (member.phase === 'gone' || ref.outOfTime(member)) continue
    if (member.callback !== undefined) return `a callback of ${member.name} runs`
    if ((member.running?.inFlight.size ?? 0) > 0) return `a handler of ${member.name} is at work`
    for (const term of member.terms.values()) {
      if (term.held.length > 0) return `${member.name} holds records of ${keyOf(term)}`
      if (ref.targetOf(term)?.occupant !== member) return `${keyOf(term)} is to move`
    }
  }
  for (const log of ref.allLogs()) {
    const occupant = ref.targetOf(log)?.occupant
    if (occupant === undefined) continue
    const owner = ref.owners.get(keyOf(log))
    if (owner?.member !== occupant) return `${keyOf(log)} is not where it belongs`
    const retrying = [...(owner.window?.entries.values() ?? [])].some(({ state }) => state === 'failed')
    if (!retrying && !ref.finishedTo(log, log.end)) return `${keyOf(log)} is at ${ref.next(log)} of ${log.end}`
  }
  return undefined
}

/** Runs a schedule to its end; throws a Violation at the first rule that is broken. */
export async function play(schedule: Schedule, setup: Setup, trace?: string[]): Promise<void> {
  const world = new World(schedule.settings, setup, trace)
  const unhandled = (error: unknown): void => world.fail(`unexpected: unhandled rejection of ${String(error)}`)
  process.on('unhandledRejection', unhandled)
  try {
    for (const step of schedule.steps) await world.act(step)
    await world.finish()
  } finally {
    process.off('unhandledRejection', unhandled)
  }
}
