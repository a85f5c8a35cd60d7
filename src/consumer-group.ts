import { AtRest } from './at-rest.js'
import { type Clock, checkClock, systemClock } from './clock.js'
import { EngineConsumer } from './consumer.js'
import type { Assignor } from './core/assignors/assignor.js'
import { rangeAssignor } from './core/assignors/range.js'
import { checkPlace, checkText, checkTopicPartitions, refuse } from './core/check.js'
import { MillraceError } from './core/errors.js'
import { Membership, Slot } from './core/membership.js'
import {
  type AnyRecord,
  type ConsumerRecord,
  checkStart,
  type Key,
  type NextOffset,
  type StartFrom,
  type TopicPartition,
} from './core/record.js'
import type { Engine, MemberPort, ResolvedGroupOptions } from './engine.js'
import { EventQueue } from './event-queue.js'
import { EventHub, throwApart } from './events.js'
import { GroupOffsets, offsetIn } from './group-offsets.js'
import { checkJoinOptions, resolveGroupOptions } from './group-options.js'
import type { Interceptor } from './interceptor.js'
import type { GroupEvents, MemoryConsumer, MemoryConsumerGroup, Moves } from './memory-consumer-group.js'
import { type Coordinator, MemoryEngine, MemorySource } from './memory-engine.js'
import type { GroupOptions, JoinOptions, ConsumerGroup as PortableConsumerGroup } from './portable.js'
import { Seats } from './seats.js'
import { InMemoryTopic, type MemoryTopic, type TopicSubscriber } from './topic.js'

/** What a group needs of whoever made it: a broker, or the few topics it was given. */
export interface GroupHost {
  readonly clock: Clock
  readonly interceptor: Interceptor
  find(topic: string): InMemoryTopic<any, any> | undefined
  /** Somebody waits for everything to come to rest. */
  readonly watched: boolean
  changed(): void
  forget(id: string): void
}

class InMemoryConsumer<R extends AnyRecord> extends EngineConsumer<R> implements MemoryConsumer<R> {
  override get memberId(): string {
    return EngineConsumer.memberOf(this).engine.memberId!
  }
  crash(): void {
    EngineConsumer.memberOf(this).crash()
  }
  expel(): void {
    EngineConsumer.memberOf(this).expel()
  }
}

