import { type ErrorCode, type ErrorDetails, MillraceError } from '../index.js'

/** Kafka's error codes by number, from 0. Kafka: Errors. */
const names: readonly string[] = `NONE OFFSET_OUT_OF_RANGE CORRUPT_MESSAGE UNKNOWN_TOPIC_OR_PARTITION
INVALID_FETCH_SIZE LEADER_NOT_AVAILABLE NOT_LEADER_OR_FOLLOWER REQUEST_TIMED_OUT BROKER_NOT_AVAILABLE
REPLICA_NOT_AVAILABLE MESSAGE_TOO_LARGE STALE_CONTROLLER_EPOCH OFFSET_METADATA_TOO_LARGE NETWORK_EXCEPTION
COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR INVALID_TOPIC_EXCEPTION RECORD_LIST_TOO_LARGE
NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND INVALID_REQUIRED_ACKS ILLEGAL_GENERATION
INCONSISTENT_GROUP_PROTOCOL INVALID_GROUP_ID UNKNOWN_MEMBER_ID INVALID_SESSION_TIMEOUT REBALANCE_IN_PROGRESS
INVALID_COMMIT_OFFSET_SIZE TOPIC_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED
INVALID_TIMESTAMP UNSUPPORTED_SASL_MECHANISM ILLEGAL_SASL_STATE UNSUPPORTED_VERSION TOPIC_ALREADY_EXISTS
INVALID_PARTITIONS INVALID_REPLICATION_FACTOR INVALID_REPLICA_ASSIGNMENT INVALID_CONFIG NOT_CONTROLLER
INVALID_REQUEST UNSUPPORTED_FOR_MESSAGE_FORMAT POLICY_VIOLATION OUT_OF_ORDER_SEQUENCE_NUMBER
DUPLICATE_SEQUENCE_NUMBER INVALID_PRODUCER_EPOCH INVALID_TXN_STATE INVALID_PRODUCER_ID_MAPPING
INVALID_TRANSACTION_TIMEOUT CONCURRENT_TRANSACTIONS TRANSACTION_COORDINATOR_FENCED
TRANSACTIONAL_ID_AUTHORIZATION_FAILED SECURITY_DISABLED OPERATION_NOT_ATTEMPTED KAFKA_STORAGE_ERROR
LOG_DIR_NOT_FOUND SASL_AUTHENTICATION_FAILED UNKNOWN_PRODUCER_ID REASSIGNMENT_IN_PROGRESS
DELEGATION_TOKEN_AUTH_DISABLED DELEGATION_TOKEN_NOT_FOUND DELEGATION_TOKEN_OWNER_MISMATCH
DELEGATION_TOKEN_REQUEST_NOT_ALLOWED DELEGATION_TOKEN_AUTHORIZATION_FAILED DELEGATION_TOKEN_EXPIRED
INVALID_PRINCIPAL_TYPE NON_EMPTY_GROUP GROUP_ID_NOT_FOUND FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH
LISTENER_NOT_FOUND TOPIC_DELETION_DISABLED FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH UNSUPPORTED_COMPRESSION_TYPE
STALE_BROKER_EPOCH OFFSET_NOT_AVAILABLE MEMBER_ID_REQUIRED PREFERRED_LEADER_NOT_AVAILABLE GROUP_MAX_SIZE_REACHED
FENCED_INSTANCE_ID ELIGIBLE_LEADERS_NOT_AVAILABLE ELECTION_NOT_NEEDED NO_REASSIGNMENT_IN_PROGRESS
GROUP_SUBSCRIBED_TO_TOPIC INVALID_RECORD UNSTABLE_OFFSET_COMMIT THROTTLING_QUOTA_EXCEEDED PRODUCER_FENCED
RESOURCE_NOT_FOUND DUPLICATE_RESOURCE UNACCEPTABLE_CREDENTIAL INCONSISTENT_VOTER_SET INVALID_UPDATE_VERSION
FEATURE_UPDATE_FAILED PRINCIPAL_DESERIALIZATION_FAILURE SNAPSHOT_NOT_FOUND POSITION_OUT_OF_RANGE UNKNOWN_TOPIC_ID
DUPLICATE_BROKER_REGISTRATION BROKER_ID_NOT_REGISTERED INCONSISTENT_TOPIC_ID INCONSISTENT_CLUSTER_ID
TRANSACTIONAL_ID_NOT_FOUND FETCH_SESSION_TOPIC_ID_ERROR INELIGIBLE_REPLICA NEW_LEADER_ELECTED
OFFSET_MOVED_TO_TIERED_STORAGE FENCED_MEMBER_EPOCH UNRELEASED_INSTANCE_ID UNSUPPORTED_ASSIGNOR STALE_MEMBER_EPOCH
MISMATCHED_ENDPOINT_TYPE UNSUPPORTED_ENDPOINT_TYPE UNKNOWN_CONTROLLER_ID UNKNOWN_SUBSCRIPTION_ID TELEMETRY_TOO_LARGE
INVALID_REGISTRATION TRANSACTION_ABORTABLE INVALID_RECORD_STATE SHARE_SESSION_NOT_FOUND INVALID_SHARE_SESSION_EPOCH
FENCED_STATE_EPOCH INVALID_VOTER_KEY DUPLICATE_VOTER VOTER_NOT_FOUND INVALID_REGULAR_EXPRESSION REBOOTSTRAP_REQUIRED
STREAMS_INVALID_TOPOLOGY STREAMS_INVALID_TOPOLOGY_EPOCH STREAMS_TOPOLOGY_FENCED SHARE_SESSION_LIMIT_REACHED`.split(
  /\s+/,
)

