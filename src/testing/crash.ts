import { type Consumer, type MemoryConsumer, MillraceError } from '../index.js'

/** One consumer dies, as in a killed process. CLOSED for one that is closed or dead, INVALID_CONFIG for one that is not in memory. */
export function crash(consumer: Consumer<any>): void {
  inMemory(consumer, 'crash').crash()
}

/**
 * What happens to a consumer that has not come back within maxPollIntervalMs, now; it rejoins when it comes back. CLOSED
 * for one that is closed or dead, INVALID_CONFIG for one that is not in memory.
 */
export function expel(consumer: Consumer<any>): void {
  inMemory(consumer, 'expel').expel()
}

function inMemory(consumer: Consumer<any>, act: 'crash' | 'expel'): MemoryConsumer<any> {
  if (typeof (consumer as Partial<MemoryConsumer> | null | undefined)?.[act] !== 'function')
    throw new MillraceError('INVALID_CONFIG', { option: 'consumer', value: consumer, expected: 'a consumer in memory' })
  if (consumer.closed) throw new MillraceError('CLOSED', { what: `Consumer ${consumer.memberId}` })
  return consumer as MemoryConsumer<any>
}
