import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StateStore, StoreSetup, ValueFormat } from '../../../src/streams/stores/store.js'
import { Random } from '../generator/random.js'
import { Changelog } from './changelog.js'
import {
  type Act,
  joinWindows,
  type Kind,
  keys,
  keyValues,
  sessions,
  suppressed,
  unmatched,
  windows,
} from './models.js'

// What every store keeps to, against the simplest model, under random records. Others, or more of them:
//   MILLRACE_SCHEDULES=100000 MILLRACE_SEED=2 npx vitest run test/streams/stores
const numRuns = Number(process.env['MILLRACE_SCHEDULES'] ?? 200)
const seed = Number(process.env['MILLRACE_SEED'] ?? 1)

const acts: fc.Arbitrary<Act> = fc.record({
  verb: fc.constantFrom('put', 'put', 'put', 'remove', 'other'),
  key: fc.constantFrom(...keys),
  time: fc.nat(30),
  extent: fc.nat(4),
  value: fc.nat(99),
})
/** What a record does, whether a callback throws at its end, and whether the task moves before it. */
const records = fc.array(
  fc.record({ acts: fc.array(acts, { maxLength: 8 }), fails: fc.boolean(), moves: fc.boolean() }),
  { maxLength: 25 },
)

/** Numbers as text: as a codec would have it. */
const inDigits: ValueFormat = {
  toLog: value => `${value as number}.`,
  fromLog: logged => Number.parseInt(logged as string, 10),
}

/** What expect() says of a difference it takes long to look for. */
function same(found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) expect(found).toEqual(expected)
}

/** `turns`: of so many records, at whose ends rows that wait are written. */
function describeStore<S extends StateStore, Model>(kind: Kind<S, Model>, turns = 1): void {
  const setupOf = (changelog: Changelog): StoreSetup =>
    turns === 1 ? changelog.setup(inDigits) : changelog.waitingSetup()
  describe(turns === 1 ? kind.name : `${kind.name} whose rows wait for the end of a turn`, () => {
    const property = fc.property(records, schedule => {
      const changelog = new Changelog()
      const make = (): S => kind.make(setupOf(changelog))
      let store = make()
      let model = kind.empty()
      for (const [at, { acts, fails, moves }] of schedule.entries()) {
        if (moves) changelog.endTurn(store)
        if (moves) store = changelog.restore(make(), store.times)
        const before = structuredClone(model)
        for (const act of acts) {
          kind.act(store, act)
          kind.model(model, act)
        }
        same(kind.read(store), kind.readModel(model))
        if (fails) {
          changelog.rollback()
          model = before
          same(kind.read(store), kind.readModel(model))
        } else changelog.commit()
        expect(store.size).toBe(kind.rows(model))
        if ((at + 1) % turns !== 0) continue
        changelog.endTurn(store)
        expect(changelog.rows.size).toBe(kind.rows(model))
      }
    })

    test('is what its model is, through failed records and moves; its changelog holds its rows, and no others', () => {
      fc.assert(property, { numRuns, seed })
    })

    test('is so in the long run, too: time goes on, and holes and blocks are closed up', () => {
      const random = new Random(seed)
      const changelog = new Changelog()
      const store = kind.make(setupOf(changelog))
      let model = kind.empty()
      for (let now = 0; now < 1_500; now++) {
        const before = structuredClone(model)
        for (let i = random.within(0, 5); i > 0; i--) {
          const act: Act = {
            verb: random.one(['put', 'put', 'put', 'remove', 'other']),
            key: random.one(keys),
            time: Math.max(0, Math.floor(now / 10) - random.within(0, 12)),
            extent: random.within(0, 4),
            value: random.within(0, 99),
          }
          kind.act(store, act)
          kind.model(model, act)
        }
        if (random.chance(0.2)) {
          changelog.rollback()
          model = before
        } else changelog.commit()
        if ((now + 1) % turns === 0) changelog.endTurn(store)
        if (now % 20 === 0) same(kind.read(store), kind.readModel(model))
      }
      changelog.endTurn(store)
      same(kind.read(store), kind.readModel(model))
      expect(changelog.rows.size).toBe(kind.rows(model))
    })
  })
}

describeStore(keyValues)
describeStore(windows)
describeStore(keyValues, 3)
describeStore(windows, 3)
describeStore(joinWindows)
describeStore(sessions)
describeStore(suppressed)
describeStore(unmatched)
