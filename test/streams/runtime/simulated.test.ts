import { simulate } from 'millrace/testing'
import { expect, test } from 'vitest'
import { Instance } from '../../../src/streams/runtime/instance.js'
import { countApplication, countPlan } from './fake-application.js'

test('three instances, killed at random: every effect shows exactly once', async () => {
  const result = await simulate<Record<string, any>>(
    { topics: { in: { partitions: 3 }, out: { partitions: 3 } }, schedules: 200 },
    world => {
      world.service(
        'app',
        broker =>
          new Instance(countApplication('app', countPlan(), {}), {
            broker,
            onError: undefined,
            deadLetter: undefined,
            maxPollRecords: 5,
          }).run(undefined),
        { copies: 3 },
      )
      world.step(
        i => {
          world.broker.topic('in').publish({ key: `k${i % 4}`, value: i })
        },
        { times: 20 },
      )
      world.eventually(() => {
        const sequences: Record<string, number[]> = {}
        for (const { key, value } of world.broker.published('out'))
          sequences[key!] = [...(sequences[key!] ?? []), value]
        const upTo = [1, 2, 3, 4, 5]
        expect(sequences).toEqual({ k0: upTo, k1: upTo, k2: upTo, k3: upTo })
      })
    },
  )
  expect(result.crashes).toBeGreaterThan(100)
}, 60_000)
