import type { Key, NextOffset, TopicPartition } from '../index.js'
import { refuse } from './runner.js'

interface InGroup {
  readonly group: string
  readonly memberId: string
}
interface Moved<T> extends InGroup {
  readonly type: T
  readonly partitions: readonly TopicPartition[]
}
interface AtRecord extends TopicPartition {
  readonly offset: number
}
type Happening =
  | ({ readonly type: 'published' } & AtRecord & { readonly key: Key | null })
  | ({ readonly type: 'handed out' } & AtRecord & InGroup & { readonly attempt: number })
  | ({ readonly type: 'failed' } & AtRecord & InGroup & { readonly attempt: number; readonly error: unknown })
  | ({ readonly type: 'dead-lettered' } & AtRecord & InGroup & { readonly to: string })
  | {
      readonly type: 'committed'
      readonly group: string
      readonly memberId: string | undefined
      readonly offsets: readonly NextOffset[]
    }
  | Moved<'assigned'>
  | Moved<'revoked'>
  | Moved<'lost'>
  | ({ readonly type: 'joined' } & InGroup)
  | ({ readonly type: 'left' } & InGroup & { readonly reason: 'closed' | 'expelled' | 'crashed' | 'fenced' })
  | { readonly type: 'fault'; readonly fault: string }

/** What happened: `at` in milliseconds on the broker's clock, and in which process, where there are several. */
export type HistoryEvent = { readonly at: number; readonly process?: string | undefined } & Happening
/** An event whose time is now. */
export type Happened = Happening & { readonly process?: string | undefined }
export type HistoryEventOf<T extends HistoryEvent['type']> = Extract<HistoryEvent, { readonly type: T }>

/** In the order it happened. As a string: a table, an event a line, to read in a test's report. */
export interface History extends ReadonlyArray<HistoryEvent> {
  of<T extends HistoryEvent['type']>(...types: readonly T[]): readonly HistoryEventOf<T>[]
  toString(): string
}

const eventTypes: readonly HistoryEvent['type'][] = [
  'published',
  'handed out',
  'failed',
  'dead-lettered',
  'committed',
  'assigned',
  'revoked',
  'lost',
  'joined',
  'left',
  'fault',
]

export class EventHistory extends Array<HistoryEvent> implements History {
  // What filter() and slice() give is a plain array.
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }

  /** What has just happened. Who takes over hears of it before the group tells that somebody has left. */
  add(event: HistoryEvent): void {
    if (event.type === 'left') this.splice(takeoverFrom(this, event), 0, event)
    else this.push(event)
  }

  of<T extends HistoryEvent['type']>(...types: readonly T[]): readonly HistoryEventOf<T>[] {
    // No event of a misspelt type ever happens, and a test that expects none of it would pass.
    for (const type of types) if (!eventTypes.includes(type)) refuse('type', type, `one of ${eventTypes.join(', ')}`)
    return this.filter((event): event is HistoryEventOf<T> => (types as readonly string[]).includes(event.type))
  }

  override toString(): string {
    return table(this)
  }
}
// As Node's console.log() shows it.
Object.defineProperty(EventHistory.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: EventHistory) {
    return table(this)
  },
})

/** Where others begin to take over what a member had that left without giving it up; the end if nobody does. */
function takeoverFrom(history: EventHistory, left: HistoryEventOf<'left'>): number {
  let from = history.length
  for (let index = history.length - 1; index >= 0; index--) {
    const event = history[index]!
    if (event.at !== left.at || !('memberId' in event) || event.group !== left.group) break
    // Who fences joins in the same call.
    if (event.type === 'joined' && left.reason === 'fenced' && from === index + 1) from = index
    else if (event.type === 'assigned' && hadBefore(history, index, event, left.memberId)) from = index
    else if (event.type !== 'assigned') break
  }
  return from
}

/** Whether some of what is assigned was that member's until then. */
function hadBefore(
  history: EventHistory,
  index: number,
  { group, memberId, partitions }: HistoryEventOf<'assigned'>,
  former: string,
): boolean {
  if (memberId === former) return false
  return partitions.some(({ topic, partition }) => {
    const names = (event: HistoryEvent): boolean =>
      'partitions' in event &&
      event.group === group &&
      event.partitions.some(entry => entry.topic === topic && entry.partition === partition)
    const before = history.slice(0, index).findLast(names) as Moved<string> | undefined
    return before?.memberId === former && before.type !== 'revoked'
  })
}

/** An event a line: when, in which process, who, what. */
export function table(events: readonly HistoryEvent[]): string {
  const rows = events.map(event => [`${event.at} ms`, event.process ?? '', whoOf(event), event.type, whatOf(event)])
  const widths = [0, 1, 2, 3].map(column => Math.max(0, ...rows.map(row => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padStart(widths[0]!) : cell.padEnd(widths[column] ?? 0)))
      .filter((_, column) => widths[column] !== 0)
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}

function whoOf(event: HistoryEvent): string {
  if (!('group' in event)) return ''
  // Default ids begin with their group's.
  if (event.memberId === undefined) return event.group
  return event.memberId.startsWith(event.group) ? event.memberId : `${event.group}/${event.memberId}`
}

function whatOf(event: HistoryEvent): string {
  switch (event.type) {
    case 'published':
      return `${place(event)}${event.key === null ? '' : ` key ${keyText(event.key)}`}`
    case 'handed out':
      return `${place(event)}${event.attempt === 1 ? '' : ` attempt ${event.attempt}`}`
    case 'failed':
      return `${place(event)} attempt ${event.attempt}: ${errorText(event.error).replaceAll(/\s*\n\s*/g, ' ')}`
    case 'dead-lettered':
      return `${place(event)} to ${event.to}`
    case 'committed':
      return event.offsets
        .map(({ topic, partition, nextOffset }) => `${topic}-${partition} to ${nextOffset}`)
        .join(', ')
    case 'assigned':
    case 'revoked':
    case 'lost':
      return event.partitions.length === 0
        ? 'nothing'
        : event.partitions.map(({ topic, partition }) => `${topic}-${partition}`).join(', ')
    case 'joined':
      return ''
    case 'left':
      return event.reason
    case 'fault':
      return event.fault
  }
}

function place({ topic, partition, offset }: AtRecord): string {
  return `${topic}-${partition}@${offset}`
}
function keyText(key: Key): string {
  return typeof key === 'string' ? JSON.stringify(key) : `<${key.length} bytes>`
}
export function errorText(error: unknown): string {
  if (error instanceof Error) {
    const { code } = error as { code?: unknown }
    return `${typeof code === 'string' ? code : error.name}: ${error.message}`
  }
  try {
    return String(error)
  } catch {
    return 'an error that can not be shown'
  }
}
