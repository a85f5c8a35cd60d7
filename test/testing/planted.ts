// Services with a bug of the usual kind, each beside the mended one: what only a person can see in a review, and a test
// with one schedule never does.
import { type Broker, type ConsumerRecord, roundRobinPartitioner } from 'millrace'
import type { World } from 'millrace/testing'
import { expect } from 'vitest'

export interface Topics {
  jobs: { id: number }
  results: { id: number }
  steps: { id: number }
}
type Jobs = Broker<Topics>
export type Service<T extends object> = (broker: Broker<T>) => unknown

export interface Bug<T extends object> {
  readonly wrong: Service<T>
  readonly right: Service<T>
}
/** A scenario that says with which of the two it is played; what the two share is made anew for each schedule. */
type Play<T extends object> = (world: World<T, string>, pick: (bug: Bug<T>) => Service<T>) => void

export const topics = { jobs: { partitions: 2 }, results: {} }
const members = (broker: Jobs, commitMode: 'autoCommit' | 'manualCommit' = 'manualCommit') =>
  broker.group('workers', { topics: 'jobs', commitMode })

/** The outside publishes jobs, of three customers in turn. */
const publishJobs = (world: World<Topics, string>, times = 6): void =>
  world.step(id => world.broker.topic('jobs').publish({ key: `customer ${id % 3}`, value: { id } }), { times })
const results = (world: World<Topics, string>): number[] =>
  world.broker.published('results').map(({ value }) => value.id)
const allDone = (world: World<Topics, string>, count = 6): void =>
  world.eventually(() => expect([...new Set(results(world))].sort()).toEqual([...Array(count).keys()]))

export interface Planted<T extends object> {
  readonly play: Play<T>
  readonly options?: { faultRate?: number; crashRate?: number }
  /** What the failure must be about: the check that the bug breaks. */
  readonly finds: RegExp
}

