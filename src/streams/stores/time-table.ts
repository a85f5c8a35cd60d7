import type { ChangedRows, LoggedRow } from './changed-rows.js'
import { compareKeys } from './key-order.js'
import type { Undoable, UndoLog } from './undo-log.js'

/** A row of a time table. Key, time and tie together are its own. */
export interface Entry<T> {
  readonly key: string
  readonly time: number
  /** Orders those of the same key and time: the number of a duplicate, say. */
  readonly tie: number
  value: T
}

interface Placed<T> extends Entry<T> {
  /** In its slot. */
  at: number
}
type Logged = Entry<LoggedRow>
/** The rows of one time. Where a row has gone, there is a hole, until half are. */
interface Slot<T> {
  readonly time: number
  rows: (Placed<T> | undefined)[]
  live: number
  sorted: boolean
  /** Before it there are holes only. */
  first: number
}

const inserted = 0
const replaced = 1
const removed = 2
/** Where its value was waiting for the changelog. */
const replacedWaiting = 3
const removedWaiting = 4

/**
 * Rows by key and time, found both ways: the rows of a key by time (joins, sliding windows, sessions), and those of a
 * time by key (what is due, or out of retention). Both are sorted arrays, since times mostly come in order: what is put
 * in late is put in by binary search, and a slot of one time is sorted when it is first read through.
 */
export class TimeTable<T> implements Undoable {
  readonly #undo: UndoLog
  readonly #changedRows: ChangedRows<Entry<LoggedRow>> | undefined
  readonly #byKey = new Map<string, Placed<T>[]>()
  /** By time; those before #head are gone. */
  #slots: Slot<T>[] = []
  #head = 0
  #size = 0
  /** What was found last: who puts a row has mostly looked at the one before. */
  #latest: Entry<T> | undefined

  /** `changedRows`: for values that are LoggedRows. */
  constructor(undo: UndoLog, changedRows?: ChangedRows<any>) {
    this.#undo = undo
    this.#changedRows = changedRows
  }

  get size(): number {
    return this.#size
  }

  /** The smallest time, Infinity where there is no row. */
  get firstTime(): number {
    return this.#slots[this.#head]?.time ?? Infinity
  }

  find(key: string, time: number, tie = 0): Entry<T> | undefined {
    const latest = this.#latest
    if (latest !== undefined && latest.key === key && latest.time === time && latest.tie === tie) return latest
    const rows = this.#byKey.get(key)
    if (rows === undefined) return undefined
    const last = rows[rows.length - 1]!
    const row = last.time === time && last.tie === tie ? last : rows[position(rows, time, tie)]
    if (row === undefined || row.time !== time || row.tie !== tie) return undefined
    this.#latest = row
    return row
  }

  /** A row that is not in. Like all that changes, it can be undone where it is not said otherwise. */
  insert(key: string, time: number, tie: number, value: T): void {
    const row = { key, time, tie, value, at: 0 }
    this.#attach(row)
    this.#changedRows?.put(row as Logged, undefined, (row as Logged).value)
    this.#undo.add(this, row, undefined, inserted)
  }

  replace(row: Entry<T>, value: T): void {
    const waited = this.#changedRows?.put(row as Logged, (row as Logged).value, value as LoggedRow)
    this.#undo.add(this, row, row.value, waited ? replacedWaiting : replaced)
    row.value = value
  }

  remove(row: Entry<T>): void {
    this.#detach(row as Placed<T>)
    const waited = this.#changedRows?.remove((row as Logged).value)
    this.#undo.add(this, row, undefined, waited ? removedWaiting : removed)
  }

  /** As it was on another instance; can't be undone. */
  restore(key: string, time: number, tie: number, value: T | undefined): void {
    const row = this.find(key, time, tie) as Placed<T> | undefined
    if (value === undefined) {
      if (row !== undefined) this.#detach(row)
    } else if (row !== undefined) row.value = value
    else this.#attach({ key, time, tie, value, at: 0 })
  }

  /** The only row of a key whose rows never are two. */
  only(key: string): Entry<T> | undefined {
    return this.#byKey.get(key)?.[0]
  }

  /** The first by time, then by key. */
  first(): Entry<T> | undefined {
    const slot = this.#slots[this.#head]
    if (slot === undefined) return undefined
    sort(slot)
    while (slot.rows[slot.first] === undefined) slot.first++
    return slot.rows[slot.first]
  }

