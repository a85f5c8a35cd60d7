import { check } from '../runner.js'
import { same } from './assert.js'
import { givenCrashes, type Member, numbered, type Promises, upTo, valuesOf, type World } from './world.js'

const manual = { commitMode: 'manualCommit' } as const

/** What a killed process leaves to the others, and what it does not. */
export const crashes: Promises = {
  'after a crash what was not committed is delivered again': givenCrashes({ orders: 2 }, async w => {
    await w.publish('orders', numbered(10, 2))
    const options = { autoCommitIntervalMs: w.longMs }
    const process = await w.another()
    const dying = await w.join(w.group(options, process))
    const read = await w.take(dying, 6)
    await w.keep('a commit', dying.commit(read.slice(0, 2)))
    await w.take(dying, 2)
    await w.crash(process)
    const next = await w.join(w.group(options))
    await w.until('its partitions to be free', () => next.assignment.length === 2)
    const again = new Set(read.slice(0, 2).map(({ value }) => value))
    const expected = upTo(10).filter(i => !again.has(i))
    same(
      'what the next member reads',
      valuesOf(await w.take(next, 8)).sort((a, b) => a - b),
      expected,
    )
  }),

  'a commit after the work is at least once: a crash repeats, and loses nothing': givenCrashes(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(6))
      const effects: number[] = []
      const work = async (consumer: Member, diesBefore: number): Promise<void> => {
        for await (const record of consumer) {
          effects.push(record.value)
          if (record.value === diesBefore) return
          await consumer.commit(record)
          if (record.value === 5) return
        }
      }
      const process = await w.another()
      const dying = await w.join(w.group(manual, process))
      await w.keep('work up to the crash', work(dying, 3))
      await w.crash(process)
      await w.keep('work after the crash', work(await takeover(w), Number.NaN))
      same('the effects', effects, [0, 1, 2, 3, 3, 4, 5])
    },
  ),

  'a commit before the work is at most once: a crash loses, and repeats nothing': givenCrashes(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(6))
      const effects: number[] = []
      const work = async (consumer: Member, diesBefore: number): Promise<void> => {
        for await (const record of consumer) {
          await consumer.commit(record)
          if (record.value === diesBefore) return
          effects.push(record.value)
          if (record.value === 5) return
        }
      }
      const process = await w.another()
      const dying = await w.join(w.group(manual, process))
      await w.keep('work up to the crash', work(dying, 3))
      await w.crash(process)
      await w.keep('work after the crash', work(await takeover(w), Number.NaN))
      same('the effects', effects, [0, 1, 2, 4, 5])
    },
  ),

  'a record whose handler dies with its process is delivered again, as a first attempt': givenCrashes(
    { orders: 1 },
    async w => {
      await w.publish('orders', numbered(3))
      const process = await w.another()
      const gate = w.gate()
      const begun: number[] = []
      const dying = await w.join(w.group({ autoCommitIntervalMs: 0 }, process))
      w.run(dying, async ({ value }) => {
        begun.push(value)
        if (value === 1) await gate.opened
      })
      await w.until('the second record to be at work', () => begun.length === 2)
      await w.crash(process)
      const again: string[] = []
      const next = await w.join(w.group({ autoCommitIntervalMs: 0 }))
      w.run(next, ({ value }, { attempt }) => void again.push(`${value}/${attempt}`))
      await w.until(
        () => `the rest; there came ${again.join(' ')}`,
        () => again.includes('2/1'),
      )
      // The first was finished; whether that was committed is a matter of time on a cluster.
      same(
        'what the next member does',
        again.filter(call => call !== '0/1'),
        ['1/1', '2/1'],
      )
      gate.open()
      await w.close(next)
      same('committed', await w.committed(w.group({ autoCommitIntervalMs: 0 }), 'orders', 0), 3)
    },
  ),

  'a commit of a dead process does not count': givenCrashes({ orders: 1 }, async w => {
    await w.publish('orders', numbered(6))
    const process = await w.another()
    const zombie = await w.join(w.group(manual, process))
    const read = await w.take(zombie, 5)
    await w.crash(process)
    const next = await takeover(w)
    await w.take(next, 2)
    await w.keep('a commit', next.commit())
    await w.thrown('a commit of the dead', () => zombie.commit(read.at(-1)!))
    await w.thrown('a commit of the dead', () => zombie.commit())
    same('committed', await w.committed(w.group(manual), 'orders', 0), 2)
  }),

  'a crash of one member moves its partitions to the others, which keep theirs': givenCrashes(
    { orders: 4 },
    async w => {
      const process = await w.another()
      const [stays, dies] = [w.group(manual).join(), w.group(manual, process).join()]
      await w.ready(stays, dies)
      await w.until('two partitions each', () => stays.assignment.length === 2 && dies.assignment.length === 2)
      const own = stays.assignment.map(({ partition }) => partition)
      await w.publish('orders', numbered(8, 4))
      const read = await w.take(stays, 4)
      await w.crash(process)
      const rest = await w.take(stays, 4)
      same('what it has', stays.assignment.length, 4)
      check(
        rest.every(({ partition }) => !own.includes(partition)),
        () => 'a record of a partition that it kept came twice',
      )
      same('all that it read', valuesOf([...read, ...rest]).sort(), upTo(8))
    },
  ),
}

/** A member that has the one partition of a dead one. */
async function takeover(w: World): Promise<Member> {
  const next = await w.join(w.group(manual))
  await w.until('the partition of the dead to be free', () => next.assignment.length === 1)
  return next
}
