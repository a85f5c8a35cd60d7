import { readFile } from 'node:fs/promises'
import type { Broker, Consumer } from 'millrace'
import { type History, SimulationError, type SimulationOptions, simulate, type World } from 'millrace/testing'
import { describe, expect, test, vi } from 'vitest'
import { never, rejection, thrown, turn } from './support.js'
import { forbidHostTimers } from './support-host-timers.js'

forbidHostTimers()

interface Topics {
  jobs: number
  results: number
}
type W = World<Topics, string>

const topics = { jobs: { partitions: 2 }, results: {} }
/** At-least-once, as it should be. */
const worker = (broker: Broker<Topics>): Promise<void> =>
  broker
    .group('workers', { topics: 'jobs', commitMode: 'manualCommit' })
    .join()
    .run(async ({ key, value }, { commit }) => {
      await broker.topic('results').publish({ key, value })
      await commit()
    })
const publish = (world: W, times = 5): void =>
  world.step(value => world.broker.topic('jobs').publish({ key: `k${value % 3}`, value }), { times })
const results = (world: W): number[] => world.broker.published('results').map(({ value }) => value)
const run = (options: Partial<SimulationOptions<Topics>>, scenario: (world: W) => void | Promise<void>) =>
  simulate<Topics>({ topics, ...options }, scenario)
/** The failure that a simulation ends with. */
async function failureOf(simulated: Promise<unknown>): Promise<SimulationError> {
  const error = await rejection(simulated)
  expect(error).toBeInstanceOf(SimulationError)
  return error as SimulationError
}
/** The history of one schedule that does not fail. */
async function historyOf(
  options: Partial<SimulationOptions<Topics>>,
  scenario: (world: W) => void,
): Promise<{ history: History; text: string }> {
  let history: History | undefined
  await run({ schedules: 1, ...options }, world => {
    scenario(world)
    world.eventually(() => {
      history = world.broker.history
    })
  })
  return { history: history!, text: String(history) }
}
const once = (world: W): void => {
  world.service('worker', worker)
  publish(world)
}

describe('a simulation', () => {
  test('plays its scenario anew in each schedule, each in a world of its own', async () => {
    const brokers = new Set<unknown>()
    const times: number[] = []
    const report = await run({ schedules: 7 }, world => {
      brokers.add(world.broker)
      times.push(world.broker.clock.now(), world.broker.history.length)
      once(world)
    })
    expect(brokers.size).toBe(7)
    expect(times).toEqual(Array(14).fill(0))
    expect(report).toMatchObject({ schedules: 7, steps: expect.any(Number), crashes: expect.any(Number) })
  })

  test('has 200 schedules, and crashes, unless told otherwise', async () => {
    let schedules = 0
    const report = await run({}, world => {
      schedules++
      once(world)
    })
    expect([schedules, report.schedules]).toEqual([200, 200])
    // About one in fifty steps.
    expect(report.crashes / report.steps).toBeGreaterThan(0.005)
    expect(report.crashes / report.steps).toBeLessThan(0.04)
  })

  test('waits for a scenario that takes time to set up', async () => {
    const seen: number[] = []
    await run({ schedules: 2 }, async world => {
      await Promise.resolve()
      once(world)
      world.eventually(() => void seen.push(new Set(results(world)).size))
    })
    expect(seen).toEqual([5, 5])
  })

  test('takes the steps of the outside in their order, each once the one before has ended', async () => {
    await run({ schedules: 50, crashRate: 0.1 }, world => {
      const taken: string[] = []
      world.service('worker', worker)
      world.step(
        async i => {
          taken.push(`a${i}`)
          await world.broker.next('results', ({ value }) => value === i || i > 0).catch(() => {})
          taken.push(`a${i} done`)
        },
        { times: 1 },
      )
      world.step(i => void taken.push(`b${i}`), { times: 3 })
      world.eventually(() => expect(taken).toEqual(['a0', 'a0 done', 'b0', 'b1', 'b2']))
    })
  })

  test('looks at what always holds after every step, and at what is to come once all is at rest', async () => {
    let always = 0
    const { steps, schedules } = await run({ schedules: 20 }, world => {
      once(world)
      world.always(() => void always++)
      world.eventually(() => expect(new Set(results(world)).size).toBe(5))
    })
    expect(always).toBe(steps - schedules) // the last of each finds nothing left to do
  })

  test('names the processes of a service, its copies, and who comes after', async () => {
    const names = new Set<string>()
    await run({ schedules: 20, crashRate: 0.1 }, world => {
      world.service('single', worker)
      world.service('pair', worker, { copies: 2 })
      publish(world)
      world.eventually(() => {
        for (const { process } of world.broker.history) if (process !== undefined) names.add(process)
      })
    })
    expect([...names]).toEqual(expect.arrayContaining(['single', 'single (2)', 'pair-1', 'pair-2', 'pair-1 (2)']))
  })

  test('has chance of its own, by the seed', async () => {
    const draws = async (seed: number): Promise<number[]> => {
      const drawn: number[] = []
      await run({ seed, schedules: 1 }, world => {
        for (let i = 0; i < 50; i++) drawn.push(world.random())
        once(world)
      })
      return drawn
    }
    const drawn = await draws(4)
    expect(await draws(4)).toEqual(drawn)
    expect(await draws(5)).not.toEqual(drawn)
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...drawn)).toBeLessThan(1)
    expect(new Set(drawn).size).toBe(50)
  })

  test('gives one history for one seed, and others for others', async () => {
    const texts = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) {
      const { text } = await historyOf({ seed, faultRate: 0.05 }, once)
      expect((await historyOf({ seed, faultRate: 0.05 }, once)).text).toBe(text)
      texts.add(text)
    }
    expect(texts.size).toBe(20)
  })

  test('goes on with seed after seed', async () => {
    const placed: number[] = []
    await run({ seed: 10, schedules: 3 }, world => {
      placed.push(world.random())
      once(world)
    })
    for (const seed of [10, 11, 12])
      await run({ seed, schedules: 1 }, world => {
        placed.push(world.random())
        once(world)
      })
    expect(placed.slice(3)).toEqual(placed.slice(0, 3))
  })
})

