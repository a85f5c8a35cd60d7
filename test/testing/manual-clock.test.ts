import { type Clock, MillraceError } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { beforeEach, describe, expect, test, vi } from 'vitest'

let clock: ManualClock
/** What happened, with the time at which it did. */
let seen: string[]
const note = (what: string): unknown => seen.push(`${what} at ${clock.now()}`)

beforeEach(() => {
  clock = new ManualClock()
  seen = []
})

/** The rejection, or the throw, of bad input: its message shows the value. */
const invalid = (option: string, value: number): unknown =>
  expect.objectContaining({
    name: 'MillraceError',
    code: 'INVALID_CONFIG',
    details: expect.objectContaining({ option, value }),
    message: expect.stringContaining(`got ${value}`),
  })
const notATime = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53]

describe('the time', () => {
  test('starts at 0, or where it is told to', () => {
    expect(clock.now()).toBe(0)
    expect(new ManualClock(1_700_000_000_000).now()).toBe(1_700_000_000_000)
  })

  test.each(notATime)('does not start at %s', value => {
    expect(() => new ManualClock(value)).toThrow(invalid('startMs', value))
  })

  test('stands still until it is told to move', async () => {
    clock.setTimeout(() => note('a'), 0)
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
    expect(clock.now()).toBe(0)
    expect(seen).toEqual([])
  })

  test('says that it is moved by hand, and is a clock for a broker', () => {
    const asClock: Clock = clock
    expect(asClock.manual).toBe(true)
  })

  test('does not need the timers of the host', async () => {
    vi.useFakeTimers()
    try {
      clock.setTimeout(() => note('a'), 10)
      await clock.advance(10)
      await clock.advanceUntil(new Promise<void>(resolve => clock.setTimeout(resolve, 5)))
    } finally {
      vi.useRealTimers()
    }
    expect(seen).toEqual(['a at 10'])
    expect(clock.now()).toBe(15)
  })
})

describe('advance', () => {
  test('fires what is due by then, and moves on to the end', async () => {
    clock.setTimeout(() => note('a'), 10)
    clock.setTimeout(() => note('b'), 11)
    await clock.advance(10)
    expect(seen).toEqual(['a at 10'])
    expect(clock.now()).toBe(10)
    await clock.advance(100)
    expect(seen).toEqual(['a at 10', 'b at 11'])
    expect(clock.now()).toBe(110)
  })

  test('fires by time, then by age', async () => {
    clock.setTimeout(() => note('late'), 20)
    clock.setTimeout(() => note('first of two'), 10)
    clock.setTimeout(() => note('second of two'), 10)
    clock.setTimeout(() => note('early'), 5)
    await clock.advance(20)
    expect(seen).toEqual(['early at 5', 'first of two at 10', 'second of two at 10', 'late at 20'])
  })

  test('goes by when a timer is due, not by its delay', async () => {
    clock.setTimeout(() => note('of 30'), 30)
    await clock.advance(20)
    clock.setTimeout(() => note('of 9'), 9)
    clock.setTimeout(() => note('of 10'), 10)
    await clock.advance(10)
    expect(seen).toEqual(['of 9 at 29', 'of 30 at 30', 'of 10 at 30'])
  })

  test('by 0 fires what is due now', async () => {
    clock.setTimeout(() => note('a'), 0)
    clock.setTimeout(() => note('b'), -5)
    await clock.advance(0)
    expect(seen).toEqual(['a at 0', 'b at 0'])
  })

  test('fires a timer that another one sets, at its own instant', async () => {
    clock.setTimeout(() => {
      note('a')
      clock.setTimeout(() => note('set by a'), 5)
      clock.setTimeout(() => note('too late'), 50)
    }, 10)
    clock.setTimeout(() => note('b'), 12)
    await clock.advance(20)
    expect(seen).toEqual(['a at 10', 'b at 12', 'set by a at 15'])
    expect(clock.timers).toBe(1)
  })

  test('fires a timer for the same instant after those that were there', async () => {
    clock.setTimeout(() => {
      note('a')
      clock.setTimeout(() => note('set by a'), 0)
    }, 10)
    clock.setTimeout(() => note('b'), 10)
    await clock.advance(10)
    expect(seen).toEqual(['a at 10', 'b at 10', 'set by a at 10'])
  })

  test('lets the promises that a timer has settled go on before the next timer', async () => {
    clock.setTimeout(async () => {
      for (let step = 1; step <= 20; step++) await undefined
      note('the end of a')
    }, 10)
    clock.setTimeout(() => note('b'), 10)
    clock.setTimeout(() => note('c'), 11)
    await clock.advance(20)
    expect(seen).toEqual(['the end of a at 10', 'b at 10', 'c at 11'])
  })

  test('fires what a promise sets on its way, in its turn', async () => {
    clock.setTimeout(async () => {
      await undefined
      clock.setTimeout(() => note('set by a promise'), 3)
    }, 10)
    clock.setTimeout(() => note('b'), 15)
    await clock.advance(15)
    expect(seen).toEqual(['set by a promise at 13', 'b at 15'])
  })

  test('lets promises go on before the first timer, and after the last', async () => {
    void Promise.resolve()
      .then(() => undefined)
      .then(() => clock.setTimeout(() => void Promise.resolve().then(() => note('after')), 10))
    await clock.advance(10)
    expect(seen).toEqual(['after at 10'])
  })

  test('fires an interval that sets itself anew as often as it is due', async () => {
    const tick = (): void => {
      note('tick')
      clock.setTimeout(tick, 10)
    }
    clock.setTimeout(tick, 10)
    await clock.advance(35)
    expect(seen).toEqual(['tick at 10', 'tick at 20', 'tick at 30'])
    expect(clock.timers).toBe(1)
  })

  test('twice at once never moves the time back', async () => {
    clock.setTimeout(() => note('a'), 5)
    clock.setTimeout(() => note('b'), 25)
    await Promise.all([clock.advance(10), clock.advance(30)])
    expect(seen).toEqual(['a at 5', 'b at 25'])
    expect(clock.now()).toBe(30)
  })

  test.each(notATime)('refuses %s, and moves nothing', async value => {
    clock.setTimeout(() => note('a'), 0)
    await expect(clock.advance(value)).rejects.toEqual(invalid('ms', value))
    expect(clock.now()).toBe(0)
    expect(seen).toEqual([])
  })
})

