import { MillraceError, type TopicName } from '../../index.js'
import { TableSource } from '../operators/table-source.js'
import type { Callback, StreamKey } from '../record.js'
import { checkFunction, checkStoreOptions, type Named, refuse, type StoreOptions } from '../store-options.js'
import { checkTopic } from '../topology/naming.js'
import { BuiltTopology, type Topology } from '../topology/topology.js'
import { GlobalTable } from './global-table.js'
import type { KStream } from './kstream.js'
import type { GlobalKTable, KTable } from './ktable.js'
import { Program } from './program.js'
import { rowsSpec } from './store-specs.js'
import { StreamOf } from './stream.js'
import { TableOf } from './table.js'

interface StreamOptions<V> extends Named {
  /** Where to start without a committed offset. Kafka: AutoOffsetReset. @default 'earliest' */
  from?: 'earliest' | 'latest' | undefined
  /** The time that a record counts with. Kafka: TimestampExtractor. @default its own */
  timestamp?: Callback<V, string | null, number> | undefined
}

/** Where a topology begins: streams and tables of topics, and what operations make of them. Kafka: StreamsBuilder. */
export class StreamsBuilder<Topics extends object = Record<string, any>> {
  readonly #program = new Program({
    stream: (program, place) => new StreamOf(program, place),
    table: (program, place) => new TableOf(program, place),
  })
  #built: BuiltTopology | undefined

  /**
   * The records of a topic, or of several. Streams of the same topics share one source, whose options are those of the
   * first one.
   */
  stream<N extends TopicName<Topics>>(
    topic: N | readonly N[],
    options: StreamOptions<Topics[N]> = {},
  ): KStream<Topics[N], string | null, Topics> {
    const topics: readonly string[] = [...new Set<string>(typeof topic === 'string' ? [topic] : topicsOf(topic))]
    this.#check('stream()', topics, options, ['name', 'from', 'timestamp'])
    const { from, timestamp } = options
    if (from !== undefined && from !== 'earliest' && from !== 'latest')
      refuse('from of stream()', from, "'earliest' or 'latest'")
    if (timestamp !== undefined) checkFunction('timestamp of stream()', timestamp)
    const { graph, naming } = this.#program
    const name = naming.nodeOr(options.name, 'KSTREAM-SOURCE-')
    const node = graph.addStreamSource(name, topics, { from, timestamp: timestamp as Callback<any, StreamKey, number> })
    return this.#program.stream({ name, node, sources: new Set([name]), repartitionRequired: false })
  }

  /** The latest record of each key as its row; a tombstone takes it away. Records without a key are left out. */
  table<N extends TopicName<Topics>>(
    topic: N,
    options: Named & StoreOptions<NonNullable<Topics[N]>> = {},
  ): KTable<NonNullable<Topics[N]>, string, Topics> {
    this.#check('table()', [topic], options)
    const { graph, naming } = this.#program
    const store = options.store ?? naming.store(`${topic}-`)
    const source = naming.suffixedOr(options.name, '-source', 'KSTREAM-SOURCE-')
    const name = naming.nodeOr(options.name, 'KTABLE-SOURCE-')
    const supplier = new TableSource(rowsSpec(store, options), options.store !== undefined)
    const node = graph.addRoot({
      name,
      write(wiring) {
        wiring.addSource(source, [topic])
        wiring.addProcessor(name, () => supplier.make(), [source], supplier.stores())
      },
    })
    return this.#program.table({ name, node, sources: new Set([source]), supplier, keys: 'text', codec: options.codec })
  }

  /** Read whole by every instance. */
  globalTable<N extends TopicName<Topics>>(
    topic: N,
    options: StoreOptions<NonNullable<Topics[N]>> = {},
  ): GlobalKTable<NonNullable<Topics[N]>> {
    this.#check('globalTable()', [topic], options, ['store', 'codec', 'logging', 'retentionMs'])
    const { graph, naming } = this.#program
    const store = options.store ?? naming.store(`${topic}-`)
    const source = naming.node('KSTREAM-SOURCE-')
    const name = naming.node('KTABLE-SOURCE-')
    const spec = rowsSpec(store, { ...options, logging: false })
    graph.addRoot({ name, write: wiring => wiring.addGlobalStore(source, name, topic, spec) })
    return new GlobalTable(this.#program, spec)
  }

  /** Fixed from here on; INVALID_CONFIG for a name used twice, TOPOLOGY for what can't be run. */
  build(): Topology<Topics> {
    if (this.#built !== undefined) return this.#built
    const plan = this.#program.graph.plan()
    if (plan.subtopologies.length === 0 && plan.globalStores.length === 0)
      throw new MillraceError('TOPOLOGY', { reason: 'it reads no topic' })
    this.#program.close()
    this.#built = new BuiltTopology(plan)
    return this.#built
  }

  #check(operation: string, topics: readonly unknown[], options: unknown, known?: readonly string[]): void {
    this.#program.checkOpen(operation)
    checkStoreOptions(`options of ${operation}`, options, known)
    if (topics.length === 0) refuse(`topic of ${operation}`, topics, 'at least one topic')
    for (const topic of topics) checkTopic(topic)
  }
}

function topicsOf(given: unknown): readonly string[] {
  return Array.isArray(given) ? given : refuse('topic of stream()', given, 'a topic, or an array of topics')
}
