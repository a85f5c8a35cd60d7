/** The closed set of codes, Kafka's names where Kafka has one; each with what its message needs. */
export interface ErrorDetails {
  INVALID_CONFIG: { option: string; value: unknown; expected: string }
  INVALID_TOPIC_EXCEPTION: { topic: string }
  /** `most`: where there is a largest number. */
  INVALID_PARTITIONS: { topic: string; partitions: number; most?: number }
  TOPIC_ALREADY_EXISTS: { topic: string }
  INVALID_RECORD: { topic: string; reason: string }
  NO_OFFSET_FOR_PARTITION: { group: string; topic: string; partition: number }
  NON_EMPTY_GROUP: { group: string; members: number }
  CONCURRENT_POLL: { group: string; memberId: string }
  CLOSED: { what: string }
  REQUEST_TIMED_OUT: { what: string; timeoutMs: number }
  UNKNOWN_TOPIC_OR_PARTITION: { topic: string; partition?: number }
  ILLEGAL_GENERATION: { group: string; generation: number; current: number }
  /** `startOffset` and `endOffset`: what could have been read, where that is known. */
  OFFSET_OUT_OF_RANGE: { topic: string; partition: number; offset: number; startOffset?: number; endOffset?: number }
  UNKNOWN_MEMBER_ID: { group: string; memberId: string }
  FENCED_INSTANCE_ID: { group: string; instanceId: string }
  NOT_ASSIGNED: { topic: string; partition: number }
  HANDLER_FAILED: { topic: string; partition: number; offset: number; attempts: number }
  UNKNOWN_SERVER_ERROR: { error: string }
  // of millrace/kafka
  NETWORK_EXCEPTION: { what: string; address: string | undefined }
  UNSUPPORTED_VERSION: { what: string; needed: string }
  SASL_AUTHENTICATION_FAILED: { mechanism: string }
  TOPIC_AUTHORIZATION_FAILED: { topic: string }
  GROUP_AUTHORIZATION_FAILED: { group: string }
  CLUSTER_AUTHORIZATION_FAILED: { what: string }
  UNRELEASED_INSTANCE_ID: { group: string; instanceId: string }
  MESSAGE_TOO_LARGE: { topic: string; bytes: number }
  NOT_ENOUGH_REPLICAS: { topic: string; partition: number }
  CORRUPT_MESSAGE: { topic: string; partition: number; offset: number }
  // of millrace/streams
  /** What can't be run: not co-partitioned, suppressed without a window, no source ... */
  TOPOLOGY: { reason: string }
  UNKNOWN_STORE: { store: string }
}
export type ErrorCode = keyof ErrorDetails