describe('what goes wrong', () => {
  test('at a rate of 0 nobody is killed and nothing fails', async () => {
    const kinds = new Set<string>()
    const { crashes } = await run({ schedules: 50, crashRate: 0 }, world => {
      once(world)
      world.eventually(() => {
        for (const { fault } of world.broker.history.of('fault')) kinds.add(fault)
        expect(results(world)).toHaveLength(5)
      })
    })
    expect(crashes).toBe(0)
    expect([...kinds]).toEqual([])
  })

  test('at a rate of 1 everybody is killed at every step, until the outside is done', async () => {
    const { crashes } = await run({ schedules: 5, crashRate: 1 }, world => {
      once(world)
      world.eventually(() => expect(new Set(results(world)).size).toBe(5))
    })
    expect(crashes).toBeGreaterThan(50)
  })

  test('operations fail, are late, or lose their answers', async () => {
    const kinds = new Set<string>()
    await run({ schedules: 200, faultRate: 0.2, crashRate: 0 }, world => {
      world.service('worker', worker)
      world.service(
        'pair',
        broker =>
          broker
            .group('pair', { topics: 'jobs', commitMode: 'manualCommit' })
            .join({ onAssigned: () => {}, onRevoked: () => {} })
            .run((_, { commit }) => commit(), { retry: { attempts: 3 } }),
        { copies: 2 },
      )
      publish(world)
      world.eventually(() => {
        for (const { fault } of world.broker.history.of('fault')) kinds.add(fault.replace(/\d+/, 'some'))
        expect(new Set(results(world)).size).toBe(5)
      })
    })
    for (const operation of ['poll', 'handle', 'assign', 'publish', 'commit'])
      expect(kinds).toContain(`fail ${operation}`)
    for (const operation of ['poll', 'handle', 'revoke']) expect(kinds).toContain(`delay by some ms ${operation}`)
    for (const operation of ['publish', 'commit']) expect(kinds).toContain(`lose the answer of ${operation}`)
    for (const operation of ['publish', 'commit', 'assign'])
      expect(kinds).toContain(`delay by some ms the answer of ${operation}`)
  })

  test('faults of the test itself are met as well', async () => {
    await run({ schedules: 20, crashRate: 0 }, world => {
      once(world)
      const fault = world.broker.faults.delay('commit', { ms: 50 })
      world.eventually(() => {
        expect(fault.met).toHaveLength(1)
        expect(world.broker.clock.now()).toBeGreaterThanOrEqual(50)
        expect(new Set(results(world)).size).toBe(5)
      })
    })
  })

  test('nobody is killed any more once the outside is done for a while, and the rest is finished', async () => {
    await run({ schedules: 50, crashRate: 0.3 }, world => {
      world.service('worker', worker, { copies: 3 })
      publish(world)
      world.eventually(() => expect(new Set(results(world)).size).toBe(5))
    })
  })

  test('without faults a service that fails has been found out', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('fragile', broker =>
          broker
            .group('g', { topics: 'jobs' })
            .join()
            .run(({ value }) => {
              if (value === 3) throw new Error('I do not like 3')
            }),
        )
        publish(world)
      }),
    )
    expect(failure.message).toMatch(/^The schedule of seed 1 fails: service fragile: The handler failed on jobs-/)
    expect(failure.message).toContain('\ncaused by Error: I do not like 3\n')
    expect(failure.cause).toMatchObject({ code: 'HANDLER_FAILED' })
  })

  test.each<[string, (broker: Broker<Topics>) => unknown, RegExp]>([
    [
      'throws as it starts',
      () => {
        throw new Error('no config')
      },
      /service bad: no config/,
    ],
    ['rejects', () => Promise.reject(new Error('no config')), /service bad: no config/],
    [
      'throws in a timer',
      ({ clock }) =>
        void clock.setTimeout(() => {
          throw new Error('tick')
        }, 5),
      /a timer of service bad: tick/,
    ],
  ])('so has one that %s', async (_, start, expected) => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('bad', start)
        world.step(() => {})
      }),
    )
    expect(failure.message).toMatch(expected)
  })

  test('with faults it is started again, as a supervisor would', async () => {
    let starts = 0
    await run({ schedules: 20, faultRate: 0.2, crashRate: 0 }, world => {
      world.service('worker', broker => {
        starts++
        return worker(broker)
      })
      publish(world)
      world.eventually(() => expect(new Set(results(world)).size).toBe(5))
    })
    expect(starts).toBeGreaterThan(20)
  })
})

