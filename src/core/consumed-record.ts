import type { ConsumerRecord, Headers, Key } from './record.js'

interface ConsumedRecord {
  new <V, K extends Key>(
    topic: string,
    partition: number,
    offset: number,
    timestamp: number,
    key: K | null,
    value: V,
    headers: Headers,
  ): ConsumerRecord<V, K>
  prototype: object
}

/**
 * Makes the plain objects that readers get, all with one hidden class.
 *
 * By a constructor, since V8 counts how long the objects of a literal live: once somebody has collected records in a list,
 * it makes all of them in the old generation, from then on, and reading takes three times as long and more, for good
 * (test/costs/generations). It does not count what constructors make.
 */
export const ConsumedRecord: ConsumedRecord = function (
  this: ConsumerRecord,
  topic: string,
  partition: number,
  offset: number,
  timestamp: number,
  key: string | null,
  value: unknown,
  headers: Headers,
): void {
  this.topic = topic
  this.partition = partition
  this.offset = offset
  this.timestamp = timestamp
  this.key = key
  this.value = value
  this.headers = headers
} as unknown as ConsumedRecord
// Plain: equal to a literal with the same fields, also for who compares prototypes.
ConsumedRecord.prototype = Object.prototype

/** With the last of its objects V8 would forget a hidden class and all code made for it: these two stay. */
Object.assign(ConsumedRecord, {
  kept: [
    new ConsumedRecord('text', 0, 0, 0.5, 'text', 'text', []),
    new ConsumedRecord('number', 1, 1, 1.5, null, 1, []),
  ],
})
