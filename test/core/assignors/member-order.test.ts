import { expect, test } from 'vitest'
import { inMemberOrder } from '../../../src/core/assignors/member-order.js'
import { member } from './given.js'

const order = (...members: ReturnType<typeof member>[]): string[] =>
  inMemberOrder(members).map(({ memberId }) => memberId)

// Kafka: AbstractPartitionAssignor.MemberInfo.compareTo
test('static members come first, by instance id; the others follow, by member id', () => {
  expect(order(member('d', ''), member('c', '', '', 'two'), member('a', ''), member('b', '', '', 'one'))).toEqual([
    'b',
    'c',
    'a',
    'd',
  ])
})

// Java's String.compareTo
test('ids compare by UTF-16 code units', () => {
  const ids = ['é', 'z', 'a2', 'B', 'a10', '\u{1f600}', '\uffff']
  expect(order(...ids.map(id => member(id, '')))).toEqual(['B', 'a10', 'a2', 'z', 'é', '\u{1f600}', '\uffff'])
})

test('an empty instance id is one', () => {
  expect(order(member('a', ''), member('b', '', '', ''))).toEqual(['b', 'a'])
})

test('the list given stays as it is', () => {
  const members = [member('b', ''), member('a', '')]
  inMemberOrder(members)
  expect(members.map(({ memberId }) => memberId)).toEqual(['b', 'a'])
})
