import type { Assignment, Assignor, GroupMember, TopicPartition } from '../../index.js'

/** The partitions that one task works on. */
interface Share {
  readonly partitions: readonly TopicPartition[]
  /** The sub-topology, by its place among the others. */
  readonly subtopology: number
}

/**
 * Shares whole tasks: the partitions of one number of a sub-topology's topics go to one member, all members have as many
 * tasks, give or take one, and a task stays where it is as long as that allows. Kafka: StickyTaskAssignor.
 *
 * @param subtopologies the source topics of each
 */
export function taskAssignor(subtopologies: readonly (readonly string[])[]): Assignor {
  return {
    name: 'streams tasks',
    assign: (members, topics) => assign(members, sharesOf(subtopologies, topics)),
  }
}

/** Kafka: PartitionGrouper — as many tasks as the widest topic has partitions. In the order of partitions: what must go is spread. */
function sharesOf(subtopologies: readonly (readonly string[])[], topics: ReadonlyMap<string, number>): Share[] {
  const widest = subtopologies.map(names => Math.max(0, ...names.map(name => topics.get(name) ?? 0)))
  const shares: Share[] = []
  for (let partition = 0; partition < Math.max(0, ...widest); partition++) {
    subtopologies.forEach((names, subtopology) => {
      if (partition >= widest[subtopology]!) return
      const having = names.filter(name => partition < (topics.get(name) ?? 0))
      shares.push({ subtopology, partitions: having.map(topic => ({ topic, partition })) })
    })
  }
  return shares
}

function assign(members: readonly GroupMember[], shares: readonly Share[]): Assignment {
  const takers = [...members].sort((a, b) => compare(a.memberId, b.memberId)).map(member => new Taker(member))
  if (takers.length === 0) return new Map()
  const owners = new Map(takers.flatMap(taker => taker.member.owned.map(where => [idOf(where), taker] as const)))
  const quota = Math.floor(shares.length / takers.length)
  /** How many members may have one more than the quota. */
  let over = shares.length % takers.length
  const free = shares.filter(share => {
    const owner = ownerOf(share, owners)
    if (owner === undefined || owner.load > quota || (owner.load === quota && over === 0)) return true
    if (owner.load === quota) over--
    owner.take(share)
    return false
  })
  // By sub-topology: each is spread over as many members as can be.
  for (const share of free.sort((a, b) => a.subtopology - b.subtopology)) {
    let least: Taker | undefined
    for (const taker of takers)
      if (taker.wants(share) && (least === undefined || taker.before(least, share))) least = taker
    least?.take(share)
  }
  return new Map(takers.map(taker => [taker.member.memberId, taker.partitions]))
}

/** Who had most of it, and can have it again. */
function ownerOf(share: Share, owners: ReadonlyMap<string, Taker>): Taker | undefined {
  const had = new Map<Taker, number>()
  for (const where of share.partitions) {
    const owner = owners.get(idOf(where))
    if (owner !== undefined) had.set(owner, (had.get(owner) ?? 0) + 1)
  }
  let most: Taker | undefined
  for (const [taker, n] of had) if (taker.wants(share) && (most === undefined || n > had.get(most)!)) most = taker
  return most
}

class Taker {
  readonly member: GroupMember
  readonly partitions: TopicPartition[] = []
  load = 0
  readonly #ofSubtopology = new Map<number, number>()
  readonly #topics: ReadonlySet<string>

  constructor(member: GroupMember) {
    this.member = member
    this.#topics = new Set(member.topics)
  }

  wants(share: Share): boolean {
    return share.partitions.every(({ topic }) => this.#topics.has(topic))
  }
  /** It comes before another: it has less to do, or less of this sub-topology. */
  before(other: Taker, { subtopology }: Share): boolean {
    if (this.load !== other.load) return this.load < other.load
    return (this.#ofSubtopology.get(subtopology) ?? 0) < (other.#ofSubtopology.get(subtopology) ?? 0)
  }
  take({ partitions, subtopology }: Share): void {
    this.partitions.push(...partitions)
    this.load++
    this.#ofSubtopology.set(subtopology, (this.#ofSubtopology.get(subtopology) ?? 0) + 1)
  }
}

const idOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
