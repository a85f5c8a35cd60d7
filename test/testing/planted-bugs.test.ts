// simulate() finds each of the planted bugs within its default schedules, and nothing to blame once the bug is mended.
import { SimulationError, simulate } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { type Bug, planted, type Service, type Topics, topics } from './planted.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

describe.each(Object.entries(planted))('a service that %s', (_, { play, options, finds }) => {
  const run = (pick: (bug: Bug) => Service): Promise<{ schedules: number }> =>
    simulate<Topics>({ topics, ...options }, world => play(world, pick))

  test('is found', async () => {
    const failure = await run(({ wrong }) => wrong).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(SimulationError)
    expect((failure as SimulationError).message.split('\nSee it again')[0]).toMatch(finds)
  })

  test('has nothing to be found once it is mended', async () => {
    expect(await run(({ right }) => right)).toMatchObject({ schedules: 200 })
  })
})
