// Engines that are broken in a way that only shows in passing: what contract.d.ts says in half a sentence.
import {
  type Clock,
  type HandlerContext,
  type JoinOptions,
  MillraceError,
  type ProducerRecord,
  type TopicPartition,
} from '../../src/index.js'
import type { Changes } from '../engines/altered.js'

/** How an engine is broken, and the tests that each must catch it. */
export interface Mutant {
  readonly changes: Changes
  readonly caughtBy: readonly string[]
}

const has = (error: unknown, code: string): boolean => (error as MillraceError).code === code

export const subtle: Readonly<Record<string, Mutant>> = {
  // ── publishing ──
  'takes lists alone for a bulk': {
    changes: {
      topic: topic => ({ publishAll: records => topic.publishAll(Array.isArray(records) ? records : []) }),
    },
    caughtBy: ['a bulk may be any iterable, and so may headers'],
  },
  'takes lists and objects alone for headers': {
    changes: {
      topic: topic => ({
        publishAll: records =>
          topic.publishAll(
            [...records].map((record: ProducerRecord<any>) =>
              record.headers === undefined || Array.isArray(record.headers)
                ? record
                : { ...record, headers: { ...record.headers } as Record<string, string> },
            ),
          ),
      }),
    },
    caughtBy: ['a bulk may be any iterable, and so may headers'],
  },
  'forgets the codec of a topic': {
    changes: {
      broker: broker => ({ createTopic: (name, { codec: _, ...options } = {}) => broker.createTopic(name, options) }),
    },
    caughtBy: ['a codec writes what its topic is given, and reads it back'],
  },

  // ── read() ──
  'read() to the latest goes by its own end': {
    changes: {
      topic: topic => ({
        async *read(options) {
          let next: number | undefined
          for await (const record of topic.read(options)) {
            next = record.offset + 1
            yield record
          }
          if (options?.until === 'latest' && next !== undefined && (await topic.partitionCount()) === 1)
            yield* topic.read({ ...options, from: next })
        },
      }),
    },
    caughtBy: ['read() to the latest goes by the ends as of its first step, not as of its call or its end'],
  },
  'read() to the latest goes by its call': {
    changes: {
      topic: topic => ({
        read(options) {
          const steps = topic.read(options)[Symbol.asyncIterator]()
          if (options?.until !== 'latest') return { [Symbol.asyncIterator]: () => steps }
          let begun: Promise<IteratorResult<any, undefined>> | undefined = steps.next()
          begun.catch(() => {})
          const next = (): Promise<IteratorResult<any, undefined>> => {
            const step = begun ?? steps.next()
            begun = undefined
            return step
          }
          return { [Symbol.asyncIterator]: () => ({ next }) }
        },
      }),
    },
    caughtBy: ['read() to the latest goes by the ends as of its first step, not as of its call or its end'],
  },

  // ── groups ──
  'does not look at assignors': {
    changes: {
      broker: broker => ({ group: (id, { assignor: _, ...options }) => broker.group(id, options) }),
    },
    caughtBy: ['an id is one group; with other options it is INVALID_CONFIG'],
  },
  'passes over topics that are not of the group': {
    changes: {
      group: group => ({
        join(options) {
          try {
            return group.join(options)
          } catch (error) {
            if (!has(error, 'INVALID_CONFIG')) throw error
            return group.join({ ...options, topics: undefined })
          }
        },
      }),
    },
    caughtBy: ["joining for topics that are not the group's is INVALID_CONFIG, and joins nobody"],
  },
  'is caught up only when nothing is left': {
    changes: {
      group: group => ({
        async caughtUp() {
          do await group.caughtUp()
          while ((await group.lag()) > 0)
        },
      }),
    },
    caughtBy: ['caughtUp() does not wait for what is published after it'],
  },
  'is caught up when nothing new comes for a while': {
    changes: {
      group: group => ({
        async caughtUp() {
          const lag = await group.lag()
          for (let turns = 0; turns < 100 && (await group.lag()) === lag; turns++)
            await new Promise(resolve => setImmediate(resolve))
        },
      }),
    },
    caughtBy: ['caughtUp() waits for what must be committed by hand'],
  },
  'takes any offset for a reset': {
    changes: {
      group: group => ({
        async resetOffsets(to, where) {
          const valid = where?.filter(({ partition }: TopicPartition) => partition < 5)
          await group.resetOffsets(typeof to === 'number' ? Math.max(0, Math.floor(to)) : to, valid)
        },
      }),
    },
    caughtBy: ['resetOffsets() to what can not be is refused, and resets nothing'],
  },

  // ── polling, and its end ──
  'gives a poll beside run() nothing': {
    changes: {
      consumer: consumer => ({
        poll: options =>
          consumer.poll(options).catch(error => {
            if (has(error, 'CONCURRENT_POLL')) return []
            throw error
          }),
      }),
    },
    caughtBy: [
      'a second poll, loop or run beside run() is CONCURRENT_POLL',
      'a second poll, loop or run beside one is CONCURRENT_POLL',
    ],
  },
  'runs a second time when the first run is over': {
    changes: {
      consumer(consumer) {
        let before: Promise<unknown> = Promise.resolve()
        return {
          run(handler, options) {
            const running = before.then(() => consumer.run(handler, options))
            before = running.catch(() => {})
            return running
          },
        }
      },
    },
    caughtBy: ['a second poll, loop or run beside run() is CONCURRENT_POLL'],
  },
  'disposes of nothing': {
    changes: {
      consumer: () => ({ [Symbol.asyncDispose]: async () => {} }),
    },
    caughtBy: ['leaving the scope that disposes of it closes a consumer, and a broker; a second close() is none'],
  },

  // ── commits ──
  'commits the record in hand of a loop in onRevoked': {
    changes: {
      join: ({ onRevoked, ...options }) => ({
        ...options,
        ...(onRevoked && {
          onRevoked: (partitions, me) =>
            onRevoked(
              partitions,
              new Proxy(me, {
                get(_, name) {
                  if (name !== 'commit') return Reflect.get(me, name, me)
                  return (...what: [any]) =>
                    me.commit(...(what.length > 0 ? what : ([positionsOf(partitions, me)] as [any])))
                },
              }),
            ),
        }),
      }),
    },
    caughtBy: ['commit() in onRevoked does not cover the record in hand of a loop'],
  },
  'refuses commit() when a partition has moved': {
    changes: {
      consumer(consumer, group) {
        let had = 0
        return {
          poll(options) {
            had = Math.max(had, consumer.assignment.length)
            return consumer.poll(options)
          },
          async commit(...what) {
            if (what.length === 0 && consumer.assignment.length < had && !consumer.closed)
              throw new MillraceError('ILLEGAL_GENERATION', { group: group.id, generation: 1, current: 2 })
            await (consumer.commit as any)(...what)
          },
        }
      },
    },
    caughtBy: ['commit() goes on when a partition has moved: it commits what is left'],
  },
  'begins at 0, and says so before it has looked': {
    changes: {
      consumer: consumer => ({ position: (topic, partition) => consumer.position(topic, partition) ?? 0 }),
    },
    caughtBy: ['before the first poll there is no position, and commit() commits nothing'],
  },

  // ── positions ──
  'forgets what is paused in a rebalance': {
    changes: {
      join: ({ onRevoked, ...options }) => ({
        ...options,
        onRevoked: async (partitions, me) => {
          await onRevoked?.(partitions, me)
          me.resume(me.paused)
        },
      }),
    },
    caughtBy: ['a pause is kept where its partition stays, and gone where it moves'],
  },
  'pauses again what was paused before it moved': {
    changes: (() => {
      const paused = new Map<string | undefined, readonly TopicPartition[]>()
      return {
        join: ({ onAssigned, ...options }) => ({
          ...options,
          onAssigned: async (partitions, me) => {
            await onAssigned?.(partitions, me)
            const before = paused
              .get(me.memberId)
              ?.filter(was => partitions.some(now => now.partition === was.partition))
            if (before !== undefined && before.length > 0) me.pause(before)
          },
        }),
        consumer: consumer => ({
          pause(partitions) {
            consumer.pause(partitions)
            paused.set(consumer.memberId, consumer.paused)
          },
        }),
      } as Changes
    })(),
    caughtBy: ['a pause is kept where its partition stays, and gone where it moves'],
  },
  'undoes a seek when its handler is done': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            const before = consumer.position(record.topic, record.partition)
            await handler(record, context)
            if (before !== undefined && before !== consumer.position(record.topic, record.partition))
              consumer.seek(record.topic, record.partition, before)
          }, options),
      }),
    },
    caughtBy: ['a seek in a handler stands when the handler is done'],
  },

  // ── run() ──
  'takes keyless records for keys of their own': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            const working = Promise.resolve(handler(record, context))
            if (record.key !== null || (options?.concurrency ?? 1) === 1) await working
            else working.catch(() => {})
          }, options),
      }),
    },
    caughtBy: ['records of a partition without a key are one after the other, whatever the concurrency'],
  },
  'takes only a function for a back-off': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(handler, {
            ...options,
            retry:
              typeof options?.retry?.backoffMs === 'number' ? { attempts: options.retry.attempts } : options?.retry,
          }),
      }),
    },
    caughtBy: ['a back-off may be a number of milliseconds'],
  },
  'works with a signal that is aborted already': {
    changes: {
      consumer: consumer => ({
        run: (handler, { signal, ...options } = {}) =>
          consumer.run(handler, signal?.aborted ? options : { ...options, signal }),
      }),
    },
    caughtBy: ['run() with a signal that is aborted already hands out nothing, and resolves'],
  },
  'takes a committed record for done, whatever comes': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            let committed = false
            const commit = async (): Promise<void> => {
              await context.commit()
              committed = true
            }
            try {
              await handler(record, withIts(context, { commit }))
            } catch (error) {
              if (!committed) throw error
            }
          }, options),
      }),
    },
    caughtBy: ['what throws after its commit is tried again, but does not go back'],
  },
  'commits when the handler has succeeded, and not before': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            let asked = false
            const commit = async (): Promise<void> => {
              asked = true
            }
            await handler(record, withIts(context, { commit }))
            if (asked) await context.commit()
          }, options),
      }),
    },
    caughtBy: ['what throws after its commit is tried again, but does not go back'],
  },
  'goes on without a dead letter that is refused': {
    changes: {
      consumer: consumer => ({
        run: (handler, { deadLetter, ...options } = {}) =>
          consumer.run(handler, {
            ...options,
            deadLetter: deadLetter && {
              name: deadLetter.name,
              publish: async (letter: ProducerRecord<any>) => {
                await Promise.resolve(deadLetter.publish(letter)).catch(() => {})
              },
            },
          }),
      }),
    },
    caughtBy: ['a dead letter that is refused is a failure: nothing goes on without it'],
  },
  'does not wait for dead letters': {
    changes: {
      consumer: consumer => ({
        run: (handler, { deadLetter, ...options } = {}) =>
          consumer.run(handler, {
            ...options,
            deadLetter: deadLetter && {
              name: deadLetter.name,
              publish: (letter: ProducerRecord<any>) => {
                Promise.resolve(deadLetter.publish(letter)).catch(() => {})
              },
            },
          }),
      }),
    },
    caughtBy: ['a record is not done before its dead letter is written'],
  },
  'waits for the next attempt inside the handler': {
    changes: {
      broker: broker => ({
        group(id, options) {
          clock.now = broker.clock
          return broker.group(id, options)
        },
      }),
      consumer: consumer => ({
        run: (handler, { retry, ...options } = {}) =>
          consumer.run(async (record, context) => {
            for (let attempt = 1; ; attempt++) {
              try {
                return await handler(record, withIts(context, { attempt }))
              } catch (error) {
                if (attempt >= (retry?.attempts ?? 1)) throw error
                const backoff = retry!.backoffMs ?? 0
                const ms = typeof backoff === 'number' ? backoff : backoff(attempt)
                await new Promise<void>(resolve => void clock.now?.setTimeout(resolve, ms))
              }
            }
          }, options),
      }),
    },
    caughtBy: [
      'a record that waits for its next attempt does not keep its partition from moving',
      'close() does not wait for the next attempt of what has failed',
    ],
  },
  'fails before the other handlers are done': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          new Promise((resolve, reject) => {
            const seen = async (record: any, context: HandlerContext): Promise<void> => {
              try {
                await handler(record, context)
              } catch (error) {
                const { topic, partition, offset } = record
                if (options?.retry === undefined && options?.deadLetter === undefined)
                  reject(
                    new MillraceError('HANDLER_FAILED', { topic, partition, offset, attempts: 1 }, { cause: error }),
                  )
                throw error
              }
            }
            consumer.run(seen, options).then(resolve, reject)
          }),
      }),
    },
    caughtBy: ['run() that fails waits for the other handlers, and commits what they have done'],
  },
  'closes the consumers of a broker one after the other': {
    changes: (() => {
      const consumers = new WeakMap<object, Set<{ close(): Promise<void> }>>()
      return {
        broker: broker => ({
          async close(options) {
            for (const consumer of consumers.get(broker.clock) ?? []) await consumer.close()
            await broker.close(options)
          },
          group(id, options) {
            const group = broker.group(id, options)
            return new Proxy(group, {
              get(_, name) {
                const value: unknown = Reflect.get(group, name, group)
                if (name !== 'join') return typeof value === 'function' ? value.bind(group) : value
                return (joined: JoinOptions<any>) => {
                  const consumer = group.join(joined)
                  const own = consumers.get(broker.clock) ?? new Set()
                  consumers.set(broker.clock, own.add(consumer))
                  return consumer
                }
              },
            })
          },
        }),
      } as Changes
    })(),
    caughtBy: ['a broker that closes hands nothing to those that close with it'],
  },
  'buries what a handler that is out has failed at': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            try {
              await handler(record, context)
            } catch (error) {
              if (context.signal.aborted) await options?.deadLetter?.publish({ value: record.value })
              throw error
            }
          }, options),
      }),
    },
    caughtBy: ['a handler whose partition is lost is told by its signal, and what comes of it counts for nothing'],
  },
  'takes what a listener throws for a failed handler': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(handler, options).catch(error => {
            if (error instanceof MillraceError) throw error
            throw new MillraceError('HANDLER_FAILED', { topic: 't', partition: 0, offset: 0, attempts: 1 })
          }),
      }),
    },
    caughtBy: ['run() rejects with what a listener throws, and leaves'],
  },

  // ── listeners ──
  'calls onAssigned in join()': {
    changes: {
      join: ({ onAssigned, ...options }) => {
        onAssigned?.([], undefined as never)
        return { ...options, onAssigned }
      },
    },
    caughtBy: ['no listener is called inside a call of the library'],
  },
  'calls onRevoked in close()': {
    changes: (() => {
      const listeners = new Map<unknown, ((...args: any[]) => unknown) | undefined>()
      return {
        join: options => {
          listeners.set('last', options.onRevoked)
          return { ...options, onRevoked: undefined }
        },
        consumer(consumer) {
          const onRevoked = listeners.get('last')
          return {
            async close(options) {
              if (!consumer.closed) onRevoked?.(consumer.assignment, consumer)
              await consumer.close(options)
            },
          }
        },
      } as Changes
    })(),
    caughtBy: ['no listener is called inside a call of the library'],
  },
}

/** Of the broker of the test that runs. */
const clock: { now?: Clock } = {}
/** The context of a handler, but for some of it. */
const withIts = (
  { attempt, commit, signal, stop }: HandlerContext,
  others: Partial<HandlerContext>,
): HandlerContext => ({ attempt, commit, signal, stop, ...others })
const positionsOf = (
  partitions: readonly TopicPartition[],
  me: { position(topic: string, partition: number): number | undefined },
): { topic: string; partition: number; nextOffset: number }[] =>
  partitions.flatMap(({ topic, partition }) => {
    const nextOffset = me.position(topic, partition)
    return nextOffset === undefined ? [] : [{ topic, partition, nextOffset }]
  })