describe('a killed process', () => {
  test('is dead: nothing that it waits for comes', async () => {
    const after: string[] = []
    const says =
      (what: string, isDead: () => boolean) =>
      (_: unknown): void => {
        if (isDead()) after.push(what)
      }
    await run({ schedules: 100, crashRate: 0.1 }, world => {
      world.service('worker', async broker => {
        const isDead = (): boolean => (broker as unknown as { crashed: boolean }).crashed
        const group = broker.group('g', { topics: 'jobs', commitMode: 'manualCommit' })
        const looping = broker.group('loop', { topics: 'jobs' }).join()
        const running = broker.group('run', { topics: 'jobs' }).join()
        const consumer = group.join({ onAssigned: says('a callback', isDead), onRevoked: says('a callback', isDead) })
        const watched = (what: string, promise: Promise<unknown>): void =>
          void promise.then(says(what, isDead), says(`the failure of ${what}`, isDead))
        watched('ready()', consumer.ready())
        watched('caughtUp()', group.caughtUp() as Promise<void>)
        watched('a run', running.run(says('a handler', isDead)))
        watched(
          'a reading',
          (async () => {
            for await (const _ of broker.topic('jobs').read()) says('a record that was read', isDead)(_)
          })(),
        )
        watched(
          'a loop',
          (async () => {
            for await (const _ of looping) says('a record of a loop', isDead)(_)
          })(),
        )
        watched(
          'a poll loop',
          (async () => {
            for (;;) {
              const records = await consumer.poll({ timeoutMs: 500 })
              says('a poll', isDead)(records)
              watched('a publish', broker.topic('results').publish({ value: 1 }) as Promise<unknown>)
              const committed = consumer.commit(records)
              watched('a commit', committed)
              await committed
            }
          })(),
        )
        broker.clock.setTimeout(() => says('a timer', isDead)(0), 3)
      })
      publish(world)
    })
    expect(after).toEqual([])
  })

  test('takes along what it has published and not yet sent, and the answers that it waits for', async () => {
    const seen = new Set<string>()
    await run({ schedules: 100, crashRate: 0.1 }, world => {
      let told = 0
      let asked = 0
      world.service('publisher', async broker => {
        asked++
        await broker.topic('results').publish({ value: 1 })
        told++
        await never()
      })
      world.step(() => {})
      world.eventually(() => {
        const written = results(world).length
        expect(asked).toBeGreaterThanOrEqual(written)
        expect(written).toBeGreaterThanOrEqual(told)
        if (asked > written) seen.add('lost on its way')
        if (written > told) seen.add('its answer lost on the way back')
      })
    })
    expect([...seen].sort()).toEqual(['its answer lost on the way back', 'lost on its way'])
  })

  test('may die between what its commit has done and what it does then', async () => {
    let between = 0
    await run({ schedules: 100, crashRate: 0.05 }, world => {
      let committed = 0
      world.service('worker', broker =>
        broker
          .group('workers', { topics: 'jobs', commitMode: 'manualCommit' })
          .join()
          .run(async (_, { commit }) => {
            await commit()
            committed++
          }),
      )
      publish(world)
      world.eventually(() => {
        const moved = world.broker.history.of('committed').length
        expect(moved).toBeGreaterThanOrEqual(committed)
        between += moved - committed
      })
    })
    expect(between).toBeGreaterThan(0)
  })

  test('stays away for a while sometimes, and others take over', async () => {
    let takeovers = 0
    await run({ schedules: 50, crashRate: 0.05 }, world => {
      world.service('worker', worker, { copies: 2 })
      publish(world, 10)
      world.eventually(() => {
        for (const { partitions } of world.broker.history.of('assigned')) if (partitions.length === 1) takeovers++
      })
    })
    expect(takeovers).toBeGreaterThan(50)
  })
})

