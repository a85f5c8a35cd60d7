import { rangeAssignor } from './core/assignors/range.js'
import { checkFunction, checkOneOf, checkOptions, checkText, checkWhole, refuse } from './core/check.js'
import type { AnyRecord } from './core/record.js'
import type { ResolvedGroupOptions } from './engine.js'
import type { GroupOptions, JoinOptions } from './portable.js'

const groupOptions = [
  'commitMode',
  'autoCommitIntervalMs',
  'autoOffsetReset',
  'assignor',
  'maxPollRecords',
  'maxPollIntervalMs',
  'sessionTimeoutMs',
]

/**
 * Checked, and with Kafka's defaults (but for autoOffsetReset) where nothing is said. `besides`: what else may be said, to
 * a broker its topics, to a group without one its clock.
 */
export function resolveGroupOptions(
  options: GroupOptions = {},
  besides: 'topics' | 'clock' = 'topics',
): ResolvedGroupOptions {
  checkOptions('group options', options, [besides, ...groupOptions])
  const {
    commitMode = 'autoCommit',
    autoCommitIntervalMs = 5_000,
    autoOffsetReset = 'earliest',
    assignor = rangeAssignor,
    maxPollRecords = 500,
    maxPollIntervalMs = 300_000,
    sessionTimeoutMs = 45_000,
  } = options
  checkOneOf('commitMode', commitMode, ['autoCommit', 'manualCommit'])
  checkWhole('autoCommitIntervalMs', autoCommitIntervalMs, 0)
  checkOneOf('autoOffsetReset', autoOffsetReset, ['earliest', 'latest', 'none'])
  if (typeof assignor?.assign !== 'function' || typeof assignor.name !== 'string')
    refuse('assignor', assignor, 'an object with a name and assign()')
  checkWhole('maxPollRecords', maxPollRecords, 1)
  checkWhole('maxPollIntervalMs', maxPollIntervalMs, 1)
  checkWhole('sessionTimeoutMs', sessionTimeoutMs, 1)
  return {
    commitMode,
    autoCommitIntervalMs,
    autoOffsetReset,
    assignor,
    maxPollRecords,
    maxPollIntervalMs,
    sessionTimeoutMs,
  }
}

/** Refuses other options than a group's first ones; assignors are compared by name. */
export function checkSameOptions(id: string, first: ResolvedGroupOptions, now: ResolvedGroupOptions): void {
  for (const option of Object.keys(first) as (keyof ResolvedGroupOptions)[]) {
    if (first[option] === now[option]) continue
    const [before, after] = [first[option], now[option]].map(value => (typeof value === 'object' ? value.name : value))
    if (before !== after) refuse(`${option} of group ${id}`, after, `${String(before)}, as when the group was made`)
  }
}

export function checkJoinOptions<R extends AnyRecord>(options: JoinOptions<R>, topics: readonly string[]): void {
  checkOptions('join options', options, ['memberId', 'instanceId', 'topics', 'onAssigned', 'onRevoked', 'onLost'])
  const { instanceId, topics: wanted, onAssigned, onRevoked, onLost } = options
  if (instanceId !== undefined) checkText('instanceId', instanceId)
  if (wanted !== undefined) checkTopicNames('topics', wanted, 'an array of names of topics, one at least')
  for (const topic of wanted ?? []) checkOneOf('topics', topic, topics)
  if (onAssigned !== undefined) checkFunction('onAssigned', onAssigned)
  if (onRevoked !== undefined) checkFunction('onRevoked', onRevoked)
  if (onLost !== undefined) checkFunction('onLost', onLost)
}

export function checkTopicNames(
  option: string,
  names: unknown,
  expected = 'the name of a topic, or an array of such, one at least',
): void {
  if (!Array.isArray(names) || names.length === 0) refuse(option, names, expected)
  for (const name of names as unknown[]) if (typeof name !== 'string') refuse(option, name, 'the name of a topic')
}
