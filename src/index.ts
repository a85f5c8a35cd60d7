export { Broker, type MemoryBroker } from './broker.js'
export type { Clock } from './clock.js'
export { ConsumerGroup } from './consumer-group.js'
export type { Assignment, Assignor, GroupMember } from './core/assignors/assignor.js'
export { rangeAssignor } from './core/assignors/range.js'
export { roundRobinAssignor } from './core/assignors/round-robin.js'
export { stickyAssignor } from './core/assignors/sticky.js'
export { type ErrorCode, type ErrorDetails, isMillraceError, MillraceError } from './core/errors.js'
export { murmur2 } from './core/murmur2.js'
export type { Partition } from './core/partition.js'
export { keyedPartitioner, type Partitioner, roundRobinPartitioner } from './core/partitioner.js'
export {
  type AnyRecord,
  type Codec,
  type ConsumerRecord,
  type HeaderValue,
  jsonCodec,
  type Key,
  lastHeader,
  type NextOffset,
  type ProducerRecord,
  type RecordMetadata,
  type StartFrom,
  type TopicPartition,
  toDeadLetter,
} from './core/record.js'
export type {
  CommitOperation,
  HandleOperation,
  Interceptor,
  MemberOperation,
  PartitionsOperation,
  PublishOperation,
} from './interceptor.js'
export type { GroupEvents, MemoryConsumer, MemoryConsumerGroup } from './memory-consumer-group.js'
export type {
  BrokerOptions,
  CloseOptions,
  Consumer,
  GroupOptions,
  Handler,
  HandlerContext,
  JoinOptions,
  MaybePromise,
  RebalanceListener,
  RecordOf,
  RunOptions,
  TopicName,
  TopicOptions,
} from './portable.js'
export { type MemoryTopic, Topic, type TopicEvents } from './topic.js'
