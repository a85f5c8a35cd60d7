import type { Codec, ConsumerRecord, Key, Partitioner, ProducerRecord, RecordMetadata, Topic } from '../index.js'
import { keyedPartitioner, MillraceError } from '../index.js'
import type { ReadOptions } from '../portable.js'
import type { Cluster } from './cluster.js'
import type { Producer } from './producer.js'
import type { Serialization } from './serialization.js'
import { type TailHost, TopicReader } from './tail.js'
import { TopicWriter } from './topic-writer.js'

/** What a topic needs of its broker. */
export interface TopicHost extends TailHost {
  readonly cluster: Cluster
  readonly producer: Producer
  readonly serialization: Serialization
  /** CLOSED when nothing may be published any more. */
  checkWritable(): void
}

/** A topic of a cluster: a handle, of which nothing is known before it is used. */
export class KafkaTopic<V, K extends Key> implements Topic<V, K> {
  readonly name: string
  readonly #host: TopicHost
  readonly #writer: TopicWriter
  #partitioner: Partitioner = keyedPartitioner()

  constructor(name: string, host: TopicHost) {
    this.name = name
    this.#host = host
    this.#writer = new TopicWriter(name, host.cluster, host.producer, {
      partitioner: (record, count) => this.#partitioner(record, count),
      codec: () => host.serialization.codec(name),
    })
  }

  /** What createTopic() was told. */
  use(options: { partitioner?: Partitioner | undefined; codec?: Codec<V> | undefined }): void {
    if (options.partitioner !== undefined) this.#partitioner = options.partitioner
    if (options.codec !== undefined) this.#host.serialization.setCodec(this.name, options.codec as Codec<unknown>)
  }

  async partitionCount(): Promise<number> {
    if (this.#host.cluster.closed) throw new MillraceError('CLOSED', { what: 'This broker' })
    const about = { what: `Counting the partitions of ${this.name}` }
    return (await this.#host.cluster.metadata(this.name, { about, anew: true })).partitions.length
  }

  check(record: ProducerRecord<V, K>): void {
    this.#host.checkWritable()
    this.#writer.check(record)
  }
  publish(record: ProducerRecord<V, K>): Promise<RecordMetadata> {
    try {
      this.#host.checkWritable()
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#writer.publish(record)
  }
  publishAll(records: Iterable<ProducerRecord<V, K>>): Promise<void> {
    try {
      this.#host.checkWritable()
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#writer.publishAll(records)
  }
  /** All that was published before has been given to the producer; rejects with the first that has not. */
  lineUp(): Promise<void> {
    return this.#writer.lineUp()
  }

  read(options: ReadOptions = {}): AsyncIterable<ConsumerRecord<V, K>> {
    return new TopicReader<V, K>(this.name, this.#host, options)
  }
}
