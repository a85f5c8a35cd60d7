import { EngineConsumer } from '../consumer.js'
import type { ResolvedGroupOptions, Source } from '../engine.js'
import { type AnyRecord, MillraceError, type TopicPartition } from '../index.js'
import { backoff } from './backoff.js'
import { keyOf } from './by-topic.js'
import type { Cluster } from './cluster.js'
import { nextOf, standings } from './committed-offsets.js'
import { elapsedMs } from './elapsed.js'
import { describeGroup } from './group-admin.js'
import { findOffsets, type Isolation } from './offsets.js'
import type { ClusterSource } from './source.js'

/** Between two looks at the members of this process, which cost nothing. */
const lookMs = 20
/** Nobody is left to do it when the group has said so so many times: a target may be in the making. */
const looksBeforeClosed = 3

/** A group, whose members are of this process and of others. */
interface CatchingUp<R extends AnyRecord> {
  readonly id: string
  readonly cluster: Cluster
  readonly isolation: Isolation
  readonly autoCommits: boolean
  readonly autoOffsetReset: ResolvedGroupOptions['autoOffsetReset']
  /** Those of this process that are not closed. */
  consumers(): Iterable<EngineConsumer<R>>
}

/**
 * Resolves when all that was in these partitions at the call has been committed. The ends are asked for once; members of
 * this process are looked at here, and only what others own makes it ask the cluster again, less and less often.
 * CLOSED when nobody is left to do it (groups.md 57).
 */
export async function caughtUp<R extends AnyRecord>(
  group: CatchingUp<R>,
  partitions: readonly TopicPartition[],
): Promise<void> {
  const { cluster, isolation, id, autoOffsetReset } = group
  const questions = partitions.map(({ topic, partition }) => ({ topic, partition, at: 'latest' as const }))
  const starts = partitions.map(({ topic, partition }) => ({ topic, partition, at: 'earliest' as const }))
  const [ends, begins, stands] = await Promise.all([
    findOffsets(cluster, questions, isolation),
    findOffsets(cluster, starts, isolation),
    standings(cluster, id, partitions),
  ])
  const nextIn = (found: typeof stands, where: TopicPartition): number | undefined =>
    nextOf(found.get(keyOf(where)), autoOffsetReset)
  let open = partitions.flatMap((where, i) =>
    (nextIn(stands, where) ?? begins[i]!) < ends[i]! ? [{ where, end: ends[i]! }] : [],
  )
  let abandoned = 0
  for (let looks = 0, asked = 0, askAt = 0; ; looks++) {
    open = open.filter(({ where, end }) => (nextHere(group, where) ?? -1) < end)
    if (open.length === 0) return
    hurry(group)
    const foreign = open.filter(({ where }) => nextHere(group, where) === undefined)
    const now = elapsedMs()
    if (foreign.length > 0 && now >= askAt) {
      askAt = now + backoff(asked++)
      const found = await standings(
        cluster,
        id,
        foreign.map(({ where }) => where),
      )
      open = open.filter(({ where, end }) => (nextIn(found, where) ?? -1) < end)
      const left = foreign.filter(({ where }) => open.some(other => other.where === where))
      abandoned = left.length > 0 && (await nobodyDoes(group, left)) ? abandoned + 1 : 0
      if (abandoned >= looksBeforeClosed)
        throw new MillraceError('CLOSED', { what: `Every member of group ${id} that could catch up` })
      continue
    }
    await cluster.pause(Math.min(lookMs, 2 ** looks))
  }
}

/** Where a member of this process has committed, or begun, what it owns; undefined for what none of them owns. */
function nextHere<R extends AnyRecord>(group: CatchingUp<R>, { topic, partition }: TopicPartition): number | undefined {
  for (const consumer of group.consumers()) {
    const source = EngineConsumer.memberOf(consumer).term(topic, partition)?.source
    if (source !== undefined) return nextOfSource(source) ?? -1
  }
  return undefined
}

const nextOfSource = <R extends AnyRecord>(source: Source<R>): number | undefined =>
  source.committed ?? (source as ClusterSource<R>).begun

/** Somebody waits for commits: what is finished is committed before its interval is over. */
function hurry<R extends AnyRecord>(group: CatchingUp<R>): void {
  if (!group.autoCommits) return
  for (const consumer of group.consumers()) {
    const member = EngineConsumer.memberOf(consumer)
    const behind = [...member.terms].some(
      ({ finished, source }) => finished !== undefined && finished > (nextOfSource(source) ?? -1),
    )
    if (behind && member.idle) member.autoCommit.commitThen(() => {})
  }
}

/** One of these is in no live member's target, and no consumer of this process is about to join. */
async function nobodyDoes<R extends AnyRecord>(
  group: CatchingUp<R>,
  open: readonly { readonly where: TopicPartition }[],
): Promise<boolean> {
  const joining = [...group.consumers()].map(EngineConsumer.memberOf).filter(member => !member.live)
  const { members, settled } = await describeGroup(group.cluster, group.id)
  if (!settled) return false
  return open.some(({ where: { topic, partition } }) => {
    if (joining.some(member => member.topics.includes(topic))) return false
    const topicId = group.cluster.topic(topic)?.id ?? ''
    return !members.some(({ target, memberEpoch }) => memberEpoch >= 0 && target.has(topicId, partition))
  })
}
