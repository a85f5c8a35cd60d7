import { describe, expect, test } from 'vitest'
import type { MemberPort, Source } from '../../src/engine.js'
import { Holdings } from '../../src/kafka/holdings.js'
import { MemberState } from '../../src/kafka/member-state.js'

/** A member's holdings, what they tell, and a cluster that says what it is told to. */
class World {
  readonly topics = new Map<string, { name: string; id: string; partitions: object[] }>()
  readonly told: string[] = []
  readonly state: MemberState = new MemberState({
    topics: ['orders'],
    assignor: 'range',
    rebalanceTimeoutMs: 1_000,
    isStatic: false,
  })
  readonly holdings: Holdings<any>
  readonly owned = new Map<string, Source<any>>()
  /** Partitions with a commit on its way. */
  readonly committing = new Set<number>()
  #answers: (() => void)[] = []
  #refreshed: (() => void)[] = []
  refreshes = 0
  beats = 0
  #now = 0
  #epoch = 0

  constructor() {
    const nameOf = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}-${partition}`
    const names = (sources: Iterable<Source<any>>): string => [...sources].map(nameOf).join(' ')
    const port = {
      granted: (sources: readonly Source<any>[]) => {
        this.told.push(`granted ${names(sources)}`)
        for (const source of sources) this.owned.set(nameOf(source), source)
      },
      wanted: (sources: ReadonlySet<Source<any>>) => this.told.push(`wanted ${names(sources)}`),
      lost: (sources: readonly Source<any>[]) => this.told.push(`lost ${names(sources)}`),
    } as unknown as MemberPort<any>
    const feed = (where: object, topicId: string): unknown => ({ ...where, topicId, close() {}, forget() {} })
    this.holdings = new Holdings<any>({
      topics: ['orders'],
      options: { autoOffsetReset: 'earliest' },
      state: this.state,
      port,
      questions: { ask() {} },
      cluster: {
        topic: name => this.topics.get(name) as never,
        topicName: id => [...this.topics.values()].find(topic => topic.id === id)?.name,
        isMissing: name => !this.topics.has(name),
        refresh: () => {
          this.refreshes++
          return new Promise(resolve => this.#refreshed.push(resolve))
        },
      },
      commits: {
        pending: ({ partition }) => this.committing.has(partition),
        whenAnswered: then => void this.#answers.push(then),
      },
      fetcher: () => ({ open: feed }) as never,
      beat: () => void this.beats++,
    })
  }

  topic(id: string, partitions: number): void {
    this.topics.set('orders', { name: 'orders', id, partitions: Array.from({ length: partitions }, () => ({})) })
  }
  join(): void {
    this.state.join(this.#now)
    this.holdings.joined()
  }
  /** A heartbeat is answered with that assignment. */
  assign(topicId: string, partitions: readonly number[]): void {
    this.#now += 5_000
    this.state.request(this.#now)
    const assignment = partitions.length === 0 ? [] : [{ topicId, partitions }]
    this.state.answered({ memberEpoch: ++this.#epoch, heartbeatIntervalMs: 5_000, assignment }, this.#now)
    this.holdings.reconcile()
  }
  /** What was asked of the cluster is answered. */
  async refreshed(): Promise<void> {
    for (const resolve of this.#refreshed.splice(0)) resolve()
    for (let i = 0; i < 3; i++) await Promise.resolve()
  }
  answered(): void {
    this.committing.clear()
    for (const then of this.#answers.splice(0)) then()
  }
}

describe('what is assigned', () => {
  test('is granted, each partition once', () => {
    const world = new World()
    world.topic('id', 2)
    world.join()
    world.assign('id', [0])
    world.assign('id', [0, 1])
    world.assign('id', [0, 1])
    expect(world.told).toEqual(['granted orders-0', 'granted orders-1'])
    expect(world.holdings.settled).toBe(true)
  })

  test('and not known yet is asked for, and granted when it is', async () => {
    const world = new World()
    world.join()
    world.assign('id', [0])
    expect([world.told, world.refreshes, world.holdings.settled]).toEqual([[], 1, false])
    world.topic('id', 1)
    await world.refreshed()
    expect(world.told).toEqual(['granted orders-0'])
  })

  test('of a topic that has grown is asked for too: its leader is not known', async () => {
    const world = new World()
    world.topic('id', 1)
    world.join()
    world.assign('id', [0, 1])
    expect(world.told).toEqual(['granted orders-0'])
    world.topic('id', 2)
    await world.refreshed()
    expect(world.told).toEqual(['granted orders-0', 'granted orders-1'])
  })

  test('is not granted to who is about to leave', () => {
    const world = new World()
    world.topic('id', 1)
    world.join()
    world.holdings.closing = true
    world.assign('id', [0])
    expect(world.told).toEqual([])
  })
})

describe('what is not assigned any more', () => {
  test('is to be given up, and stays owned until it is', () => {
    const world = new World()
    world.topic('id', 2)
    world.join()
    world.assign('id', [0, 1])
    world.assign('id', [0])
    expect(world.told).toEqual(['granted orders-0 orders-1', 'wanted orders-1'])
    expect([world.state.owns('id', 1), world.holdings.settled]).toEqual([true, false])
    world.holdings.release([world.owned.get('orders-1')!])
    expect([world.state.owns('id', 1), world.beats]).toEqual([false, 1])
  })

  test('is owned until a commit of it has been answered', () => {
    const world = new World()
    world.topic('id', 2)
    world.join()
    world.assign('id', [0, 1])
    world.assign('id', [0])
    world.committing.add(1)
    world.holdings.release([world.owned.get('orders-1')!])
    expect(world.state.owns('id', 1)).toBe(true)
    world.answered()
    expect(world.state.owns('id', 1)).toBe(false)
  })

  test('with nothing left of its topic is asked after once, and then wanted, however long it takes', async () => {
    const world = new World()
    world.topic('id', 1)
    world.join()
    world.assign('id', [0])
    world.assign('id', [])
    world.assign('id', [])
    expect([world.told, world.refreshes]).toEqual([['granted orders-0'], 1])
    await world.refreshed()
    world.assign('id', [])
    world.assign('id', [])
    expect([world.told, world.refreshes]).toEqual([['granted orders-0', 'wanted orders-0'], 1])
  })

  test('of a topic that is deleted is lost', async () => {
    const world = new World()
    world.topic('id', 1)
    world.join()
    world.assign('id', [0])
    world.assign('id', [])
    world.topics.clear()
    await world.refreshed()
    expect(world.told).toEqual(['granted orders-0', 'lost orders-0'])
    expect(world.state.owns('id', 0)).toBe(false)
  })

  test('of a topic that was made anew is lost before the new one is granted', () => {
    const world = new World()
    world.topic('id', 1)
    world.join()
    world.assign('id', [0])
    world.topic('other id', 1)
    world.assign('other id', [0])
    expect(world.told).toEqual(['granted orders-0', 'lost orders-0', 'granted orders-0'])
    expect([world.state.owns('id', 0), world.state.owns('other id', 0)]).toEqual([false, true])
  })
})
