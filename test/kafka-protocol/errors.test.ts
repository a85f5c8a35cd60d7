import { protocolErrors } from '@platformatic/kafka'
import { isMillraceError, MillraceError } from 'millrace'
import { describe, expect, test } from 'vitest'
import { errorOf, kafkaNameOf } from '../../src/kafka/errors.js'

const about = {
  what: 'Trying',
  topic: 'orders',
  partition: 1,
  partitions: 3,
  replicas: 2,
  offset: 7,
  bytes: 9,
  group: 'billing',
  memberId: 'm',
  instanceId: 'i',
  generation: 4,
  members: 2,
  mechanism: 'PLAIN',
  timeoutMs: 5,
}

describe('errors of a cluster', () => {
  // The client has its own table, made from Kafka's documentation; it is one release behind.
  test.each(Object.values(protocolErrors).filter(({ code }) => code > 0))('$code is $id', ({ id, code, canRetry }) => {
    const error = errorOf(code, about)
    expect(kafkaNameOf(error)).toBe(id)
    expect(isMillraceError(error)).toBe(true)
    expect(error).toBeInstanceOf(MillraceError)
    expect(error.retriable).toBe(canRetry)
  })

  test.each([
    [1, 'OFFSET_OUT_OF_RANGE', { topic: 'orders', partition: 1, offset: 7 }],
    [2, 'CORRUPT_MESSAGE', { topic: 'orders', partition: 1, offset: 7 }],
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', { topic: 'orders', partition: 1 }],
    [7, 'REQUEST_TIMED_OUT', { what: 'Trying', timeoutMs: 5 }],
    [10, 'MESSAGE_TOO_LARGE', { topic: 'orders', bytes: 9 }],
    [13, 'NETWORK_EXCEPTION', { what: 'Trying', address: undefined }],
    [17, 'INVALID_TOPIC_EXCEPTION', { topic: 'orders' }],
    [18, 'MESSAGE_TOO_LARGE', { topic: 'orders', bytes: 9 }],
    [19, 'NOT_ENOUGH_REPLICAS', { topic: 'orders', partition: 1 }],
    [20, 'NOT_ENOUGH_REPLICAS', { topic: 'orders', partition: 1 }],
    [22, 'ILLEGAL_GENERATION', { group: 'billing', generation: 4, current: 4 }],
    [25, 'UNKNOWN_MEMBER_ID', { group: 'billing', memberId: 'm' }],
    [29, 'TOPIC_AUTHORIZATION_FAILED', { topic: 'orders' }],
    [30, 'GROUP_AUTHORIZATION_FAILED', { group: 'billing' }],
    [31, 'CLUSTER_AUTHORIZATION_FAILED', { what: 'Trying' }],
    [32, 'INVALID_RECORD', { topic: 'orders', reason: 'said so' }],
    [33, 'SASL_AUTHENTICATION_FAILED', { mechanism: 'PLAIN' }],
    [35, 'UNSUPPORTED_VERSION', { what: 'Trying', needed: 'said so' }],
    [36, 'TOPIC_ALREADY_EXISTS', { topic: 'orders' }],
    [37, 'INVALID_PARTITIONS', { topic: 'orders', partitions: 3 }],
    [
      38,
      'INVALID_CONFIG',
      { option: 'replicas', value: 2, expected: 'at most as many as the cluster has brokers (said so)' },
    ],
    [58, 'SASL_AUTHENTICATION_FAILED', { mechanism: 'PLAIN' }],
    [68, 'NON_EMPTY_GROUP', { group: 'billing', members: 2 }],
    [82, 'FENCED_INSTANCE_ID', { group: 'billing', instanceId: 'i' }],
    [87, 'INVALID_RECORD', { topic: 'orders', reason: 'said so' }],
    [110, 'UNKNOWN_MEMBER_ID', { group: 'billing', memberId: 'm' }],
    [111, 'UNRELEASED_INSTANCE_ID', { group: 'billing', instanceId: 'i' }],
    [113, 'ILLEGAL_GENERATION', { group: 'billing', generation: 4, current: 4 }],
  ])('%d is ours: %s', (number, code, details) => {
    expect(errorOf(number, about, 'said so')).toMatchObject({ code, details })
  })

  test('one without a code of ours keeps its name and number, and what the cluster says', () => {
    const error = errorOf(16, about, 'ask another')
    expect(error).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR', retriable: true })
    expect(error.message).toContain('Trying: NOT_COORDINATOR (16), ask another')
  })

  test('a number that nobody knows is kept', () => {
    expect(errorOf(9_999, about).message).toContain('(9999)')
    expect(errorOf(-1, about)).toMatchObject({ code: 'UNKNOWN_SERVER_ERROR', retriable: false })
  })
})