/** The coordinator of one group: its membership, its offsets, its clock. Kafka: GroupCoordinator. */
export class InMemoryConsumerGroup<R extends AnyRecord>
  implements MemoryConsumerGroup<R>, Coordinator<R>, TopicSubscriber
{
  readonly id: string
  readonly topics: readonly string[]
  readonly resolved: ResolvedGroupOptions
  readonly #host: GroupHost
  readonly #membership = new Membership<MemoryEngine<R>, MemorySource<R>>()
  /** Every consumer that has not closed or crashed, also those that are out and may come back. */
  readonly #consumers = new Map<MemoryEngine<R>, InMemoryConsumer<R>>()
  readonly #offsets: GroupOffsets
  readonly #rest: AtRest<R>
  readonly #seats: Seats<Slot<MemoryEngine<R>>>
  readonly #hub: EventHub<GroupEvents>
  readonly #events: EventQueue<GroupEvents>
  #members = 0
  #reconciling = false
  #state: 'open' | 'shut' | 'deleted' = 'open'

  constructor(id: string, topics: readonly string[], resolved: ResolvedGroupOptions, host: GroupHost) {
    checkText('group id', id)
    this.id = id
    this.topics = Object.freeze([...new Set(topics)])
    this.resolved = resolved
    this.#host = host
    this.#hub = new EventHub<GroupEvents>(
      ['rebalance', 'error', 'join', 'leave', 'commit', 'reset'],
      // Who hears of errors and throws has nobody left to be told but the host.
      (error, event) => (event === 'error' ? throwApart(error) : this.report(error)),
    )
    this.#events = new EventQueue(this.#hub)
    this.#seats = new Seats(host.clock, resolved.sessionTimeoutMs, seat => this.#seatExpires(seat))
    this.#offsets = new GroupOffsets(id, resolved.autoOffsetReset)
    this.#rest = new AtRest<R>({
      id,
      membership: this.#membership,
      offsets: this.#offsets,
      manual: resolved.commitMode === 'manualCommit',
      manualClock: host.clock.manual === true,
      find: topic => host.find(topic),
      engines: () => this.#consumers.keys(),
    })
    for (const topic of this.#existing()) topic.subscribers.add(this)
  }

  get clock(): Clock {
    return this.#host.clock
  }
  get interceptor(): Interceptor {
    return this.#host.interceptor
  }
  get generation(): number {
    return this.#membership.generation
  }

  #existing(): InMemoryTopic<any, any>[] {
    return this.topics.map(name => this.#host.find(name)).filter(topic => topic !== undefined)
  }
  #counts(): ReadonlyMap<string, number> {
    return new Map(this.#existing().map(topic => [topic.name, topic.partitionCount()]))
  }
  exists(topic: string, partition: number): boolean {
    return this.#host.find(topic)?.partitions[partition] !== undefined
  }

  // ── members ──

  join(options: JoinOptions<R> & { memberId?: string | undefined } = {}): InMemoryConsumer<R> {
    this.#checkOpen()
    checkJoinOptions(options, this.topics)
    const { instanceId } = options
    if (options.memberId !== undefined) this.#checkMemberId(options.memberId, instanceId)
    const memberId = options.memberId ?? this.#nextMemberId(instanceId)
    const topics = options.topics === undefined ? this.topics : [...new Set(options.topics)]
    const engine = new MemoryEngine<R>(this, { memberId, instanceId, topics })
    const connected = this.connect(engine)
    const consumer = new InMemoryConsumer(connected, options)
    connected.port = EngineConsumer.memberOf(consumer)
    this.#consumers.set(engine, consumer)
    try {
      EngineConsumer.memberOf(consumer).join()
    } catch (error) {
      this.#consumers.delete(engine)
      throw error
    }
    this.#members++
    return consumer
  }

  /** Where something may be put between a consumer and its group. */
  protected connect(engine: MemoryEngine<R>): Engine<R> & { port: MemberPort<R> } {
    return engine
  }

  #checkOpen(): void {
    if (this.#state !== 'open')
      throw new MillraceError('CLOSED', {
        what: this.#state === 'deleted' ? `Group ${this.id}` : `The broker of group ${this.id}`,
      })
  }
  /** Rule 7: in the order of joining, so that assignments can be foretold. */
  #nextMemberId(instanceId: string | undefined): string {
    let number = this.#members + 1
    for (;;) {
      const memberId = `${this.id}-${String(number++).padStart(4, '0')}`
      if (!this.#taken(memberId, instanceId)) return memberId
    }
  }
  #checkMemberId(memberId: string, instanceId: string | undefined): void {
    checkText('memberId', memberId)
    if (this.#taken(memberId, instanceId))
      refuse('memberId', memberId, 'one that no open consumer and no seat of the group has')
  }
  /** Assignors tell members apart by their ids, and a seat is one of them; only who takes the seat may have its id. */
  #taken(memberId: string, instanceId: string | undefined): boolean {
    for (const engine of this.#consumers.keys()) if (engine.memberId === memberId) return true
    for (const slot of this.#membership.slots)
      if (slot.memberId === memberId && slot.instanceId !== instanceId) return true
    return false
  }

  admit(engine: MemoryEngine<R>): void {
    this.#checkOpen()
    this.#events.operate(() => {
      const { instanceId } = engine
      const seat = instanceId === undefined ? undefined : this.#membership.bySeat(instanceId)
      const slot = seat !== undefined && sameNames(seat.topics, engine.topics) ? seat : this.#newSlot(engine, seat)
      if (seat !== undefined) {
        this.#seats.release(seat)
        seat.occupant = undefined
      }
      this.#fenceOthers(engine)
      slot.memberId = engine.memberId
      slot.occupant = engine
      engine.state = 'member'
      this.#events.emit('join', { group: this.id, memberId: engine.memberId })
      engine.port.joined()
      this.#reconcile()
    })
  }

  /** An ordinary change of the target; in the place of a seat that had other topics. Throws with nothing changed. */
  #newSlot(engine: MemoryEngine<R>, seat: Slot<MemoryEngine<R>> | undefined): Slot<MemoryEngine<R>> {
    const slot = new Slot<MemoryEngine<R>>(engine.memberId, engine.instanceId, engine.topics)
    slot.target = seat?.target ?? []
    const slots = [...this.#membership.slots].filter(other => other !== seat)
    this.#membership.retarget([...slots, slot], this.#counts(), this.resolved.assignor)
    this.#nextGeneration()
    return slot
  }

  /** Rule 54: the older consumer of a static member is fenced, also one that is expelled and would come back. */
  #fenceOthers(newcomer: MemoryEngine<R>): void {
    const { instanceId } = newcomer
    if (instanceId === undefined) return
    for (const engine of [...this.#consumers.keys()]) {
      if (engine === newcomer || engine.instanceId !== instanceId) continue
      if (engine.state !== 'member' && engine.state !== 'expelled') continue
      const wasMember = engine.state === 'member'
      engine.state = 'fenced'
      this.#free(engine)
      if (wasMember) this.#events.emit('leave', { group: this.id, memberId: engine.memberId, reason: 'fenced' })
      engine.port.out('fenced', new MillraceError('FENCED_INSTANCE_ID', { group: this.id, instanceId }))
    }
  }

  closing(engine: MemoryEngine<R>): void {
    if (engine.state !== 'member') return
    this.#events.operate(() => {
      engine.state = 'closing'
      this.#outOfTarget(engine)
      this.#reconcile()
    })
  }

  /** broker.close(): all of them at once, so that no partition is handed to one that is about to close. */
  shut(timeoutMs: number): Promise<void>[] {
    if (this.#state === 'open') this.#state = 'shut'
    const members = [...this.#consumers.values()].map(consumer => EngineConsumer.memberOf(consumer))
    for (const member of members) if (!member.closing) member.markClosing()
    this.#events.operate(() => {
      for (const engine of this.#consumers.keys()) {
        if (engine.state !== 'member') continue
        engine.state = 'closing'
        this.#membership.generation++
      }
      this.#seats.releaseAll()
      this.#retarget([])
      for (const member of members) member.finishClose(timeoutMs)
      this.#reconcile()
    })
    return members.map(member => member.left)
  }

  release(engine: MemoryEngine<R>, sources: readonly MemorySource<R>[]): void {
    this.#events.operate(() => {
      for (const source of sources) this.#freeOne(engine, source)
      if (!this.#reconciling) this.#grantFree(sources)
    })
  }

  leave(engine: MemoryEngine<R>, reason: 'closed' | 'expelled' | 'crashed'): void {
    this.#events.operate(() => {
      const { state } = engine
      engine.state = reason === 'expelled' ? 'expelled' : 'gone'
      if (reason !== 'expelled') this.#consumers.delete(engine)
      if (state === 'member') this.#outOfTarget(engine)
      this.#free(engine)
      if (state === 'member' || state === 'closing') {
        this.#events.emit('leave', { group: this.id, memberId: engine.memberId, reason })
        this.#keepSeat(engine)
      }
      this.#forgetPins()
      this.#reconcile()
    })
  }

  /** Rule 2: a leaving member is out of the target; rule 53: a static one leaves its seat, and the target stays. */
  #outOfTarget(engine: MemoryEngine<R>): void {
    const slot = this.#slotOf(engine)
    if (slot === undefined) return
    slot.occupant = undefined
    if (slot.instanceId !== undefined) return
    this.#retarget([...this.#membership.slots].filter(other => other !== slot))
    this.#nextGeneration()
  }

  #slotOf(engine: MemoryEngine<R>): Slot<MemoryEngine<R>> | undefined {
    for (const slot of this.#membership.slots) if (slot.occupant === engine) return slot
    return undefined
  }

  #keepSeat(engine: MemoryEngine<R>): void {
    const seat = engine.instanceId === undefined ? undefined : this.#membership.bySeat(engine.instanceId)
    if (seat !== undefined && seat.occupant === undefined) this.#seats.keep(seat)
  }
  #seatExpires(seat: Slot<MemoryEngine<R>>): void {
    this.#events.operate(() => {
      this.#retarget([...this.#membership.slots].filter(other => other !== seat))
      this.#nextGeneration()
      this.#forgetPins()
      this.#reconcile()
    })
  }

  // ── the target, and the way there (groups.md 2 to 5, 8) ──

  /** Where no join can throw it, an assignor's failure is an event, and range does its work. */
  #retarget(slots: readonly Slot<MemoryEngine<R>>[]): void {
    const assign = (assignor: Assignor): void => this.#membership.retarget(slots, this.#counts(), assignor)
    try {
      assign(this.resolved.assignor)
    } catch (error) {
      this.report(error)
      assign(rangeAssignor)
    }
  }

  #nextGeneration(): void {
    this.#membership.generation++
    const { generation } = this.#membership
    if (this.#hub.hears('rebalance'))
      this.#events.later(() => this.#hub.emit('rebalance', { group: this.id, generation, moves: this.moves }))
  }

  /** Tells each member what it is to give up; then gives what is free to whom it is meant for. */
  #reconcile(): void {
    this.#reconciling = true
    for (const engine of [...this.#consumers.keys()]) {
      if (engine.holdings.size === 0 && engine.state !== 'member') continue
      const wanted = new Set<MemorySource<R>>()
      for (const source of engine.holdings)
        if (this.#membership.targetOf(source)?.occupant !== engine) wanted.add(source)
      engine.port.wanted(wanted)
    }
    this.#reconciling = false
    this.#grantFree([...this.#membership.slots].flatMap(({ target }) => target))
    this.#rest.retargeted()
    this.changed()
  }

  #grantFree(partitions: readonly TopicPartition[]): void {
    const grants = new Map<MemoryEngine<R>, MemorySource<R>[]>()
    for (const where of partitions) {
      const engine = this.#membership.targetOf(where)?.occupant
      const log = this.#host.find(where.topic)?.partitions[where.partition]
      if (engine === undefined || log === undefined || this.#membership.holdingOf(where) !== undefined) continue
      const source = new MemorySource<R>(this, engine, log)
      this.#membership.hold(where, source)
      engine.holdings.add(source)
      this.#offsets.pinLatest(source, log)
      const granted = grants.get(engine)
      if (granted === undefined) grants.set(engine, [source])
      else granted.push(source)
    }
    for (const [engine, sources] of grants) engine.port.granted(sources)
  }

  #free(engine: MemoryEngine<R>): void {
    for (const source of [...engine.holdings]) this.#freeOne(engine, source)
  }
  #freeOne(engine: MemoryEngine<R>, source: MemorySource<R>): void {
    if (!engine.holdings.delete(source)) return
    this.#membership.hold(source, undefined)
  }

  complete(engine: MemoryEngine<R>): boolean {
    return this.#slotOf(engine)?.target.length === engine.holdings.size
  }

  get members(): readonly { memberId: string; instanceId?: string; assignment: readonly TopicPartition[] }[] {
    const leaving = [...this.#consumers.keys()].filter(engine => engine.state === 'closing')
    const seated = [...this.#membership.slots].map(slot => {
      const engine =
        slot.occupant ?? leaving.find(({ memberId }) => slot.instanceId !== undefined && memberId === slot.memberId)
      return { memberId: slot.memberId, instanceId: slot.instanceId, engine }
    })
    const others = leaving
      .filter(engine => !seated.some(entry => entry.engine === engine))
      .map(engine => ({ memberId: engine.memberId, instanceId: engine.instanceId, engine }))
    return [...seated, ...others].map(({ memberId, instanceId, engine }) => ({
      memberId,
      ...(instanceId === undefined ? {} : { instanceId }),
      assignment: engine === undefined ? [] : (this.#consumers.get(engine)?.assignment ?? []),
    }))
  }

  get moves(): Moves {
    const moves: Moves[number][] = []
    for (const engine of this.#consumers.keys()) {
      for (const source of engine.holdings) {
        const slot = this.#membership.targetOf(source)
        if (slot?.occupant === engine) continue
        const { topic, partition } = source
        moves.push({
          topic,
          partition,
          from: engine.memberId,
          to: slot?.memberId,
          waitingFor: engine.port.waitingFor(source),
        })
      }
    }
    return moves
  }

  // ── offsets ──

  commit(engine: MemoryEngine<R>, offsets: readonly NextOffset[]): unknown {
    if (engine.state !== 'member' && engine.state !== 'closing') return this.#notMember(engine)
    for (const { topic, partition } of offsets) {
      if (this.#membership.holdingOf({ topic, partition })?.owner === engine) continue
      const { generation } = this
      return this.exists(topic, partition)
        ? new MillraceError('ILLEGAL_GENERATION', { group: this.id, generation, current: generation })
        : new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
    }
    this.#events.operate(() => {
      this.#offsets.commit(offsets)
      this.#told(engine.memberId, offsets)
    })
    return undefined
  }
  #notMember({ memberId, state, instanceId }: MemoryEngine<R>): MillraceError {
    return state === 'fenced'
      ? new MillraceError('FENCED_INSTANCE_ID', { group: this.id, instanceId: instanceId! })
      : new MillraceError('UNKNOWN_MEMBER_ID', { group: this.id, memberId })
  }
  #told(memberId: string | undefined, offsets: readonly NextOffset[]): void {
    if (this.#hub.hears('commit'))
      this.#events.emit('commit', { group: this.id, memberId, offsets: offsets.map(entry => ({ ...entry })) })
    this.changed()
  }

  committed(topic: R['topic'], partition: number): number | undefined {
    checkPlace('committed()', topic, partition)
    if (!this.topics.includes(topic)) throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic })
    if (this.#host.find(topic) !== undefined && !this.exists(topic, partition))
      throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition })
    return this.#offsets.committed({ topic, partition })
  }
  committedAt(where: TopicPartition): number | undefined {
    return this.#offsets.committed(where)
  }
  consumedTo(topic: string, partition: number): number {
    return this.#offsets.committed({ topic, partition }) ?? 0
  }

  startOf(source: MemorySource<R>): number {
    return this.#offsets.start(source, source.log)
  }
  /** Rule 24: when the last has closed or crashed and no seat is left, not when it was expelled. */
  #forgetPins(): void {
    if (this.#consumers.size === 0 && this.#membership.slots.size === 0) this.#offsets.forgetPins()
  }

  lag(): number {
    return this.#offsets.lag(this.#existing())
  }

  resetOffsets(to: StartFrom, where?: readonly TopicPartition[]): void {
    this.#checkOpen()
    if (where !== undefined) checkTopicPartitions('where', where)
    const partitions =
      where ??
      this.#existing().flatMap(topic => topic.partitions.map(({ index }) => ({ topic: topic.name, partition: index })))
    for (const entry of partitions) {
      checkStart(to, entry)
      if (!this.topics.includes(entry.topic) || !this.exists(entry.topic, entry.partition))
        throw new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: entry.topic, partition: entry.partition })
    }
    if (partitions.length === 0) checkStart(to, { topic: this.topics[0]!, partition: 0 })
    this.#checkEmpty()
    const offsets = partitions.map(({ topic, partition }) => {
      const nextOffset = offsetIn(this.#host.find(topic)!.partitions[partition]!, to)
      return { topic, partition, nextOffset }
    })
    this.#events.operate(() => {
      this.#offsets.commit(offsets)
      this.#told(undefined, offsets)
    })
  }

  #checkEmpty(): void {
    const members = this.members.length
    if (members > 0) throw new MillraceError('NON_EMPTY_GROUP', { group: this.id, members })
  }

  delete(): void {
    if (this.#state === 'deleted') return
    this.#checkEmpty()
    this.#state = 'deleted'
    this.#offsets.clear()
    for (const topic of this.#existing()) topic.subscribers.delete(this)
    this.#host.forget(this.id)
    this.changed()
  }

  // ── topics come, grow and go (groups.md 59) ──

  partitionsAdded(topic: InMemoryTopic<any, any>, from: number): void {
    this.#topicsChanged(() => this.#startAtStart(topic, from))
  }
  topicCreated(topic: InMemoryTopic<any, any>): void {
    topic.subscribers.add(this)
    this.#topicsChanged(() => this.#startAtStart(topic, 0))
  }
  topicDeleted(topic: InMemoryTopic<any, any>): void {
    topic.subscribers.delete(this)
    this.#topicsChanged(() => {
      const error = new MillraceError('UNKNOWN_TOPIC_OR_PARTITION', { topic: topic.name })
      this.#offsets.forget(topic.name)
      for (const engine of [...this.#consumers.keys()]) {
        const sources = [...engine.holdings].filter(source => source.topic === topic.name)
        for (const source of sources) this.#freeOne(engine, source)
        if (sources.length > 0) engine.port.lost(sources, error)
      }
      this.#membership.forget(topic.name)
    })
  }

  #topicsChanged(change: () => void): void {
    this.#events.operate(() => {
      change()
      if (this.#membership.slots.size > 0) {
        this.#retarget([...this.#membership.slots])
        this.#nextGeneration()
      }
      this.#reconcile()
    })
  }

  #startAtStart(topic: InMemoryTopic<any, any>, from: number): void {
    if (this.#consumers.size > 0) this.#offsets.pinStart(topic, from)
  }

  // ── coming to rest (groups.md 56 to 58) ──

  async caughtUp(): Promise<void> {
    if (this.#state === 'deleted') throw new MillraceError('CLOSED', { what: `Group ${this.id}` })
    await this.#rest.caughtUp(this.#existing())
  }

  changed(): void {
    if (this.#host.watched) this.#host.changed()
    this.#rest.changed()
  }

  get settled(): boolean {
    return this.#rest.settled
  }

  // ── events: after the state is consistent, in order ──

  on<E extends keyof GroupEvents>(event: E, listener: (event: GroupEvents[E]) => void): () => void {
    return this.#hub.on(event, listener)
  }

  reset(topic: string, partition: number, from: number, to: number): void {
    this.#events.operate(() => this.#events.emit('reset', { group: this.id, topic, partition, from, to }))
  }

  report(error: unknown): void {
    this.#events.operate(() =>
      this.#events.later(() => {
        if (this.#hub.hears('error')) this.#hub.emit('error', { group: this.id, error })
        else throwApart(error)
      }),
    )
  }
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every(name => other.includes(name))
}