/** Those whose exception is a RetriableException. Kafka: Errors, RetriableException. */
const retriable: ReadonlySet<number> = new Set([
  2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106, 122,
  123, 133,
])

/** What a request was about, as far as its error's message may need it. */
export interface About {
  /** The request, as a message says it: "Publishing to orders-0". */
  readonly what: string
  readonly topic?: string | undefined
  readonly partition?: number | undefined
  readonly partitions?: number | undefined
  readonly replicas?: number | undefined
  readonly offset?: number | undefined
  readonly bytes?: number | undefined
  readonly group?: string | undefined
  readonly memberId?: string | undefined
  readonly instanceId?: string | undefined
  readonly generation?: number | undefined
  readonly members?: number | undefined
  readonly mechanism?: string | undefined
  readonly timeoutMs?: number | undefined
}

const none = ''
type Known = {
  readonly [Code in ErrorCode]?: {
    /** Kafka's names for it. */
    readonly names: readonly string[]
    readonly details: (about: About, message: string) => ErrorDetails[Code]
  }
}
const at = ({ topic = none, partition = -1 }: About): { topic: string; partition: number } => ({ topic, partition })

/** The one table: Kafka's codes that have a code of ours. */
const known: Known = {
  OFFSET_OUT_OF_RANGE: { names: ['OFFSET_OUT_OF_RANGE'], details: a => ({ ...at(a), offset: a.offset ?? -1 }) },
  CORRUPT_MESSAGE: { names: ['CORRUPT_MESSAGE'], details: a => ({ ...at(a), offset: a.offset ?? -1 }) },
  UNKNOWN_TOPIC_OR_PARTITION: {
    names: ['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID'],
    details: ({ topic = none, partition }) => (partition === undefined ? { topic } : { topic, partition }),
  },
  REQUEST_TIMED_OUT: {
    names: ['REQUEST_TIMED_OUT'],
    details: ({ what, timeoutMs = 0 }) => ({ what, timeoutMs }),
  },
  MESSAGE_TOO_LARGE: {
    names: ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'],
    details: ({ topic = none, bytes = 0 }) => ({ topic, bytes }),
  },
  NETWORK_EXCEPTION: { names: ['NETWORK_EXCEPTION'], details: ({ what }) => ({ what, address: undefined }) },
  INVALID_TOPIC_EXCEPTION: { names: ['INVALID_TOPIC_EXCEPTION'], details: ({ topic = none }) => ({ topic }) },
  NOT_ENOUGH_REPLICAS: { names: ['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'], details: at },
  ILLEGAL_GENERATION: {
    names: ['ILLEGAL_GENERATION', 'STALE_MEMBER_EPOCH'],
    details: ({ group = none, generation = 0 }) => ({ group, generation, current: generation }),
  },
  UNKNOWN_MEMBER_ID: {
    names: ['UNKNOWN_MEMBER_ID', 'FENCED_MEMBER_EPOCH'],
    details: ({ group = none, memberId = none }) => ({ group, memberId }),
  },
  FENCED_INSTANCE_ID: {
    names: ['FENCED_INSTANCE_ID'],
    details: ({ group = none, instanceId = none }) => ({ group, instanceId }),
  },
  UNRELEASED_INSTANCE_ID: {
    names: ['UNRELEASED_INSTANCE_ID'],
    details: ({ group = none, instanceId = none }) => ({ group, instanceId }),
  },
  NON_EMPTY_GROUP: {
    names: ['NON_EMPTY_GROUP'],
    details: ({ group = none, members = 1 }) => ({ group, members }),
  },
  TOPIC_AUTHORIZATION_FAILED: {
    names: ['TOPIC_AUTHORIZATION_FAILED'],
    details: ({ topic = none }) => ({ topic }),
  },
  GROUP_AUTHORIZATION_FAILED: {
    names: ['GROUP_AUTHORIZATION_FAILED'],
    details: ({ group = none }) => ({ group }),
  },
  CLUSTER_AUTHORIZATION_FAILED: { names: ['CLUSTER_AUTHORIZATION_FAILED'], details: ({ what }) => ({ what }) },
  SASL_AUTHENTICATION_FAILED: {
    names: ['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE'],
    details: ({ mechanism = 'SASL' }) => ({ mechanism }),
  },
  UNSUPPORTED_VERSION: {
    names: ['UNSUPPORTED_VERSION'],
    details: ({ what }, message) => ({ what, needed: message || 'Apache Kafka 4.0 or later' }),
  },
  TOPIC_ALREADY_EXISTS: { names: ['TOPIC_ALREADY_EXISTS'], details: ({ topic = none }) => ({ topic }) },
  INVALID_PARTITIONS: {
    names: ['INVALID_PARTITIONS'],
    details: ({ topic = none, partitions = 0 }) => ({ topic, partitions }),
  },
  INVALID_RECORD: {
    names: ['INVALID_RECORD', 'INVALID_TIMESTAMP'],
    details: ({ topic = none }, message) => ({ topic, reason: message || 'the cluster does not take it' }),
  },
  INVALID_CONFIG: {
    names: ['INVALID_REPLICATION_FACTOR'],
    details: ({ replicas }, message) => ({
      option: 'replicas',
      value: replicas,
      expected: `at most as many as the cluster has brokers${message && ` (${message})`}`,
    }),
  },
}

