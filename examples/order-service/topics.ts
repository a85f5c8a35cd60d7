// The three topics, and what stands in them. Each record's key is its customer: one customer's orders stay in order.
export interface Order {
  readonly id: string
  readonly item: string
  readonly cents: number
}

export interface Invoice {
  readonly orderId: string
  readonly cents: number
}

export interface Topics {
  orders: Order
  invoices: Invoice
  /** Orders that could not be billed. */
  'orders.dead': Order
}

/** Made at once in memory; on a cluster they are there already. */
export const topics = { orders: { partitions: 3 }, invoices: { partitions: 3 }, 'orders.dead': {} }
