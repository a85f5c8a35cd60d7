// Members against a small coordinator, over random schedules of joins, leaves, slow and lost requests and answers.
import { expect, test } from 'vitest'
import { type HeartbeatAnswer, type HeartbeatRequest, MemberState } from '../../src/kafka/member-state.js'
import { Coordinator, type Refusal } from './coordinator.js'

const partitions = 6
const sessionMs = 1_000

function randomBySeed(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

class Schedule {
  readonly coordinator = new Coordinator(partitions)
  readonly members: { id: string; state: MemberState; owned: Set<number>; heardAt: number; wantsIn: boolean }[]
  readonly random: () => number
  now = 0
  /** What happens when: requests that arrive, answers that arrive, losses that are noticed. */
  #due: { at: number; act: () => void }[] = []
  lossy = true

  constructor(seed: number) {
    this.random = randomBySeed(seed)
    this.members = Array.from({ length: 4 }, (_, i) => ({
      id: `member-${i}`,
      state: new MemberState(
        { topics: ['orders'], assignor: 'uniform', rebalanceTimeoutMs: 1_000, isStatic: false },
        this.random,
      ),
      owned: new Set<number>(),
      heardAt: 0,
      wantsIn: false,
    }))
  }

  later(ms: number, act: () => void): void {
    this.#due.push({ at: this.now + ms, act })
  }

  step(): void {
    this.now += 10
    this.coordinator.expire(this.now)
    const due = this.#due.filter(({ at }) => at <= this.now)
    this.#due = this.#due.filter(({ at }) => at > this.now)
    for (const { act } of due.sort((a, b) => a.at - b.at)) act()
    for (const member of this.members) {
      const request = member.state.request(this.now)
      if (request !== undefined) this.#send(member, request)
    }
    this.#checkOwners()
  }

  #send(member: Schedule['members'][number], request: HeartbeatRequest): void {
    const lost = this.lossy && this.random() < 0.1
    const answerLost = this.lossy && this.random() < 0.1
    const { state, id } = member
    if (lost) return this.later(300, () => state.failed(this.now))
    this.later(this.random() * 50, () => {
      const answer = this.coordinator.heartbeat(id, request, this.now)
      if (answerLost) return this.later(300, () => state.failed(this.now))
      this.later(this.random() * 50, () => this.#hear(member, answer))
    })
  }

  #hear(member: Schedule['members'][number], answer: HeartbeatAnswer | Refusal): void {
    const { state, owned } = member
    member.heardAt = this.now
    if (typeof answer === 'string') {
      state.fenced(this.now)
      if (state.phase === 'out') {
        owned.clear()
        if (member.wantsIn) state.join(this.now)
      }
      return
    }
    state.answered(answer, this.now)
    for (const { topicId, partitions } of state.missing) {
      for (const partition of partitions) {
        owned.add(partition)
        state.own(topicId, partition)
      }
    }
    const { topicId } = this.coordinator
    for (const partition of [...owned]) {
      if (state.phase !== 'member' || state.isAssigned(topicId, partition)) continue
      // It gives up when it is safe.
      this.later(this.random() * 100, () => {
        if (!owned.has(partition) || state.isAssigned(topicId, partition)) return
        owned.delete(partition)
        state.release(topicId, partition, this.now)
      })
    }
  }

  join(member: Schedule['members'][number]): void {
    member.wantsIn = true
    if (member.state.phase === 'out' || member.state.phase === 'leaving') member.state.join(this.now)
  }
  leave(member: Schedule['members'][number]): void {
    member.wantsIn = false
    member.owned.clear()
    member.state.leave(this.now)
  }

  /** Nobody who has been heard within the session owns what another such owns. */
  #checkOwners(): void {
    const owners = new Map<number, string>()
    for (const { id, owned, heardAt } of this.members) {
      if (this.now - heardAt > sessionMs - 300) continue
      for (const partition of owned) {
        const other = owners.get(partition)
        if (other !== undefined) throw new Error(`${other} and ${id} both own ${partition}`)
        owners.set(partition, id)
      }
    }
  }
}

test('over random schedules no partition has two owners, and in the end all is as the group wants it', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const schedule = new Schedule(seed)
    try {
      for (let i = 0; i < 600; i++) {
        if (schedule.random() < 0.02) {
          const member = schedule.members[Math.floor(schedule.random() * schedule.members.length)]!
          if (member.wantsIn) schedule.leave(member)
          else schedule.join(member)
        }
        schedule.step()
      }
      schedule.lossy = false
      for (let i = 0; i < 500; i++) schedule.step()
      const inside = schedule.members.filter(({ wantsIn }) => wantsIn)
      expect([...schedule.coordinator.members].sort()).toEqual(inside.map(({ id }) => id))
      for (const { id, owned, state } of inside) {
        expect([...owned].sort()).toEqual([...schedule.coordinator.targetOf(id)].sort())
        expect(state.settled).toBe(true)
      }
      if (inside.length > 0) expect(inside.reduce((sum, { owned }) => sum + owned.size, 0)).toBe(partitions)
    } catch (error) {
      throw new Error(`Seed ${seed}, at ${schedule.now} ms: ${(error as Error).message}`, { cause: error })
    }
  }
})
