import murmurhash from 'murmurhash-js'

export interface NaiveRecord<V> {
  topic: string
  partition: number
  offset: number
  timestamp: number
  key: string
  value: V
}

/** The log that anybody would write: record objects in an array for each partition, by murmur2 of the key. */
export class NaiveLog<V> {
  readonly topic: string
  readonly partitions: NaiveRecord<V>[][]

  constructor(topic: string, partitions: number) {
    this.topic = topic
    this.partitions = Array.from({ length: partitions }, () => [])
  }

  append({ key, value }: { key: string; value: V }): NaiveRecord<V> {
    const partition = (murmurhash.murmur2(key, 0x9747b28c) & 0x7fffffff) % this.partitions.length
    const log = this.partitions[partition]!
    const record = { topic: this.topic, partition, offset: log.length, timestamp: Date.now(), key, value }
    log.push(record)
    return record
  }
}