describe('advanceTo', () => {
  test('goes to a time', async () => {
    clock = new ManualClock(1_000)
    clock.setTimeout(() => note('a'), 500)
    await clock.advanceTo(1_499)
    expect(seen).toEqual([])
    await clock.advanceTo(1_500)
    expect(seen).toEqual(['a at 1500'])
  })

  test('to now fires what is due', async () => {
    clock = new ManualClock(1_000)
    clock.setTimeout(() => note('a'), 0)
    await clock.advanceTo(1_000)
    expect(seen).toEqual(['a at 1000'])
  })

  test('refuses to go back, and says where it is', async () => {
    clock = new ManualClock(1_000)
    await expect(clock.advanceTo(999)).rejects.toEqual(invalid('timestamp', 999))
    await expect(clock.advanceTo(999)).rejects.toThrow('1000')
    expect(clock.now()).toBe(1_000)
  })

  test.each(notATime)('refuses %s', async value => {
    await expect(clock.advanceTo(value)).rejects.toEqual(invalid('timestamp', value))
  })
})

describe('timers', () => {
  test('are counted while they wait', async () => {
    expect(clock.timers).toBe(0)
    clock.setTimeout(() => {}, 10)
    const cleared = clock.setTimeout(() => {}, 10)
    clock.setTimeout(() => note(`${clock.timers} left`), 20)
    expect(clock.timers).toBe(3)
    clock.clearTimeout(cleared)
    expect(clock.timers).toBe(2)
    await clock.advance(10)
    expect(clock.timers).toBe(1)
    await clock.advance(10)
    expect(seen).toEqual(['0 left at 20'])
  })

  test('that are cleared do not fire', async () => {
    const handle = clock.setTimeout(() => note('a'), 10)
    clock.clearTimeout(handle)
    clock.clearTimeout(handle)
    await clock.advance(10)
    expect(seen).toEqual([])
  })

  test('can be cleared by one that is due at the same instant', async () => {
    clock.setTimeout(() => clock.clearTimeout(second), 10)
    const second = clock.setTimeout(() => note('b'), 10)
    await clock.advance(10)
    expect(seen).toEqual([])
  })

  test('are not hurt by the clearing of nothing, of one that has fired, of what is none', async () => {
    const fired = clock.setTimeout(() => {}, 0)
    clock.setTimeout(() => note('b'), 10)
    await clock.advance(5)
    for (const handle of [undefined, null, fired, {}, 'a timer']) clock.clearTimeout(handle)
    await clock.advance(5)
    expect(seen).toEqual(['b at 10'])
  })
})