const at = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}-${partition}`

/** Of a log, or else of all logs: what an offset can be. */
function rangeOf({ offset, startOffset, endOffset }: ErrorDetails['OFFSET_OUT_OF_RANGE']): string {
  if (startOffset !== undefined && endOffset !== undefined) return `, which is ${startOffset} to ${endOffset}`
  return offset < 0 || offset > Number.MAX_SAFE_INTEGER ? ': offsets are 0 to 2^53 - 1' : ''
}

const messages: { readonly [Code in ErrorCode]: (details: ErrorDetails[Code], handler?: string) => string } = {
  INVALID_CONFIG: d => `${d.option} must be ${d.expected}; got ${show(d.value)}`,
  INVALID_TOPIC_EXCEPTION: d =>
    `${show(d.topic)} is no topic name: 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", and not "." or ".."`,
  INVALID_PARTITIONS: d =>
    `Topic ${d.topic} can't have ${show(d.partitions)} partitions: a whole number of at least 1${d.most === undefined ? '' : `, at most ${d.most}`}, and partitions only grow`,
  TOPIC_ALREADY_EXISTS: d => `Topic ${d.topic} exists already`,
  INVALID_RECORD: d => `Record for topic ${d.topic} refused: ${d.reason}`,
  NO_OFFSET_FOR_PARTITION: d =>
    `Group ${d.group} has committed no offset for ${at(d)}, and its autoOffsetReset is 'none': seek or commit first`,
  NON_EMPTY_GROUP: d => `Group ${d.group} is not empty: it has ${d.members} member(s) or seats; close them first`,
  CONCURRENT_POLL: d =>
    `Consumer ${d.memberId} of group ${d.group} is busy with another poll, loop or run(): one at a time for each consumer`,
  CLOSED: d => `${d.what} is closed`,
  REQUEST_TIMED_OUT: d => `${d.what} did not finish within ${d.timeoutMs} ms`,
  UNKNOWN_TOPIC_OR_PARTITION: d =>
    d.partition === undefined
      ? `There is no topic ${show(d.topic)}`
      : `There is no partition ${show(d.partition)} of topic ${d.topic}`,
  ILLEGAL_GENERATION: d =>
    `Commit refused: it names a partition that this consumer does not own (any more); its assignment is of generation ${d.generation}, group ${d.group} is at ${d.current}`,
  OFFSET_OUT_OF_RANGE: d => `Offset ${d.offset} is out of the range of ${at(d)}${rangeOf(d)}`,
  UNKNOWN_MEMBER_ID: d => `${d.memberId} is not a member of group ${d.group}: it was closed, crashed or expelled`,
  FENCED_INSTANCE_ID: d =>
    `A newer member of group ${d.group} has joined as instance ${d.instanceId}: this one is out for good`,
  NOT_ASSIGNED: d => `${at(d)} is not assigned to this consumer`,
  // Without a record, `topic` says what was called.
  HANDLER_FAILED: (d, handler = 'The handler') =>
    d.offset < 0
      ? `${handler} failed at ${d.topic}; see cause`
      : `${handler} failed on ${at(d)} offset ${d.offset} (attempts: ${d.attempts}); see cause`,
  UNKNOWN_SERVER_ERROR: d => `Unexpected error: ${d.error}`,
  NETWORK_EXCEPTION: d => `${d.what} failed${d.address === undefined ? '' : ` at ${d.address}`}: no connection`,
  UNSUPPORTED_VERSION: d => `${d.what} is not supported: it needs ${d.needed}`,
  SASL_AUTHENTICATION_FAILED: d => `Authentication by ${d.mechanism} failed`,
  TOPIC_AUTHORIZATION_FAILED: d => `Not authorized for topic ${d.topic}`,
  GROUP_AUTHORIZATION_FAILED: d => `Not authorized for group ${d.group}`,
  CLUSTER_AUTHORIZATION_FAILED: d => `Not authorized to ${d.what}`,
  UNRELEASED_INSTANCE_ID: d => `Instance ${d.instanceId} is a live member of group ${d.group} already`,
  MESSAGE_TOO_LARGE: d => `A record of ${d.bytes} bytes is too large for topic ${d.topic}`,
  NOT_ENOUGH_REPLICAS: d => `${at(d)} has fewer in-sync replicas than it needs`,
  CORRUPT_MESSAGE: d => `The record at ${at(d)} offset ${d.offset} is corrupt`,
  TOPOLOGY: d => `This topology can't run: ${d.reason}`,
  UNKNOWN_STORE: d => `There is no store ${show(d.store)}`,
}

/** A value as a message shows it: text in quotes, the rest as a reader would write it, never a throw. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  return `an object of ${(Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor?.name ?? 'no class'}`
}

/** What every rule of the library throws or rejects with: a code, what belongs to it, and a message with the value in it. */
export class MillraceError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name: string = 'MillraceError'
  readonly code: C
  readonly details: ErrorDetails[C]
  /** Whether the same call may succeed later. Kafka: RetriableException. Always false in memory. */
  readonly retriable: boolean

  /** `handler`: whose callback it was, for the message. */
  constructor(code: C, details: ErrorDetails[C], options?: ErrorOptions & { retriable?: boolean; handler?: string }) {
    if (!Object.hasOwn(messages, code) || typeof details !== 'object' || details === null)
      throw new TypeError(`A MillraceError takes one of its codes, and details; got ${show(code)}, ${show(details)}`)
    super(messages[code](details, options?.handler), options)
    this.code = code
    this.details = details
    this.retriable = options?.retriable ?? false
  }
}

/** Tells by name and code, not by class, so that an error of the ESM copy is known to the CommonJS copy too. */
export function isMillraceError<C extends ErrorCode = ErrorCode>(
  error: unknown,
  code?: C,
): error is { [Code in C]: MillraceError<Code> }[C] {
  if (typeof error !== 'object' || error === null) return false
  const { name, code: found } = error as { name?: unknown; code?: unknown }
  return name === 'MillraceError' && (code === undefined ? typeof found === 'string' : found === code)
}
