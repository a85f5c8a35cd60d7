import type { ProducerRecord } from 'millrace'

export interface Order {
  readonly id: number
  readonly amount: number
}

export const partitions = 6
export const distinctKeys = 1_000

const keys = Array.from({ length: distinctKeys }, (_, i) => `order-${i}`)

/** Records as a service would make them: of a thousand keys, with small objects as values. */
export function orders(count: number): ProducerRecord<Order>[] {
  return Array.from({ length: count }, (_, i) => ({ key: keys[i % distinctKeys]!, value: { id: i, amount: i & 255 } }))
}

/** So few that they take no time: for what is there before the measurement begins. */
export const fewOrders: readonly ProducerRecord<Order>[] = orders(2_000)

/** What every reader does with a value: enough that it must be there. */
export class Till {
  #sum = 0
  readonly #expected: number

  constructor(records: readonly { readonly value: Order }[], times: number = 1) {
    this.#expected = times * records.reduce((sum, { value }) => sum + value.amount, 0)
  }
  add(order: Order): void {
    this.#sum += order.amount
  }
  /** Each contender must have seen everything, or its time means nothing. */
  check(): void {
    if (this.#sum !== this.#expected) throw new Error(`Read ${this.#sum} of ${this.#expected}`)
    this.#sum = 0
  }
}
