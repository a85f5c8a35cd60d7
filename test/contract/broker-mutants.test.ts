import { describe, expect, test } from 'vitest'
import { Broker, MillraceError, type ProducerRecord } from '../../src/index.js'
import { brokerContract } from '../../src/testing/broker-contract.js'
import type { ContractEngine } from '../../src/testing/contract/engine.js'
import { crash } from '../../src/testing/crash.js'
import { ManualClock } from '../../src/testing/manual-clock.js'
import { altered, type Changes } from '../engines/altered.js'
import { memoryEngine } from '../engines/memory.js'
import { forbidHostTimers } from '../testing/support-host-timers.js'
import { collect } from './collect.js'
import { type Mutant, subtle } from './subtle-mutants.js'

forbidHostTimers()

/** A memory broker on a manual clock, changed in one way; impatient, for most of what is broken never comes. */
function engineOf(name: string, changes: Changes): ContractEngine {
  const make: Parameters<typeof memoryEngine>[1] = options => new Broker({ ...options, clock: new ManualClock() })
  return { ...memoryEngine(name, make, broker => altered(broker, changes)), patienceMs: 1_000 }
}
const testsOf = (name: string, changes: Changes): Map<string, () => Promise<void>> =>
  collect(runner => brokerContract(runner, engineOf(name, changes)))

describe('an engine that is wrapped, but not broken, passes', () => {
  for (const [title, body] of testsOf('unbroken', {})) test(title, body)
})

/** The records of an iterable, changed. */
const bulk = (
  change: (records: ProducerRecord<any>[]) => ProducerRecord<any>[],
  one: (record: ProducerRecord<any>) => ProducerRecord<any> = record => change([record])[0] ?? record,
): Changes => ({
  topic: topic => ({
    publish: record => topic.publish(one(record)),
    publishAll: records => topic.publishAll(change([...records])),
  }),
})
const each = (change: (record: ProducerRecord<any>) => ProducerRecord<any>): Changes =>
  bulk(records => records.map(change))

