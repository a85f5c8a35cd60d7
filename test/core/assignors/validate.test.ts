import { describe, expect, test } from 'vitest'
import { validateAssignment } from '../../../src/core/assignors/validate.js'
import { member, partition, shown, topics } from './given.js'

const group = [member('billing-0001', 'orders payments'), member('billing-0002', 'orders')]
const counts = topics({ orders: 2, payments: 1 })
const validate = (answer: unknown): ReturnType<typeof validateAssignment> =>
  validateAssignment('mine', answer, group, counts)
const answer = (lists: Record<string, string>): Map<string, unknown> =>
  new Map(Object.entries(lists).map(([id, names]) => [id, names.split(' ').map(partition)]))

describe('an answer that is accepted', () => {
  test('comes back as a copy, in the order of the members', () => {
    const given = answer({ 'billing-0002': 'ordersp1', 'billing-0001': 'ordersp0 paymentsp0' })
    const checked = validate(given)
    expect([...checked.keys()]).toEqual(['billing-0001', 'billing-0002'])
    expect(shown(checked)).toEqual({ 'billing-0001': 'ordersp0 paymentsp0', 'billing-0002': 'ordersp1' })
    expect(checked.get('billing-0001')).not.toBe(given.get('billing-0001'))
  })

  test('may leave out a member, which then has nothing', () => {
    expect(shown(validate(answer({ 'billing-0001': 'ordersp0 ordersp1 paymentsp0' })))).toEqual({
      'billing-0001': 'ordersp0 ordersp1 paymentsp0',
      'billing-0002': '',
    })
  })

  // Kafka does not insist that a custom assignor gives out all: standbys may keep a partition back.
  test('may leave out a partition, which then has no owner', () => {
    expect(shown(validate(new Map()))).toEqual({ 'billing-0001': '', 'billing-0002': '' })
  })

  test('may be like a Map, and hold what is like an array', () => {
    const inner = answer({ 'billing-0002': 'ordersp1' })
    const like = { get: (id: string) => inner.get(id), entries: () => inner.entries() }
    expect(shown(validate(like))['billing-0002']).toBe('ordersp1')
    expect(shown(validate(new Map([['billing-0002', new Set([partition('ordersp1')])]])))['billing-0002']).toBe(
      'ordersp1',
    )
  })
})

test.each([
  [
    'a partition for two members',
    answer({ 'billing-0001': 'ordersp1', 'billing-0002': 'ordersp1' }),
    '"orders-1 for billing-0001 and billing-0002"',
  ],
  [
    'a partition twice for one',
    answer({ 'billing-0001': 'ordersp1 ordersp1' }),
    '"orders-1 for billing-0001 and billing-0001"',
  ],
  ['an unknown member', answer({ 'billing-0009': 'ordersp1' }), '"billing-0009"'],
  ['an unknown topic', answer({ 'billing-0001': 'refundsp0' }), '"refunds-0 for billing-0001"'],
  ['an unknown partition', answer({ 'billing-0001': 'ordersp2' }), '"orders-2 for billing-0001"'],
  [
    'a partition below 0',
    new Map([['billing-0001', [{ topic: 'orders', partition: -1 }]]]),
    '"orders--1 for billing-0001"',
  ],
  [
    'half a partition',
    new Map([['billing-0001', [{ topic: 'orders', partition: 0.5 }]]]),
    '"orders-0.5 for billing-0001"',
  ],
  ['a topic not asked for', answer({ 'billing-0002': 'paymentsp0' }), '"payments-0 for billing-0002"'],
  [
    'a partition as text',
    new Map([['billing-0001', [{ topic: 'orders', partition: '0' }]]]),
    '"billing-0001: an object of Object"',
  ],
  ['nothing in the list', new Map([['billing-0001', [null]]]), '"billing-0001: null"'],
  ['no list', new Map([['billing-0001', undefined]]), '"billing-0001: undefined"'],
  ['a text for a list', new Map([['billing-0001', 'orders-0']]), '"billing-0001: \\"orders-0\\""'],
  ['a plain object', { 'billing-0001': [] }, 'an object of Object'],
  ['an array', [['billing-0001', []]], 'an array of 1'],
  ['nothing', undefined, 'undefined'],
  ['null', null, 'null'],
  ['a promise', Promise.resolve(new Map()), 'an object of Promise'],
])('an answer with %s is refused, and shown', (_, given, value) => {
  expect(() => validate(given)).toThrow(
    expect.objectContaining({
      code: 'INVALID_CONFIG',
      details: expect.objectContaining({ option: 'assignor' }),
      message: expect.stringMatching(/^assignor must be one that .* \(mine did not\); got .*$/),
    }),
  )
  expect(() => validate(given)).toThrow(`got ${value}`)
})
