// What all clients publish and consume.

/** What a child is to do; its report comes back as JSON. */
export interface Job {
  readonly client: 'millrace' | 'platformatic' | 'kafkajs'
  readonly what: string
  readonly address: string
  readonly topic: string
  readonly partitions: number
  readonly records: number
  readonly fetchBytes?: number
}

export interface Report {
  /** From the first call to the last acknowledgement, or from the first record to the last. */
  readonly ms: number
  /** Until the first record came: joining a group. */
  readonly joiningMs?: number
  /** The most that was held outside of the heap, beyond what was held before. */
  readonly peakBytes?: number
}

/** One hundred bytes. */
export const value: Buffer = Buffer.alloc(100, 'x')
const keys = Array.from({ length: 1_000 }, (_, i) => `key ${i}`)
export const keyOf = (i: number): string => keys[i % keys.length]!

/** Records that were published by somebody else and are counted: resolves with the last. */
export class Counter {
  readonly #records: number
  readonly #began = performance.now()
  readonly #done: (report: Report) => void
  readonly report: Promise<Report>
  #count = 0
  #first = 0

  constructor(records: number) {
    this.#records = records
    let done!: (report: Report) => void
    this.report = new Promise(resolve => {
      done = resolve
    })
    this.#done = done
  }

  /** So many more have come. */
  add(records: number): void {
    if (this.#count === 0) this.#first = performance.now()
    this.#count += records
    if (this.#count < this.#records) return
    this.#done({ ms: performance.now() - this.#first, joiningMs: this.#first - this.#began })
  }
}

/** For clients that take a batch at a time: so many records in each, so many on their way at once. */
export async function inBatches(
  records: number,
  { size, atOnce }: { readonly size: number; readonly atOnce: number },
  send: (from: number, to: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < records) {
      const from = next
      next = Math.min(records, from + size)
      await send(from, next)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}
