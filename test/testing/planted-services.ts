// The same for small services of the shapes that such systems are made of: an outbox, a saga, a batcher, a job on the hour.
import type { Broker } from 'millrace'
import type { World } from 'millrace/testing'
import { expect } from 'vitest'
import type { Planted } from './planted.js'

export interface ServiceTopics {
  orders: { id: number }
  charges: { chargeId: string; orderId: number }
  shipments: { orderId: number }
  requests: { from: string }
  replies: { to: string }
  calls: { at: number }
}
type Shop = Broker<ServiceTopics>
type ShopWorld = World<ServiceTopics, string>

export const serviceTopics = {
  orders: { partitions: 2 },
  charges: {},
  shipments: {},
  requests: { partitions: 2 },
  replies: {},
  calls: {},
}

const publishOrders = (world: ShopWorld, times = 6): void =>
  world.step(id => world.broker.topic('orders').publish({ key: `order ${id}`, value: { id } }), { times })
const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b)
const manual = { commitMode: 'manualCommit' } as const

export const plantedServices: Record<string, Planted<ServiceTopics>> = {
  'empties its outbox before the post has it': {
    finds: /eventually/,
    play(world, pick) {
      const outbox: { id: number; sent: boolean }[] = [] // a table, written with the order
      const relaying =
        (early: boolean) =>
        (broker: Shop): void => {
          const look = async (): Promise<void> => {
            for (const row of outbox.filter(({ sent }) => !sent)) {
              if (early) row.sent = true
              await broker.topic('orders').publish({ key: `order ${row.id}`, value: { id: row.id } })
              row.sent = true
            }
            broker.clock.setTimeout(() => void look(), 1_000)
          }
          void look()
        }
      world.service('relay', pick({ wrong: relaying(true), right: relaying(false) }))
      world.step(id => void outbox.push({ id, sent: false }), { times: 6 })
      world.eventually(() => {
        const published = world.broker.published('orders').map(({ value }) => value.id)
        expect(sorted(new Set(published))).toEqual([0, 1, 2, 3, 4, 5])
      })
    },
  },

  'makes a new id for what it does once more': {
    finds: /eventually/,
    play(world, pick) {
      const charged = new Map<string, number>() // by the bank, once for each id
      let ids = 0
      const ordering =
        (idOf: (orderId: number) => string) =>
        (broker: Shop): Promise<void> =>
          broker
            .group('ordering', { topics: 'orders', ...manual })
            .join()
            .run(async ({ key, value: { id } }, { commit }) => {
              await broker.topic('charges').publish({ key, value: { chargeId: idOf(id), orderId: id } })
              await commit()
            })
      world.service(
        'ordering',
        pick({ wrong: ordering(() => `charge ${ids++}`), right: ordering(id => `charge of ${id}`) }),
      )
      world.service('bank', broker =>
        broker
          .group('bank', { topics: 'charges', ...manual })
          .join()
          .run(async ({ key, value: { chargeId, orderId } }, { commit }) => {
            charged.set(chargeId, orderId)
            await broker.topic('shipments').publish({ key, value: { orderId } })
            await commit()
          }),
      )
      publishOrders(world, 4)
      world.eventually(() => {
        expect(sorted(charged.values())).toEqual([0, 1, 2, 3])
        expect(new Set(world.broker.published('shipments').map(({ value }) => value.orderId)).size).toBe(4)
      })
    },
  },

  'knows a record again by its offset alone': {
    finds: /eventually/,
    play(world, pick) {
      const seen = new Set<string>()
      const done: number[] = [] // with what was seen, in one transaction
      const doing =
        (idOf: (partition: number, offset: number) => string) =>
        (broker: Shop): Promise<void> =>
          broker
            .group('workers', { topics: 'orders', ...manual })
            .join()
            .run(async ({ partition, offset, value }, { commit }) => {
              const id = idOf(partition, offset)
              if (!seen.has(id)) done.push(value.id)
              seen.add(id)
              await commit()
            })
      const service = pick({ wrong: doing((_, offset) => `${offset}`), right: doing((...place) => place.join('@')) })
      world.service('worker', service, { copies: 2 })
      publishOrders(world)
      world.eventually(() => expect(sorted(done)).toEqual([0, 1, 2, 3, 4, 5]))
    },
  },

  'empties its batch when it is written, with what has come meanwhile': {
    finds: /eventually/,
    play(world, pick) {
      const written: number[] = []
      const batching =
        (late: boolean) =>
        (broker: Shop): Promise<void> => {
          let batch: number[] = []
          const write = async (): Promise<void> => {
            const rows = [...batch]
            if (!late) batch = []
            if (rows.length > 0) await broker.topic('calls').publish({ value: { at: broker.clock.now() } }) // a database
            written.push(...rows)
            if (late) batch = []
            tick()
          }
          const tick = (): void => void broker.clock.setTimeout(() => void write(), 1_000)
          tick()
          return broker
            .group('batcher', { topics: 'orders' })
            .join()
            .run(({ value }) => void batch.push(value.id))
        }
      world.service('batcher', pick({ wrong: batching(true), right: batching(false) }))
      publishOrders(world)
      world.eventually(() => expect(sorted(new Set(written))).toEqual([0, 1, 2, 3, 4, 5]))
    },
    options: { crashRate: 0 },
  },

  'counts what it has admitted when it is through': {
    finds: /always/,
    play(world, pick) {
      const perSecond = new Map<number, number>()
      const limiting =
        (late: boolean) =>
        (broker: Shop): Promise<void> => {
          let used = 0
          let second = 0
          const admit = async (): Promise<void> => {
            for (;;) {
              const now = broker.clock.now()
              if (now >= (second + 1) * 1_000) {
                second = Math.floor(now / 1_000)
                used = 0
              }
              if (used < 2) break
              await new Promise<void>(resolve => broker.clock.setTimeout(resolve, (second + 1) * 1_000 - now))
            }
            const admittedIn = second
            if (!late) used++
            perSecond.set(admittedIn, (perSecond.get(admittedIn) ?? 0) + 1)
            await broker.topic('calls').publish({ value: { at: broker.clock.now() } })
            if (late) used++
          }
          return broker.group('caller', { topics: 'orders' }).join().run(admit, { concurrency: 4 })
        }
      world.service('caller', pick({ wrong: limiting(true), right: limiting(false) }))
      publishOrders(world)
      world.always(() => expect(Math.max(0, ...perSecond.values())).toBeLessThanOrEqual(2))
      world.eventually(() => expect(world.broker.published('calls')).toHaveLength(6))
    },
    options: { crashRate: 0 },
  },

  'has the group id of another': {
    finds: /eventually/,
    play(world, pick) {
      const [mailed, audited] = [new Set<number>(), new Set<number>()]
      const reading =
        (id: string, into: Set<number>) =>
        (broker: Shop): Promise<void> =>
          broker
            .group(id, { topics: 'orders', ...manual })
            .join()
            .run(async ({ value }, { commit }) => {
              into.add(value.id)
              await commit()
            })
      world.service('mail', reading('mail', mailed))
      world.service('audit', pick({ wrong: reading('mail', audited), right: reading('audit', audited) }))
      publishOrders(world)
      world.eventually(() => expect([mailed.size, audited.size]).toEqual([6, 6]))
    },
  },

  'waits for replies that any of its copies may get': {
    finds: /eventually/,
    play(world, pick) {
      let [asked, answered, clients] = [0, 0, 0]
      const asking =
        (groupOf: (me: string) => string) =>
        async (broker: Shop): Promise<void> => {
          const me = `client ${clients++}`
          let answer = (): void => {}
          const replies = broker.group(groupOf(me), { topics: 'replies', autoOffsetReset: 'latest' }).join()
          void replies.run(({ value }) => {
            if (value.to === me) answer()
          })
          await replies.ready()
          const reply = new Promise<void>(resolve => {
            answer = resolve
          })
          asked++
          await broker.topic('requests').publish({ value: { from: me } })
          await reply
          answered++
        }
      world.service('client', pick({ wrong: asking(() => 'replies'), right: asking(me => `replies to ${me}`) }), {
        copies: 2,
      })
      world.service('server', broker =>
        broker
          .group('server', { topics: 'requests', ...manual })
          .join()
          .run(async ({ value }, { commit }) => {
            await broker.topic('replies').publish({ value: { to: value.from } })
            await commit()
          }),
      )
      world.step(() => {})
      world.eventually(() => expect(answered).toBe(asked))
    },
    options: { crashRate: 0 },
  },

  'replays from the start onto what it has kept': {
    finds: /eventually/,
    play(world, pick) {
      let kept = { sum: 0, next: 0 } // in a file
      const projecting =
        (again: boolean) =>
        async (broker: Shop): Promise<void> => {
          const { sum, next } = kept
          const state = { sum, next }
          for await (const { offset, value } of broker.topic('shipments').read({ from: again ? 'earliest' : next })) {
            state.sum += value.orderId
            state.next = offset + 1
            await broker.topic('calls').publish({ value: { at: state.next } }) // it is written
            kept = { ...state }
          }
        }
      world.service('projection', pick({ wrong: projecting(true), right: projecting(false) }))
      world.step(orderId => world.broker.topic('shipments').publish({ value: { orderId } }), { times: 5 })
      world.eventually(() => expect(kept.sum).toBe(0 + 1 + 2 + 3 + 4))
    },
  },

  'goes on with the job of a partition that it has given up': {
    finds: /always/,
    play(world, pick) {
      const done: string[] = []
      const scheduling =
        (stops: boolean) =>
        (broker: Shop): Promise<void> => {
          const timers = new Map<number, unknown>()
          const onTheMinute = (partition: number): void => {
            const next = (Math.floor(broker.clock.now() / 60_000) + 1) * 60_000
            const job = (): void => {
              done.push(`job ${partition} at ${broker.clock.now()}`)
              onTheMinute(partition)
            }
            timers.set(partition, broker.clock.setTimeout(job, next - broker.clock.now()))
          }
          return broker
            .group('scheduler', { topics: 'orders' })
            .join({
              onAssigned(partitions) {
                for (const { partition } of partitions) onTheMinute(partition)
              },
              onRevoked(partitions) {
                if (stops) for (const { partition } of partitions) broker.clock.clearTimeout(timers.get(partition))
              },
            })
            .run(() => {})
        }
      world.service('scheduler', pick({ wrong: scheduling(false), right: scheduling(true) }), { copies: 2 })
      world.step(() => world.broker.clock.advance(45_000), { times: 5 })
      world.always(() => expect(new Set(done).size).toBe(done.length))
    },
    options: { crashRate: 0 },
  },

  'treats one record of twenty otherwise': {
    finds: /eventually/,
    play(world, pick) {
      const shipping =
        (early: (id: number) => boolean) =>
        (broker: Shop): Promise<void> =>
          broker
            .group('shipping', { topics: 'orders', ...manual })
            .join()
            .run(async ({ value: { id } }, { commit }) => {
              if (early(id)) await commit()
              await broker.topic('shipments').publish({ value: { orderId: id } })
              await commit()
            })
      world.service('shipping', pick({ wrong: shipping(id => id === 13), right: shipping(() => false) }))
      publishOrders(world, 20)
      world.eventually(() =>
        expect(new Set(world.broker.published('shipments').map(({ value }) => value.orderId)).size).toBe(20),
      )
    },
  },

  'forgets what it recovers before that is sent': {
    finds: /eventually/,
    play(world, pick) {
      const log: number[] = [] // in a file: what is committed and may not have been sent
      const shipping =
        (forget: boolean) =>
        async (broker: Shop): Promise<void> => {
          const send = async (orderId: number): Promise<void> => {
            await broker.topic('shipments').publish({ value: { orderId } })
            const at = log.indexOf(orderId)
            if (at >= 0) log.splice(at, 1)
          }
          for (const orderId of forget ? log.splice(0) : [...log]) await send(orderId)
          await broker
            .group('shipping', { topics: 'orders', ...manual })
            .join()
            .run(async ({ value: { id } }, { commit }) => {
              log.push(id)
              await commit()
              await send(id)
            })
        }
      world.service('shipping', pick({ wrong: shipping(true), right: shipping(false) }))
      publishOrders(world)
      world.eventually(() =>
        expect(new Set(world.broker.published('shipments').map(({ value }) => value.orderId)).size).toBe(6),
      )
    },
  },
}