export type ConsumerGroup<R extends AnyRecord = ConsumerRecord> = PortableConsumerGroup<R>
/** A group of its own, of topics that stand alone. */
export const ConsumerGroup: {
  new <V, K extends Key = string>(
    id: string,
    topics: MemoryTopic<V, K> | readonly MemoryTopic<V, K>[],
    options?: GroupOptions & { clock?: Clock | undefined },
  ): MemoryConsumerGroup<ConsumerRecord<V, K>>
  new <T extends MemoryTopic<any, any>>(
    id: string,
    topics: readonly T[],
    options?: GroupOptions & { clock?: Clock | undefined },
  ): MemoryConsumerGroup<T extends MemoryTopic<infer V, infer K> ? ConsumerRecord<V, K> : never>
} = class<R extends AnyRecord> extends InMemoryConsumerGroup<R> {
  constructor(
    id: string,
    topics: MemoryTopic<any, any> | readonly MemoryTopic<any, any>[],
    options: GroupOptions & { clock?: Clock | undefined } = {},
  ) {
    const expected = 'a Topic in memory, or an array of such, one at least'
    const list = (Array.isArray(topics) ? topics : [topics]) as readonly InMemoryTopic<any, any>[]
    for (const topic of list) if (!(topic instanceof InMemoryTopic)) refuse('topics', topic, expected)
    if (list.length === 0) refuse('topics', topics, expected)
    const resolved = resolveGroupOptions(options, 'clock')
    if (options.clock !== undefined) checkClock(options.clock)
    const byName = new Map(list.map(topic => [topic.name, topic]))
    if (byName.size < list.length) refuse('topics', list.map(({ name }) => name).join(), 'topics of different names')
    super(id, [...byName.keys()], resolved, {
      clock: options.clock ?? list[0]?.clock ?? systemClock,
      interceptor: {},
      find: name => {
        const topic = byName.get(name)
        return topic?.deleted ? undefined : topic
      },
      watched: false,
      changed() {},
      forget() {},
    })
  }
} as never
