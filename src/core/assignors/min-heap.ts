/** The smallest of some numbers, at hand while they change. */
export class MinHeap {
  readonly #items: Float64Array
  #size: number

  constructor(items: readonly number[]) {
    // A sorted array is a heap already.
    this.#items = Float64Array.from(items).sort()
    this.#size = items.length
  }

  /** Undefined when nothing is left. */
  get top(): number | undefined {
    return this.#size === 0 ? undefined : this.#items[0]
  }

  /** Puts another number in the place of the smallest. */
  replaceTop(item: number): void {
    const items = this.#items
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && items[child + 1]! < items[child]!) child++
      if (items[child]! >= item) break
      items[hole] = items[child]!
      hole = child
    }
    items[hole] = item
  }

  removeTop(): void {
    const last = this.#items[--this.#size]!
    if (this.#size > 0) this.replaceTop(last)
  }
}
