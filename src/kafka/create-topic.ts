import { checkFunction, checkOneOf, checkOptions, checkWhole, refuse } from '../core/check.js'
import { isMillraceError, MillraceError, type TopicOptions } from '../index.js'
import type { Cluster } from './cluster.js'
import { errorOf, kafkaNameOf } from './errors.js'
import { checkTopicName, checkTopicSettings } from './options.js'

type KafkaTopicOptions = TopicOptions<any> & { replicas?: number | undefined }

const topicOptions = ['partitions', 'partitioner', 'cleanupPolicy', 'retention', 'segmentRecords', 'codec', 'replicas']

/** Before anything is sent; what only memory has is INVALID_CONFIG. */
export function checkKafkaTopicOptions(name: string, options: KafkaTopicOptions): void {
  checkTopicName(name)
  checkOptions(`options of topic ${name}`, options, topicOptions)
  const { partitions, partitioner, cleanupPolicy, retention, segmentRecords, codec, replicas } = options
  checkTopicSettings(name, { codec, partitions, replicas })
  if (partitioner !== undefined) checkFunction('partitioner', partitioner)
  if (cleanupPolicy !== undefined) checkOneOf('cleanupPolicy', cleanupPolicy, ['delete', 'compact'])
  checkOptions('retention', retention, ['ms', 'records', 'consumed'])
  if (retention?.ms !== undefined) checkWhole('retention.ms', retention.ms, 0)
  const onlyInMemory = 'left out on a cluster: only memory has it'
  if (retention?.records !== undefined) refuse('retention.records', retention.records, onlyInMemory)
  if (retention?.consumed !== undefined) refuse('retention.consumed', retention.consumed, onlyInMemory)
  if (segmentRecords !== undefined) refuse('segmentRecords', segmentRecords, onlyInMemory)
}

const leaderNotAvailable = 5
const invalidReplicationFactor = 38
/**
 * The cluster has brokers, and has not heard of any lately: just started, or stood still. It gives no code of its own to
 * that, which is over in a moment. Kafka: StripedReplicaPlacer.
 */
const noneAwake = /All brokers are currently fenced/

/** Kafka: CreateTopics. Resolves when every partition has its leader. TOPIC_ALREADY_EXISTS. */
export async function createTopic(cluster: Cluster, name: string, options: KafkaTopicOptions): Promise<void> {
  const { partitions, replicas, cleanupPolicy, retention } = options
  const about = { what: `Creating topic ${name}`, topic: name, partitions, replicas }
  const configs = [
    ...(cleanupPolicy === undefined ? [] : [{ name: 'cleanup.policy', value: cleanupPolicy }]),
    ...(retention?.ms === undefined ? [] : [{ name: 'retention.ms', value: String(retention.ms) }]),
  ]
  // Kafka: CreateTopicsRequest.NO_NUM_PARTITIONS, NO_REPLICATION_FACTOR: as the cluster's own defaults say.
  const topic = {
    name,
    numPartitions: partitions ?? -1,
    replicationFactor: replicas ?? -1,
    assignments: [],
    configs,
  }
  /** A try got no answer: the topic may have been made by it. */
  let uncertain = false
  await cluster.retrying(async timeoutMs => {
    const least = Math.min(timeoutMs, cluster.requestTimeoutMs)
    try {
      const answer = await cluster.send('any', kafka => kafka.createTopicsV7.api, [[topic], least, false], {
        about,
        timeoutMs: least,
        partial: true,
      })
      const { errorCode, errorMessage } = answer.topics[0]!
      const waits = errorCode === invalidReplicationFactor && noneAwake.test(errorMessage ?? '')
      if (errorCode !== 0) throw errorOf(waits ? leaderNotAvailable : errorCode, about, errorMessage)
    } catch (error) {
      if (uncertain && isMillraceError(error, 'TOPIC_ALREADY_EXISTS')) return
      uncertain ||= isMillraceError(error, 'NETWORK_EXCEPTION') || isMillraceError(error, 'REQUEST_TIMED_OUT')
      throw error
    }
  }, {})
  await untilLed(cluster, name)
}

/** A new topic is there for all when each of its partitions has a leader. */
async function untilLed(cluster: Cluster, name: string): Promise<void> {
  const about = { what: `Creating topic ${name}`, topic: name }
  await cluster.retrying(async timeoutMs => {
    const { partitions } = await cluster.metadata(name, { about, timeoutMs })
    if (partitions.every(({ leader }) => leader >= 0)) return
    cluster.outdated(name)
    throw errorOf(leaderNotAvailable, about)
  }, {})
}

/** Those that were asked for with partitions are made where they are missing; the others are expected to be there. */
export async function ensureTopics(
  cluster: Cluster,
  topics: ReadonlyMap<string, Pick<KafkaTopicOptions, 'partitions' | 'replicas'>>,
): Promise<void> {
  await cluster.retrying(() => cluster.refresh(topics.keys()), { timeoutMs: cluster.requestTimeoutMs })
  const outcomes = await Promise.allSettled([...topics].map(([name, options]) => ensureTopic(cluster, name, options)))
  const failed = outcomes.find(outcome => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  if (cluster.closed) throw new MillraceError('CLOSED', { what: 'This broker' })
}

async function ensureTopic(
  cluster: Cluster,
  name: string,
  { partitions, replicas }: Pick<KafkaTopicOptions, 'partitions' | 'replicas'>,
): Promise<void> {
  if (cluster.topic(name) !== undefined) return
  if (partitions === undefined) {
    await cluster.metadata(name, { about: { what: `Looking for topic ${name}`, topic: name } })
    return
  }
  try {
    await createTopic(cluster, name, { partitions, replicas })
  } catch (error) {
    // Another process was faster.
    if (kafkaNameOf(error) !== 'TOPIC_ALREADY_EXISTS') throw error
    await untilLed(cluster, name)
  }
}