const broken: Record<string, Mutant> = {
  // ── publishing ──
  'loses every 50th record': {
    changes: {
      topic(topic) {
        let count = 0
        let last: unknown
        return {
          publish: record => {
            if (++count % 50 !== 0) last = topic.publish(record)
            return last
          },
          publishAll: records => topic.publishAll([...records].filter(() => ++count % 50 !== 0)),
        }
      },
    },
    caughtBy: [
      'several publishers lose nothing, and each keeps its own order',
      'records without a key are all kept, and have none when read',
    ],
  },
  'writes every record twice': {
    changes: {
      topic: topic => ({
        publish(record) {
          topic.publish(record)
          return topic.publish(record)
        },
      }),
    },
    caughtBy: [
      'several publishers lose nothing, and each keeps its own order',
      "nothing that was acknowledged is lost when a publisher's broker closes under load",
    ],
  },
  'check() writes': {
    changes: { topic: topic => ({ check: record => void topic.publish(record) }) },
    caughtBy: ['check() throws what is wrong with a record, and writes nothing'],
  },
  'check() looks at nothing': {
    changes: { topic: () => ({ check: () => {} }) },
    caughtBy: ['check() throws what is wrong with a record, and writes nothing'],
  },
  'swaps two records of a bulk': {
    changes: bulk(records => {
      const [first, second, ...rest] = records
      return second === undefined || second.partition !== first!.partition ? records : [second, first!, ...rest]
    }),
    caughtBy: ['a late subscriber reads from the start', 'read() starts where it is told to'],
  },
  'writes a bulk backwards': {
    changes: bulk(records => records.reverse()),
    caughtBy: ['records of one key stay in order, one by one or in bulk'],
  },
  'acknowledges, and writes later': {
    changes: {
      topic: topic => ({
        async publish(record) {
          const metadata = { topic: topic.name, partition: record.partition ?? 0, offset: 0, timestamp: 0 }
          void Promise.resolve().then(() => topic.publish(record))
          return metadata
        },
      }),
    },
    caughtBy: ['publish() tells where its record is'],
  },
  'routes a key by another hash at each call': {
    changes: (() => {
      let call = 0
      return {
        topic: (topic): Record<string, (record: ProducerRecord<any>) => unknown> => ({
          async publish(record) {
            const partition = record.partition ?? Math.floor(call++ / 7) % (await topic.partitionCount())
            return topic.publish({ ...record, partition })
          },
        }),
      }
    })(),
    caughtBy: ['a key has one partition, whoever publishes it'],
  },
  'routes a key by its length': {
    changes: {
      topic: topic => ({
        async publish(record) {
          const partition = record.partition ?? (record.key?.length ?? 0) % (await topic.partitionCount())
          return topic.publish({ ...record, partition })
        },
      }),
    },
    caughtBy: ['keys go where Kafka puts them'],
  },
  'takes the empty key for none': {
    changes: each(record => ({ ...record, key: record.key || null })),
    caughtBy: ['the empty key is a key'],
  },
  'goes by the key, whatever partition was named': {
    changes: each(record => (record.key == null ? record : { ...record, partition: undefined })),
    caughtBy: ['a partition that is named wins over the key'],
  },
  'keeps only the last header of a name': {
    changes: each(record => ({ ...record, headers: Object.fromEntries(headersOf(record)) })),
    caughtBy: ['headers keep their order and their duplicates'],
  },
  'sorts headers': {
    changes: each(record => ({ ...record, headers: headersOf(record).sort(([a], [b]) => (a < b ? -1 : 1)) })),
    caughtBy: ['headers keep their order and their duplicates'],
  },
  'writes the time of publishing over a timestamp': {
    changes: each(({ timestamp: _, ...record }) => record),
    caughtBy: [
      'a timestamp is kept, also one out of order; without one it is the time of publishing',
      'a record that fails for good goes to the dead letter topic, as it was and with why',
    ],
  },
  'writes the text of a value': {
    changes: each(record => ({ ...record, value: record.value === undefined ? undefined : String(record.value) })),
    caughtBy: ['values come back as they were, a tombstone as null'],
  },
  'takes undefined for a tombstone': {
    changes: each(record => ({ ...record, value: record.value ?? null })),
    caughtBy: [
      'a record without a value is a TypeError, and is not written',
      'a bulk with a bad record keeps what came before it',
    ],
  },
  'writes to partition 0 what is out of range': {
    changes: each(record => ({ ...record, partition: record.partition === 2 ? 0 : record.partition })),
    caughtBy: ['a partition that there is not is UNKNOWN_TOPIC_OR_PARTITION'],
  },
  'gives the topic that is there to who makes it again': {
    changes: {
      broker: broker => ({
        async createTopic(name, options) {
          return (await Promise.resolve()
            .then(() => broker.createTopic(name, options))
            .catch(() => broker.topic(name))) as never
        },
      }),
    },
    caughtBy: ['a topic has its partitions, and can be made only once'],
  },
  'makes topics by itself': {
    changes: {
      broker: broker => ({
        topic(name) {
          try {
            return broker.topic(name)
          } catch {
            return broker.createTopic(name)
          }
        },
      }),
    },
    caughtBy: ['a topic that there is not is UNKNOWN_TOPIC_OR_PARTITION, at first use at the latest'],
  },

  // ── read() ──
  'read() has no tail': {
    changes: { topic: topic => ({ read: options => topic.read({ ...options, until: 'latest' }) }) },
    caughtBy: [
      'read() is a tail: it goes on with what is published later',
      'when the broker closes, a tail ends with what is there',
    ],
  },
  'read() begins at the start, whatever it is told': {
    changes: { topic: topic => ({ read: options => topic.read({ ...options, from: 'earliest' }) }) },
    caughtBy: [
      'read() starts where it is told to',
      'read() from the latest gives only what comes after its first step',
    ],
  },
  'read() gives all partitions': {
    changes: { topic: topic => ({ read: options => topic.read({ ...options, partitions: undefined }) }) },
    caughtBy: ['read() gives the partitions it is asked for'],
  },
  'read() hears no abort': {
    changes: { topic: topic => ({ read: options => topic.read({ ...options, signal: undefined }) }) },
    caughtBy: ['an abort ends a read() with its reason, also one that waits'],
  },
  'readers get one and the same record': {
    changes: {
      topic(topic) {
        const records = new Map<string, object>()
        return {
          async *read(options) {
            for await (const record of topic.read(options)) {
              const place = `${record.partition}@${record.offset}`
              if (!records.has(place)) records.set(place, record)
              yield records.get(place)
            }
          },
        }
      },
    },
    caughtBy: ['what a reader does to its record is seen by nobody else'],
  },

  // ── groups ──
  'gives all groups the offsets of one': {
    changes: {
      broker: broker => ({
        group: (_, { topics }) => broker.group('all', { topics }),
      }),
    },
    caughtBy: ['each group has all records, and offsets of its own'],
  },
  'gives each member a group of its own': {
    changes: (() => {
      let count = 0
      return { broker: broker => ({ group: (id, options) => broker.group(`${id}-${count++}`, options) }) } as Changes
    })(),
    caughtBy: [
      'members share the partitions, and each record goes to one of them',
      'who takes over goes on from what was committed',
    ],
  },
  'gives all topics to every member': {
    changes: { join: ({ topics: _, ...options }) => options },
    caughtBy: ['a member reads the topics that it asked for'],
  },
  'knows no static members': {
    changes: { join: ({ instanceId: _, ...options }) => options },
    caughtBy: ['a static member comes back to its partitions'],
  },
  'is ready at once': {
    changes: { consumer: () => ({ ready: async () => {} }) },
    caughtBy: [
      'a record at work keeps its partition until it is done',
      'onAssigned tells what a new member has, before its first record and before ready()',
    ],
  },
  'is caught up at once': {
    changes: { group: () => ({ caughtUp: async () => {} }) },
    caughtBy: [
      'caughtUp() waits for all that was published before',
      'caughtUp() is CLOSED when nobody is left to do it',
    ],
  },
  'counts no lag': {
    changes: { group: () => ({ lag: () => 0 }) },
    caughtBy: ['lag() counts from what is committed to the end'],
  },
  'forgets what it was given for a group': {
    changes: {
      broker: broker => ({
        group(id, options) {
          try {
            return broker.group(id, options)
          } catch (error) {
            if ((error as MillraceError).code !== 'INVALID_CONFIG') throw error
            return broker.group(`${id}-again`, options)
          }
        },
      }),
    },
    caughtBy: ['an id is one group; with other options it is INVALID_CONFIG'],
  },

  // ── polling ──
  'poll() does not wait': {
    changes: { consumer: consumer => ({ poll: options => consumer.poll({ timeoutMs: 0, ...options }) }) },
    caughtBy: ['poll() waits for a first record'],
  },
  'poll() waits for ever': {
    changes: { consumer: consumer => ({ poll: options => consumer.poll({ ...options, timeoutMs: undefined }) }) },
    caughtBy: ['poll() gives [] when its time is over'],
  },
  'poll() gives what there is': {
    changes: { consumer: consumer => ({ poll: options => consumer.poll({ ...options, maxRecords: 500 }) }) },
    caughtBy: ['poll() gives as many records as it may at most'],
  },
  'poll() hears no abort': {
    changes: { consumer: consumer => ({ poll: options => consumer.poll({ ...options, signal: undefined }) }) },
    caughtBy: ['an aborted poll() rejects with its reason and consumes nothing'],
  },
  'poll() gives its last record again': {
    changes: {
      consumer(consumer) {
        let last: any[] = []
        return {
          async poll(options) {
            const records = await consumer.poll(options)
            const again = [...last, ...records]
            last = records.slice(-1)
            return again
          },
        }
      },
    },
    caughtBy: [
      'poll() gives as many records as it may at most',
      'nothing is lost when a consumer closes in mid-stream',
    ],
  },
  'poll() loses a record when it is full': {
    changes: {
      consumer: consumer => ({
        async poll(options) {
          const records = await consumer.poll(options)
          return records.length > 5 ? records.slice(0, -1) : records
        },
      }),
    },
    caughtBy: [
      'nothing is lost when a consumer closes in mid-stream',
      'each group has all records, and offsets of its own',
    ],
  },
  'polls one after the other': {
    changes: {
      consumer(consumer) {
        let before: Promise<unknown> = Promise.resolve()
        return {
          poll(options) {
            const polled = before.then(() => consumer.poll(options))
            before = polled.catch(() => {})
            return polled
          },
        }
      },
    },
    caughtBy: ['a second poll, loop or run beside one is CONCURRENT_POLL'],
  },
  'closes the consumer with its loop': {
    changes: {
      consumer: consumer => ({
        async *[Symbol.asyncIterator]() {
          try {
            yield* consumer
          } finally {
            await consumer.close()
          }
        },
      }),
    },
    caughtBy: ['a loop goes step by step, and when it is left the consumer goes on'],
  },
  'throws out of a poll when it closes': {
    changes: {
      consumer: consumer => ({
        async poll(options) {
          const records = await consumer.poll(options)
          if (consumer.closed) throw new MillraceError('CLOSED', { what: 'It' })
          return records
        },
      }),
    },
    caughtBy: ['close() ends a poll with [] and a loop without an error'],
  },
  'polls on after close()': {
    changes: { consumer: consumer => ({ poll: async options => (consumer.closed ? [] : consumer.poll(options)) }) },
    caughtBy: ['after close() a consumer is CLOSED'],
  },

  // ── commits ──
  'ignores commits': {
    changes: { consumer: () => ({ commit: async () => {} }) },
    caughtBy: [
      'commit() commits what was handed out, and what was not, it does not',
      'commit(record) commits the offset after it',
      'who takes over goes on from what was committed',
      'a commit inside onRevoked stands',
    ],
  },
  'commits the record, not what follows it': {
    changes: {
      consumer: consumer => ({
        commit: (...what) =>
          what[0]?.offset === undefined
            ? (consumer.commit as any)(...what)
            : consumer.commit([{ topic: what[0].topic, partition: what[0].partition, nextOffset: what[0].offset }]),
      }),
    },
    caughtBy: [
      'commit(record) commits the offset after it',
      'a commit after the work is at least once: a crash repeats, and loses nothing',
    ],
  },
  'commits the last of the records': {
    changes: {
      consumer: consumer => ({
        commit: (...what) =>
          (consumer.commit as any)(...(what[0]?.at?.(-1)?.value === undefined ? what : what[0].slice(-1))),
      }),
    },
    caughtBy: ['commit(records) commits the furthest of each partition'],
  },
  'commits only forward': {
    changes: {
      consumer: (consumer, group) => ({
        async commit(...what) {
          const [{ topic, partition, offset, nextOffset = offset + 1 } = {} as any] = [what[0]].flat()
          if (topic !== undefined && ((await group.committed(topic, partition)) ?? 0) > nextOffset) return
          await (consumer.commit as any)(...what)
        },
      }),
    },
    caughtBy: [
      'commit(record) commits the offset after it',
      'commit(offsets) takes them as given, backwards and beyond the end, and moves no position',
    ],
  },
  'takes commit(undefined) for commit()': {
    changes: {
      consumer: consumer => ({ commit: what => (what === undefined ? consumer.commit() : consumer.commit(what)) }),
    },
    caughtBy: ['a commit of what is no offset is a TypeError, and commits nothing'],
  },
  'passes over what it may not commit': {
    changes: {
      consumer: consumer => ({
        commit: async (...what) => (consumer.commit as any)(...what).catch(() => {}),
      }),
    },
    caughtBy: [
      'a commit of what it does not own is ILLEGAL_GENERATION, and commits nothing',
      'a commit of a negative offset is OFFSET_OUT_OF_RANGE, and commits nothing',
      'a commit after close() is UNKNOWN_MEMBER_ID',
    ],
  },
  'commits one after the other until one is refused': {
    changes: {
      consumer: consumer => ({
        async commit(...what) {
          if (!Array.isArray(what[0])) return (consumer.commit as any)(...what)
          for (const entry of what[0]) await consumer.commit([entry])
        },
      }),
    },
    caughtBy: [
      'a commit of what it does not own is ILLEGAL_GENERATION, and commits nothing',
      'a commit of a negative offset is OFFSET_OUT_OF_RANGE, and commits nothing',
    ],
  },
  'tells the last offset for the next': {
    changes: {
      group: group => ({
        async committed(topic, partition) {
          const next = await group.committed(topic, partition)
          return next === undefined || next === 0 ? next : next - 1
        },
      }),
    },
    caughtBy: ['commit() commits what was handed out, and what was not, it does not'],
  },
  'commits when a handler begins': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            await context.commit()
            await handler(record, context)
          }, options),
      }),
    },
    caughtBy: [
      'auto-commit during run() writes what is finished, not what is at work',
      'when all attempts fail run() is HANDLER_FAILED, and the record is delivered again',
    ],
  },
  'commits what it has just handed out': {
    changes: {
      consumer: consumer => ({
        async poll(options) {
          const records = await consumer.poll(options)
          if (records.length > 0) await consumer.commit(records)
          return records
        },
      }),
    },
    caughtBy: [
      'auto-commit writes on the interval what the consumer has come back from',
      'with manualCommit nothing is committed by itself',
      'after a crash what was not committed is delivered again',
    ],
  },
  'never commits by itself': {
    changes: {
      broker: broker => ({
        group: (id, options) => broker.group(id, { ...options, commitMode: 'manualCommit' }),
      }),
    },
    caughtBy: [
      'auto-commit writes on the interval what the consumer has come back from',
      'auto-commit writes what was handed out when its consumer closes',
      'with auto-commit a seek is committed at close, also one backwards',
      'context.stop() asks for an orderly close, and run() resolves',
    ],
  },
  'does not commit at close()': {
    changes: {
      consumer: consumer => ({
        async close() {
          if (!consumer.closed) crash(consumer)
        },
      }),
    },
    caughtBy: [
      'auto-commit writes what was handed out when its consumer closes',
      'nothing is lost when a consumer closes in mid-stream',
      'onRevoked is called at close() with all there is, and the consumer still owns it',
    ],
  },
  'commits every position at close()': {
    changes: {
      consumer: consumer => ({
        async close(options) {
          if (!consumer.closed) await consumer.commit()
          await consumer.close(options)
        },
      }),
    },
    caughtBy: [
      'with manualCommit nothing is committed by itself',
      'auto-commit does not write the record in hand of a loop',
    ],
  },

  // ── positions ──
  'ignores seek()': {
    changes: { consumer: () => ({ seek() {} }) },
    caughtBy: [
      'seek() moves the position, forth and back, and commits nothing',
      "seek() to 'earliest', to 'latest' and to a time",
      'a seek in onAssigned wins over what is committed',
    ],
  },
  'commits where it seeks': {
    changes: {
      consumer: consumer => ({
        seek(topic, partition, to) {
          consumer.seek(topic, partition, to)
          if (typeof to === 'number') void consumer.commit([{ topic, partition, nextOffset: to }])
        },
      }),
    },
    caughtBy: ['seek() moves the position, forth and back, and commits nothing'],
  },
  'seeks one too far': {
    changes: {
      consumer: consumer => ({
        seek: (topic, partition, to) => consumer.seek(topic, partition, typeof to === 'number' ? to + 1 : to),
      }),
    },
    caughtBy: [
      'seek() moves the position, forth and back, and commits nothing',
      'seek() in a loop: the next step is there',
    ],
  },
  'ignores pause()': {
    changes: { consumer: () => ({ pause() {} }) },
    caughtBy: [
      'pause() hands out nothing of its partitions, resume() goes on where they were',
      'pause() and resume() of everything, also while a poll waits',
    ],
  },
  'ignores resume()': {
    changes: { consumer: () => ({ resume() {} }) },
    caughtBy: ['pause() hands out nothing of its partitions, resume() goes on where they were'],
  },
  'starts every group at the end': {
    changes: {
      broker: broker => ({ group: (id, options) => broker.group(id, { autoOffsetReset: 'latest', ...options }) }),
    },
    caughtBy: ['a late subscriber reads from the start'],
  },
  'starts every group at the start': {
    changes: {
      broker: broker => ({ group: (id, options) => broker.group(id, { ...options, autoOffsetReset: 'earliest' }) }),
    },
    caughtBy: [
      "with autoOffsetReset 'latest' a new group reads what comes after it, and what is committed wins",
      "with autoOffsetReset 'none' a start must be given: NO_OFFSET_FOR_PARTITION",
    ],
  },
  'resets no offsets': {
    changes: { group: () => ({ resetOffsets() {} }) },
    caughtBy: ['resetOffsets() moves a group without members'],
  },

  // ── run() ──
  'does not wait for its handlers': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run((record, context) => {
            Promise.resolve(handler(record, context)).catch(() => {})
          }, options),
      }),
    },
    caughtBy: [
      'the next record does not come before the earlier is done',
      'close() waits for the handlers at work',
      'a record that fails is tried again in its place, after its back-off',
    ],
  },
  'runs one handler too many': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) => consumer.run(handler, { ...options, concurrency: (options?.concurrency ?? 1) + 1 }),
      }),
    },
    caughtBy: [
      'the next record does not come before the earlier is done',
      'with concurrency so many are at work, and records of one key never overlap or overtake',
    ],
  },
  'runs one handler at a time, always': {
    changes: {
      consumer: consumer => ({ run: (handler, options) => consumer.run(handler, { ...options, concurrency: 1 }) }),
    },
    caughtBy: ['with concurrency so many are at work, and records of one key never overlap or overtake'],
  },
  'takes every record for keyless and its own': {
    changes: {
      consumer: consumer => ({
        async run(handler, options) {
          // Every partition of its own handler, keys or not: a record is begun when it comes.
          const atWork = new Set<Promise<unknown>>()
          await consumer.run(
            async (record, context) => {
              const working = Promise.resolve(handler(record, context)).finally(() => atWork.delete(working))
              working.catch(() => {})
              atWork.add(working)
              if (atWork.size >= (options?.concurrency ?? 1)) await Promise.race(atWork)
            },
            { ...options, concurrency: 1 },
          )
        },
      }),
    },
    caughtBy: ['with concurrency so many are at work, and records of one key never overlap or overtake'],
  },
  'tries nothing again': {
    changes: {
      consumer: consumer => ({ run: (handler, options) => consumer.run(handler, { ...options, retry: undefined }) }),
    },
    caughtBy: ['a record that fails is tried again in its place, after its back-off'],
  },
  'tries again at once': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(handler, { ...options, retry: options?.retry && { attempts: options.retry.attempts } }),
      }),
    },
    caughtBy: ['a record that fails is tried again in its place, after its back-off'],
  },
  'passes over what fails': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(async (record, context) => {
            try {
              await handler(record, context)
            } catch {
              // Gone.
            }
          }, options),
      }),
    },
    caughtBy: [
      'when all attempts fail run() is HANDLER_FAILED, and the record is delivered again',
      'a poison record does not stop its partition, and is committed when it is buried',
    ],
  },
  'rejects with the error of the handler itself': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(handler, options).catch(error => {
            throw error.code === 'HANDLER_FAILED' ? error.cause : error
          }),
      }),
    },
    caughtBy: ['when all attempts fail run() is HANDLER_FAILED, and the record is delivered again'],
  },
  'writes dead letters without headers': {
    changes: letters(({ headers: _, ...letter }) => letter),
    caughtBy: ['a record that fails for good goes to the dead letter topic, as it was and with why'],
  },
  'writes dead letters without the headers of the record': {
    changes: letters(letter => ({
      ...letter,
      headers: headersOf(letter).filter(([name]) => name.startsWith('__dlq')),
    })),
    caughtBy: ['a record that fails for good goes to the dead letter topic, as it was and with why'],
  },
  'writes dead letters without a key': {
    changes: letters(({ key: _, ...letter }) => letter),
    caughtBy: ['a record that fails for good goes to the dead letter topic, as it was and with why'],
  },
  'stops at a poison record': {
    changes: {
      consumer: consumer => ({
        run: (handler, { deadLetter: _, ...options } = {}) => consumer.run(handler, options),
      }),
    },
    caughtBy: ['a poison record does not stop its partition, and is committed when it is buried'],
  },
  'ignores stop()': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(
            (record, { commit, signal, attempt }) => handler(record, { commit, signal, attempt, stop() {} }),
            options,
          ),
      }),
    },
    caughtBy: ['context.stop() asks for an orderly close, and run() resolves'],
  },
  "ignores run()'s signal": {
    changes: {
      consumer: consumer => ({
        run: (handler, { signal: _, ...options } = {}) => consumer.run(handler, options),
      }),
    },
    caughtBy: ["run()'s signal asks for an orderly close, and run() resolves"],
  },
  "rejects when run()'s signal aborts": {
    changes: {
      consumer: consumer => ({
        async run(handler, options) {
          await consumer.run(handler, options)
          options?.signal?.throwIfAborted()
        },
      }),
    },
    caughtBy: ["run()'s signal asks for an orderly close, and run() resolves"],
  },
  'close() has no deadline': {
    changes: { consumer: consumer => ({ close: () => consumer.close() }) },
    caughtBy: ['close() with a deadline is REQUEST_TIMED_OUT: signal aborts, what is unfinished stays so'],
  },
  'gives handlers a signal that never aborts': {
    changes: {
      consumer: consumer => ({
        run: (handler, options) =>
          consumer.run(
            (record, { commit, stop, attempt }) =>
              handler(record, { commit, stop, attempt, signal: new AbortController().signal }),
            options,
          ),
      }),
    },
    caughtBy: [
      'close() with a deadline is REQUEST_TIMED_OUT: signal aborts, what is unfinished stays so',
      'a handler whose partition is lost is told by its signal, and what comes of it counts for nothing',
    ],
  },

  // ── listeners ──
  'calls no onAssigned': {
    changes: { join: ({ onAssigned: _, ...options }) => options },
    caughtBy: [
      'onAssigned tells what a new member has, before its first record and before ready()',
      'onAssigned of a member that has nothing is called with nothing',
    ],
  },
  'calls onAssigned only with something': {
    changes: {
      join: ({ onAssigned, ...options }) => ({
        ...options,
        onAssigned:
          onAssigned && ((partitions, me) => (partitions.length > 0 ? onAssigned(partitions, me) : undefined)),
      }),
    },
    caughtBy: ['onAssigned of a member that has nothing is called with nothing'],
  },
  'does not wait for onAssigned': {
    changes: {
      join: ({ onAssigned, ...options }) => ({
        ...options,
        onAssigned: onAssigned && ((partitions, me) => void onAssigned(partitions, me)),
      }),
    },
    caughtBy: ['onAssigned tells what a new member has, before its first record and before ready()'],
  },
  'calls no onRevoked': {
    changes: { join: ({ onRevoked: _, ...options }) => options },
    caughtBy: [
      'a partition moves in order: commit, onRevoked, then onAssigned of its new owner',
      'onRevoked is called at close() with all there is, and the consumer still owns it',
      'a commit inside onRevoked stands',
    ],
  },
  'does not wait for onRevoked': {
    changes: {
      join: ({ onRevoked, ...options }) => ({
        ...options,
        onRevoked: onRevoked && ((partitions, me) => void Promise.resolve(onRevoked(partitions, me)).catch(() => {})),
      }),
    },
    caughtBy: [
      'a partition moves in order: commit, onRevoked, then onAssigned of its new owner',
      'onRevoked never runs beside a handler of its consumer',
      'no partition has two owners at any time, and nothing is lost, while members come and go',
    ],
  },
  'calls onRevoked for what is lost': {
    changes: { join: ({ onLost: _, ...options }) => options },
    caughtBy: ['who does not come back within maxPollIntervalMs is out: onLost, and its commit is UNKNOWN_MEMBER_ID'],
  },
  'calls nothing for what is lost': {
    changes: { join: ({ onLost, ...options }) => ({ ...options, onLost: onLost ?? (() => {}) }) },
    caughtBy: ['without an onLost it is onRevoked that is told'],
  },
  'expels nobody': {
    changes: {
      broker: broker => ({
        group: (id, { maxPollIntervalMs: _, ...options }) => broker.group(id, options),
      }),
    },
    caughtBy: ['who does not come back within maxPollIntervalMs is out: onLost, and its commit is UNKNOWN_MEMBER_ID'],
  },
  'swallows what listeners throw': {
    changes: {
      join: ({ onAssigned, onRevoked, ...options }) => ({
        ...options,
        ...(onAssigned && { onAssigned: quiet(onAssigned) }),
        ...(onRevoked && { onRevoked: quiet(onRevoked) }),
      }),
    },
    caughtBy: [
      'a listener that throws stops nothing, and is told once, by the poll of its consumer',
      'an onRevoked that throws at close() is told by close(), which leaves all the same',
    ],
  },
}

