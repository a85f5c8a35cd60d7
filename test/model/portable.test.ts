// Random schedules that assert only what the portable interfaces promise, so that they hold on any engine: in memory, and
// behind answers that come late and out of step.
import * as fc from 'fast-check'
import {
  Broker,
  type Consumer,
  type ConsumerRecord,
  isMillraceError,
  stickyAssignor,
  type TopicPartition,
} from 'millrace'
import { crash, expel, ManualClock } from 'millrace/testing'
import { describe, test } from 'vitest'
import { lateBroker } from '../engines/late.js'

const total = Number(process.env['MILLRACE_PORTABLE_SCHEDULES'] ?? 1_200)
const partitions = 4

type Topics = { t: number }
interface Step {
  readonly act: 'publish' | 'join' | 'close' | 'crash' | 'expel' | 'poll' | 'run' | 'time'
  readonly who: number
  readonly n: number
}
const steps = fc.array(
  fc.record({
    act: fc.constantFrom<Step['act'][]>(
      ...acts('publish', 5),
      ...acts('join', 3),
      ...acts('poll', 6),
      ...acts('run', 2),
      'close',
      'crash',
      'expel',
      'time',
    ),
    who: fc.nat({ max: 7 }),
    n: fc.nat({ max: 3 }),
  }),
  { minLength: 5, maxLength: 40 },
)
function acts(act: Step['act'], times: number): Step['act'][] {
  return Array.from({ length: times }, () => act)
}

class Member {
  readonly #world: World
  readonly consumer: Consumer<ConsumerRecord<number, string, 't'>>
  readonly listens: boolean
  busy = false
  out = false
  /** The last offset handed out in this term, by partition and key: with concurrency there is no other order. */
  readonly #last = new Map<string, number>()