describe('the order', () => {
  test('in which a process publishes is kept, awaited or not', async () => {
    await run({ schedules: 100, crashRate: 0, faultRate: 0 }, world => {
      for (const name of ['a', 'b'])
        world.service(name, broker => {
          for (let value = 0; value < 5; value++) void broker.topic('results').publish({ key: name, value })
          return broker.topic('results').publishAll([5, 6].map(value => ({ key: name, value })))
        })
      world.step(() => {})
      world.eventually(() => {
        for (const name of ['a', 'b'])
          expect(
            world.broker
              .published('results')
              .filter(({ key }) => key === name)
              .map(({ value }) => value),
          ).toEqual([0, 1, 2, 3, 4, 5, 6])
      })
    })
  })

  test('between processes is not', async () => {
    const orders = new Set<string>()
    await run({ schedules: 50, crashRate: 0 }, world => {
      for (const key of ['a', 'b']) world.service(key, broker => broker.topic('results').publish({ key, value: 1 }))
      world.step(() => {})
      world.eventually(() => {
        orders.add(
          world.broker
            .published('results')
            .map(({ key }) => key)
            .join(''),
        )
      })
    })
    expect([...orders].sort()).toEqual(['ab', 'ba'])
  })

  test('in which a member commits is kept, awaited or not', async () => {
    await run({ schedules: 100, crashRate: 0, faultRate: 0.1 }, world => {
      world.service('worker', async broker => {
        const consumer = broker.group('g', { topics: 'results', commitMode: 'manualCommit' }).join()
        await consumer.ready()
        const commits = [1, 2, 3].map(nextOffset => consumer.commit([{ topic: 'results', partition: 0, nextOffset }]))
        await Promise.allSettled(commits)
        await never()
      })
      world.step(() => {}, { times: 3 })
      world.eventually(() => {
        const offsets = world.broker.history.of('committed').map(event => event.offsets[0]!.nextOffset)
        expect(offsets).toEqual([...offsets].sort())
      })
    })
  })

  test('in which answers arrive is not that of the questions', async () => {
    let crossed = 0
    await run({ schedules: 50, crashRate: 0 }, world => {
      const answered: number[] = []
      world.service('publisher', broker =>
        Promise.all(
          [0, 1, 2].map(async value => {
            await broker.topic('results').publish({ value })
            answered.push(value)
          }),
        ),
      )
      world.step(() => {})
      world.eventually(() => {
        if (answered.join() !== '0,1,2') crossed++
      })
    })
    expect(crossed).toBeGreaterThan(0)
  })

  test('what is to be published is what it was when it was published', async () => {
    await run({ schedules: 20, crashRate: 0 }, world => {
      world.service('publisher', broker => {
        const record = { key: 'k', value: 1 }
        void broker.topic('results').publish(record)
        const records = [{ key: 'k', value: 2 }]
        void broker.topic('results').publishAll(records)
        record.value = 7
        records.push({ key: 'k', value: 8 })
      })
      world.step(() => {})
      world.eventually(() => expect(results(world)).toEqual([1, 2]))
    })
  })
})

describe('what a service may rely on', () => {
  test('is that onAssigned begins with what it names: a seek there is never refused', async () => {
    await run({ crashRate: 0.05 }, world => {
      const rows = [0, 1].map(() => ({ sum: 0, next: 0 })) // in another system, each written at once
      world.service(
        'worker',
        broker =>
          broker
            .group('g', { topics: 'jobs', commitMode: 'manualCommit' })
            .join({
              onAssigned: (partitions, consumer) => {
                for (const { partition } of partitions) consumer.seek('jobs', partition, rows[partition]!.next)
              },
            })
            .run(async ({ partition, offset, value }, { commit }) => {
              rows[partition] = { sum: rows[partition]!.sum + value, next: offset + 1 }
              await commit()
            }),
        { copies: 2 },
      )
      publish(world, 10)
      world.eventually(() => expect(rows[0]!.sum + rows[1]!.sum).toBe(45))
    })
  })

  test('is that it may close its broker and end, also where it is killed then', async () => {
    await run({ schedules: 100, crashRate: 0.1 }, world => {
      world.service('worker', async broker => {
        let count = 0
        const consumer = broker.group('g', { topics: 'jobs' }).join()
        await consumer.run(async ({ value }, { stop }) => {
          await broker.topic('results').publish({ value })
          if (++count === 2) stop()
        })
        await broker.close()
      })
      publish(world)
    })
  })
})

