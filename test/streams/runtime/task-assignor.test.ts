import type { Assignment, GroupMember, TopicPartition } from 'millrace'
import { assignorContract } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { taskAssignor } from '../../../src/streams/runtime/task-assignor.js'

const member = (memberId: string, topics: readonly string[], owned: readonly TopicPartition[] = []): GroupMember => ({
  memberId,
  topics,
  owned,
})
const ids = (assignment: Assignment): Record<string, string[]> =>
  Object.fromEntries(
    [...assignment].map(([id, list]) => [id, list.map(({ topic, partition }) => `${topic}${partition}`)]),
  )
const again = (members: readonly GroupMember[], before: Assignment): GroupMember[] =>
  members.map(one => ({ ...one, owned: before.get(one.memberId) ?? [] }))

describe('the assignor of tasks', () => {
  const assignor = taskAssignor([['a', 'b'], ['c']])
  const topics = new Map([
    ['a', 3],
    ['b', 3],
    ['c', 3],
  ])

  test('gives the partitions of one number of a sub-topology to one member', () => {
    const found = assignor.assign([member('m1', ['a', 'b', 'c']), member('m2', ['a', 'b', 'c'])], topics)
    for (const partition of [0, 1, 2]) {
      const owners = [...found].filter(([, list]) =>
        list.some(entry => entry.topic !== 'c' && entry.partition === partition),
      )
      expect(owners).toHaveLength(1)
    }
    expect(Object.values(ids(found)).map(list => new Set(list.map(name => name.replace('b', 'a'))).size)).toEqual([
      3, 3,
    ])
  })

  test('gives a task what its narrower topics have: as many tasks as the widest has partitions', () => {
    const found = assignor.assign(
      [member('m1', ['a', 'b', 'c'])],
      new Map([
        ['a', 2],
        ['b', 1],
      ]),
    )
    expect(ids(found)).toEqual({ m1: ['a0', 'b0', 'a1'] })
  })

  test('leaves tasks where they are while a member comes or goes', () => {
    const names = ['a', 'b', 'c']
    const two = [member('m1', names), member('m2', names)]
    const first = assignor.assign(two, topics)
    const three = [...again(two, first), member('m3', names)]
    const second = assignor.assign(three, topics)
    for (const { memberId } of two)
      for (const kept of second.get(memberId)!) expect(first.get(memberId)).toContainEqual(kept)
    expect(Object.fromEntries([...second].map(([id, list]) => [id, new Set(list.map(taskOf)).size]))).toEqual({
      m1: 2,
      m2: 2,
      m3: 2,
    })
    const third = assignor.assign(again(three, second).slice(0, 2), topics)
    for (const { memberId } of two)
      for (const kept of second.get(memberId)!) expect(third.get(memberId)).toContainEqual(kept)
  })

  test('brings a task that was torn to pieces together where most of it was', () => {
    const torn = taskAssignor([['a', 'b', 'c']])
    const found = torn.assign(
      [
        member('m1', ['a', 'b', 'c'], [{ topic: 'a', partition: 0 }]),
        member(
          'm2',
          ['a', 'b', 'c'],
          [
            { topic: 'b', partition: 0 },
            { topic: 'c', partition: 0 },
          ],
        ),
      ],
      new Map([
        ['a', 1],
        ['b', 1],
        ['c', 1],
      ]),
    )
    expect(ids(found)).toEqual({ m1: [], m2: ['a0', 'b0', 'c0'] })
  })

  test('under random comings and goings: tasks whole, loads even, and none moves that need not', () => {
    let seed = 1
    const random = (n: number): number => {
      seed = (Math.imul(seed, 48_271) % 0x7fffffff) >>> 0
      return seed % n
    }
    for (let round = 0; round < 300; round++) {
      const names = ['a', 'b', 'c']
      const sizes = new Map(names.map(name => [name, 1 + random(7)]))
      const widest = Math.max(sizes.get('a')!, sizes.get('b')!)
      const tasks = widest + sizes.get('c')!
      let members = [member('m0', names)]
      let before = assignor.assign(members, sizes)
      for (let step = 1; step < 8; step++) {
        const joins = members.length === 1 || random(2) === 0
        const kept = again(members, before)
        members = joins ? [...kept, member(`m${step}`, names)] : kept.filter((_, i) => i !== step % kept.length)
        const after = assignor.assign(members, sizes)
        const loads = [...after.values()].map(list => new Set(list.map(taskOf)).size)
        expect([round, loads.reduce((sum, load) => sum + load, 0)]).toEqual([round, tasks])
        expect([round, Math.max(...loads) - Math.min(...loads) <= 1]).toEqual([round, true])
        // Who comes takes no more than its share; who goes leaves its own, and nothing else moves.
        const moved = new Set(
          [...after].flatMap(([id, list]) =>
            list
              .filter(
                ({ topic, partition }) =>
                  !before.get(id)?.some(entry => entry.topic === topic && entry.partition === partition),
              )
              .map(taskOf),
          ),
        )
        const gone = [...before].filter(([id]) => !members.some(({ memberId }) => memberId === id))
        const orphans = new Set(gone.flatMap(([, list]) => list.map(taskOf)))
        const newcomer = joins ? new Set(after.get(`m${step}`)!.map(taskOf)) : new Set()
        expect([round, step, [...moved].filter(task => !orphans.has(task) && !newcomer.has(task))]).toEqual([
          round,
          step,
          [],
        ])
        before = after
      }
    }
  })
})
const taskOf = ({ topic, partition }: TopicPartition): string => `${topic === 'c' ? 1 : 0}_${partition}`

// What every assignor owes its group, each topic of the contract's being a sub-topology of its own.
assignorContract(
  { describe, test },
  taskAssignor(['orders', 'payments', 'refunds', 'Audit', 'a10', 'a2', 'deleted'].map(topic => [topic])),
)