  constructor(world: World, listens: boolean) {
    this.#world = world
    this.listens = listens
    const forget = (given: readonly TopicPartition[]): void => {
      for (const { partition } of given)
        for (const lane of [...this.#last.keys()]) if (lane.startsWith(`${partition} `)) this.#last.delete(lane)
    }
    this.consumer = world.group.join({
      onAssigned: forget,
      onLost: forget,
      ...(listens ? { onRevoked: async () => world.turns(1) } : {}),
    })
  }

  took(record: ConsumerRecord<number>): void {
    const lane = `${record.partition} ${record.key}`
    const last = this.#last.get(lane) ?? -1
    if (record.offset <= last) this.#world.fail(new Error(`${lane} @${record.offset} after @${last} in one term`))
    this.#last.set(lane, record.offset)
    this.#world.took(this, record)
  }
}

class World {
  readonly clock = new ManualClock(1_000)
  readonly broker
  readonly group
  readonly members: Member[] = []
  readonly seen = new Set<number>()
  readonly #failures: unknown[] = []
  published = 0

  constructor(late: number | undefined, commitMode: 'autoCommit' | 'manualCommit') {
    const options = { clock: this.clock, topics: { t: { partitions } } }
    this.broker = late === undefined ? new Broker<Topics>(options) : lateBroker<Topics>(late, options)
    this.group = this.broker.group('g', {
      topics: 't',
      commitMode,
      assignor: stickyAssignor,
      autoCommitIntervalMs: 100,
      maxPollIntervalMs: 1_000,
    })
    this.group.on('error', ({ error }) => this.fail(error))
  }

  async turns(n: number): Promise<void> {
    for (let i = 0; i < n; i++) await new Promise<void>(resolve => setImmediate(resolve))
  }
  /** Answers take turns of the event loop, not time: the clock moves, a little, only when they have had theirs. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const over = promise.finally(() => {
      settled = true
    })
    over.catch(() => {})
    for (let step = 0; step < 2_000 && !settled; step++) {
      await this.turns(12)
      if (!settled) await this.clock.advance(5)
    }
    if (!settled) throw new Error('nothing moves any more')
    return over
  }
  fail(error: unknown): void {
    this.#failures.push(error)
  }
  check(): void {
    if (this.#failures.length > 0) throw this.#failures[0]
    const owners = new Map<number, Member>()
    for (const member of this.members) {
      for (const { partition } of member.consumer.assignment) {
        if (owners.has(partition)) throw new Error(`partition ${partition} has two owners`)
        owners.set(partition, member)
      }
    }
  }

  took(member: Member, { value, partition }: ConsumerRecord<number>): void {
    this.seen.add(value)
    for (const other of this.members)
      if (other !== member && other.consumer.assignment.some(owned => owned.partition === partition))
        this.fail(new Error(`a record of partition ${partition} is handed out beside its owner`))
  }

  async poll(member: Member, maxRecords: number): Promise<void> {
    member.busy = true
    try {
      const batch = await member.consumer.poll({ maxRecords, timeoutMs: 20 })
      for (const record of batch) member.took(record)
      if (batch.length > 0 && this.group.lag() >= 0) await member.consumer.commit(batch)
    } catch (error) {
      // Out, moved, or closed meanwhile: what at-least-once is made for.
      if (!['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'CLOSED'].some(code => isMillraceError(error, code as 'CLOSED')))
        this.fail(error)
    } finally {
      member.busy = false
    }
  }

  async run(member: Member, concurrency: number): Promise<void> {
    member.busy = true
    const handle = async (
      record: ConsumerRecord<number>,
      context: { attempt: number; commit: () => Promise<void> },
    ) => {
      if (context.attempt === 1) member.took(record)
      if (record.value % 3 === 0) await this.turns(1)
      if (record.value % 5 === 0 && context.attempt === 1) throw new Error('once')
      await context.commit().catch(() => {})
    }
    await member.consumer
      .run(handle, { concurrency, retry: { attempts: 2, backoffMs: 5 } })
      .catch(error => this.fail(error))
  }

  async play({ act, who, n }: Step): Promise<void> {
    const open = this.members.filter(({ consumer }) => !consumer.closed)
    const member = open[who % Math.max(1, open.length)]
    if (act === 'publish') this.publish(n + 1)
    else if (act === 'time') await this.clock.advance(n * 200)
    else if (act === 'join') {
      if (open.length < 5) this.members.push(new Member(this, n > 1))
    } else if (member === undefined) return
    else if (act === 'close') void member.consumer.close().catch(error => this.fail(error))
    else if (act === 'crash') crash(member.consumer)
    else if (act === 'expel') expel(member.consumer)
    else if (!member.busy) void (act === 'poll' ? this.poll(member, n + 1) : this.run(member, n + 1))
  }
  publish(n: number): void {
    for (let i = 0; i < n; i++) {
      const value = this.published++
      this.broker.topic('t').publish({ key: `k${value % 6}`, value })
    }
  }

  /** Everybody leaves in order; one healthy consumer reads what is left. */
  async end(): Promise<void> {
    for (const { consumer } of this.members) if (!consumer.closed) await this.until(consumer.close())
    await this.turns(8)
    const last = new Member(this, false)
    this.members.push(last)
    void this.run(last, 2)
    await this.until(last.consumer.ready())
    await this.until(this.group.caughtUp())
    await this.until(last.consumer.close())
    await this.turns(8)
    this.check()
    for (let value = 0; value < this.published; value++)
      if (!this.seen.has(value)) throw new Error(`record ${value} is lost`)
    if (this.group.lag() !== 0) throw new Error(`${this.group.lag()} records are finished and not committed`)
    await this.broker.close()
    if (this.clock.timers !== 0) throw new Error(`${this.clock.timers} timers are left`)
  }
}

async function play(schedule: readonly Step[], late: number | undefined, commitMode: 'autoCommit' | 'manualCommit') {
  const world = new World(late, commitMode)
  for (const step of schedule) {
    await world.play(step)
    await world.turns(late === undefined ? 1 : 3)
    world.check()
  }
  await world.end()
}

describe('one owner, order, nothing lost: on any engine', () => {
  const engines = [
    ['in memory', undefined],
    ['behind late answers', 1],
    ['behind late answers of another seed', 2],
  ] as const
  for (const [name, late] of engines) {
    test.each(['autoCommit', 'manualCommit'] as const)(`${name}, with %s`, { timeout: 120_000 }, async commitMode => {
      const property = fc.asyncProperty(steps, schedule => play(schedule, late, commitMode))
      await fc.assert(property, { numRuns: Math.ceil(total / 6), seed: Number(process.env['MILLRACE_SEED'] ?? 1) })
    })
  }
})
