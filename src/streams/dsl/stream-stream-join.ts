import { formatOf } from '../codec-format.js'
import { PassThrough } from '../operators/stateless.js'
import { StreamJoin, type StreamJoiner, StreamJoinWindow } from '../operators/stream-join.js'
import { checkCodec, checkOptions, refuse } from '../store-options.js'
import { InMemoryJoinWindowStore } from '../stores/join-window-store.js'
import type { JoinSide } from '../stores/outer-join-store.js'
import { OuterJoinStore } from '../stores/outer-join-store.js'
import { checkName } from '../topology/naming.js'
import type { StoreSpec } from '../topology/store-spec.js'
import { type JoinWindows, joinRetention, joinWindows } from '../windows.js'
import type { StreamJoinOptions } from './kstream.js'
import type { Place, Program, StreamPlace } from './program.js'
import type { RepartitionOptions } from './repartition.js'

interface Join {
  readonly kind: 'inner' | 'left' | 'outer'
  readonly operation: string
  readonly join: StreamJoiner
  readonly windows: any
  readonly options: StreamJoinOptions<any, any> | undefined
}
interface JoiningStream extends StreamPlace {
  readonly program: Program
  forJoin(name: string | undefined, suffix: string, codec: RepartitionOptions['codec']): Place
}

/** Kafka: KStreamImpl.doJoin and KStreamImplJoin. */
export function joinStreams(left: JoiningStream, right: JoiningStream, given: Join): unknown {
  const { program } = left
  const { operation, kind, join, options = {} } = given
  program.checkOwn(operation, right.program)
  const windows = checked(given)
  const { name, codec, otherCodec } = options
  const one = left.forJoin(name, '-left', codec)
  const other = right.forJoin(name, '-right', otherCodec)
  program.graph.copartition([...one.sources, ...other.sources])

  const { naming, graph } = program
  const leftOuter = kind !== 'inner'
  const rightOuter = kind === 'outer'
  const thisSuffix = rightOuter ? '-outer-this-join' : '-this-join'
  const otherSuffix = leftOuter ? '-outer-other-join' : '-other-join'
  const thisWindow = naming.suffixedOr(name, '-this-windowed', 'KSTREAM-WINDOWED-')
  const otherWindow = naming.suffixedOr(name, '-other-windowed', 'KSTREAM-WINDOWED-')
  const thisGenerated = naming.node(rightOuter ? 'KSTREAM-OUTERTHIS-' : 'KSTREAM-JOINTHIS-')
  const otherGenerated = naming.node(leftOuter ? 'KSTREAM-OUTEROTHER-' : 'KSTREAM-JOINOTHER-')
  const thisJoin = name === undefined ? thisGenerated : name + thisSuffix
  const otherJoin = name === undefined ? otherGenerated : name + otherSuffix
  const merge = naming.suffixedOr(name, '-merge', 'KSTREAM-MERGE-')

  const { store } = options
  const thisStore = windowSpec(`${store === undefined ? thisGenerated : store + thisSuffix}-store`, windows, codec)
  const otherStore = windowSpec(
    `${store === undefined ? otherGenerated : store + otherSuffix}-store`,
    windows,
    otherCodec,
  )
  const outerStore = leftOuter ? outerSpec(outerName(store, thisGenerated, rightOuter), codec, otherCodec) : undefined
  const side = (own: JoinSide, others: StoreSpec, outer: boolean) => () =>
    new StreamJoin({ side: own, windows, join, otherStore: others.name, outerStore: outerStore?.name, outer })
  const outerStores = outerStore === undefined ? [] : [outerStore]

  addWindow(program, one, thisWindow, thisStore)
  addWindow(program, other, otherWindow, otherStore)
  const parents = one.node === other.node ? [one.node] : [one.node, other.node]
  const node = graph.add(parents, {
    name: merge,
    takesNullKeys: leftOuter,
    write(wiring) {
      wiring.addProcessor(thisJoin, side('left', otherStore, leftOuter), [thisWindow], [otherStore, ...outerStores])
      wiring.addProcessor(otherJoin, side('right', thisStore, rightOuter), [otherWindow], [thisStore, ...outerStores])
      wiring.addProcessor(merge, () => new PassThrough(), [thisJoin, otherJoin])
    },
  })
  const sources = new Set([...one.sources, ...other.sources])
  return program.stream({ name: merge, node, sources, repartitionRequired: false })
}

function checked({ operation, windows, options }: Join): JoinWindows {
  if (windows?.kind !== 'join') refuse(`windows of ${operation}`, windows, 'joinWindows()')
  checkOptions(`options of ${operation}`, options, ['name', 'store', 'codec', 'otherCodec'])
  const { name, store, codec, otherCodec } = options ?? {}
  if (name !== undefined) checkName(`name of ${operation}`, name)
  if (store !== undefined) checkName(`store of ${operation}`, store)
  checkCodec(`codec of ${operation}`, codec)
  checkCodec(`otherCodec of ${operation}`, otherCodec)
  return joinWindows(windows)
}

function addWindow(program: Program, from: Place, name: string, store: StoreSpec): void {
  program.graph.add([from.node], {
    name,
    write: (wiring, parents) => wiring.addProcessor(name, () => new StreamJoinWindow(store.name), parents, [store]),
  })
}

function windowSpec(name: string, windows: JoinWindows, codec: StoreSpec['codec']): StoreSpec {
  const retentionMs = joinRetention(windows)
  const make: StoreSpec['make'] = setup => new InMemoryJoinWindowStore({ ...setup, retentionMs })
  return { name, kind: undefined, logging: true, codec, make }
}

/** Kafka: OuterStreamJoinStoreFactory. */
function outerName(store: string | undefined, thisGenerated: string, rightOuter: boolean): string {
  if (store !== undefined) return `${store}${rightOuter ? '-outer-shared-join' : '-left-shared-join'}-store`
  return `KSTREAM-OUTERSHARED-${thisGenerated.slice(-10)}-store`
}
function outerSpec(name: string, codec: StoreSpec['codec'], otherCodec: StoreSpec['codec']): StoreSpec {
  const otherFormat = formatOf(otherCodec)
  const make: StoreSpec['make'] = setup => new OuterJoinStore({ ...setup, otherFormat })
  return { name, kind: undefined, logging: true, codec, make }
}
