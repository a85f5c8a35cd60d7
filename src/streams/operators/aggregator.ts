/** How a stream's values are summed up. Told the aggregate, the value, the key. */
export interface Aggregator {
  /** Left out by reduce, which begins with the first value itself. */
  readonly initial?: (() => unknown) | undefined
  readonly add: (aggregate: any, value: any, key: string) => unknown
  /** Of two sessions that became one; session windows only. */
  readonly merge?: ((one: any, other: any, key: string) => unknown) | undefined
}

/** Kafka: countInitializer, countAggregator, countMerger. */
export const counting: Aggregator = {
  initial: () => 0,
  add: (count: number) => count + 1,
  merge: (one: number, other: number) => one + other,
}
