// Text for people: tables, counts, times and durations.

export type Cell = string | number

export const count = (n: number): string => n.toLocaleString('en-US')

export const counted = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

/** Every column as wide as its widest cell; numbers to the right. */
export function table(title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return `${title}\n  none`
  const text = [head, ...rows].map(row => row.map(cell => (typeof cell === 'number' ? count(cell) : cell)))
  const widths = head.map((_, column) => Math.max(...text.map(row => row[column]!.length)))
  const aligned = (cell: string, column: number): string =>
    typeof rows[0]![column] === 'number' ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
  return [title, ...text.map(row => `  ${row.map(aligned).join('  ')}`.trimEnd())].join('\n')
}

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const clipped = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`

/** `2015-05-17 10:05:03`, in UTC. */
export const moment = (time: number): string => new Date(time).toISOString().slice(0, 19).replace('T', ' ')

export function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

const bars = '▁▂▃▄▅▆▇█'

/** A bar for each number, as high as its share of the largest; a space for none. */
export const sparkline = (numbers: readonly number[], max: number): string =>
  numbers.map(n => (n === 0 ? ' ' : bars[Math.ceil((n / max) * bars.length) - 1])).join('')