describe('time', () => {
  test('goes on to the next timer when nothing else can go on', async () => {
    await run({ schedules: 10, crashRate: 0 }, world => {
      world.service('worker', broker =>
        broker
          .group('g', { topics: 'jobs' })
          .join()
          .run(() => new Promise<void>(resolve => broker.clock.setTimeout(resolve, 7_000))),
      )
      publish(world, 2)
      world.eventually(() => expect(world.broker.clock.now()).toBeGreaterThanOrEqual(7_000))
    })
  })

  test('in the midst of things it goes on now and then, but takes nobody for dead by it', async () => {
    let leaps = 0
    await run({ schedules: 200, crashRate: 0 }, world => {
      const auto = (broker: Broker<Topics>): Promise<void> =>
        broker
          .group('g', { topics: 'jobs', maxPollIntervalMs: 20_000 })
          .join()
          .run(({ value }) => broker.topic('results').publish({ value }))
      world.service('worker', auto, { copies: 2 })
      publish(world)
      world.eventually(() => {
        leaps += world.broker.history.of('fault').length
        expect(world.broker.history.of('left')).toEqual([])
      })
    })
    expect(leaps).toBeGreaterThan(0)
  })

  test('an auto-commit can come at any moment of the work', async () => {
    const moments = new Set<number>()
    await run({ schedules: 100, crashRate: 0 }, world => {
      let begun = 0
      world.service('worker', broker =>
        broker
          .group('g', { topics: 'jobs' })
          .join()
          .run(async ({ value }) => {
            begun++
            await broker.topic('results').publish({ value })
          }),
      )
      publish(world)
      world.always(() => {
        if (world.broker.history.of('committed').length > 0) moments.add(begun)
      })
    })
    expect(moments.size).toBeGreaterThan(2)
  })

  test('a service that looks about every second comes to rest', async () => {
    await run({ schedules: 5 }, world => {
      world.service('watch', broker => {
        const tick = (): void => void broker.clock.setTimeout(tick, 1_000)
        tick()
      })
      once(world)
      world.eventually(() => expect(new Set(results(world)).size).toBe(5))
    })
  })
})

