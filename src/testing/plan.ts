import type { History } from './history.js'

/** What a schedule can do without: leaps of time in the midst of things, what goes wrong, acts of the outside, turns out of order. */
export const kinds = ['leaps', 'crashes', 'faults', 'acts', 'turns'] as const
export type Kind = (typeof kinds)[number]
export type Amounts = { [K in Kind]: number }

/** What is left out of a schedule, by ordinal. */
export interface Plan extends Readonly<Record<Kind, ReadonlySet<number>>> {
  /** Nothing is killed, nothing fails, and everything goes on in order. */
  readonly plain: boolean
}
const nothing: ReadonlySet<number> = new Set()
export const everything: Plan = {
  leaps: nothing,
  crashes: nothing,
  faults: nothing,
  acts: nothing,
  turns: nothing,
  plain: false,
}

export interface Failure {
  readonly kind: 'always' | 'eventually' | 'service' | 'step' | 'rest'
  readonly where: string
  readonly error: unknown
}
/** What became of a schedule. */
export interface Outcome {
  readonly failure: Failure | undefined
  readonly history: History
  /** What has not ended though nothing goes on any more: handlers, holds. */
  readonly stuck: readonly string[]
  readonly steps: number
  /** What there was, and what there could have been. */
  readonly met: Amounts
  readonly offered: Amounts
}
