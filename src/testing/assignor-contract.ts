import type { Assignment, Assignor, GroupMember, TopicPartition } from '../index.js'
import { type ContractOptions, check, defineContract, forEachSeed, type Random, type Runner, refuse } from './runner.js'

/**
 * Defines, with the runner's own functions, the tests that every assignor must pass: Kafka's and one's own.
 *
 * `exceptions` takes the titles of claims that do not hold, each with the reason; such a test must fail.
 */
export function assignorContract(runner: Runner, assignor: Assignor, options?: ContractOptions): void {
  if (typeof (assignor as Partial<Assignor> | null | undefined)?.assign !== 'function')
    refuse('assignor', assignor, 'an assignor')
  const everyCase = (claim: (input: Input, assignment: Assignment) => void, make = anyInput): (() => void) => {
    return () =>
      forEachSeed(random => {
        const input = make(random)
        claim(input, assign(assignor, input))
      })
  }

  defineContract(
    runner,
    `assignor ${assignor.name}`,
    {
      'every partition of a wanted topic has exactly one owner': everyCase(everyPartitionHasOneOwner),
      'a member gets partitions of its own topics only': everyCase(onlyOwnTopics),
      'only partitions that exist are given out': everyCase(onlyKnownPartitions),
      'every member is in the answer, and nobody else': everyCase(everyMemberIsThere),
      'members that ask for nothing get nothing': () => {
        const idle = { memberId: 'idle', topics: [], owned: [] }
        const input = inputOf([idle, member('busy', ['orders'])], { orders: 4 })
        const given = assign(assignor, input).get('idle')
        check(given?.length === 0, () => told('idle asked for nothing and got something', input))
      },
      'a group without members gets an empty answer': () => {
        const input = inputOf([], { orders: 4 })
        check(assign(assignor, input).size === 0, () => told('there are no members, but an answer', input))
      },
      'without topics everyone gets nothing': () => {
        const input = inputOf([member('a', ['orders']), member('b', ['payments'])], {})
        const assignment = assign(assignor, input)
        everyMemberIsThere(input, assignment)
        for (const list of assignment.values())
          check(list.length === 0, () => told('there are no topics, but an answer', input, assignment))
      },
      'a topic that does not exist is passed over': () => {
        const input = inputOf([member('a', ['missing', 'orders']), member('b', ['orders', 'missing'])], { orders: 4 })
        const assignment = assign(assignor, input)
        everyPartitionHasOneOwner(input, assignment)
        onlyKnownPartitions(input, assignment)
      },
      'members that share one topic have counts that differ by one at most': everyCase((input, assignment) => {
        evenCounts(input, assignment, list => list.length)
      }, oneSharedTopic),
      'a new group of equal subscriptions shares each topic evenly': everyCase((input, assignment) => {
        for (const topic of input.topics.keys())
          evenCounts(input, assignment, list => list.filter(owned => owned.topic === topic).length)
      }, newGroupOfEquals),
      'with more members than partitions, as many as there are partitions get one': () => {
        const names = ['a', 'b', 'c', 'd', 'e']
        const input = inputOf(
          names.map(name => member(name, ['orders'])),
          { orders: 3 },
        )
        const counts = [...assign(assignor, input).values()].map(list => list.length).sort()
        check(counts.join() === '0,0,1,1,1', () => told(`the counts are ${counts.join()}`, input))
      },
      'what a member claims to own may be stale': everyCase((input, assignment) => {
        everyPartitionHasOneOwner(input, assignment)
        onlyOwnTopics(input, assignment)
        onlyKnownPartitions(input, assignment)
      }, staleClaims),
      'the order in which members joined does not matter': () =>
        forEachSeed(random => {
          const input = anyInput(random)
          sameAnswer(assignor, input, { ...input, members: random.shuffled(input.members) })
        }),
      'the order of topics does not matter': () =>
        forEachSeed(random => {
          const input = anyInput(random)
          const members = input.members.map(each => ({ ...each, topics: random.shuffled(each.topics) }))
          sameAnswer(assignor, input, { members, topics: new Map(random.shuffled([...input.topics])) })
        }),
      'the same members and topics get the same answer again': () =>
        forEachSeed(random => {
          const input = anyInput(random)
          sameAnswer(assignor, input, input)
        }),
      'members and topics are not changed': () =>
        forEachSeed(random => {
          const input = frozen(anyInput(random))
          const before = JSON.stringify([...input.topics])
          assign(assignor, input)
          check(JSON.stringify([...input.topics]) === before, () => told('the map of topics was changed', input))
        }),
    },
    options,
  )
}