describe('a failure', () => {
  const exactlyOnce = (world: W): void => {
    world.service('worker', worker)
    publish(world)
    world.eventually(() => expect(results(world)).toHaveLength(5))
  }

  test('names its seed, says where and why, and is replayed by it, whole', async () => {
    const failure = await failureOf(run({}, exactlyOnce))
    expect(failure.name).toBe('SimulationError')
    expect(failure.message).toMatch(
      new RegExp(
        `^The schedule of seed ${failure.seed} fails: eventually: expected \\[.*\\] to have a length of 5 but got`,
      ),
    )
    expect(failure.message).toContain(`simulate({ seed: ${failure.seed}, schedules: 1, ... })`)
    expect(failure.message).toContain(String(failure.history))
    expect(failure.message).not.toContain('Beware')
    const again = await failureOf(run({ seed: failure.seed, schedules: 1 }, exactlyOnce))
    expect(again.message).toBe(failure.message)
    expect(String(again.history)).toBe(String(failure.history))
    expect(failure.cause).toMatchObject({ name: 'AssertionError' })
  })

  test('is the first: those before it hold', async () => {
    const { seed } = await failureOf(run({}, exactlyOnce))
    if (seed > 1) await run({ seed: 1, schedules: seed - 1 }, exactlyOnce)
    await failureOf(run({ seed, schedules: 1 }, exactlyOnce))
  })

  test('is shortened: one crash is enough for a record that comes twice', async () => {
    const failure = await failureOf(run({ seed: 3, schedules: 1, crashRate: 0.3 }, exactlyOnce))
    const [, found, shortest] = failure.message.match(/Found with (.*); shortened to (.*), of which/)!
    expect(Number(found!.match(/(\d+) crash/)![1])).toBeGreaterThan(5)
    expect(shortest).toBe('5 steps and 1 crash')
    expect(failure.history.of('fault').map(({ fault }) => fault)).toEqual(['crash of worker'])
    expect(failure.history.of('left')).toHaveLength(1)
  })

  test('is shortened: of many faults the one that matters is left', async () => {
    const failure = await failureOf(
      run({ crashRate: 0.05, faultRate: 0.2 }, world => {
        world.service('worker', worker)
        publish(world)
        world.always(() =>
          expect(world.broker.history.some(e => e.type === 'fault' && e.fault === 'fail commit')).toBe(false),
        )
      }),
    )
    expect(failure.history.of('fault').map(({ fault }) => fault)).toEqual(['fail commit'])
    expect(failure.message).toMatch(/shortened to \d steps? and 1 fault, of/)
  })

  test('is shortened: of many steps of the outside those that matter are left', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('worker', worker)
        publish(world, 20)
        world.always(() => expect(results(world)).not.toContain(13))
      }),
    )
    expect(failure.history.of('published').filter(({ topic }) => topic === 'jobs')).toHaveLength(1)
    expect(failure.message).toMatch(/Found with \d+ steps.*; shortened to 1 step, of which this is all/)
  })

  test('is shortened by tries that are given up once they are far longer than it', async () => {
    let steps = 0
    await failureOf(
      run({ crashRate: 0.1 }, world => {
        // Goes on for ever, unless it is found out.
        world.service('echo', broker =>
          broker
            .group('echo', { topics: 'results', commitMode: 'manualCommit' })
            .join()
            .run(({ value }) => broker.topic('results').publish({ value: value + 1 })),
        )
        world.step(() => world.broker.topic('results').publish({ value: 0 }))
        world.always(() => {
          steps++
          expect(world.broker.history.of('left')).toHaveLength(0)
        })
      }),
    )
    expect(steps).toBeLessThan(5_000)
  })

  test('is not shortened to another: a check that counts keeps what it counts', async () => {
    const failure = await failureOf(
      run({ crashRate: 0.05 }, world => {
        world.service('worker', worker)
        publish(world, 4)
        world.eventually(() => expect(results(world)).toHaveLength(4))
      }),
    )
    expect(failure.history.of('published').filter(({ topic }) => topic === 'jobs')).toHaveLength(4)
    expect(failure.history.of('fault').some(({ fault }) => fault.startsWith('crash'))).toBe(true)
  })

  test('of what always holds says at which step', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        once(world)
        world.always(() => {
          if (results(world).length === 2) throw new Error('two')
        })
      }),
    )
    expect(failure.message).toMatch(/fails: always, here at step \d+: two\n/)
  })

  test('of a step of the outside says which', async () => {
    const failure = await failureOf(
      run({}, world => {
        world.service('worker', worker)
        world.step(i => (i === 2 ? Promise.reject(new Error('no stock')) : undefined), { times: 3 })
      }),
    )
    expect(failure.message).toMatch(/fails: step 3 of the outside: no stock\n/)
  })

  test('of a step that waits for what never comes says so, and does not hang', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('worker', worker)
        world.step(never)
      }),
    )
    expect(failure.message).toContain(
      'step 1 of the outside: It waits for something that neither the services nor the clock',
    )
  })

  test('of services that never come to rest says so', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('echo', broker =>
          broker
            .group('echo', { topics: 'results' })
            .join()
            .run(({ value }) => broker.topic('results').publish({ value: value + 1 })),
        )
        world.step(() => world.broker.topic('results').publish({ value: 0 }))
      }),
    )
    expect(failure.message).toMatch(/at the end: It does not come to rest within \d+ steps/)
    expect(failure.message).toContain('of which this is the first 70 and the last 30 of ')
    expect(failure.message).toMatch(/\n\.\.\. \d+ events \.\.\.\n/)
    expect(failure.history.length).toBeGreaterThan(100)
  }, 60_000)

  test('of a scenario that keeps something says that it can not be trusted', async () => {
    let total = 0
    const failure = await failureOf(
      run({}, world => {
        world.service('worker', worker)
        world.step(i => {
          total++
          if (total % 2 === 0) world.broker.topic('jobs').publish({ value: i })
        })
        world.always(() => expect(total).toBeLessThan(20))
      }),
    )
    expect(failure.message).toContain('Beware: taken once more, this schedule goes another way.')
  })

  test('whose check alone depends on what was kept says so, too', async () => {
    let done = 0
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('worker', broker =>
          broker
            .group('g', { topics: 'jobs' })
            .join()
            .run(() => void done++),
        )
        publish(world)
        world.eventually(() => expect(done).toBe(5))
      }),
    )
    expect(failure.message).toContain('Beware: taken once more, this schedule goes another way.')
  })

  test('with a handler that never ends names it: a timer of the host is none of the schedule', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('worker', broker => broker.group('g', { topics: 'jobs' }).join().run(never))
        publish(world, 1)
        world.eventually(() => expect(results(world)).toEqual([0]))
      }),
    )
    expect(failure.message).toMatch(
      /\nAt rest, a handler is still at work: jobs-1@0 in g-0001 \(attempt 1\)\.\nNothing that the broker or its clock/,
    )
  })

  test('with a hold that was never released names it', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        once(world)
        world.broker.faults.hold('commit', { topic: 'jobs' })
        world.eventually(() => expect(new Set(results(world)).size).toBe(5))
      }),
    )
    expect(failure.message).toContain('At rest, a hold was never released: hold commit of topic jobs, met 1 of 1.\n')
  })

  test('of a service that goes on and on shows how it began, and how it ended', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('heart', broker => {
          const beat = (): void => {
            void broker.topic('results').publish({ value: -1 })
            broker.clock.setTimeout(beat, 1_000)
          }
          beat()
        })
        publish(world, 1)
        world.eventually(() => expect(results(world)).toEqual([]))
      }),
    )
    const lines = failure.message.split('\n')
    const left = lines.findIndex(line => line === `... ${failure.history.length - 100} events ...`)
    expect(lines.slice(left - 70).filter((_, i) => i !== 70)).toHaveLength(100)
    expect(lines.slice(0, left).some(line => line.includes('jobs-1@0 key "k0"'))).toBe(true)
    expect(lines.at(-1)).toContain(`results-0@${failure.history.of('published').length - 2}`)
  })

  test('before anything has happened says that', async () => {
    const failure = await failureOf(
      run({}, world => {
        world.service('worker', worker)
        world.step(() => {})
        world.always(() => {
          throw new Error('never')
        })
      }),
    )
    expect(failure.message).toMatch(/of which this is all: nothing has happened\n?$/)
  })

  test('has a history to ask, which no reporter prints as well', async () => {
    const failure = await failureOf(run({}, exactlyOnce))
    expect(failure.history.of('joined').length).toBeGreaterThan(0)
    expect(Object.keys(failure)).not.toContain('history')
  })

  test('of something that is no error is told as it is', async () => {
    const failure = await failureOf(
      run({}, world => {
        world.service('worker', worker)
        world.step(() => {
          throw 'a text'
        })
      }),
    )
    expect(failure.message).toContain('step 1 of the outside: a text\n')
    expect(failure.cause).toBe('a text')
  })
})

