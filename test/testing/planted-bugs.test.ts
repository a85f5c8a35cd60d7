// simulate() finds each of the planted bugs within its default schedules, and nothing to blame once the bug is mended.
import type { TopicOptions } from 'millrace'
import { SimulationError, simulate } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { type Bug, type Planted, planted, type Service, topics } from './planted.js'
import { plantedServices, serviceTopics } from './planted-services.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

look(planted, topics)
look(plantedServices, serviceTopics)

function look<T extends object>(
  bugs: Record<string, Planted<T>>,
  topics: { readonly [N in keyof T]?: TopicOptions<T[N]> },
): void {
  describe.each(Object.entries(bugs))('a service that %s', (_, { play, options, finds }) => {
    const run = (pick: (bug: Bug<T>) => Service<T>, seed = 1): Promise<{ schedules: number }> =>
      simulate<T>({ topics, ...options, seed }, world => play(world, pick))

    test('is found', async () => {
      const failure = await run(({ wrong }) => wrong).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(SimulationError)
      expect((failure as SimulationError).message.split('\nSee it again')[0]).toMatch(finds)
      expect((failure as SimulationError).message).not.toContain('Beware')
    })

    // By luck alone once, but not three times.
    test.each([1_001, 2_001])('is found from seed %i on as well', async seed => {
      await expect(run(({ wrong }) => wrong, seed)).rejects.toThrow(SimulationError)
    })

    test('has nothing to be found once it is mended', async () => {
      expect(await run(({ right }) => right)).toMatchObject({ schedules: 200 })
    })
  })
}
