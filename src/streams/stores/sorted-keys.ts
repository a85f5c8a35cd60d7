import { compareKeys, sortKeys } from './key-order.js'

/** Half of it is moved, on average, when a key is put in. */
const largestBlock = 512

/** A set of keys in their order: blocks of some hundred each, so that a key among a million is put in by moving few. */
export class SortedKeys {
  readonly #blocks: string[][] = []

  constructor(keys: Iterable<string>) {
    const sorted = sortKeys([...keys])
    const half = largestBlock / 2
    for (let i = 0; i < sorted.length; i += half) this.#blocks.push(sorted.slice(i, i + half))
  }

  /** A key that is not in. */
  add(key: string): void {
    const at = this.#blockOf(key)
    const block = this.#blocks[at]
    if (block === undefined) return void this.#blocks.push([key])
    block.splice(firstAtOrAfter(block, key), 0, key)
    if (block.length > largestBlock) this.#blocks.splice(at + 1, 0, block.splice(largestBlock / 2))
  }

  /** A key that is in. */
  delete(key: string): void {
    const at = this.#blockOf(key)
    const block = this.#blocks[at]!
    block.splice(firstAtOrAfter(block, key), 1)
    if (block.length === 0) this.#blocks.splice(at, 1)
  }

  /** The keys from the first at or after `from` for as long as they are wanted. */
  take(from: string, wanted: (key: string) => boolean): string[] {
    const taken: string[] = []
    for (let at = this.#blockOf(from); at < this.#blocks.length; at++) {
      const block = this.#blocks[at]!
      for (let i = taken.length === 0 ? firstAtOrAfter(block, from) : 0; i < block.length; i++) {
        if (!wanted(block[i]!)) return taken
        taken.push(block[i]!)
      }
    }
    return taken
  }

  /** The last block that begins at or before the key; the first where none does. */
  #blockOf(key: string): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKeys(this.#blocks[middle]![0]!, key) <= 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}

function firstAtOrAfter(block: readonly string[], key: string): number {
  let low = 0
  let high = block.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(block[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