  /** A key's rows of times within from..to, by time. */
  rangeOf(key: string, from: number, to: number): Entry<T>[] {
    const rows = this.#byKey.get(key)
    if (rows === undefined) return []
    const found: Entry<T>[] = []
    for (let i = position(rows, from, -Infinity); i < rows.length && rows[i]!.time <= to; i++) found.push(rows[i]!)
    return found
  }

  /** The rows of times within from..to, by time, then by key. Nothing may be changed meanwhile. */
  *range(from: number, to: number): Generator<Entry<T>, undefined> {
    for (let i = this.#slotAtOrAfter(from); i < this.#slots.length; i++) {
      const slot = this.#slots[i]!
      if (slot.time > to) return
      sort(slot)
      for (const row of slot.rows) if (row !== undefined) yield row
    }
  }

  /** Removes the rows of times before `time`, which it gives back by time. */
  dropBefore(time: number): Entry<T>[] {
    const dropped: Entry<T>[] = []
    while (this.firstTime < time) {
      for (const row of this.#slots[this.#head]!.rows) {
        if (row === undefined) continue
        this.remove(row)
        dropped.push(row)
      }
    }
    return dropped
  }

  undo(row: Placed<T>, before: T, step: number): void {
    const { value } = row
    const log = this.#changedRows as ChangedRows<any> | undefined
    if (step === inserted) {
      this.#detach(row)
      log?.undo(undefined, value as LoggedRow, false)
    } else if (step === removed || step === removedWaiting) {
      this.#attach(row)
      log?.undo(value as LoggedRow, undefined, step === removedWaiting)
    } else {
      row.value = before
      log?.undo(before as LoggedRow, value as LoggedRow, step === replacedWaiting)
    }
  }

  #attach(row: Placed<T>): void {
    const rows = this.#byKey.get(row.key)
    if (rows === undefined) this.#byKey.set(row.key, [row])
    else if (isBefore(rows[rows.length - 1]!, row.time, row.tie)) rows.push(row)
    else rows.splice(position(rows, row.time, row.tie), 0, row)

    const i = this.#slotAtOrAfter(row.time)
    const slot = this.#slots[i]
    this.#size++
    if (slot === undefined || slot.time !== row.time) {
      row.at = 0
      const made = { time: row.time, rows: [row], live: 1, sorted: true, first: 0 }
      if (slot === undefined) this.#slots.push(made)
      else this.#slots.splice(i, 0, made)
      return
    }
    row.at = slot.rows.length
    slot.rows.push(row)
    slot.sorted = false
    slot.live++
  }

  #detach(row: Placed<T>): void {
    this.#latest = undefined
    const rows = this.#byKey.get(row.key)!
    if (rows.length === 1) this.#byKey.delete(row.key)
    else if (rows[0] === row) rows.shift()
    else rows.splice(position(rows, row.time, row.tie), 1)

    const i = this.#slotAtOrAfter(row.time)
    const slot = this.#slots[i]!
    slot.rows[row.at] = undefined
    slot.live--
    this.#size--
    if (slot.live > 0) {
      if (slot.live < slot.rows.length / 2) closeUp(slot)
    } else if (i > this.#head) this.#slots.splice(i, 1)
    else this.#dropHead()
  }

  #dropHead(): void {
    this.#head++
    if (this.#head <= this.#slots.length / 2) return
    this.#slots = this.#slots.slice(this.#head)
    this.#head = 0
  }

  #slotAtOrAfter(time: number): number {
    let low = this.#head
    let high = this.#slots.length
    if (low === high || this.#slots[low]!.time >= time) return low
    const last = this.#slots[high - 1]!.time
    if (last <= time) return last === time ? high - 1 : high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#slots[middle]!.time < time) low = middle + 1
      else high = middle
    }
    return low
  }
}

const isBefore = (row: Entry<unknown>, time: number, tie: number): boolean =>
  row.time < time || (row.time === time && row.tie < tie)

/** The first at or after time and tie. */
function position(rows: readonly Entry<unknown>[], time: number, tie: number): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(rows[middle]!, time, tie)) low = middle + 1
    else high = middle
  }
  return low
}

function sort<T>(slot: Slot<T>): void {
  if (slot.sorted) return
  closeUp(slot)
  ;(slot.rows as Placed<T>[]).sort((a, b) => compareKeys(a.key, b.key) || a.tie - b.tie)
  for (let i = 0; i < slot.rows.length; i++) slot.rows[i]!.at = i
  slot.sorted = true
}

function closeUp<T>(slot: Slot<T>): void {
  slot.rows = slot.rows.filter(row => row !== undefined)
  for (let i = 0; i < slot.rows.length; i++) slot.rows[i]!.at = i
  slot.first = 0
}
