import { formatOf } from '../codec-format.js'
import { fingerprintOf } from '../operators/foreign-key-fingerprint.js'
import {
  type ForeignKey,
  type ForeignKeyJoiner,
  ForeignTableJoin,
  ResponseJoin,
  responseFormat,
  SubscriptionJoin,
  SubscriptionReceive,
  type SubscriptionResponse,
  SubscriptionSend,
} from '../operators/foreign-key-join.js'
import { TableSource } from '../operators/table-source.js'
import type { Named, StoreOptions } from '../store-options.js'
import { InMemoryKeyValueStore } from '../stores/key-value-store.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Program, TablePlace } from './program.js'
import { rowsSpec } from './store-specs.js'

type Table = TablePlace & { readonly program: Program }
interface ForeignKeyJoin {
  readonly left: boolean
  readonly on: ForeignKey
  readonly join: ForeignKeyJoiner
  readonly options: Named & StoreOptions<any>
}

const prefix = 'KTABLE-FK-JOIN-'
const processor = `${prefix}SUBSCRIPTION-PROCESSOR-`

/** Two ways through topics: subscriptions to the other table's tasks, responses back. Kafka: KTableImpl.doJoinOnForeignKey, KIP-213. */
export function joinByForeignKey(table: Table, other: Table, { left, on, join, options }: ForeignKeyJoin): unknown {
  const { program } = table
  const { graph, naming } = program
  const nameOf = (suffix: string, generated: string): string => naming.suffixedOr(options.name, suffix, generated)
  other.supplier.enableSendingOldValues(true)
  table.supplier.enableSendingOldValues(true)

  const registration = `${prefix}SUBSCRIPTION-REGISTRATION-`
  const subscriptionTopic = `${nameOf('-subscription-registration', registration)}-topic`
  graph.addInternalTopic(subscriptionTopic)
  const send = nameOf('-subscription-registration-processor', registration)
  const sendNode = graph.add([table.node], {
    name: send,
    write: (wiring, parents) =>
      wiring.addProcessor(send, () => new SubscriptionSend(on, { left, fingerprint: fingerprintOf }), parents),
  })
  const subscriptionSink = nameOf('-subscription-registration-sink', 'KTABLE-SINK-')
  const sinkNode = graph.add([sendNode], {
    name: subscriptionSink,
    write: (wiring, parents) => wiring.addSink(subscriptionSink, subscriptionTopic, parents),
  })
  const subscriptionSource = nameOf('-subscription-registration-source', 'KTABLE-SOURCE-')
  const sourceNode = graph.add([sinkNode], {
    name: subscriptionSource,
    write: wiring => wiring.addSource(subscriptionSource, [subscriptionTopic]),
  })
  graph.copartition([...other.sources, subscriptionSource])

  const store = subscriptionSpec(nameOf('-subscription-store', `${prefix}SUBSCRIPTION-STATE-STORE-`))
  const receive = nameOf('-subscription-receive', processor)
  const receiveNode = graph.add([sourceNode], {
    name: receive,
    write: (wiring, parents) =>
      wiring.addProcessor(receive, () => new SubscriptionReceive(store.name), parents, [store]),
  })
  const foreignRows = other.supplier.view()
  const joinForeign = nameOf('-subscription-join-foreign', processor)
  const joinNode = graph.add([receiveNode], {
    name: joinForeign,
    write(wiring, parents) {
      wiring.addProcessor(joinForeign, () => new SubscriptionJoin(foreignRows.make()), parents)
      wiring.connect(joinForeign, foreignRows.stores)
    },
  })
  const foreignJoin = nameOf('-foreign-join-subscription', processor)
  const foreignNode = graph.add([other.node], {
    name: foreignJoin,
    write: (wiring, parents) =>
      wiring.addProcessor(foreignJoin, () => new ForeignTableJoin(store.name), parents, [store]),
  })

  const responseTopic = `${nameOf('-subscription-response', `${prefix}SUBSCRIPTION-RESPONSE-`)}-topic`
  graph.addInternalTopic(responseTopic)
  const rows = formatOf(other.codec)
  const format = rows && responseFormat(rows)
  const partition = ({ primaryPartition }: SubscriptionResponse): number => primaryPartition
  const responseSink = nameOf('-subscription-response-sink', 'KTABLE-SINK-')
  const responseSinkNode = graph.add([joinNode, foreignNode], {
    name: responseSink,
    write: (wiring, parents) => wiring.addSink(responseSink, responseTopic, parents, { partition, format }),
  })
  const responseSource = nameOf('-subscription-response-source', 'KTABLE-SOURCE-')
  const responseSourceNode = graph.add([responseSinkNode], {
    name: responseSource,
    write: wiring => wiring.addSource(responseSource, [responseTopic], { format }),
  })
  const sources = new Set([...table.sources, responseSource])
  graph.copartition(sources)

  const ownRows = table.supplier.view()
  const resolver = nameOf('-subscription-response-resolver', `${prefix}SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-`)
  const resolverNode = graph.add([responseSourceNode], {
    name: resolver,
    write(wiring, parents) {
      const make = () => new ResponseJoin(ownRows.make(), join, { left, fingerprint: fingerprintOf })
      wiring.addProcessor(resolver, make, parents)
      wiring.connect(resolver, ownRows.stores)
    },
  })
  const result = nameOf('-result', `${prefix}OUTPUT-`)
  const resultStore = options.store ?? naming.store(`${prefix}OUTPUT-`)
  const supplier = new TableSource(rowsSpec(resultStore, options), options.store !== undefined)
  const node = graph.add([resolverNode], {
    name: result,
    write: (wiring, parents) => wiring.addProcessor(result, () => supplier.make(), parents, supplier.stores()),
  })
  return program.table({ name: result, node, sources, supplier, keys: 'text', codec: options.codec })
}

/** Kafka: SubscriptionStoreFactory. */
function subscriptionSpec(name: string): StoreSpec {
  return {
    name,
    kind: undefined,
    logging: true,
    codec: undefined,
    make: setup => new InMemoryKeyValueStore(setup),
  }
}
