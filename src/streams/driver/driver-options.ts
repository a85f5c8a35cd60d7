import { type ConsumerRecord, MillraceError, type TopicName } from '../../index.js'
import { checkFunction, checkOptions, refuse } from '../store-options.js'

export interface TopologyTestDriverOptions<Topics> {
  /** Of all topics, or of some by name; the others have one. @default 1 */
  partitions?: number | { readonly [N in TopicName<Topics>]?: number } | undefined
  /** What the driver's wall clock says at first, in milliseconds. @default 0 */
  startMs?: number | undefined
  /** As StreamsOptions.onError. @default 'fail': pipe() throws HANDLER_FAILED */
  onError?: ((error: unknown, record: ConsumerRecord | undefined) => 'continue' | 'fail') | undefined
}

/** What was given, checked; `partitionsOf` says how many a topic has. */
export interface DriverSetting {
  readonly partitionsOf: (topic: string) => number
  readonly startMs: number
  readonly onError: TopologyTestDriverOptions<any>['onError']
}

export function driverSetting(options: TopologyTestDriverOptions<any>): DriverSetting {
  checkOptions('options of TopologyTestDriver', options, ['partitions', 'startMs', 'onError'])
  const { partitions = 1, startMs = 0, onError } = options
  if (!Number.isSafeInteger(startMs) || startMs < 0) refuse('startMs', startMs, 'whole milliseconds of at least 0')
  if (onError !== undefined) checkFunction('onError', onError)
  return { partitionsOf: partitionsOf(partitions), startMs, onError }
}

function partitionsOf(partitions: unknown): DriverSetting['partitionsOf'] {
  if (typeof partitions === 'number') {
    checkCount('(all)', partitions)
    return () => partitions
  }
  if (typeof partitions !== 'object' || partitions === null)
    return refuse('partitions', partitions, 'a number, or numbers by topic')
  const counts = new Map(Object.entries(partitions).filter(([, count]) => count !== undefined))
  for (const [topic, count] of counts) checkCount(topic, count)
  return topic => counts.get(topic) ?? 1
}
function checkCount(topic: string, count: unknown): void {
  if (!Number.isSafeInteger(count) || (count as number) < 1)
    throw new MillraceError('INVALID_PARTITIONS', { topic, partitions: count as number })
}