describe('setTimeout', () => {
  // As the host's: https://html.spec.whatwg.org/multipage/timers-and-user-prompts.html (a long, converted by WebIDL).
  test.each([
    [-5, 0],
    [2.9, 2],
    [Number.NaN, 0],
    [undefined, 0],
    ['7', 7],
  ])('of %s ms is due after %s', async (ms, expected) => {
    const clock = new ManualClock()
    let at: number | undefined
    clock.setTimeout(() => {
      at = clock.now()
    }, ms as number)
    await clock.advance(100)
    expect(at).toBe(expected)
  })

  test.each([undefined, null, 'alert()', {}])('refuses %j as what is to be called', fn => {
    const clock = new ManualClock()
    expect(() => clock.setTimeout(fn as never, 5)).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIG',
        details: expect.objectContaining({ option: 'fn', value: fn }),
      }),
    )
    expect(clock.timers).toBe(0)
  })

  test('what it calls and throws, whoever moves the clock is told; the rest stays due', async () => {
    const clock = new ManualClock()
    const order: string[] = []
    clock.setTimeout(() => {
      throw new Error('tick')
    }, 5)
    clock.setTimeout(() => void order.push('later'), 6)
    await expect(clock.advance(10)).rejects.toThrow('tick')
    expect([clock.now(), clock.timers, order]).toEqual([5, 1, []])
    await clock.advance(10)
    expect([clock.now(), order]).toEqual([15, ['later']])
  })
})

describe('advanceUntil', () => {
  const passed = (ms: number): Promise<void> => new Promise(resolve => clock.setTimeout(resolve, ms))

  test('goes from timer to timer until the promise is kept, and no further', async () => {
    clock.setTimeout(() => note('a'), 5)
    clock.setTimeout(() => note('too late'), 11)
    const work = passed(10).then(() => 'done')
    await expect(clock.advanceUntil(work)).resolves.toBe('done')
    expect(seen).toEqual(['a at 5'])
    expect(clock.now()).toBe(10)
  })

  test('moves nothing for a promise that is kept already, or by promises alone', async () => {
    clock.setTimeout(() => note('a'), 0)
    await expect(clock.advanceUntil(Promise.resolve(1))).resolves.toBe(1)
    const steps = async (): Promise<number> => {
      for (let step = 1; step <= 20; step++) await undefined
      return 2
    }
    await expect(clock.advanceUntil(steps())).resolves.toBe(2)
    expect(seen).toEqual([])
    expect(clock.now()).toBe(0)
  })

  test('follows a chain of waits', async () => {
    const work = async (): Promise<number> => {
      for (const ms of [100, 2_000, 30_000]) await passed(ms)
      return clock.now()
    }
    await expect(clock.advanceUntil(work())).resolves.toBe(32_100)
  })

  test('takes any thenable', async () => {
    const thenable: PromiseLike<string> = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what it is about.
      then: (...args) =>
        passed(7)
          .then(() => 'kept')
          .then(...args),
    }
    await expect(clock.advanceUntil(thenable)).resolves.toBe('kept')
  })

  test('gives its rejection as it is', async () => {
    const error = new Error('mine')
    const work = passed(10).then(() => Promise.reject(error))
    await expect(clock.advanceUntil(work)).rejects.toBe(error)
    expect(clock.now()).toBe(10)
  })

  test('rejects when it would take longer than the limit, and stops before it', async () => {
    clock = new ManualClock(1_000)
    clock.setTimeout(() => note('within'), 100)
    const outcome = clock.advanceUntil(passed(101), { limitMs: 100 })
    await expect(outcome).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT', details: { timeoutMs: 100 } })
    expect(seen).toEqual(['within at 1100'])
    expect(clock.now()).toBeLessThanOrEqual(1_100)
    expect(clock.timers).toBe(1)
  })

  test('waits until the limit itself', async () => {
    await expect(clock.advanceUntil(passed(100), { limitMs: 100 })).resolves.toBeUndefined()
  })

  test('has a limit of a day', async () => {
    await expect(clock.advanceUntil(passed(86_400_000))).resolves.toBeUndefined()
    await expect(clock.advanceUntil(passed(86_400_001))).rejects.toMatchObject({
      code: 'REQUEST_TIMED_OUT',
      details: { timeoutMs: 86_400_000 },
    })
  })

  test('rejects when no timer is left and nothing moves, instead of hanging', async () => {
    const never = new Promise<never>(() => {})
    const outcome = clock.advanceUntil(never)
    await expect(outcome).rejects.toBeInstanceOf(MillraceError)
    await expect(outcome).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    await expect(outcome).rejects.toThrow('no timer is left')
  })

  test('waits for what moves without a timer, over some turns of the event loop', async () => {
    const turns = async (): Promise<string> => {
      for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
      return 'done'
    }
    await expect(clock.advanceUntil(turns())).resolves.toBe('done')
  })

  test.each(notATime)('refuses a limit of %s', async value => {
    await expect(clock.advanceUntil(Promise.resolve(), { limitMs: value })).rejects.toEqual(invalid('limitMs', value))
  })
})
