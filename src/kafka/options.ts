import { checkOneOf, checkOptions, checkText, checkWhole, refuse } from '../core/check.js'
import { type Codec, MillraceError } from '../index.js'
import type { Address, Compression, Security } from './platformatic.js'

export interface KafkaBrokerOptions<Topics extends object> {
  /** `host:port` of some of its brokers; the rest is found through them. */
  bootstrapBrokers: readonly string[]
  /** Seen in the cluster's logs and quotas. Kafka: client.id. @default 'millrace' */
  clientId?: string | undefined
  /**
   * Codecs, JSON where there is none; what can't be decoded is INVALID_RECORD from each poll() until it is sought past,
   * and in run() it fails in its handler's place (retry, dead letter with the bytes as they are). With `partitions` a
   * topic that is missing is made at ready(); without, it is expected to exist. Codecs here also infer Topics.
   */
  topics?:
    | {
        readonly [N in keyof Topics]?: {
          codec?: Codec<Topics[N]> | undefined
          partitions?: number | undefined
          replicas?: number | undefined
        }
      }
    | undefined
  /** What a key is when read: its UTF-8 text or its bytes. @default 'text' */
  keys?: 'text' | 'bytes' | undefined
  /** As node:tls takes it; `true` for the system's authorities. */
  tls?: boolean | object | undefined
  sasl?:
    | {
        mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
        username?: string | undefined
        password?: string | undefined
        token?: string | (() => string | Promise<string>) | undefined
      }
    | undefined
  /** How publishing trades latency, size and safety. */
  producer?:
    | {
        /**
         * Wait so long for more records to send together. Kafka: linger.ms. @default 0, which still sends together what
         * was published in one turn of the event loop
         */
        lingerMs?: number | undefined
        /** Kafka: compression.type. @default 'none' */
        compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' | undefined
        /** publish() waits beyond so many bytes not yet acknowledged. Kafka: buffer.memory. @default 33_554_432 */
        bufferBytes?: number | undefined
      }
    | undefined
  /** How consumers fetch ahead. */
  consumer?:
    | {
        /**
         * Kafka: fetch.max.bytes, in memory at most twice that, shared equally by the partitions of a consumer. A record
         * batch is never divided (KIP-74): where a share is less than a batch, one or two batches of each partition.
         *
         * @default 52_428_800
         */
        fetchBytes?: number | undefined
        /**
         * Kafka: isolation.level. Positions move past what was aborted and past control records, so that they are no
         * lag. @default 'read_committed'
         */
        isolation?: 'read_uncommitted' | 'read_committed' | undefined
      }
    | undefined
  /** A request that got no answer. Kafka: request.timeout.ms. @default 30_000 */
  requestTimeoutMs?: number | undefined
  /** Retriable failures are tried again for so long before a call rejects. Kafka: delivery.timeout.ms, default.api.timeout.ms. @default 120_000 */
  deliveryTimeoutMs?: number | undefined
}

interface TopicSettings {
  readonly codec: Codec<unknown> | undefined
  readonly partitions: number | undefined
  readonly replicas: number | undefined
}

/** What was asked for, checked, with the defaults where nothing was. */
export interface ResolvedKafkaOptions extends Security {
  readonly bootstrap: readonly Address[]
  readonly clientId: string
  readonly topics: ReadonlyMap<string, TopicSettings>
  readonly keys: 'text' | 'bytes'
  readonly lingerMs: number
  readonly compression: Compression
  readonly bufferBytes: number
  readonly fetchBytes: number
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly requestTimeoutMs: number
  readonly deliveryTimeoutMs: number
}

const brokerOptions = [
  'bootstrapBrokers',
  'clientId',
  'topics',
  'keys',
  'tls',
  'sasl',
  'producer',
  'consumer',
  'requestTimeoutMs',
  'deliveryTimeoutMs',
]
const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']
const saslOptions = ['mechanism', 'username', 'password', 'token']
const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Throws INVALID_CONFIG with the option and its value, INVALID_PARTITIONS for a topic's. */
export function resolveKafkaOptions<Topics extends object>(options: KafkaBrokerOptions<Topics>): ResolvedKafkaOptions {
  if (options === undefined) refuse('kafkaBroker() options', options, 'an object with bootstrapBrokers')
  checkOptions('kafkaBroker() options', options, brokerOptions)
  const { bootstrapBrokers, clientId = 'millrace', topics, keys = 'text', tls, sasl, producer, consumer } = options
  const { requestTimeoutMs = 30_000, deliveryTimeoutMs = 120_000 } = options
  checkOptions('producer', producer, ['lingerMs', 'compression', 'bufferBytes'])
  checkOptions('consumer', consumer, ['fetchBytes', 'isolation'])
  const { lingerMs = 0, compression = 'none', bufferBytes = 33_554_432 } = producer ?? {}
  const { fetchBytes = 52_428_800, isolation = 'read_committed' } = consumer ?? {}
  const bootstrap = addresses(bootstrapBrokers)
  checkText('clientId', clientId)
  checkOneOf('keys', keys, ['text', 'bytes'])
  // The names of its options are left to node:tls, which gets more of them with each version.
  if (tls !== undefined && typeof tls !== 'boolean' && (typeof tls !== 'object' || tls === null || Array.isArray(tls)))
    refuse('tls', tls, 'true, or what node:tls takes')
  if (sasl !== undefined) checkSasl(sasl)
  checkInt32('producer.lingerMs', lingerMs, 0)
  checkOneOf('producer.compression', compression, compressions)
  checkWhole('producer.bufferBytes', bufferBytes, 1)
  checkInt32('consumer.fetchBytes', fetchBytes, 1)
  checkOneOf('consumer.isolation', isolation, ['read_uncommitted', 'read_committed'])
  checkInt32('requestTimeoutMs', requestTimeoutMs, 1)
  checkInt32('deliveryTimeoutMs', deliveryTimeoutMs, 1)
  return {
    bootstrap,
    clientId,
    topics: topicSettings(topics),
    keys,
    tls,
    sasl,
    lingerMs,
    compression,
    bufferBytes,
    fetchBytes,
    isolation,
    requestTimeoutMs,
    deliveryTimeoutMs,
  }
}

