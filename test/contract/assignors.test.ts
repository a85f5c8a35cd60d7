import { describe, expect, test } from 'vitest'
import type { Assignment, Assignor, GroupMember } from '../../src/core/assignors/assignor.js'
import { rangeAssignor } from '../../src/core/assignors/range.js'
import { roundRobinAssignor } from '../../src/core/assignors/round-robin.js'
import { stickyAssignor } from '../../src/core/assignors/sticky.js'
import type { TopicPartition } from '../../src/core/record.js'
import { assignorContract } from '../../src/testing/assignor-contract.js'
import { forbidHostTimers } from '../testing/support-host-timers.js'
import { collect, failures } from './collect.js'

forbidHostTimers()

for (const assignor of [rangeAssignor, roundRobinAssignor, stickyAssignor])
  assignorContract({ describe, test }, assignor)

/** Range, with its answer changed, or asked otherwise. */
const changed = (name: string, change: (answer: Map<string, TopicPartition[]>) => unknown): Assignor => ({
  name,
  assign(members, topics) {
    const answer = new Map([...rangeAssignor.assign(members, topics)].map(([id, list]) => [id, [...list]]))
    change(answer)
    return answer
  },
})
let calls = 0

describe('an assignor that breaks one rule is caught', () => {
  const [oneOwner, ownTopics, known, everyMember] = [
    'every partition of a wanted topic has exactly one owner',
    'a member gets partitions of its own topics only',
    'only partitions that exist are given out',
    'every member is in the answer, and nobody else',
  ] as const
  const broken: [Assignor, string][] = [
    [changed('leaves one out', answer => [...answer.values()].find(list => list.length > 0)?.pop()), oneOwner],
    [
      changed('gives one twice', answer => {
        const [first, second] = [...answer.values()]
        if (first?.[0] !== undefined) second?.push(first[0])
      }),
      oneOwner,
    ],
    [
      changed('mixes members up', answer => {
        const lists = [...answer.values()].reverse()
        for (const [i, id] of [...answer.keys()].entries()) answer.set(id, lists[i]!)
      }),
      ownTopics,
    ],
    [
      changed('counts from 1', answer => {
        for (const [id, list] of answer)
          answer.set(
            id,
            list.map(tp => ({ ...tp, partition: tp.partition + 1 })),
          )
      }),
      known,
    ],
    [
      changed('forgets members without partitions', answer => {
        for (const [id, list] of answer) if (list.length === 0) answer.delete(id)
      }),
      everyMember,
    ],
    [changed('invents a member', answer => answer.set('nobody', [])), 'a group without members gets an empty answer'],
    [allToTheFirst(), 'members that share one topic have counts that differ by one at most'],
    [allToTheFirst(), 'a new group of equal subscriptions shares each topic evenly'],
    [allToTheFirst(), 'with more members than partitions, as many as there are partitions get one'],
    [
      {
        name: 'goes by join order',
        assign: (members, topics) =>
          inTurn(
            members.map(m => m.memberId),
            members,
            topics,
          ),
      },
      'the order in which members joined does not matter',
    ],
    [
      {
        name: 'goes by the order of topics',
        assign: (members, topics) => inTurn(members.map(m => m.memberId).sort(), members, topics),
      },
      'the order of topics does not matter',
    ],
    [
      {
        name: 'remembers',
        assign(members, topics) {
          const answer = rangeAssignor.assign(members, topics)
          return calls++ % 2 === 0 ? answer : roundRobinAssignor.assign(members, topics)
        },
      },
      'the same members and topics get the same answer again',
    ],
    [
      {
        name: 'sorts in place',
        assign(members, topics) {
          ;(members as GroupMember[]).sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
          return rangeAssignor.assign(members, topics)
        },
      },
      'members and topics are not changed',
    ],
    [
      {
        name: 'trusts claims',
        assign: members => new Map(members.map(({ memberId, owned }) => [memberId, owned])),
      },
      'what a member claims to own may be stale',
    ],
    [
      {
        name: 'throws at a missing topic',
        assign(members, topics) {
          for (const topic of members.flatMap(m => m.topics)) if (!topics.has(topic)) throw new Error(`no ${topic}`)
          return rangeAssignor.assign(members, topics)
        },
      },
      'a topic that does not exist is passed over',
    ],
  ]
  test.each(broken)('$name', async (assignor, title) => {
    expect([...(await failures(runner => assignorContract(runner, assignor))).keys()]).toContain(title)
  })
})

test('a failure names the seed, the group and the answer', async () => {
  const failed = await failures(runner => assignorContract(runner, allToTheFirst()))
  const message = failed.get('members that share one topic have counts that differ by one at most')
  expect(message).toMatch(/^the counts are [\d,]+$/m)
  expect(message).toMatch(/^topics: orders \(\d+\)$/m)
  expect(message).toMatch(/^member .* wants orders, owned .*$/m)
  expect(message).toMatch(/^answer:\n {2}.*: .*orders-0/m)
  expect(message).toMatch(/^\(random case of seed \d+\)$/m)
})

describe('an exception', () => {
  const title = 'with more members than partitions, as many as there are partitions get one'

  test('excuses a claim that does not hold', async () => {
    const exceptions = Object.fromEntries(
      [...(await failures(runner => assignorContract(runner, allToTheFirst()))).keys()].map(each => [each, 'a leader']),
    )
    expect(exceptions).toHaveProperty(title)
    expect(await failures(runner => assignorContract(runner, allToTheFirst(), { exceptions }))).toEqual(new Map())
    expect([...collect(runner => assignorContract(runner, allToTheFirst(), { exceptions })).keys()]).toContain(
      `${title} (not so: a leader)`,
    )
  })

  test('fails when the claim holds', async () => {
    const failed = await failures(runner =>
      assignorContract(runner, rangeAssignor, { exceptions: { [title]: 'a leader' } }),
    )
    expect([...failed]).toEqual([
      [`${title} (not so: a leader)`, `"${title}" holds: remove the exception to it ("a leader")`],
    ])
  })

  test('to a claim that there is not is an error, which lists those there are', () => {
    const define = (): unknown =>
      collect(runner => assignorContract(runner, rangeAssignor, { exceptions: { 'is fast': 'it is not' } }))
    expect(define).toThrow(/^assignor range makes no claim "is fast"; it claims:\n/)
    expect(define).toThrow(title)
  })
})

function allToTheFirst(): Assignor {
  return {
    name: 'all to the first',
    assign(members, topics) {
      const ids = members.map(({ memberId }) => memberId).sort()
      const answer = new Map<string, TopicPartition[]>(ids.map(id => [id, []]))
      for (const [topic, partitions] of topics) {
        const first = ids.find(id => members.some(m => m.memberId === id && m.topics.includes(topic)))
        for (let partition = 0; partition < partitions; partition++)
          if (first !== undefined) answer.get(first)!.push({ topic, partition })
      }
      return answer
    },
  }
}

/** Partitions in the order of the map, to those of these members that want them, in turn. */
function inTurn(
  ids: readonly string[],
  members: readonly GroupMember[],
  topics: ReadonlyMap<string, number>,
): Assignment {
  const answer = new Map<string, TopicPartition[]>(ids.map(id => [id, []]))
  let turn = 0
  for (const [topic, partitions] of topics) {
    const wanting = ids.filter(id => members.some(m => m.memberId === id && m.topics.includes(topic)))
    for (let partition = 0; partition < partitions && wanting.length > 0; partition++)
      answer.get(wanting[turn++ % wanting.length]!)!.push({ topic, partition })
  }
  return answer
}
