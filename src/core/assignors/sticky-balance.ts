import { MinHeap } from './min-heap.js'
import { inKeepingOrder, NOBODY, type StickyState } from './sticky-state.js'

/** The partitions of all topics that have the same subscribers: any of these members can take any of them. */
interface Pool {
  readonly members: readonly number[]
  /** In keeping order. */
  readonly partitions: number[]
}

/**
 * The case of differing subscriptions: what is free goes to whoever has least, then the most loaded give to the least
 * loaded until no partition can move to a member that has two fewer.
 *
 * Kafka: AbstractStickyAssignor.GeneralAssignmentBuilder, which moves partitions one by one; here whole pools are
 * levelled at once, as in UniformHeterogeneousAssignmentBuilder (KIP-848). It ends, since every move makes the sum of
 * the squared loads smaller.
 */
export function balance(state: StickyState): void {
  const pools = poolsOf(state)
  const load = new Int32Array(state.members.length)
  for (const member of state.owner) if (member !== NOBODY) load[member]!++

  // Kafka: the partitions with the fewest candidates come first.
  for (const pool of pools) deal(pool, state, load)
  for (let moved = true; moved; ) {
    moved = false
    for (const pool of pools) if (level(pool, state, load)) moved = true
  }
  for (const pool of pools) swapHome(pool, state)
}

function poolsOf(state: StickyState): Pool[] {
  const pools = new Map<string, Pool>()
  const poolOf: Pool[] = []
  state.topics.forEach(({ members, partitions }) => {
    const key = members.join()
    let pool = pools.get(key)
    if (pool === undefined) {
      pool = { members, partitions: [] }
      pools.set(key, pool)
    }
    for (let partition = 0; partition < partitions; partition++) poolOf.push(pool)
  })
  for (const id of inKeepingOrder(state)) poolOf[id]!.partitions.push(id)
  return [...pools.values()].sort((a, b) => a.members.length - b.members.length)
}

/** What is nobody's goes, by topic and number, to whoever has least; of equals to the first. */
function deal(
  { members, partitions }: Pool,
  { owner, members: { length: base } }: StickyState,
  load: Int32Array,
): void {
  const free = partitions.filter(id => owner[id] === NOBODY).sort(ascending)
  if (free.length === 0) return
  // A member and its load as one number: ordered by load, then by member.
  const least = new MinHeap(members.map(member => load[member]! * base + member))
  for (const id of free) {
    const top = least.top!
    const member = top % base
    owner[id] = member
    load[member]!++
    least.replaceTop(top + base)
  }
}

/** Moves partitions from the most to the least loaded of a pool while their loads differ by two or more. */
function level(pool: Pool, { owner, members: { length: base } }: StickyState, load: Int32Array): boolean {
  const held = new Map<number, number>()
  for (const id of pool.partitions) held.set(owner[id]!, (held.get(owner[id]!) ?? 0) + 1)
  if (!isUneven(pool, held, load)) return false

  const least = new MinHeap(pool.members.map(member => load[member]! * base + member))
  const most = new MinHeap(Array.from(held.keys(), member => -(load[member]! * base + member)))
  const giving = new Map<number, number>()
  const takers: number[] = []
  // A giver keeps its old place in `least`, and a taker in `most`. That does no harm: a giver never sinks below the
  // taker of its move, nor does a taker rise above the giver, so the tops are the extremes all the same.
  for (let top = most.top; top !== undefined; top = most.top) {
    const bottom = least.top!
    if (Math.floor(-top / base) - Math.floor(bottom / base) < 2) break
    const giver = -top % base
    const taker = bottom % base
    const given = (giving.get(giver) ?? 0) + 1
    giving.set(giver, given)
    takers.push(taker)
    load[giver]!--
    load[taker]!++
    least.replaceTop(bottom + base)
    if (given === held.get(giver)) most.removeTop()
    else most.replaceTop(top + base)
  }

  const given = pick(pool.partitions, giving, owner).sort(ascending)
  given.forEach((id, i) => {
    owner[id] = takers[i]!
  })
  return given.length > 0
}

function isUneven({ members }: Pool, held: ReadonlyMap<number, number>, load: Int32Array): boolean {
  let least = Number.POSITIVE_INFINITY
  let most = 0
  for (const member of members) least = Math.min(least, load[member]!)
  for (const member of held.keys()) most = Math.max(most, load[member]!)
  return most - least >= 2
}

/** So many of each giver, the last in keeping order. */
function pick(partitions: readonly number[], giving: Map<number, number>, owner: Int32Array): number[] {
  return partitions.toReversed().filter(id => {
    const left = giving.get(owner[id]!) ?? 0
    giving.set(owner[id]!, left - 1)
    return left > 0
  })
}

/** Brings home what left for nothing: its owner of before holds another partition of the pool that is not its own. */
function swapHome({ partitions }: Pool, { owner, home }: StickyState): void {
  const guests = new Map<number, number[]>()
  const away: number[] = []
  for (const id of partitions) {
    if (owner[id] === home[id]) continue
    const held = guests.get(owner[id]!)
    if (held === undefined) guests.set(owner[id]!, [id])
    else held.push(id)
    if (home[id] !== NOBODY) away.push(id)
  }
  for (const id of away) {
    const host = owner[id]!
    // An earlier swap may have brought it home already.
    if (host === home[id]) continue
    const guest = takeGuest(guests.get(home[id]!), home[id]!, owner, home)
    if (guest === undefined) continue
    owner[guest] = host
    owner[id] = home[id]!
    guests.get(host)!.push(guest)
  }
}

/** The last of these that is still with the host and not at home there; earlier swaps leave stale ones behind. */
function takeGuest(ids: number[] | undefined, host: number, owner: Int32Array, home: Int32Array): number | undefined {
  for (let id = ids?.pop(); id !== undefined; id = ids!.pop()) if (owner[id] === host && home[id] !== host) return id
  return undefined
}

const ascending = (a: number, b: number): number => a - b