const mostInt16 = 2 ** 15 - 1
const mostInt32 = 2 ** 31 - 1
/** Kafka's protocol has 32 bits for it, or a timer has. */
export function checkInt32(option: string, value: number, least: number): void {
  checkRange(option, value, least, mostInt32)
}
function checkRange(option: string, value: number, least: number, most: number): void {
  checkWhole(option, value, least)
  if (value > most) refuse(option, value, `a whole number from ${least} to ${most}`)
}

function addresses(list: unknown): Address[] {
  const expected = 'a list of at least one address, each as host:port'
  if (!Array.isArray(list) || list.length === 0) refuse('bootstrapBrokers', list, expected)
  return (list as unknown[]).map(entry => {
    const found = typeof entry === 'string' ? /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(entry) : null
    const port = Number(found?.[3])
    const host = found?.[1] ?? found?.[2]
    if (host === undefined || port < 1 || port > 65_535) refuse('bootstrapBrokers', entry, expected)
    return { host: host!, port }
  })
}

function checkSasl(sasl: NonNullable<KafkaBrokerOptions<object>['sasl']>): void {
  if (typeof sasl !== 'object' || sasl === null) refuse('sasl', sasl, 'an object with a mechanism')
  for (const [name, value] of Object.entries(sasl))
    if (value !== undefined && !saslOptions.includes(name))
      refuse(`sasl.${name}`, hidden, `left out (sasl: ${saslOptions.join(', ')})`)
  const { mechanism, username, password, token } = sasl
  checkOneOf('sasl.mechanism', mechanism, mechanisms)
  if (mechanism === 'OAUTHBEARER') {
    if (typeof token !== 'function') checkSecret('sasl.token', token)
    return
  }
  checkText('sasl.username', username)
  checkSecret('sasl.password', password)
}

/** A message shows what was wrong, but never a secret. */
const hidden = '(hidden)'
function checkSecret(option: string, value: unknown): void {
  if (value === undefined || value === '') checkText(option, value)
  if (typeof value !== 'string') refuse(option, hidden, 'a text that is not empty')
}

function topicSettings(topics: unknown): ReadonlyMap<string, TopicSettings> {
  checkOptions('topics', topics)
  const found = new Map<string, TopicSettings>()
  for (const [name, given] of Object.entries((topics ?? {}) as Record<string, Partial<TopicSettings> | undefined>)) {
    checkTopicName(name)
    // What else a topic may have in memory would be lost here in silence: createTopic() takes what a cluster can do.
    checkOptions(`options of topic ${name}`, given, ['codec', 'partitions', 'replicas'])
    const { codec, partitions, replicas } = given ?? {}
    checkTopicSettings(name, { codec, partitions, replicas })
    found.set(name, { codec, partitions, replicas })
  }
  return found
}

/** A coordinator takes no id that Java's trim() leaves nothing of. Kafka: Utils.throwIfEmptyString. */
export function checkId(option: string, id: unknown): void {
  checkText(option, id)
  if (![...(id as string)].some(character => character > ' ')) refuse(option, id, 'a text that is not blank')
}

/** Kafka: Topic.LEGAL_CHARS, at most 249 of them; no "." and no "..". */
const legalName = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/
export function checkTopicName(name: unknown): void {
  if (typeof name !== 'string' || !legalName.test(name))
    throw new MillraceError('INVALID_TOPIC_EXCEPTION', { topic: name as string })
}

export function checkTopicSettings(name: string, { codec, partitions, replicas }: TopicSettings): void {
  if (partitions !== undefined && !(Number.isSafeInteger(partitions) && partitions >= 1 && partitions <= mostInt32))
    throw new MillraceError('INVALID_PARTITIONS', { topic: name, partitions })
  if (replicas !== undefined) checkRange(`replicas of topic ${name}`, replicas, 1, mostInt16)
  if (codec !== undefined && (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function'))
    refuse(`codec of topic ${name}`, codec, 'an object with encode() and decode()')
}