export const planted: Record<string, Planted<Topics>> = {
  'commits before the work': {
    finds: /eventually/,
    play(world, pick) {
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(async ({ key, value }, { commit }) => {
              await commit()
              await broker.topic('results').publish({ key, value })
            }),
        right: broker =>
          members(broker)
            .join()
            .run(async ({ key, value }, { commit }) => {
              await broker.topic('results').publish({ key, value })
              await commit()
            }),
      })
      world.service('worker', service)
      publishJobs(world)
      allDone(world)
    },
  },

  'does not await what it publishes': {
    finds: /eventually/,
    play(world, pick) {
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(async ({ key, value }, { commit }) => {
              void broker.topic('results').publish({ key, value })
              await commit()
            }),
        right: broker =>
          members(broker)
            .join()
            .run(async ({ key, value }, { commit }) => {
              await broker.topic('results').publish({ key, value })
              await commit()
            }),
      })
      world.service('worker', service)
      publishJobs(world)
      allDone(world)
    },
  },

  'keeps what it is at in a variable that its copies share': {
    finds: /eventually/,
    play(world, pick) {
      let current: { id: number } | undefined
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              current = value
              await broker.topic('results').publish({ value: { id: -1 } }) // has begun
              await broker.topic('results').publish({ value: current })
              await commit()
            }),
        right: broker =>
          members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              const mine = value
              await broker.topic('results').publish({ value: { id: -1 } })
              await broker.topic('results').publish({ value: mine })
              await commit()
            }),
      })
      world.service('worker', service, { copies: 2 })
      publishJobs(world)
      world.eventually(() => expect(new Set(results(world)).size).toBe(1 + 6))
    },
  },

  'loses the order by work that nobody awaits': {
    finds: /eventually/,
    play(world, pick) {
      const latest = new Map<string | null, number>() // a table of another system
      const work = async (broker: Jobs, { key, value }: ConsumerRecord<{ id: number }>): Promise<void> => {
        await broker.topic('results').publish({ key, value })
        latest.set(key, value.id)
      }
      const service = pick({
        wrong: broker =>
          members(broker, 'autoCommit')
            .join()
            .run(record => void work(broker, record)),
        right: broker =>
          members(broker, 'autoCommit')
            .join()
            .run(record => work(broker, record)),
      })
      world.service('worker', service)
      publishJobs(world)
      world.eventually(() => expect(Object.fromEntries(latest)).toEqual(lastOfEach))
    },
    options: { crashRate: 0 },
  },

  'has its effect twice when a record comes twice': {
    finds: /eventually/,
    play(world, pick) {
      let total = 0
      const paid = new Set<number>()
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              total += value.id
              await commit()
            }),
        right: broker =>
          members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              if (!paid.has(value.id)) total += value.id
              paid.add(value.id) // with the total, in one transaction
              await commit()
            }),
      })
      world.service('worker', service)
      publishJobs(world)
      world.eventually(() => expect(total).toBe(0 + 1 + 2 + 3 + 4 + 5))
    },
  },

  'remembers what it has done, but only as long as it lives': {
    finds: /eventually/,
    play(world, pick) {
      let total = 0
      const paidForGood = new Set<number>()
      const counting =
        (memory: () => Set<number>): Service<Topics> =>
        broker => {
          const paid = memory()
          return members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              if (!paid.has(value.id)) total++
              paid.add(value.id)
              await commit()
            })
        }
      const service = pick({ wrong: counting(() => new Set()), right: counting(() => paidForGood) })
      world.service('worker', service)
      publishJobs(world)
      world.eventually(() => expect(total).toBe(6))
    },
  },

  'notes a record as done before it is': {
    finds: /eventually/,
    play(world, pick) {
      const done = new Set<number>() // a table of another system
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              if (!done.has(value.id)) {
                done.add(value.id)
                await broker.topic('results').publish({ value })
              }
              await commit()
            }),
        right: broker =>
          members(broker)
            .join()
            .run(async ({ value }, { commit }) => {
              if (!done.has(value.id)) {
                await broker.topic('results').publish({ value })
                done.add(value.id)
              }
              await commit()
            }),
      })
      world.service('worker', service)
      publishJobs(world)
      allDone(world)
    },
  },

  'goes on with a state that a rebalance has made stale': {
    finds: /eventually/,
    play(world, pick) {
      const stored = new Map<number, { sum: number; next: number }>() // by partition, in another system
      const summing =
        (forget: boolean): Service<Topics> =>
        broker => {
          const cache = new Map<number, { sum: number; next: number }>()
          const drop = (partitions: readonly { partition: number }[]): void => {
            if (forget) for (const { partition } of partitions) cache.delete(partition)
          }
          return members(broker)
            .join({ onAssigned: drop, onRevoked: () => {} })
            .run(async ({ partition, offset, value }, { commit }) => {
              const { sum, next } = cache.get(partition) ?? stored.get(partition) ?? { sum: 0, next: 0 }
              if (offset >= next) {
                const state = { sum: sum + value.id, next: offset + 1 }
                cache.set(partition, state)
                stored.set(partition, state)
              }
              await commit()
            })
        }
      world.service('worker', pick({ wrong: summing(false), right: summing(true) }), { copies: 2 })
      publishJobs(world, 30)
      world.eventually(() => expect([...stored.values()].reduce((all, { sum }) => all + sum, 0)).toBe((29 * 30) / 2))
    },
  },

  'commits a record while one before it is still at work': {
    finds: /eventually/,
    play(world, pick) {
      const loop =
        (each: boolean): Service<Topics> =>
        async broker => {
          const consumer = members(broker).join()
          const work = async (record: ConsumerRecord<{ id: number }, string, 'jobs'>): Promise<void> => {
            if (record.value.id % 2 === 0) await broker.topic('results').publish({ value: { id: -1 } }) // takes longer
            await broker.topic('results').publish({ value: record.value })
            if (each) await consumer.commit(record)
          }
          while (!consumer.closed) {
            const batch = await consumer.poll()
            await Promise.all(batch.map(work))
            if (!each) await consumer.commit(batch)
          }
        }
      world.service('worker', pick({ wrong: loop(true), right: loop(false) }))
      publishJobs(world)
      world.eventually(() => expect(results(world)).toEqual(expect.arrayContaining([0, 1, 2, 3, 4, 5])))
    },
  },

  'writes a log of what fails, and goes on': {
    finds: /eventually/,
    play(world, pick) {
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(
              async ({ value }, { commit }) => {
                try {
                  await broker.topic('results').publish({ value })
                } catch {
                  // console.error()
                }
                await commit()
              },
              { retry: { attempts: 10 } },
            ),
        right: broker =>
          members(broker)
            .join()
            .run(
              async ({ value }, { commit }) => {
                await broker.topic('results').publish({ value })
                await commit()
              },
              { retry: { attempts: 10 } },
            ),
      })
      world.service('worker', service)
      publishJobs(world)
      allDone(world)
    },
    options: { faultRate: 0.05 },
  },

  'retries at the end of the line': {
    finds: /eventually/,
    play(world, pick) {
      const latest = new Map<string | null, number>()
      const tried = new Set<number>()
      const work = ({ key, value }: ConsumerRecord<{ id: number }>): void => {
        const first = !tried.has(value.id)
        tried.add(value.id)
        if (first && value.id === 1) throw new Error('the other system is busy')
        latest.set(key, value.id)
      }
      const service = pick({
        wrong: broker =>
          members(broker)
            .join()
            .run(async (record, { commit }) => {
              try {
                work(record)
              } catch {
                await broker.topic('jobs').publish({ key: record.key, value: record.value })
              }
              await commit()
            }),
        right: broker =>
          members(broker)
            .join()
            .run(
              async (record, { commit }) => {
                work(record)
                await commit()
              },
              { retry: { attempts: 3, backoffMs: 100 } },
            ),
      })
      world.service('worker', service)
      publishJobs(world)
      world.eventually(() => expect(Object.fromEntries(latest)).toEqual(lastOfEach))
    },
    options: { crashRate: 0 },
  },

  'passes records on without their key': {
    finds: /eventually/,
    play(world, pick) {
      // Keyless records go round, as by some clients; Kafka's own sends whole batches now here, now there.
      world.broker.createTopic('steps', { partitions: 2, partitioner: roundRobinPartitioner() })
      const latest = new Map<number, number>()
      const passing =
        (keyed: boolean): Service<Topics> =>
        broker =>
          members(broker)
            .join()
            .run(async ({ key, value }, { commit }) => {
              await broker.topic('steps').publish({ key: keyed ? key : null, value })
              await commit()
            })
      world.service('router', pick({ wrong: passing(false), right: passing(true) }))
      world.service(
        'table',
        broker =>
          broker
            .group('table', { topics: 'steps', commitMode: 'manualCommit' })
            .join()
            .run(async ({ value }, { commit }) => {
              latest.set(value.id % 3, value.id)
              await commit()
            }),
        { copies: 2 },
      )
      publishJobs(world)
      world.eventually(() => expect(Object.fromEntries(latest)).toEqual({ 0: 3, 1: 4, 2: 5 }))
    },
    options: { crashRate: 0 },
  },

  'collects records that are committed before they are written': {
    finds: /eventually/,
    play(world, pick) {
      const written: number[] = []
      const collecting =
        (manual: boolean): Service<Topics> =>
        async broker => {
          const consumer = broker
            .group('workers', {
              topics: 'jobs',
              ...(manual ? { commitMode: 'manualCommit' } : { autoCommitIntervalMs: 0 }),
            })
            .join()
          let buffer: number[] = []
          const write = async (): Promise<void> => {
            written.push(...buffer)
            buffer = []
            if (manual) await consumer.commit()
          }
          while (!consumer.closed) {
            const records = await consumer.poll({ timeoutMs: 100, maxRecords: 1 })
            buffer.push(...records.map(({ value }) => value.id))
            if (buffer.length >= 3 || records.length === 0) await write()
          }
        }
      world.service('worker', pick({ wrong: collecting(false), right: collecting(true) }))
      publishJobs(world)
      world.eventually(() => expect([...new Set(written)].sort()).toEqual([0, 1, 2, 3, 4, 5]))
    },
  },

  'counts on an order between two topics': {
    finds: /caused by Error: nobody knows customer/,
    play(world, pick) {
      const service = pick({
        wrong: broker => {
          const customers = new Set<string | null>()
          return broker
            .group('orders', { topics: ['results', 'jobs'] })
            .join()
            .run(({ topic, key }) => {
              if (topic === 'results') customers.add(key)
              else if (!customers.has(key)) throw new Error(`nobody knows ${key}`)
            })
        },
        right: broker => {
          const customers = new Set<string | null>()
          const early = new Map<string | null, number[]>()
          const order = (_: number): void => {}
          return broker
            .group('orders', { topics: ['results', 'jobs'] })
            .join()
            .run(({ topic, key, value }) => {
              if (topic === 'results') {
                customers.add(key)
                for (const id of early.get(key) ?? []) order(id)
              } else if (customers.has(key)) order(value.id)
              else early.set(key, [...(early.get(key) ?? []), value.id])
            })
        },
      })
      world.service('orders', service)
      for (let customer = 0; customer < 3; customer++)
        world.step(() =>
          world.broker.topic('results').publish({ key: `customer ${customer}`, value: { id: customer } }),
        )
      publishJobs(world, 3)
    },
    options: { crashRate: 0 },
  },

  'looks, waits, and then acts on what it saw': {
    finds: /always/,
    play(world, pick) {
      let stock = 2
      const selling =
        (reserve: boolean): Service<Topics> =>
        broker =>
          members(broker)
            .join()
            .run(
              async ({ value }, { commit }) => {
                if (stock > 0) {
                  if (reserve) stock--
                  await broker.topic('results').publish({ value })
                  if (!reserve) stock--
                }
                await commit()
              },
              { concurrency: 3 },
            )
      world.service('shop', pick({ wrong: selling(false), right: selling(true) }))
      publishJobs(world)
      world.always(() => expect(stock).toBeGreaterThanOrEqual(0))
    },
    options: { crashRate: 0 },
  },

  'works for longer than its group waits for it': {
    finds: /always/,
    play(world, pick) {
      const working = new Set<number>()
      let together = 0
      const sleeping =
        (maxPollIntervalMs: number): Service<Topics> =>
        broker =>
          broker
            .group('workers', { topics: 'jobs', commitMode: 'manualCommit', maxPollIntervalMs })
            .join()
            .run(async ({ value }, { commit }) => {
              if (working.has(value.id)) together++
              working.add(value.id)
              await new Promise<void>(resolve => broker.clock.setTimeout(resolve, 400_000))
              working.delete(value.id)
              await commit()
            })
      world.service('worker', pick({ wrong: sleeping(300_000), right: sleeping(900_000) }), { copies: 2 })
      publishJobs(world, 3)
      world.always(() => expect(together).toBe(0))
    },
    options: { crashRate: 0 },
  },

  'writes its state and its position one after the other': {
    finds: /eventually/,
    play(world, pick) {
      const row = { count: 0, next: 0 } // in another system
      const counting =
        (atOnce: boolean): Service<Topics> =>
        broker =>
          broker
            .group('workers', { topics: 'results', commitMode: 'manualCommit' })
            .join({ onAssigned: (_, consumer) => consumer.seek('results', 0, row.next) })
            .run(async ({ offset }, { commit }) => {
              row.count++
              if (!atOnce) await commit()
              row.next = offset + 1
              if (atOnce) await commit()
            })
      world.service('worker', pick({ wrong: counting(false), right: counting(true) }))
      world.step(id => world.broker.topic('results').publish({ value: { id } }), { times: 6 })
      world.eventually(() => expect(row.count).toBe(6))
    },
  },
}
/** What each customer's last job was. */
const lastOfEach = { 'customer 0': 3, 'customer 1': 4, 'customer 2': 5 }