interface Input {
  readonly members: readonly GroupMember[]
  readonly topics: ReadonlyMap<string, number>
}

function inputOf(members: readonly GroupMember[], topics: Record<string, number>): Input {
  return { members, topics: new Map(Object.entries(topics)) }
}

function member(memberId: string, topics: readonly string[], owned: readonly TopicPartition[] = []): GroupMember {
  return { memberId, topics, owned }
}

// ── random cases ──────────────────────────────────────────────────────────────────────────────────

const topicNames = ['orders', 'payments', 'refunds', 'Audit', 'a10', 'a2']

/** Differing subscriptions, static members, topics that are missing, and what a rebalance before may have left. */
function anyInput(random: Random): Input {
  const topics = someTopics(random)
  const members = someMembers(random, () => random.some(topicNames))
  return { members: owning(random, members, topics), topics }
}

function oneSharedTopic(random: Random): Input {
  const topics = new Map([['orders', random.below(12)]])
  return {
    members: owning(
      random,
      someMembers(random, () => ['orders']),
      topics,
    ),
    topics,
  }
}

function newGroupOfEquals(random: Random): Input {
  const topics = someTopics(random)
  return { members: someMembers(random, () => [...topics.keys()]), topics }
}

/** Partitions of topics that are gone or never were wanted, of numbers that are not there, and claimed by several. */
function staleClaims(random: Random): Input {
  const topics = someTopics(random)
  const members = someMembers(random, () => random.some(topicNames)).map(each => ({
    ...each,
    owned: random
      .some([...topicNames, 'deleted'])
      .flatMap(topic => [0, 1, 99].map(partition => ({ topic, partition })))
      .filter(() => random.below(2) === 0),
  }))
  return { members, topics }
}

function someTopics(random: Random): ReadonlyMap<string, number> {
  return new Map(random.shuffled(random.some(topicNames)).map(topic => [topic, 1 + random.below(9)]))
}

function someMembers(random: Random, topics: () => readonly string[]): GroupMember[] {
  // Numbers without padding, and both cases: a sort that is not by code units shows.
  const names = random.shuffled(['b-2', 'b-10', 'B-1', 'é-1', 'z-1', 'a-1', 'm-3']).slice(random.below(7))
  return names.map((memberId, i) => {
    const known = member(memberId, topics())
    return random.below(3) === 0 ? { ...known, instanceId: `worker-${10 - i}` } : known
  })
}

/** Each partition with an owner of before, or none; who owned it may have left, or want other topics now. */
function owning(random: Random, members: readonly GroupMember[], topics: ReadonlyMap<string, number>): GroupMember[] {
  const owned = members.map((): TopicPartition[] => [])
  for (const [topic, partitions] of topics)
    for (let partition = 0; partition < partitions; partition++)
      owned[random.below(members.length + 1)]?.push({ topic, partition })
  return members.map((each, i) => ({ ...each, owned: owned[i]! }))
}

function frozen({ members, topics }: Input): Input {
  return {
    members: Object.freeze(
      members.map(each =>
        Object.freeze({
          ...each,
          topics: Object.freeze([...each.topics]),
          owned: Object.freeze(each.owned.map(owned => Object.freeze({ ...owned }))),
        }),
      ),
    ),
    topics: new Map(topics),
  }
}