const byName: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries(known).flatMap(([code, entry]) => entry.names.map(name => [name, code as ErrorCode])),
)

/** A MillraceError that knows what it is to Kafka. */
export class ClusterError<C extends ErrorCode = ErrorCode> extends MillraceError<C> {
  readonly #kafka: string

  /** `reason`: what is known beside the details, for the message. */
  constructor(
    kafka: string,
    code: C,
    details: ErrorDetails[C],
    options?: ErrorOptions & { retriable?: boolean; reason?: string | undefined },
  ) {
    super(code, details, options)
    this.#kafka = kafka
    if (options?.reason === undefined) return
    this.message += ` (${options.reason})`
    // Its text begins with the message as of when it was taken.
    Error.captureStackTrace(this, ClusterError)
  }

  /** Kafka's name of it; of a failure without an answer, NETWORK_EXCEPTION or REQUEST_TIMED_OUT. */
  get kafka(): string {
    return this.#kafka
  }
}

/** What a code in an answer means to users: our code where there is one, else its name and number. */
export function errorOf(number: number, about: About, message?: string | null, cause?: unknown): ClusterError {
  const name = names[number] ?? 'UNKNOWN_SERVER_ERROR'
  const options = { retriable: retriable.has(number), ...(cause === undefined ? {} : { cause }) }
  const code = byName.get(name)
  if (code !== undefined)
    return new ClusterError<ErrorCode>(name, code, known[code]!.details(about, message ?? ''), options)
  const error = `${about.what}: ${name} (${number})${message ? `, ${message}` : ''}`
  return new ClusterError<ErrorCode>(name, 'UNKNOWN_SERVER_ERROR', { error }, options)
}

/** Kafka's name of an error of the cluster; undefined for any other. */
export function kafkaNameOf(error: unknown): string | undefined {
  return error instanceof ClusterError ? error.kafka : undefined
}