describe('bad input is refused, and says what it was', () => {
  test.each([
    ['schedules', 0],
    ['schedules', -1],
    ['schedules', 1.5],
    ['schedules', Number.POSITIVE_INFINITY],
    ['schedules', '10'],
    ['seed', 0.5],
    ['seed', Number.NaN],
    ['seed', null],
    ['crashRate', -0.1],
    ['crashRate', 1.1],
    ['crashRate', Number.NaN],
    ['crashRate', '0.1'],
    ['faultRate', 2],
    ['faultRate', null],
    ['clock', {}],
  ])('%s: %s', async (option, value) => {
    const scenario = vi.fn()
    const error = await rejection(run({ [option]: value }, scenario))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option, value } })
    expect(scenario).not.toHaveBeenCalled()
  })

  test.each([[null], ['x'], [undefined]])('options that are none: %j', async options => {
    expect(await rejection(simulate(options as never, () => {}))).toMatchObject({ code: 'INVALID_CONFIG' })
  })

  test.each([[undefined], [null], [{}], ['x']])('a scenario that is none: %j', async scenario => {
    expect(await rejection(simulate({}, scenario as never))).toMatchObject({
      code: 'INVALID_CONFIG',
      details: { option: 'scenario', value: scenario },
    })
  })

  test('a scenario without a service', async () => {
    const error = await rejection(run({}, world => publish(world)))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'scenario' } })
    expect(error.message).toContain('at least a service')
  })

  test('a scenario without a step', async () => {
    const error = await rejection(run({}, world => world.service('worker', worker)))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'scenario' } })
    expect(error.message).toContain('at least a step')
  })

  test('what the scenario itself throws is thrown', async () => {
    const error = new Error('no such fixture')
    expect(
      await rejection(
        run({}, () => {
          throw error
        }),
      ),
    ).toBe(error)
  })

  const inWorld = async (attempt: (world: W) => unknown): Promise<unknown> => {
    let error: unknown
    await run({ schedules: 1 }, world => {
      once(world)
      error = thrown(() => attempt(world))
    })
    return error
  }
  test.each<[string, (world: W) => unknown, object]>([
    ['a service without a name', w => w.service('', worker), { option: 'name', value: '' }],
    ['a service whose name is no text', w => w.service(7 as never, worker), { option: 'name', value: 7 }],
    ['a second service of a name', w => w.service('worker', worker), { option: 'name', value: 'worker' }],
    ['a service that does nothing', w => w.service('x', undefined as never), { option: 'start', value: undefined }],
    ['no copies', w => w.service('x', worker, { copies: 0 }), { option: 'copies', value: 0 }],
    ['half a copy', w => w.service('x', worker, { copies: 0.5 }), { option: 'copies', value: 0.5 }],
    ['copies misspelt', w => w.service('x', worker, { copys: 2 } as never), { option: 'copys', value: 2 }],
    ['options that are none', w => w.service('x', worker, null as never), { option: 'options', value: null }],
    ['times misspelt', w => w.step(() => {}, { time: 2 } as never), { option: 'time', value: 2 }],
    ['options of a step that are none', w => w.step(() => {}, 3 as never), { option: 'options', value: 3 }],
    ['a step that is none', w => w.step('x' as never), { option: 'act', value: 'x' }],
    ['a step taken never', w => w.step(() => {}, { times: 0 }), { option: 'times', value: 0 }],
    ['a step without an end', w => w.step(() => {}, { times: Infinity }), { option: 'times', value: Infinity }],
    ['a check that is none', w => w.always(true as never), { option: 'check', value: true }],
    ['a check that is none, at the end', w => w.eventually(null as never), { option: 'check', value: null }],
  ])('%s, and the schedule goes on without it', async (_, attempt, details) => {
    expect(await inWorld(attempt)).toMatchObject({ code: 'INVALID_CONFIG', details })
  })

  test('a check after every step that is asynchronous', async () => {
    const failure = await failureOf(
      run({}, world => {
        once(world)
        world.always((async () => {}) as never)
      }),
    )
    expect(failure.message).toContain('a check that answers at once, without a promise')
  })

  test('a check after every step that is asynchronous and fails: nobody else is told', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const failure = await failureOf(
      run({}, world => {
        once(world)
        world.always((() => Promise.reject(new Error('too late'))) as never)
      }),
    )
    await turn()
    process.off('unhandledRejection', unhandled)
    expect(failure.message).toContain('a check that answers at once, without a promise')
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('a check at the end may wait for the clock', async () => {
    const waited: number[] = []
    await run({ schedules: 3, crashRate: 0 }, world => {
      once(world)
      world.eventually(async () => {
        const { clock } = world.broker
        const begun = clock.now()
        await new Promise<void>(resolve => clock.setTimeout(resolve, 7_000))
        waited.push(clock.now() - begun)
      })
    })
    expect(waited).toEqual([7_000, 7_000, 7_000])
  })

  test('a check at the end may take a while outside of it', async () => {
    let looked = 0
    await run({ schedules: 3, crashRate: 0 }, world => {
      once(world)
      world.eventually(async () => {
        await readFile(import.meta.filename)
        looked++
      })
    })
    expect(looked).toBe(3)
  })

  test('a check at the end that never answers fails, and does not hang', async () => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        once(world)
        world.eventually(never)
      }),
    )
    expect(failure.message).toContain(
      'fails: eventually: It waits for something that neither the services nor the clock',
    )
  })

  test('a service that joins through the broker of the outside, which no crash would end', async () => {
    const failure = await failureOf(
      run({}, world => {
        world.service('worker', () => worker(world.broker))
        publish(world)
      }),
    )
    expect(failure.cause).toMatchObject({ code: 'INVALID_CONFIG' })
    expect(failure.message).toContain(
      'The broker of service worker must be the one that it is started with; got "world.broker, which',
    )
  })

  test.each<[string, (world: W) => unknown]>([
    ['a service', world => world.service('late', worker)],
    ['a step', world => world.step(() => {})],
    ['a check', world => world.always(() => {})],
    ['a check at the end', world => world.eventually(() => {})],
  ])('%s that comes when the schedule has begun', async (_, attempt) => {
    const failure = await failureOf(
      run({ crashRate: 0 }, world => {
        world.service('worker', worker)
        world.step(() => attempt(world))
      }),
    )
    expect(failure.cause).toMatchObject({ code: 'CLOSED' })
    expect(failure.message).toContain('The scenario')
  })
})

test('a consumer in a service is one of memory: what helps a test, it does not have', async () => {
  let consumer: Consumer<any> | undefined
  await run({ schedules: 1, crashRate: 0 }, world => {
    world.service('worker', broker => {
      consumer = broker.group('g', { topics: 'jobs' }).join()
    })
    world.step(() => {})
  })
  expect(consumer!.closed).toBe(true)
})
