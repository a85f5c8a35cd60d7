// What callers hand in, checked at the boundary before anything has changed: each check names the option and shows the value.
import { MillraceError, show } from './errors.js'
import type { TopicPartition } from './record.js'

export function refuse(option: string, value: unknown, expected: string): never {
  throw new MillraceError('INVALID_CONFIG', { option, value, expected })
}

/** A whole number of at least `least`, and at most `most`, that a double holds exactly. */
export function checkWhole(option: string, value: unknown, least: number, most?: number): void {
  if (
    !Number.isSafeInteger(value) ||
    (value as number) < least ||
    (value as number) > (most ?? Number.MAX_SAFE_INTEGER)
  )
    refuse(option, value, `a whole number of at least ${least}${most === undefined ? '' : `, at most ${most}`}`)
}

export function checkOneOf(option: string, value: unknown, allowed: readonly unknown[]): void {
  if (!allowed.includes(value)) refuse(option, value, `one of ${allowed.map(show).join(', ')}`)
}

export function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') refuse(option, value, 'a function')
}

export function checkText(option: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') refuse(option, value, 'a text that is not empty')
}

/**
 * An options object, or nothing; so that `poll(5_000)` is told, not ignored. With `names` nothing else may be in it, so
 * that a misspelt option is told as well; one that is undefined counts as left out.
 */
export function checkOptions(option: string, value: unknown, names?: readonly string[]): void {
  if (value === undefined) return
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(option, value, 'an object of options')
  if (names === undefined) return
  for (const [name, given] of Object.entries(value as object))
    if (given !== undefined && !names.includes(name)) refuse(name, given, `left out (${option}: ${names.join(', ')})`)
}

export function checkSignal(signal: unknown): void {
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.addEventListener !== 'function')
    refuse('signal', signal, 'an AbortSignal')
}

export function checkTopicPartitions(option: string, list: unknown): asserts list is readonly TopicPartition[] {
  if (!Array.isArray(list)) refuse(option, list, 'an array of { topic, partition }')
  for (const entry of list as unknown[]) {
    const { topic, partition } = (entry ?? {}) as Partial<TopicPartition>
    if (typeof topic !== 'string' || !Number.isInteger(partition))
      refuse(option, entry, 'an array of { topic, partition }')
  }
}

/** The two first arguments of a call: what they are, not whether there is such a partition. */
export function checkPlace(call: string, topic: unknown, partition: unknown): void {
  if (typeof topic !== 'string' || typeof partition !== 'number')
    throw new TypeError(`${call} takes a topic and a partition; got ${show(topic)}, ${show(partition)}`)
}
