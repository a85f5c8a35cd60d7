import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StateStore, ValueFormat } from '../../../src/streams/stores/store.js'
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

function describeStore<S extends StateStore, Model>(kind: Kind<S, Model>): void {
  describe(kind.name, () => {
    const property = fc.property(records, schedule => {
      const changelog = new Changelog()
      const make = (): S => kind.make(changelog.setup(inDigits))
      let store = make()
      let model = kind.empty()
      for (const { acts, fails, moves } of schedule) {
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
        expect(changelog.rows.size).toBe(kind.rows(model))
      }
    })

    test('is what its model is, through failed records and moves; its changelog holds its rows, and no others', () => {
      fc.assert(property, { numRuns, seed })
    })

    test('is so in the long run, too: time goes on, and holes and blocks are closed up', () => {
      const random = new Random(seed)
      const changelog = new Changelog()
      const store = kind.make(changelog.setup(inDigits))
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
        if (now % 20 === 0) same(kind.read(store), kind.readModel(model))
      }
      same(kind.read(store), kind.readModel(model))
      expect(changelog.rows.size).toBe(kind.rows(model))
    })
  })
}

describeStore(keyValues)
describeStore(windows)
describeStore(joinWindows)
describeStore(sessions)
describeStore(suppressed)
describeStore(unmatched)