// ── claims ────────────────────────────────────────────────────────────────────────────────────────

function assign(assignor: Assignor, { members, topics }: Input): Assignment {
  return assignor.assign(members, topics)
}

function everyPartitionHasOneOwner(input: Input, assignment: Assignment): void {
  const owners = new Map<string, string>()
  for (const [memberId, list] of assignment) {
    for (const owned of list) {
      const other = owners.get(nameOf(owned))
      check(other === undefined, () =>
        told(`${nameOf(owned)} went to both ${other} and ${memberId}`, input, assignment),
      )
      owners.set(nameOf(owned), memberId)
    }
  }
  const wanted = new Set(input.members.flatMap(({ topics }) => topics))
  for (const [topic, partitions] of input.topics)
    for (let partition = 0; wanted.has(topic) && partition < partitions; partition++)
      check(owners.has(nameOf({ topic, partition })), () =>
        told(`${nameOf({ topic, partition })} went to nobody`, input, assignment),
      )
}

function onlyOwnTopics(input: Input, assignment: Assignment): void {
  for (const { memberId, topics } of input.members)
    for (const owned of assignment.get(memberId) ?? [])
      check(topics.includes(owned.topic), () =>
        told(`${nameOf(owned)} went to ${memberId}, which did not ask for its topic`, input, assignment),
      )
}

function onlyKnownPartitions(input: Input, assignment: Assignment): void {
  for (const [memberId, list] of assignment)
    for (const owned of list)
      check(
        Number.isInteger(owned.partition) &&
          owned.partition >= 0 &&
          owned.partition < (input.topics.get(owned.topic) ?? 0),
        () => told(`${nameOf(owned)}, given to ${memberId}, does not exist`, input, assignment),
      )
}

function everyMemberIsThere(input: Input, assignment: Assignment): void {
  for (const { memberId } of input.members)
    check(assignment.has(memberId), () => told(`${memberId} is missing in the answer`, input, assignment))
  check(assignment.size === input.members.length, () =>
    told(`the answer has ${assignment.size} members`, input, assignment),
  )
}

function evenCounts(input: Input, assignment: Assignment, count: (list: readonly TopicPartition[]) => number): void {
  const counts = input.members.map(({ memberId }) => count(assignment.get(memberId) ?? []))
  check(counts.length === 0 || Math.max(...counts) - Math.min(...counts) <= 1, () =>
    told(`the counts are ${counts.join()}`, input, assignment),
  )
}

function sameAnswer(assignor: Assignor, one: Input, other: Input): void {
  const first = assign(assignor, one)
  const second = assign(assignor, other)
  check(shown(first) === shown(second), () => `${told('one answer', one, first)}\n${told('the other', other, second)}`)
}

// ── messages ──────────────────────────────────────────────────────────────────────────────────────

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`

/** What went wrong, on what input, and what the assignor answered. */
function told(what: string, { members, topics }: Input, assignment?: Assignment): string {
  return [
    what,
    `topics: ${[...topics].map(([topic, partitions]) => `${topic} (${partitions})`).join(', ') || 'none'}`,
    ...members.map(
      ({ memberId, instanceId, topics: wanted, owned }) =>
        `member ${memberId}${instanceId === undefined ? '' : ` (${instanceId})`} wants ${wanted.join(', ') || 'nothing'}, owned ${owned.map(nameOf).join(' ') || 'nothing'}`,
    ),
    ...(assignment === undefined ? [] : [`answer:\n${shown(assignment)}`]),
  ].join('\n')
}

/** The same text for the same partitions of the same members, in whatever order. */
function shown(assignment: Assignment): string {
  return [...assignment]
    .map(([memberId, list]) => `  ${memberId}: ${list.map(nameOf).sort().join(' ')}`)
    .sort()
    .join('\n')
}
