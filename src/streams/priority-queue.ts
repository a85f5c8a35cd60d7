/**
 * The smallest first. Among equals it takes the one that java.util.PriorityQueue takes, since Kafka chooses records and
 * punctuations by it: the same binary heap, sifted in the same way.
 */
export class PriorityQueue<T> {
  #heap: T[] = []
  readonly #orderOf: (item: T) => number

  constructor(orderOf: (item: T) => number) {
    this.#orderOf = orderOf
  }

  get size(): number {
    return this.#heap.length
  }
  peek(): T | undefined {
    return this.#heap[0]
  }
  /** What is in it, for take() to give back to restore(). */
  snapshot(): readonly T[] {
    return this.#heap.slice()
  }
  restore(snapshot: readonly T[]): void {
    this.#heap = snapshot.slice()
  }

  push(item: T): void {
    const heap = this.#heap
    const order = this.#orderOf(item)
    let at = heap.length
    heap.push(item)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (order >= this.#orderOf(heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  }

  pop(): T | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (heap.length > 0) this.#sink(last!)
    return first
  }
  #sink(item: T): void {
    const heap = this.#heap
    const order = this.#orderOf(item)
    let at = 0
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      const right = child + 1
      const least = right < heap.length && this.#orderOf(heap[child]!) > this.#orderOf(heap[right]!) ? right : child
      if (order <= this.#orderOf(heap[least]!)) break
      heap[at] = heap[least]!
      at = least
    }
    heap[at] = item
  }
}
