/** What a row of the table is held against. */
export interface Aim {
  /** As in the table: `>= 3x`. */
  readonly text: string
  /** Met when the value is at least, or at most, this. */
  readonly atLeast?: number
  readonly atMost?: number
}

/** One bar of a row's picture. */
export interface Bar {
  readonly label: string
  readonly value: number
  readonly unit: string
  readonly ours?: boolean
}

/** One row of the table. */
export interface Row {
  readonly measure: string
  /** None: shown for orientation. */
  readonly aim?: Aim
  readonly value: number
  /** What `value` is counted in; `x` for a ratio. */
  readonly unit: string
  /** The middle half of the rounds. */
  readonly spread?: readonly [low: number, high: number]
  /** Side by side, the same unit in all of them. */
  readonly bars: readonly Bar[]
  readonly note?: string
}

/** How much work a run does. */
export interface Effort {
  readonly long: boolean
  /** Interleaved rounds that are measured, after the warm-up. */
  readonly rounds: number
  /** Rounds before that: V8 takes a million records and more until it has settled. */
  readonly warmUp: number
  /** A million records in a long run, a part of it in a short one. */
  readonly records: number
  /** By processor time instead of the clock on the wall, on a machine that has other things to do. */
  readonly cpu: boolean
}

/** Rows that are measured in one process, since they share what they compare. */
export type Family = (effort: Effort) => Promise<readonly Row[]>

export function met({ aim, value }: Row): boolean | undefined {
  if (aim === undefined) return undefined
  return value >= (aim.atLeast ?? Number.NEGATIVE_INFINITY) && value <= (aim.atMost ?? Number.POSITIVE_INFINITY)
}