describe('a broken engine is caught', () => {
  for (const [name, { changes, caughtBy }] of Object.entries({ ...broken, ...subtle })) {
    test.each(caughtBy)(`${name}: %s`, async title => {
      const body = testsOf(name, changes).get(title)
      expect(body, `there is no test "${title}"`).toBeDefined()
      await expect(body!()).rejects.toThrow()
    })
  }
})

test('a crash that is an orderly close is caught', async () => {
  const engine = engineOf('gentle', {})
  const open: ContractEngine['open'] = async topics => ({
    ...(await engine.open(topics)),
    crash: broker => broker.close(),
  })
  const title = 'after a crash what was not committed is delivered again'
  const body = collect(runner => brokerContract(runner, { ...engine, open })).get(title)
  await expect(body!()).rejects.toThrow()
})

test('an engine without crash() passes over what is about killed processes', async () => {
  const engine = engineOf('immortal', {})
  const open: ContractEngine['open'] = async topics => ({ ...(await engine.open(topics)), crash: undefined })
  const tests = collect(runner => brokerContract(runner, { ...engine, open }))
  await tests.get('after a crash what was not committed is delivered again')!()
})

test('a failure by patience says what was waited for', async () => {
  const changes: Changes = {
    consumer: consumer => ({ poll: () => consumer.poll({ signal: new AbortController().signal }) }),
  }
  const body = testsOf('waits for ever', changes).get('poll() gives [] when its time is over')
  await expect(body!()).rejects.toThrow(/^waited 1000 ms in vain for a poll with a time limit$/)
})

function headersOf({ headers = [] }: ProducerRecord<any>): (readonly [string, any])[] {
  return Symbol.iterator in headers ? [...headers] : Object.entries(headers)
}
function letters(change: (letter: ProducerRecord<any>) => ProducerRecord<any>): Changes {
  return {
    consumer: consumer => ({
      run: (handler, { deadLetter, ...options } = {}) =>
        consumer.run(handler, {
          ...options,
          deadLetter: deadLetter && {
            name: deadLetter.name,
            publish: (letter: ProducerRecord<any>) => deadLetter.publish(change(letter)),
          },
        }),
    }),
  }
}
function quiet(listener: (...args: any[]) => unknown): (...args: any[]) => Promise<void> {
  return async (...args) => {
    try {
      await listener(...args)
    } catch {
      // Heard by nobody.
    }
  }
}
