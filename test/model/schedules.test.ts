import * as fc from 'fast-check'
import { type Assignor, Broker, rangeAssignor, roundRobinAssignor, stickyAssignor } from 'millrace'
import { describe, test } from 'vitest'
import { type Schedule, schedules, showSchedule } from './schedule.js'
import { type Open, play, type Setup } from './world.js'

// Random schedules against the reference model. More of them, or others:
//   MILLRACE_SCHEDULES=100000 MILLRACE_SEED=2 npx vitest run test/model
const total = Number(process.env['MILLRACE_SCHEDULES'] ?? 10_200)
const firstSeed = Number(process.env['MILLRACE_SEED'] ?? 1)

/** The host's turn of the event loop: all promises that can settle have. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const inMemory: Open = options => ({
  broker: new Broker<Record<string, number>>(options),
  drain: turn,
  immediate: true,
})

async function holds(setup: Setup, seed: number): Promise<void> {
  const property = fc.asyncProperty(schedules, schedule => play(schedule, setup))
  const found = await fc.check(property, { numRuns: Math.ceil(total / 6), seed })
  if (!found.failed) return
  const [schedule] = found.counterexample!
  throw new Error(
    await report(schedule, setup, `seed ${found.seed}, schedule ${found.numRuns}, path ${found.counterexamplePath}`),
  )
}

/** The shrunk schedule, and what happened in it. */
async function report(schedule: Schedule, setup: Setup, where: string): Promise<string> {
  const trace: string[] = []
  const error: unknown = await play(schedule, setup, trace).catch((thrown: unknown) => thrown)
  const { commitMode, assignor } = setup
  const story = trace.join('\n')
  return `${String(error)}\n${where}, ${commitMode}, ${assignor.name}\n\n${showSchedule(schedule)}\n\nWhat happened:\n${story}\n`
}

describe('every schedule keeps the rules of groups', () => {
  const assignors: readonly Assignor[] = [rangeAssignor, roundRobinAssignor, stickyAssignor]
  let seed = firstSeed
  for (const commitMode of ['autoCommit', 'manualCommit'] as const) {
    for (const assignor of assignors) {
      const mine = seed++
      test(`with ${commitMode} and the ${assignor.name} assignor`, { timeout: 600_000 }, () =>
        holds({ open: inMemory, commitMode, assignor }, mine),
      )
    }
  }
})
